"""A bookshelf API with Starlette.

python examples/starlette_app.py        or        uvicorn examples.starlette_app:app

curl -s localhost:8000/books -H 'Accept-Encoding: zstd' -o /dev/null -D -   # repeat it: a hit
curl -s localhost:8000/books/3 -H 'Accept: application/vnd.msgpack' | od -c
curl -i localhost:8000/search -H 'Content-Type: application/json' -d '{"title": "Volume 7"}'
curl -sN --compressed localhost:8000/events
curl -s localhost:8000/timing                                               # the report
"""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from asgi_serial import SerialMiddleware, serial

BOOKS: list[dict[str, Any]] = [
    {"id": number, "title": f"Volume {number}", "pages": 90} for number in range(100)
]


@serial(cache_ttl="60s")
async def list_books(request: Request) -> Response:
    """Return all books. The response is cached for a minute, or until a book is added."""
    return JSONResponse(BOOKS)


async def add_book(request: Request) -> Response:
    """Add a book, sent as JSON or MessagePack. This drops the cached list."""
    book = {**await request.json(), "id": len(BOOKS)}
    BOOKS.append(book)
    return JSONResponse(book, status_code=201)


async def get_book(request: Request) -> Response:
    """Return one book. The handler states the lifetime and the ETag itself."""
    number = request.path_params["number"]
    if number >= len(BOOKS):
        raise HTTPException(404)
    fields = {"Cache-Control": "max-age=30", "ETag": f'"book-{number}"'}
    return JSONResponse(BOOKS[number], headers=fields)


@serial(cache_ttl="60s", cache_body=True)
async def search(request: Request) -> Response:
    """Search the titles. Repeated searches with the same body are answered from the cache."""
    wanted = (await request.json())["title"]
    return JSONResponse([book for book in BOOKS if wanted in book["title"]])


async def export(request: Request) -> Response:
    """Return all books without compression: see `routes` below."""
    return JSONResponse(BOOKS)


async def events(request: Request) -> Response:
    """Stream events. They are compressed, and each one is sent at once."""

    async def ticks() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: tick {number}\n\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(ticks(), media_type="text/event-stream")


app = Starlette(
    routes=[
        Route("/books", list_books),
        Route("/books", add_book, methods=["POST"]),
        Route("/books/{number:int}", get_book),
        Route("/search", search, methods=["POST"]),
        Route("/export", export),
        Route("/events", events),
    ]
)
app.add_middleware(
    SerialMiddleware,
    report_path="/timing",
    # Starlette does not tell what a handler reads. These read JSON, so uploads can be translated.
    routes={"/export": {"compression": False}, "POST /*": {"format_uploads": True}},
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
