"""Decide whether a response may be stored, for whom, and for how long it stays fresh."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.cache.entry import UNKNOWN_FIELDS, Terms
from asgi_serial.cache.purges import MAX_TAG_BYTES, MAX_TAGS
from asgi_serial.caching.stored_posts import plan_get_after_post
from asgi_serial.engine.profiles import BODY_METHODS
from asgi_serial.http.field_names import CREDENTIAL_FIELDS
from asgi_serial.http.freshness import (
    MISSING_STATUSES,
    freshness_lifetime,
    heuristic_lifetime,
    initial_age,
    missing_lifetime,
)
from asgi_serial.http.headers import content_length
from asgi_serial.http.parts import why_not_a_part
from asgi_serial.http.request_fields import NOT_STRANGE
from asgi_serial.http.storability import (
    CACHED_METHODS,
    StorageFacts,
    may_omit_cookies,
    read_storage_rules,
    why_not_usable,
    why_strange,
)
from asgi_serial.http.validators import parse_entity_tag
from asgi_serial.reasons import Reason
from asgi_serial.request.plan import METHOD_NOT_CACHED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.storability import StorageRules
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.settings.policy import RoutePolicy
    from asgi_serial.types import Fields

# The credentials of requests that an entry may answer. Every entry has one of these eight; each
# set of its own would take 200 bytes.
_SETS = {
    (frozenset(names), for_unknown): frozenset((*names, UNKNOWN_FIELDS) if for_unknown else names)
    for count in range(3)
    for names in combinations(sorted(CREDENTIAL_FIELDS), count)
    for for_unknown in (False, True)
}

_KEYED_BY_BODY = CACHED_METHODS | BODY_METHODS
_CONFIRMED_STATUSES = frozenset({200, 203})
_VALIDATORS = frozenset({b"etag", b"last-modified"})

# Bound once: an enum member looked up through its class costs many times a module's own name.
_NO_FRESHNESS, _TURNED_OFF = Reason.NO_FRESHNESS, Reason.CACHE_TURNED_OFF


class StoreDecision(NamedTuple):
    """The decision to store a response; times in epoch seconds."""

    key: Key
    generated_at: float
    expires: float
    stored_until: float
    terms: Terms
    credentialed: frozenset[bytes]  # the credentials of requests that it may answer
    vary_values: tuple[tuple[bytes, bytes | None], ...]
    unstored: frozenset[bytes]  # the names of its fields that are not stored
    tags: tuple[bytes, ...] = ()


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
        if b"set-cookie" in fields:
            return Reason.SETS_COOKIE  # as a login does
        request = get
    elif status == 206 and settings.cache_parts:
        why = why_not_a_part(
            request.method, request.fields, fields, validates=request.forward.validates
        )
        if why is not None:
            return why
        # RFC 9110, 15.3.7: a 206 has the fields that a 200 to the same request would have had.
        status, is_part = 200, True
    why = why_not_considered(engine, request, status, fields)
    if why is not None:
        return why
    if request.differs_from_key:
        return METHOD_NOT_CACHED  # a POST that was not known to be cached
    rules = _read_rules(engine, request, status, fields, method or request.method)
    if isinstance(rules, Reason):
        return rules
    return _decide_use(engine, request, status, fields, rules, is_part=is_part)


def why_not_considered(
    engine: Engine, request: RequestPlan, status: int, fields: Mapping[bytes, bytes]
) -> Reason | None:
    """Return the reason not to store a response, as far as no field value has to be parsed.

    This ends the matter for most responses: they state no freshness and are granted none.
    """
    if request.bypass is not None:
        return request.bypass
    policy = request.policy
    if policy is not None and policy.cache is False:
        return _TURNED_OFF
    if (
        engine.fields.freshness.isdisjoint(fields)
        and granted_lifetime(engine, request, status) is None
        and not may_guess_lifetime(engine, request)
    ):
        return _NO_FRESHNESS
    return None


def _read_rules(
    engine: Engine,
    request: RequestPlan,
    status: int,
    fields: Mapping[bytes, bytes],
    method: str,
) -> StorageRules | Reason:
    """Return the rules for storing a response, or the reason why nobody may store it."""
    if request.key is None:
        return Reason.REQUEST_HAS_BODY
    length = content_length(fields)
    if length is not None and length > engine.settings.cache_max_object:
        return Reason.OBJECT_TOO_LARGE
    policy = request.policy
    # A path may take writes beside what its handler has asked to be cached.
    methods = _KEYED_BY_BODY if policy is not None and policy.cache_body else CACHED_METHODS
    # A response to HEAD has no body for a GET.
    if method == "HEAD" or method not in methods:
        return METHOD_NOT_CACHED
    rules = find_storage_rules(
        engine,
        status,
        fields,
        is_private=bool(request.user.partition),
        explicitly_shared=policy is not None and bool(policy.cache_shared),
    )
    return rules if rules.forbidden is None else rules.forbidden


def find_storage_rules(
    engine: Engine,
    status: int,
    fields: Mapping[bytes, bytes],
    *,
    is_private: bool,
    explicitly_shared: bool,
) -> StorageRules:
    """Return the rules for storing a response, read once for all responses that are alike.

    `is_private` says that the cache is one user's, `explicitly_shared` that a setting of the
    route allows one response for all users.
    """
    value, known = fields.get, engine.fields.storage_rules
    facts = StorageFacts(
        status,
        value(b"vary", b""),
        value(b"connection"),
        b"set-cookie" in fields and not engine.fields.omits_cookies,
        b"expires" in fields,
        is_private,
        explicitly_shared,
    )
    key = (facts, value(b"cache-control"), *map(value, engine.fields.targets))
    rules = known.get(key)
    if rules is None:
        directives = engine.fields.read_directives(fields)
        rules = read_storage_rules(facts, directives, engine.stale_options)
        known.keep(key, rules)
    return rules


def _decide_use(
    engine: Engine,
    request: RequestPlan,
    status: int,
    fields: Mapping[bytes, bytes],
    rules: StorageRules,
    *,
    is_part: bool,
) -> StoreDecision | Reason:
    """Decide until when, and for whom, a response is of use that nothing forbids to store."""
    assert request.key is not None  # without it nothing is stored
    now, settings = engine.clock(), engine.settings
    # RFC 9111, 4.2.1: the lifetime is that of s-maxage or max-age, else that of Expires.
    stated, is_shared = rules.lifetime, not request.user.partition
    if stated is None and b"expires" in fields:
        stated = freshness_lifetime(rules.directives, fields, now=now, shared=is_shared)
    if b"set-cookie" in fields and not may_omit_cookies(
        request.method,
        has_credentials=bool(request.user.credentials) and not _is_shared(request.policy),
        is_private=not is_shared,
        is_meant=stated is not None or rules.is_shared or _has_lifetime_of_route(request),
    ):
        return Reason.SETS_COOKIE
    lifetime = granted_lifetime(engine, request, status) if stated is None else stated
    if lifetime is None and may_guess_lifetime(engine, request):
        lifetime = heuristic_lifetime(fields, status, rules.directives, now=now)
    age = _read_age(request, fields, now)
    is_fresh = not rules.no_cache and lifetime is not None and lifetime > age
    credentials = rules.fresh_credentials if is_fresh else rules.stale_credentials
    if not request.user.credentials <= credentials:
        return Reason.REQUEST_HAS_CREDENTIALS
    terms = _read_terms(engine, request.key, status, fields, rules)
    stale_seconds = rules.stale_seconds
    # A response that is not fresh is stored for validation only where a setting asks for it: an
    # app may know its users by something that no cache sees, and then the validators of one user
    # may be those of another.
    if terms.has_validator and (is_fresh or settings.cache_confirm):
        stale_seconds = max(stale_seconds, settings.cache_keep_stale)
    if not is_fresh:
        # The app is not asked to confirm a part: it is of use only while it is fresh.
        why = why_not_usable(rules, lifetime, age, 0.0 if is_part else stale_seconds)
        if why is not None:
            return why
    # The app may know who asks by a field that nobody knows. If it states no lifetime, it has not
    # said that the response is for others.
    for_unknown, strange = rules.is_shared or stated is not None, request.profile.strange
    if strange is not NOT_STRANGE:
        unknown, twins = request.user.unknown, strange.twins
        why = why_strange(unknown, twins, rules.vary, allows_unknown=for_unknown)
        if why is not None:
            return why
    tags = parse_tags(fields, engine.fields.tags)
    if tags is None:
        return Reason.TOO_MANY_TAGS
    generated_at = now - age
    # What is validated before each use is never fresh, whatever the clocks of other hosts say.
    expires = 0.0 if rules.no_cache else generated_at + (lifetime or 0.0)
    return StoreDecision(
        request.key,
        generated_at,
        expires,
        max(generated_at, expires) + stale_seconds,
        terms,
        _SETS[credentials, for_unknown],
        request.vary_values(_names_to_compare(request, fields, rules.vary)),
        rules.unstored,
        tags,
    )


def strip_fields(
    strips: Mapping[bytes, bool], decision: StoreDecision, pairs: Fields
) -> StoreDecision:
    """Return the decision without the fields among these that the settings strip."""
    stripped = [name for name, _ in pairs if strips[name]]
    return decision._replace(unstored=decision.unstored.union(stripped))


def _is_shared(policy: RoutePolicy | None) -> bool:
    return policy is not None and bool(policy.cache_shared)


def _has_lifetime_of_route(request: RequestPlan) -> bool:
    """Whether the request's own route gives a lifetime, rather than the settings of all routes."""
    policies = request.path_policy, *request.own_policies
    return any(policy is not None and policy.cache_ttl is not None for policy in policies)


