"""Models that are handed to the middleware: encoded once, in the format that the client wants."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx
import msgpack
import pytest
from fastapi import FastAPI
from litestar import Litestar, get
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

import asgi_serial.serialization.http_responses as module
from asgi_serial import FormatError, SerialMiddleware, SerialResponse, set_policy

MSGPACK = "application/vnd.msgpack"


class Item(BaseModel):
    id: int
    name: str = Field(serialization_alias="label")
    secret: str = Field("s3cret", exclude=True)
    ratio: float = 0.5


ITEM = Item(id=7, name="seven")
DOCUMENT = {"id": 7, "name": "seven", "ratio": 0.5}


def starlette_app(respond: Any = lambda request: SerialResponse(ITEM), **settings: Any) -> Any:
    app = Starlette(routes=[Route("/item", respond)])
    app.add_middleware(SerialMiddleware, **settings)
    return app


def fastapi_app(**settings: Any) -> Any:
    app = FastAPI()
    app.add_middleware(SerialMiddleware, **settings)

    @app.get("/item")
    async def item() -> Any:
        return SerialResponse(ITEM)

    return app


def litestar_app(**settings: Any) -> Any:
    @get("/item", sync_to_thread=False)
    def item() -> SerialResponse:
        return SerialResponse(ITEM)

    return SerialMiddleware(Litestar([item]), **settings)


APPS = [pytest.param(make, id=make.__name__) for make in (starlette_app, fastapi_app, litestar_app)]


def ask(
    app: Any, accept: str = "*/*", coding: str = "identity", method: str = "GET", **fields: str
) -> Any:
    async def get_item() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
            asked = {"accept": accept, "accept-encoding": coding, **fields}
            return await client.request(method, "/item", headers=asked)

    return asyncio.run(get_item())


def read(response: Any) -> Any:
    if response.headers["content-type"] == "application/json":
        return json.loads(response.content)
    return msgpack.unpackb(response.content)


@pytest.fixture(name="encoded")
def _encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The media types that models were written in."""
    written: list[str] = []
    encode_model = module.encode_model

    def watched(model: Any, media_type: str, **options: Any) -> bytes:
        written.append(media_type)
        return encode_model(model, media_type, **options)

    monkeypatch.setattr(module, "encode_model", watched)
    return written


@pytest.mark.parametrize("make", APPS)
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        pytest.param("*/*", "application/json", id="anything"),
        pytest.param("application/json", "application/json", id="JSON"),
        pytest.param(MSGPACK, MSGPACK, id="MessagePack"),
        pytest.param("application/msgpack", "application/msgpack", id="another name of it"),
        pytest.param("text/html", "application/json", id="neither"),
    ],
)
def test_a_model_is_written_once_in_the_format_that_is_wanted(make, accept, media_type, encoded):
    response = ask(make(), accept)
    assert response.headers["content-type"] == media_type
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["vary"] == "accept"
    assert read(response) == DOCUMENT
    assert encoded == [media_type]


@pytest.mark.parametrize("accept", ["application/json", MSGPACK])
@pytest.mark.parametrize(
    ("coding", "unsure"),
    [("identity", {"content-length"}), ("gzip", {"content-length", "content-encoding", "etag"})],
)
def test_head_says_the_format_that_the_model_was_written_in(accept, coding, unsure):
    """RFC 9110, 9.3.2: only whether it is compressed is decided by the content."""
    large = Item(id=1, name="x" * 5_000)
    app = starlette_app(lambda request: SerialResponse(large, headers={"etag": '"v1"'}))
    got, told = ask(app, accept, coding).headers, ask(app, accept, coding, "HEAD").headers
    assert told["content-type"] == accept
    assert got.items() - told.items() <= {(name, got[name]) for name in unsure if name in got}
    assert told.items() <= got.items()


@pytest.mark.parametrize("make", APPS)
def test_without_the_middleware_it_is_json(make, encoded):
    response = ask(make(enabled=False), MSGPACK)
    assert response.headers["content-type"] == "application/json"
    assert read(response) == DOCUMENT
    assert encoded == ["application/json"]


@pytest.mark.parametrize("first", [MSGPACK, "application/json"])
def test_what_is_stored_answers_every_client_in_its_format(first, encoded):
    app = starlette_app(cache_ttl=60)
    ask(app, first)
    calls = len(encoded)
    for accept in (MSGPACK, "application/json", "application/x-msgpack"):
        response = ask(app, accept)
        assert "; hit;" in response.headers["cache-status"]
        assert response.headers["content-type"] == accept
        assert response.headers["content-length"] == str(len(response.content))
        assert read(response) == DOCUMENT
        again = ask(app, accept, **{"if-none-match": response.headers["etag"]})
        assert again.status_code == 304
    assert len(encoded) == calls


