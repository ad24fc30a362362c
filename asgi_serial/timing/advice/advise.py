"""The rules by which figures speak for a change, and all advice together."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.timing.advice.codings import advise_on_codings
from asgi_serial.timing.advice.figures import ENOUGH, Limits, Recommendation, Route
from asgi_serial.timing.advice.limits import advise_on_limits
from asgi_serial.timing.base import OUTCOMES
from asgi_serial.timing.recorder import Series, SeriesKey

_COMPLETED, _DISCONNECTED = OUTCOMES[0], "disconnected"
_READS = ("GET", "HEAD")
# A call of the app that takes longer is worth saving; a hit takes well under a millisecond.
_SLOW_NS = 5_000_000
# Stored responses that answer less often than this are not worth their memory.
_FEW_HITS = 0.2
_MANY_DISCONNECTS = 0.05

_NO_FRESHNESS, _CREDENTIALS = Reason.NO_FRESHNESS, Reason.REQUEST_HAS_CREDENTIALS


class _Rule(NamedTuple):
    """Advice for a route if at least `share` of its requests have one reason."""

    reason: Reason
    share: float
    applies: Callable[[Route], bool]
    advice: str
    line: Callable[[Route], str]


def _is_slow_read(route: Route) -> bool:
    return (
        route.key.method in _READS
        and route.key.status == 200
        and not route.series.cache["hit"]
        and route.series.total.percentile(50) > _SLOW_NS
    )


def _is_slow_and_same_for_all(route: Route) -> bool:
    """Whether a lifetime would do: most requests without one have no credentials either."""
    return _is_slow_read(route) and not route.has(_CREDENTIALS, 0.5)


def _is_mostly_made(route: Route) -> bool:
    """Whether most responses are made anew: what is stored is compressed once."""
    return route.series.cache["hit"] + route.series.encodings["hit"] < 0.5 * route.count


def _always(route: Route) -> bool:
    return True


def _policy(**options: object) -> Callable[[Route], str]:
    return lambda route: route.policy(**options)


def _text(line: str) -> Callable[[Route], str]:
    return lambda route: line


_RULES = (
    _Rule(
        Reason.NO_FRESHNESS,
        0.5,
        _is_slow_and_same_for_all,
        "set cache_ttl for the route, or send max-age, to answer repeats from the cache",
        _policy(cache_ttl="60s"),
    ),
    _Rule(
        Reason.REQUEST_HAS_CREDENTIALS,
        0.5,
        _is_slow_read,
        "send Cache-Control: public if the response is the same for every user, or set"
        " cache_partition to what tells them apart",
        _text("Cache-Control: public, max-age=60"),
    ),
    _Rule(
        Reason.PRIVATE,
        0.5,
        _is_slow_read,
        "give each user a cache of their own, by what tells them apart",
        _policy(cache_partition="cookie:session"),
    ),
    _Rule(
        Reason.POLICY_NOT_HEARD,
        0.5,
        _is_slow_read,
        "permit it by the path instead",
        _policy(cache_ttl="60s"),
    ),
    _Rule(
        Reason.REQUEST_HAS_UNKNOWN_FIELD,
        0.5,
        _is_slow_read,
        "name the field that Cache-Status shows, if no response depends on it",
        _text('cache_ignore_fields="X-Client-Version"'),
    ),
    _Rule(
        Reason.REQUEST_HAS_UNKEYED_FIELD,
        0.5,
        _is_slow_read,
        "name the field that Cache-Status shows, so that it becomes part of the key",
        _text('cache_key_fields="X-Forwarded-Host"'),
    ),
    _Rule(
        Reason.SETS_COOKIE,
        0.5,
        _is_slow_read,
        "send the cookie only with responses that need it, so that the others can be stored",
        _text("if is_new_session: response.set_cookie(...)"),
    ),
    _Rule(
        Reason.VARIES_ON_EVERYTHING,
        0.5,
        _is_slow_read,
        "name in Vary the request fields that it depends on, so that it can be stored",
        _text("Vary: Accept-Language"),
    ),
    _Rule(
        Reason.MALFORMED_CACHE_CONTROL,
        0.5,
        _always,
        "separate the directives with commas",
        _text("Cache-Control: private, max-age=0"),
    ),
    _Rule(
        Reason.OBJECT_TOO_LARGE,
        0.5,
        _is_slow_read,
        "raise cache_max_object, so that it can be stored",
        lambda route: route.limits.raised(
            "cache_max_object", 2 * route.series.app_bytes // route.count
        ),
    ),
    _Rule(
        Reason.EVENT_STREAM,
        0.5,
        _always,
        "turn the cache off for the route, so that no request waits for another's",
        _policy(cache=False),
    ),
    _Rule(
        Reason.BODY_NOT_WHOLE,
        0.5,
        _always,
        "send the length with the start of the response, or raise format_max_size, so that the body"
        " can be translated",
        lambda route: route.limits.raised(
            "format_max_size", 2 * route.series.app_bytes // route.count
        ),
    ),
    _Rule(
        Reason.WOULD_NOT_SHRINK,
        0.5,
        _is_mostly_made,
        "set compression=False for the route to save the attempts",
        _policy(compression=False),
    ),
    _Rule(
        Reason.ALREADY_ENCODED,
        0.5,
        _always,
        "remove the app's own compression, so that clients get all codings that they accept",
        _text("# remove: app.add_middleware(GZipMiddleware)"),
    ),
    _Rule(
        Reason.VALUE_NOT_CARRIED,
        0.1,
        _always,
        "clients that asked for another format got the app's; send such numbers as text",
        _text('"id": str(id)'),
    ),
)


def advise(
    series: Mapping[SeriesKey, Series],
    *,
    engine: Mapping[str, object] | None = None,
    settings: Mapping[str, object] | None = None,
    overflowed: int = 0,
) -> list[Recommendation]:
    """Return a recommendation for each change that the figures prove to be worth it.

    `engine` has the state of the caches, `settings` the values of those settings on which a line
    depends, `overflowed` the number of requests that found no series of their own.
    """
    limits = Limits(settings or {})
    routes = [Route(key, one, limits) for key, one in series.items()]
    enough = [route for route in routes if route.count >= ENOUGH]
    completed = [route for route in enough if route.key.outcome == _COMPLETED]
    made: list[Recommendation] = []
    for route in completed:
        made += _by_rules(route)
        made += _by_hits(route)
        made += advise_on_codings(route)
    made += _by_disconnects(routes)
    made += advise_on_limits(routes, limits, engine or {}, overflowed)
    return made


def _by_rules(route: Route) -> Iterator[Recommendation]:
    for rule in _RULES:
        if route.has(rule.reason, rule.share) and rule.applies(route):
            met, p50_ms = route.met(rule.reason), route.series.total.percentile(50) / 1e6
            yield Recommendation(
                f"{route.name}: {met:,} of {route.count:,} times {rule.reason.cause}"
                f" (p50 {p50_ms:.1f} ms); {rule.advice}.",
                route.key.route,
                {
                    f"reasons.{rule.reason.token}": met,
                    "count": route.count,
                    "last_byte_ms.p50": round(p50_ms, 1),
                },
                rule.line(route),
            )


def _by_hits(route: Route) -> Iterator[Recommendation]:
    """Advise on stored responses that seldom answer, if the reasons for the misses say why."""
    hits, met = route.series.cache["hit"], route.met
    stale, others = met(Reason.STALE), met(Reason.VARY_MISS)
    looked_up = hits + route.series.cache["miss"] + route.series.cache["validated"]
    if hits >= _FEW_HITS * looked_up:
        return
    counters = {"cache.hit": hits, "cache.miss": route.series.cache["miss"]}
    # A response that is not stored cannot be found stale, nor stored for others.
    if stale >= 0.5 * looked_up:
        yield Recommendation(
            f"{route.name}: only {hits:,} of {looked_up:,} look-ups hit, and {stale:,} found a"
            " response that was stale; give it a longer lifetime in this cache.",
            route.key.route,
            {**counters, "reasons.stale": stale},
            "Asgi-Serial-Cache-Control: max-age=600",
        )
    if others >= 0.5 * looked_up:
        yield Recommendation(
            f"{route.name}: only {hits:,} of {looked_up:,} look-ups hit, and {others:,} found"
            " responses for other values of the fields in Vary; name only those on which the"
            " response depends.",
            route.key.route,
            {**counters, "reasons.vary-miss": others},
            "Vary: Accept-Language",
        )


def _by_disconnects(routes: list[Route]) -> Iterator[Recommendation]:
    """Advise on routes whose clients often leave before they have the response."""
    whole: dict[tuple[str, str], list[Route]] = {}
    for route in routes:
        whole.setdefault((route.key.route, route.key.method), []).append(route)
    for (path, method), parts in whole.items():
        left = [route for route in parts if route.key.outcome == _DISCONNECTED]
        count, all_of_them = (sum(route.count for route in group) for group in (left, parts))
        if count < ENOUGH or count < _MANY_DISCONNECTS * all_of_them:
            continue
        most = max(left, key=lambda route: route.count)
        p50_ms = most.series.total.percentile(50) / 1e6
        yield Recommendation(
            f"{method} {path}: {count:,} of {all_of_them:,} clients left before they had the"
            f" response (half of them within {p50_ms:,.0f} ms); log the slow requests to see what"
            " they waited for.",
            path,
            {
                "outcome.disconnected": count,
                "count": all_of_them,
                "last_byte_ms.p50": round(p50_ms, 1),
            },
            f"slow_request_ms={int(float(f'{max(1, p50_ms):.2g}'))}",
        )
