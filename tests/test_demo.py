"""The demonstration API, and the command that serves it."""

import asyncio
import re
import runpy
import socket
import subprocess
import sys

import msgpack
import pytest
import uvicorn

from asgi_serial import __main__, timing_report
from asgi_serial.admin.page.style import POLICY
from asgi_serial.cli import demo
from asgi_serial.cli.demo_command import find_port
from asgi_serial.cli.demo_page import BURST
from tests.admin.dom import parse
from tests.cache.services import free_port
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


class Served:
    """What would be served, in place of serving it."""

    def __init__(self):
        self.ports = []
        self.listens = True

    def run(self, server, sockets):
        (bound,) = sockets
        self.ports.append(bound.getsockname()[1])
        server.started = False

        async def startup(given, sockets=None):
            given.started = self.listens

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(uvicorn.Server, "startup", startup)
            asyncio.run(server.startup(sockets))


@pytest.fixture
def served(monkeypatch):
    one = Served()
    monkeypatch.setattr(demo.DemoServer, "run", lambda self, sockets: one.run(self, sockets))
    monkeypatch.delenv("PORT", raising=False)
    return one


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_command_prints_where_it_serves(served, capsys):
    port = free_port()
    assert __main__.main(["demo", "--port", str(port)]) == 0
    printed = capsys.readouterr().out
    assert served.ports == [port]
    assert f"\n  http://127.0.0.1:{port}/\n" in printed
    assert f"'http://127.0.0.1:{port}/cities'" in printed
    assert "{base}" not in printed
    assert "Ctrl+C" in printed


def test_what_does_not_listen_says_nothing(served, capsys):
    served.listens = False
    __main__.main(["demo", "--port", "0"])
    assert capsys.readouterr().out == ""


def test_a_port_that_is_taken_is_replaced_by_a_free_one(served, capsys, taken):
    assert __main__.main(["demo", "--port", str(taken)]) == 0
    (port,) = served.ports
    printed = capsys.readouterr().out
    assert port != taken
    assert printed.startswith(f"Port {taken} is taken; this is served at {port}.")
    assert f"'http://127.0.0.1:{port}/cities'" in printed


def test_the_port_may_come_from_the_environment(served, monkeypatch):
    port = free_port()
    monkeypatch.setenv("PORT", str(port))
    __main__.main(["demo"])
    assert served.ports == [port]


@pytest.mark.parametrize(
    ("given", "environ", "port"),
    [
        (None, {}, 8000),
        (None, {"PORT": " "}, 8000),
        (None, {"PORT": "9000"}, 9000),
        (7000, {"PORT": "9000"}, 7000),
        (0, {}, 0),
    ],
)
def test_an_option_beats_the_environment(given, environ, port):
    assert find_port(given, environ) == port


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        (["demo"], "http"),
        (["demo"], "-1"),
        (["demo"], "9" * 10_000),
        (["demo", "--port", "70000"], ""),
        (["demo", "--host", "192.0.2.1", "--port", "0"], ""),
    ],
)
def test_where_it_cannot_listen_it_says_so(served, capsys, monkeypatch, arguments, variable):
    monkeypatch.setenv("PORT", variable)
    assert __main__.main(arguments) == 2
    assert re.match(r"\S+( -m asgi_serial)? demo: (PORT|--port|cannot)", capsys.readouterr().err)
    assert served.ports == []


def test_all_addresses_are_reached_at_that_of_this_machine(served, capsys):
    __main__.main(["demo", "--host", "0.0.0.0", "--port", "0"])
    assert f"  http://127.0.0.1:{served.ports[0]}/\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["demos"], ["demo", "--port", "many"]], ids=str)
def test_what_the_command_does_not_know_it_says(served, capsys, arguments):
    with pytest.raises(SystemExit) as left:
        __main__.main(arguments)
    assert left.value.code == 2
    assert "usage: python -m asgi_serial" in capsys.readouterr().err
    assert served.ports == []


def test_the_package_runs_as_a_module(served, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["asgi_serial", "demo", "--port", "0"])
    monkeypatch.delitem(sys.modules, "asgi_serial.__main__")
    runpy.run_module("asgi_serial", run_name="__main__")
    assert len(served.ports) == 1


def test_every_url_to_paste_is_quoted():
    """Since zsh takes `?` and `[` for patterns."""
    text = demo.lines_for("http://[::1]:8000")
    commands = [line for line in text.splitlines() if "curl" in line or line.startswith("    -")]
    assert len(commands) > 15
    for line in commands:
        assert "http" not in re.sub(r"'[^']*'", "", line)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_upload_to_paste_is_messagepack_in_any_shell(shell):
    upload = re.search(r"printf '[^']+'", demo.lines_for("http://127.0.0.1:8000")).group()
    made = subprocess.run([shell, "-c", upload], capture_output=True, check=True, timeout=60)
    assert msgpack.unpackb(made.stdout) == {"name": "Porto"}


@awaited
async def test_an_upload_that_is_no_json_is_the_clients_fault(app):
    answer = await ask(app, post("/echo", b"{"))
    assert (answer.status, "not JSON" in answer.document["error"]) == (400, True)


def tiles_of(answer):
    return {
        tile.one("div", class_="label").text: tile.one("div", class_="value").text
        for tile in parse(answer.content).all("div", class_="tile")
    }


@awaited
async def test_the_front_page_shows_hits_and_times_and_leads_to_the_report(app):
    before = await ask(app, Request(path="/"))
    assert (before.status, before.media_type) == (200, "text/html")
    assert before.one("content-security-policy") == POLICY
    assert tiles_of(before)["Slowest city list"] == "–"
    tried = await ask(app, Request("POST", "/try"))
    assert (tried.status, tried.one("location")) == (303, "/")
    after = await ask(app, Request(path="/"))
    tiles = tiles_of(after)
    assert int(tiles["Requests"]) == BURST  # those for the front page itself are not counted
    assert tiles["Slowest city list"].endswith("s")
    tree = parse(after.content)
    assert tree.one("meta", http_equiv="refresh")["content"] == "2"
    links = [link["href"] for link in tree.all("a")]
    assert {demo.REPORT_PATH, "/cities", "/cities/3", "/clock", "?still"} <= set(links)
    cities = tree.one("tbody").all("tr")[0]
    assert [cell.text for cell in cities.all("td")][:2] == [str(BURST), "98 %"]
    assert tree.one("footer").text.endswith("Stop the demonstration with Ctrl+C.")


@awaited
async def test_the_front_page_can_be_held_still(app):
    tree = parse((await ask(app, Request(path="/", query=b"still"))).content)
    assert tree.all("meta", http_equiv="refresh") == []
    assert "/" in [link["href"] for link in tree.all("a")]


@awaited
async def test_each_try_begins_with_a_request_that_the_app_answers(app, no_waiting):
    for _ in range(2):
        await ask(app, Request("POST", "/try"))
    assert no_waiting == [0.5, 0.5]
