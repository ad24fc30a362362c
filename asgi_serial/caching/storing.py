"""What of a response is kept, and for how long."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.cache.entry import UNKNOWN_FIELDS, Entry, Representation, Terms
from asgi_serial.cache.purges import parse_tags
from asgi_serial.http.field_names import CREDENTIAL_FIELDS
from asgi_serial.http.freshness import freshness_lifetime, heuristic_lifetime, initial_age
from asgi_serial.http.headers import content_length, read_fields, without
from asgi_serial.http.reuse import forbids_stale
from asgi_serial.http.storing import (
    CACHED_METHODS,
    allows_credentials,
    allows_unknown,
    is_fresh,
    needs_validation,
    selecting_names,
    selecting_values,
    unstored_names,
    why_forbidden,
    why_of_no_use,
    why_strange,
)
from asgi_serial.http.validators import parse_entity_tag
from asgi_serial.reasons import Reason
from asgi_serial.request.plan import BODY_METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Key, Variant
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.cachecontrol import CacheControl
    from asgi_serial.representation.variant_fields import Base
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields

# Fields of the answer that carries a stored response, never of the stored response itself. What
# other caches have said in Cache-Status is of the response, and stays (RFC 9211, 2).
ANSWER_FIELDS = frozenset({b"age", b"server-timing"})

# Every entry has one of these eight; each set of its own would take 200 bytes.
_CREDENTIALS = tuple(sorted(CREDENTIAL_FIELDS))
_KINDS = (*_CREDENTIALS, UNKNOWN_FIELDS)
_SETS = {names: frozenset(names) for count in range(4) for names in combinations(_KINDS, count)}

NO_FRESHNESS = Reason.NO_FRESHNESS
_CONFIRMED_STATUSES = frozenset({200, 203})


class Storing(NamedTuple):
    """The decision to keep a response; times in epoch seconds."""

    key: Key
    born: float
    expires: float
    kept_until: float
    terms: Terms
    credentialed: frozenset[bytes]  # the credentials of requests that it may answer
    selecting: tuple[tuple[bytes, bytes | None], ...]
    directives: CacheControl
    tags: tuple[bytes, ...] = ()


def plan_storing(
    engine: Engine,
    request: RequestPlan,
    status: int,
    fields: Mapping[bytes, bytes],
    method: str = "",
) -> Storing | Reason:
    """Whether this response is kept and for how long, or why it is not.

    `method` is that of the response, where it is not the request's.
    """
    if request.bypass is not None:
        return request.bypass
    policy = request.policy
    ttl, shared = engine.settings.cache_ttl, False
    if policy is not None:
        if policy.cache is False:
            return Reason.TURNED_OFF
        ttl = ttl if policy.cache_ttl is None else policy.cache_ttl
        shared = bool(policy.cache_shared)
    if status >= 400 and engine.settings.cache_negative_ttl is not None:
        ttl = engine.settings.cache_negative_ttl
    if says_nothing(engine, fields, ttl):
        return NO_FRESHNESS  # the usual answer, given before anything is parsed
    if request.key is None:
        return Reason.REQUEST_HAS_BODY
    length = content_length(fields)
    if length is not None and length > engine.settings.cache_max_object:
        return Reason.OBJECT_TOO_LARGE
    is_private = bool(request.partition)
    # A path may take writes beside what its handler wants to be cached.
    methods = CACHED_METHODS | BODY_METHODS if policy and policy.cache_body else CACHED_METHODS
    forbidden = why_forbidden(
        method or request.method,
        status,
        fields,
        engine.fields.read_directives(fields),
        is_private=is_private,
        methods=methods,
    )
    if forbidden is not None:
        return forbidden
    now = engine.clock()
    said = read_said(engine, status, fields, ttl, now, request.key, shared=not is_private)
    directives, terms, lifetime = said.directives, said.terms, said.lifetime
    age = initial_age(
        fields.get(b"age"), fields.get(b"date"), request_time=request.asked, response_time=now
    )
    stale_use = use_beyond(engine, said, age)
    reason = why_of_no_use(
        request.credentials, directives, lifetime, age, stale_use, explicitly_shared=shared
    )
    names = selecting_names(fields.get(b"vary", b""))
    if reason is not None or names is None:
        return reason or Reason.VARIES_ON_EVERYTHING
    for_unknown = allows_unknown(directives, is_granted=said.is_granted, explicitly_shared=shared)
    reason = why_strange(request.unknown, request.strange.twins, names, allows_unknown=for_unknown)
    if reason is not None:
        request.unknown -= frozenset(names)  # those for which it is not stored
        return reason
    tags = parse_tags(fields, engine.fields.tags)
    if tags is None:
        return Reason.TOO_MANY_TAGS
    born, fresh = now - age, is_fresh(directives, lifetime, age)
    # One that is validated before each use is never fresh, whatever the clocks of others say.
    expires = 0.0 if terms.no_cache else born + (lifetime or 0.0)
    if b"content-encoding" not in fields and not _was_shown_codings(request):
        # Its answer cannot have depended on this field, and is encoded here for each client. One
        # that is encoded all the same is only for clients that send what this one has sent.
        names = tuple([name for name in names if name != b"accept-encoding"])
    return Storing(
        request.key,
        born,
        expires,
        max(born, expires) + stale_use,
        terms,
        _SETS[
            tuple(
                name
                for name in _CREDENTIALS
                if allows_credentials((name,), directives, explicitly_shared=shared, fresh=fresh)
            )
            + (UNKNOWN_FIELDS,) * for_unknown
        ],
        read_selecting(request, names),
        directives,
        tags,
    )


def _was_shown_codings(request: RequestPlan) -> bool:
    """Whether the app was shown an Accept-Encoding: see `scope_for_app`."""
    return b"accept-encoding" in request.fields and not request.wants.hides_codings


class Said(NamedTuple):
    """What a response says of its caching, with what is set for all where it says nothing."""

    directives: CacheControl
    terms: Terms
    lifetime: float | None  # in seconds
    is_granted: bool  # the response states none of its own
    served_stale: float  # for how many seconds beyond it the response may be used


def may_grant_lifetime(engine: Engine, request: RequestPlan) -> bool:
    """Whether a response to this request may be stored though it states no freshness itself."""
    policy, settings = request.policy, engine.settings
    ttl = settings.cache_ttl
    if policy is not None and policy.cache_ttl is not None:
        ttl = policy.cache_ttl
    return ttl is not None or settings.cache_heuristic


def says_nothing(engine: Engine, fields: Mapping[bytes, bytes], ttl: float | None) -> bool:
    """Whether neither the response nor a setting can give a freshness lifetime."""
    return (
        ttl is None
        and engine.fields.freshness.isdisjoint(fields)
        and not engine.settings.cache_heuristic
    )


def read_said(
    engine: Engine,
    status: int,
    fields: Mapping[bytes, bytes],
    ttl: float | None,
    now: float,
    key: Key,
    *,
    shared: bool = True,
) -> Said:
    """Read it; `ttl` is the policy's lifetime for a response that states none."""
    directives = engine.fields.read_directives(fields)
    lifetime = freshness_lifetime(directives, fields, now=now, shared=shared)
    is_granted = lifetime is None
    if lifetime is None:
        lifetime = ttl
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
    return Said(directives, terms, lifetime, is_granted, _served_stale(engine, terms))


