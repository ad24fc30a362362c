"""The report over HTTP: its representations, its methods, and the state of the engine in it."""

import json

import pytest

from asgi_serial import SerialMiddleware
from asgi_serial.admin.report_endpoint import report_messages
from asgi_serial.admin.state import describe_settings, engine_report, engine_statistics
from asgi_serial.admin.versions import find_version
from asgi_serial.settings.model import Settings
from asgi_serial.version import __version__
from tests.engine.driver import Request, Whole, ask, awaited
from tests.engine.making import content_of, fields_of, make_engine
from tests.timing.recording import record

REPORTING = {"report_path": "/-/timing"}


async def ask_for(engine, method="GET", **fields):
    request = Request(method, "/-/timing").having(host="localhost", **fields)
    return await report_messages(engine, request.make_scope(), request.make_receive())


@awaited
async def test_it_is_text_or_json_for_who_asks():
    engine = make_engine(**REPORTING)
    text = await ask_for(engine)
    assert fields_of(text)[b"content-type"].startswith(b"text/plain")
    data = await ask_for(engine, accept="application/json")
    assert json.loads(content_of(data))["totals"]["count"] == 0
    assert fields_of(data)[b"cache-control"] == b"no-store"


@pytest.mark.parametrize(
    ("method", "status", "has_content"),
    [("GET", 200, True), ("HEAD", 200, False), ("PUT", 405, True)],
)
@awaited
async def test_it_is_read_and_never_written(method, status, has_content):
    out = await ask_for(make_engine(**REPORTING), method)
    assert out[0]["status"] == status
    assert bool(content_of(out)) is has_content


@pytest.mark.parametrize(
    ("given", "status"),
    [("Bearer secret", 200), ("bearer secret", 200), ("Bearer other", 401), ("", 401)],
)
@awaited
async def test_it_may_ask_for_a_token(given, status):
    out = await ask_for(make_engine(**REPORTING, report_token="secret"), authorization=given)
    assert out[0]["status"] == status
    assert (b"www-authenticate" in fields_of(out)) is (status == 401)


def test_the_second_level_is_in_it():
    class Counting:
        open_breakers = 1

        def statistics(self):
            return {"gets": 3}

        def state(self):
            return {"target": "a store", "state": "open", "last_failure": None}

    engine = make_engine(**REPORTING)
    engine.responses.store = Counting()
    statistics = engine_statistics(engine)
    assert statistics["store_gets"] == 3
    assert statistics["store_writes_dropped"] == 0
    assert engine_report(engine).to_dict()["store"]["state"] == "open"


@awaited
async def test_what_is_off_is_not_in_it():
    engine = make_engine(**REPORTING, encodings_cache=False, timing=False)
    data = await ask_for(engine, accept="application/json")
    assert "encodings_hits" not in json.loads(content_of(data))["engine"]


@awaited
async def test_the_json_has_the_state_of_all_parts():
    engine = make_engine(**REPORTING, report_token="hunter2-hunter2", cache_ttl="90s")
    data = await ask_for(engine, accept="application/json", authorization="Bearer hunter2-hunter2")
    report = json.loads(content_of(data))
    assert b"hunter2" not in content_of(data)
    assert len(report["history"]) == 60
    assert report["slowest"] == []
    assert report["store"] is None
    assert report["versions"]["asgi_serial"] == __version__
    assert report["versions"]["br"].startswith("brotli 1.")
    assert report["cost"] == {
        **{"requests": 0, "own_ms": 0, "own_ms_per_request": 0.0, "total_ms": 0},
        "stages_ms": {"decode": 0, "look-up": 0, "encode": 0},
    }
    settings = {one["name"]: one for one in report["settings"]}
    assert list(settings) == list(Settings.model_fields)
    assert settings["cache_memory"]["text"] == "64 MB"
    assert settings["cache_store_timeout"]["text"] == "250 ms"
    assert settings["codings"]["text"] == "zstd, br, gzip"
    assert settings["enabled"]["text"] == "on"
    assert settings["format_uploads"]["text"] == "unset"
    assert settings["max_ratio"]["text"] == "200"
    assert (settings["cache_ttl"]["value"], settings["cache_ttl"]["text"]) == (90.0, "90 s")
    assert settings["report_token"]["value"] == "(secret)"


def test_a_secret_url_and_the_policies_of_routes_are_shown_in_part():
    settings = Settings.load(
        {
            "cache_url": "redis://user:hunter2@cache:6379/0",
            "routes": {"/a/*": {"cache_ttl": 5}},
            "timing_exclude": "/healthz, GET /internal/**",
            "metrics_buckets": [0.5, 1],
        },
        {},
    )
    described = describe_settings(settings)
    shown = {one["name"]: one["text"] for one in described}
    assert shown["cache_url"] == "redis://***@cache:6379/0"
    assert shown["routes"] == "/a/*"
    assert shown["timing_exclude"] == "/healthz, GET /internal/**"
    values = {one["name"]: one["value"] for one in described}
    assert values["timing_exclude"] == ["/healthz", "GET /internal/**"]
    assert shown["metrics_buckets"] == "500 ms, 1 s"


def test_each_setting_has_the_source_of_its_value():
    variables = {"ASGI_SERIAL_GZIP_LEVEL": "4", "ASGI_SERIAL_CACHE_TTL": "5"}
    settings = Settings.load({"cache_ttl": "9s", "preset": "conformance"}, variables)
    sources = {one["name"]: one["source"] for one in describe_settings(settings)}
    assert sources["cache_ttl"] == sources["preset"] == "argument"
    assert sources["gzip_level"] == "ASGI_SERIAL_GZIP_LEVEL"
    assert sources["compression"] == "preset conformance"
    assert sources["min_size"] == "default"


def test_a_part_that_is_not_installed_has_no_version():
    assert find_version("no-such-distribution") == ""


@awaited
async def test_whatever_clients_and_resolvers_give_is_bounded_and_escaped():
    """Routes without end, of 10,000 characters and of markup; paths of markup."""
    markup = "/<script>alert(1)</script>"
    serial = SerialMiddleware(
        Whole(b"x"), report_path="/-/timing", route_resolver=lambda scope: markup + "x" * 10_000
    )
    local = Request(path="/-/timing").having(host="localhost", accept="text/html")
    await ask(serial, Request(path=markup + "y" * 10_000))
    for number in range(100_000):
        record(serial.engine.series, f"/{number}")
    answer = await ask(serial, local.having(accept_encoding="gzip"))
    assert len(answer.body) <= 20_000
    page = answer.content
    assert b"<script" not in page
    assert page.count(b"&lt;script&gt;alert(1)&lt;/script&gt;") >= 2
    assert b"x" * 200 not in page
    assert b"y" * 200 not in page
    report = engine_report(serial.engine).to_dict()
    assert len(report["routes"]) <= serial.engine.settings.max_series + 1
    assert report["totals"]["count"] == 100_001
    assert max(map(len, (one["path"] for one in report["slowest"]))) <= 200
    text = (await ask(serial, Request(path="/-/timing").having(host="localhost"))).body.decode()
    assert max(map(len, text.splitlines())) <= 100
