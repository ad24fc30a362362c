"""A bookshelf API in plain ASGI, without a framework.

python examples/plain_asgi.py        or        uvicorn examples.plain_asgi:app

curl -s localhost:8000/books -H 'Accept-Encoding: zstd' -o /dev/null -D -   # repeat it: a hit
curl -s localhost:8000/books/3 -H 'Accept: application/vnd.msgpack' | od -c
curl -i localhost:8000/search -H 'Content-Type: application/json' -d '{"title": "Volume 7"}'
curl -sN --compressed localhost:8000/events
curl -s localhost:8000/timing                                               # the report
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

from asgi_serial import SerialMiddleware, serial

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BOOKS: list[dict[str, Any]] = [
    {"id": number, "title": f"Volume {number}", "pages": 90} for number in range(100)
]


@serial(cache_ttl="60s")
async def list_books(scope: Scope, receive: Receive, send: Send) -> None:
    """Return all books. The response is cached for a minute, or until a book is added."""
    await answer(send, 200, BOOKS)


async def add_book(scope: Scope, receive: Receive, send: Send) -> None:
    """Add a book, sent as JSON or MessagePack. This drops the cached list."""
    book = {**json.loads(await read_body(receive)), "id": len(BOOKS)}
    BOOKS.append(book)
    await answer(send, 201, book)


async def get_book(scope: Scope, receive: Receive, send: Send) -> None:
    """Return one book. The handler states the lifetime and the ETag itself."""
    number = scope["path"].removeprefix("/books/")
    if not number.isdecimal() or int(number) >= len(BOOKS):
        await answer(send, 404, {"detail": "Not Found"})
        return
    fields = [(b"cache-control", b"max-age=30"), (b"etag", f'"book-{number}"'.encode())]
    await answer(send, 200, BOOKS[int(number)], *fields)


@serial(cache_ttl="60s", cache_body=True)
async def search(scope: Scope, receive: Receive, send: Send) -> None:
    """Search the titles. Repeated searches with the same body are answered from the cache."""
    wanted = json.loads(await read_body(receive))["title"]
    await answer(send, 200, [book for book in BOOKS if wanted in book["title"]])


async def export(scope: Scope, receive: Receive, send: Send) -> None:
    """Return all books without compression: see `routes` below."""
    await answer(send, 200, BOOKS)


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream events. They are compressed, and each one is sent at once."""
    fields = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for number in range(3):
        event = f"data: tick {number}\n\n".encode()
        await send({"type": "http.response.body", "body": event, "more_body": True})
        await asyncio.sleep(0.2)
    await send({"type": "http.response.body"})


ROUTES: dict[tuple[str, str | None], Callable[[Scope, Receive, Send], Awaitable[None]]] = {
    ("GET", "/books"): list_books,
    ("POST", "/books"): add_book,
    ("GET", "/books/{number}"): get_book,
    ("POST", "/search"): search,
    ("GET", "/export"): export,
    ("GET", "/events"): events,
}


def name_route(scope: Scope) -> str | None:
    """Return the route under which the timing report counts a request."""
    path = "/books/{number}" if scope["path"].startswith("/books/") else scope["path"]
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return path if (method, path) in ROUTES else None


async def shelf(scope: Scope, receive: Receive, send: Send) -> None:
    """Find the handler of a request, and call it."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    handler = ROUTES.get((method, name_route(scope)))
    if handler is None:
        await answer(send, 404, {"detail": "Not Found"})
    else:
        await handler(scope, receive, send)


async def read_body(receive: Receive) -> bytes:
    """Return the whole body of a request."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def answer(send: Send, status: int, value: object, *fields: tuple[bytes, bytes]) -> None:
    """Send a value as JSON."""
    body = json.dumps(value).encode()
    length = (b"content-length", b"%d" % len(body))
    headers = [(b"content-type", b"application/json"), length, *fields]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app = SerialMiddleware(
    shelf,
    report_path="/timing",
    routes={"/export": {"compression": False}, "POST /*": {"format_uploads": True}},
    route_resolver=name_route,
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