def test_it_is_compressed_as_any_other():
    app = starlette_app(lambda request: SerialResponse(Item(id=1, name="x" * 5_000)))
    response = ask(app, MSGPACK, "gzip")
    assert response.headers["content-encoding"] == "gzip"
    assert read(response)["name"] == "x" * 5_000


def test_aliases_are_used_where_they_are_asked_for():
    app = starlette_app(lambda request: SerialResponse(ITEM, by_alias=True))
    for accept in ("application/json", MSGPACK):
        assert read(ask(app, accept)) == {"id": 7, "label": "seven", "ratio": 0.5}


@dataclass
class Point:
    x: int
    y: float


@pytest.mark.parametrize(
    ("content", "document"),
    [
        pytest.param([ITEM, ITEM], [DOCUMENT, DOCUMENT], id="a list of models"),
        pytest.param({"a": 1, "b": None}, {"a": 1, "b": None}, id="plain data"),
        pytest.param([float("nan"), 1.5], [None, 1.5], id="what JSON has no number for"),
        pytest.param(Point(1, 2.5), {"x": 1, "y": 2.5}, id="a dataclass"),
        pytest.param(None, None, id="nothing"),
    ],
)
def test_whatever_pydantic_has_a_json_form_for(content, document):
    app = starlette_app(lambda request: SerialResponse(content))
    for accept in ("application/json", MSGPACK):
        assert read(ask(app, accept)) == document


def test_what_one_format_has_no_form_for_goes_out_in_the_other():
    app = starlette_app(lambda request: SerialResponse({"large": 2**70}))
    response = ask(app, MSGPACK)
    assert response.headers["content-type"] == "application/json"
    assert read(response) == {"large": 2**70}


def test_what_no_format_has_a_form_for_is_an_error_of_the_app():
    app = starlette_app(lambda request: SerialResponse({"what": object()}))
    with pytest.raises(FormatError, match="cannot be written as application/json"):
        ask(app)


def test_a_body_that_is_put_in_its_place_is_sent():
    def respond(request: Any) -> Response:
        response = SerialResponse(ITEM, 203)
        assert json.loads(response.body) == DOCUMENT
        response.body = b"[]"
        return response

    response = ask(starlette_app(respond), MSGPACK)
    assert read(response) == []


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_content_gets_no_length(status):
    def respond(request: Any) -> Response:
        response = SerialResponse(None, status)
        response.body = b""
        return response

    assert "content-length" not in ask(starlette_app(respond)).headers


def test_a_media_type_of_ones_own_stays():
    app = starlette_app(lambda request: SerialResponse(ITEM, media_type="application/hal+json"))
    response = ask(app, MSGPACK)
    assert response.headers["content-type"] == "application/hal+json"
    assert json.loads(response.content) == DOCUMENT


def test_background_work_is_done():
    done: list[int] = []
    task = BackgroundTask(done.append, 1)
    ask(starlette_app(lambda request: SerialResponse(ITEM, background=task)))
    assert done == [1]


def test_a_handler_may_turn_formats_off():
    def respond(request: Any) -> Response:
        set_policy(formats=False)
        return SerialResponse(ITEM)

    response = ask(starlette_app(respond), MSGPACK)
    assert response.headers["content-type"] == "application/json"


def test_fastapi_keeps_the_response_model():
    app = FastAPI(default_response_class=SerialResponse)
    app.add_middleware(SerialMiddleware)

    class Public(BaseModel):
        id: int

    @app.get("/item", response_model=Public)
    async def item() -> Any:
        return ITEM

    for accept in ("application/json", MSGPACK):
        assert read(ask(app, accept)) == {"id": 7}


