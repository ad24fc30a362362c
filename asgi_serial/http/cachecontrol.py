"""Parse Cache-Control so that no restriction is lost, even if it is malformed."""

import re

from asgi_serial.http.fields import (
    MAX_DELTA_SECONDS,
    MAX_LIST_BYTES,
    is_token,
    parse_delta_seconds,
    split_list,
    unquote,
)

_FLAGS = {
    name: name.decode().replace("-", "_")
    for name in (
        *(b"no-store", b"no-transform", b"public", b"must-revalidate", b"proxy-revalidate"),
        *(b"must-understand", b"immutable", b"only-if-cached"),
    )
}
# These directives lift a restriction. None of them takes an argument; with one they are unknown
# directives (`public=false`) and lift nothing.
_PERMISSIONS = frozenset({b"public", b"immutable", b"must-understand"})
_SECONDS = {
    name: name.decode().replace("-", "_")
    for name in (
        *(b"max-age", b"s-maxage", b"max-stale", b"min-fresh"),
        *(b"stale-while-revalidate", b"stale-if-error"),
    )
}

_RESTRICTIONS = frozenset({b"no-cache", b"no-store", b"private"})
# A restriction within another element, as in `max-age=0; private`.
_RESTRICTIVE_WORD = re.compile(rb"(?<![a-z0-9-])(?:no[-_ ]store|no[-_ ]cache|private)(?![a-z0-9-])")


class CacheControl:
    """The directives of one request or response; absent directives are False or None.

    Times are in whole seconds. `max_stale` is MAX_DELTA_SECONDS if any staleness is accepted.
    `no_cache_fields` and `private_fields` hold the lower-case field names that limit the directive;
    they are empty if it applies to the whole response. `malformed` is true if an element may be a
    misspelt restriction; such a response is not stored. `targeted` is true if the directives come
    from a targeted field, so that Expires is ignored (RFC 9213, 2.2).
    """

    __slots__ = (
        "immutable",
        "malformed",
        "max_age",
        "max_stale",
        "min_fresh",
        "must_revalidate",
        "must_understand",
        "no_cache",
        "no_cache_fields",
        "no_store",
        "no_transform",
        "only_if_cached",
        "private",
        "private_fields",
        "proxy_revalidate",
        "public",
        "s_maxage",
        "stale_if_error",
        "stale_while_revalidate",
        "targeted",
    )

    def __init__(self) -> None:
        self.immutable = False
        self.malformed = False
        self.max_age: int | None = None
        self.max_stale: int | None = None
        self.min_fresh: int | None = None
        self.must_revalidate = False
        self.must_understand = False
        self.no_cache = False
        self.no_cache_fields: frozenset[bytes] = frozenset()
        self.no_store = False
        self.no_transform = False
        self.only_if_cached = False
        self.private = False
        self.private_fields: frozenset[bytes] = frozenset()
        self.proxy_revalidate = False
        self.public = False
        self.s_maxage: int | None = None
        self.stale_if_error: int | None = None
        self.stale_while_revalidate: int | None = None
        self.targeted = False


def parse_cache_control(value: bytes) -> CacheControl:
    """Return the directives of a Cache-Control value; several lines must be joined by commas.

    An invalid time is 0, and so is a time that is given twice with different values: it makes a
    response stale (RFC 9111, 4.2.1) and asks for validation in a request. Of several min-fresh the
    greatest counts. Restrictions apply whatever their argument; `public`, `immutable` and
    `must-understand` apply only without one. Unknown directives are ignored, unless they are
    malformed or contain the name of a restriction. A value longer than MAX_LIST_BYTES is not
    parsed and counts as every restriction on caches.

    Source: RFC 9111, 5.2 and 5.2.3; RFC 5861; RFC 8246.
    """
    cc = CacheControl()
    if len(value) > MAX_LIST_BYTES:
        cc.malformed = cc.no_store = cc.no_cache = True
        cc.no_transform = b"no-transform" in value.lower()
        return cc
    private: list[bytes] = []
    no_cache: list[bytes] = []
    for element in split_list(value):
        name, equals, argument = element.partition(b"=")
        name = name.lower()
        if _is_malformed(element, name, argument if equals else None):
            cc.malformed = True
            cc.no_transform |= b"no-transform" in element.lower()
        if name[-1:] in (b" ", b"\t"):
            # White space before "=" is invalid. The directive counts, but its argument does not.
            name, argument = name.rstrip(b" \t"), b""
        if name in _FLAGS:
            if not equals or name not in _PERMISSIONS:
                setattr(cc, _FLAGS[name], True)
        elif name in _SECONDS:
            _add_seconds(cc, name, argument if equals else None)
        elif name == b"private":
            private.append(argument)
        elif name == b"no-cache":
            no_cache.append(argument)
    cc.private, cc.private_fields = bool(private), _restricted_to(private)
    cc.no_cache, cc.no_cache_fields = bool(no_cache), _restricted_to(no_cache)
    return cc


def _is_malformed(element: bytes, name: bytes, argument: bytes | None) -> bool:
    """Whether an element may be a misspelt restriction.

    Source: RFC 9111, 5.2: a directive is a token with an optional argument, which is a token or a
    quoted string; 5.2.3: unknown directives are ignored, including the content of their strings.
    """
    if not is_token(name) or (argument is not None and unquote(argument) is None):
        return True
    unquoted = name if b'"' in element else element.lower()
    return name not in _RESTRICTIONS and _RESTRICTIVE_WORD.search(unquoted) is not None


def _add_seconds(cc: CacheControl, name: bytes, argument: bytes | None) -> None:
    if argument is None and name == b"max-stale":
        seconds = MAX_DELTA_SECONDS
    else:
        seconds = parse_delta_seconds(unquote(argument or b"") or b"") or 0
    attribute = _SECONDS[name]
    present = getattr(cc, attribute)
    if present is not None and present != seconds:
        seconds = max(present, seconds) if name == b"min-fresh" else 0
    setattr(cc, attribute, seconds)


def _restricted_to(arguments: list[bytes]) -> frozenset[bytes]:
    names: set[bytes] = set()
    for argument in arguments:
        # Nobody means a field named `true` by `private=true`: only a quoted list names fields.
        content = unquote(argument) if argument[:1] == b'"' else None
        members = parse_field_names(content or b"")
        # One directive without field names applies to the whole response, whatever others say.
        if not members:
            return frozenset()
        names.update(members)
    return frozenset(names)


def parse_field_names(content: bytes) -> frozenset[bytes]:
    """Return the lower-case field names in the argument of no-cache or private.

    Empty if the argument is not a list of field names. The directive then applies to the whole
    response, which is stricter and always allowed.

    >>> sorted(parse_field_names(b"Set-Cookie, X-User"))
    [b'set-cookie', b'x-user']

    Source: RFC 9111, 5.2.2.4 and 5.2.2.7.
    """
    members = split_list(content.lower())
    return frozenset(members) if all(map(is_token, members)) else frozenset()
