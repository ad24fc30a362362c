"""Which requests are answered by the same stored responses."""

from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from asgi_serial.cache.entry import Key
from asgi_serial.types import Scope

BodyPart: TypeAlias = tuple[bytes | None, bytes | None, bytes]
"""A request's body: its Content-Type, its Content-Encoding, and its digest."""

SCHEMA = "1"  # goes up when the meaning of a part changes, so that no old entry is found


def make_realm(namespace: str) -> str:
    """The first part of every key: what keeps apart those of other revisions and namespaces."""
    return f"{SCHEMA} {namespace}"


def make_key(
    realm: str,
    scope: Scope,
    method: str,
    fields: Mapping[bytes, bytes],
    query: bytes,
    extra: tuple[bytes | None, ...] | None,
    body: BodyPart | None,
) -> Key:
    """The parts that select a resource, kept apart so that no two requests run together.

    HEAD is answered from what GET stored. The path stands in it twice, decoded and as it was
    sent: an app may route by either. `extra` are the values of configured fields, and `body`
    stands for the request's body, where they take part.

    Source: RFC 9111, 2 (the primary cache key) and 4.
    """
    return (
        realm,
        "GET" if method == "HEAD" else method,
        scope.get("scheme"),
        # RFC 9110, 4.2.3: the host is case-insensitive.
        fields.get(b"host", b"").lower(),
        # Nearly every proxy sends these, and not every server takes the scheme from them.
        fields.get(b"x-forwarded-proto"),
        fields.get(b"x-forwarded-port"),
        scope.get("root_path"),
        scope["path"],
        scope.get("raw_path"),
        query,
        extra,
        body,
    )


def sorted_query(query: bytes) -> bytes:
    """The query with its parameters in the order of their names; those of one name keep theirs.

    A name is the same in every spelling that apps take for it: `%61` is `a`, and `+` a space.

    >>> sorted_query(b"b=1&a=2&b=0")
    b'a=2&b=1&b=0'
    """
    pairs = [
        (unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")), place, pair)
        for place, pair in enumerate(query.split(b"&"))
    ]
    return b"&".join([pair for _, _, pair in sorted(pairs)])
