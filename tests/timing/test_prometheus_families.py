"""The families of metrics hold what was recorded, under the names of the conventions."""

import pytest

from asgi_serial.timing.prometheus_families import DEFAULT_BUCKETS, build_families
from asgi_serial.timing.recorder import SeriesRecorder
from tests.timing.recording import record

CREATED = 1_700_000_000.0
MS = 1_000_000


def families_of(recorder, state=None, bounds=DEFAULT_BUCKETS):
    families = build_families(
        recorder.snapshot(), state or {}, {"version": "1.2.3"}, bounds=bounds, created=CREATED
    )
    return {family.name: family for family in families}


def points(family, **wanted):
    """The points of the metric with these labels, by suffix and bound."""
    (metric,) = [one for one in family.metrics if dict(one.labels) == wanted]
    return {suffix + bound: value for suffix, value, bound in metric.points}


def test_durations_are_counted_in_buckets_by_method_route_and_status():
    recorder = SeriesRecorder()
    for total_ns in (4 * MS, 40 * MS, 40 * MS, 20_000 * MS):
        record(recorder, "/a/{id}", first_byte_ns=MS, total_ns=total_ns)
    record(recorder, "/a/{id}", "POST", first_byte_ns=MS, total_ns=MS)
    family = families_of(recorder)["http_server_request_duration_seconds"]
    assert (family.type, family.unit, len(family.metrics)) == ("histogram", "seconds", 2)
    labels = {"http_route": "/a/{id}", "http_response_status_code": "200"}
    found = points(family, http_request_method="GET", **labels)
    counts = {bound: found[f"_bucket{bound}"] for bound in ("0.005", "0.025", "0.05", "10.0")}
    assert counts == {"0.005": 1, "0.025": 1, "0.05": 3, "10.0": 3}
    assert found["_bucket+Inf"] == found["_count"] == 4
    assert found["_sum"] == pytest.approx(20.084)
    assert found["_created"] == CREATED


@pytest.mark.parametrize(
    ("method", "status", "outcome", "labels"),
    [
        (
            "GET",
            404,
            "completed",
            {"http_request_method": "GET", "http_response_status_code": "404"},
        ),
        (
            "PURGE",
            500,
            "completed",
            {
                "http_request_method": "_OTHER",
                "http_response_status_code": "500",
                "error_type": "500",
            },
        ),
        (
            "GET",
            499,
            "disconnected",
            {
                "http_request_method": "GET",
                "http_response_status_code": "499",
                "error_type": "disconnected",
            },
        ),
    ],
)
def test_labels_follow_the_semantic_conventions(method, status, outcome, labels):
    recorder = SeriesRecorder()
    record(recorder, "/", method, status, outcome=outcome)
    family = families_of(recorder)["http_server_request_duration_seconds"]
    assert points(family, http_route="/", **labels)["_count"] == 1


def test_the_bounds_are_those_that_are_asked_for():
    recorder = SeriesRecorder()
    record(recorder, total_ns=300 * MS)
    family = families_of(recorder, bounds=(0.25, 1.0))["http_server_request_duration_seconds"]
    (metric,) = family.metrics
    buckets = [(bound, count) for suffix, count, bound in metric.points if suffix == "_bucket"]
    assert buckets == [("0.25", 0), ("1.0", 1), ("+Inf", 1)]


def test_before_the_first_request_only_the_state_is_given():
    families = families_of(SeriesRecorder(), {"memory_bytes": 7, "memory_evictions": 2})
    assert list(families) == [
        "asgi_serial_memory_bytes",
        "asgi_serial_memory_evictions",
        "asgi_serial_build",
    ]
    assert points(families["asgi_serial_memory_bytes"]) == {"": 7}
    assert points(families["asgi_serial_memory_evictions"]) == {"_total": 2, "_created": CREATED}
    assert points(families["asgi_serial_build"], version="1.2.3") == {"_info": 1}
