"""Durations counted in a bounded number of buckets, from which any percentile can be read."""

import struct
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, compress

# The first 16 bits of a double are its sign, its exponent and the 4 highest bits of its fraction.
# Read as a number they grow with the duration, and cut each power of two into 16 linear buckets.
# Of the two bytes the first seldom changes: it names a page of 16 powers of two (2 ns to 131 us,
# to 8.6 s, to 6 days), the second a bucket in it. C code finds them for a whole batch, and to
# count a byte in a list takes no more instructions than counting a number in a dict.
_FRACTION_BITS = 4
_PAGE_BITS = 8
_BIAS = 1023
_NEGATIVE = 0x8000
_LONGEST_NS = 1 << 63
_LAST_BUCKET = 0x43E0  # of 2**63 ns, for durations that are not negative
_FEW = 20  # buckets of a batch, which C code counts one by one
# Doubles are packed in the byte order of the machine, which costs less than to turn them round.
_PAGE, _PLACE = (7, 6) if sys.byteorder == "little" else (0, 1)


class Histogram:
    """Counts of durations, from which any percentile is read with an error of at most 3.1 %.

    The bounds of a bucket differ by 1/16, so their harmonic mean is within 1/33 of every duration
    in it. From 1 ns to an hour there are 670 buckets, in 4 pages that take 2 KB each and are made
    when they are needed; most histograms have one or two. The count and the sum are exact.
    """

    __slots__ = ("_pages", "count", "sum_ns")

    def __init__(self) -> None:
        self._pages: dict[int, list[int]] = {}
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
        """Count durations; all of them or, if it raises, none. Raises: see pack_durations."""
        self.add_packed(*pack_durations(durations_ns))

    def add_packed(self, packed: bytes, sum_ns: int) -> None:
        """Count durations that `pack_durations` has packed."""
        pages, places = packed[_PAGE::8], packed[_PLACE::8]
        self.count += len(places)
        self.sum_ns += sum_ns
        is_one_page = not pages.strip(pages[:1])
        for number in pages[:1] if is_one_page else set(pages):
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = [0] * (1 << _PAGE_BITS)
            inside = places if is_one_page else bytes(compress(places, map(number.__eq__, pages)))
            # Most durations of a batch share few buckets.
            different = set(inside)
            if len(different) <= _FEW:
                for place in different:
                    page[place] += inside.count(place)
            else:
                for place in inside:
                    page[place] += 1

    def merge(self, other: "Histogram") -> None:
        """Add everything that `other` has counted."""
        for number, page in other._pages.items():
            own = self._pages.get(number)
            self._pages[number] = page.copy() if own is None else list(map(int.__add__, own, page))
        self.count += other.count
        self.sum_ns += other.sum_ns

    def counts(self) -> list[int]:
        """Return the number of each bucket with durations, and their count, one behind the other.

        >>> histogram = Histogram()
        >>> histogram.add([1_000_000, 1_000_000, 2_000_000])
        >>> Histogram.from_counts(histogram.sum_ns, histogram.counts()).percentiles([50, 100])
        [999155, 1998311]
        """
        counts: list[int] = []
        for number, page in self._pages.items():
            for place, count in enumerate(page):
                if count:
                    counts += (number << _PAGE_BITS | place, count)
        return counts

    @classmethod
    def from_counts(cls, sum_ns: int, counts: Sequence[int]) -> "Histogram":
        """Return a histogram with these counts. Raises: ValueError, if they are malformed."""
        histogram = cls()
        for bucket, count in zip(counts[::2], counts[1::2], strict=True):
            is_bucket = 0 <= bucket < 1 << 2 * _PAGE_BITS
            if not is_bucket or bucket & ~_NEGATIVE > _LAST_BUCKET or count <= 0:
                raise ValueError(f"{count!r} durations in bucket {bucket!r}")
            number, place = divmod(bucket, 1 << _PAGE_BITS)
            histogram._pages.setdefault(number, [0] * (1 << _PAGE_BITS))[place] += count
            histogram.count += count
        histogram.sum_ns = sum_ns
        return histogram

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
        ordered = sorted(
            (_middle_of(number << _PAGE_BITS | place), count)
            for number, page in self._pages.items()
            for place, count in enumerate(page)
            if count
        )
        return [middle for middle, _ in ordered], list(accumulate(count for _, count in ordered))


def pack_durations(durations_ns: Sequence[float], sum_ns: float | None = None) -> tuple[bytes, int]:
    """Return durations as doubles, one behind the other, and the sum of all, if it is not given.

    Raises: TypeError or ValueError, if one of them is no number, or they exceed 2**63 ns.
    """
    if sum_ns is None:
        sum_ns = sum(durations_ns)
    if not 0 <= sum_ns < _LONGEST_NS:
        raise ValueError(f"durations of {sum_ns!r} ns together; expected 0 to 2**63")
    return struct.pack(f"{len(durations_ns)}d", *durations_ns), round(sum_ns)


def _middle_of(bucket: int) -> int:
    """Return the harmonic mean in ns of a bucket's bounds, whose relative error is equal at both.

    A negative duration, from a clock that was set back, counts as 0.
    """
    octave, step = divmod(bucket, 1 << _FRACTION_BITS)
    if not octave or bucket & _NEGATIVE:
        return 0
    low = (1.0 + step / (1 << _FRACTION_BITS)) * 2.0 ** (octave - _BIAS)
    high = low + 2.0 ** (octave - _BIAS - _FRACTION_BITS)
    return round(2.0 * low * high / (low + high))
