"""A bookshelf API with FastAPI.

python examples/fastapi_app.py        or        uvicorn examples.fastapi_app:app

curl -s localhost:8000/books -H 'Accept-Encoding: zstd' -o /dev/null -D -   # repeat it: a hit
curl -s localhost:8000/books/3 -H 'Accept: application/vnd.msgpack' | od -c
curl -i localhost:8000/search -H 'Content-Type: application/json' -d '{"title": "Volume 7"}'
curl -sN --compressed localhost:8000/events
curl -s localhost:8000/timing                                               # the report
"""

import asyncio
import os
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from asgi_serial import SerialMiddleware, openapi_formats, serial


class NewBook(BaseModel):
    title: str
    pages: int


class Book(NewBook):
    id: int


class Query(BaseModel):
    title: str


BOOKS = [Book(id=number, title=f"Volume {number}", pages=90) for number in range(100)]

app = FastAPI()
app.add_middleware(
    SerialMiddleware, report_path="/timing", routes={"/export": {"compression": False}}
)
openapi_formats(app)  # the page under /docs offers MessagePack, too


@app.get("/books")
@serial(cache_ttl="60s")
async def list_books() -> list[Book]:
    """Return all books. The response is cached for a minute, or until a book is added."""
    return BOOKS


@app.post("/books", status_code=201)
async def add_book(new: NewBook) -> Book:
    """Add a book, sent as JSON or MessagePack. This drops the cached list."""
    book = Book(id=len(BOOKS), **new.model_dump())
    BOOKS.append(book)
    return book


@app.get("/books/{number}")
async def get_book(number: int, response: Response) -> Book:
    """Return one book. The handler states the lifetime and the ETag itself."""
    if not 0 <= number < len(BOOKS):
        raise HTTPException(404)
    response.headers["Cache-Control"] = "max-age=30"
    response.headers["ETag"] = f'"book-{number}"'
    return BOOKS[number]


@app.post("/search")
@serial(cache_ttl="60s", cache_body=True)
def search(query: Query) -> list[Book]:
    """Search the titles. Repeated searches with the same body are answered from the cache."""
    return [book for book in BOOKS if query.title in book.title]


@app.get("/export")
async def export() -> list[Book]:
    """Return all books without compression: see `routes` above."""
    return BOOKS


@app.get("/events")
async def events() -> StreamingResponse:
    """Stream events. They are compressed, and each one is sent at once."""

    async def ticks() -> AsyncIterator[str]:
        for number in range(3):
            yield f"data: tick {number}\n\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(ticks(), media_type="text/event-stream")


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
