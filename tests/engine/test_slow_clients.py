"""Clients that take their time, and what the others have to do with it."""

import asyncio

import pytest

from asgi_serial.asgi.lookup import Lookup

from .driver import Clock, Recording, Request, ask, awaited, drive, serial_of, settled
from .making import FRESH, JSON


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    """A client that does not take a message at once counts as slow."""
    monkeypatch.setattr(Lookup, "client_seconds", 0.0)


class Streaming:
    """An app that answers in pieces; its later calls wait for `gate`."""

    def __init__(self, *fields, free_calls=9):
        self.fields = [JSON, *(fields or [FRESH])]
        self.gate = asyncio.Event()
        self.free_calls = free_calls
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        if self.calls > self.free_calls:
            await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": self.fields})
        await send({"type": "http.response.body", "body": b"[1", "more_body": True})
        await send({"type": "http.response.body", "body": b",2", "more_body": True})
        await send({"type": "http.response.body", "body": b"]"})


class SlowClient:
    """A client that takes one message, and the rest when it is told."""

    def __init__(self, serial):
        self.recording, self.reads = Recording(), asyncio.Event()
        request = Request()
        answer = serial(request.make_scope(), request.make_receive(), self.send)
        self.task = asyncio.ensure_future(answer)

    async def send(self, message):
        await self.recording.send(message)
        await self.reads.wait()

    async def leave(self):
        self.task.cancel()
        await asyncio.wait([self.task])


@pytest.mark.parametrize(
    "fields",
    [pytest.param([], id="no length"), pytest.param([(b"content-length", b"5")], id="a length")],
)
@awaited
async def test_nobody_waits_for_another_client_to_take_its_response(fields):
    serial = serial_of(Streaming(FRESH, *fields), cache_ttl="60s", cache_wait="5m")
    slow = SlowClient(serial)
    await settled()
    others = [asyncio.ensure_future(ask(serial, Request())) for _ in range(2)]
    await settled()
    assert [other.done() and other.result().content for other in others] == [b"[1,2]"] * 2
    assert not slow.task.done()
    await slow.leave()


@awaited
async def test_what_a_slow_client_gets_is_whole_and_is_stored():
    app = Streaming()
    serial = serial_of(app, cache_ttl="60s")
    slow = SlowClient(serial)
    await settled()
    slow.reads.set()
    await slow.task
    assert b"".join(one.get("body", b"") for one in slow.recording.messages) == b"[1,2]"
    assert (await ask(serial, Request())).cached == "hit"
    assert app.calls == 1


@awaited
async def test_others_wait_while_the_client_is_not_slow():
    app = Streaming(free_calls=0)
    serial = serial_of(app, cache_ttl="60s")
    tasks = [asyncio.ensure_future(ask(serial, Request())) for _ in range(3)]
    await settled()
    app.gate.set()
    answers = await asyncio.gather(*tasks)
    assert app.calls == 1
    assert {answer.cached for answer in answers} == {"fwd=uri-miss", "fwd=uri-miss, collapsed"}


@awaited
async def test_after_two_slow_clients_a_request_waits_for_no_third():
    app = Streaming(free_calls=2)
    serial = serial_of(app, cache_ttl="60s", cache_wait="5m")
    slow = [SlowClient(serial) for _ in range(2)]
    others = [asyncio.ensure_future(drive(serial, Request())) for _ in range(2)]
    await settled()
    assert app.calls == 4
    app.gate.set()
    await asyncio.gather(*others)
    for one in slow:
        await one.leave()


@awaited
async def test_a_response_is_no_older_for_the_time_in_which_its_request_arrived():
    clock = Clock()
    routes = {"POST /": {"cache_body": True}}
    serial = serial_of(Streaming((b"cache-control", b"max-age=10")), clock=clock, routes=routes)
    request = Request("POST", body=(b"[", b"]"), fields=(("content-length", "2"),))
    receive_at_once, recording = request.make_receive(), Recording()

    async def receive():
        clock.now += 30
        return await receive_at_once()

    await serial(request.make_scope(), receive, recording.send)
    again = await ask(serial, request)
    assert (again.cached, again.one("age")) == ("hit", "0")
