"""Sets of HTTP fields, each for one rule; names are in lower case."""

CREDENTIAL_FIELDS = frozenset({b"authorization", b"cookie"})
"""The credentials that HTTP and browsers define."""

FRAGMENT_FIELDS = (
    *(b"hx-request", b"hx-boosted", b"hx-target", b"hx-history-restore-request"),
    *(b"turbo-frame", b"x-requested-with"),
)
"""Request fields by which scripts in a page ask for a part of it; few apps name them in Vary."""

REQUEST_FIELDS = frozenset(
    {
        *FRAGMENT_FIELDS,
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
"""Request fields that the middleware reads itself.

They are credentials, parts of the key, conditions, preferences and descriptions of the body.
"""

KEY_FIELDS = frozenset(
    {b"host", b"origin", b"x-forwarded-port", b"x-forwarded-proto", *FRAGMENT_FIELDS}
)
"""Request fields that are part of the key."""

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
"""Fields by which apps and the proxies in front of them are known to identify users.

HTTP does not define them, and apps that use them often send no Cache-Control. So they count like
a cookie, even if the response states its own lifetime, unless they are part of the key.
"""

# RFC 9110, 12.5 and 10.1: the client's preferences and software, which many users share. Referer
# names a page, not a user. DNT and the like are switches (RFC 8942, 9218 and 8470).
OF_CLIENTS = frozenset(
    {
        *(b"accept-charset", b"accept-language", b"accept-datetime", b"user-agent", b"referer"),
        *(b"dnt", b"save-data", b"priority", b"upgrade-insecure-requests", b"early-data"),
    }
)
# Only browsers can set these; scripts cannot. The prefix `sec-` alone is not enough:
# Sec-Token-Binding (RFC 8473) and Sec-Session-Id identify the user.
OF_BROWSERS = frozenset(
    {
        *(b"sec-ch-ua", b"sec-ch-ua-mobile", b"sec-ch-ua-platform"),
        *(b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site", b"sec-fetch-user"),
        *(b"sec-gpc", b"sec-purpose"),
    }
)
# The number or time of a single request, on which no response depends. `baggage` and
# `x-datadog-tags` are not included: apps put their own data into them, such as a user ID.
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
# Every proxy sends the first two; the others name proxies. Further fields with the client's
# address, such as CF-Connecting-IP, are not included, since an app may well answer by them.
_OF_PROXIES = frozenset({b"x-forwarded-for", b"x-real-ip", b"via", b"cdn-loop", b"alt-used"})
# RFC 9110, 7.6.1, 10.1 and 6.6.1: about a single connection or message.
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
    | OF_CLIENTS
    | OF_BROWSERS
    | _OF_TRACING
    | _OF_PROXIES
    | _OF_MESSAGES
)
"""Fields that neither identify the user nor route the request, or that are part of the key."""

HARMLESS_PREFIXES = (b"sec-ch-", b"sec-fetch-")
"""Browsers keep adding fields with these prefixes; scripts cannot set them."""

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

X-Forwarded-Proto and X-Forwarded-Port are not included: nearly every proxy sends them with every
request, and they are part of the key.
"""

CONDITIONS = frozenset(
    {b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since"}
)
"""Request fields that make a request conditional (RFC 9110, 13.1)."""

RESPONSE_FIELDS = frozenset(
    {
        b"accept-ranges",
        b"age",
        b"cache-control",
        b"connection",
        b"content-digest",
        b"content-encoding",
        b"content-length",
        b"content-location",
        b"content-md5",
        b"content-range",
        b"content-type",
        b"date",
        b"digest",
        b"etag",
        b"expires",
        b"last-modified",
        b"location",
        b"pragma",
        b"repr-digest",
        b"set-cookie",
        b"transfer-encoding",
        b"vary",
    }
)

UNSTORED_FIELDS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields of one connection, which a cache must not store (RFC 9111, 3.1; RFC 9110, 7.6.1)."""

ANSWER_FIELDS = frozenset({b"age", b"server-timing"})
"""Fields of the answer that carries a stored response, never of the stored response itself.

The Cache-Status of other caches belongs to the response, and is stored (RFC 9211, 2).
"""

REPLAYED_FIELDS = frozenset(
    {
        *("accept-ranges", "age", "allow", "cache-control", "clear-site-data", "date", "etag"),
        *("expires", "last-modified", "link", "location", "pragma", "referrer-policy"),
        *("permissions-policy", "set-cookie", "strict-transport-security", "surrogate-control"),
        *("transfer-encoding", "vary", "www-authenticate", "x-content-type-options"),
        *("x-frame-options", "x-robots-tag", "x-xss-protection", "cdn-cache-control"),
        *("access-control-*", "asgi-serial-*", "content-*", "cross-origin-*"),
    }
)
"""Response fields without which a stored response would mean something else, or protect less.

A name that ends in `*` stands for all that begin with it.
"""

BODY_FIELDS = frozenset(
    {
        b"accept-ranges",
        b"content-digest",
        b"content-encoding",
        b"content-length",
        b"content-md5",
        b"digest",
        b"etag",
        b"repr-digest",
        b"transfer-encoding",
    }
)
"""Response fields that describe the app's own bytes, and are wrong for any others."""

NOT_IN_304 = BODY_FIELDS - {b"etag"} | {
    b"content-language",
    b"content-range",
    b"content-type",
    b"last-modified",
}
"""Response fields of a 200 that a 304 in its place does not have.

RFC 9110, 15.4.5: a 304 should not have representation metadata other than Cache-Control,
Content-Location, Date, ETag, Expires and Vary, unless it guides cache updates.
"""
