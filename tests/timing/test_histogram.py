import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.timing.histogram import Histogram

HOUR_NS = 3600 * 10**9
DURATIONS = st.integers(0, 2 * HOUR_NS)
ERROR = 1 / 33 + 1e-9


def histogram_of(durations: list[int]) -> Histogram:
    histogram = Histogram()
    if durations:
        histogram.add(durations)
    return histogram


def exact_percentile(durations: list[int], percent: int) -> int:
    rank = max(1, -(-len(durations) * percent // 100))
    return sorted(durations)[rank - 1]


@given(st.lists(DURATIONS, min_size=1), st.integers(0, 100))
def test_a_percentile_is_within_a_thirtysecond_of_the_exact_one(durations, percent):
    exact = exact_percentile(durations, percent)
    assert abs(histogram_of(durations).percentile(percent) - exact) <= exact * ERROR + 0.5


@given(st.lists(DURATIONS, min_size=1))
def test_count_and_sum_are_exact_and_the_ends_are_close(durations):
    histogram = histogram_of(durations)
    assert (histogram.count, histogram.sum_ns) == (len(durations), sum(durations))
    assert abs(histogram.min_ns - min(durations)) <= min(durations) * ERROR + 0.5
    assert abs(histogram.max_ns - max(durations)) <= max(durations) * ERROR + 0.5


@given(st.lists(DURATIONS), st.lists(DURATIONS))
def test_merged_histograms_equal_one_that_saw_all(some, others):
    merged = histogram_of(some)
    merged.merge(histogram_of(others))
    whole = histogram_of(some + others)
    assert [merged.percentile(p) for p in (0, 1, 50, 99, 100)] == [
        whole.percentile(p) for p in (0, 1, 50, 99, 100)
    ]
    assert (merged.count, merged.sum_ns, merged.min_ns, merged.max_ns) == (
        whole.count,
        whole.sum_ns,
        whole.min_ns,
        whole.max_ns,
    )


def test_each_duration_up_to_two_hours_is_in_a_bucket_that_is_close_to_it():
    for bits in range(43):
        for duration in ((1 << bits) - 1, 1 << bits, (1 << bits) + 1):
            histogram = histogram_of([0, duration, 1 << 60])
            assert abs(histogram.percentile(50) - duration) <= duration * ERROR + 0.5


def test_the_buckets_are_bounded():
    histogram = Histogram()
    for step in range(100_000):
        histogram.add([int(1.0003**step) % HOUR_NS])
    pages = histogram._pages.values()
    assert len(pages) <= 4
    assert sum(count > 0 for page in pages for count in page) <= 670


@pytest.mark.parametrize(
    "durations",
    [
        pytest.param([5, -6], id="less than none together"),
        pytest.param([5, 1 << 64], id="one of 64 bits"),
        pytest.param([5, 10**400], id="one beyond all doubles"),
        pytest.param([5, float("nan")], id="no number"),
        pytest.param([5, float("inf")], id="an endless one"),
        pytest.param([5, "5"], id="text"),
    ],
)
def test_a_batch_with_what_is_no_duration_is_refused_whole(durations):
    histogram = histogram_of([7])
    with pytest.raises((TypeError, ValueError)):
        histogram.add(durations)
    assert (histogram.count, histogram.sum_ns, histogram.max_ns) == (1, 7, 7)


def test_a_negative_duration_counts_as_none():
    assert histogram_of([1000, -1]).min_ns == 0


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_an_empty_histogram_gives_zero(percent):
    assert Histogram().percentile(percent) == 0


@given(st.lists(DURATIONS), st.lists(st.integers(0, 3 * HOUR_NS), min_size=1))
def test_a_cumulative_count_is_that_of_a_bound_within_a_thirtysecond(durations, bounds):
    counts = histogram_of(durations).cumulative(bounds)
    for bound, count in zip(bounds, counts, strict=True):
        least = sum(duration * (1 + ERROR) + 0.5 <= bound for duration in durations)
        most = sum(duration * (1 - ERROR) - 0.5 <= bound for duration in durations)
        assert least <= count <= most
    assert [count for _, count in sorted(zip(bounds, counts, strict=True))] == sorted(counts)


def test_every_duration_is_within_an_endless_bound_and_none_below_zero():
    histogram = histogram_of([0, 1, HOUR_NS])
    assert histogram.cumulative([float("inf"), -1, 0]) == [3, 0, 1]
    assert Histogram().cumulative([1, float("inf")]) == [0, 0]


@given(st.lists(st.integers(-5, 40) | DURATIONS, max_size=300))
def test_a_batch_is_counted_as_its_durations_one_by_one(durations):
    whole, each = Histogram(), Histogram()
    if sum(durations) >= 0:
        whole.add(durations)
        for duration in durations:
            each.add([max(duration, 0)])
        assert whole.count == each.count
        percents = range(0, 101, 5)
        assert whole.percentiles(percents) == each.percentiles(percents)


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([0x7FF0, 1], id="of a duration without an end"),
        pytest.param([0x43E1, 1], id="of more than 2**63 ns"),
        pytest.param([1 << 16, 1], id="of a bucket that there is not"),
        pytest.param([-1, 1], id="of a bucket below all"),
        pytest.param([0x3FF0, 0], id="of none"),
        pytest.param([0x3FF0], id="without a count"),
    ],
)
def test_counts_that_no_durations_have_are_refused(counts):
    with pytest.raises(ValueError, match=r"durations|zip"):
        Histogram.from_counts(1, counts)


def test_the_counts_of_any_durations_are_taken():
    histogram = histogram_of([0, 1, HOUR_NS, 2**62])
    again = Histogram.from_counts(histogram.sum_ns, histogram.counts())
    assert again.percentiles([0, 50, 100]) == histogram.percentiles([0, 50, 100])
