"""The directives of Cache-Control, read so that no restriction is lost."""

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
# These allow what is otherwise forbidden: with an argument, which none of them has, they are
# directives that nobody knows (`public=false`).
_PERMISSIONS = frozenset({b"public", b"immutable", b"must-understand"})
_SECONDS = {
    name: name.decode().replace("-", "_")
    for name in (
        *(b"max-age", b"s-maxage", b"max-stale", b"min-fresh"),
        *(b"stale-while-revalidate", b"stale-if-error"),
    )
}

_RESTRICTIONS = frozenset({b"no-cache", b"no-store", b"private"})
# A restriction in an element that is not that directive, such as `max-age=0; private`.
_RESTRICTIVE_WORD = re.compile(rb"(?<![a-z0-9-])(?:no[-_ ]store|no[-_ ]cache|private)(?![a-z0-9-])")


class CacheControl:
    """The directives of one request or response; an absent one is False or None.

    Times are whole seconds; `max_stale` is `MAX_DELTA_SECONDS` where any staleness will do.
    `no_cache_fields` and `private_fields` hold the lower-case names that the directive is
    restricted to; they are empty where it is about the whole response. `malformed` says that an
    element may be a restriction that was written wrong: a response with one is not stored.
    `targeted` says that the directives are those of a targeted field, beside which Expires says
    nothing (RFC 9213, 2.2).
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
    """The directives of a Cache-Control value; several lines come joined by commas.

    A time that is no number of seconds is 0, and so is one that is given twice with different
    values: such a response is stale (RFC 9111, 4.2.1), such a request wants validation. Of
    several min-fresh the greatest holds. A restriction holds whatever its argument; `public`,
    `immutable` and `must-understand`, which lift one, hold without an argument only. Unknown
    directives are ignored, unless they are malformed or a restriction is a word of theirs. One of
    more than MAX_LIST_BYTES is not read, and stands for every restriction on caches.

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
            # No white space may stand before "=": the name still counts, its argument does not.
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
    """Whether an element may be a restriction that was written wrong.

    Source: RFC 9111, 5.2: a directive is a token, with an optional token or quoted string as its
    argument; 5.2.3: an unknown one is ignored, and so is what its string says.
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
        # That `private=true` is about a field named `true` is not what anybody means.
        content = unquote(argument) if argument[:1] == b'"' else None
        members = parse_field_names(content or b"")
        # What is said once about the whole response holds.
        if not members:
            return frozenset()
        names.update(members)
    return frozenset(names)


def parse_field_names(content: bytes) -> frozenset[bytes]:
    """The lower-case names that no-cache or private is restricted to by what is quoted in it.

    Empty where that is no list of field names: then it says no less than the directive alone,
    which a cache may always take it for.

    >>> sorted(parse_field_names(b"Set-Cookie, X-User"))
    [b'set-cookie', b'x-user']

    Source: RFC 9111, 5.2.2.4 and 5.2.2.7.
    """
    members = split_list(content.lower())
    return frozenset(members) if all(map(is_token, members)) else frozenset()
