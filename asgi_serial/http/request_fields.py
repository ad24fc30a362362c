"""Classify request fields for a shared cache: harmless, unknown, naming the user, or routing.

A list of the fields by which apps identify users can never be complete. So only fields that are
known to be harmless are, and the response may depend on any other one.
"""

from collections.abc import Callable, Collection
from enum import Enum
from typing import NamedTuple

from asgi_serial.http.field_names import (
    CREDENTIAL_FIELDS,
    HARMLESS_FIELDS,
    HARMLESS_PREFIXES,
    KEY_FIELDS,
    UNKEYED_FIELDS,
    USER_FIELDS,
)

CLIENT = b":client"
"""Represents a client that the server or an outer middleware has identified."""

# Client certificates go by many names: X-SSL-Client-S-DN, X-Forwarded-TLS-Client-Cert-Info, ...
_USER_STEMS = (b"ssl-client", b"tls-client", b"client-cert")

# Words that mark other names as routing: CloudFront-Forwarded-Proto, WL-Proxy-SSL, ...
_ROUTING_WORDS = frozenset(
    {
        *(b"forwarded", b"original", b"override", b"rewrite", b"rewritten", b"script"),
        *(b"scheme", b"proto", b"protocol", b"https", b"ssl", b"tls"),
    }
)
_ROUTING_STEMS = (b"forwarded", b"https", b"rewrite", b"urlscheme")
_ROUTING_ENDS = frozenset(
    {
        *(b"authority", b"domain", b"host", b"hostname", b"method", b"path", b"port", b"prefix"),
        *(b"secure", b"uri", b"url", b"vhost"),
    }
)
# The page in the browser, and the client's address and display mode: these route nothing.
_NOT_ROUTING = frozenset({b"hx-current-url", b"next-url"})
_NOT_ROUTING_ENDS = (b"-client-port", b"-color-scheme", b"-forwarded-for", b"-remote-port")


MAX_STRANGE = 256
"""The limit of unlisted fields; requests with more bypass the cache, their names unread.

Classifying a name takes about 5 us, and common servers limit a head late (64 kB hold 7,000 names)
or not at all.
"""


class Meaning(Enum):
    """The meaning that a request field may have for the app, with its consequence."""

    HARMLESS = "no effect on caching"
    UNKNOWN = "may identify the user: a lifetime that the settings grant does not apply"
    USER = "identifies the user: counts like a cookie"
    ROUTING = "may route the request elsewhere: the request bypasses the cache"


# Bound once, since in CPython 3.11 `Meaning.USER` costs many times a global name.
_HARMLESS, _UNKNOWN, _USER, _ROUTING = Meaning


class Strange(NamedTuple):
    """The fields of a request that are not known to be harmless, by their meaning.

    `twins` are the canonical names of those that use another spelling.
    """

    unknown: frozenset[bytes] = frozenset()
    users: frozenset[bytes] = frozenset()
    routing: frozenset[bytes] = frozenset()
    twins: frozenset[bytes] = frozenset()


NOT_STRANGE = Strange()


def canonical_name(name: bytes) -> bytes:
    """Return a field's name in the one spelling that stands for all equivalent ones.

    >>> canonical_name(b"X_Forwarded_Host")
    b'x-forwarded-host'

    Source: RFC 9110, 5.1: names are case-insensitive; RFC 3875, 4.1.18: CGI, and WSGI like it,
    write `-` as `_`, so that an app behind them cannot tell the two apart.
    """
    return name.lower().replace(b"_", b"-")


def meaning_of(name: bytes, keyed: frozenset[bytes] = frozenset()) -> Meaning:
    """Return the meaning that a field may have for the app.

    A name in another than its canonical spelling is never harmless: the middleware does not read
    it, but the app may. `keyed` holds the configured key fields; a different spelling of one is
    not part of the key, although the app may read it as that field.
    """
    if type(name) is not bytes:
        return _ROUTING  # ASGI forbids this, so it is unknown how the app reads it
    spelt = canonical_name(name)
    if spelt == name and (name in HARMLESS_FIELDS or name.startswith(HARMLESS_PREFIXES)):
        return _HARMLESS
    if spelt in USER_FIELDS or spelt in CREDENTIAL_FIELDS or name == CLIENT:
        return _USER
    if any(stem in spelt for stem in _USER_STEMS):
        return _USER
    if spelt in KEY_FIELDS or spelt in keyed or _may_route(spelt):
        return _ROUTING
    return _UNKNOWN


def _may_route(name: bytes) -> bool:
    """Whether a name suggests that the field holds a scheme, host, path, port or method."""
    if name in UNKEYED_FIELDS:
        return True
    if name in _NOT_ROUTING or name.endswith(_NOT_ROUTING_ENDS):
        return False
    words = name.split(b"-")
    if words[-1] in _ROUTING_ENDS or not _ROUTING_WORDS.isdisjoint(words):
        return True
    return any(stem in name for stem in _ROUTING_STEMS)


def sort_strange(names: Collection[bytes], find_meaning: Callable[[bytes], Meaning]) -> Strange:
    """Return the names that are not harmless, grouped by `find_meaning`.

    If there are more than MAX_STRANGE names, all of them count as routing.
    """
    if len(names) > MAX_STRANGE:
        return Strange(routing=frozenset(map(_as_bytes, names)))
    by_meaning: dict[Meaning, list[bytes]] = {}
    twins = []
    for name in names:
        meaning = find_meaning(name)
        name = _as_bytes(name)
        by_meaning.setdefault(meaning, []).append(name)
        spelt = canonical_name(name)
        if spelt != name:
            twins.append(spelt)
    unknown, users, routing = (by_meaning.get(each, ()) for each in (_UNKNOWN, _USER, _ROUTING))
    return Strange(frozenset(unknown), frozenset(users), frozenset(routing), frozenset(twins))


def _as_bytes(name: object) -> bytes:
    return name if type(name) is bytes else repr(name).encode()
