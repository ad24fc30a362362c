"""Cache keys: they determine which requests share a stored response."""

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Protocol, TypeAlias
from urllib.parse import unquote_to_bytes

from asgi_serial.cache.entry import Key
from asgi_serial.http.field_names import FRAGMENT_FIELDS
from asgi_serial.types import Field, Scope

Kind: TypeAlias = tuple[str, object, object, bytes]
"""GET, or * for the index of a URI; the scheme; X-Forwarded-Proto; a port without significance."""

BodyPart: TypeAlias = tuple[bytes | None, bytes | None, bytes]
"""A request's body: its Content-Type, its Content-Encoding, and its digest."""

Extra: TypeAlias = tuple[tuple[bytes, bytes | None], ...]
"""Fields in a key with their values, and the markers defined below."""


class KeyFields(Protocol):
    """The fields of a request that are part of every key.

    Some apps vary by them without saying so: by Origin (CORS fields are often sent to other origins
    only), by unusual values of X-Forwarded-Proto and X-Forwarded-Port, and by the fields with which
    scripts ask for a part of a page.
    """

    @property
    def method(self) -> str:
        """The method of the request."""

    @property
    def host_at(self) -> int | None:
        """The index of the line with the host."""

    @property
    def origin_at(self) -> int | None:
        """The index of the line with the origin."""

    @property
    def proto(self) -> bytes | None:
        """X-Forwarded-Proto, if it is a usual one."""

    @property
    def unusual(self) -> Extra:
        """Unusual values of X-Forwarded-Proto and X-Forwarded-Port, and `FRAGMENT_FIELDS`."""


SCHEMA = "2"  # incremented when the meaning of a part changes, so that no old entry is found

# Nearly every proxy sends these fields, and not every server takes the scheme from them. A port
# that the scheme implies carries no information.
_PORTS = {None: None, b"http": b"80", b"https": b"443"}

# RFC 9110, 4.2.3: the port that a scheme implies, or an empty one, names the same resource as none.
_SILENT_PORTS = (b":80", b":443", b":")

_SLASHES = re.compile(rb"//+")

# Sorting this much takes a millisecond; a longer query lists thousands of parameters.
_MAX_SORTED_BYTES = 8192

# The parts of a key, by index.
REALM, METHOD, SCHEME, HOST, PROTO, ROOT, PATH, RAW_PATH, QUERY, EXTRA, BODY = range(11)


def make_realm(namespace: str) -> str:
    """Return the first part of every key, which separates revisions and namespaces."""
    return f"{SCHEMA} {namespace}"


def make_key(
    realm: str,
    scope: Scope,
    fields: KeyFields,
    lines: Sequence[Field],
    query: bytes,
    extra: Extra = (),
    body: BodyPart | None = None,
    method: str = "",
) -> Key:
    """Return the key of a resource, in separate parts so that distinct requests never collide.

    HEAD is answered from a stored response to GET. The path appears twice, decoded and as it was
    sent: an app may route by either. `lines` are the request's field lines, `extra` the configured
    fields with their values, and `body` stands for the request's body, if they take part. `method`
    replaces that of the request.

    Source: RFC 9111, 2 (the primary cache key) and 4.
    """
    host_at, origin_at = fields.host_at, fields.origin_at
    if fields.unusual:
        extra = (*extra, *fields.unusual)
    if origin_at is not None:
        origin = (b"origin", lines[origin_at][1])
        extra = (*extra, origin) if extra else (origin,)
    try:
        scheme, root_path, raw_path = scope["scheme"], scope["root_path"], scope["raw_path"]
    except KeyError:  # ASGI lets servers leave them out
        scheme, root_path, raw_path = map(scope.get, ("scheme", "root_path", "raw_path"))
    method = method or fields.method
    return (
        realm,
        "GET" if method == "HEAD" else method,
        scheme,
        # RFC 9110, 4.2.3: the host is case-insensitive.
        b"" if host_at is None else lines[host_at][1].lower(),
        fields.proto,
        root_path,
        scope["path"],
        raw_path,
        query,
        extra or None,
        body,
    )


