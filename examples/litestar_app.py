"""A bookshelf API with Litestar.

python examples/litestar_app.py        or        uvicorn examples.litestar_app:app

curl -s localhost:8000/books -H 'Accept-Encoding: zstd' -o /dev/null -D -   # repeat it: a hit
curl -s localhost:8000/books/3 -H 'Accept: application/vnd.msgpack' | od -c
curl -i localhost:8000/search -H 'Content-Type: application/json' -d '{"title": "Volume 7"}'
curl -sN --compressed localhost:8000/events
curl -s localhost:8000/timing                                               # the report
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from asgi_serial import SerialMiddleware, serial, timing_report


@dataclass
class NewBook:
    title: str
    pages: int


@dataclass
class Book(NewBook):
    id: int


@dataclass
class Query:
    title: str


BOOKS = [Book(id=number, title=f"Volume {number}", pages=90) for number in range(100)]


@get("/books")
@serial(cache_ttl="60s")
async def list_books() -> list[Book]:
    """Return all books. The response is cached for a minute, or until a book is added."""
    return BOOKS


@post("/books")
async def add_book(data: JSONBody[NewBook]) -> Book:
    """Add a book, sent as JSON or MessagePack. This drops the cached list."""
    book = Book(id=len(BOOKS), title=data.title, pages=data.pages)
    BOOKS.append(book)
    return book


@get("/books/{number:int}")
async def get_book(number: FromPath[int]) -> Response[Book]:
    """Return one book. The handler states the lifetime and the ETag itself."""
    if not 0 <= number < len(BOOKS):
        raise NotFoundException
    fields = {"Cache-Control": "max-age=30", "ETag": f'"book-{number}"'}
    return Response(BOOKS[number], headers=fields)


@post("/search", status_code=200)
@serial(cache_ttl="60s", cache_body=True)
async def search(data: JSONBody[Query]) -> list[Book]:
    """Search the titles. Repeated searches with the same body are answered from the cache."""
    return [book for book in BOOKS if data.title in book.title]


@get("/export")
async def export() -> list[Book]:
    """Return all books without compression: see `routes` below."""
    return BOOKS


@get("/events")
async def events() -> Stream:
    """Stream events. They are compressed, and each one is sent at once."""

    async def ticks() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: tick {number}\n\n"
            await asyncio.sleep(0.2)

    return Stream(ticks, media_type="text/event-stream")


# Litestar calls middleware only for routes, so the report needs a route of its own.
@get("/timing", media_type=MediaType.TEXT)
async def timing(request: Request[Any, Any, Any]) -> str:
    """Return the timing report."""
    return timing_report(request.app).to_text()


app = Litestar(
    [list_books, add_book, get_book, search, export, events, timing],
    middleware=[DefineMiddleware(SerialMiddleware, routes={"/export": {"compression": False}})],
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
