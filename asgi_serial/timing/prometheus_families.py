"""The figures of a recorder and of its engine, as families of metrics.

Names and labels are those of OpenTelemetry's semantic conventions for HTTP where these have one;
all others begin with `asgi_serial_`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asgi_serial.timing.histogram import Histogram
from asgi_serial.timing.prometheus_text import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    INFO,
    Family,
    Labels,
    Metric,
    Point,
    format_number,
)
from asgi_serial.timing.recorder import Series, SeriesKey

# Semantic conventions for HTTP metrics, "Metric: http.server.request.duration":
# ExplicitBucketBoundaries, in seconds.
DEFAULT_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5),
    *(0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)

_STATE = (
    ("memory_entries", GAUGE, "", "Responses and encodings in the first level of the cache."),
    ("memory_bytes", GAUGE, "bytes", "Size of the first level of the cache."),
    ("memory_max_bytes", GAUGE, "bytes", "Largest size of the first level of the cache."),
    ("memory_evictions", COUNTER, "", "Entries that the first level dropped for want of room."),
    ("responses_stored", COUNTER, "", "Responses that were stored."),
)
"""The statistics of an engine that are metrics of their own: name, type, unit, description."""


def build_families(
    series: Mapping[SeriesKey, Series],
    state: Mapping[str, Any],
    info: Mapping[str, str],
    *,
    bounds: Sequence[float],
    created: float,
) -> list[Family]:
    """Return the families of everything that was recorded, those with metrics only.

    `series` is a snapshot of a recorder, `state` the statistics of its engine, and `info` describes
    the build. `bounds` are those of histograms, in seconds; `created` is the time since which
    everything was counted, in epoch seconds.
    """
    families = [
        _request_duration(series, bounds, created),
        *_state_families(state, created),
        Family(
            "asgi_serial_build",
            INFO,
            "The versions of the middleware and of Python.",
            "",
            [Metric(tuple(info.items()), (Point("_info", 1),))],
        ),
    ]
    return [family for family in families if family.metrics]


def _request_duration(
    series: Mapping[SeriesKey, Series], bounds: Sequence[float], created: float
) -> Family:
    return Family(
        "http_server_request_duration_seconds",
        HISTOGRAM,
        "Duration of requests, from their arrival to the last message of the response.",
        "seconds",
        [
            Metric(request_labels(key), tuple(_histogram_points(one.total, bounds, created)))
            for key, one in series.items()
        ],
    )


def request_labels(key: SeriesKey) -> Labels:
    """Return the labels of a series.

    Source: OpenTelemetry, Semantic conventions for HTTP metrics: `error.type` is the status code of
    a response that is an error of the server, or what else went wrong, and missing if nothing did.
    """
    labels = [
        ("http_request_method", "_OTHER" if key.method == "OTHER" else key.method),
        ("http_route", key.route),
        ("http_response_status_code", str(key.status)),
    ]
    if key.outcome != "completed":
        labels.append(("error_type", key.outcome))
    elif key.status >= 500:
        labels.append(("error_type", str(key.status)))
    return tuple(labels)


def _histogram_points(
    histogram: Histogram, bounds: Sequence[float], created: float
) -> Iterable[Point]:
    counts = histogram.cumulative([*(bound * 1e9 for bound in bounds), float("inf")])
    for bound, count in zip((*bounds, float("inf")), counts, strict=True):
        yield Point("_bucket", count, format_number(bound))
    yield Point("_count", histogram.count)
    yield Point("_sum", histogram.sum_ns / 1e9)
    yield Point("_created", created)


def _state_families(state: Mapping[str, Any], created: float) -> Iterable[Family]:
    for name, kind, unit, description in _STATE:
        if name in state:
            yield Family(
                f"asgi_serial_{name}",
                kind,
                description,
                unit,
                [Metric((), _points(kind, state[name], created))],
            )


def _points(kind: str, value: float, created: float) -> tuple[Point, ...]:
    if kind == COUNTER:
        return Point("_total", value), Point("_created", created)
    return (Point("", value),)
