"""Advice on limits that requests or stored responses have met."""

from collections.abc import Iterator, Mapping, Sequence

from asgi_serial.reasons import Reason
from asgi_serial.timing.advice.figures import ENOUGH, Limits, Recommendation, Route
from asgi_serial.timing.units import format_bytes

# The share of stored responses from which their eviction says that the memory is too small.
_MANY_EVICTIONS = 0.5
_NEARLY_FULL = 0.9
_MANY_REFUSED = 0.05


def advise_on_limits(
    routes: Sequence[Route], limits: Limits, engine: Mapping[str, object], overflowed: int
) -> Iterator[Recommendation]:
    """Advise on the memory of the cache, on refusals, and on the number of series."""
    yield from _by_evictions(routes, limits, engine)
    yield from _by_refusals(routes, limits)
    if overflowed >= ENOUGH:
        most = limits.get("max_series") or 1000
        yield Recommendation(
            f"{overflowed:,} requests found all {most:,} series taken and were counted together;"
            " raise max_series, or name the routes by their templates (route_resolver).",
            "",
            {"recorder.overflowed": overflowed},
            f"max_series={2 * most}",
        )


def _by_evictions(
    routes: Sequence[Route], limits: Limits, engine: Mapping[str, object]
) -> Iterator[Recommendation]:
    """Advise on a memory that drops what is asked for again: it is full, and hits are few."""
    evicted, stored, used, most = (
        _count_of(engine, name)
        for name in ("memory_evictions", "responses_stored", "memory_bytes", "memory_max_bytes")
    )
    hits, misses = (sum(route.series.cache[name] for route in routes) for name in ("hit", "miss"))
    if (
        evicted >= ENOUGH
        and evicted >= _MANY_EVICTIONS * stored
        and used >= _NEARLY_FULL * most
        and 0 < hits < misses
    ):
        yield Recommendation(
            f"the memory of {format_bytes(most)} is full, {evicted:,} responses were evicted for"
            f" {stored:,} that were stored, and {misses:,} look-ups missed for {hits:,} that hit;"
            " raise cache_memory.",
            "",
            {
                "engine.memory_evictions": evicted,
                "engine.responses_stored": stored,
                "engine.memory_bytes": used,
                "engine.memory_max_bytes": most,
                "totals.cache.hit": hits,
                "totals.cache.miss": misses,
            },
            Limits({"cache_memory": most}).raised("cache_memory"),
        )


def _count_of(engine: Mapping[str, object], name: str) -> int:
    value = engine.get(name)
    return value if isinstance(value, int) else 0


def _by_refusals(routes: Sequence[Route], limits: Limits) -> Iterator[Recommendation]:
    """Advise on refusals that are a noticeable share of all requests to where they were made."""
    refusals = {
        Reason.NOT_ACCEPTABLE: ("send those clients the app's own format", "format_strict=False"),
        Reason.UNSUPPORTED_CODING: (
            "have the clients use one of the codings that the response lists, or pass such bodies"
            " to the app",
            "decoding=False",
        ),
        Reason.BODY_TOO_LARGE: (
            "raise the limit that they meet, if they are not hostile",
            limits.raised("max_decoded"),
        ),
        Reason.BODY_TOO_SLOW: (
            "give slow clients more time",
            f"body_timeout={2 * (limits.get('body_timeout') or 60):g}",
        ),
        Reason.NO_ROOM_FOR_BODY: ("raise the memory for them", limits.raised("max_gathered")),
    }
    whole = sum(route.count for route in routes)
    for reason, (advice, line) in refusals.items():
        refused = sum(route.met(reason) for route in routes)
        if refused >= ENOUGH and refused >= _MANY_REFUSED * whole:
            yield Recommendation(
                f"{refused:,} of {whole:,} requests were refused, as {reason.cause}; {advice}.",
                "",
                {f"totals.reasons.{reason.token}": refused, "totals.count": whole},
                line,
            )
