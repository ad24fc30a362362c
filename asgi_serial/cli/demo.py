"""A small API behind the middleware, to be tried with curl."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from asgi_serial.middleware import SerialMiddleware
from asgi_serial.settings.policy import serial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

REPORT_PATH = "/timing"

CITIES = [
    {"id": number, "name": name, "population": people, "coast": coast}
    for number, (name, people, coast) in enumerate(
        [
            ("Lisbon", 545_796, True),
            ("Vienna", 1_982_097, False),
            ("Helsinki", 674_500, True),
            ("Ljubljana", 295_504, False),
            ("Porto", 231_800, True),
            ("Ghent", 265_086, False),
            ("Tallinn", 453_864, True),
            ("Krakow", 804_237, False),
        ]
        * 12
    )
]


@serial(cache_ttl="60s")
async def list_cities(request: Request) -> Response:
    """All cities; kept for a minute, after half a second of work."""
    await asyncio.sleep(0.5)
    return JSONResponse(CITIES)


async def get_city(request: Request) -> Response:
    """One city, with an entity tag and a lifetime of the handler's own."""
    number = int(request.path_params["number"])
    if number >= len(CITIES):
        return JSONResponse({"detail": "no such city"}, status_code=404)
    fields = {"cache-control": "max-age=30", "etag": f'"city-{number}"'}
    return JSONResponse(CITIES[number], headers=fields)


@serial(cache_ttl="60s", cache_body=True)
async def search(request: Request) -> Response:
    """The cities whose names hold a text; answered from the cache by the digest of the body."""
    await asyncio.sleep(0.5)
    wanted = str((await request.json()).get("name", "")).lower()
    return JSONResponse([city for city in CITIES if wanted in str(city["name"]).lower()])


async def echo(request: Request) -> Response:
    """What was sent, as the app has got it: JSON, whatever it came as."""
    body: Any = await request.json()
    return JSONResponse({"content_type": request.headers.get("content-type"), "got": body})


async def clock(request: Request) -> Response:
    """An event stream, each event of which is there at once though it is compressed."""

    async def events() -> AsyncIterator[str]:
        for tick in range(5):
            yield f"data: tick {tick}\n\n"
            await asyncio.sleep(0.5)

    return StreamingResponse(events(), media_type="text/event-stream")


def build_demo() -> Any:
    """The API as an ASGI app."""
    app = Starlette(
        routes=[
            Route("/cities", list_cities),
            Route("/cities/{number:int}", get_city),
            Route("/search", search, methods=["POST"]),
            Route("/echo", echo, methods=["POST"]),
            Route("/clock", clock),
        ]
    )
    # No handler here reads MessagePack itself.
    app.add_middleware(SerialMiddleware, report_path=REPORT_PATH, format_uploads=True)
    return app


LINES = """
Paste these into another terminal:

  # JSON, and MessagePack for who asks for it
  curl -s {base}/cities | head -c 160; echo
  curl -s -H 'Accept: application/vnd.msgpack' {base}/cities | head -c 48 | od -c

  # zstd, br, gzip: one representation for each, with its own ETag
  curl -s -o /dev/null -D - -H 'Accept-Encoding: zstd' {base}/cities
  curl -s -o /dev/null -D - -H 'Accept-Encoding: br' {base}/cities
  curl -s -o /dev/null -D - -H 'Accept-Encoding: gzip' {base}/cities

  # a compressed MessagePack upload: {{"name": "Porto"}}, as the app gets it
  printf '\\x81\\xa4name\\xa5Porto' | gzip | curl -s --data-binary @- \\
    -H 'Content-Type: application/vnd.msgpack' -H 'Content-Encoding: gzip' {base}/echo; echo

  # a miss, then a hit (look at Cache-Status and the time)
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' {base}/cities?page=1
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' {base}/cities?page=1

  # a 304: the client has it already
  curl -s -D - -H 'If-None-Match: "city-3"' {base}/cities/3

  # a POST that is answered from the cache by its body's digest
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' -H 'Content-Type: application/json' \\
    -d '{{"name": "por"}}' {base}/search
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' -H 'Content-Type: application/json' \\
    -d '{{"name": "por"}}' {base}/search

  # an event stream, compressed and yet live
  curl -sN --compressed {base}/clock

  # what each route has cost, and why it was not cached
  curl -s {base}{report}
"""


def print_lines(host: str, port: int) -> None:
    """Print the lines to paste."""
    print(LINES.format(base=f"http://{host}:{port}", report=REPORT_PATH), flush=True)  # noqa: T201
