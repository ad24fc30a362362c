"""Which requests are answered by the same stored responses."""

import re
from collections.abc import Mapping
from hashlib import blake2b
from operator import itemgetter
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from asgi_serial.cache.entry import Key
from asgi_serial.types import Scope

Kind: TypeAlias = tuple[str, object, object, bytes]
"""GET, or * for forks; the scheme; X-Forwarded-Proto; and a port that says nothing."""

BodyPart: TypeAlias = tuple[bytes | None, bytes | None, bytes]
"""A request's body: its Content-Type, its Content-Encoding, and its digest."""

Extra: TypeAlias = tuple[tuple[bytes, bytes | None], ...]
"""Fields in a key, with their values, and what stands beside them by the names below."""

KEY_NAMES = (b"x-forwarded-proto", b"x-forwarded-port", b"origin")
"""The fields that take part in every key beside the host: see `make_key`."""

SCHEMA = "2"  # goes up when the meaning of a part changes, so that no old entry is found

# Nearly every proxy sends these, and not every server takes the scheme from them. The port that a
# scheme implies says nothing of its own.
_PORTS = {None: None, b"http": b"80", b"https": b"443"}

# RFC 9110, 4.2.3: the port that a scheme implies, or an empty one, names the same resource as none.
_SILENT_PORTS = (b":80", b":443", b":")

_SLASHES = re.compile(rb"//+")

# Sorting this takes a millisecond; what is longer lists thousands of parameters.
_MAX_SORTED_BYTES = 8192

# What a key consists of, by place.
REALM, METHOD, SCHEME, HOST, PROTO, ROOT, PATH, RAW_PATH, QUERY, EXTRA, BODY = range(11)


def make_realm(namespace: str) -> str:
    """The first part of every key: what keeps apart those of other revisions and namespaces."""
    return f"{SCHEMA} {namespace}"


def make_key(
    realm: str,
    scope: Scope,
    method: str,
    fields: Mapping[bytes, bytes],
    query: bytes,
    extra: Extra = (),
    body: BodyPart | None = None,
    names: tuple[bytes, ...] = KEY_NAMES,
) -> Key:
    """The parts that select a resource, kept apart so that no two requests run together.

    HEAD is answered from what GET stored. The path stands in it twice, decoded and as it was
    sent: an app may route by either. `extra` are the configured fields with their values, and
    `body` stands for the request's body, where they take part. `names` are those of `KEY_NAMES`
    that the request may have. Apps are known to answer by them without saying so: Origin (CORS is
    often told to other origins only) and what is unusual of X-Forwarded-Proto and
    X-Forwarded-Port.

    Source: RFC 9111, 2 (the primary cache key) and 4.
    """
    proto = None
    if names:
        proto, extra = _read_keyed(fields, extra)
    try:
        scheme, root_path, raw_path = scope["scheme"], scope["root_path"], scope["raw_path"]
    except KeyError:  # ASGI lets servers leave them out
        scheme, root_path, raw_path = map(scope.get, ("scheme", "root_path", "raw_path"))
    return (
        realm,
        "GET" if method == "HEAD" else method,
        scheme,
        # RFC 9110, 4.2.3: the host is case-insensitive.
        fields[b"host"].lower() if b"host" in fields else b"",
        proto,
        root_path,
        scope["path"],
        raw_path,
        query,
        extra or None,
        body,
    )


def _read_keyed(fields: Mapping[bytes, bytes], extra: Extra) -> tuple[bytes | None, Extra]:
    """Return the usual X-Forwarded-Proto, and `extra` with the fields that are not usual."""
    proto, port = fields.get(b"x-forwarded-proto"), fields.get(b"x-forwarded-port")
    if proto not in _PORTS:
        extra = (*extra, (b"x-forwarded-proto", proto))
        proto = None
    if port is not None and port != _PORTS[proto]:
        extra = (*extra, (b"x-forwarded-port", port))
    if b"origin" in fields:
        extra = (*extra, (b"origin", fields[b"origin"]))
    return proto, extra


def resource_of(key: Key) -> Key:
    """The key of the resource whose index this key hangs on; itself where it hangs on none."""
    index = key[REALM]
    return resource_of(index) if isinstance(index, tuple) else key


PARTITION = b":partition"
"""What stands in `extra` for the user, beside names of fields, none of which begins so."""


def partition_of(key: Key) -> bytes | None:
    """The digest of the user whose entry lies under this key; None where it is everybody's."""
    extra = resource_of(key)[EXTRA]
    for name, value in extra if isinstance(extra, tuple) else ():
        if name == PARTITION:
            assert isinstance(value, bytes)
            return value
    return None


COOKIES = b":cookies"
"""What stands in `extra` beside a partition that cookies tell apart, for the other cookies."""

CODED_ONLY = b":coded-only"
"""What stands in `extra`, without a value, for clients that refuse what has no content coding.

Others get small responses, and those that do not shrink, as the app makes them.
"""

PART = b":part"
"""What stands in `extra`, without a value, for what is kept of a resource in part."""


def part_key(key: Key) -> Key:
    """The key under which a part of the resource of `key` lies: what is whole lies elsewhere."""
    extra = key[EXTRA]
    assert extra is None or isinstance(extra, tuple)
    return (*key[:EXTRA], (*(extra or ()), (PART, None)), *key[BODY:])


