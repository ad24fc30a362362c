"""Durations counted in a fixed number of buckets: a percentile in bounded memory."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from operator import add

# Each power of two is cut in 16 linear buckets: a bucket's bounds differ by at most 1/16, and its
# harmonic mean is within 1/33 (3.1 %) of everything in it. From 2**10 ns (1 us) to 2**42 ns
# (73 minutes) this makes 512 buckets, 4 KB.
_SUB_BITS = 4
_LOW_BIT_LENGTH = 11
_HIGH_BIT_LENGTH = 42
_BUCKETS = (_HIGH_BIT_LENGTH - _LOW_BIT_LENGTH + 1) << _SUB_BITS
_SHIFT = _SUB_BITS + 1
_FIRST = ((_LOW_BIT_LENGTH - _SHIFT) << _SUB_BITS) + (1 << _SUB_BITS)
LOWEST_NS = 1 << (_LOW_BIT_LENGTH - 1)
HIGHEST_NS = (1 << _HIGH_BIT_LENGTH) - 1


class Histogram:
    """Counts of durations, from which any percentile is read with an error of at most 3.1 %.

    Durations under 1.024 us count as that, those over 73 minutes as that; the sum, the least and
    the greatest are exact.
    """

    __slots__ = ("_counts", "count", "max_ns", "min_ns", "sum_ns")

    def __init__(self) -> None:
        self._counts = array("Q", bytes(8 * _BUCKETS))
        self.count = 0
        self.sum_ns = 0
        self.min_ns = 0
        self.max_ns = 0

    def record(self, duration_ns: int) -> None:
        """Count one duration."""
        bounded_ns = duration_ns
        if bounded_ns < LOWEST_NS:
            bounded_ns = LOWEST_NS
        elif bounded_ns > HIGHEST_NS:
            bounded_ns = HIGHEST_NS
        shift = bounded_ns.bit_length() - _SHIFT
        self._counts[(shift << _SUB_BITS) + (bounded_ns >> shift) - _FIRST] += 1
        if duration_ns > self.max_ns:
            self.max_ns = duration_ns
        if duration_ns < self.min_ns or not self.count:
            self.min_ns = duration_ns
        self.count += 1
        self.sum_ns += duration_ns

    def percentile(self, percent: float) -> int:
        """The duration in ns that `percent` of all are at most; 0 where nothing was counted.

        >>> histogram = Histogram()
        >>> for milliseconds in range(1, 101):
        ...     histogram.record(milliseconds * 1_000_000)
        >>> abs(histogram.percentile(95) - 95_000_000) <= 95_000_000 / 33
        True
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Iterable[float]) -> list[int]:
        """Several percentiles out of one pass over the buckets."""
        if not self.count:
            return [0 for _ in percents]
        cumulated = list(accumulate(self._counts))
        return [self._duration_at(cumulated, percent) for percent in percents]

    def _duration_at(self, cumulated: list[int], percent: float) -> int:
        # The nearest rank: of n values in order the one at ceil(n * p), and never before the first.
        rank = max(1, -int(-cumulated[-1] * percent // 100))
        middle_ns = _middle_of(bisect_left(cumulated, rank))
        return min(max(middle_ns, self.min_ns), self.max_ns)

    def merge(self, other: "Histogram") -> None:
        """Add all that `other` counted, as if it had been recorded here."""
        if not other.count:
            return
        self.min_ns = min(self.min_ns, other.min_ns) if self.count else other.min_ns
        self.max_ns = max(self.max_ns, other.max_ns)
        self.count += other.count
        self.sum_ns += other.sum_ns
        self._counts = array("Q", map(add, self._counts, other._counts))


def _middle_of(index: int) -> int:
    """The harmonic mean of a bucket's bounds, whose relative error is the same at both."""
    octave, step = divmod(index, 1 << _SUB_BITS)
    shift = octave + _LOW_BIT_LENGTH - _SHIFT
    low = ((1 << _SUB_BITS) + step) << shift
    high = low + (1 << shift)
    return 2 * low * high // (low + high)
