"""What operations cost, and what compression makes of documents, by operation and model."""

import logging
from collections.abc import Mapping
from threading import Lock
from time import perf_counter_ns
from typing import Any

from asgi_serial.timing.histogram import Histogram

_logger = logging.getLogger("asgi_serial")
_QUIET_NS = 30_000_000_000

OTHER = "(other)"
# As many models and operations as a large application has; the rest is counted together.
_MAX_SERIES = 1_000
# Measurements wait in one flat list and are counted together, at half of what each alone costs:
# with 64 at once writing a small model takes 3.7 times what Pydantic takes, with 256 it is 2.9. A
# list takes 28 KB at the most.
_WIDTH = 3
FULL = 256 * _WIDTH


class Series:
    """One operation on one model: durations, and bytes before and after."""

    __slots__ = (
        "_lock",
        "document_bytes",
        "histogram",
        "max_ns",
        "min_ns",
        "payload_bytes",
        "waiting",
    )

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.min_ns = self.max_ns = 0
        self.document_bytes = self.payload_bytes = 0
        self.waiting: list[int] = []
        """Durations in ns, bytes of the document and of the payload, one after the other."""
        self._lock = Lock()

    def record(self, duration_ns: int, document_bytes: int = 0, payload_bytes: int = 0) -> None:
        """Take one operation in; threads may do so at once."""
        self.waiting += (duration_ns, document_bytes, payload_bytes)
        if len(self.waiting) >= FULL:
            self.count()

    def count(self) -> None:
        """Count what waits."""
        with self._lock:
            size = len(self.waiting) // _WIDTH * _WIDTH
            taken = self.waiting[:size]
            del self.waiting[:size]
            durations = taken[::_WIDTH]
            if not durations:
                return
            shortest = min(durations)
            self.min_ns = min(self.min_ns, shortest) if self.histogram.count else shortest
            self.max_ns = max(self.max_ns, *durations)
            self.document_bytes += sum(taken[1::_WIDTH])
            self.payload_bytes += sum(taken[2::_WIDTH])
            self.histogram.add(durations)

    def merge(self, other: "Series") -> None:
        """Add what `other` has counted."""
        if other.histogram.count:
            is_first = not self.histogram.count
            self.min_ns = other.min_ns if is_first else min(self.min_ns, other.min_ns)
            self.max_ns = max(self.max_ns, other.max_ns)
        self.histogram.merge(other.histogram)
        self.document_bytes += other.document_bytes
        self.payload_bytes += other.payload_bytes

    def summary(self) -> dict[str, Any]:
        """Counts, seconds and bytes as plain data; zeros where nothing was counted."""
        count, total_ns = self.histogram.count, self.histogram.sum_ns
        p50, p95, p99 = self.histogram.percentiles((50, 95, 99))
        return {
            "count": count,
            "total_time": total_ns / 1e9,
            "avg_time": total_ns / count / 1e9 if count else 0.0,
            "min_time": self.min_ns / 1e9,
            "max_time": self.max_ns / 1e9,
            # Percentiles are the middles of their buckets.
            "p50": min(p50, self.max_ns) / 1e9,
            "p95": min(p95, self.max_ns) / 1e9,
            "p99": min(p99, self.max_ns) / 1e9,
            "document_bytes": self.document_bytes,
            "payload_bytes": self.payload_bytes,
        }


class SerializationProfiler:
    """Series by operation and model, in bounded memory."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}
        self._quiet_until: dict[str, int] = {}

    def series(self, operation: str, model: str) -> Series:
        """The series of an operation (`serialize.json`) on a model."""
        key = (operation, model)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= _MAX_SERIES:
                key = (operation, OTHER)
            found = self._series.setdefault(key, Series())
        return found

    def snapshot(self) -> dict[tuple[str, str], Series]:
        """A copy of all series that have counted anything."""
        copies = {}
        for key, series in self._series.copy().items():
            series.count()
            copy = copies[key] = Series()
            copy.merge(series)
        return {key: copy for key, copy in copies.items() if copy.histogram.count}

    def clear(self) -> None:
        """Forget all that was measured; for managers made afterwards, or configured anew."""
        for series in self._series.values():
            series.count()
        self._series.clear()

    def log_slow(self, operation: str, model: str, duration_ns: int) -> None:
        """Log an operation that took long: a warning twice a minute, the rest at DEBUG."""
        now = perf_counter_ns()
        level = logging.DEBUG
        if now >= self._quiet_until.get(operation, 0):
            self._quiet_until[operation] = now + _QUIET_NS
            level = logging.WARNING
        _logger.log(level, "%s of %s took %.3f ms.", operation, model, duration_ns / 1e6)


def by_operation(snapshot: Mapping[tuple[str, str], Series]) -> dict[str, Series]:
    """The series of all models together, by operation."""
    together: dict[str, Series] = {}
    for (operation, _), series in snapshot.items():
        together.setdefault(operation, Series()).merge(series)
    return together