def _served_stale(engine: Engine, terms: Terms) -> float:
    if terms.must_revalidate or terms.no_cache:
        return 0.0
    options = engine.stale_options
    while_revalidate, if_error = terms.stale_while_revalidate, terms.stale_if_error
    return max(
        options.grace_seconds if while_revalidate is None else while_revalidate,
        options.stale_if_error_seconds if if_error is None else if_error,
    )


def use_beyond(engine: Engine, said: Said, age: float) -> float:
    """For how many seconds beyond its lifetime a response of this age is of use.

    What is never fresh is kept for validation only where a setting has it so: of an app that
    knows its users in a way that nobody else does, the validators of one may be those of another.
    """
    settings = engine.settings
    is_kept = settings.cache_confirm or is_fresh(said.directives, said.lifetime, age)
    keeps = settings.cache_keep_stale if is_kept and said.terms.has_validator else 0.0
    return max(keeps, said.served_stale)


def read_selecting(
    request: RequestPlan, names: tuple[bytes, ...]
) -> tuple[tuple[bytes, bytes | None], ...]:
    """The varying fields with the values that this request has for them."""
    if not names:
        return ()
    fields = read_fields(request.scope["headers"], frozenset(names))
    return tuple(zip(names, selecting_values(names, fields), strict=True))


def stored_fields(pairs: Fields, storing: Storing, connection: bytes | None) -> Fields:
    """A new list of the fields that are kept."""
    return without(pairs, unstored_names(connection, storing.directives) | ANSWER_FIELDS)


def build_entry(
    storing: Storing,
    status: int,
    base: Base,
    negotiates: tuple[bool, bool],
    route: str,
    representations: dict[Variant, Representation],
    app_bytes: int,
) -> Entry:
    """The entry of a response that has passed whole."""
    return Entry(
        storing.key,
        status,
        stored_fields(base.pairs, storing, base.fields.get(b"connection")),
        born=storing.born,
        expires=storing.expires,
        kept_until=storing.kept_until,
        terms=storing.terms,
        tags=storing.tags,
        credentialed=storing.credentialed,
        route=route,
        selecting=storing.selecting,
        negotiates=negotiates,
        representations=representations,
        app_bytes=app_bytes,
    )
