"""Durations counted in a bounded number of buckets, so that any percentile can be read of them."""

import struct
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

# The first 16 bits of a double are its sign, its exponent and the 4 highest bits of its fraction.
# Taken as a number they cut each power of two in 16 linear buckets, and grow with the duration: C
# code finds the buckets of a whole batch, at a third of what shifting each duration costs.
_TOP_OF_DOUBLE = 3 if sys.byteorder == "little" else 0
_FRACTION_BITS = 4
_BIAS = 1023
_SIGN = 0x8000
_LONGEST_NS = 1 << 63


class Histogram:
    """Counts of durations, from which any percentile is read with an error of at most 3.1 %.

    Each bucket's bounds differ by 1/16, so that their harmonic mean is within 1/33 of all in it.
    From 1 ns to an hour there are 670 buckets; those in use take about 100 bytes each. The count
    and the sum are exact.
    """

    __slots__ = ("_buckets", "count", "sum_ns")

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.sum_ns = 0

    @property
    def min_ns(self) -> int:
        """The least duration, with the error of a percentile; 0 where nothing was counted."""
        return self.percentile(0)

    @property
    def max_ns(self) -> int:
        """The greatest duration, with the error of a percentile; 0 where nothing was counted."""
        return self.percentile(100)

    def add(self, durations_ns: Sequence[int]) -> None:
        """Count durations; all of them or, where it raises, none. Raises: see find_buckets."""
        self.add_buckets(*find_buckets(durations_ns))

    def add_buckets(self, buckets: list[int], sum_ns: int) -> None:
        """Count durations of which `find_buckets` has found the buckets."""
        self._buckets.update(buckets)
        self.count += len(buckets)
        self.sum_ns += sum_ns

    def merge(self, other: "Histogram") -> None:
        """Add all that `other` counted, as if it had been counted here."""
        self._buckets.update(other._buckets)
        self.count += other.count
        self.sum_ns += other.sum_ns

    def percentile(self, percent: float) -> int:
        """The duration in ns that `percent` of all are at most; 0 where nothing was counted.

        >>> histogram = Histogram()
        >>> histogram.add([milliseconds * 1_000_000 for milliseconds in range(1, 101)])
        >>> abs(histogram.percentile(95) - 95_000_000) <= 95_000_000 / 33
        True
        """
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: Iterable[float]) -> list[int]:
        """Several percentiles out of one pass over the buckets."""
        if not self.count:
            return [0 for _ in percents]
        middles = sorted((_middle_of(bucket), count) for bucket, count in self._buckets.items())
        cumulated = list(accumulate(count for _, count in middles))
        # The nearest rank: of n values in order the one at ceil(n * p), and never before the first.
        ranks = (max(1, -int(-self.count * percent // 100)) for percent in percents)
        return [middles[bisect_left(cumulated, rank)][0] for rank in ranks]


def find_buckets(durations_ns: Sequence[int]) -> tuple[list[int], int]:
    """The bucket of each duration, and the sum of all.

    Raises: TypeError, ValueError, OverflowError or struct.error, for what is no duration.
    """
    sum_ns = sum(durations_ns)
    if not 0 <= sum_ns < _LONGEST_NS:
        raise ValueError(f"durations of {sum_ns!r} ns together; expected 0 to 2**63")
    doubles = struct.pack(f"{len(durations_ns)}d", *durations_ns)
    return memoryview(doubles).cast("H")[_TOP_OF_DOUBLE::4].tolist(), sum_ns


def _middle_of(bucket: int) -> int:
    """The harmonic mean in ns of a bucket's bounds, whose relative error is the same at both."""
    octave, step = divmod(bucket, 1 << _FRACTION_BITS)
    # A clock that was set back gives a negative duration, which counts as none.
    if not octave or bucket & _SIGN:
        return 0
    low = (1.0 + step / (1 << _FRACTION_BITS)) * 2.0 ** (octave - _BIAS)
    high = low + 2.0 ** (octave - _BIAS - _FRACTION_BITS)
    return round(2.0 * low * high / (low + high))