def _read_age(request: RequestPlan, fields: Mapping[bytes, bytes], now: float) -> float:
    """Return the age of the response when it comes."""
    # RFC 9111, 4.2.3: without Age and Date, the initial age is the response_delay.
    if b"age" not in fields and b"date" not in fields:
        return max(0.0, now - request.asked)
    return initial_age(
        fields.get(b"age"), fields.get(b"date"), request_time=request.asked, response_time=now
    )


def _names_to_compare(
    request: RequestPlan, fields: Mapping[bytes, bytes], names: tuple[bytes, ...]
) -> tuple[bytes, ...]:
    """Return the names in Vary by whose values the stored response is selected."""
    # The app was shown no Accept-Encoding (see `scope_for_app`), so that its response cannot
    # depend on it, and is encoded here for each client. A response that is encoded already serves
    # only clients that have sent the same field.
    was_shown = b"accept-encoding" in request.profile.places and not request.wants.hides_codings
    if b"accept-encoding" not in names or was_shown or b"content-encoding" in fields:
        return names
    return tuple([name for name in names if name != b"accept-encoding"])


def granted_lifetime(engine: Engine, request: RequestPlan, status: int) -> float | None:
    """Return the lifetime, in seconds, that the settings give a response which states none.

    Source: RFC 9110, 9.3.3: a response to POST is cached only with explicit freshness information.
    """
    # The settings of all routes say nothing of one that also takes writes, as GraphQL does: a
    # mutation that is sent twice would run once. The lifetime of the POST's own route is explicit.
    if request.method == "POST" and not _has_lifetime_of_route(request):
        return None
    settings, policy = engine.settings, request.policy
    if status >= 400 and settings.cache_negative_ttl is not None:
        return settings.cache_negative_ttl
    ttl = settings.cache_ttl
    if policy is not None and policy.cache_ttl is not None:
        ttl = policy.cache_ttl
    return ttl if ttl is None or status not in MISSING_STATUSES else missing_lifetime(ttl)


