"""Requests in flight and WebSocket connections are counted, and none of them for ever."""

import asyncio

import pytest

from asgi_serial import SerialMiddleware, timing_report
from tests.engine.driver import Request, Whole, ask, awaited

GET = Request(path="/items")
BODY = "http.response.body"


def gauges_of(app):
    report = timing_report(app)
    return report.in_flight, report.websockets


@pytest.mark.parametrize("cache", [True, False], ids=["cache on", "cache off"])
@awaited
async def test_requests_are_in_flight_until_the_app_has_answered(cache):
    arrived, may_answer = asyncio.Queue(), asyncio.Event()
    plain = Whole(b"content", content_type="text/plain", cache_control="max-age=60")

    async def app(scope, receive, send):
        await arrived.put(scope["path"])
        await may_answer.wait()
        await plain(scope, receive, send)

    served = SerialMiddleware(app, cache=cache)
    asking = [asyncio.create_task(ask(served, Request(path=f"/{n}"))) for n in range(3)]
    for _ in asking:
        await arrived.get()
    assert gauges_of(served)[0] == 3
    may_answer.set()
    await asyncio.gather(*asking)
    await ask(served, Request(path="/1"))
    assert gauges_of(served)[0] == 0
    assert timing_report(served).totals["count"] == 4


@pytest.mark.parametrize(
    ("messages", "fails", "accepted"),
    [
        pytest.param(("websocket.accept", "websocket.send"), False, 1, id="accepted"),
        pytest.param(("websocket.accept", "websocket.send"), True, 1, id="failed while open"),
        pytest.param(("websocket.close",), False, 0, id="refused"),
        pytest.param(("websocket.http.response.start",), False, 0, id="denied"),
    ],
)
@awaited
async def test_a_websocket_is_open_from_its_acceptance_until_the_app_has_returned(
    messages, fails, accepted
):
    sent, seen = [], []

    async def app(scope, receive, send):
        for kind in messages:
            await send({"type": kind})
            seen.append(gauges_of(served)[1])
        if fails:
            raise LookupError("of the app")

    async def send(message):
        sent.append(message["type"])

    served = SerialMiddleware(app)
    scope = {"type": "websocket", "path": "/chat", "headers": []}
    for number in (1, 2):
        if fails:
            with pytest.raises(LookupError):
                await served(scope, asyncio.Queue().get, send)
        else:
            await served(scope, asyncio.Queue().get, send)
        assert seen[-1] == {"accepted": number * accepted, "open": accepted}
        assert gauges_of(served)[1] == {"accepted": number * accepted, "open": 0}
    assert sent == [*messages, *messages]
