"""What the numbers of a route say about its settings."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.timing.recorder import Series, SeriesKey

# Below this many requests a share says little.
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
    """Advice for a route where one reason holds for at least `share` of the requests."""

    reason: Reason
    share: float
    applies: Callable[[SeriesKey, Series], bool]
    advice: str


def _is_slow_read(key: SeriesKey, series: Series) -> bool:
    return (
        key.method in ("GET", "HEAD")
        and key.status == 200
        and not series.outcomes["hit"]
        and series.total.percentile(50) > _SLOW_NS
    )


def _always(key: SeriesKey, series: Series) -> bool:
    return True


_RULES = (
    _Rule(
        Reason.NO_FRESHNESS,
        0.5,
        _is_slow_read,
        "a ttl for the route, or max-age from the app, would let repeats skip the app",
    ),
    _Rule(
        Reason.SETS_COOKIE,
        0.5,
        _is_slow_read,
        "if the cookie is not needed on every answer, leaving it out would let them be cached",
    ),
    _Rule(
        Reason.REQUEST_HAS_CREDENTIALS,
        0.5,
        _is_slow_read,
        "if the answer is the same for every user, Cache-Control: public would let it be shared",
    ),
    _Rule(
        Reason.VARIES_ON_EVERYTHING,
        0.5,
        _is_slow_read,
        "naming the fields it really varies on in Vary would let it be cached",
    ),
    _Rule(
        Reason.NOT_SMALLER,
        0.5,
        _always,
        "turning compression off for the route would save the attempts",
    ),
    _Rule(
        Reason.ALREADY_ENCODED,
        0.5,
        _always,
        "without the app's own compression one setting would govern all codings",
    ),
    _Rule(
        Reason.VALUE_NOT_CARRIED,
        0.1,
        _always,
        "clients that asked for another format got the app's; the app may send such numbers"
        " as text",
    ),
    _Rule(
        Reason.OBJECT_TOO_LARGE,
        0.5,
        _is_slow_read,
        "a greater limit on the size of a stored response would let it be cached",
    ),
)


def advise(series: Mapping[SeriesKey, Series]) -> list[str]:
    """One sentence for each setting that the numbers speak for, with the numbers; often none."""
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
    """Advice for a cache of responses that seldom answers what it stores."""
    hits, misses = series.outcomes["hit"], series.outcomes["miss"]
    # What is not stored is a miss for ever, and has a reason of its own.
    stored = misses - sum(series.reasons.get(reason.name, 0) for reason in _NOT_STORED)
    if stored < _ENOUGH or hits >= _FEW_HITS * (hits + misses):
        return []
    return [
        f"{_name(key)}: only {hits:,} of {hits + misses:,} look-ups hit; a longer ttl, or a larger"
        " cache if entries are evicted, would make more of them hits."
    ]


def _name(key: SeriesKey) -> str:
    return f"{key.method} {key.route} {key.status or 'other'}"
