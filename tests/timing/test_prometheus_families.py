"""The families of metrics hold what was recorded, under the names of the conventions."""

import pytest

from asgi_serial.reasons import Reason
from asgi_serial.timing.instruments import (
    DEFAULT_BUCKETS,
    STATE,
)
from asgi_serial.timing.prometheus_families import build_families
from asgi_serial.timing.recorder import SeriesRecorder
from tests.timing.recording import record

CREATED = 1_700_000_000.0
MS = 1_000_000


def families_of(recorder, *states, bounds=DEFAULT_BUCKETS):
    started = {"started_ms": CREATED * 1000}
    processes = {pid: {**started, **state} for pid, state in enumerate(states or [{}], 1)}
    families = build_families(recorder.snapshot(), processes, {"version": "1.2.3"}, bounds=bounds)
    return {family.name: family for family in families}


def points(family, **wanted):
    """The points of the metric with these labels, by suffix and bound."""
    (metric,) = [one for one in family.metrics if family.label(one.values) == wanted]
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
        "asgi_serial_memory_size_bytes",
        "asgi_serial_memory_evictions",
        "asgi_serial_build",
    ]
    assert points(families["asgi_serial_memory_size_bytes"], process_pid="1") == {"": 7}
    evictions = points(families["asgi_serial_memory_evictions"], process_pid="1")
    assert evictions == {"_total": 2, "_created": CREATED}
    assert points(families["asgi_serial_build"], version="1.2.3") == {"_info": 1}


def counted(family):
    """The totals of a counter, by the values of its labels."""
    return {
        values: {one.suffix: one.value for one in points}["_total"]
        for values, points in family.metrics
    }


def everything():
    recorder = SeriesRecorder()
    phases = (0, 0, 2 * MS, 5 * MS, 0, 3 * MS, 0, 0)
    for cache, method in (("miss", "GET"), ("hit", "GET"), ("hit", "HEAD")):
        record(
            recorder,
            *("/a/{id}", method, 200),
            cache=cache,
            encodings="miss" if cache == "miss" else "",
            coding="gzip",
            reasons=(Reason.NO_FRESHNESS,) if cache == "miss" else (),
            first_byte_ns=7 * MS,
            total_ns=10 * MS,
            app_bytes=1000,
            encoded_bytes=900,
            sent_bytes=90,
            phases=phases,
        )
    record(recorder, "/b", reasons=(Reason.TOO_SMALL, Reason.NO_FRESHNESS), sent_bytes=5)
    return families_of(recorder)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("asgi_serial_cache_requests", {("/a/{id}", "miss"): 1, ("/a/{id}", "hit"): 2}),
        ("asgi_serial_encodings_requests", {("/a/{id}", "miss"): 1}),
        (
            "asgi_serial_reasons",
            {
                ("/a/{id}", "storage", "no-freshness"): 1,
                ("/b", "coding", "too-small"): 1,
                ("/b", "storage", "no-freshness"): 1,
            },
        ),
        (
            "asgi_serial_phase_time_seconds",
            {
                ("/a/{id}", "look-up"): 0.006,
                ("/a/{id}", "app-first-byte"): 0.015,
                ("/a/{id}", "encode"): 0.009,
            },
        ),
        ("asgi_serial_app_body_bytes", {("/a/{id}",): 3000}),
        ("asgi_serial_coding_responses", {("gzip",): 3, ("identity",): 1}),
        ("asgi_serial_coding_input_bytes", {("gzip",): 2700}),
        ("asgi_serial_coding_output_bytes", {("gzip",): 270, ("identity",): 5}),
        ("asgi_serial_coding_time_seconds", {("gzip",): 0.009}),
    ],
)
def test_counters_add_up_the_series_of_a_route_or_a_coding(name, counts):
    found = counted(everything()[name])
    # A cache that is off says so; it is not what this test is about.
    assert {values: count for values, count in found.items() if "off" not in values} == counts


def test_a_cache_that_is_off_says_so():
    assert counted(everything()["asgi_serial_cache_requests"])["/b", "off"] == 1


def test_the_time_to_the_first_byte_is_not_told_apart_by_status():
    recorder = SeriesRecorder()
    for status in (200, 404):
        record(recorder, "/a", status=status, first_byte_ns=30 * MS, total_ns=90 * MS)
    family = families_of(recorder)["asgi_serial_time_to_first_byte_seconds"]
    found = points(family, http_request_method="GET", http_route="/a")
    assert (found["_bucket0.025"], found["_bucket0.05"], found["_count"]) == (0, 2, 2)
    assert found["_sum"] == pytest.approx(0.06)


def test_the_sizes_of_bodies_are_a_summary():
    family = everything()["http_server_response_body_size_bytes"]
    found = points(
        family,
        http_request_method="GET",
        http_route="/a/{id}",
        http_response_status_code="200",
    )
    assert (family.type, found) == ("summary", {"_count": 2, "_sum": 180, "_created": CREATED})


def test_every_figure_of_the_state_has_its_sample():
    state = {name: place for place, (name, _, _) in enumerate(STATE)}
    families = families_of(SeriesRecorder(), state)
    found = [
        metric.points[0].value
        for family in families.values()
        if family.type != "info"
        for metric in family.metrics
    ]
    assert found == list(range(len(STATE)))
    kinds = counted(families["asgi_serial_store_failures"])
    assert ("skipped-by-breaker", 1) in kinds


def test_each_process_has_its_own_state_since_its_own_start():
    started = {"started_ms": (CREATED - 60) * 1000}
    recorder = SeriesRecorder()
    record(recorder)
    families = families_of(recorder, {"memory_evictions": 2}, {"memory_evictions": 5, **started})
    family = families["asgi_serial_memory_evictions"]
    assert points(family, process_pid="1") == {"_total": 2, "_created": CREATED}
    assert points(family, process_pid="2") == {"_total": 5, "_created": CREATED - 60}
    # The requests of both are counted since the first of them has started.
    (metric,) = families["asgi_serial_cache_requests"].metrics
    assert metric.points[-1] == ("_created", CREATED - 60, "")


def test_the_number_of_samples_is_bounded():
    recorder = SeriesRecorder(max_series=5)
    for number in range(100):
        record(recorder, f"/{number}")
    families = families_of(recorder)
    family = families["http_server_request_duration_seconds"]
    assert len(family.metrics) == 6
    others = points(
        family,
        http_request_method="_OTHER",
        http_route="(other)",
        http_response_status_code="0",
    )
    assert others["_count"] == 95
