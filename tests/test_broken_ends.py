"""A response that breaks off and looks whole: nothing of its call is given to anybody."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from asgi_serial.request.plan import plan_request
from asgi_serial.store.aiocache_store import open_store
from tests.cache.entries import DictStore
from tests.cache.services import redis_server
from tests.engine.driver import (
    Clock,
    Recording,
    Request,
    ask,
    awaited,
    drive,
    heard,
    serial_of,
    settled,
    told,
    until,
)
from tests.engine.making import FRESH, JSON, body, length_of, start
from tests.engine.scripts import DOCUMENT

HALF = b"id,name\n" + b"1,ada\n" * 400
REST = b"2,bob\n"
CSV = [(b"content-type", b"text/csv"), FRESH]


async def add_header(request, call_next):
    response = await call_next(request)
    response.headers["x-app"] = "1"
    return response


async def gather_body(request, call_next):
    """As middleware does that makes an ETag of the body: the length is that of what has come."""
    response = await call_next(request)
    content = b"".join([chunk async for chunk in response.body_iterator])
    fields = {"cache-control": "max-age=60", "content-type": "text/csv"}
    return Response(content, response.status_code, fields)


class Exports:
    """A Starlette app whose first stream breaks off, behind middleware that does not know."""

    def __init__(self, *dispatches, breaks=1):
        self.calls = 0
        self.breaks = breaks
        self.gate = asyncio.Event()
        self.gate.set()
        stack = [Middleware(BaseHTTPMiddleware, dispatch) for dispatch in dispatches]
        self.app = Starlette(routes=[Route("/", self.export)], middleware=stack)

    async def export(self, request):
        self.calls += 1
        breaks_off = self.calls <= self.breaks

        async def rows():
            yield HALF
            await self.gate.wait()
            if breaks_off:
                raise ConnectionError("the database went away")
            yield REST

        fields = {"cache-control": "max-age=60"}
        return StreamingResponse(rows(), media_type="text/csv", headers=fields)

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


STACKS = {
    "a middleware": [add_header],
    "two": [add_header, add_header],
    "one that gathers the body": [gather_body],
    "one that gathers it, inside another": [add_header, gather_body],
}
each_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)


class Ticking(Clock):
    """A clock that goes on whenever it is looked at, so that a drop is before what follows it."""

    def __call__(self):
        self.now += 0.001
        return self.now


@each_stack
@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd"])
@awaited
async def test_what_broke_off_behind_a_base_http_middleware_is_no_hit(stack, coding):
    app = Exports(*stack)
    serial = serial_of(app, clock=Ticking())
    get = Request().having(accept_encoding=coding)
    first = await drive(serial, get)
    assert first.error is not None
    answers = [await ask(serial, get) for _ in range(3)]
    assert [answer.content for answer in answers] == [HALF + REST] * 3
    assert [answer.cached == "hit" for answer in answers] == [False, True, True]
    assert app.calls == 2


@pytest.mark.parametrize("stack", [STACKS["a middleware"], STACKS["two"]], ids=["one", "two"])
@awaited
async def test_those_who_wait_make_calls_of_their_own(stack):
    app = Exports(*stack, breaks=2)
    app.gate.clear()
    serial = serial_of(app, cache_ttl="60s")
    asked = [asyncio.ensure_future(drive(serial, Request())) for _ in range(4)]
    await until(lambda: app.calls)
    await settled()
    assert app.calls == 1  # the others wait
    app.gate.set()
    recordings = await asyncio.gather(*asked)
    contents = [b"".join(m.get("body", b"") for m in one.messages) for one in recordings]
    errors = [one for one in recordings if one.error is not None]
    assert len(errors) == app.breaks
    assert sorted(contents) == [HALF] * 2 + [HALF + REST] * 2
    assert app.calls == 3


@each_stack
@awaited
async def test_no_other_process_gets_it_out_of_a_redis(stack):
    app = Exports(*stack)
    with redis_server() as service:
        url = f"redis://127.0.0.1:{service.port}/0"
        stores = [open_store(url, timeout=5.0) for _ in range(2)]
        clock = Ticking()
        first, second = (serial_of(app, store=store, clock=clock) for store in stores)
        for process in (first, second):
            await process.engine.responses.purge_sync.listen()
        assert (await drive(first, Request())).error is not None
        await first.engine.responses.flush()
        answer = await ask(second, Request())
        assert (answer.content, answer.cached == "hit") == (HALF + REST, False)
        await second.engine.responses.flush()
        assert (await ask(second, Request())).cached == "hit"
        for store in stores:
            await store.close()


class Scripted:
    """An app that sends messages, and then does what it is told."""

    def __init__(self, *messages, then=None):
        self.messages = messages
        self.then = then
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        for message in self.messages:
            await send(message)
        if self.then is not None:
            await self.then()


async def fail():
    raise ValueError("after the response")


async def be_cancelled():
    raise asyncio.CancelledError


WHOLE = {
    "of a stated length": [start(*CSV, length_of(HALF)), body(HALF[:9], True), body(HALF[9:])],
    "in one message": [start(*CSV), body(HALF)],
    "without content": [start(FRESH, status=204), body()],
}
UNSURE = {
    "in pieces": [start(*CSV), body(HALF, True), body()],
    "in pieces, the last of them not empty": [start(*CSV), body(HALF, True), body(REST)],
    "in pieces, to be translated": [start(JSON, FRESH), body(b"[1,", True), body(b"2]")],
    "empty": [start(*CSV), body()],
}
HOST = {b"host": b"example.org"}
CLIENTS = {
    "a plain client": Request(),
    "a client of gzip": Request().having(accept_encoding="gzip"),
    "a client of MessagePack": Request().having(accept="application/msgpack"),
}
each_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


async def outcome(messages, client, then):
    """What the cache says to the next client, after the app has done so much."""
    serial = serial_of(Scripted(*messages, then=then), clock=Ticking())
    try:
        await drive(serial, client)
    except asyncio.CancelledError:
        pass
    serial.app = Scripted(*messages)
    return (await ask(serial, client)).cached


@each_client
@pytest.mark.parametrize("messages", [*WHOLE.values(), *UNSURE.values()], ids=[*WHOLE, *UNSURE])
@awaited
async def test_an_app_that_fails_after_its_response_has_nothing_stored(messages, client):
    assert await outcome(messages, client, fail) != "hit"


@each_client
@pytest.mark.parametrize("messages", [*WHOLE.values(), *UNSURE.values()], ids=[*WHOLE, *UNSURE])
@awaited
async def test_an_app_that_returns_has_its_response_stored(messages, client):
    assert await outcome(messages, client, None) == "hit"


@each_client
@pytest.mark.parametrize(
    ("messages", "is_kept"),
    [
        *[pytest.param(one, True, id=name) for name, one in WHOLE.items()],
        *[pytest.param(one, False, id=name) for name, one in UNSURE.items()],
    ],
)
@awaited
async def test_a_call_that_is_cancelled_has_stored_what_is_surely_whole(messages, client, is_kept):
    assert (await outcome(messages, client, be_cancelled) == "hit") is is_kept


@each_client
@pytest.mark.parametrize(
    ("messages", "is_visible"),
    [
        *[pytest.param(one, True, id=name) for name, one in WHOLE.items()],
        *[pytest.param(one, False, id=name) for name, one in UNSURE.items()],
    ],
)
@awaited
async def test_what_is_surely_whole_is_visible_before_background_work(messages, client, is_visible):
    asked = []

    async def look():
        serial.app = Scripted(*messages)
        recording = await drive(serial, client)
        asked.append(b"; hit;" in dict(recording.start["headers"])[b"cache-status"])

    serial = serial_of(Scripted(*messages, then=look))
    await drive(serial, client)
    assert asked == [is_visible]


@pytest.mark.parametrize("messages", UNSURE.values(), ids=UNSURE)
@each_client
@awaited
async def test_nothing_is_promised_of_what_is_not_surely_whole(messages, client):
    recording = await drive(serial_of(Scripted(*messages)), client)
    assert dict(recording.start["headers"])[b"cache-status"] == b"asgi_serial; fwd=uri-miss"


@awaited
async def test_those_who_wait_for_what_is_not_surely_whole_wait_for_the_app_to_return():
    gate, sent = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        calls.append(1)
        await settled()  # the other comes
        for message in UNSURE["in pieces"]:
            await send(message)
        sent.set()
        await gate.wait()

    calls: list[int] = []
    serial = serial_of(app, cache_ttl="60s")
    asked = [asyncio.ensure_future(ask(serial, Request())) for _ in range(2)]
    await sent.wait()
    await settled()
    assert not asked[1].done()
    gate.set()
    assert [one.content for one in await asyncio.gather(*asked)] == [HALF] * 2
    assert len(calls) == 1


@awaited
async def test_another_process_that_has_it_already_is_told():
    store, clock = DictStore(), Clock()
    app = Scripted(*WHOLE["of a stated length"])
    first, second = (serial_of(app, store=store, clock=clock, cache_poll="50ms") for _ in range(2))
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()

    async def load_and_fail():
        await first.engine.responses.flush()
        assert (await ask(second, Request())).cached == "hit"
        raise ValueError("after the response")

    app.then = load_and_fail
    assert (await drive(first, Request())).error is not None
    app.then = None
    await told(first)
    await heard(second)
    for process in (second, first):
        assert (await ask(process, Request())).cached != "hit"


@awaited
async def test_a_write_to_the_second_level_that_waits_is_not_made():
    store = DictStore()
    serial = serial_of(Scripted(*WHOLE["in one message"], then=fail), store=store)
    await serial.engine.responses.purge_sync.listen()
    await drive(serial, Request())
    await serial.engine.responses.flush()
    assert not [value for value in store.values.values() if HALF in value]


@awaited
async def test_a_server_that_does_not_take_the_last_message_is_not_the_apps_failure():
    serial = serial_of(Scripted(*WHOLE["of a stated length"]))

    async def send(message):
        if message["type"] == "http.response.body" and not message["more_body"]:
            raise OSError("the client has left")

    with pytest.raises(OSError, match="has left"):
        await serial(Request().make_scope(), Request().make_receive(), send)
    assert (await ask(serial, Request())).cached == "hit"


@awaited
async def test_a_part_that_is_followed_by_an_exception_is_not_kept():
    part = [
        start(*CSV, (b"content-range", b"bytes 0-8/100"), (b"etag", b'"1"'), status=206),
        body(HALF[:9]),
    ]
    get = Request().having(range="bytes=0-8")
    for then, cached in ((fail, False), (None, True)):
        serial = serial_of(Scripted(*part, then=then), cache_parts=True)
        await drive(serial, get)
        serial.app = Scripted(*part)
        assert ((await ask(serial, get)).cached == "hit") is cached


POSTED = [JSON, FRESH, (b"content-location", b"/")]


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([start(*POSTED, length_of(b"[1]")), body(b"[1]")], id="of a stated length"),
        pytest.param([start(*POSTED), body(b"[1", True), body(b"]")], id="in pieces"),
    ],
)
@pytest.mark.parametrize(("then", "cached"), [(fail, False), (None, True)], ids=["fails", "ends"])
@awaited
async def test_what_a_post_answers_and_fails_after_is_not_kept_for_get(messages, then, cached):
    serial = serial_of(Scripted(*messages, then=then), cache_posted=True, clock=Ticking())
    await drive(serial, Request("POST"))
    serial.app = Scripted(*messages)
    assert ((await ask(serial, Request())).cached == "hit") is cached


@awaited
async def test_a_refresh_that_fails_after_its_response_is_not_kept():
    clock = Clock()
    stale = (b"cache-control", b"max-age=1, stale-while-revalidate=600")
    messages = [start(JSON, stale), body(b"[1]")]
    serial = serial_of(Scripted(*messages), clock=clock)
    await ask(serial, Request())
    clock.now += 10
    serial.app = refreshing = Scripted(start(JSON, stale), body(b"[2]"), then=fail)
    assert (await ask(serial, Request())).content == b"[1]"
    await until(lambda: refreshing.calls and not serial.engine.workers.tasks)
    serial.app = Scripted(start(JSON, stale), body(b"[3]"))
    assert (await ask(serial, Request())).content == b"[3]"


@awaited
async def test_a_confirmation_that_is_followed_by_an_exception_confirms_nothing():
    clock = Clock()
    tag = (b"etag", b'"1"')
    serial = serial_of(Scripted(start(JSON, FRESH, tag), body(b"[1]")), clock=clock)
    await ask(serial, Request())
    clock.now += 100
    serial.app = Scripted(start(FRESH, tag, status=304), body(), then=fail)
    await drive(serial, Request())
    serial.app = Scripted(start(JSON, FRESH, tag), body(b"[2]"))
    assert (await ask(serial, Request())).content == b"[2]"


@awaited
async def test_a_handed_over_exchange_fails_alike():
    """The response of a resource whose last ones were not stored, taken over at its start."""
    client = Request().having(accept_encoding="gzip")
    for then, cached in ((fail, False), (None, True)):
        serial = serial_of(Scripted(start(JSON), body(b"[1]")), clock=Ticking())
        for _ in range(2):
            await drive(serial, client)
        assert serial.engine.calls.is_hit_for_miss(
            plan_request(serial.engine, client.make_scope()).key, calls=2
        )
        big = [start(JSON, FRESH), body(DOCUMENT)]
        serial.app = Scripted(*big, then=then)
        await drive(serial, client)
        serial.app = Scripted(*big)
        assert ((await ask(serial, client)).cached == "hit") is cached


@awaited
async def test_a_response_that_waits_for_its_app_is_within_the_budget():
    """An app may work on for long after its response, for many clients."""
    gate = asyncio.Event()
    messages = [start(JSON, FRESH), body(b"[" + b"1," * 2_000, True), body(b"1]")]
    app = Scripted(*messages, then=gate.wait)
    serial = serial_of(app, cache_memory=40_000, cache_max_object=8_000)
    collecting = serial.engine.collecting
    client = Request().having(accept="application/msgpack")
    requests = [Request(path=f"/{number}", fields=client.fields) for number in range(3)]
    asked = [asyncio.ensure_future(ask(serial, request)) for request in requests]
    await until(lambda: app.calls == 3)
    await settled()
    assert 0 < collecting.held_bytes <= collecting.max_bytes
    gate.set()
    await asyncio.gather(*asked)
    assert collecting.held_bytes == 0
    stored = [
        (await ask(serial, Request(path=f"/{n}", fields=client.fields))).cached for n in (0, 2)
    ]
    # The one that had waited for longest made room for the last.
    assert stored == ["fwd=uri-miss", "hit"]


@pytest.mark.parametrize(("missing", "is_kept"), [(0, True), (1, False)])
@awaited
async def test_an_app_that_stops_when_its_client_has_left_has_stored_what_was_whole(
    missing, is_kept
):
    """Quart ends a file by an empty message, and stops before it where the client is faster."""
    calls = []

    async def app(scope, receive, send):
        calls.append(scope)
        await receive()
        fields = [*CSV, length_of(HALF + REST)]
        await send(start(*fields))
        await send(body(HALF, more=True))
        await send(body(REST[missing:], more=True))
        assert (await receive())["type"] == "http.disconnect"

    serial, request = serial_of(app), Request()

    def client():
        coming = iter([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])

        async def receive():
            return next(coming)

        return receive

    for _ in range(2):
        await serial(request.make_scope(), client(), Recording().send)
    assert len(calls) == (1 if is_kept else 2)
