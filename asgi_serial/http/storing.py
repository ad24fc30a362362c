"""Which requests a shared cache may answer, and which responses it may store."""

from collections.abc import Collection, Container, Mapping

from asgi_serial.http.cachecontrol import CacheControl
from asgi_serial.http.fields import MAX_LIST_BYTES, is_token, split_list, split_parameters
from asgi_serial.http.freshness import HEURISTIC_STATUSES
from asgi_serial.reasons import Reason

CACHED_METHODS = frozenset({"GET", "HEAD"})

# RFC 9110, 9.2.1, and the safe methods of the IANA registry: these change nothing.
_SAFE_METHODS = frozenset(
    {"GET", "HEAD", "OPTIONS", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE"}
)

# RFC 9110, 15.1: may be stored without explicit freshness; 206 is left out, no part is stored.
_HEURISTIC_STATUSES = HEURISTIC_STATUSES - {206}

# What these say depends on the conditions, ranges or expectations of the one request.
_NEVER_STORED_STATUSES = frozenset({206, 304, 412, 416, 417})

# The final status codes of RFC 9110, 15, whose caching is done here as it is defined.
_UNDERSTOOD_STATUSES = frozenset(
    {
        *(200, 201, 202, 203, 204, 205),
        *(300, 301, 302, 303, 305, 307, 308),
        *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 414, 415, 421, 422, 426),
        *(500, 501, 502, 503, 504, 505),
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

_ACCEPT_FIELDS = frozenset({b"accept", b"accept-charset", b"accept-encoding", b"accept-language"})
_MAX_NORMALISED_BYTES = 4096  # no honest client sends more; it would cost 30 ms for 64 KB
_CASELESS_FIELDS = frozenset({b"accept-charset", b"accept-encoding", b"accept-language"})


def why_not_looked_up(
    method: str,
    request: Mapping[bytes, bytes],
    cc: CacheControl | None,
    *,
    methods: frozenset[str] = CACHED_METHODS,
    is_routed: bool = False,
) -> Reason | None:
    """Why the cache takes no part in answering this request; None if it may.

    `methods` are those whose responses are cached; the body of a GET or HEAD is not a part of
    the key, that of any other method is taken to be. `is_routed` says that a field which is no
    part of the key may route the request elsewhere (`Meaning.ROUTING`).

    Source: RFC 9111, 2, 4 and 5.2.1.5; RFC 9110, 9.3.1 and 14.2.
    """
    if method not in methods:
        return _METHOD_NOT_CACHED
    if cc is not None and cc.no_store:
        return _REQUEST_NO_STORE
    if b"range" in request and method not in CACHED_METHODS:
        return _REQUEST_HAS_RANGE
    if method in CACHED_METHODS and announces_body(request):
        return _REQUEST_HAS_BODY
    if is_routed:
        return _REQUEST_HAS_UNKEYED_FIELD
    return None


def announces_body(request: Mapping[bytes, bytes]) -> bool:
    """Whether a request with these fields says that content follows.

    Source: RFC 9112, 6.3: a request without both fields has no body.
    """
    return b"transfer-encoding" in request or bool(
        request.get(b"content-length", b"").strip(b"0 \t")
    )


def forces_revalidation(request: Mapping[bytes, bytes], cc: CacheControl | None) -> bool:
    """Whether the client refuses a stored response that the app has not confirmed.

    `cc` is None where the request has no Cache-Control; only then Pragma is read.

    Source: RFC 9111, 5.2.1.1, 5.2.1.4 and 5.4.
    """
    if cc is not None:
        return cc.no_cache or cc.max_age == 0
    pragma = request.get(b"pragma")
    return pragma is not None and b"no-cache" in split_list(pragma.lower())


def why_not_stored(
    method: str,
    status: int,
    request: Container[bytes],
    response: Mapping[bytes, bytes],
    cc: CacheControl,
    *,
    lifetime: float | None,
    explicitly_shared: bool,
    age: float = 0.0,
    stale_use: float = 0.0,
    is_private: bool = False,
    methods: frozenset[str] = CACHED_METHODS,
    max_selecting: int = 16,
) -> Reason | None:
    """Why a shared cache must not store this response; None if it may.

    `request` has the kinds of credentials that the request carries, of `CREDENTIAL_FIELDS`.
    `lifetime`, `age` and `stale_use` are in seconds; `lifetime` is the response's own, or that of
    a policy, which holds for the statuses only that may be cached without the app's word;
    `stale_use` is for how long beyond it the response is of use, as one that can be validated is.
    `explicitly_shared` says that a setting of the route allows one response for all users,
    `is_private` that the response is for one user's cache.
    Responses to HEAD are not stored: they have no body for a GET.

    Source: RFC 9111, 3, 3.5 and 5.2.2.
    """
    return why_forbidden(
        method,
        status,
        response,
        cc,
        is_private=is_private,
        methods=methods,
        max_selecting=max_selecting,
    ) or why_of_no_use(request, cc, lifetime, age, stale_use, explicitly_shared=explicitly_shared)


def why_forbidden(
    method: str,
    status: int,
    response: Mapping[bytes, bytes],
    cc: CacheControl,
    *,
    is_private: bool = False,
    methods: frozenset[str] = CACHED_METHODS,
    max_selecting: int = 16,
) -> Reason | None:
    """The first part of `why_not_stored`: what its status and its fields forbid for anybody."""
    return _why_not_by_status(method, status, response, cc, methods) or _why_not_by_fields(
        response, cc, max_selecting, is_private=is_private
    )


def _why_not_by_status(
    method: str,
    status: int,
    response: Mapping[bytes, bytes],
    cc: CacheControl,
    methods: frozenset[str],
) -> Reason | None:
    if method == "HEAD" or method not in methods:
        return _METHOD_NOT_CACHED
    if status < 200 or status in _NEVER_STORED_STATUSES:
        return _STATUS_NOT_CACHED
    # RFC 9111, 5.2.2.3: must-understand forbids storing what is not understood.
    if cc.must_understand and status not in _UNDERSTOOD_STATUSES:
        return _STATUS_NOT_CACHED
    if status not in _HEURISTIC_STATUSES and not _is_explicit(response, cc):
        return _STATUS_NOT_CACHED
    return None


def _is_explicit(response: Mapping[bytes, bytes], cc: CacheControl) -> bool:
    if cc.max_age is not None or cc.s_maxage is not None or cc.public:
        return True
    # RFC 9213, 2.2: beside a targeted field Expires says nothing.
    return not cc.targeted and b"expires" in response


def _why_not_by_fields(
    response: Mapping[bytes, bytes], cc: CacheControl, max_selecting: int, *, is_private: bool
) -> Reason | None:
    # RFC 9111, 5.2.2.3: no-store is ignored beside must-understand where that is fulfilled.
    if cc.no_store and not cc.must_understand:
        return _NO_STORE
    # RFC 9111, 4.2.1: of directives in conflict the most restrictive is honoured; so it is here of
    # the readings that something malformed may have.
    if cc.malformed:
        return _MALFORMED
    # RFC 9111, 5.2.2.7: with field names, private forbids to store these fields only.
    if cc.private and not cc.private_fields and not is_private:
        return _PRIVATE
    if b"set-cookie" in response:
        return _SETS_COOKIE
    names = selecting_names(response.get(b"vary", b""))
    if names is None:
        return _VARIES_ON_EVERYTHING
    return _VARIES_TOO_WIDELY if len(names) > max_selecting else None


def why_of_no_use(
    request: Container[bytes],
    cc: CacheControl,
    lifetime: float | None,
    age: float,
    stale_use: float,
    *,
    explicitly_shared: bool,
) -> Reason | None:
    """The second part of `why_not_stored`: whom it may not be sent to, or not for long enough."""
    fresh = is_fresh(cc, lifetime, age)
    if not allows_credentials(request, cc, explicitly_shared=explicitly_shared, fresh=fresh):
        return _REQUEST_HAS_CREDENTIALS
    if needs_validation(cc):
        return _NO_CACHE if stale_use <= 0 else None
    if lifetime is None:
        return _NO_FRESHNESS
    return _ALREADY_STALE if lifetime + stale_use <= age else None


def is_fresh(cc: CacheControl, lifetime: float | None, age: float) -> bool:
    """Whether the response is fresh when it comes; `lifetime` and `age` in seconds."""
    return not needs_validation(cc) and lifetime is not None and lifetime > age


def needs_validation(cc: CacheControl) -> bool:
    """Whether the response is never used without the app's word.

    Source: RFC 9111, 5.2.2.4: with field names, no-cache says so of these fields only.
    """
    return cc.no_cache and not cc.no_cache_fields


def allows_credentials(
    request: Container[bytes], cc: CacheControl, *, explicitly_shared: bool, fresh: bool = True
) -> bool:
    """Whether a response with `cc` may be shared though the request carries what it does.

    True for a request without Authorization and Cookie. Ask with `CREDENTIAL_FIELDS` as the
    request to know whether a stored response may answer requests that carry either. A cookie
    is held to be more than HTTP asks for: only `public` or the route's setting allow it, since
    s-maxage and must-revalidate are often set without a thought of cookies. Nor do these two
    allow anything where the response is not `fresh`: "revalidate each time" is not said to share
    it, and validators of one user may be those of another.

    Source: RFC 9111, 3.5.
    """
    if explicitly_shared or cc.public:
        return True
    if b"cookie" in request:
        return False
    if b"authorization" not in request:
        return True
    return fresh and (cc.must_revalidate or cc.s_maxage is not None)


def allows_unknown(cc: CacheControl, *, is_granted: bool, explicitly_shared: bool) -> bool:
    """Whether a response may be shared though the request carries fields that nobody knows.

    By any of them the app may have told who asks. Where the lifetime is one that is granted here
    (`is_granted`), the app has not said that the response is for others, too.

    Source: RFC 9111, 5.2.2.9 and 5.2.2.10: `public` and `s-maxage` are for shared caches.
    """
    return explicitly_shared or not is_granted or cc.public or cc.s_maxage is not None


def why_strange(
    unknown: frozenset[bytes],
    twins: frozenset[bytes],
    selecting: Collection[bytes],
    *,
    allows_unknown: bool,
) -> Reason | None:
    """Why a response may not be shared with a request for the fields that it carries.

    `unknown` are the names of those that nobody knows, `twins` the canonical names of those that
    are spelt otherwise, `selecting` the names on which the response varies: these are compared.
    """
    # RFC 9111, 4.1: the app may have read what it varies on in the other spelling.
    if not twins.isdisjoint(selecting):
        return _REQUEST_HAS_UNKEYED_FIELD
    if allows_unknown or unknown.issubset(selecting):
        return None
    return _REQUEST_HAS_UNKNOWN_FIELD


def selecting_names(vary: bytes) -> tuple[bytes, ...] | None:
    """The request fields that select among stored responses, lower case and sorted.

    None for a value with `*`, which no request matches, with what is no field name, or of more
    than MAX_LIST_BYTES: nobody knows then what the response varies on.

    Source: RFC 9111, 4.1.
    """
    if not vary:
        return ()
    if len(vary) > MAX_LIST_BYTES:
        return None
    names = {name.lower() for name in split_list(vary)}
    return None if b"*" in names or not all(map(is_token, names)) else tuple(sorted(names))


def selecting_values(
    names: tuple[bytes, ...], request: Mapping[bytes, bytes]
) -> tuple[bytes | None, ...]:
    """The request's values of the selecting fields, one for each name; None for an absent field.

    White space and the case of names without one are made alike in the fields of negotiation,
    whose syntax is known here; others are compared as they came.

    Source: RFC 9111, 4.1.
    """
    return tuple(_normalised(name, request.get(name)) for name in names)


def _normalised(name: bytes, value: bytes | None) -> bytes | None:
    if value is None or name not in _ACCEPT_FIELDS or len(value) > _MAX_NORMALISED_BYTES:
        return value
    if name in _CASELESS_FIELDS:
        value = value.lower()
    return b",".join(b";".join(split_parameters(element)) for element in split_list(value))


def unstored_names(connection: bytes | None, cc: CacheControl | None = None) -> frozenset[bytes]:
    """The lower-case names of the fields not to store of a response with this Connection value.

    Of the fields that no-cache is restricted to none is stored, since none may be sent again.

    Source: RFC 9111, 3.1: Connection, the fields it names, and those of one connection; 5.2.2.4
    and 5.2.2.7: the fields that no-cache and private name.
    """
    names = UNSTORED_FIELDS
    if connection is not None:
        names = names.union(split_list(connection.lower()))
    if cc is not None and (cc.private_fields or cc.no_cache_fields):
        names = names | cc.private_fields | cc.no_cache_fields
    return names


def invalidates(method: str, status: int) -> bool:
    """Whether a response of this status to this method makes what is stored for its URI invalid.

    Source: RFC 9111, 4.4: a non-error response (2xx, 3xx) to a method not known to be safe.
    """
    return method not in _SAFE_METHODS and 200 <= status < 400


# Bound once: an enum member looked up through its class costs many times a module's own name.
_METHOD_NOT_CACHED = Reason.METHOD_NOT_CACHED
_STATUS_NOT_CACHED = Reason.STATUS_NOT_CACHED
_REQUEST_NO_STORE = Reason.REQUEST_NO_STORE
_REQUEST_HAS_RANGE = Reason.REQUEST_HAS_RANGE
_REQUEST_HAS_BODY = Reason.REQUEST_HAS_BODY
_REQUEST_HAS_CREDENTIALS = Reason.REQUEST_HAS_CREDENTIALS
_REQUEST_HAS_UNKEYED_FIELD = Reason.REQUEST_HAS_UNKEYED_FIELD
_REQUEST_HAS_UNKNOWN_FIELD = Reason.REQUEST_HAS_UNKNOWN_FIELD
_NO_STORE = Reason.NO_STORE
_MALFORMED = Reason.MALFORMED_CACHE_CONTROL
_PRIVATE = Reason.PRIVATE
_NO_CACHE = Reason.NO_CACHE
_SETS_COOKIE = Reason.SETS_COOKIE
_VARIES_ON_EVERYTHING = Reason.VARIES_ON_EVERYTHING
_VARIES_TOO_WIDELY = Reason.VARIES_TOO_WIDELY
_NO_FRESHNESS = Reason.NO_FRESHNESS
_ALREADY_STALE = Reason.ALREADY_STALE
