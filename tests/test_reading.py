"""Bodies that are read before the app is called: what they may hold, and for how long."""

import asyncio
import gzip
import json
import random

import msgpack
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial import SerialMiddleware
from asgi_serial.engine.engine import Engine
from asgi_serial.settings.model import Settings
from tests.engine.driver import awaited, settled

GZIPPED = (b"content-encoding", b"gzip")
PACKED = (b"content-type", b"application/msgpack")
# Incompressible, so that a body is about as long encoded as decoded.
NOISE = random.Random(1).randbytes(600)
SMALL = {"max_gathered": 1000, "max_encoded": 1000, "max_decoded": 1000}
KEYED = {"routes": {"/**": {"cache_body": True, "cache_ttl": 60}}}


class Upload:
    """A client that sends a body in pieces, the next when it is told to."""

    def __init__(self, app, *fields, path="/", http_version="1.1"):
        self.pieces: asyncio.Queue = asyncio.Queue()
        self.sent: list[dict] = []
        self.asked = 0
        self.app = app
        self.scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "http_version": http_version,
            "headers": [(b"host", b"h"), *fields],
        }

    def give(self, piece, more=False):
        self.pieces.put_nowait({"type": "http.request", "body": piece, "more_body": more})
        return self

    def leave(self):
        self.pieces.put_nowait({"type": "http.disconnect"})
        return self

    async def receive(self):
        self.asked += 1
        message = await self.pieces.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, message):
        self.sent.append(message)

    def start(self):
        return asyncio.create_task(self.app(self.scope, self.receive, self.send))

    @property
    def status(self):
        return self.sent[0]["status"] if self.sent else None

    @property
    def fields(self):
        return dict(self.sent[0]["headers"])

    @property
    def content(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])


async def read_all(receive):
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return body
    return None


async def echo(scope, receive, send):
    """An app that answers with the body that it receives."""
    body = await read_all(receive)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body or b""})


def held_bytes(serial_app):
    return serial_app.engine.workers.bodies.budget.held_bytes


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        pytest.param((GZIPPED,), {}, id="to be decoded"),
        pytest.param((PACKED,), {"format_uploads": True}, id="to be translated"),
        pytest.param((), KEYED, id="to be a part of the key"),
    ],
)
@pytest.mark.parametrize(
    ("http_version", "connection"), [("1.1", b"close"), ("1.0", b"close"), ("2", None), ("3", None)]
)
@awaited
async def test_a_body_that_does_not_come_in_time_is_a_408(
    fields, options, http_version, connection
):
    """RFC 9110, 15.5.9: no complete request within the time that the server is prepared to wait."""
    serial_app = SerialMiddleware(echo, body_timeout="1ms", **options)
    upload = Upload(serial_app, *fields, http_version=http_version).give(b"a", more=True)
    await upload.start()
    assert upload.status == 408
    problem = json.loads(upload.content)
    assert problem["detail"] == "The body did not arrive within 0.001 s."
    assert problem["reason"] == "body-too-slow"
    assert upload.fields.get(b"connection") == connection
    assert upload.fields[b"content-type"] == b"application/problem+json"
    assert held_bytes(serial_app) == 0


@awaited
async def test_what_is_not_read_here_has_no_time_limit():
    serial_app = SerialMiddleware(echo, body_timeout="1ms")
    upload = Upload(serial_app).give(b"a", more=True)
    task = upload.start()
    await asyncio.sleep(0.01)
    upload.give(b"b")
    await task
    assert upload.content == b"ab"


@awaited
async def test_the_oldest_of_too_many_bodies_gives_way_to_a_new_one():
    """RFC 9110, 15.6.4 and 10.2.3: a 503 may say in Retry-After how long to wait."""
    serial_app = SerialMiddleware(echo, **SMALL)
    slow = Upload(serial_app, GZIPPED).give(bytes(600), more=True)
    waiting = slow.start()
    await settled()
    assert held_bytes(serial_app) == 600
    quick = Upload(serial_app, GZIPPED).give(gzip.compress(NOISE))
    await quick.start()
    assert quick.content == NOISE
    await waiting
    assert slow.status == 503
    assert slow.fields[b"retry-after"] == b"5"
    assert slow.fields[b"connection"] == b"close"
    assert json.loads(slow.content)["reason"] == "no-room-for-body"
    assert held_bytes(serial_app) == 0


@awaited
async def test_a_body_is_held_until_the_app_has_received_it():
    may_read, asked = asyncio.Event(), []

    async def app(scope, receive, send):
        asked.append(scope)
        await may_read.wait()
        await echo(scope, receive, send)

    serial_app = SerialMiddleware(app, **SMALL)
    first = Upload(serial_app, GZIPPED).give(gzip.compress(NOISE))
    task = first.start()
    await settled()
    assert held_bytes(serial_app) == len(NOISE)
    second = Upload(serial_app, GZIPPED).give(gzip.compress(NOISE))
    await second.start()
    assert (second.status, len(asked)) == (503, 1)
    may_read.set()
    await task
    assert first.content == NOISE
    third = Upload(serial_app, GZIPPED).give(gzip.compress(NOISE))
    await third.start()
    assert third.content == NOISE
    assert held_bytes(serial_app) == 0


@awaited
async def test_what_a_body_decodes_to_is_held_as_well():
    async def never_reads(scope, receive, send):
        await asyncio.Event().wait()

    serial_app = SerialMiddleware(never_reads, **SMALL)
    dense = gzip.compress(bytes(900))
    first = Upload(serial_app, GZIPPED).give(dense)
    task = first.start()
    await settled()
    assert held_bytes(serial_app) == 900
    second = Upload(serial_app, GZIPPED).give(dense)
    await second.start()
    assert second.status == 503
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert held_bytes(serial_app) == 0


