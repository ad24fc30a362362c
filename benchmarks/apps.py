"""The apps that are measured, and what they answer with."""

import json
import random
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_serial.types import ASGIApp, Field, Receive, Scope, Send

JSON_FIELD = (b"content-type", b"application/json")
IMAGE_FIELD = (b"content-type", b"image/png")

WORDS = """
    account amber answer autumn basket bicycle bridge candle canvas carbon castle cedar chapter
    cinnamon circle coffee copper corner cotton desert dinner dragon eagle engine evening fabric
    feather fiction forest garden ginger guitar hammer harbour history island jacket journey kitchen
    ladder lantern letter magnet marble meadow mirror monday mountain museum needle ocean orange
    paper parcel pencil planet pocket pottery rabbit railway river saddle salmon season shadow
    silver station summer sunday tablet timber tower travel tunnel valley velvet village violet
    walnut weather willow window winter yellow
""".split()  # noqa: SIM905 - a list of literals would take a line for each


def document(size: int) -> bytes:
    """A JSON document of `size` bytes or little more: a list of records such as an API gives."""
    chance = random.Random(size)
    texts: list[str] = []
    while sum(map(len, texts)) + len(texts) + 1 < size:
        record = {
            "id": chance.randrange(10**6),
            "name": " ".join(chance.choices(WORDS, k=3)).title(),
            "price": round(chance.uniform(1, 500), 2),
            "active": chance.random() < 0.5,
            "tags": chance.choices(WORDS, k=2),
            "note": " ".join(chance.choices(WORDS, k=chance.randrange(12))),
            "updated": f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}T08:00:00Z",
        }
        texts.append(json.dumps(record, separators=(",", ":")))
    return f"[{','.join(texts)}]".encode()


def noise(size: int) -> bytes:
    """So many bytes of which no coding makes less, such as those of an image."""
    return random.Random(size).randbytes(size)


def plain_app(body: bytes, *fields: Field, content_type: Field = JSON_FIELD) -> ASGIApp:
    """The bare app: a start, and the body in one message."""
    headers = [content_type, (b"content-length", b"%d" % len(body)), *fields]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers.copy()})
        await send({"type": "http.response.body", "body": body})

    return app


def streaming_app(chunks: list[bytes]) -> ASGIApp:
    """An app whose body comes in pieces of unknown number."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON_FIELD]})
        for chunk in chunks[:-1]:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": chunks[-1]})

    return app


def reading_app(seen: list[bytes]) -> ASGIApp:
    """An app that reads its request's body, and leaves it in `seen`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        seen[:] = [message["body"]]
        headers = [JSON_FIELD, (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    return app


def routed_app(routes: int) -> Starlette:
    """A Starlette app of many routes, /r0/{id} and so on, each with an endpoint of its own."""
    return Starlette(
        routes=[Route(f"/r{number}/{{id}}", _endpoint(f"r{number}")) for number in range(routes)]
    )


def _endpoint(name: str) -> Callable[[Request], Awaitable[PlainTextResponse]]:
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    endpoint.__name__ = name
    return endpoint
