"""Advice on the settings of a route, from its figures."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.timing.recorder import Series, SeriesKey

# A share of fewer requests says little.
_ENOUGH = 50
_FEW_HITS = 0.05
# A call of the app that takes longer is worth saving; a hit takes well under a millisecond.
_SLOW_NS = 5_000_000

_NOT_STORED = (
    Reason.STATUS_NOT_CACHED,
    Reason.NO_STORE,
    Reason.PRIVATE,
    Reason.NO_CACHE,
    Reason.SETS_COOKIE,
    Reason.VARIES_ON_EVERYTHING,
    Reason.VARIES_TOO_WIDELY,
    Reason.NO_FRESHNESS,
    Reason.ALREADY_STALE,
    Reason.INCOMPLETE,
    Reason.CLIENT_LEFT,
    Reason.OBJECT_TOO_LARGE,
)


class _Rule(NamedTuple):
    """Advice for a route if at least `share` of its requests have one reason."""

    reason: Reason
    share: float
    applies: Callable[[SeriesKey, Series], bool]
    advice: str


def _is_slow_read(key: SeriesKey, series: Series) -> bool:
    return (
        key.method in ("GET", "HEAD")
        and key.status == 200
        and not series.cache["hit"]
        and series.total.percentile(50) > _SLOW_NS
    )


def _always(key: SeriesKey, series: Series) -> bool:
    return True


_RULES = (
    _Rule(
        Reason.NO_FRESHNESS,
        0.5,
        _is_slow_read,
        "set cache_ttl for the route, or send max-age, to answer repeats from the cache",
    ),
    _Rule(
        Reason.SETS_COOKIE,
        0.5,
        _is_slow_read,
        "send the cookie only with responses that need it, so that the others can be stored",
    ),
    _Rule(
        Reason.REQUEST_HAS_CREDENTIALS,
        0.5,
        _is_slow_read,
        "send Cache-Control: public if the response is the same for every user",
    ),
    _Rule(
        Reason.VARIES_ON_EVERYTHING,
        0.5,
        _is_slow_read,
        "name in Vary the request fields that it depends on, so that it can be stored",
    ),
    _Rule(
        Reason.WOULD_NOT_SHRINK,
        0.5,
        _always,
        "set compression=False for the route to save the attempts",
    ),
    _Rule(
        Reason.ALREADY_ENCODED,
        0.5,
        _always,
        "remove the app's own compression, so that clients get all codings that they accept",
    ),
    _Rule(
        Reason.VALUE_NOT_CARRIED,
        0.1,
        _always,
        "clients that asked for another format got the app's; send such numbers as text",
    ),
    _Rule(
        Reason.OBJECT_TOO_LARGE,
        0.5,
        _is_slow_read,
        "raise cache_max_object, so that it can be stored",
    ),
)


def advise(series: Mapping[SeriesKey, Series]) -> list[str]:
    """Return a sentence for each change that the figures speak for, with the figures."""
    return [
        sentence
        for key, one in series.items()
        for sentence in (*_by_rules(key, one), *_by_hits(key, one))
    ]


def _by_rules(key: SeriesKey, series: Series) -> list[str]:
    count = series.total.count
    if count < _ENOUGH:
        return []
    return [
        f"{_name(key)}: {met:,} of {count:,} times {rule.reason.cause}"
        f" (p50 {series.total.percentile(50) / 1e6:.1f} ms); {rule.advice}."
        for rule in _RULES
        if (met := series.reasons.get(rule.reason.name, 0)) >= rule.share * count
        and rule.applies(key, series)
    ]


def _by_hits(key: SeriesKey, series: Series) -> list[str]:
    """Return advice if stored responses seldom answer a request."""
    hits, misses = series.cache["hit"], series.cache["miss"]
    # A response that is not stored misses each time, and has a reason of its own.
    stored = misses - sum(series.reasons.get(reason.name, 0) for reason in _NOT_STORED)
    if stored < _ENOUGH or hits >= _FEW_HITS * (hits + misses):
        return []
    return [
        f"{_name(key)}: only {hits:,} of {hits + misses:,} look-ups hit; set a longer cache_ttl,"
        " or raise cache_memory if memory_evictions grows."
    ]


def _name(key: SeriesKey) -> str:
    return f"{key.method} {key.route} {key.status or 'other'}"
