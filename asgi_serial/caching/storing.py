"""Decide whether a response may be stored, for whom, and for how long it stays fresh."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.cache.entry import UNKNOWN_FIELDS, Entry, Representation, Terms
from asgi_serial.cache.purges import parse_tags
from asgi_serial.caching.stored_posts import plan_get_after_post
from asgi_serial.engine.profiles import BODY_METHODS
from asgi_serial.http.field_names import CREDENTIAL_FIELDS
from asgi_serial.http.freshness import freshness_lifetime, heuristic_lifetime, initial_age
from asgi_serial.http.headers import content_length, without
from asgi_serial.http.parts import why_not_a_part
from asgi_serial.http.reuse import forbids_stale
from asgi_serial.http.storing import (
    CACHED_METHODS,
    allows_credentials,
    allows_unknown,
    is_fresh,
    needs_validation,
    selecting_names,
    unstored_names,
    why_forbidden,
    why_of_no_use,
    why_strange,
)
from asgi_serial.http.validators import parse_entity_tag
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Key, Variant
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.cachecontrol import CacheControl
    from asgi_serial.representation.variant_fields import Base
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.settings.policy import RoutePolicy
    from asgi_serial.types import Fields

# Fields of the answer that carries a stored response, never of the stored response itself. What
# other caches have said in Cache-Status is of the response, and stays (RFC 9211, 2).
ANSWER_FIELDS = frozenset({b"age", b"server-timing"})

# Every entry has one of these eight; each set of its own would take 200 bytes.
_CREDENTIALS = tuple(sorted(CREDENTIAL_FIELDS))
_KINDS = (*_CREDENTIALS, UNKNOWN_FIELDS)
_SETS = {names: frozenset(names) for count in range(4) for names in combinations(_KINDS, count)}

_KEYED_BY_BODY = CACHED_METHODS | BODY_METHODS
_CONFIRMED_STATUSES = frozenset({200, 203})

# Bound once: an enum member looked up through its class costs many times a module's own name.
_NO_FRESHNESS, _TURNED_OFF = Reason.NO_FRESHNESS, Reason.TURNED_OFF


class StoreDecision(NamedTuple):
    """The decision to store a response; times in epoch seconds."""

    key: Key
    born: float
    expires: float
    kept_until: float
    terms: Terms
    credentialed: frozenset[bytes]  # the credentials of requests that it may answer
    selecting: tuple[tuple[bytes, bytes | None], ...]
    directives: CacheControl
    tags: tuple[bytes, ...] = ()


class ResponseDirectives(NamedTuple):
    """The caching directives of a response, completed by the settings where it states none."""

    directives: CacheControl
    terms: Terms
    lifetime: float | None  # in seconds
    is_granted: bool  # the response states none of its own
    stale_seconds: float  # beyond the lifetime, in which the response may be used stale


def decide_storing(
    engine: Engine,
    request: RequestPlan,
    status: int,
    fields: Mapping[bytes, bytes],
    *,
    method: str = "",
    invalidates: bool = False,
) -> StoreDecision | Reason:
    """Decide whether a response may be stored and until when, or give the reason why not.

    `method` is the one that the response answers, where that is not the request's. A response
    that `invalidates` its URI may be stored for GET, and a 206 as a part; both where the settings
    allow it.

    Source: RFC 9111, 3.
    """
    settings, is_part = engine.settings, False
    if invalidates and settings.cache_posted:
        get = plan_get_after_post(engine, request, status, fields)
        if isinstance(get, Reason):
            return get
        request = get
    elif status == 206 and settings.cache_parts:
        why = why_not_a_part(request.method, request.fields, fields, validates=request.validates)
        if why is not None:
            return why
        # RFC 9110, 15.3.7: a 206 has the fields that a 200 to the same request would have had.
        status, is_part = 200, True
    policy = request.policy
    if request.bypass is not None:
        return request.bypass
    if policy is not None and policy.cache is False:
        return _TURNED_OFF
    granted = granted_lifetime(engine, policy, status)
    # Most responses state no freshness and are granted none: nothing of them is parsed.
    if (
        granted is None
        and engine.fields.freshness.isdisjoint(fields)
        and not settings.cache_heuristic
    ):
        return _NO_FRESHNESS
    if request.key is None:
        return Reason.REQUEST_HAS_BODY
    length = content_length(fields)
    if length is not None and length > settings.cache_max_object:
        return Reason.OBJECT_TOO_LARGE
    directives = engine.fields.read_directives(fields)
    why = why_forbidden(
        method or request.method,
        status,
        fields,
        directives,
        is_private=bool(request.partition),
        # A path may take writes beside what its handler has asked to be cached.
        methods=_KEYED_BY_BODY if policy is not None and policy.cache_body else CACHED_METHODS,
    )
    if why is not None:
        return why
    return _decide_terms(engine, request, status, fields, granted, is_part=is_part)


def _decide_terms(
    engine: Engine,
    request: RequestPlan,
    status: int,
    fields: Mapping[bytes, bytes],
    granted: float | None,
    *,
    is_part: bool,
) -> StoreDecision | Reason:
    """Decide for how long, and for whom, a response is stored that nothing forbids to store."""
    assert request.key is not None  # without it nothing is stored
    policy, now = request.policy, engine.clock()
    shared = policy is not None and bool(policy.cache_shared)
    said = read_response_directives(
        engine, status, fields, granted, now, request.key, shared=not request.partition
    )
    directives, lifetime = said.directives, said.lifetime
    age = initial_age(
        fields.get(b"age"), fields.get(b"date"), request_time=request.asked, response_time=now
    )
    stale_seconds = usable_stale_seconds(engine, said, age)
    why = why_of_no_use(
        request.credentials,
        directives,
        lifetime,
        age,
        # The app is not asked to confirm a part: it is of use only while it is fresh.
        0.0 if is_part else stale_seconds,
        explicitly_shared=shared,
    )
    names = selecting_names(fields.get(b"vary", b""))
    if why is not None or names is None:
        return why or Reason.VARIES_ON_EVERYTHING
    for_unknown = allows_unknown(directives, is_granted=said.is_granted, explicitly_shared=shared)
    why = why_strange(
        request.unknown, request.profile.strange.twins, names, allows_unknown=for_unknown
    )
    if why is not None:
        request.unknown -= frozenset(names)  # Cache-Status names one of those that are the reason
        return why
    tags = parse_tags(fields, engine.fields.tags)
    if tags is None:
        return Reason.TOO_MANY_TAGS
    born = now - age
    # What is validated before each use is never fresh, whatever the clocks of other hosts say.
    expires = 0.0 if said.terms.no_cache else born + (lifetime or 0.0)
    if b"content-encoding" not in fields and not _was_shown_codings(request):
        # The app's response cannot depend on Accept-Encoding, and is encoded here for each client.
        # One that is encoded already serves only clients that have sent the same field.
        names = tuple([name for name in names if name != b"accept-encoding"])
    return StoreDecision(
        request.key,
        born,
        expires,
        max(born, expires) + stale_seconds,
        said.terms,
        _answerable_credentials(
            directives,
            explicitly_shared=shared,
            fresh=is_fresh(directives, lifetime, age),
            for_unknown=for_unknown,
        ),
        request.vary_values(names),
        directives,
        tags,
    )


def _answerable_credentials(
    directives: CacheControl, *, explicitly_shared: bool, fresh: bool, for_unknown: bool
) -> frozenset[bytes]:
    """Return the credentials with which a request may be answered by the stored response."""
    kinds = [
        name
        for name in _CREDENTIALS
        if allows_credentials((name,), directives, explicitly_shared=explicitly_shared, fresh=fresh)
    ]
    return _SETS[(*kinds, UNKNOWN_FIELDS) if for_unknown else tuple(kinds)]


def _was_shown_codings(request: RequestPlan) -> bool:
    """Whether the app was shown an Accept-Encoding: see `scope_for_app`."""
    return b"accept-encoding" in request.fields and not request.wants.hides_codings


def granted_lifetime(engine: Engine, policy: RoutePolicy | None, status: int) -> float | None:
    """Return the lifetime, in seconds, that the settings give a response which states none."""
    settings = engine.settings
    if status >= 400 and settings.cache_negative_ttl is not None:
        return settings.cache_negative_ttl
    if policy is not None and policy.cache_ttl is not None:
        return policy.cache_ttl
    return settings.cache_ttl


def may_grant_lifetime(engine: Engine, request: RequestPlan) -> bool:
    """Whether a response to this request may be stored though it states no freshness itself."""
    return (
        granted_lifetime(engine, request.policy, 200) is not None or engine.settings.cache_heuristic
    )


def read_response_directives(
    engine: Engine,
    status: int,
    fields: Mapping[bytes, bytes],
    granted: float | None,
    now: float,
    key: Key,
    *,
    shared: bool = True,
) -> ResponseDirectives:
    """Read them; `granted` is the lifetime of a response that states none."""
    directives = engine.fields.read_directives(fields)
    lifetime = freshness_lifetime(directives, fields, now=now, shared=shared)
    is_granted = lifetime is None
    if lifetime is None:
        lifetime = granted
    if lifetime is None and engine.settings.cache_heuristic:
        lifetime = heuristic_lifetime(fields, status, directives, now=now)
    # RFC 9110, 15.4.5: a 304 says that the answer would have been a 200.
    is_confirmed = status in _CONFIRMED_STATUSES and not engine.learned.ignores_conditions(key)
    left_out = unstored_names(fields.get(b"connection"), directives)
    has_tag = (
        is_confirmed
        and b"etag" not in left_out
        and parse_entity_tag(fields.get(b"etag", b"")) is not None
    )
    has_date = is_confirmed and b"last-modified" in fields and b"last-modified" not in left_out
    terms = Terms(
        no_cache=needs_validation(directives),
        must_revalidate=forbids_stale(directives, shared=shared),
        immutable=directives.immutable,
        has_validator=has_tag or has_date,
        has_tag=has_tag,
        stale_while_revalidate=directives.stale_while_revalidate,
        stale_if_error=directives.stale_if_error,
    )
    return ResponseDirectives(
        directives, terms, lifetime, is_granted, _servable_stale_seconds(engine, terms)
    )


def _servable_stale_seconds(engine: Engine, terms: Terms) -> float:
    if terms.must_revalidate or terms.no_cache:
        return 0.0
    options = engine.stale_options
    while_revalidate, if_error = terms.stale_while_revalidate, terms.stale_if_error
    return max(
        options.grace_seconds if while_revalidate is None else while_revalidate,
        options.stale_if_error_seconds if if_error is None else if_error,
    )


def usable_stale_seconds(engine: Engine, said: ResponseDirectives, age: float) -> float:
    """Return the seconds beyond its lifetime in which a response of this age is of use.

    A response that is never fresh is stored for validation only where a setting asks for it: an
    app may know its users by something that no cache sees, and then the validators of one user
    may be those of another.
    """
    settings = engine.settings
    is_kept = settings.cache_confirm or is_fresh(said.directives, said.lifetime, age)
    validatable = settings.cache_keep_stale if is_kept and said.terms.has_validator else 0.0
    return max(validatable, said.stale_seconds)


def stored_fields(pairs: Fields, decision: StoreDecision, connection: bytes | None) -> Fields:
    """Return a new list of the fields to store."""
    return without(pairs, unstored_names(connection, decision.directives) | ANSWER_FIELDS)


def build_entry(
    decision: StoreDecision,
    status: int,
    base: Base,
    negotiates: tuple[bool, bool],
    route: str,
    representations: dict[Variant, Representation],
    app_bytes: int,
) -> Entry:
    """Return the entry of a response that has passed whole."""
    return Entry(
        decision.key,
        status,
        stored_fields(base.pairs, decision, base.fields.get(b"connection")),
        born=decision.born,
        expires=decision.expires,
        kept_until=decision.kept_until,
        terms=decision.terms,
        tags=decision.tags,
        credentialed=decision.credentialed,
        route=route,
        selecting=decision.selecting,
        negotiates=negotiates,
        representations=representations,
        app_bytes=app_bytes,
    )
