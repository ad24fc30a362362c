"""The meaning of a request's fields for a shared cache: who asks, for what, or neither.

A list of the fields by which apps know their users can never be whole. So the rule is the other way
round: only fields that are known to say nothing of that are harmless, and every other one is taken
for one by which the answer may differ.
"""

from collections.abc import Callable, Collection
from enum import Enum
from typing import NamedTuple

CREDENTIAL_FIELDS = frozenset({b"authorization", b"cookie"})

CLIENT = b":client"
"""Stands among a request's fields for a client whom the server or an outer middleware knows."""

USER_FIELDS = frozenset(
    {
        b"api-key",
        b"apikey",
        b"cf-access-authenticated-user-email",
        b"cf-access-jwt-assertion",
        b"client-cert",
        b"proxy-authorization",
        b"remote-user",
        b"ssl-client-cert",
        b"ssl-client-s-dn",
        b"x-access-token",
        b"x-amz-security-token",
        b"x-amzn-oidc-data",
        b"x-amzn-oidc-identity",
        b"x-api-key",
        b"x-api-token",
        b"x-auth-request-access-token",
        b"x-auth-request-email",
        b"x-auth-request-groups",
        b"x-auth-request-preferred-username",
        b"x-auth-request-user",
        b"x-auth-token",
        b"x-authenticated-user",
        b"x-client-cert",
        b"x-forwarded-access-token",
        b"x-forwarded-client-cert",
        b"x-forwarded-email",
        b"x-forwarded-groups",
        b"x-forwarded-preferred-username",
        b"x-forwarded-user",
        b"x-goog-authenticated-user-email",
        b"x-goog-iap-jwt-assertion",
        b"x-org-id",
        b"x-remote-user",
        b"x-session-id",
        b"x-session-token",
        b"x-ssl-client-cert",
        b"x-tenant-id",
        b"x-user-email",
        b"x-user-id",
    }
)
"""Fields by which apps, and the proxies before them, are known to know their users.

HTTP says nothing of them, and apps that go by them often say nothing to caches: they count as a
cookie does, also where the response states its own lifetime, unless they take part in the key.
"""
# Of a certificate, by whatever name: X-SSL-Client-S-DN, X-Forwarded-TLS-Client-Cert-Info, ...
_USER_STEMS = (b"ssl-client", b"tls-client", b"client-cert")

REQUEST_FIELDS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"cookie",
        b"host",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"origin",
        b"pragma",
        b"range",
        b"transfer-encoding",
        b"x-forwarded-port",
        b"x-forwarded-proto",
    }
)
"""The fields that are read here: credentials, parts of the key, conditions, wishes and bodies."""

_KEY_FIELDS = frozenset({b"host", b"origin", b"x-forwarded-port", b"x-forwarded-proto"})

# RFC 9110, 12.5 and 10.1: what a client prefers and runs on, the same for many users. The referrer
# is not who asks. DNT and the like are switches; RFC 9218, 8942 and 8470.
_OF_CLIENTS = frozenset(
    {
        *(b"accept-charset", b"accept-language", b"accept-datetime", b"user-agent", b"referer"),
        *(b"dnt", b"save-data", b"priority", b"upgrade-insecure-requests", b"early-data"),
    }
)
# Browsers write these, and no script can. Not all that begins with `sec-`: Sec-Token-Binding (RFC
# 8473) and Sec-Session-Id tell who asks.
_OF_BROWSERS = frozenset(
    {
        *(b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform"),
        *(b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user"),
        *(b"sec-gpc", b"sec-purpose"),
    }
)
_BROWSER_PREFIXES = (b"sec-ch-", b"sec-fetch-")
# One request's number or time, which no app answers by. Not `baggage`, nor `x-datadog-tags`, which
# carry what an app puts into them, such as its user's number.
_OF_TRACING = frozenset(
    {
        *(b"traceparent", b"tracestate", b"b3", b"x-b3-flags", b"x-b3-parentspanid"),
        *(b"x-b3-sampled", b"x-b3-spanid", b"x-b3-traceid", b"uber-trace-id", b"sentry-trace"),
        *(b"x-datadog-parent-id", b"x-datadog-sampling-priority", b"x-datadog-trace-id"),
        *(b"x-amzn-trace-id", b"x-cloud-trace-context", b"x-amz-cf-id", b"cf-ray", b"x-azure-ref"),
        *(b"request-id", b"x-request-id", b"correlation-id", b"x-correlation-id", b"x-trace-id"),
        *(b"fly-request-id", b"x-vercel-id", b"x-varnish", b"x-arr-log-id"),
        *(b"x-request-start", b"x-queue-start", b"connect-time", b"total-route-time"),
        *(b"x-envoy-attempt-count", b"x-envoy-expected-rq-timeout-ms"),
    }
)
# Every proxy sends the first two; the others name proxies. Of the client's address only the two
# that all of them send: by `CF-Connecting-IP` and the like an app may be made to answer.
_OF_PROXIES = frozenset({b"x-forwarded-for", b"x-real-ip", b"via", b"cdn-loop", b"alt-used"})
# RFC 9110, 7.6.1, 10.1 and 6.6.1: about one connection, or one message.
_OF_MESSAGES = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"),
        *(b"http2-settings", b"expect", b"max-forwards", b"date"),
        *(b"content-digest", b"content-md5", b"digest", b"repr-digest", b"want-content-digest"),
        *(b"want-digest", b"want-repr-digest"),
    }
)

