"""What every finished request leaves behind: counts by route, method and status."""

from collections import Counter
from collections.abc import Iterable
from threading import Lock
from typing import Any, NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.timing.histogram import Histogram, find_buckets

OTHER_ROUTE = "(other)"
OTHER_METHOD = "OTHER"
OTHER_STATUS = 0
OUTCOMES = ("hit", "stale", "validated", "collapsed", "miss", "refresh", "bypass", "")
"""How the cache of responses took part in an answer; the empty string where it is off."""
ENCODING_OUTCOMES = ("hit", "miss", "")
"""How the cache of encodings took part."""

# RFC 9110, 9.3 with PATCH (RFC 5789) and QUERY; a client may send any other token as a method.
_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
_LONGEST_ROUTE = 200
_OUTCOMES = frozenset(OUTCOMES)
_ENCODING_OUTCOMES = frozenset(ENCODING_OUTCOMES)

# Samples wait in one flat list for each series and are counted together: C code then runs down
# the columns, at half of what it costs to count each alone. 64 samples take up to 12 KB.
_WIDTH = 8
_FULL = 128 * _WIDTH


# As many of those that are alike wait; then, or where more kinds wait than that, all are counted.
_FULL_ALIKE = 128
_MAX_KINDS_WAITING = 256


class SeriesKey(NamedTuple):
    """What one series is about."""

    route: str
    method: str
    status: int


class Series:
    """The totals of one route, method and status."""

    __slots__ = (
        "app_bytes",
        "encoded_bytes",
        "encodings",
        "first_byte",
        "outcomes",
        "reasons",
        "sent_bytes",
        "total",
        "waiting",
    )

    def __init__(self) -> None:
        self.first_byte = Histogram()
        self.total = Histogram()
        self.app_bytes = 0
        self.encoded_bytes = 0
        self.sent_bytes = 0
        self.outcomes = Counter(dict.fromkeys(OUTCOMES, 0))
        self.encodings = Counter(dict.fromkeys(ENCODING_OUTCOMES, 0))
        self.reasons: Counter[str] = Counter()
        self.waiting: list[Any] = []

    def add(self, samples: list[Any]) -> None:
        """Count samples that lie one behind the other, _WIDTH values each; all or none.

        Raises: many an error, where a sample is not one.
        """
        first_byte, total, app, encoded, sent, outcomes, encodings, reasons = (
            samples[start::_WIDTH] for start in range(_WIDTH)
        )
        # First all that may refuse a sample, so that none is counted by half.
        starts, ends = find_buckets(first_byte), find_buckets(total)
        sums = sum(app), sum(encoded), sum(sent)
        tallies = (
            _tally(outcomes, _OUTCOMES),
            _tally(encodings, _ENCODING_OUTCOMES),
            [(name, count) for some, count in _tally(reasons) for name in _names_of(some)],
        )
        self.first_byte.add_buckets(*starts)
        self.total.add_buckets(*ends)
        self.app_bytes += sums[0]
        self.encoded_bytes += sums[1]
        self.sent_bytes += sums[2]
        for counts, tally in zip(
            (self.outcomes, self.encodings, self.reasons), tallies, strict=True
        ):
            for name, count in tally:
                counts[name] += count

    def add_hits(self, durations: list[int], app_bytes: int, sent_bytes: int) -> None:
        """Count hits that differ in nothing but how long they took.

        Raises: see find_buckets.
        """
        found, count = find_buckets(durations), len(durations)
        self.first_byte.add_buckets(*found)
        self.total.add_buckets(*found)
        self.app_bytes += count * app_bytes
        self.encoded_bytes += count * app_bytes
        self.sent_bytes += count * sent_bytes
        self.outcomes["hit"] += count
        self.encodings[""] += count

    def merge(self, other: "Series") -> None:
        """Add the totals of `other`."""
        self.first_byte.merge(other.first_byte)
        self.total.merge(other.total)
        self.app_bytes += other.app_bytes
        self.encoded_bytes += other.encoded_bytes
        self.sent_bytes += other.sent_bytes
        self.outcomes.update(other.outcomes)
        self.encodings.update(other.encodings)
        self.reasons.update(other.reasons)


class Hits:
    """Answers by one stored representation, of which only the durations wait to be counted."""

    __slots__ = ("app_bytes", "durations", "is_waiting", "key", "sent_bytes")

    def __init__(self, key: SeriesKey, app_bytes: int, sent_bytes: int) -> None:
        self.key = key
        self.app_bytes = app_bytes
        self.sent_bytes = sent_bytes
        self.durations: list[int] = []
        self.is_waiting = False  # the recorder knows that there is something to count


def _tally(column: list[Any], allowed: frozenset[Any] | None = None) -> list[tuple[Any, int]]:
    """How often each value is in a column, of which a batch has few.

    Looks for one value after the other: to compare is a tenth of what hashing each would cost.

    Raises: ValueError, for a value that is not allowed.
    """
    tally = []
    while column:
        first = column[0]
        if allowed is not None and first not in allowed:
            raise ValueError(f"{first!r} is none of {sorted(allowed)}")
        count = column.count(first)
        tally.append((first, count))
        if count == len(column):
            break
        column = [value for value in column if value is not first and value != first]
    return tally


