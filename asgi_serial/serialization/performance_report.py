"""The performance report of a manager, as plain data."""

from collections.abc import Mapping
from typing import Any

from asgi_serial.serialization.profiler import Series, by_operation
from asgi_serial.serialization.recommendations import recommend

Snapshot = Mapping[tuple[str, str], Series]

# Operations that are parts of others, whose times include theirs.
PARTS = ("validation", "compression", "decompression")


def summarize(snapshot: Snapshot) -> dict[str, Any]:
    """Return the totals of all operations: their number, and total and average seconds."""
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
    """Return the report, with times in seconds and sizes in bytes.

    `operations` has a row for each operation, and `models` the same for each model. `validation`,
    `compression` and `decompression` are parts of other operations and not counted in the summary.
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
