"""OpenTelemetry's SDK exports what the recorder is told, under the names of the conventions."""

import gc
import sys

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import REGISTRY

from asgi_serial import ConfigurationError, OpenTelemetryRecorder, Reason, Sample
from asgi_serial.timing import instruments
from asgi_serial.timing.instruments import STATE, Instrument

MS = 1_000_000


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader):
    provider = MeterProvider([reader])
    yield provider
    provider.shutdown()


def sample_of(route="/a/{id}", method="GET", status=200, outcome="completed", **other):
    values = {
        "first_byte_ns": 5 * MS,
        "total_ns": 20 * MS,
        "app_bytes": 1000,
        "encoded_bytes": 900,
        "sent_bytes": 90,
        "cache": "miss",
        "encodings": "hit",
        "coding": "gzip",
        "format": "",
        "phases": (0, 0, 2 * MS, 5 * MS, 0, 3 * MS, 0, 0),
        "reasons": (Reason.NO_FRESHNESS,),
    }
    return Sample(route, method, status, outcome, **{**values, **other})


def read(reader):
    """The data points of each metric, by its name."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: (metric.unit, list(metric.data.data_points))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def sums(points):
    return {tuple(sorted(point.attributes.items())): point.value for point in points}


def test_durations_and_sizes_are_histograms_with_the_attributes_of_http(provider, reader):
    recorder = OpenTelemetryRecorder(provider, http_metrics=True)
    for _ in range(2):
        recorder.record(sample_of())
    found = read(reader)
    unit, (point,) = found["http.server.request.duration"]
    assert (unit, point.count, point.sum) == ("s", 2, pytest.approx(0.04))
    assert point.attributes == {
        "http.request.method": "GET",
        "http.route": "/a/{id}",
        "http.response.status_code": 200,
    }
    assert point.explicit_bounds[:2] == (0.005, 0.01)
    unit, (point,) = found["http.server.response.body.size"]
    assert (unit, point.sum) == ("By", 180)
    unit, (point,) = found["asgi_serial.time_to_first_byte"]
    assert (unit, point.sum) == ("s", pytest.approx(0.01))
    assert point.attributes == {"http.request.method": "GET", "http.route": "/a/{id}"}


@pytest.mark.parametrize(
    ("sample", "attributes"),
    [
        (
            sample_of("(unmatched)", "OTHER", 404),
            {"http.request.method": "_OTHER", "http.response.status_code": 404},
        ),
        (
            sample_of(status=503),
            {
                "http.request.method": "GET",
                "http.route": "/a/{id}",
                "http.response.status_code": 503,
                "error.type": "503",
            },
        ),
        (
            sample_of(outcome="failed"),
            {
                "http.request.method": "GET",
                "http.route": "/a/{id}",
                "http.response.status_code": 200,
                "error.type": "failed",
            },
        ),
    ],
    ids=["no route", "an error of the server", "broken off"],
)
def test_attributes_follow_the_semantic_conventions(provider, reader, sample, attributes):
    OpenTelemetryRecorder(provider, http_metrics=True).record(sample)
    _, (point,) = read(reader)["http.server.request.duration"]
    assert point.attributes == attributes


def test_our_own_counters(provider, reader):
    recorder = OpenTelemetryRecorder(provider)
    recorder.record(sample_of())
    recorder.record(sample_of(cache="", encodings="", coding="identity", reasons=()))
    found = read(reader)
    route = ("http.route", "/a/{id}")
    assert sums(found["asgi_serial.cache.requests"][1]) == {
        (route, ("result", "miss")): 1,
        (route, ("result", "off")): 1,
    }
    assert sums(found["asgi_serial.encodings.requests"][1]) == {(route, ("result", "hit")): 1}
    assert sums(found["asgi_serial.reasons"][1]) == {
        (("about", "storage"), route, ("reason", "no-freshness")): 1
    }
    assert sums(found["asgi_serial.app.body"][1]) == {(route,): 2000}
    assert sums(found["asgi_serial.coding.input"][1])[("coding", "gzip"),] == 900
    unit, points = found["asgi_serial.phase.time"]
    assert unit == "s"
    assert sums(points)[route, ("phase", "look-up")] == pytest.approx(0.004)


INSTRUMENTATION = "opentelemetry.instrumentation.asgi"


@pytest.mark.parametrize(
    ("is_there", "http_metrics", "measured"),
    [(True, None, False), (False, None, True), (True, True, True), (False, False, False)],
)
def test_an_instrumentation_that_is_there_measures_http_alone(
    provider, reader, monkeypatch, is_there, http_metrics, measured
):
    for name in ("opentelemetry.instrumentation.asgi", "opentelemetry.instrumentation.django"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    recorder = OpenTelemetryRecorder(provider, http_metrics=http_metrics)
    recorder.watch(reader, lambda _: {"in_flight": 1, "memory_bytes": 7})
    if is_there:
        monkeypatch.setitem(sys.modules, INSTRUMENTATION, sys)
    recorder.record(sample_of())
    found = read(reader)
    http = {name for name in found if name.startswith("http.")}
    assert http == (
        {
            "http.server.request.duration",
            "http.server.response.body.size",
            "http.server.active_requests",
        }
        if measured
        else set()
    )
    assert {"asgi_serial.cache.requests", "asgi_serial.memory.size"} <= set(found)


def test_the_state_of_all_engines_that_live_is_added_up(provider, reader):
    class Engine:
        def __init__(self, size):
            self.state = {"memory_bytes": size, "store_gets": 1, "store_sets": 2}

    recorder = OpenTelemetryRecorder(provider)
    first, second = Engine(5), Engine(7)
    for engine in (first, second):
        recorder.watch(engine, lambda engine: engine.state)
    found = read(reader)
    assert sums(found["asgi_serial.memory.size"][1]) == {(): 12}
    assert sums(found["asgi_serial.store.calls"][1]) == {
        (("operation", "get"),): 2,
        (("operation", "set"),): 4,
    }
    del first, engine
    gc.collect()
    assert sums(read(reader)["asgi_serial.memory.size"][1]) == {(): 7}


def test_routes_beyond_the_limit_are_not_told_apart(provider, reader):
    recorder = OpenTelemetryRecorder(provider, http_metrics=True, max_routes=2)
    for number in range(10):
        recorder.record(sample_of(f"/{number}"))
    found = read(reader)
    assert sums(found["asgi_serial.app.body"][1]) == {
        (("http.route", "/0"),): 1000,
        (("http.route", "/1"),): 1000,
        (("otel.metric.overflow", True),): 8000,
    }
    _, points = found["http.server.request.duration"]
    counts = {point.attributes.get("http.route"): point.count for point in points}
    assert counts == {"/0": 1, "/1": 1, None: 8}
    (others,) = [point for point in points if "http.route" not in point.attributes]
    assert others.attributes["otel.metric.overflow"] is True


def test_every_figure_of_the_state_can_be_observed(provider, reader):
    recorder = OpenTelemetryRecorder(provider, http_metrics=True)
    recorder.watch(provider, lambda _: {name: 1 for name, _, _ in STATE})
    found = read(reader)
    assert {instrument.name for _, instrument, _ in STATE} == set(found)


def test_opentelemetrys_exporter_for_prometheus_spells_the_names_as_we_do():
    """So that one dashboard fits both ways."""
    reader = PrometheusMetricReader()
    provider = MeterProvider([reader])
    recorder = OpenTelemetryRecorder(provider, http_metrics=True)
    recorder.watch(provider, lambda _: {name: 1 for name, _, _ in STATE})
    recorder.record(sample_of())
    families = {
        one.name: one.type
        for one in REGISTRY.collect()
        if any("otel_scope_name" in sample.labels for sample in one.samples)
    }
    provider.shutdown()
    ours = [one for one in vars(instruments).values() if isinstance(one, Instrument)]
    expected = {one.prometheus_name: one.kind for one in ours}
    assert {name: families.get(name) for name in expected} == expected


def test_without_opentelemetry_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r'pip install "asgi-serial\[otel\]"'):
        OpenTelemetryRecorder()