class _Unchanged(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        return await call_next(request)


def test_other_middleware_may_stand_between():
    app = starlette_app(cache_ttl=60)
    app.user_middleware.append(app.user_middleware[0].__class__(_Unchanged))
    for accept in (MSGPACK, "application/json", MSGPACK):
        response = ask(app, accept)
        assert response.headers["content-type"] == accept
        assert read(response) == DOCUMENT


def test_what_another_middleware_has_encoded_passes_and_is_not_stored():
    app = starlette_app(lambda request: SerialResponse(ITEM), cache_ttl=60, compression=False)
    app.user_middleware.append(app.user_middleware[0].__class__(GZipMiddleware, minimum_size=1))
    response = ask(app, MSGPACK, "gzip")
    assert response.headers["content-type"] == MSGPACK
    assert response.headers["content-encoding"] == "gzip"
    assert "accept" in response.headers["vary"].lower().split(", ")
    assert read(response) == DOCUMENT
    assert ask(app, "application/json", "gzip").headers["content-type"] == "application/json"


def test_a_response_in_its_place_is_not_taken_for_it():
    class Replaced(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            await call_next(request)
            return Response(b"[1]", media_type="application/json")

    app = starlette_app()
    app.user_middleware.append(app.user_middleware[0].__class__(Replaced))
    response = ask(app, MSGPACK)
    assert response.headers["content-type"] == MSGPACK
    assert read(response) == [1]


def test_a_websocket_may_be_denied_with_it():
    async def deny(websocket: Any) -> None:
        await websocket.send_denial_response(SerialResponse(ITEM, 403))

    app = Starlette(routes=[WebSocketRoute("/item", deny)])
    app.add_middleware(SerialMiddleware)
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/item",
        "headers": [],
        "query_string": b"",
        "extensions": {"websocket.http.response": {}},
    }
    asyncio.run(app(scope, receive, send))
    start, body = sent
    assert start["type"] == "websocket.http.response.start"
    assert start["status"] == 403
    assert json.loads(body["body"]) == DOCUMENT


async def pieces_app(scope: Any, receive: Any, send: Any) -> None:
    """Sends in pieces, with another message between them, what it has encoded by the extension."""
    media_type, body = scope["extensions"]["asgi_serial.model"]["encode"](
        lambda media_type: module.encode_model(ITEM, media_type)
    )
    fields = [(b"content-type", media_type.encode()), (b"cache-control", b"max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body[:3], "more_body": True})
    await send({"type": "http.response.of.tomorrow"})
    await send({"type": "http.response.body", "body": body[3:]})


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_what_comes_in_pieces_passes_as_it_is_and_is_not_stored(coding):
    app = SerialMiddleware(pieces_app)
    for _ in range(2):
        response = ask(app, MSGPACK, coding)
        assert response.headers["content-type"] == MSGPACK
        assert read(response) == DOCUMENT
    assert app.engine.responses.stored == 0


async def half_app(scope: Any, receive: Any, send: Any) -> None:
    """Can encode in MessagePack only what it hands over."""

    def encode(media_type: str) -> bytes:
        if media_type == "application/json":
            raise FormatError("no JSON of this")
        return msgpack.packb(b"bytes")

    media_type, body = scope["extensions"]["asgi_serial.model"]["encode"](encode)
    fields = [(b"content-type", media_type.encode()), (b"cache-control", b"max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def test_what_can_not_be_stored_for_every_client_is_not_stored():
    app = SerialMiddleware(half_app)
    for _ in range(2):
        assert read(ask(app, MSGPACK)) == b"bytes"
    assert app.engine.responses.stored == 0


@pytest.mark.parametrize("first", [MSGPACK, "application/json"])
def test_one_response_may_answer_many_requests(first):
    """A Starlette response is an ASGI app, and may be made once for all."""
    response = SerialResponse(ITEM)
    app = starlette_app(lambda request: response)
    for accept in (first, "application/json", MSGPACK, "application/json"):
        answer = ask(app, accept)
        assert answer.headers["content-type"] == accept
        assert read(answer) == DOCUMENT
    assert "content-length" not in response.headers


class Redacting:
    """A middleware that takes a name out of every document, in either format."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        start: Any = None

        async def redact(message: Any) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            fields = dict(start["headers"])
            is_json = fields[b"content-type"] == b"application/json"
            document = json.loads(message["body"]) if is_json else msgpack.unpackb(message["body"])
            del document["name"]
            body = json.dumps(document).encode() if is_json else msgpack.packb(document)
            fields[b"content-length"] = b"%d" % len(body)
            await send({**start, "headers": list(fields.items())})
            await send({**message, "body": body})

        await self.app(scope, receive, redact)


@pytest.mark.parametrize("first", [MSGPACK, "application/json"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_what_a_middleware_has_taken_out_is_given_to_nobody(first, coding):
    """What was handed over is not what is sent: it answers no client of the other format."""
    inner = Starlette(routes=[Route("/item", lambda request: SerialResponse(ITEM))])
    app = SerialMiddleware(Redacting(inner), cache_ttl=60)
    for accept in (first, "application/json", MSGPACK, "application/json"):
        response = ask(app, accept, coding)
        assert response.headers["content-type"] == accept
        assert read(response) == {"id": 7, "ratio": 0.5}
