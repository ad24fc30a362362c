"""The demonstration API, and the command that serves it."""

import re
import runpy
import subprocess
import sys

import msgpack
import pytest
import uvicorn

from asgi_serial import __main__, timing_report
from asgi_serial.cli import demo
from tests.engine.driver import Request, ask, awaited


@pytest.fixture
def no_waiting(monkeypatch):
    """What the demo sleeps, it sleeps in no time."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(demo.asyncio, "sleep", sleep)
    return slept


@pytest.fixture
def app(no_waiting):
    return demo.build_demo()


def post(path, content, media_type="application/json"):
    return Request("POST", path, body=(content,)).having(content_type=media_type)


@awaited
async def test_the_list_is_made_once_and_kept(app, no_waiting):
    answers = [await ask(app, Request(path="/cities")) for _ in range(2)]
    assert [answer.cached for answer in answers] == ["fwd=uri-miss, stored", "hit"]
    assert answers[0].document == answers[1].document == demo.CITIES
    assert no_waiting == [0.5]


@pytest.mark.parametrize("coding", ["zstd", "br", "gzip"])
@awaited
async def test_the_list_comes_in_every_coding(app, coding):
    answer = await ask(app, Request(path="/cities").having(accept_encoding=coding))
    assert (answer.coding, answer.document) == (coding, demo.CITIES)
    assert answer.one("etag").endswith(f'-{coding}"')


@awaited
async def test_one_city_has_a_tag_of_its_own(app):
    request = Request(path="/cities/3")
    answer = await ask(app, request)
    assert answer.document == demo.CITIES[3]
    again = await ask(app, request.having(if_none_match=answer.one("etag")))
    assert (answer.one("etag"), again.status) == ('"city-3"', 304)


@awaited
async def test_there_is_no_city_beyond_the_last(app):
    answer = await ask(app, Request(path=f"/cities/{len(demo.CITIES)}"))
    assert (answer.status, answer.document) == (404, {"detail": "no such city"})


@awaited
async def test_a_search_is_answered_by_its_body(app, no_waiting):
    names = (b"POR", b"POR", b"gh")
    answers = [await ask(app, post("/search", b'{"name": "%s"}' % name)) for name in names]
    assert [answer.cached == "hit" for answer in answers] == [False, True, False]
    assert {city["name"] for city in answers[0].document} == {"Porto"}
    assert {city["name"] for city in answers[2].document} == {"Ghent"}
    assert len(no_waiting) == 2


@awaited
async def test_an_upload_in_messagepack_is_json_to_the_app(app):
    answer = await ask(app, post("/echo", b"\x81\xa4name\xa5Porto", "application/vnd.msgpack"))
    assert answer.document == {"content_type": "application/json", "got": {"name": "Porto"}}


@awaited
async def test_the_clock_ticks_five_times(app, no_waiting):
    answer = await ask(app, Request(path="/clock").having(accept_encoding="gzip"))
    assert answer.coding == "gzip"
    assert answer.content == b"".join(b"data: tick %d\n\n" % tick for tick in range(5))
    assert no_waiting == [0.5] * 5


@awaited
async def test_the_report_is_where_the_lines_say(app):
    await ask(app, Request(path="/cities"))
    report = await ask(app, Request(path=demo.REPORT_PATH).having(host="localhost"))
    assert b"\n/cities " in report.content
    assert timing_report(app).totals["count"] == 1


@pytest.fixture
def served(monkeypatch):
    """How uvicorn is asked to serve, in place of serving."""
    calls = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: calls.append((app, options)))
    return calls


@pytest.mark.parametrize(
    ("arguments", "host", "port"),
    [
        (["demo"], "127.0.0.1", 8000),
        (["demo", "--host", "0.0.0.0", "--port", "9000"], "0.0.0.0", 9000),
    ],
    ids=["by default", "as told"],
)
def test_the_command_prints_lines_for_where_it_serves(served, capsys, arguments, host, port):
    __main__.main(arguments)
    ((_, options),) = served
    assert (options["host"], options["port"]) == (host, port)
    printed = capsys.readouterr().out
    assert f"http://{host}:{port}/cities" in printed
    assert "{base}" not in printed


@pytest.mark.parametrize("arguments", [[], ["serve"], ["demo", "--port", "many"]], ids=str)
def test_what_the_command_does_not_know_it_says(served, capsys, arguments):
    with pytest.raises(SystemExit) as left:
        __main__.main(arguments)
    assert left.value.code == 2
    assert "usage: python -m asgi_serial" in capsys.readouterr().err
    assert served == []


def test_the_package_runs_as_a_module(served, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["asgi_serial", "demo"])
    monkeypatch.delitem(sys.modules, "asgi_serial.__main__")
    runpy.run_module("asgi_serial", run_name="__main__")
    assert len(served) == 1


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_upload_to_paste_is_messagepack_in_any_shell(shell, capsys):
    demo.print_lines("127.0.0.1", 8000)
    upload = re.search(r"printf '[^']+'", capsys.readouterr().out).group()
    made = subprocess.run([shell, "-c", upload], capture_output=True, check=True, timeout=60)
    assert msgpack.unpackb(made.stdout) == {"name": "Porto"}


@awaited
async def test_an_upload_that_is_no_json_is_the_clients_fault(app):
    answer = await ask(app, post("/echo", b"{"))
    assert (answer.status, "not JSON" in answer.document["error"]) == (400, True)
