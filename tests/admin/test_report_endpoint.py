"""The report over HTTP: its representations, its methods, and the state of the engine in it."""

import json

import pytest

from asgi_serial.admin.report_endpoint import report_messages
from asgi_serial.admin.state import engine_statistics
from tests.engine.driver import Request, awaited
from tests.engine.making import content_of, fields_of, make_engine

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
        def statistics(self):
            return {"gets": 3}

    engine = make_engine(**REPORTING)
    engine.responses.store = Counting()
    statistics = engine_statistics(engine)
    assert statistics["store_gets"] == 3
    assert statistics["store_writes_dropped"] == 0


@awaited
async def test_what_is_off_is_not_in_it():
    engine = make_engine(**REPORTING, encodings_cache=False, timing=False)
    data = await ask_for(engine, accept="application/json")
    assert "encodings_hits" not in json.loads(content_of(data))["engine"]
