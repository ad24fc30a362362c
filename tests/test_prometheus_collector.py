"""A registry of prometheus-client gets what `metrics_path` serves."""

import os
import sys

import pytest
from litestar import Litestar, get
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath
from prometheus_client import CollectorRegistry, exposition
from prometheus_client import parser as plain
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics import parser as openmetrics
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_serial import ConfigurationError, SerialMiddleware, prometheus_collector
from tests.engine.driver import Request, Whole, ask, awaited, serial_of

METRICS = Request(path="/metrics", fields=(("host", "localhost"),))


def registry_of(source):
    registry = CollectorRegistry()
    registry.register(prometheus_collector(source))
    return registry


def samples_of(families):
    return [
        (one.name, one.labels, one.value)
        for family in families
        for one in family.samples
        if not one.name.endswith("_created")
    ]


@awaited
async def test_it_has_the_samples_of_the_endpoint_in_both_formats():
    app = serial_of(
        Whole(b'{"a": 1}' * 100, content_type="application/json", cache_control="max-age=60"),
        metrics_path="/metrics",
    )
    for path in ("/items", "/items", "/other"):
        await ask(app, Request(path=path))
    served = (await ask(app, METRICS)).body.decode()
    expected = samples_of(plain.text_string_to_metric_families(served))
    assert ("asgi_serial_cache_stored_total", {"process_pid": str(os.getpid())}, 2) in expected
    registry = registry_of(app)
    text = exposition.generate_latest(registry).decode()
    assert samples_of(plain.text_string_to_metric_families(text)) == expected
    text = openmetrics_exposition.generate_latest(registry).decode()
    families = list(openmetrics.text_string_to_metric_families(text))
    assert samples_of(families) == expected
    assert {one.name: one.unit for one in families}["asgi_serial_memory_size_bytes"] == "bytes"


@awaited
async def test_an_app_may_be_registered_before_its_first_request():
    app = Starlette(routes=[Route("/a/{x}", lambda request: PlainTextResponse("a"))])
    app.add_middleware(SerialMiddleware)
    registry = registry_of(app)
    assert exposition.generate_latest(registry) == b""
    await ask(app, Request(path="/a/1"))
    labels = {
        "http_request_method": "GET",
        "http_route": "/a/{x}",
        "http_response_status_code": "200",
    }
    name = "http_server_request_duration_seconds_count"
    assert registry.get_sample_value(name, labels) == 1


@awaited
async def test_it_is_the_way_for_litestar_whose_middleware_sees_known_routes_only():
    @get("/a/{x:int}", sync_to_thread=False)
    def handler(x: FromPath[int]) -> int:
        return x

    app = Litestar([handler], middleware=[DefineMiddleware(SerialMiddleware)])
    registry = registry_of(app)
    await ask(app, Request(path="/a/1"))
    labels = {
        "http_request_method": "GET",
        "http_route": "/a/{x}",
        "http_response_status_code": "200",
    }
    name = "http_server_request_duration_seconds_count"
    assert registry.get_sample_value(name, labels) == 1


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigurationError, match=r'pip install "asgi-serial\[prometheus\]"'):
        prometheus_collector(None)