def _read_terms(
    engine: Engine, key: Key, status: int, fields: Mapping[bytes, bytes], rules: StorageRules
) -> Terms:
    """Return what the response says of its use beyond its freshness."""
    directives = rules.directives
    has_tag = has_date = False
    # RFC 9110, 15.4.5: a 304 says that the answer would have been a 200.
    if status in _CONFIRMED_STATUSES and not _VALIDATORS.isdisjoint(fields):
        learned, unstored = engine.learned, rules.unstored
        is_asked = not (learned.has_unconditional and learned.ignores_conditions(key))
        has_date = is_asked and b"last-modified" in fields and b"last-modified" not in unstored
        has_tag = (
            is_asked
            and b"etag" not in unstored
            and parse_entity_tag(fields.get(b"etag", b"")) is not None
        )
    return Terms(
        no_cache=rules.no_cache,
        must_revalidate=rules.must_revalidate,
        immutable=directives.immutable,
        has_validator=has_tag or has_date,
        has_tag=has_tag,
        stale_while_revalidate=directives.stale_while_revalidate,
        stale_if_error=directives.stale_if_error,
    )


def may_guess_lifetime(engine: Engine, request: RequestPlan) -> bool:
    """Whether a lifetime may be estimated for a response to which nothing gives one."""
    # RFC 9110, 9.3.3: a guess is no explicit freshness information.
    return engine.settings.cache_heuristic and request.method != "POST"


def may_grant_lifetime(engine: Engine, request: RequestPlan) -> bool:
    """Whether a response to this request may be stored though it states no freshness itself."""
    policy = request.policy
    if request.method == "POST":  # as `granted_lifetime` says; its handler has not run yet
        return policy is not None and policy.cache_ttl is not None
    return granted_lifetime(engine, request, 200) is not None or engine.settings.cache_heuristic


def parse_tags(fields: Mapping[bytes, bytes], names: Iterable[bytes]) -> tuple[bytes, ...] | None:
    """Return the tags in a response's fields of these names; None if they are too many or too long.

    Tags in Surrogate-Key are separated by white space, those in other fields by commas. They are
    case-sensitive. A response must not be stored without all of its tags, since it could not be
    purged by them.
    """
    tags: dict[bytes, None] = {}
    for name in names:
        value = fields.get(name, b"")
        if name == b"surrogate-key":
            # Several lines were joined by a comma and a space.
            found = value.replace(b", ", b" ").split()
        else:
            found = [tag for part in value.split(b",") if (tag := part.strip())]
        tags.update(dict.fromkeys(found))
    if len(tags) > MAX_TAGS or any(len(tag) > MAX_TAG_BYTES for tag in tags):
        return None
    return tuple(tags)
