"""Counts of finished requests by route, method, status and outcome, in bounded memory."""

from collections import Counter
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, NamedTuple, Protocol, TypeAlias

from asgi_serial.bounds.memo import Memo
from asgi_serial.reasons import Reason
from asgi_serial.timing.base import ENCODE, OUTCOMES, PHASES
from asgi_serial.timing.figures import AT, USUAL, WIDTH, divide
from asgi_serial.timing.histogram import Histogram, pack_durations
from asgi_serial.timing.history import History

LEFT_OUT = "(left out)"
"""The label of requests that are not counted, since a policy says so."""
OTHER_ROUTE = "(other)"
OTHER_METHOD = "OTHER"
OTHER_STATUS = 0
CACHE_OUTCOMES = ("hit", "stale", "validated", "collapsed", "miss", "refresh", "bypass", "")
"""How the cache of responses took part in an answer; the empty string if it is off."""
ENCODING_OUTCOMES = ("hit", "miss", "")
"""How the cache of encodings took part."""

# RFC 9110, 9.3 with PATCH (RFC 5789) and QUERY; a client may send any other token as a method.
_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
_LONGEST_ROUTE = 200
_LONGEST_NAMES = 100  # of a coding and a media type, all of which are our own

# Samples wait in two flat lists for each kind, of usual ones and others, and a full list is counted
# in one go: C code then runs down the columns. Both lists together, with the numbers in them, take
# 66 KB, so that all that wait take 34 MB at most.
FULL = 128 * USUAL
MAX_KINDS_WAITING = 512
# About 4,000 kinds. A kind that is forgotten is made again.
_MAX_KINDS_BYTES = 4 << 20

Labels: TypeAlias = tuple[str, str, int, str, str, str, str, str, tuple[Reason, ...]]
"""The route, method, status, outcome, part of the cache of responses, part of the cache of
encodings, coding, format, and the reasons, as in a `Sample`."""


Columns: TypeAlias = list[list[float]]
"""Many samples by the figure: all figures of each sample, or the usual ones."""

UsualLabels: TypeAlias = tuple[str, str, int, str, tuple[Reason, ...]]
"""The route, method, status, part of the cache of responses, and the reasons of `Labels`."""


class SeriesKey(NamedTuple):
    """The labels of one series."""

    route: str
    method: str
    status: int
    outcome: str


class Kind:
    """Finished requests that differ only in time and size, and wait to be counted.

    It is found once, by `recorder.kinds[labels]`, and may be kept: a stored response keeps that of
    its hits. A `key` of None marks labels that are malformed, or left out.
    """

    __slots__ = (
        "cache",
        "coding",
        "encodings",
        "format",
        "is_left_out",
        "is_waiting",
        "key",
        "number",
        "reasons",
        "samples",
        "usual_samples",
    )

    def __init__(
        self,
        key: SeriesKey | None,
        cache: str = "",
        encodings: str = "",
        coding: str = "identity",
        format: str = "",
        reasons: tuple[Reason, ...] = (),
        *,
        is_left_out: bool = False,
    ) -> None:
        self.key = key
        self.is_left_out = is_left_out
        self.cache = cache
        self.encodings = encodings
        self.coding = coding
        self.format = format
        self.reasons = reasons
        self.samples: list[float] = []  # Figures, one behind the other
        self.usual_samples: list[float] = []  # the first of them, of usual exchanges
        self.is_waiting = False  # the recorder has it in its list
        self.number = 0  # in the memory that workers share, once it has one


