"""The figures of a recorder and of its engine, as families of metrics."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from asgi_serial.reasons import Reason
from asgi_serial.timing.base import PHASES
from asgi_serial.timing.histogram import Histogram
from asgi_serial.timing.instruments import (
    APP_BODY,
    CACHE_REQUESTS,
    CODING_INPUT,
    CODING_OUTPUT,
    CODING_RESPONSES,
    CODING_TIME,
    ENCODINGS_REQUESTS,
    FIRST_BYTE,
    OFF,
    PHASE_TIME,
    REASONS,
    REQUEST_DURATION,
    RESPONSE_BODY_SIZE,
    Instrument,
    in_unit,
    read_state,
    values_of,
)
from asgi_serial.timing.prometheus_text import (
    COUNTER,
    INFO,
    SUMMARY,
    Family,
    Metric,
    Point,
    Values,
    format_number,
)
from asgi_serial.timing.recorder import Series, SeriesKey

PROCESS = "process_pid"
"""The label of figures that each process has for itself, as the conventions name it."""

Snapshot: TypeAlias = Mapping[SeriesKey, Series]


def build_families(
    series: Snapshot,
    states: Mapping[int, Mapping[str, Any]],
    info: Mapping[str, str],
    *,
    bounds: Sequence[float],
) -> list[Family]:
    """Return the families of everything that was recorded, but for those without metrics.

    `series` is a snapshot of a recorder, `states` are the figures of its engine in each process,
    and `info` describes the build. `bounds` are those of histograms, in seconds.
    """
    created = min(_started(state) for state in states.values())
    families = [
        *_durations(series, bounds, created),
        _body_sizes(series, created),
        *_counts(series, created),
        *_states(states),
        Family(
            "asgi_serial_build",
            INFO,
            "The versions of the middleware and of Python.",
            "",
            tuple(info),
            [Metric(tuple(info.values()), (Point("_info", 1),))],
        ),
    ]
    return [family for family in families if family.metrics]


def _family(instrument: Instrument, metrics: list[Metric], kind: str = "") -> Family:
    return Family(
        instrument.prometheus_name,
        kind or instrument.kind,
        instrument.description,
        instrument.prometheus_unit,
        instrument.prometheus_labels,
        metrics,
    )


def _durations(series: Snapshot, bounds: Sequence[float], created: float) -> Iterator[Family]:
    whole = (*bounds, float("inf"))
    bounds_ns = [bound * 1e9 for bound in whole]
    written = [format_number(bound) for bound in whole]

    def measure(values: Values, histogram: Histogram) -> Metric:
        counts = zip(histogram.cumulative(bounds_ns), written, strict=True)
        points = [Point("_bucket", count, bound) for count, bound in counts]
        points.append(Point("_count", histogram.count))
        points.append(Point("_sum", histogram.sum_ns / 1e9))
        points.append(Point("_created", created))
        return Metric(values, tuple(points))

    first_bytes: defaultdict[Values, Histogram] = defaultdict(Histogram)
    totals = []
    for key, one in series.items():
        values = values_of(key)
        totals.append(measure(values, one.total))
        first_bytes[values[: len(FIRST_BYTE.labels)]].merge(one.first_byte)
    yield _family(REQUEST_DURATION, totals)
    yield _family(FIRST_BYTE, [measure(*each) for each in first_bytes.items()])


def _body_sizes(series: Snapshot, created: float) -> Family:
    """Return the sizes of bodies as a summary, since only their sums are recorded."""
    metrics = [
        Metric(
            values_of(key),
            (
                Point("_count", one.total.count),
                Point("_sum", one.sent_bytes),
                Point("_created", created),
            ),
        )
        for key, one in series.items()
    ]
    return _family(RESPONSE_BODY_SIZE, metrics, SUMMARY)


def _counts(series: Snapshot, created: float) -> Iterator[Family]:
    """Yield the counters of requests, which add up the series with the same labels."""
    sums: dict[Instrument, Counter[Values]] = {}
    for key, one in series.items():
        for instrument, values, count in _counts_of(key.route, one):
            if count:
                sums.setdefault(instrument, Counter())[values] += count
    for instrument, counts in sums.items():
        yield _family(
            instrument,
            [
                Metric(values, _points(COUNTER, in_unit(instrument, count), created))
                for values, count in counts.items()
            ],
        )


def _counts_of(route: str, series: Series) -> Iterator[tuple[Instrument, Values, int]]:
    """Yield the counts of a series; times are in ns."""
    for phase, phase_ns in zip(PHASES, series.phases_ns, strict=True):
        yield PHASE_TIME, (route, phase), phase_ns
    for result, count in series.cache.items():
        yield CACHE_REQUESTS, (route, result or OFF), count
    for result, count in series.encodings.items():
        if result:  # only those that were looked up
            yield ENCODINGS_REQUESTS, (route, result), count
    for name, count in series.reasons.items():
        reason = Reason[name]
        yield REASONS, (route, reason.about, reason.token), count
    yield APP_BODY, (route,), series.app_bytes
    for coding, totals in series.codings.items():
        yield CODING_RESPONSES, (coding,), totals.count
        yield CODING_INPUT, (coding,), totals.encoded_bytes
        yield CODING_OUTPUT, (coding,), totals.sent_bytes
        yield CODING_TIME, (coding,), totals.encode_ns


def _states(states: Mapping[int, Mapping[str, Any]]) -> Iterator[Family]:
    """Yield the figures of the processes, each with its number.

    They are not added up: the sum would fall when a process ends, and a counter must not.
    """
    found: dict[Instrument, list[Metric]] = {}
    for pid, state in states.items():
        created = _started(state)
        for instrument, values, value in read_state(state):
            points = _points(instrument.kind, value, created)
            found.setdefault(instrument, []).append(Metric((*values, pid), points))
    for instrument, metrics in found.items():
        family = _family(instrument, metrics)
        yield family._replace(labels=(*family.labels, PROCESS))


def _started(state: Mapping[str, Any]) -> float:
    return float(state["started_ms"] / 1000)


def _points(kind: str, value: float, created: float) -> tuple[Point, ...]:
    if kind == COUNTER:
        return Point("_total", value), Point("_created", created)
    return (Point("", value),)
