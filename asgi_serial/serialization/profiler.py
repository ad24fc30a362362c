"""Measure the durations and sizes of operations, by operation and model."""

import logging
from collections.abc import Callable, Mapping
from threading import Lock
from time import perf_counter_ns
from typing import Any, TypeVar, cast

from asgi_serial.timing.histogram import Histogram, pack_durations

_logger = logging.getLogger("asgi_serial")
_QUIET_NS = 30_000_000_000

OTHER = "(other)"
# Enough for the models and operations of a large application; further ones share one series.
_MAX_SERIES = 1_000
# Measurements are collected in a flat list and counted in batches, at half the cost of counting
# each alone: with batches of 64, writing a small model takes 3.7 times as long as Pydantic alone,
# with 256 it takes 2.9 times. A list takes at most 28 KB.
_WIDTH = 3
FULL = 256 * _WIDTH


S = TypeVar("S", bound="Series")


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
            size = len(self.waiting) // _WIDTH * _WIDTH
            taken = self.waiting[:size]
            del self.waiting[:size]
            if taken:
                self._add(taken)

    def _add(self, taken: list[int]) -> None:
        durations, packed_bytes = taken[::_WIDTH], taken[2::_WIDTH]
        self._add_durations(durations, pack_durations(durations), sum(taken[1::_WIDTH]))
        self.payload_bytes += sum(packed_bytes)

    def _add_durations(
        self, durations: list[int], packed: tuple[bytes, int], document_bytes: int
    ) -> None:
        shortest = min(durations)
        self.min_ns = min(self.min_ns, shortest) if self.histogram.count else shortest
        self.max_ns = max(self.max_ns, max(durations))
        self.document_bytes += document_bytes
        self.histogram.add_packed(*packed)

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


class ReadSeries(Series):
    """The durations and sizes of reading one model, and of the validation that is a part of it.

    A measurement has the duration of the validation in the place of payload bytes, so that both
    series are written at the cost of one.
    """

    __slots__ = ("validation",)

    def __init__(self, validation: Series) -> None:
        super().__init__()
        self.validation = validation

    def _add(self, taken: list[int]) -> None:
        durations, validations = taken[::_WIDTH], taken[2::_WIDTH]
        packed, document_bytes = pack_durations(durations), sum(taken[1::_WIDTH])
        self._add_durations(durations, packed, document_bytes)
        # Without decompression, reading is validation.
        if validations != durations:
            packed = pack_durations(validations)
        with self.validation._lock:
            self.validation._add_durations(validations, packed, document_bytes)


class SerializationProfiler:
    """Series by operation and model, in bounded memory."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}
        self._quiet_until: dict[str, int] = {}

    def series(self, operation: str, model: str) -> Series:
        """Return the series of an operation (`serialize.json`) on a model."""
        return self._find(operation, model, Series)

    def read_series(self, operation: str, model: str) -> ReadSeries:
        """Return the series of an operation that reads (`deserialize.json`) on a model."""
        validation = self.series("validation", model)
        return self._find(operation, model, lambda: ReadSeries(validation))

    def _find(self, operation: str, model: str, build: Callable[[], S]) -> S:
        key = (operation, model)
        found = self._series.get(key)
        if found is None:
            if len(self._series) >= _MAX_SERIES:
                key = (operation, OTHER)
            found = self._series.setdefault(key, build())
        return cast(S, found)

    def snapshot(self) -> dict[tuple[str, str], Series]:
        """Return copies of all series that have measurements."""
        copies = {}
        every = self._series.copy()
        # A series of reads passes its measurements on to the one of the validation.
        for series in every.values():
            series.count()
        for key, series in every.items():
            copy = copies[key] = Series()
            copy.merge(series)
        return {key: copy for key, copy in copies.items() if copy.histogram.count}

    def clear(self) -> None:
        """Remove all measurements; managers that are running keep their series until configured."""
        for series in self._series.values():
            series.count()
        self._series.clear()

    def log_slow(self, operation: str, model: str, duration_ns: int) -> None:
        """Log a slow operation: as a warning at most every 30 seconds, otherwise at DEBUG."""
        now = perf_counter_ns()
        level = logging.DEBUG
        if now >= self._quiet_until.get(operation, 0):
            self._quiet_until[operation] = now + _QUIET_NS
            level = logging.WARNING
        _logger.log(level, "%s of %s took %.3f ms.", operation, model, duration_ns / 1e6)


def by_operation(snapshot: Mapping[tuple[str, str], Series]) -> dict[str, Series]:
    """Return the series of all models combined, by operation."""
    together: dict[str, Series] = {}
    for (operation, _), series in snapshot.items():
        together.setdefault(operation, Series()).merge(series)
    return together