def read_key_fields(fields: Mapping[bytes, bytes]) -> tuple[bytes | None, Extra]:
    """Return `proto` and `unusual` of the `KeyFields` of a request with these fields.

    >>> read_key_fields({b"x-forwarded-proto": b"https", b"x-forwarded-port": b"8443"})
    (b'https', ((b'x-forwarded-port', b'8443'),))
    """
    proto, port = fields.get(b"x-forwarded-proto"), fields.get(b"x-forwarded-port")
    extra: Extra = ()
    if proto not in _PORTS:
        extra = ((b"x-forwarded-proto", proto),)
        proto = None
    if port is not None and port != _PORTS[proto]:
        extra = (*extra, (b"x-forwarded-port", port))
    asked = [(name, fields[name]) for name in FRAGMENT_FIELDS if name in fields]
    return proto, (*extra, *asked)


def resource_of(key: Key) -> Key:
    """Return the key of the resource whose index leads to this key; the key itself if none does."""
    index = key[REALM]
    return resource_of(index) if isinstance(index, tuple) else key


PARTITION = b":partition"
"""Marks the user's digest in `extra`; no field name begins with a colon."""


def partition_of(key: Key) -> bytes | None:
    """Return the digest of the user to whom the entry belongs; None if everybody shares it."""
    extra = resource_of(key)[EXTRA]
    for name, value in extra if isinstance(extra, tuple) else ():
        if name == PARTITION:
            assert isinstance(value, bytes)
            return value
    return None


COOKIES = b":cookies"
"""Marks the other cookies in `extra`, if a partition is identified by cookies."""

KEYED_COOKIES = b":keyed-cookies"
"""Marks the configured cookies in `extra`, as they were sent."""

GUARDED = b":guarded"
"""Marks, without a value, responses of a handler whose `skip` decides who may be answered by them.

Only a request about which the handler's function was asked has such a key.
"""

CODED_ONLY = b":coded-only"
"""Marks, without a value, clients that refuse a response without a content coding.

Other clients get small and incompressible responses as the app sends them.
"""

PART = b":part"
"""Marks, without a value, a part of a resource that is stored by itself."""


def part_key(key: Key) -> Key:
    """Return the key of a stored part of the resource of `key`; whole responses have another."""
    extra = key[EXTRA]
    assert extra is None or isinstance(extra, tuple)
    return (*key[:EXTRA], (*(extra or ()), (PART, None)), *key[BODY:])


def is_of_part(key: Key) -> bool:
    """Whether a resource's key is one that `part_key` returns."""
    extra = key[EXTRA]
    return isinstance(extra, tuple) and extra[-1] == (PART, None)


def body_of(key: Key) -> BodyPart | None:
    """Return the part of a resource's key that stands for the request's body."""
    body = key[BODY]
    assert body is None or isinstance(body, tuple)
    return body


def uri_index_of(key: Key) -> Key | None:
    """Return the key of the index of a resource's URI; None for a usual GET, which needs none.

    Other requests for the URI differ in more than a usual GET does: in fields or in a body. A write
    to the URI, which does not have the same fields or body, drops the index, and so all of them.
    """
    if key[EXTRA] is None and key[BODY] is None and key[METHOD] == "GET":
        return None
    return (key[REALM], "*", *key[SCHEME:EXTRA], None, None)


def place_of(key: Key) -> Key:
    """Return the key under which an entry with this key is stored in the first level.

    One that hangs on the index of its URI and does not vary is stored there directly: a write marks
    it, and does not need the index to find it.
    """
    resource = key[REALM]
    return resource if len(key) == INDEXED_PARTS and isinstance(resource, tuple) else key


INDEXED_PARTS = 2
"""The length of a key on the index of a URI: the resource's key, and the nonce of the index."""


def kind_of(key: Key) -> Kind:
    """Return the parts in which the keys of entries and indexes of one URI differ."""
    method = "GET" if uri_index_of(key) is None else "*"
    return method, key[SCHEME], key[PROTO], split_host(key[HOST])[1]


