import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.timing.histogram import HIGHEST_NS, LOWEST_NS, Histogram

DURATIONS = st.integers(LOWEST_NS, HIGHEST_NS)
ERROR = 1 / 32


def histogram_of(durations: list[int]) -> Histogram:
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


def exact_percentile(durations: list[int], percent: int) -> int:
    rank = max(1, -(-len(durations) * percent // 100))
    return sorted(durations)[rank - 1]


@given(st.lists(DURATIONS, min_size=1), st.integers(0, 100))
def test_a_percentile_is_within_a_thirtysecond_of_the_exact_one(durations, percent):
    exact = exact_percentile(durations, percent)
    assert abs(histogram_of(durations).percentile(percent) - exact) <= exact * ERROR + 1


@given(st.lists(st.integers(0, HIGHEST_NS * 4), min_size=1))
def test_sum_least_and_greatest_are_exact(durations):
    histogram = histogram_of(durations)
    assert histogram.count == len(durations)
    assert histogram.sum_ns == sum(durations)
    assert histogram.min_ns == min(durations)
    assert histogram.max_ns == max(durations)
    assert histogram.min_ns <= histogram.percentile(50) <= histogram.max_ns


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


def test_every_power_of_two_and_its_neighbours_have_a_bucket():
    for bits in range(64):
        for duration in ((1 << bits) - 1, 1 << bits, (1 << bits) + 1):
            assert histogram_of([duration]).percentile(50) == duration


@pytest.mark.parametrize("percent", [0, 50, 100])
def test_an_empty_histogram_gives_zero(percent):
    assert Histogram().percentile(percent) == 0
