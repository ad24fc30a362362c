"""Durations counted in a bounded number of buckets, from which any percentile can be read."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate

# Each power of two is cut into 16 linear buckets: a duration belongs to the one that its 5 highest
# bits name. Below 32 ns every duration has a bucket of its own.
_STEP_BITS = 4
_STEPS = 1 << _STEP_BITS
_DISTINGUISHED_BITS = _STEP_BITS + 1
_LONGEST_NS = 1 << 63


class Histogram:
    """Counts of durations, from which any percentile is read with an error of at most 3.1 %.

    The bounds of a bucket differ by 1/16 at most, so their harmonic mean is within 1/33 of every
    duration in it. From 1 ns to an hour there are 624 buckets; those in use take about 100 bytes
    each. The count and the sum are exact.
    """

    __slots__ = ("_buckets", "count", "sum_ns")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.sum_ns = 0

    @property
    def min_ns(self) -> int:
        """The shortest duration, with the error of a percentile; 0 if nothing was counted."""
        return self.percentile(0)

    @property
    def max_ns(self) -> int:
        """The longest duration, with the error of a percentile; 0 if nothing was counted."""
        return self.percentile(100)

    def add(self, durations_ns: Sequence[int]) -> None:
        """Count durations; all of them or, if it raises, none. Raises: see find_buckets."""
        self.add_buckets(*find_buckets(durations_ns))

    def add_buckets(self, buckets: dict[int, int], sum_ns: int) -> None:
        """Count durations whose buckets were found by `find_buckets`."""
        own = self._buckets
        for bucket, count in buckets.items():
            own[bucket] = own.get(bucket, 0) + count
            self.count += count
        self.sum_ns += sum_ns

    def merge(self, other: "Histogram") -> None:
        """Add everything that `other` has counted."""
        self.add_buckets(other._buckets, other.sum_ns)

    def percentile(self, percent: float) -> int:
        """Return the duration in ns that `percent` of all do not exceed; 0 if there are none.

        >>> histogram = Histogram()
        >>> histogram.add([milliseconds * 1_000_000 for milliseconds in range(1, 101)])
        >>> abs(histogram.percentile(95) - 95_000_000) <= 95_000_000 / 33
        True
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Iterable[float]) -> list[int]:
        """Return several percentiles in one pass over the buckets."""
        if not self.count:
            return [0 for _ in percents]
        middles, counts = self._cumulate()
        # The nearest rank: of n values in order the one at ceil(n * p), and never before the first.
        ranks = (max(1, -int(-self.count * percent // 100)) for percent in percents)
        return [middles[bisect_left(counts, rank)] for rank in ranks]

    def cumulative(self, bounds_ns: Iterable[float]) -> list[int]:
        """Return for each bound how many durations do not exceed it, as exporters want it.

        The bounds may stand in any order. Each count is that of a bound within 3.1 % of the given
        one, and a greater bound never has a smaller count.

        >>> histogram = Histogram()
        >>> histogram.add([2_000_000, 40_000_000, 40_000_000, 900_000_000])
        >>> histogram.cumulative([1e6, 5e6, 50e6, 1e9, float("inf")])
        [0, 1, 3, 4, 4]
        """
        middles, counts = self._cumulate()
        counts.insert(0, 0)
        return [counts[bisect_right(middles, bound)] for bound in bounds_ns]

    def _cumulate(self) -> tuple[list[int], list[int]]:
        """Return the middles of the buckets in order, and the counts up to each of them."""
        ordered = sorted(self._buckets.items())
        middles = [_middle_of(bucket) for bucket, _ in ordered]
        return middles, list(accumulate(count for _, count in ordered))


def find_buckets(durations_ns: Sequence[int]) -> tuple[dict[int, int], int]:
    """Return how many of the durations each bucket takes, and the sum of all.

    A negative duration, from a clock that was set back, counts as 0.

    Raises: TypeError or ValueError, if one of them is not an integer, or they exceed 2**63 ns.
    """
    sum_ns = sum(durations_ns)
    if type(sum_ns) is not int:
        raise TypeError(f"{sum_ns!r} is the sum of the durations; expected integers")
    if not 0 <= sum_ns < _LONGEST_NS:
        raise ValueError(f"durations of {sum_ns!r} ns together; expected 0 to 2**63")
    # A batch holds many durations and few buckets. To sort it and to leap from bucket to bucket
    # takes a third of the instructions of finding and counting the bucket of each duration.
    ordered = sorted(durations_ns)
    buckets: dict[int, int] = {}
    if ordered and ordered[0] < 0:
        ordered = [max(duration, 0) for duration in ordered]
    place, size = 0, len(ordered)
    while place < size:
        duration = ordered[place]
        shift = duration.bit_length() - _DISTINGUISHED_BITS
        if shift < 0:
            shift = 0
        steps = duration >> shift
        end = bisect_left(ordered, (steps + 1) << shift, place)
        buckets[(shift << _STEP_BITS) + steps] = end - place
        place = end
    return buckets, sum_ns


def _middle_of(bucket: int) -> int:
    """Return the harmonic mean in ns of a bucket's bounds, whose relative error is equal at both.

    A bucket of a single duration has that one for its middle.
    """
    if bucket < 2 * _STEPS:
        return bucket
    shift, step = (bucket >> _STEP_BITS) - 1, bucket % _STEPS
    low = (_STEPS + step) << shift
    high = low + (1 << shift)
    return round(2 * low * high / (low + high))