@awaited
async def test_a_body_for_which_there_is_no_room_is_no_part_of_the_key():
    async def never_reads(scope, receive, send):
        await asyncio.Event().wait()

    apps = {b"/held": never_reads, b"/": echo}

    async def app(scope, receive, send):
        await apps[scope["raw_path"]](scope, receive, send)

    serial_app = SerialMiddleware(app, **SMALL, **KEYED)
    first = Upload(serial_app, GZIPPED, path="/held").give(gzip.compress(bytes(900)))
    task = first.start()
    await settled()
    keyed = Upload(serial_app).give(b"a" * 50, more=True).give(b"b" * 50)
    await keyed.start()
    assert keyed.content == b"a" * 50 + b"b" * 50
    assert serial_app.engine.responses.stored == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@awaited
async def test_a_body_in_pieces_of_nothing_is_bounded_too():
    serial_app = SerialMiddleware(echo, **SMALL, **KEYED)
    upload = Upload(serial_app)
    for _ in range(10):
        upload.give(b"", more=True)
    await upload.give(b"end").start()
    assert upload.content == b"end"
    assert upload.asked == 11
    assert serial_app.engine.responses.stored == 0


@awaited
async def test_a_client_that_leaves_gives_its_room_back():
    serial_app = SerialMiddleware(echo, **SMALL)
    upload = Upload(serial_app, GZIPPED).give(bytes(600), more=True).leave()
    await upload.start()
    assert held_bytes(serial_app) == 0


@pytest.mark.parametrize("error", [TimeoutError("the server's"), ConnectionError("the server's")])
@awaited
async def test_an_exception_of_the_server_goes_on(error):
    serial_app = SerialMiddleware(echo, **SMALL)
    upload = Upload(serial_app, GZIPPED).give(bytes(600), more=True)
    upload.pieces.put_nowait(error)
    with pytest.raises(type(error), match="the server's"):
        await upload.start()
    assert held_bytes(serial_app) == 0


@awaited
async def test_a_refused_body_gives_its_room_back():
    serial_app = SerialMiddleware(echo, **SMALL)
    upload = Upload(serial_app, GZIPPED).give(b"no gzip")
    await upload.start()
    assert (upload.status, held_bytes(serial_app)) == (400, 0)


@awaited
async def test_an_answer_out_of_the_cache_gives_the_room_of_its_key_back():
    serial_app = SerialMiddleware(echo, **KEYED)
    for _ in range(2):
        upload = Upload(serial_app).give(b"key")
        await upload.start()
        assert upload.content == b"key"
    assert b"hit" in upload.fields[b"cache-status"]
    assert held_bytes(serial_app) == 0


async def page(request):
    return PlainTextResponse(str(len(await request.body())))


def starlette_app(*routes, **options):
    return Starlette(routes=[Route("/pages", page, methods=["POST"]), *routes], **options)


async def dispatch(request, call_next):
    request.scope["path"] = "/pages"
    return await call_next(request)


@pytest.mark.parametrize(
    ("path", "status", "is_read"),
    [
        pytest.param("/pages", 200, True, id="a route takes it"),
        pytest.param("/nowhere", 404, False, id="no route takes it"),
        pytest.param("/", 405, False, id="no route takes its method"),
    ],
)
@pytest.mark.parametrize("place", ["inside", "around", "FastAPI"])
@awaited
async def test_nothing_is_read_for_what_no_route_takes(path, status, is_read, place):
    reads = Route("/", page, methods=["GET"])
    if place == "around":
        upload = Upload(SerialMiddleware(starlette_app(reads)), GZIPPED, path=path)
    else:
        app = (
            starlette_app(reads)
            if place == "inside"
            else FastAPI(routes=starlette_app(reads).routes)
        )
        app.add_middleware(SerialMiddleware)
        upload = Upload(app, GZIPPED, path=path)
    upload.give(gzip.compress(b"abc"))
    await upload.start()
    assert upload.status == status
    assert (upload.asked > 0) is is_read
    assert upload.content == (b"3" if is_read else upload.content)


@pytest.mark.parametrize(
    "make_app",
    [
        pytest.param(
            lambda: BaseHTTPMiddleware(starlette_app(), dispatch), id="a middleware around the app"
        ),
        pytest.param(lambda: _with_middleware(starlette_app()), id="a middleware of the app"),
        pytest.param(lambda: starlette_app(Mount("/nowhere", starlette_app())), id="a mounted app"),
        pytest.param(lambda: echo, id="an app without routes"),
    ],
)
@awaited
async def test_a_body_is_read_where_the_routes_alone_do_not_decide(make_app):
    serial_app = SerialMiddleware(make_app(), format_uploads=True)
    upload = Upload(serial_app, PACKED, path="/nowhere/pages")
    await upload.give(msgpack.packb([1, 2, 3])).start()
    assert upload.status == 200
    assert upload.content in (b"7", b"[1,2,3]")


def _with_middleware(app):
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    return app


@awaited
async def test_what_no_route_takes_is_no_part_of_a_key():
    serial_app = SerialMiddleware(starlette_app(), **KEYED)
    upload = Upload(serial_app, path="/nowhere").give(b"body")
    await upload.start()
    assert (upload.status, upload.asked) == (404, 0)
    assert serial_app.engine.responses.stored == 0


@awaited
async def test_a_label_that_knows_no_routes_takes_every_body_for_one_that_is_wanted():
    engine = Engine(Settings.load({}, {}), label=lambda scope: "/any")
    upload = Upload(SerialMiddleware(echo, engine=engine), GZIPPED).give(gzip.compress(b"[1]"))
    await upload.start()
    assert (upload.status, upload.content) == (200, b"[1]")
