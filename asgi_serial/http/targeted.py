"""Targeted fields: cache directives for one kind of cache, used in place of Cache-Control."""

from collections.abc import Callable, Iterable, Mapping

from asgi_serial.http.cachecontrol import CacheControl, parse_field_names
from asgi_serial.http.fields import MAX_DELTA_SECONDS, MAX_LIST_BYTES
from asgi_serial.http.structured import Member, parse_dictionary
from asgi_serial.types import Field, Fields

_RESTRICTIONS = frozenset({"no-store", "no-transform", "must-revalidate", "proxy-revalidate"})
_PERMISSIONS = frozenset({"public", "immutable", "must-understand"})
_TIMES = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})

_TARGETED_END = b"-cache-control"
_NO_STORE = b"no-store"
# Fields that caches take before Cache-Control, besides the targeted ones: that of the Edge
# Architecture (Fastly), of Akamai, and of nginx, which stores nothing for 0 seconds.
_OF_PRODUCTS = {
    b"surrogate-control": _NO_STORE,
    b"edge-control": _NO_STORE,
    b"x-accel-expires": b"0",
}


def find_targeted(
    fields: Mapping[bytes, bytes],
    targets: Iterable[bytes],
    parse: Callable[[bytes], CacheControl | None] | None = None,
) -> CacheControl | None:
    """Return the directives of the first of the `targets` that the response has in a valid form.

    None means that Cache-Control and Expires apply. `targets` are lower-case names, the most
    specific first; `parse` is `parse_targeted` or a memoised form of it.

    Source: RFC 9213, 2.2.
    """
    for name in targets:
        if name in fields:
            cc = (parse or parse_targeted)(fields[name])
            if cc is not None:
                return cc
    return None


def parse_targeted(value: bytes) -> CacheControl | None:
    """Return the directives of a targeted field; None if it is malformed or empty.

    A member of the wrong type errs on the side of not storing: a time becomes 0, as it does in
    Cache-Control, and a restriction applies unless it is false. Request directives and unknown
    ones are ignored. A field longer than MAX_LIST_BYTES is not parsed and counts as `no-store`.

    >>> parse_targeted(b"max-age=60").max_age, parse_targeted(b"Max-Age=60")
    (60, None)

    Source: RFC 9213, 2.1 and 2.2.
    """
    cc = CacheControl()
    cc.targeted = True
    if len(value) > MAX_LIST_BYTES:
        cc.no_store = True
        return cc
    members = parse_dictionary(value)
    if not members:
        return None
    for name, member in members.items():
        attribute = name.replace("-", "_")
        if name in _TIMES:
            setattr(cc, attribute, _seconds(member))
        elif name in _RESTRICTIONS:
            setattr(cc, attribute, member is not False)
        elif name in _PERMISSIONS:
            setattr(cc, attribute, member is True)
        elif name in ("no-cache", "private"):
            setattr(cc, attribute, member is not False)
            setattr(cc, attribute + "_fields", _names(member))
    return cc


def _seconds(member: Member) -> int:
    # RFC 9213, 2.1: a decimal is not coerced into an integer; a boolean is none either.
    return min(max(member, 0), MAX_DELTA_SECONDS) if type(member) is int else 0


def _names(member: Member) -> frozenset[bytes]:
    return parse_field_names(member.encode("ascii")) if isinstance(member, str) else frozenset()


def forbid_storing(pairs: Iterable[Field]) -> Fields:
    """Return the fields of a response that no cache may store, whichever of them it reads.

    >>> forbid_storing([(b"cdn-cache-control", b"max-age=60")])
    [(b'cdn-cache-control', b'no-store'), (b'cache-control', b'no-store')]

    Source: RFC 9213, 2.2: a cache that finds a field for it MUST ignore Cache-Control. RFC 9111,
    5.2.2.3: a cache that knows must-understand ignores no-store beside it.
    """
    forbidding: Fields = []
    for given, value in pairs:
        name = given.lower()
        if name.endswith(_TARGETED_END):
            forbidding.append((given, _NO_STORE))
        elif name in _OF_PRODUCTS:
            forbidding.append((given, _OF_PRODUCTS[name]))
        elif name != b"cache-control" or b"must-understand" not in value.lower():
            forbidding.append((given, value))
    return [*forbidding, (b"cache-control", _NO_STORE)]
