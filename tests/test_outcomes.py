"""Each exchange is recorded once, with how it ended; see tests/integration for real servers."""

import asyncio
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from asgi_serial import SerialMiddleware, serial, timing_report
from asgi_serial.timing.base import PHASES
from tests.engine.driver import Request, Whole, ask, awaited, drive, settled

TIMING_ALONE = {"compression": False, "formats": False, "decoding": False, "cache": False}
EVERYTHING = {"cache_ttl": 60}
every_setting = pytest.mark.parametrize(
    "options", [TIMING_ALONE, {"cache": False}, EVERYTHING], ids=["timing", "no cache", "all on"]
)
GET = Request(path="/items")
GZIP = GET.having(accept_encoding="gzip")
every_client = pytest.mark.parametrize("request_", [GET, GZIP], ids=["plain", "gzip"])
TEXT = b"some text that a coding makes less of, " * 60
FIELDS = [(b"content-type", b"text/plain")]
START = {"type": "http.response.start", "status": 200, "headers": FIELDS}


def body(content, *, more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


def ends_of(app):
    """The status and outcome of each exchange, with its count; none is still in flight."""
    report = timing_report(app)
    assert report.in_flight == 0
    for row in report.routes:
        assert row["time_ms"] >= 0
        assert sum(row["phases_ms"].values()) + 0.001 >= row["time_ms"]
    return {(row["status"], row["outcome"]): row["count"] for row in report.routes}


class Client:
    """A connection that may be cut; `sent` holds what the client got."""

    def __init__(self, *, breaks_at=None, leaves=False):
        self.sent = []
        self.breaks_at = breaks_at
        self.gone = asyncio.Event()
        self.has_asked = False
        if leaves:
            self.gone.set()

    async def receive(self):
        if not self.has_asked:
            self.has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self.breaks_at is not None and len(self.sent) >= self.breaks_at:
            raise OSError("the connection is closed")
        self.sent.append(message)


async def call(app, client, request=GET):
    await app(request.make_scope(), client.receive, client.send)


@every_setting
@every_client
@pytest.mark.parametrize("pieces", [1, 3])
@awaited
async def test_a_whole_response_is_completed(options, request_, pieces):
    app = SerialMiddleware(Whole(TEXT, pieces=pieces, content_type="text/plain"), **options)
    for _ in range(2):  # the second one is a hit, if the cache is on
        await ask(app, request_)
    assert ends_of(app) == {(200, "completed"): 2}


@every_setting
@every_client
@pytest.mark.parametrize(
    ("messages", "status"),
    [
        pytest.param([], 500, id="before its start"),
        pytest.param([START, body(TEXT, more=True)], 200, id="after its start"),
        pytest.param([START, body(TEXT)], 200, id="after its end"),
    ],
)
@awaited
async def test_an_app_that_raises_has_failed(options, request_, messages, status):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        raise LookupError("of the app")

    served = SerialMiddleware(app, **options)
    recording = await drive(served, request_)
    assert isinstance(recording.error, LookupError)
    assert ends_of(served) == {(status, "failed"): 1}


@every_setting
@every_client
@pytest.mark.parametrize("messages", [[], [START], [START, body(TEXT, more=True)]])
@awaited
async def test_an_app_that_stops_before_the_end_has_failed(options, request_, messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    served = SerialMiddleware(app, **options)
    await drive(served, request_)
    assert list(ends_of(served)) == [(200 if messages else 500, "failed")]


@every_setting
@every_client
@pytest.mark.parametrize("messages", [[], [START, body(TEXT, more=True)]])
@awaited
async def test_a_cancelled_call_is_cancelled(options, request_, messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        await asyncio.Event().wait()

    served, client = SerialMiddleware(app, **options), Client()
    calling = asyncio.create_task(call(served, client, request_))
    await settled()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert ends_of(served) == {(200 if client.sent else 499, "cancelled"): 1}


@every_setting
@every_client
@pytest.mark.parametrize("breaks_at", [0, 1, 2])
@awaited
async def test_a_send_that_fails_is_a_disconnect(options, request_, breaks_at):
    async def app(scope, receive, send):
        await send(START)
        for _ in range(3):
            await send(body(TEXT, more=True))
        await send(body(b""))

    served, client = SerialMiddleware(app, **options), Client(breaks_at=breaks_at)
    with pytest.raises(OSError, match="closed"):
        await call(served, client, request_)
    assert ends_of(served) == {(200 if breaks_at else 499, "disconnected"): 1}


@pytest.mark.parametrize("breaks_at", [0, 1])
@awaited
async def test_a_hit_that_cannot_be_sent_is_a_disconnect(breaks_at):
    served = SerialMiddleware(Whole(TEXT, content_type="text/plain"), cache_ttl=60)
    await ask(served, GET)
    with pytest.raises(OSError, match="closed"):
        await call(served, Client(breaks_at=breaks_at))
    (row,) = [row for row in timing_report(served).routes if row["outcome"] != "completed"]
    assert (row["status"], row["outcome"], row["count"]) == (
        200 if breaks_at else 499,
        "disconnected",
        1,
    )
    assert timing_report(served).in_flight == 0


@every_setting
@pytest.mark.parametrize("sends", [False, True], ids=["and stops", "and sends all the same"])
@awaited
async def test_a_client_that_leaves_before_anything_was_sent_has_the_status_499(options, sends):
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        if sends:
            await send(START)
            await send(body(TEXT))

    served = SerialMiddleware(app, **options)
    await call(served, Client(leaves=True))
    assert ends_of(served) == {(499, "disconnected"): 1}


@every_setting
@every_client
@awaited
async def test_a_client_that_leaves_a_stream_is_disconnected(options, request_):
    async def endless():
        while True:
            yield TEXT
            await asyncio.sleep(0)

    async def app(scope, receive, send):
        await StreamingResponse(endless(), media_type="text/plain")(scope, receive, send)

    served, client = SerialMiddleware(app, **options), Client()
    # From version 2.4 on, Starlette relies on a failing `send`.
    listening = {"asgi": {"version": "3.0", "spec_version": "2.3"}}
    calling = asyncio.create_task(call(served, client, replace(request_, scope=listening)))
    await settled()
    client.gone.set()
    await calling
    assert client.sent[0]["type"] == START["type"]
    assert ends_of(served) == {(200, "disconnected"): 1}


async def handle(request):
    return PlainTextResponse(TEXT, background=BackgroundTask(settled, 3))


async def stream(request):
    async def pieces():
        for _ in range(3):
            yield TEXT
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="text/plain")


async def fail(request):
    raise LookupError("of the handler")


async def pass_on(request, call_next):
    return await call_next(request)


ROUTES = [Route("/whole", handle), Route("/stream", stream), Route("/fails", fail)]


@every_setting
@every_client
@pytest.mark.parametrize("with_base", [False, True], ids=["bare", "BaseHTTPMiddleware inside"])
@awaited
async def test_starlettes_responses_end_as_they_do(options, request_, with_base):
    inner = Starlette(routes=ROUTES)
    if with_base:
        inner.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    served = SerialMiddleware(inner, **options)
    for path in ("/whole", "/stream", "/fails", "/nothing"):
        await drive(served, Request(path=path, fields=request_.fields))
    assert ends_of(served) == {
        (200, "completed"): 1,
        (404, "completed"): 1,
        (500, "failed"): 1,
    } | {(200, "completed"): 1}
    counts = {row["route"]: row["count"] for row in timing_report(served).routes}
    assert counts == {"/whole": 1, "/stream": 1, "/fails": 1, "(unmatched)": 1}
    phases = {row["route"]: row["phases_ms"] for row in timing_report(served).routes}
    assert phases["/whole"]["background"] > 0


@awaited
async def test_a_stale_response_that_stands_in_for_a_failure_is_completed():
    class Failing(Whole):
        fails = False

        async def __call__(self, scope, receive, send):
            if self.fails:
                raise LookupError("of the app")
            await super().__call__(scope, receive, send)

    app = Failing(TEXT, content_type="text/plain", cache_control="max-age=0, stale-if-error=60")
    served = SerialMiddleware(app, cache_confirm=True)
    await ask(served, GET)
    app.fails = True
    await ask(served, GET)
    assert ends_of(served) == {(200, "completed"): 2}
    assert timing_report(served).totals["cache"]["stale"] == 1


@awaited
async def test_requests_that_wait_for_another_are_recorded_however_they_end():
    may_answer = asyncio.Event()
    whole = Whole(TEXT, content_type="text/plain")

    async def app(scope, receive, send):
        await may_answer.wait()
        await whole(scope, receive, send)

    served = SerialMiddleware(app, cache_ttl=60)
    calls = [asyncio.create_task(call(served, Client())) for _ in range(3)]
    await settled()
    assert timing_report(served).in_flight == 3
    calls[1].cancel()
    await settled()
    calls[0].cancel()  # its call goes on for the third one
    await settled()
    may_answer.set()
    await calls[2]
    await settled()
    assert ends_of(served) == {(499, "cancelled"): 2, (200, "completed"): 1}


@pytest.mark.parametrize("options", [TIMING_ALONE, EVERYTHING], ids=["timing", "all on"])
@pytest.mark.parametrize("by", ["decorator", "pattern", "setting", "variable"])
@awaited
async def test_a_route_may_be_left_out(options, by, monkeypatch):
    async def check(request):
        return PlainTextResponse("well")

    handler = serial(timing=False)(check) if by == "decorator" else check
    inner = Starlette(routes=[Route("/healthz", handler), Route("/whole", handle)])
    more = {
        "pattern": {"routes": {"/healthz": {"timing": False}}},
        "setting": {"timing_exclude": "/healthz, GET /internal/**"},
        "variable": {},
        "decorator": {},
    }[by]
    if by == "variable":
        monkeypatch.setenv("ASGI_SERIAL_TIMING_EXCLUDE", "/healthz,/internal/*")
    heard = []

    class Keeping:
        def record(self, sample):
            heard.append(sample.route)

    served = SerialMiddleware(inner, recorder=Keeping(), **options, **more)
    for path in ("/healthz", "/healthz", "/whole", "/healthz"):
        await ask(served, Request(path=path))
    report = timing_report(served)
    assert [row["route"] for row in report.routes] == ["/whole"]
    assert heard == ["/whole"]
    assert (report.in_flight, report.recorder["failures"]) == (0, 0)


@awaited
async def test_the_time_to_the_first_byte_is_that_of_the_first_body_message():
    samples, began = [], []

    class Keeping:
        def record(self, sample):
            samples.append(sample)

    async def app(scope, receive, send):
        await send(START)
        began.append(True)
        await settled(50)
        await send(body(TEXT, more=True))
        await settled(50)
        await send(body(b""))

    for options in (TIMING_ALONE, {"cache": False}):
        await ask(SerialMiddleware(app, recorder=Keeping(), **options), GET)
    for sample in samples:
        phases = dict(zip(PHASES, sample.phases, strict=True))
        assert phases["app-first-byte"] > 0 < phases["app-last-byte"]
        assert sample.first_byte_ns >= phases["app-first-byte"]
        assert sample.total_ns >= sample.first_byte_ns + phases["app-last-byte"] - 2
