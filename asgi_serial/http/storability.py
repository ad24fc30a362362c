"""Storability: the requests that a shared cache may take part in, and the responses it stores."""

from collections.abc import Collection, Container, Mapping
from typing import NamedTuple

from asgi_serial.http.cachecontrol import CacheControl
from asgi_serial.http.field_names import ANSWER_FIELDS, CREDENTIAL_FIELDS, UNSTORED_FIELDS
from asgi_serial.http.fields import split_list
from asgi_serial.http.freshness import HEURISTIC_STATUSES, freshness_lifetime
from asgi_serial.http.reuse import NO_OPTIONS, Options, forbids_stale
from asgi_serial.http.vary import vary_names
from asgi_serial.reasons import Reason

CACHED_METHODS = frozenset({"GET", "HEAD"})

# RFC 9110, 15.1: cacheable without explicit freshness. A 206 is stored by rules of its own.
_HEURISTIC_STATUSES = HEURISTIC_STATUSES - {206}

# Responses with these depend on the conditions, ranges or expectations of the one request.
_NEVER_STORED_STATUSES = frozenset({206, 304, 412, 416, 417})

# The final status codes of RFC 9110, 15, whose caching requirements are implemented here.
_UNDERSTOOD_STATUSES = frozenset(
    {
        *(200, 201, 202, 203, 204, 205),
        *(300, 301, 302, 303, 305, 307, 308),
        *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 414, 415, 421, 422, 426),
        *(500, 501, 502, 503, 504, 505),
    }
)

_MAX_VARY_NAMES = 16