def is_of_part(key: Key) -> bool:
    """Whether a resource's key is one of `part_key`."""
    extra = key[EXTRA]
    return isinstance(extra, tuple) and extra[-1] == (PART, None)


def body_of(key: Key) -> BodyPart | None:
    """What stands in a resource's key for the request's body."""
    body = key[BODY]
    assert body is None or isinstance(body, tuple)
    return body


def fork_of(key: Key) -> Key | None:
    """The key of what all forks of a resource hang on; None for a key that is no fork.

    A fork is told from others of its URI by more than a usual GET is: by fields, by a body. A
    write to the URI, which has not the same of these, drops what they hang on.
    """
    if key[EXTRA] is None and key[BODY] is None and key[METHOD] == "GET":
        return None
    return (key[REALM], "*", *key[SCHEME:EXTRA], None, None)


def place_of(key: Key) -> Key:
    """Return the key under which an entry of this key lies in the first level.

    A fork that does not vary lies there directly: a write marks it, and need not find it by what
    all forks hang on.
    """
    resource = key[REALM]
    return resource if len(key) == FORK_PARTS and isinstance(resource, tuple) else key


FORK_PARTS = 2
"""The parts of the key of a fork: its resource's, and the nonce of what it hangs on."""


def kind_of(key: Key) -> Kind:
    """What tells apart the keys under which what is stored of one URI lies, or hangs."""
    method = "GET" if fork_of(key) is None else "*"
    return method, key[SCHEME], key[PROTO], split_host(key[HOST])[1]


def usual_kinds(key: Key) -> set[Kind]:
    """The kinds under which something of this URI may be stored by any process."""
    ports = {b"", split_host(key[HOST])[1]}
    return {
        (method, key[SCHEME], proto, port)
        for method in ("GET", "*")
        for proto in _PORTS
        for port in ports
    }


def key_of_kind(key: Key, kind: Kind) -> Key:
    """The key of that kind for the URI of `key`."""
    method, scheme, proto, port = kind
    host = split_host(key[HOST])[0] + port
    return (key[REALM], method, scheme, host, proto, *key[ROOT:EXTRA], None, None)


def uri_digest(key: Key) -> bytes:
    """Return the digest of the URI of a key: by this a write invalidates what is stored of it.

    A write to one spelling of a URI changes what the app answers to all of them. So the path is the
    one that the app routes by, decoded, and the query is compared by its decoded parameters.
    Repeated slashes, and one at the end, make no difference: Litestar routes without them.

    Source: RFC 3986, 6.2.2: URIs that differ in their percent-encoding only may be equivalent.
    """
    resource = resource_of(key)
    root, path = as_bytes(resource[ROOT]), as_bytes(resource[PATH])
    # Servers leave the root path in the path; some frameworks take it out for a mounted app.
    if root and path != root and not path.startswith(root + b"/"):
        path = root + path
    path = _SLASHES.sub(b"/", path)
    host, _ = split_host(resource[HOST])
    parts = (
        resource[REALM],
        host,
        path.rstrip(b"/") or path,
        read_query(as_bytes(resource[QUERY])),
    )
    return blake2b(repr(parts).encode(), digest_size=16).digest()


def as_bytes(part: object) -> bytes:
    """Return a part of a key, or what is compared with one, as bytes; b"" for a missing one."""
    if isinstance(part, str):
        # Bytes of a path that are no UTF-8 may reach us as lone surrogates.
        return part.encode("utf-8", "surrogatepass")
    return part if isinstance(part, bytes) else b""


def read_query(query: bytes) -> list[tuple[bytes, bytes]]:
    """Return the decoded parameters in the order of their names; those of one name keep theirs.

    >>> read_query(b"b=%31&a=x+y&b")
    [(b'a', b'x y'), (b'b', b'1'), (b'b', b'')]
    """
    if not query:
        return []
    pairs = [pair.partition(b"=") for pair in query.replace(b"+", b" ").split(b"&") if pair]
    read = [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]
    return sorted(read, key=itemgetter(0))


def split_host(host: object) -> tuple[bytes, bytes]:
    """A host, and the port behind it that says nothing, with its colon.

    A key holds both, since an app may write what it was asked by into its answer: what is stored
    for one is not given to the other, but a write to one drops what is stored for either.

    >>> split_host(b"example.org:443")
    (b'example.org', b':443')
    """
    assert isinstance(host, bytes)
    for port in _SILENT_PORTS:
        if host.endswith(port):
            return host.removesuffix(port), port
    return host, b""


def sorted_query(query: bytes) -> bytes:
    """The query with its parameters in the order of their names; those of one name keep theirs.

    A name is the same in every spelling that apps take for it: `%61` is `a`, and `+` a space. A
    query of more than 8 kB stays in its own order.

    >>> sorted_query(b"b=1&a=2&b=0")
    b'a=2&b=1&b=0'
    """
    if len(query) > _MAX_SORTED_BYTES:
        return query
    pairs = [
        (unquote_to_bytes(pair.partition(b"=")[0].replace(b"+", b" ")), place, pair)
        for place, pair in enumerate(query.split(b"&"))
    ]
    return b"&".join([pair for _, _, pair in sorted(pairs)])