HARMLESS_FIELDS = (
    (REQUEST_FIELDS - CREDENTIAL_FIELDS)
    | _OF_CLIENTS
    | _OF_BROWSERS
    | _OF_TRACING
    | _OF_PROXIES
    | _OF_MESSAGES
)
"""Fields that say neither who asks nor for what; or that take part in the key."""

UNKEYED_FIELDS = frozenset(
    {
        b"cf-visitor",
        b"forwarded",
        b"proxy",
        b"x-forwarded-host",
        b"x-forwarded-path",
        b"x-forwarded-prefix",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-uri",
        b"x-host",
        b"x-http-host-override",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-host",
        b"x-original-uri",
        b"x-original-url",
        b"x-rewrite-url",
    }
)
"""Fields by which frameworks and proxies are known to route to another host, path or method.

X-Forwarded-Proto and X-Forwarded-Port are not among them: nearly every proxy sends them always,
and they are parts of the key.
"""

# Of other names a word tells: CloudFront-Forwarded-Proto, WL-Proxy-SSL, Front-End-Https, ...
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
# The page in the browser, and where the client is: these route nothing.
_NOT_ROUTING = frozenset({b"hx-current-url", b"next-url"})
_NOT_ROUTING_ENDS = (b"-client-port", b"-color-scheme", b"-forwarded-for", b"-remote-port")


MAX_STRANGE = 256
"""Requests with more fields that no list knows are kept out, and their names are not looked into.

Each takes some 5 us, and usual servers bound a head late (64 kB hold 7,000 names) or never.
"""


class Meaning(Enum):
    """What a field of a request may say to the app; the value says what follows."""

    HARMLESS = "it keeps no request out"
    UNKNOWN = "it may say who asks: no lifetime that is granted here holds for it"
    USER = "it says who asks: it counts as a cookie"
    ROUTING = "it may route the request elsewhere: it keeps it out, whatever the lifetime"


# Bound once: a member looked up through its class costs many times a module's own name.
_HARMLESS, _UNKNOWN, _USER, _ROUTING = Meaning


class Strange(NamedTuple):
    """The fields of a request that are not known to be harmless, by what they may say.

    `twins` are the canonical names of those that are spelt otherwise.
    """

    unknown: frozenset[bytes] = frozenset()
    users: frozenset[bytes] = frozenset()
    routing: frozenset[bytes] = frozenset()
    twins: frozenset[bytes] = frozenset()


NOT_STRANGE = Strange()


def canonical_name(name: bytes) -> bytes:
    """Return a field's name in the spelling in which it is told apart from others.

    >>> canonical_name(b"X_Forwarded_Host")
    b'x-forwarded-host'

    Source: RFC 9110, 5.1: names are case-insensitive; RFC 3875, 4.1.18: CGI, and WSGI after it,
    write `-` as `_`, so that an app behind them takes one for the other.
    """
    return name.lower().replace(b"_", b"-")


def meaning_of(name: bytes, keyed: frozenset[bytes] = frozenset()) -> Meaning:
    """Return what the field of this name may say to an app.

    In another than its canonical spelling it is not read here, and an app may still read it.
    `keyed` are the configured parts of the key: what may be taken for one of them is no part of it.
    """
    if type(name) is not bytes:
        return _ROUTING  # against ASGI; nobody knows how the app reads it
    spelt = canonical_name(name)
    if spelt == name and (name in HARMLESS_FIELDS or name.startswith(_BROWSER_PREFIXES)):
        return _HARMLESS
    if spelt in USER_FIELDS or spelt in CREDENTIAL_FIELDS or name == CLIENT:
        return _USER
    if any(stem in spelt for stem in _USER_STEMS):
        return _USER
    if spelt in _KEY_FIELDS or spelt in keyed or _may_route(spelt):
        return _ROUTING
    return _UNKNOWN


def _may_route(name: bytes) -> bool:
    """Whether a name says that its field is about a scheme, a host, a path, a port or a method."""
    if name in UNKEYED_FIELDS:
        return True
    if name in _NOT_ROUTING or name.endswith(_NOT_ROUTING_ENDS):
        return False
    words = name.split(b"-")
    if words[-1] in _ROUTING_ENDS or not _ROUTING_WORDS.isdisjoint(words):
        return True
    return any(stem in name for stem in _ROUTING_STEMS)


def sort_strange(names: Collection[bytes], find_meaning: Callable[[bytes], Meaning]) -> Strange:
    """Return the names of a request's fields, sorted by `find_meaning`, without harmless ones.

    Of more than MAX_STRANGE any may route the request elsewhere.
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