def find_kind(labels: Labels) -> Kind:
    """Return the kind with these labels, each of them bounded. Never raises."""
    try:
        route, method, status, outcome, cache, encodings, coding, format, reasons = labels
        key = SeriesKey(
            route[:_LONGEST_ROUTE],
            method if method in _METHODS else OTHER_METHOD,
            status if 100 <= status <= 599 else OTHER_STATUS,
            outcome,
        )
        is_known = (
            outcome in OUTCOMES
            and cache in CACHE_OUTCOMES
            and encodings in ENCODING_OUTCOMES
            and len(coding) + len(format) <= _LONGEST_NAMES
        )
        if is_known and all(isinstance(reason, Reason) for reason in reasons):
            if route == LEFT_OUT:
                return Kind(None, is_left_out=True)
            return Kind(key, cache, encodings, coding, format, reasons)
    except Exception:  # a failing recorder never breaks a request
        pass
    return Kind(None)


def labels_of(kind: Kind) -> Labels:
    """Return the labels of a kind that has a key, as `find_kind` takes them."""
    assert kind.key is not None
    return (*kind.key, kind.cache, kind.encodings, kind.coding, kind.format, kind.reasons)


class Kinds(Memo[Labels, Kind]):
    """The memory of kinds, in which each is made when it is first looked up.

    Those of responses that were completed as the app made them are in `usual`, too, where they are
    found in two thirds of the time.
    """

    __slots__ = ("usual",)

    def __init__(self) -> None:
        super().__init__(find_kind, _MAX_KINDS_BYTES)
        self.usual: Memo[UsualLabels, Kind] = Memo(self._find_usual, _MAX_KINDS_BYTES // 4)

    def _find_usual(self, labels: UsualLabels) -> Kind:
        route, method, status, cache, reasons = labels
        return self[route, method, status, "completed", cache, "", "identity", "", reasons]


class KindRecorder(Protocol):
    """Records finished requests by their kind, as the request path does it."""

    @property
    def kinds(self) -> Memo[Labels, Kind]:
        """The kinds by their labels; what is not there yet is made when it is looked up."""

    @property
    def usual_kinds(self) -> Memo[UsualLabels, Kind]:
        """Those of responses that were completed as the app made them, by fewer labels."""

    def record(self, kind: Kind, figures: tuple[float, ...]) -> None:
        """Count one finished request; synchronous, O(1), and never raises.

        `figures` are `Figures` as a plain tuple, or the first `USUAL` of them if all others are 0.
        """


class CodingTotals:
    """The totals of the bodies that were sent in one content coding."""

    __slots__ = ("count", "encode_ns", "encoded_bytes", "sent_bytes")

    def __init__(self) -> None:
        self.count = 0
        self.encoded_bytes = 0
        self.sent_bytes = 0
        self.encode_ns = 0

    def add(self, count: int, encoded_bytes: int, sent_bytes: int, encode_ns: int) -> None:
        """Add the totals of `count` bodies."""
        self.count += count
        self.encoded_bytes += encoded_bytes
        self.sent_bytes += sent_bytes
        self.encode_ns += encode_ns


class Series:
    """The totals of one route, method, status and outcome.

    `cache`, `encodings` and `reasons` count the requests by these labels. `phases_ns` are the sums
    of the phases in the order of `PHASES`, and `codings` the totals by content coding.
    """

    __slots__ = (
        "app_bytes",
        "cache",
        "codings",
        "encoded_bytes",
        "encodings",
        "first_byte",
        "phases_ns",
        "reasons",
        "sent_bytes",
        "total",
    )

    def __init__(self) -> None:
        self.first_byte = Histogram()
        self.total = Histogram()
        self.app_bytes = 0
        self.encoded_bytes = 0
        self.sent_bytes = 0
        self.cache = Counter(dict.fromkeys(CACHE_OUTCOMES, 0))
        self.encodings = Counter(dict.fromkeys(ENCODING_OUTCOMES, 0))
        self.codings: dict[str, CodingTotals] = {}
        self.phases_ns = [0] * len(PHASES)
        self.reasons: Counter[str] = Counter()

    def add(self, kind: Kind, columns: Columns) -> None:
        """Count samples of a kind; all of them or, if it raises, none.

        Raises: TypeError or ValueError, if one of them is malformed.
        """
        # Everything that may refuse a sample comes first, so that none is counted in part.
        sums: list[Any] = [sum(column) for column in columns]
        first_byte_ns, total_ns, app_bytes, encoded_bytes, sent_bytes, *_ = sums
        first_bytes = pack_durations(columns[0], first_byte_ns)
        totals = pack_durations(columns[1], total_ns)
        phases_ns = divide(sums)
        self.first_byte.add_packed(*first_bytes)
        self.total.add_packed(*totals)
        self.app_bytes += app_bytes
        self.encoded_bytes += encoded_bytes
        self.sent_bytes += sent_bytes
        count = len(columns[0])
        self.cache[kind.cache] += count
        self.encodings[kind.encodings] += count
        self._open_coding(kind.coding).add(count, encoded_bytes, sent_bytes, phases_ns[ENCODE])
        self.phases_ns = list(map(int.__add__, self.phases_ns, phases_ns))
        for reason in kind.reasons:
            self.reasons[reason.name] += count

    def merge(self, other: "Series") -> None:
        """Add the totals of `other`."""
        self.first_byte.merge(other.first_byte)
        self.total.merge(other.total)
        self.app_bytes += other.app_bytes
        self.encoded_bytes += other.encoded_bytes
        self.sent_bytes += other.sent_bytes
        self.cache.update(other.cache)
        self.encodings.update(other.encodings)
        self.reasons.update(other.reasons)
        self.phases_ns = list(map(int.__add__, self.phases_ns, other.phases_ns))
        for name, one in other.codings.items():
            self._open_coding(name).add(one.count, one.encoded_bytes, one.sent_bytes, one.encode_ns)

    def _open_coding(self, name: str) -> CodingTotals:
        totals = self.codings.get(name)
        if totals is None:
            totals = self.codings[name] = CodingTotals()
        return totals


class Counts(NamedTuple):
    """The counters of a recorder; see SeriesRecorder."""

    recorded: int = 0
    failures: int = 0
    overflowed: int = 0


class Waiting(NamedTuple):
    """Samples of one kind that are not counted yet; without a kind if they are malformed."""

    kind: Kind | None
    samples: list[float]


class Totals(NamedTuple):
    """Everything that one recorder has counted, or several together."""

    series: dict[SeriesKey, Series]
    counts: Counts
    history: History

    @classmethod
    def of(cls, parts: "Iterable[Totals]", max_series: int) -> "Totals":
        """Return the sum of several totals, with at most so many series and those for the rest."""
        together = SeriesRecorder(max_series)
        for part in parts:
            together.adopt(part)
        return Totals(together._series, together.counts, together.history)


class Workers(Protocol):
    """Shares what a recorder counts with the other workers of a server; see `timing/workers/`."""

    def join(self, recorder: "SeriesRecorder") -> None:
        """Decide whether to share, at the first request; if so call `recorder.share`."""

    def append(self, kind: Kind, figures: tuple[float, ...]) -> bool:
        """Keep a finished request until it is taken; return False if there is no room."""

    def take(self) -> Iterable[Waiting]:
        """Return what was appended since this was last called."""

    def publish(self, totals: Totals, *, anew: bool) -> None:
        """Share the totals with what was taken; `series` has only those that have changed.

        `anew` forgets all others. It never raises; if it fails, it calls `recorder.part`.
        """

    def gather(self, own: Totals) -> Iterable[Totals]:
        """Return the totals of all workers, in an order that is the same in each of them."""


class SeriesRecorder:
    """Series of finished requests in bounded memory: at most `max_series`, and one for
    the rest of each outcome.

    `recorded` counts all requests, `failures` the samples that were malformed, `overflowed` those
    that came when all series were taken and went to the one for the rest, and `history` has the
    last hour by the minute; a snapshot brings all four up to date. It may be taken in any thread,
    while others record.

    With `workers`, the processes of a server share their totals: a snapshot is that of all of them,
    the counters are those of this process.
    """

    __slots__ = (
        "__weakref__",
        "_append",
        "_changed",
        "_lock",
        "_max_series",
        "_series",
        "_waiting",
        "failures",
        "history",
        "is_undecided",
        "kinds",
        "overflowed",
        "recorded",
        "usual_kinds",
        "workers",
    )

    def __init__(self, max_series: int = 1000, workers: Workers | None = None) -> None:
        self.workers = workers
        self.is_undecided = workers is not None  # whether there are other workers
        self._append: Callable[[Kind, tuple[float, ...]], bool] | None = None  # once there are
        self._changed: set[SeriesKey] | None = None  # since the series were published, if they are
        self._max_series = max_series
        self._series: dict[SeriesKey, Series] = {}
        self._waiting: list[Kind] = []
        self._lock = Lock()
        self.kinds = Kinds()
        self.usual_kinds = self.kinds.usual
        self.history = History()
        self.recorded = 0
        self.failures = 0
        self.overflowed = 0

    def record(self, kind: Kind, figures: tuple[float, ...]) -> None:
        """Count one finished request; see KindRecorder."""
        append = self._append
        if append is not None and append(kind, figures):
            return
        samples = kind.usual_samples if len(figures) == USUAL else kind.samples
        samples += figures
        if not kind.is_waiting:
            self._wait(kind)
        # While a report is being made the samples wait for the next one.
        if len(samples) >= FULL and self._lock.acquire(blocking=False):
            try:
                self._count(kind)
            finally:
                self._lock.release()

    def snapshot(self) -> dict[SeriesKey, Series]:
        """Return a copy of the series of all workers, with every sample up to now counted."""
        return self.read().series

    def read(self) -> Totals:
        """Return the totals of all workers, with every sample up to now counted."""
        copies = {}
        with self._lock:
            self._catch_up()
            for key, series in self._series.items():
                copy = Series()
                copy.merge(series)
                if copy.total.count:
                    copies[key] = copy
            history = History()
            history.merge(self.history)
            own = Totals(copies, self.counts, history)
        if self._append is None or self.workers is None:
            return own
        return Totals.of(self.workers.gather(own), self._max_series)

    def catch_up(self) -> None:
        """Count every sample up to now."""
        with self._lock:
            self._catch_up()

    def clear(self) -> None:
        """Forget everything that was recorded by this process."""
        with self._lock:
            self._catch_up()
            self._series.clear()
            self.history.clear()
            self.failures = 0
            self.overflowed = 0
            self._publish(anew=True)

    @property
    def counts(self) -> Counts:
        """The counters, of this process."""
        return Counts(self.recorded, self.failures, self.overflowed)

    def share(self, earlier: Totals, waiting: Iterable[Waiting]) -> None:
        """Share what is counted from now on, beginning with what a worker before has left."""
        assert self.workers is not None
        with self._lock:
            self.adopt(earlier)
            self._changed = set()
            self._count_all(waiting)
            self._count_waiting()
            self._publish()
            if self._changed is not None:
                self._append = self.workers.append

    def part(self) -> None:
        """Share nothing any more; everything that was taken is counted here."""
        self._append = self._changed = None

    def start_over(self) -> None:
        """Forget the process from which this one was forked."""
        self._lock = Lock()
        self.part()
        for kind in self._take_waiting():
            kind.samples.clear()
            kind.usual_samples.clear()
        self._series.clear()
        self.history.clear()
        self.recorded = self.failures = self.overflowed = 0
        self.is_undecided = True

    def adopt(self, totals: Totals, waiting: Iterable[Waiting] = ()) -> None:
        """Add the totals of another recorder, and samples that it has not counted."""
        for key, series in totals.series.items():
            self._open(key, series.total.count).merge(series)
        self.recorded += totals.counts.recorded
        self.failures += totals.counts.failures
        self.overflowed += totals.counts.overflowed
        self.history.merge(totals.history)
        self._count_all(waiting)

    def fold(self) -> bool:
        """Count what has been appended and publish it; return False if a report is being made."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._catch_up()
        finally:
            self._lock.release()
        return True

    def join_workers(self) -> None:
        """Share what is recorded, if there are other workers; nothing happens the second time."""
        if self.is_undecided and self.workers is not None:
            self.is_undecided = False
            self.workers.join(self)

    def _catch_up(self) -> None:
        """Count every sample up to now, and publish the totals; only under the lock."""
        if self._append is None:
            self._count_waiting()
        else:
            assert self.workers is not None
            self._count_all(self.workers.take())
            self._count_waiting()
            self._publish()

    def _publish(self, *, anew: bool = False) -> None:
        if self._changed is not None and self.workers is not None:
            series = {key: self._series[key] for key in self._changed if key in self._series}
            self._changed.clear()
            self.workers.publish(Totals(series, self.counts, self.history), anew=anew)

    def _count_all(self, waiting: Iterable[Waiting]) -> None:
        for kind, samples in waiting:
            if kind is None:
                self.recorded += len(samples) // WIDTH
                self.failures += len(samples) // WIDTH
            else:
                self._count_columns(kind, [samples[start::WIDTH] for start in range(WIDTH)])

    def _wait(self, kind: Kind) -> None:
        """Note that a kind has samples to be counted."""
        kind.is_waiting = True
        self._waiting.append(kind)
        if self.is_undecided:
            self.join_workers()
        if len(self._waiting) > MAX_KINDS_WAITING and self._lock.acquire(blocking=False):
            try:
                self._count_waiting()
            finally:
                self._lock.release()

    def _take_waiting(self) -> list[Kind]:
        size = len(self._waiting)
        taken = self._waiting[:size]
        del self._waiting[:size]  # the list stays the same, to which another thread may append
        for kind in taken:
            kind.is_waiting = False  # before it is counted: what comes meanwhile waits again
        return taken

    def _count_waiting(self) -> None:
        """Count every sample that waits; only under the lock."""
        for kind in self._take_waiting():
            self._count(kind)

    def _count(self, kind: Kind) -> None:
        """Count the samples of a kind; only under the lock, so that none is counted twice."""
        for samples, width in ((kind.usual_samples, USUAL), (kind.samples, WIDTH)):
            size = len(samples)
            if size:
                columns = [samples[start:size:width] for start in range(width)]
                del samples[:size]  # the list stays the same, to which another thread may append
                self._count_columns(kind, columns)

    def _count_columns(self, kind: Kind, columns: Columns) -> None:
        count = len(columns[0])
        self.recorded += count
        if kind.key is None:
            if not kind.is_left_out:
                self.failures += count
            return
        series = self._open(kind.key, count)
        try:
            self._add(series, kind, columns)
        except Exception:  # a failing recorder never breaks a request
            self._count_each(series, kind, columns)

    def _add(self, series: Series, kind: Kind, columns: Columns) -> None:
        series.add(kind, columns)
        assert kind.key is not None  # only kinds with a key have a series
        is_error = kind.key.status >= 500 or kind.key.outcome == "failed"
        self.history.add(columns[AT], are_errors=is_error)

    def _count_each(self, series: Series, kind: Kind, columns: Columns) -> None:
        """Count the samples of a batch with a malformed one, one by one."""
        for figures in zip(*columns, strict=True):
            try:
                self._add(series, kind, [[figure] for figure in figures])
            except Exception:
                self.failures += 1

    def _open(self, key: SeriesKey, samples: int) -> Series:
        """Return the series with these labels, or the one for the rest if all are taken."""
        series = self._series.get(key)
        rest = SeriesKey(OTHER_ROUTE, OTHER_METHOD, OTHER_STATUS, key.outcome)
        if series is None and key != rest and len(self._series) >= self._max_series:
            self.overflowed += samples
            key = rest
            series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        if self._changed is not None:
            self._changed.add(key)
        return series