def why_not_looked_up(
    method: str,
    request: Mapping[bytes, bytes],
    cc: CacheControl | None,
    *,
    methods: frozenset[str] = CACHED_METHODS,
    is_routed: bool = False,
) -> Reason | None:
    """Return why the cache takes no part in answering a request; None if it may.

    `methods` are those whose responses are cached. The body of a GET or HEAD is no part of the
    key; that of any other method is. `is_routed` says that a field outside the key may route the
    request elsewhere (`Meaning.ROUTING`).

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


class StorageFacts(NamedTuple):
    """The fields of a response that decide whether it may be stored, apart from its times.

    The values are raw; None or empty where a field is missing.
    """

    status: int
    vary: bytes
    connection: bytes | None
    sets_cookie: bool  # which would have to be stored with it
    has_expires: bool
    is_private: bool  # the cache is that of one user
    explicitly_shared: bool  # a setting of the route allows one response for all users


class StorageRules(NamedTuple):
    """All that the directives and the facts of a response decide, whoever has asked for it."""

    forbidden: Reason | None  # why nobody may store it
    directives: CacheControl
    vary: tuple[bytes, ...]  # the names in Vary
    unstored: frozenset[bytes]  # the names of its fields that are not stored
    lifetime: float | None  # in seconds, where a directive states it
    no_cache: bool  # it needs validation before each use
    must_revalidate: bool  # it is never used stale
    stale_seconds: float  # beyond its lifetime, in which it may be used stale
    fresh_credentials: frozenset[bytes]  # those with which a request may share it, while fresh
    stale_credentials: frozenset[bytes]  # the same, where it is not fresh when it comes
    is_shared: bool  # it says itself that it is for all users, or a setting does


def read_storage_rules(
    facts: StorageFacts, cc: CacheControl, options: Options = NO_OPTIONS
) -> StorageRules:
    """Read the rules for storing a response out of its directives, status and fields.

    Source: RFC 9111, 3, 3.1, 3.5, 4.1 and 5.2.2; RFC 5861, 3 and 4.
    """
    names, is_shared = vary_names(facts.vary), not facts.is_private
    # RFC 9111, 5.2.2.4: with field names, no-cache is about these fields only.
    no_cache = cc.no_cache and not cc.no_cache_fields
    must_revalidate = forbids_stale(cc, shared=is_shared)
    stale_seconds, while_revalidate, if_error = 0.0, cc.stale_while_revalidate, cc.stale_if_error
    if not no_cache and not must_revalidate:
        stale_seconds = max(
            options.grace_seconds if while_revalidate is None else while_revalidate,
            options.stale_if_error_seconds if if_error is None else if_error,
        )
    fresh, stale = (
        frozenset(
            name
            for name in CREDENTIAL_FIELDS
            if allows_credentials(
                (name,), cc, explicitly_shared=facts.explicitly_shared, fresh=is_fresh
            )
        )
        for is_fresh in (True, False)
    )
    return StorageRules(
        why_forbidden(facts, cc, names),
        cc,
        names or (),
        unstored_names(facts.connection, cc) | ANSWER_FIELDS,
        freshness_lifetime(cc, {}, now=0.0, shared=is_shared),
        no_cache,
        must_revalidate,
        stale_seconds,
        fresh,
        stale,
        # RFC 9111, 5.2.2.9 and 5.2.2.10: public and s-maxage are for shared caches.
        facts.explicitly_shared or cc.public or cc.s_maxage is not None,
    )


def why_forbidden(
    facts: StorageFacts, cc: CacheControl, names: tuple[bytes, ...] | None
) -> Reason | None:
    """Return why nobody may store a response; None if it may be stored for somebody.

    `names` are those in Vary.
    """
    return _why_not_by_status(facts, cc) or _why_not_by_fields(facts, cc, names)


def _why_not_by_status(facts: StorageFacts, cc: CacheControl) -> Reason | None:
    status = facts.status
    if status < 200 or status in _NEVER_STORED_STATUSES:
        return _STATUS_NOT_CACHED
    # RFC 9111, 5.2.2.3: a response with must-understand is stored only by a cache that implements
    # the caching requirements of its status code.
    if cc.must_understand and status not in _UNDERSTOOD_STATUSES:
        return _STATUS_NOT_CACHED
    if status in _HEURISTIC_STATUSES:
        return None
    # RFC 9111, 3: the final status code is heuristically cacheable, or the response states its
    # freshness or is public. RFC 9213, 2.2: beside a targeted field Expires is ignored.
    states_it = cc.max_age is not None or cc.s_maxage is not None or cc.public
    is_explicit = states_it or (facts.has_expires and not cc.targeted)
    return None if is_explicit else _STATUS_NOT_CACHED


def _why_not_by_fields(
    facts: StorageFacts, cc: CacheControl, names: tuple[bytes, ...] | None
) -> Reason | None:
    # RFC 9111, 5.2.2.3: a cache ignores no-store beside a must-understand that it fulfils.
    if cc.no_store and not cc.must_understand:
        return _NO_STORE
    # RFC 9111, 4.2.1: of directives in conflict the most restrictive is honoured. The same holds
    # here for the possible readings of a malformed one.
    if cc.malformed:
        return _MALFORMED
    # RFC 9111, 5.2.2.7: with field names, private forbids to store these fields only.
    if cc.private and not cc.private_fields and not facts.is_private:
        return _PRIVATE
    if facts.sets_cookie:
        return _SETS_COOKIE
    if names is None:
        return _VARIES_ON_EVERYTHING
    return _VARIES_TOO_WIDELY if len(names) > _MAX_VARY_NAMES else None


def why_not_usable(
    rules: StorageRules, lifetime: float | None, age: float, stale_seconds: float
) -> Reason | None:
    """Return why a response could never be used, if it were stored; None if it could.

    All times are in seconds. `lifetime` is the response's own or a granted one; `stale_seconds`
    is for how long beyond it the response is of use, as one that can be validated is.
    """
    if rules.no_cache:
        return _NO_CACHE if stale_seconds <= 0 else None
    if lifetime is None:
        return _NO_FRESHNESS
    return _ALREADY_STALE if lifetime + stale_seconds <= age else None


def allows_credentials(
    request: Container[bytes], cc: CacheControl, *, explicitly_shared: bool, fresh: bool = True
) -> bool:
    """Whether a response with `cc` may be shared though its request carries these credentials.

    True for a request without Authorization and Cookie. A cookie counts for more here than HTTP
    asks for: only `public` or the route's setting allow it, since s-maxage and must-revalidate are
    often set without a thought of cookies. These two allow nothing if the response is not `fresh`:
    "revalidate each time" is no permission to share, and the validators of one user may be those
    of another.

    Source: RFC 9111, 3.5.
    """
    if explicitly_shared or cc.public:
        return True
    if b"cookie" in request:
        return False
    if b"authorization" not in request:
        return True
    return fresh and (cc.must_revalidate or cc.s_maxage is not None)


def may_omit_cookies(
    method: str, *, has_credentials: bool, is_private: bool, is_meant: bool
) -> bool:
    """Whether a response that sets cookies may be stored without them, if a setting allows it.

    Cookies are often set for all responses of an app, but the content may belong to them: a token
    in a form, a name. So the response, or its route, has to say for how long or for whom it is
    meant to be stored (`is_meant`). That is not taken from who asks with credentials, who is set
    another cookie as the same user, nor from a user's own partition, where the next response would
    have to set the cookie as well.

    Source: RFC 9111, 7.3: the "Set-Cookie response header field does not inhibit caching". RFC
    6265, 3: it "does not preclude HTTP caches from storing and reusing a response".
    """
    return method in CACHED_METHODS and is_meant and not (has_credentials or is_private)


def why_strange(
    unknown: frozenset[bytes],
    twins: frozenset[bytes],
    names: Collection[bytes],
    *,
    allows_unknown: bool,
) -> Reason | None:
    """Return why a response may not be shared with a request that carries such fields.

    `unknown` are the names of those that nobody knows, `twins` the canonical names of those that
    are spelt otherwise, `names` the names in the response's Vary, whose values are compared.
    """
    # RFC 9111, 4.1: the app may have read what it varies on in the other spelling.
    if not twins.isdisjoint(names):
        return _REQUEST_HAS_UNKEYED_FIELD
    if allows_unknown or unknown.issubset(names):
        return None
    return _REQUEST_HAS_UNKNOWN_FIELD


def unstored_names(connection: bytes | None, cc: CacheControl | None = None) -> frozenset[bytes]:
    """Return the names of the fields not to store of a response with this Connection value.

    A field that no-cache names is not stored either, since it may not be sent again.

    Source: RFC 9111, 3.1: Connection, the fields it names, and those of one connection; 5.2.2.4
    and 5.2.2.7: the fields that no-cache and private name.
    """
    names = UNSTORED_FIELDS
    if connection is not None:
        names = names.union(split_list(connection.lower()))
    if cc is not None and (cc.private_fields or cc.no_cache_fields):
        names = names | cc.private_fields | cc.no_cache_fields
    return names


# Bound once: an enum member looked up through its class costs many times a module's own name.
_METHOD_NOT_CACHED = Reason.METHOD_NOT_CACHED
_STATUS_NOT_CACHED = Reason.STATUS_NOT_CACHED
_REQUEST_NO_STORE = Reason.REQUEST_NO_STORE
_REQUEST_HAS_RANGE = Reason.REQUEST_HAS_RANGE
_REQUEST_HAS_BODY = Reason.REQUEST_HAS_BODY
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
