"""CBOR over HTTP: negotiated, stored, confirmed and uploaded, as MessagePack is."""

import gzip
import json
from typing import Annotated, Any

import cbor2
import pytest
from fastapi import Body, FastAPI, Request
from litestar import Litestar, post
from litestar.middleware import DefineMiddleware
from pydantic import BaseModel

from asgi_serial import SerialMiddleware, SerialResponse
from tests.engine.driver import Request as ClientRequest
from tests.engine.driver import Whole, ask, awaited, serial_of

pytestmark = pytest.mark.filterwarnings("ignore:.*Reserved kwarg")

BOOK = {"id": 7, "title": "Ficciones", "price": 9.5, "tags": ["a", None, True]}
JSON = json.dumps(BOOK).encode()
AS_CBOR = ("accept", "application/cbor")


class Book(BaseModel):
    id: int


def app_in_json(document: bytes = JSON, **fields: str) -> Whole:
    return Whole(document, content_type="application/json", **fields)


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        pytest.param("application/cbor", "application/cbor", id="CBOR"),
        pytest.param("application/CBOR;q=0.9, */*;q=0.1", "application/cbor", id="preferred"),
        pytest.param(
            "application/cbor, application/vnd.msgpack",
            "application/vnd.msgpack",
            id="MessagePack of two that are liked equally",
        ),
        pytest.param(
            "application/cbor, application/msgpack;q=0.9", "application/cbor", id="the weight"
        ),
        pytest.param("application/cbor, application/json", "application/json", id="the app's own"),
        pytest.param("*/*", "application/json", id="anything"),
        pytest.param("application/senml+cbor", "application/json", id="another type"),
    ],
)
@awaited
async def test_the_client_gets_the_format_that_it_prefers(accept: str, sent: str) -> None:
    answer = await ask(serial_of(app_in_json()), ClientRequest(fields=(("accept", accept),)))
    assert answer.media_type == sent
    assert answer.vary == ["accept", "accept-encoding"]
    if sent == "application/cbor":
        assert cbor2.loads(answer.body) == BOOK


@awaited
async def test_it_is_stored_and_confirmed_under_a_tag_of_its_own() -> None:
    app = app_in_json(etag='"v1"', cache_control="max-age=60", content_length=str(len(JSON)))
    serial = serial_of(app)
    first = await ask(serial, ClientRequest(fields=(AS_CBOR,)))
    hit = await ask(serial, ClientRequest(fields=(AS_CBOR,)))
    confirmed = await ask(
        serial, ClientRequest(fields=(AS_CBOR,)).having(if_none_match='"v1-cbor"')
    )
    in_json = await ask(serial, ClientRequest())
    assert (first.one("etag"), hit.body, hit.cached) == ('"v1-cbor"', first.body, "hit")
    assert (confirmed.status, confirmed.cached) == (304, "hit")
    assert (in_json.document, in_json.one("etag")) == (BOOK, '"v1"')


@awaited
async def test_an_app_may_answer_in_cbor() -> None:
    app = Whole(cbor2.dumps(BOOK), content_type="application/cbor")
    in_json = await ask(serial_of(app), ClientRequest(fields=(("accept", "application/json"),)))
    as_made = await ask(serial_of(app), ClientRequest())
    assert (in_json.media_type, in_json.document) == ("application/json", BOOK)
    assert as_made.body == cbor2.dumps(BOOK)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"[18446744073709551616]", id="an integer beyond 64 bits"),
        pytest.param(b'{"a":1,"a":2}', id="a name twice"),
        pytest.param(b"[NaN]", id="NaN"),
        pytest.param(b"[" * 300 + b"]" * 300, id="deep nesting"),
    ],
)
@awaited
async def test_what_can_not_be_translated_is_sent_as_the_app_made_it(document: bytes) -> None:
    answer = await ask(serial_of(app_in_json(document)), ClientRequest(fields=(AS_CBOR,)))
    assert (answer.status, answer.media_type) == (200, "application/json")
    assert answer.body == document


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(cbor2.dumps({"a": b"bytes"}), id="a byte string"),
        pytest.param(cbor2.dumps({1: 2}), id="a key that is an integer"),
        pytest.param(cbor2.dumps(2**70), id="a big integer"),
        pytest.param(b"\xd8\x1c\x81\xd8\x1d\x00", id="a cycle"),
    ],
)
@awaited
async def test_cbor_that_json_lacks_is_sent_as_the_app_made_it(data: bytes) -> None:
    app = Whole(data, content_type="application/cbor")
    answer = await ask(serial_of(app), ClientRequest(fields=(("accept", "application/json"),)))
    assert (answer.media_type, answer.body) == ("application/cbor", data)


