"""Measure the durations and sizes of operations, by operation and model."""

import logging
from collections.abc import Mapping
from threading import Lock
from time import perf_counter_ns
from typing import Any, NamedTuple

from asgi_serial.timing.histogram import Histogram, pack_durations

_logger = logging.getLogger("asgi_serial")
_QUIET_NS = 30_000_000_000

OTHER = "(other)"
# Enough for the models and operations of a large application; further ones share one series.
_MAX_SERIES = 1_000
# Measurements are collected in a flat list and counted in batches, at half the cost of counting
# each alone: with batches of 64, writing a small model takes 3.7 times as long as Pydantic alone,
# with 256 it takes 2.9 times. A list takes at most 28 KB.
FULL = 256 * 3
"""The number of integers in a full list."""


class _Batch(NamedTuple):
    """Measurements that are counted together."""

    shortest: int
    longest: int
    durations: tuple[bytes, int]
    document_bytes: int


class Series:
    """The durations and sizes of one operation on one model."""

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
        """Durations in ns, document bytes and payload bytes, in turn."""
        self._lock = Lock()

    def record(self, duration_ns: int, document_bytes: int = 0, payload_bytes: int = 0) -> None:
        """Record one operation; thread-safe."""
        self.waiting += (duration_ns, document_bytes, payload_bytes)
        if len(self.waiting) >= FULL:
            self.count()

    def count(self) -> None:
        """Count the waiting measurements."""
        with self._lock:
            taken = _take(self.waiting)
            if taken:
                self._add(_batch(taken[::3], taken[1::3]))
                self.payload_bytes += sum(taken[2::3])

    def add(self, batch: _Batch) -> None:
        """Count a batch; thread-safe."""
        with self._lock:
            self._add(batch)

    def _add(self, batch: _Batch) -> None:
        is_first = not self.histogram.count
        self.min_ns = batch.shortest if is_first else min(self.min_ns, batch.shortest)
        self.max_ns = max(self.max_ns, batch.longest)
        self.document_bytes += batch.document_bytes
        self.histogram.add_packed(*batch.durations)

    def merge(self, other: "Series") -> None:
        """Add the counts of another series."""
        if other.histogram.count:
            is_first = not self.histogram.count
            self.min_ns = other.min_ns if is_first else min(self.min_ns, other.min_ns)
            self.max_ns = max(self.max_ns, other.max_ns)
        self.histogram.merge(other.histogram)
        self.document_bytes += other.document_bytes
        self.payload_bytes += other.payload_bytes

    def summary(self) -> dict[str, Any]:
        """Return counts, seconds and bytes as plain data; zeros if nothing was counted."""
        count, total_ns = self.histogram.count, self.histogram.sum_ns
        p50, p95, p99 = self.histogram.percentiles((50, 95, 99))
        return {
            "count": count,
            "total_time": total_ns / 1e9,
            "avg_time": total_ns / count / 1e9 if count else 0.0,
            "min_time": self.min_ns / 1e9,
            "max_time": self.max_ns / 1e9,
            # A percentile is the middle of its bucket, which may lie above the maximum.
            "p50": min(p50, self.max_ns) / 1e9,
            "p95": min(p95, self.max_ns) / 1e9,
            "p99": min(p99, self.max_ns) / 1e9,
            "document_bytes": self.document_bytes,
            "payload_bytes": self.payload_bytes,
        }


class ReadSeries:
    """The measurements of reading one model, which includes its validation.

    Without decompression, reading is validation, and one measurement counts for both.
    """

    __slots__ = ("_lock", "_opened", "_reading", "_validation", "waiting")

    def __init__(self, reading: Series, validation: Series) -> None:
        self._reading = reading
        self._validation = validation
        self.waiting: list[int] = []
        """Durations in ns and document bytes, in turn."""
        self._opened: list[int] = []
        self._lock = Lock()

    def record_opened(self, duration_ns: int, document_bytes: int, validation_ns: int) -> None:
        """Record the reading of a document that was decompressed first; thread-safe."""
        self._opened += (duration_ns, document_bytes, validation_ns)
        if len(self._opened) >= FULL:
            self.count()

    def count(self) -> None:
        """Count the waiting measurements."""
        with self._lock:
            taken, opened = _take(self.waiting), _take(self._opened)
        if taken:
            batch = _batch(taken[::2], taken[1::2])
            self._reading.add(batch)
            self._validation.add(batch)
        if opened:
            self._reading.add(_batch(opened[::3], opened[1::3]))
            self._validation.add(_batch(opened[2::3], opened[1::3]))


class SerializationProfiler:
    """Series by operation and model, in bounded memory."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}
        self._reads: dict[Series, ReadSeries] = {}
        self._quiet_until: dict[str, int] = {}

    def series(self, operation: str, model: str) -> Series:
        """Return the series of an operation (`serialize.json`) on a model."""
        key = (operation, model)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= _MAX_SERIES:
                key = (operation, OTHER)
            found = self._series.setdefault(key, Series())
        return found

    def read_series(self, operation: str, model: str) -> ReadSeries:
        """Return the series of an operation that reads (`deserialize.json`) on a model."""
        validation, reading = self.series("validation", model), self.series(operation, model)
        return self._reads.setdefault(reading, ReadSeries(reading, validation))

    def snapshot(self) -> dict[tuple[str, str], Series]:
        """Return copies of all series that have measurements."""
        copies = {}
        self._count()
        for key, series in self._series.copy().items():
            copy = copies[key] = Series()
            copy.merge(series)
        return {key: copy for key, copy in copies.items() if copy.histogram.count}

    def clear(self) -> None:
        """Remove all measurements; managers that are running keep their series until configured."""
        self._count()
        self._series.clear()
        self._reads.clear()

    def _count(self) -> None:
        for reads in self._reads.copy().values():
            reads.count()
        for series in self._series.copy().values():
            series.count()

    def log_slow(self, operation: str, model: str, duration_ns: int) -> None:
        """Log a slow operation: as a warning at most every 30 seconds, otherwise at DEBUG."""
        now = perf_counter_ns()
        level = logging.DEBUG
        if now >= self._quiet_until.get(operation, 0):
            self._quiet_until[operation] = now + _QUIET_NS
            level = logging.WARNING
        _logger.log(level, "%s of %s took %.3f ms.", operation, model, duration_ns / 1e6)


def _batch(durations: list[int], document_bytes: list[int]) -> _Batch:
    packed, size = pack_durations(durations), sum(document_bytes)
    return _Batch(min(durations), max(durations), packed, size)


def _take(waiting: list[int]) -> list[int]:
    """Remove all measurements from a list, to which other threads append, and return them."""
    taken = waiting[:]
    # They append whole measurements, and behind the ones that were copied.
    del waiting[: len(taken)]
    return taken


def by_operation(snapshot: Mapping[tuple[str, str], Series]) -> dict[str, Series]:
    """Return the series of all models combined, by operation."""
    together: dict[str, Series] = {}
    for (operation, _), series in snapshot.items():
        together.setdefault(operation, Series()).merge(series)
    return together
