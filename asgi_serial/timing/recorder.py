"""What every finished request leaves behind: counts by route, method and status."""

from collections.abc import Iterable
from typing import NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.timing.histogram import Histogram

OTHER_ROUTE = "(other)"
OTHER_METHOD = "OTHER"
OTHER_STATUS = 0
OUTCOMES = ("hit", "stale", "collapsed", "miss", "bypass", "")
"""How the cache of responses took part in an answer; the empty string where it is off."""

# RFC 9110, 9.3 with PATCH (RFC 5789) and QUERY; a client may send any other token as a method.
_METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY")
)
_LONGEST_ROUTE = 200


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
    )

    def __init__(self) -> None:
        self.first_byte = Histogram()
        self.total = Histogram()
        self.app_bytes = 0
        self.encoded_bytes = 0
        self.sent_bytes = 0
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.encodings = {"hit": 0, "miss": 0, "": 0}
        self.reasons: dict[str, int] = {}

    def merge(self, other: "Series") -> None:
        """Add the totals of `other`."""
        self.first_byte.merge(other.first_byte)
        self.total.merge(other.total)
        self.app_bytes += other.app_bytes
        self.encoded_bytes += other.encoded_bytes
        self.sent_bytes += other.sent_bytes
        for mine, others in (
            (self.outcomes, other.outcomes),
            (self.encodings, other.encodings),
            (self.reasons, other.reasons),
        ):
            for name, count in others.copy().items():
                mine[name] = mine.get(name, 0) + count


class Recorder:
    """Series of finished requests in bounded memory: at most `max_series`, and one for the rest.

    A series takes about 9 KB. There is no lock: under threads a count may be lost, never more.
    `failures` counts the samples that could not be taken, and `overflowed` those that went to the
    series of the rest.
    """

    __slots__ = ("_max_series", "_series", "failures", "overflowed")

    def __init__(self, max_series: int = 1000) -> None:
        self._max_series = max_series
        self._series: dict[tuple[str, str, int], Series] = {}
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
        was sent. `outcome` is one of OUTCOMES; `encoding_outcome` is `hit`, `miss` or empty, for
        the cache of encodings.
        """
        try:
            series = self._series.get((route, method, status)) or self._open(route, method, status)
            # First what may refuse the sample, so that it is never counted by half.
            series.outcomes[outcome] += 1
            series.encodings[encoding_outcome] += 1
            series.first_byte.record(first_byte_ns)
            series.total.record(total_ns)
            series.app_bytes += app_bytes
            series.encoded_bytes += encoded_bytes
            series.sent_bytes += sent_bytes
            counts = series.reasons
            for reason in reasons:
                # The name's hash is kept by the string; an enum member's is computed in Python.
                name = reason._name_
                counts[name] = counts.get(name, 0) + 1
        except Exception:
            self.failures += 1

    def snapshot(self) -> dict[SeriesKey, Series]:
        """The series as they are, keyed by what they are about; the series are not copied."""
        return {
            SeriesKey(*key): series
            for key, series in self._series.copy().items()
            if series.total.count
        }

    def clear(self) -> None:
        """Forget all that was recorded."""
        self._series.clear()
        self.failures = 0
        self.overflowed = 0

    def _open(self, route: str, method: str, status: int) -> Series:
        """The series of labels that are not known yet, with each label bounded first."""
        key = (
            route[:_LONGEST_ROUTE],
            method if method in _METHODS else OTHER_METHOD,
            status if 100 <= status <= 599 else OTHER_STATUS,
        )
        series = self._series.get(key)
        if series is None and len(self._series) >= self._max_series:
            self.overflowed += 1
            key = (OTHER_ROUTE, OTHER_METHOD, OTHER_STATUS)
            series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series()
        return series
