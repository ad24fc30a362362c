"""Targeted fields: what an app says to the caches of one kind, in the place of Cache-Control."""

from collections.abc import Callable, Iterable, Mapping

from asgi_serial.http.cachecontrol import CacheControl, parse_field_names
from asgi_serial.http.fields import MAX_DELTA_SECONDS, MAX_LIST_BYTES
from asgi_serial.http.structured import Member, parse_dictionary

_RESTRICTIONS = frozenset({"no-store", "no-transform", "must-revalidate", "proxy-revalidate"})
_PERMISSIONS = frozenset({"public", "immutable", "must-understand"})
_TIMES = frozenset({"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"})


def find_targeted(
    fields: Mapping[bytes, bytes],
    targets: Iterable[bytes],
    parse: Callable[[bytes], CacheControl | None] | None = None,
) -> CacheControl | None:
    """The directives of the first of the `targets` that the response has in a valid form.

    None where Cache-Control and Expires hold. `targets` are lower-case names, the most specific
    first; `parse` is `parse_targeted`, or remembers what that has said.

    Source: RFC 9213, 2.2.
    """
    for name in targets:
        if name in fields:
            cc = (parse or parse_targeted)(fields[name])
            if cc is not None:
                return cc
    return None


def parse_targeted(value: bytes) -> CacheControl | None:
    """The directives of a targeted field; None where it is malformed or empty, and so is ignored.

    What is well-formed and of the wrong type is not used: a time is 0 then, as one of
    Cache-Control would be, and a restriction still restricts, unless it is false. Directives of
    requests and unknown ones are ignored. A field of more than MAX_LIST_BYTES is not read, and
    forbids to store.

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
