"""What a manager has measured, as plain data."""

from collections.abc import Mapping
from typing import Any

from asgi_serial.serialization.profiler import Series, by_operation
from asgi_serial.serialization.recommendations import recommend

Snapshot = Mapping[tuple[str, str], Series]

# Parts of the operations beside them, which count as one with them.
PARTS = ("validation", "compression", "decompression")


def summarize(snapshot: Snapshot) -> dict[str, Any]:
    """The totals of all whole operations: count, seconds together and on average."""
    whole = Series()
    for (operation, _), series in snapshot.items():
        if not operation.startswith(PARTS):
            whole.merge(series)
    found = whole.summary()
    return {
        "total_operations": found["count"],
        "total_time": found["total_time"],
        "avg_time": found["avg_time"],
        **{name: found[name] for name in ("p50", "p95", "p99")},
    }


def build_report(
    snapshot: Snapshot, *, cache: Mapping[str, Any], level: int, events: Mapping[str, int]
) -> dict[str, Any]:
    """The report: times in seconds, sizes in bytes.

    `operations` has a row for each operation, `models` the same by model; `validation`,
    `compression` and `decompression` are parts of the operations, and not in the summary.
    """
    models: dict[str, dict[str, Any]] = {}
    for (operation, model), series in snapshot.items():
        models.setdefault(model, {})[operation] = series.summary()
    return {
        "summary": summarize(snapshot),
        "operations": {
            name: series.summary() for name, series in sorted(by_operation(snapshot).items())
        },
        "models": models,
        "events": dict(events),
        "recommendations": recommend(snapshot, cache=cache, level=level),
    }