def usual_kinds(key: Key) -> set[Kind]:
    """Return the kinds under which any process may have stored something for this URI."""
    ports = {b"", split_host(key[HOST])[1]}
    return {
        (method, key[SCHEME], proto, port)
        for method in ("GET", "*")
        for proto in _PORTS
        for port in ports
    }


def key_of_kind(key: Key, kind: Kind) -> Key:
    """Return the key of this kind for the URI of `key`."""
    method, scheme, proto, port = kind
    host = split_host(key[HOST])[0] + port
    return (key[REALM], method, scheme, host, proto, *key[ROOT:EXTRA], None, None)


def uri_digest(key: Key) -> bytes:
    """Return the digest of a key's URI, by which a write invalidates stored responses.

    A write to one spelling of a URI changes the app's answer to all of them. So the path is the
    decoded one, which the app routes by, and the query is compared by its decoded parameters.
    Repeated slashes, and one at the end, make no difference: Litestar's routing ignores them.

    Source: RFC 3986, 6.2.2: URIs that differ in their percent-encoding only may be equivalent.
    """
    resource = resource_of(key)
    host, _ = split_host(resource[HOST])
    query = read_query(as_bytes(resource[QUERY]))
    return _digest(resource[REALM], host, _plain_path(resource), query)


MAX_LEVELS = 16
"""The number of paths above a missing resource that are known to be above it."""


def path_digests(key: Key) -> tuple[bytes, ...]:
    """Return the digests of a resource's path and of the paths above it, the nearest first.

    They are other digests than those of URIs, and the same for all queries.
    """
    resource = resource_of(key)
    host, _ = split_host(resource[HOST])
    paths = [_plain_path(resource)]
    while len(paths) <= MAX_LEVELS and paths[-1] != b"/":
        paths.append(paths[-1].rpartition(b"/")[0] or b"/")
    return tuple([_digest(resource[REALM], host, path) for path in paths])


def _digest(*parts: object) -> bytes:
    return blake2b(repr(parts).encode(), digest_size=16).digest()


def _plain_path(resource: Key) -> bytes:
    """Return the path of a resource below the root, decoded, without slashes that mean nothing."""
    root, path = as_bytes(resource[ROOT]), as_bytes(resource[PATH])
    # Servers leave the root path in the path; some frameworks remove it for a mounted app.
    if root and path != root and not path.startswith(root + b"/"):
        path = root + path
    path = _SLASHES.sub(b"/", path)
    return path.rstrip(b"/") or path


def as_bytes(part: object) -> bytes:
    """Return a part of a key, or a value to compare with it, as bytes; b"" if it is missing."""
    if isinstance(part, str):
        # Bytes of a path that are not UTF-8 may arrive as lone surrogates.
        return part.encode("utf-8", "surrogatepass")
    return part if isinstance(part, bytes) else b""


def read_query(query: bytes) -> list[tuple[bytes, bytes]]:
    """Return the decoded parameters sorted by name; parameters of one name keep their order.

    >>> read_query(b"b=%31&a=x+y&b")
    [(b'a', b'x y'), (b'b', b'1'), (b'b', b'')]
    """
    if not query:
        return []
    pairs = [pair.partition(b"=") for pair in query.replace(b"+", b" ").split(b"&") if pair]
    read = [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]
    return sorted(read, key=itemgetter(0))


def split_host(host: object) -> tuple[bytes, bytes]:
    """Split a host from a port without significance, which keeps its colon.

    A key holds both, since an app may echo the requested host in its response: a response stored
    for one is not served for the other, but a write to either drops both.

    >>> split_host(b"example.org:443")
    (b'example.org', b':443')
    """
    assert isinstance(host, bytes)
    for port in _SILENT_PORTS:
        if host.endswith(port):
            return host.removesuffix(port), port
    return host, b""


def sorted_query(query: bytes) -> bytes:
    """Return the query sorted by parameter name; parameters of one name keep their order.

    Names are compared after decoding: `%61` is `a`, and `+` is a space. A query of more than 8 kB
    keeps its order.

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
