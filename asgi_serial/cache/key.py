"""Which requests are answered by the same stored responses."""

from collections.abc import Mapping

from asgi_serial.cache.entry import Key
from asgi_serial.types import Scope

SCHEMA = "1"  # goes up when the meaning of a part changes, so that no old entry is found


def make_key(
    scope: Scope,
    method: str,
    fields: Mapping[bytes, bytes],
    *,
    namespace: str = "",
    sort_query: bool = False,
    key_fields: tuple[bytes, ...] = (),
    body: tuple[bytes, bytes] | None = None,
) -> Key:
    """The parts that select a resource, kept apart so that no two requests run together.

    HEAD is answered from what GET stored. `body` is the Content-Type and the digest of the
    request's body where they take part. The path stands in it twice, decoded and as it was
    sent: an app may route by either.

    Source: RFC 9111, 2 (the primary cache key) and 4.
    """
    query: bytes = scope["query_string"]
    return (
        SCHEMA,
        namespace,
        "GET" if method == "HEAD" else method,
        scope.get("scheme", "http"),
        # Nearly every proxy sends these, and not every server takes the scheme from them.
        fields.get(b"x-forwarded-proto"),
        fields.get(b"x-forwarded-port"),
        fields.get(b"host", b"").lower(),
        scope.get("root_path", ""),
        scope["path"],
        scope.get("raw_path"),
        sorted_query(query) if sort_query else query,
        tuple([fields.get(name) for name in key_fields]) if key_fields else None,
        body,
    )


def sorted_query(query: bytes) -> bytes:
    """The query with its parameters in the order of their names; those of one name keep theirs.

    >>> sorted_query(b"b=1&a=2&b=0")
    b'a=2&b=1&b=0'
    """
    pairs = [(pair.partition(b"=")[0], place, pair) for place, pair in enumerate(query.split(b"&"))]
    return b"&".join([pair for _, _, pair in sorted(pairs)])
