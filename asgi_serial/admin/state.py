"""The report of an engine: what it has recorded, and the state of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.relay import RelayRecorder
from asgi_serial.timing.report import build_report

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.timing.report import Report


def engine_report(engine: Engine) -> Report:
    """Return the report of an engine, including the state of its caches.

    It may run in a thread while requests are recorded.
    """
    return build_report(
        engine.series or SeriesRecorder(), engine=engine_statistics(engine), gauges=engine.gauges
    )


def engine_statistics(engine: Engine) -> dict[str, Any]:
    """Return the state of the caches, and the number of failures to find a request's route."""
    memory, responses, encodings = engine.memory, engine.responses, engine.encodings
    statistics: dict[str, Any] = {
        "memory_entries": len(memory),
        "memory_bytes": memory.size_bytes,
        "memory_max_bytes": memory.max_bytes,
        "memory_evictions": memory.evictions,
        "responses_stored": responses.stored,
        "route_resolver_failures": getattr(engine.resolver, "failures", 0),
    }
    if isinstance(engine.recorder, RelayRecorder):
        statistics["recorder_failures"] = engine.recorder.failures
    if encodings is not None:
        statistics["encodings_hits"] = encodings.hits
        statistics["encodings_misses"] = encodings.misses
    if responses.store is not None:
        statistics["store_writes_dropped"] = responses.writes_dropped
        for name, count in responses.store.statistics().items():
            statistics[f"store_{name}"] = count
    return statistics