def fastapi_of_a_model() -> Any:
    app = FastAPI()

    @app.post("/")
    async def handle(book: Book) -> Book:
        return book

    return SerialMiddleware(app)


def litestar_of_a_model() -> Any:
    @post("/", status_code=200)
    async def handle(data: Book) -> Book:
        return data

    return Litestar([handle], middleware=[DefineMiddleware(SerialMiddleware)])


def fastapi_that_reads_bytes() -> Any:
    app = FastAPI()

    @app.post("/")
    async def handle(request: Request, data: Annotated[bytes, Body()]) -> dict[str, Any]:
        assert request.headers["content-type"] == "application/cbor"
        found: dict[str, Any] = cbor2.loads(data)
        return found

    return SerialMiddleware(app)


def upload(body: bytes, **fields: str) -> ClientRequest:
    return ClientRequest("POST", body=(body,)).having(content_type="application/cbor", **fields)


MODELS = pytest.mark.parametrize("make", [fastapi_of_a_model, litestar_of_a_model])


@MODELS
@pytest.mark.parametrize("coding", ["", "gzip"])
@awaited
async def test_an_upload_reaches_a_handler_that_declares_a_model(make: Any, coding: str) -> None:
    body = b"\xd9\xd9\xf7" + cbor2.dumps({"id": 7})
    request = upload(gzip.compress(body), content_encoding="gzip") if coding else upload(body)
    answer = await ask(make(), request.having(accept="application/cbor"))
    assert (answer.status, answer.media_type) == (200, "application/cbor")
    assert cbor2.loads(answer.body) == {"id": 7}


@awaited
async def test_a_handler_that_reads_bytes_gets_them_as_they_came() -> None:
    answer = await ask(fastapi_that_reads_bytes(), upload(cbor2.dumps({"id": 7})))
    assert answer.document == {"id": 7}


HOSTILE = {
    "nothing": b"\xf7",
    "a document that is cut off": b"\xa2\x62id",
    "two documents": b"\xa1\x62id\x07\x00",
    "a nesting bomb": b"\x81" * 100_000,
    "a nesting bomb of undeclared lengths": b"\x9f" * 100_000,
    "a bomb of tags": b"\xc1" * 100_000,
    "an array of 2**64": b"\x9b" + b"\xff" * 8,
    "text of 2**64": b"\x7b" + b"\xff" * 8 + b"a",
    "a cycle": b"\xd8\x1c\x81\xd8\x1d\x00",
    "string references": b"\xd9\x01\x00\x82\x63abc\xd8\x19\x00",
    "a big integer": b"\xc2\x5a\x00\x01\x00\x00" + b"\xff" * (1 << 16),
    "a fraction with a huge exponent": b"\xc4\x82\x1b" + b"\x7f" * 8 + b"\x01",
    "a rational by zero": b"\xd8\x1e\x82\x01\x00",
    "a regular expression": b"\xd8\x23\x69(a*)*b(a*",
    "a date of the year 10**18": b"\xc1\x1b" + b"\x7f" * 8,
    "a MIME message": b"\xd8\x24\x61a",
    "keys that collide": b"\xb9\x03\xe8" + b"".join(b"\x1b%8d\0" % key for key in range(1000)),
    "a name twice": b"\xa2\x62id\x01\x62id\x02",
    "NaN": b"\xf9\x7e\x00",
    "text that is not UTF-8": b"\xa1\x62id\x61\xff",
    "containers": b"\x9a\x00\x01\x86\xa1" + b"\x80" * 100_001,
}


@MODELS
@pytest.mark.parametrize("name", HOSTILE)
@awaited
async def test_a_hostile_upload_is_a_problem_of_the_client(make: Any, name: str) -> None:
    answer = await ask(make(), upload(HOSTILE[name]))
    assert (answer.status, answer.media_type) == (400, "application/problem+json")
    assert answer.document["reason"] == "bad-format-body"


@awaited
async def test_an_upload_that_is_too_large_is_refused() -> None:
    answer = await ask(fastapi_of_a_model(), upload(b"\x9a\x00\x2d\xc6\xc0" + b"\xf6" * 3_000_000))
    assert (answer.status, answer.document["reason"]) == (413, "body-too-large")


class Shelf(BaseModel):
    books: list[Book]


@awaited
async def test_a_response_with_a_model_is_encoded_as_cbor() -> None:
    response = SerialResponse(Shelf(books=[Book(id=1), Book(id=2)]))
    answer = await ask(SerialMiddleware(response), ClientRequest(fields=(AS_CBOR,)))
    assert answer.media_type == "application/cbor"
    assert cbor2.loads(answer.body) == {"books": [{"id": 1}, {"id": 2}]}
