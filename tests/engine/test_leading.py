"""A call of the app for several requests, and what becomes of it when its own client leaves."""

import asyncio
import gc

import pytest

from asgi_serial.asgi.exchange import Exchange

from .driver import Request, ask, awaited, drive, serial_of, settled, until
from .making import FRESH, JSON


class Slow:
    """An app that answers when it may, and notes what it hears meanwhile."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.calls = 0
        self.heard = []
        self.fails = False

    async def __call__(self, scope, receive, send):
        self.calls += 1
        await receive()
        listening = asyncio.ensure_future(receive())
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.heard.append("cancelled")
            raise
        finally:
            self.heard += [listening.result()["type"]] if listening.done() else []
            listening.cancel()
        if self.fails:
            raise RuntimeError("the app fails")
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": b"[1", "more_body": True})
        await send({"type": "http.response.body", "body": b"]"})


LEAVING, STAYING = Request(leaves=True), Request()


@awaited
async def test_the_app_is_not_told_that_its_client_has_left_while_others_wait():
    app = Slow()
    serial = serial_of(app, cache_ttl="60s")
    leader = asyncio.ensure_future(drive(serial, LEAVING))
    others = [asyncio.ensure_future(ask(serial, STAYING)) for _ in range(3)]
    await settled()
    app.gate.set()
    assert [answer.content for answer in await asyncio.gather(*others)] == [b"[1]"] * 3
    await leader
    assert (app.calls, app.heard) == (1, [])


@awaited
async def test_the_app_is_told_where_nobody_waits():
    app = Slow()
    leader = asyncio.ensure_future(drive(serial_of(app, cache_ttl="60s"), LEAVING))
    await settled()
    app.gate.set()
    await leader
    assert app.heard == ["http.disconnect"]


@awaited
async def test_the_app_is_told_in_the_end_that_nobody_reads():
    app = Slow()
    serial = serial_of(app, cache_ttl="60s", cache_lead="10ms")
    leader = asyncio.ensure_future(drive(serial, LEAVING))
    await settled()
    other = asyncio.ensure_future(ask(serial, STAYING))
    await asyncio.sleep(0.05)
    await settled()
    app.gate.set()
    assert (await other).content == b"[1]"
    await leader
    assert "http.disconnect" in app.heard


@awaited
async def test_a_cancelled_leader_leaves_its_call_to_the_others():
    app = Slow()
    serial = serial_of(app, cache_ttl="60s")
    leader = asyncio.ensure_future(drive(serial, STAYING))
    await settled()
    others = [asyncio.ensure_future(ask(serial, STAYING)) for _ in range(3)]
    await settled()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    app.gate.set()
    assert [answer.content for answer in await asyncio.gather(*others)] == [b"[1]"] * 3
    assert (app.calls, app.heard) == (1, [])


@awaited
async def test_an_app_that_listens_then_hears_nothing_before_its_end():
    heard, gate = [], asyncio.Event()

    async def listening(scope, receive, send):
        await gate.wait()
        heard.append((await receive())["type"])
        waiting = asyncio.ensure_future(receive())
        await settled()
        heard.append(waiting.done())
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": b"[1]"})
        heard.append((await waiting)["type"])

    serial = serial_of(listening, cache_ttl="60s")
    leader = asyncio.ensure_future(drive(serial, STAYING))
    await settled()
    other = asyncio.ensure_future(ask(serial, STAYING))
    await settled()
    leader.cancel()
    await settled()
    gate.set()
    assert (await other).content == b"[1]"
    await settled()
    assert heard == ["http.request", False, "http.disconnect"]


@awaited
async def test_the_call_of_a_cancelled_leader_does_not_go_on_for_ever():
    app = Slow()
    serial = serial_of(app, cache_ttl="60s", cache_lead="10ms")
    leader = asyncio.ensure_future(drive(serial, STAYING))
    await settled()
    other = asyncio.ensure_future(ask(serial, STAYING))
    await settled()
    leader.cancel()
    await until(lambda: "cancelled" in app.heard)
    app.gate.set()
    assert (await other).content == b"[1]"
    assert app.calls == 2


@awaited
async def test_a_failure_after_the_client_has_left_is_logged(caplog):
    app = Slow()
    app.fails = True
    serial = serial_of(app, cache_ttl="60s")
    leader = asyncio.ensure_future(drive(serial, STAYING))
    await settled()
    other = asyncio.ensure_future(drive(serial, STAYING))
    await settled()
    leader.cancel()
    await settled()
    app.gate.set()
    assert isinstance((await other).error, RuntimeError)
    assert "after its client had left" in caplog.text


@awaited
async def test_a_cancelled_leader_alone_takes_its_call_along():
    app = Slow()
    leader = asyncio.ensure_future(drive(serial_of(app, cache_ttl="60s"), STAYING))
    await settled()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    assert app.heard == ["cancelled"]


@awaited
async def test_an_app_may_make_something_else_of_its_cancellation():
    gate = asyncio.Event()

    async def app(scope, receive, send):
        try:
            await gate.wait()
        except asyncio.CancelledError:
            raise RuntimeError("something else") from None

    leader = asyncio.ensure_future(drive(serial_of(app, cache_ttl="60s"), STAYING))
    await settled()
    leader.cancel()
    assert isinstance((await leader).error, RuntimeError)


@awaited
async def test_an_app_that_cancels_itself_is_cancelled():
    async def app(scope, receive, send):
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await serial_of(app, cache_ttl="60s")(STAYING.make_scope(), STAYING.make_receive(), None)


@awaited
async def test_a_call_that_others_may_wait_for_leaves_nothing_to_the_garbage_collector():
    """Its exchange refers to the app's scope, and nothing back to itself once it has ended."""
    app = Slow()
    app.gate.set()
    serial = serial_of(app, cache_ttl="60s")
    gc.collect()
    gc.disable()
    try:
        await ask(serial, STAYING)
        await settled()
        exchanges = [one for one in gc.get_objects() if type(one) is Exchange]
        # Whatever ran in this process before may still be referred to.
        assert [one for one in exchanges if one.engine is serial.engine] == []
    finally:
        gc.enable()
