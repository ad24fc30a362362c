"""Uploads in MessagePack: JSON to an app that reads JSON, and as they came to any other."""

import gzip
from typing import Annotated, Any

import msgpack
import pytest
from fastapi import Body, FastAPI, Request
from litestar import Litestar, post
from litestar.enums import RequestEncodingType
from litestar.middleware import DefineMiddleware
from litestar.params import Body as LitestarBody
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from asgi_serial import ConfigurationError, SerialMiddleware, serial, set_policy
from tests.engine.client import Answer
from tests.engine.driver import Request as ClientRequest
from tests.engine.driver import ask, awaited, drive

pytestmark = pytest.mark.filterwarnings("ignore:.*Reserved kwarg")

BOOK = {"id": 7}
PACKED = msgpack.packb(BOOK)
TYPES = ["application/vnd.msgpack", "application/msgpack", "application/x-msgpack"]


class Book(BaseModel):
    id: int


def starlette_unpacking() -> Any:
    async def handle(request: Any) -> JSONResponse:
        return JSONResponse(msgpack.unpackb(await request.body()))

    return Starlette(routes=[Route("/", handle, methods=["POST"])])


def starlette_reading_json() -> Any:
    async def handle(request: Any) -> JSONResponse:
        return JSONResponse(await request.json())

    return Starlette(routes=[Route("/", handle, methods=["POST"])])


def fastapi_unpacking() -> Any:
    app = FastAPI()

    @app.post("/")
    async def handle(request: Request) -> dict[str, Any]:
        found: dict[str, Any] = msgpack.unpackb(await request.body())
        return found

    return app


def fastapi_of_bytes() -> Any:
    app = FastAPI()

    @app.post("/")
    async def handle(data: Annotated[bytes, Body()]) -> dict[str, Any]:
        found: dict[str, Any] = msgpack.unpackb(data)
        return found

    return app


def fastapi_of_a_model() -> Any:
    app = FastAPI()

    @app.post("/")
    async def handle(book: Book) -> Book:
        return book

    return app


def litestar_of_messagepack() -> Any:
    @post("/", status_code=200)
    async def handle(
        data: Annotated[Book, LitestarBody(media_type=RequestEncodingType.MESSAGEPACK)],
    ) -> Book:
        return data

    return Litestar([handle], logging_config=None)


def litestar_of_a_model(*middleware: Any) -> Any:
    @post("/", status_code=200)
    async def handle(data: Book) -> Book:
        return data

    return Litestar([handle], logging_config=None, middleware=middleware)


NATIVE = [starlette_unpacking, fastapi_unpacking, fastapi_of_bytes, litestar_of_messagepack]
OF_JSON = [fastapi_of_a_model, litestar_of_a_model]


def named(*makers: Any) -> Any:
    return [pytest.param(make, id=make.__name__) for make in makers]


def upload(body: bytes, media_type: str = TYPES[0], *more: tuple[str, str]) -> ClientRequest:
    fields = (("content-type", media_type), ("content-length", str(len(body))), *more)
    return ClientRequest("POST", fields=fields, body=(body,))


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("make", named(*NATIVE))
@awaited
async def test_an_app_that_reads_messagepack_itself_works_as_before(make, media_type):
    request = upload(PACKED, media_type)
    bare, answer = await ask(make(), request), await ask(SerialMiddleware(make()), request)
    assert (answer.status, answer.document) == (bare.status, bare.document) == (200, BOOK)


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("make", named(*OF_JSON))
@awaited
async def test_an_app_that_is_known_to_read_json_gets_json(make, media_type):
    bare = await drive(make(), upload(PACKED, media_type))
    assert bare.error is not None or bare.start["status"] >= 400
    answer = await ask(SerialMiddleware(make()), upload(PACKED, media_type))
    assert (answer.status, answer.document) == (200, BOOK)


@awaited
async def test_a_middleware_of_litestar_knows_the_handler_by_the_scope():
    app = litestar_of_a_model(DefineMiddleware(SerialMiddleware))
    answer = await ask(app, upload(PACKED))
    assert (answer.status, answer.document) == (200, BOOK)


SAYING_SO: list[dict[str, Any]] = [
    {"format_uploads": "on"},
    {"routes": {"POST /": {"format_uploads": True}}},
]


@pytest.mark.parametrize("settings", SAYING_SO, ids=["for all", "for a route"])
@awaited
async def test_an_app_that_says_so_gets_json(settings):
    answer = await ask(SerialMiddleware(starlette_reading_json(), **settings), upload(PACKED))
    assert (answer.status, answer.document) == (200, BOOK)


