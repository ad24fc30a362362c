"""Under trio, where there is no loop of asyncio's, requests are answered all the same."""

import gzip
import json

import trio

from asgi_serial import SerialMiddleware

DOCUMENT = json.dumps(list(range(200_000))).encode()
ENCODED = (b"accept-encoding", b"gzip")


async def app(scope, receive, send):
    body = (await receive())["body"] or DOCUMENT
    fields = [(b"content-type", b"application/json"), (b"cache-control", b"max-age=60")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def answer(middleware, *headers, method="GET", body=b""):
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        await trio.sleep(0)
        sent.append(message)

    scope = {
        **{"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"},
        **{"method": method, "path": "/", "raw_path": b"/", "query_string": b""},
        **{"root_path": "", "headers": [(b"host", b"a"), *headers]},
    }
    trio.run(middleware, scope, receive, send)
    start, *pieces = sent
    assert start["type"] == "http.response.start"
    assert {piece["type"] for piece in pieces} == {"http.response.body"}
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [
        False
    ]
    return dict(start["headers"]), b"".join(piece["body"] for piece in pieces)


def test_a_long_body_is_encoded_without_a_thread():
    fields, body = answer(SerialMiddleware(app), ENCODED)
    assert fields[b"content-encoding"] == b"gzip"
    assert gzip.decompress(body) == DOCUMENT


def test_a_response_is_kept_and_another_form_made_of_it():
    middleware = SerialMiddleware(app)
    assert b"stored" in answer(middleware)[0][b"cache-status"]
    fields, body = answer(middleware, ENCODED)
    assert b"; hit" in fields[b"cache-status"]
    assert gzip.decompress(body) == DOCUMENT


def test_a_long_request_is_decoded():
    body = bytes(range(256)) * 1000
    encoded = gzip.compress(body, compresslevel=0)
    _, answered = answer(
        SerialMiddleware(app), (b"content-encoding", b"gzip"), method="POST", body=encoded
    )
    assert answered == body


def test_a_response_that_is_refused_is_swallowed():
    middleware = SerialMiddleware(app, format_strict=True)
    fields, body = answer(middleware, (b"accept", b"text/html"))
    assert fields[b"content-type"] == b"application/problem+json"
    assert json.loads(body)["status"] == 406
