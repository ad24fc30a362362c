"""A small demonstration API to try with curl."""

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
    """Return all cities after half a second of work. The response is cached for a minute."""
    await asyncio.sleep(0.5)
    return JSONResponse(CITIES)


async def get_city(request: Request) -> Response:
    """Return one city, with an ETag and a lifetime that the handler states."""
    number = int(request.path_params["number"])
    if number >= len(CITIES):
        return JSONResponse({"detail": "no such city"}, status_code=404)
    fields = {"cache-control": "max-age=30", "etag": f'"city-{number}"'}
    return JSONResponse(CITIES[number], headers=fields)


@serial(cache_ttl="60s", cache_body=True)
async def search(request: Request) -> Response:
    """Find cities by name. Repeated searches with the same body are answered from the cache."""
    await asyncio.sleep(0.5)
    wanted = str((await request.json()).get("name", "")).lower()
    return JSONResponse([city for city in CITIES if wanted in str(city["name"]).lower()])


async def echo(request: Request) -> Response:
    """Return the body as the app received it: as JSON, even if it was sent as MessagePack."""
    try:
        body: Any = await request.json()
    except ValueError as error:
        return JSONResponse({"error": f"The body is not JSON: {error}."}, status_code=400)
    return JSONResponse({"content_type": request.headers.get("content-type"), "got": body})


async def clock(request: Request) -> Response:
    """Stream five events. They are compressed, and each one is sent at once."""

    async def events() -> AsyncIterator[str]:
        for tick in range(5):
            yield f"data: tick {tick}\n\n"
            await asyncio.sleep(0.5)

    return StreamingResponse(events(), media_type="text/event-stream")


def build_demo() -> Any:
    """Return the API as an ASGI app."""
    app = Starlette(
        routes=[
            Route("/cities", list_cities),
            Route("/cities/{number:int}", get_city),
            Route("/search", search, methods=["POST"]),
            Route("/echo", echo, methods=["POST"]),
            Route("/clock", clock),
        ]
    )
    # No handler here reads MessagePack itself, so all uploads may be translated to JSON.
    app.add_middleware(SerialMiddleware, report_path=REPORT_PATH, format_uploads=True)
    return app


LINES = """
Paste these into another terminal:

  # JSON by default, MessagePack on request
  curl -s {base}/cities | head -c 160; echo
  curl -s -H 'Accept: application/vnd.msgpack' {base}/cities | head -c 48 | od -c

  # zstd, br or gzip: each has its own ETag
  curl -s -o /dev/null -D - -H 'Accept-Encoding: zstd' {base}/cities
  curl -s -o /dev/null -D - -H 'Accept-Encoding: br' {base}/cities
  curl -s -o /dev/null -D - -H 'Accept-Encoding: gzip' {base}/cities

  # a MessagePack upload in gzip: the app gets {{"name": "Porto"}} as JSON
  printf '\\201\\244name\\245Porto' | gzip | curl -s --data-binary @- \\
    -H 'Content-Type: application/vnd.msgpack' -H 'Content-Encoding: gzip' {base}/echo; echo

  # a miss, then a hit: compare Cache-Status and the time
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' '{base}/cities?page=1'
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' '{base}/cities?page=1'

  # a 304: the client has this city already
  curl -s -D - -H 'If-None-Match: "city-3"' {base}/cities/3

  # a POST whose body is part of the cache key: a miss, then a hit
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' -H 'Content-Type: application/json' \\
    -d '{{"name": "por"}}' {base}/search
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' -H 'Content-Type: application/json' \\
    -d '{{"name": "por"}}' {base}/search

  # an event stream: compressed, and every event arrives at once
  curl -sN --compressed {base}/clock

  # the report: what each route cost, and why responses were not cached
  curl -s {base}{report}
"""


def print_lines(host: str, port: int) -> None:
    """Print curl commands to paste into a shell."""
    print(LINES.format(base=f"http://{host}:{port}", report=REPORT_PATH), flush=True)  # noqa: T201