@pytest.mark.parametrize(
    "settings",
    [
        {"format_uploads": "off"},
        {"formats": False},
        {"format_uploads": "on", "routes": {"POST /": {"format_uploads": False}}},
        {"format_uploads": "on", "routes": {"POST /": {"formats": False}}},
    ],
    ids=["off", "no formats", "off for a route", "no formats for a route"],
)
@awaited
async def test_what_is_turned_off_is_not_done(settings):
    answer = await ask(SerialMiddleware(hand_back, **settings), upload(PACKED))
    assert (answer.body, answer.one("x-content-type")) == (PACKED, TYPES[0])


UNTRANSLATABLE = {
    "a binary": msgpack.packb({"id": b"\x00"}),
    "a key that is a number": msgpack.packb({1: 2}),
    "too deep": b"\x91" * 201 + b"\xc0",
    "too large": msgpack.packb({"id": "x" * 3000}),
    "no MessagePack": b"\xc1",
}
LIMITED: dict[str, Any] = {"format_max_size": 2000}


async def hand_back(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the body as it was received, and say what its fields were."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    told = [
        (b"x-" + name, value)
        for name, value in scope["headers"]
        if name in (b"content-type", b"content-length", b"content-encoding", b"content-digest")
    ]
    await send({"type": "http.response.start", "status": 200, "headers": told})
    await send({"type": "http.response.body", "body": body})


def told(answer: Answer) -> tuple[str | None, ...]:
    names = ("content-type", "content-length", "content-encoding", "content-digest")
    return tuple(answer.one(f"x-{name}") for name in names)


@pytest.mark.parametrize("keyed", [{}, {"routes": {"/": {"cache_body": True}}}], ids=["", "keyed"])
@pytest.mark.parametrize("body", UNTRANSLATABLE.values(), ids=UNTRANSLATABLE)
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("sized", [True, False], ids=["of known length", "chunked"])
@awaited
async def test_what_json_cannot_carry_is_the_apps_to_read(body, pieces, sized, keyed):
    """As it came: the same bytes with the same fields."""
    cut = len(body) // pieces or 1
    parts = tuple(body[place : place + cut] for place in range(0, len(body), cut))
    length = (("content-length", str(len(body))),) if sized else ()
    fields = (("content-type", TYPES[1]), ("content-digest", "sha-256=:x:"), *length)
    app = SerialMiddleware(hand_back, format_uploads="on", **LIMITED, **keyed)
    answer = await ask(app, ClientRequest("POST", fields=fields, body=parts))
    assert (answer.status, answer.body) == (200, body)
    assert told(answer) == (TYPES[1], str(len(body)) if sized else None, None, "sha-256=:x:")


@pytest.mark.parametrize("body", UNTRANSLATABLE.values(), ids=UNTRANSLATABLE)
@awaited
async def test_its_content_coding_is_undone_all_the_same(body):
    app = SerialMiddleware(hand_back, format_uploads="on", **LIMITED)
    request = upload(gzip.compress(body), TYPES[1], ("content-encoding", "gzip"))
    answer = await ask(app, request)
    assert (answer.status, answer.body) == (200, body)
    assert told(answer) == (TYPES[1], str(len(body)), None, None)


@pytest.mark.parametrize("coding", ["", "gzip"])
@pytest.mark.parametrize("name", UNTRANSLATABLE)
@pytest.mark.parametrize(
    ("make", "settings"),
    [
        pytest.param(fastapi_of_a_model, {}, id="FastAPI"),
        pytest.param(litestar_of_a_model, {}, id="Litestar"),
        pytest.param(starlette_reading_json, SAYING_SO[1], id="a route that says so"),
    ],
)
@awaited
async def test_an_app_that_reads_json_is_not_called_with_anything_else(
    make, settings, name, coding
):
    body = UNTRANSLATABLE[name]
    more = (("content-encoding", coding),) if coding else ()
    body = gzip.compress(body) if coding else body
    answer = await ask(
        SerialMiddleware(make(), **LIMITED, **settings), upload(body, *TYPES[:1], *more)
    )
    assert answer.status == (413 if name == "too large" else 400)
    assert answer.media_type == "application/problem+json"


@awaited
async def test_a_client_that_leaves_is_heard_of():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())

    request = ClientRequest("POST", fields=(("content-type", TYPES[0]),), body=(b"\x81",))
    serial_app = SerialMiddleware(app, format_uploads="on")

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    await serial_app(request.make_scope(), receive, lambda message: None)
    assert seen == [{"type": "http.disconnect"}]


def test_a_handler_cannot_say_so_since_its_request_is_read_before():
    for say in (serial, set_policy):
        with pytest.raises(ConfigurationError, match="format_uploads cannot be set by a handler"):
            say(format_uploads=True)