def _names_of(reasons: Iterable[Reason]) -> list[str]:
    """The names of reasons. Raises: TypeError, for what is none."""
    names = []
    for reason in reasons:
        if not isinstance(reason, Reason):
            raise TypeError(f"{reason!r} is no Reason")
        names.append(reason.name)
    return names


class Recorder:
    """Series of finished requests in bounded memory: at most `max_series`, and one for the rest.

    A series takes up to 20 KB. `failures` counts the samples that could not be taken, `overflowed`
    those that came when all series were there and went to the one of the rest; a snapshot brings
    both up to date. It may be taken in any thread, while others record.
    """

    __slots__ = ("_lock", "_max_series", "_series", "_waiting_hits", "failures", "overflowed")

    def __init__(self, max_series: int = 1000) -> None:
        self._max_series = max_series
        self._series: dict[tuple[str, str, int], Series] = {}
        self._waiting_hits: list[Hits] = []
        self._lock = Lock()
        self.failures = 0
        self.overflowed = 0

    def record(
        self,
        route: str,
        method: str,
        status: int,
        first_byte_ns: int,
        total_ns: int,
        app_bytes: int,
        encoded_bytes: int,
        sent_bytes: int,
        outcome: str,
        reasons: Iterable[Reason],
        encoding_outcome: str = "",
    ) -> None:
        """Count one finished request; synchronous, O(1), and never raises.

        The durations run from the request's arrival to the first byte and to the last body
        message. The bytes are the body's: as the app made it, in the negotiated format, and as it
        was sent. `outcome` is one of OUTCOMES, `encoding_outcome` of ENCODING_OUTCOMES. `reasons`
        is kept until the sample is counted: hand over what nobody changes, best a tuple.
        """
        try:
            try:
                series = self._series[route, method, status]
            except KeyError:
                series = self._open(route, method, status)
            waiting = series.waiting
            waiting += (
                first_byte_ns,
                total_ns,
                app_bytes,
                encoded_bytes,
                sent_bytes,
                outcome,
                encoding_outcome,
                reasons,
            )
            # Where a report is just being made the samples wait for the next one.
            if len(waiting) >= _FULL and self._lock.acquire(blocking=False):
                try:
                    self._count(series)
                finally:
                    self._lock.release()
        except Exception:
            self.failures += 1

    def record_hit(self, hits: Hits, took_ns: int) -> None:
        """Count one more of answers that are alike; synchronous, O(1), and never raises.

        With `record` in its place a hit takes 4,000 of 44,000 instructions more.
        """
        durations = hits.durations
        durations.append(took_ns)
        if not hits.is_waiting:
            hits.is_waiting = True
            self._waiting_hits.append(hits)
        is_full = len(durations) >= _FULL_ALIKE or len(self._waiting_hits) > _MAX_KINDS_WAITING
        # Where a report is just being made they wait for the next one.
        if is_full and self._lock.acquire(blocking=False):
            try:
                self._count_hits()
            finally:
                self._lock.release()

    def snapshot(self) -> dict[SeriesKey, Series]:
        """A copy of the series as they are, keyed by what they are about."""
        copies = {}
        with self._lock:
            self._count_hits()
        for key, series in self._series.copy().items():
            copy = copies[SeriesKey(*key)] = Series()
            with self._lock:
                self._count(series)
                copy.merge(series)
        return {key: series for key, series in copies.items() if series.total.count}

    def clear(self) -> None:
        """Forget all that was recorded."""
        with self._lock:
            for hits in self._take_waiting_hits():
                hits.durations.clear()
        self._series.clear()
        self.failures = 0
        self.overflowed = 0

    def _take_waiting_hits(self) -> list[Hits]:
        waiting, self._waiting_hits = self._waiting_hits, []
        for hits in waiting:
            hits.is_waiting = False  # before they are counted: what comes meanwhile waits again
        return waiting

    def _count_hits(self) -> None:
        """Count the hits that wait; only under the lock."""
        for hits in self._take_waiting_hits():
            size = len(hits.durations)
            durations = hits.durations[:size]
            del hits.durations[:size]
            try:
                series = self._open(*hits.key, count=size)
                series.add_hits(durations, hits.app_bytes, hits.sent_bytes)
            except Exception:
                self.failures += size

    def _count(self, series: Series) -> None:
        """Count what waits; only under the lock, so that nothing is counted twice."""
        size = len(series.waiting)
        samples = series.waiting[:size]
        del series.waiting[:size]
        if not samples:
            return
        try:
            series.add(samples)
        except Exception:
            self._count_each(series, samples)

    def _count_each(self, series: Series, samples: list[Any]) -> None:
        """Count a batch of which one sample is faulty, one by one."""
        for start in range(0, len(samples), _WIDTH):
            try:
                series.add(samples[start : start + _WIDTH])
            except Exception:
                self.failures += 1

    def _open(self, route: str, method: str, status: int, *, count: int = 1) -> Series:
        """The series of labels that are not known yet, with each label bounded first."""
        key = (
            route[:_LONGEST_ROUTE],
            method if method in _METHODS else OTHER_METHOD,
            status if 100 <= status <= 599 else OTHER_STATUS,
        )
        series = self._series.get(key)
        if series is None and len(self._series) >= self._max_series:
            self.overflowed += count
            key = (OTHER_ROUTE, OTHER_METHOD, OTHER_STATUS)
            series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        return series
