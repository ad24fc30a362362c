"""A small demonstration API to try with a browser or curl."""

from __future__ import annotations

import asyncio
import errno
import socket
from itertools import count
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from asgi_serial.admin.page.style import POLICY
from asgi_serial.admin.state import engine_report
from asgi_serial.cli.demo_page import BURST, Example, render_front
from asgi_serial.engine.app_engines import engines_of
from asgi_serial.middleware import SerialMiddleware
from asgi_serial.settings.policy import serial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

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


async def front(request: Request) -> Response:
    """Show what was asked for so far, and how it was answered."""
    report = engine_report(engines_of(request)[0]).to_dict()
    page = render_front(report, EXAMPLES, REPORT_PATH, is_live="still" not in request.query_params)
    fields = {"content-security-policy": POLICY, "cache-control": "no-store"}
    return HTMLResponse(page, headers=fields)


async def try_it(request: Request) -> Response:
    """Ask for the cities many times, as a client of a kind of its own would, and show that."""
    app = request.app
    query = b"burst=%d" % next(_BURSTS)
    for _ in range(BURST):
        await _ask(app, "/cities", query)
    return RedirectResponse("/", 303)


_BURSTS = count(1)  # each has a query of its own, and so one request that the cache cannot answer


async def _ask(app: Any, path: str, query: bytes) -> None:
    """Call the app as a server does, and drop the response."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"localhost"), (b"accept-encoding", b"gzip, br, zstd")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


EXAMPLES = (
    Example("GET", "/cities", "half a second of work; stored for a minute", "/cities"),
    Example("GET", "/cities/{number}", "with an ETag, and a lifetime of its own", "/cities/3"),
    Example("POST", "/search", "the body is part of the key of the cache"),
    Example("POST", "/echo", "reads JSON; takes MessagePack and compressed bodies as well"),
    Example("GET", "/clock", "a stream of events, compressed", "/clock"),
)


def build_demo() -> Any:
    """Return the API as an ASGI app."""
    app = Starlette(
        routes=[
            Route("/", front),
            Route("/try", try_it, methods=["POST"]),
            Route("/cities", list_cities),
            Route("/cities/{number:int}", get_city),
            Route("/search", search, methods=["POST"]),
            Route("/echo", echo, methods=["POST"]),
            Route("/clock", clock),
        ]
    )
    # No handler here reads MessagePack itself, so all uploads may be translated to JSON.
    app.add_middleware(
        SerialMiddleware,
        report_path=REPORT_PATH,
        format_uploads=True,
        timing_exclude="/, /try",  # the front page asks for itself all the time
    )
    return app


LINES = """
Open this in a browser, to see hits, times and the report:

  {base}/

Or paste these into another terminal:

  # JSON by default, MessagePack on request
  curl -s '{base}/cities' | head -c 160; echo
  curl -s -H 'Accept: application/vnd.msgpack' '{base}/cities' | head -c 48 | od -c

  # zstd, br or gzip: each has its own ETag
  curl -s -o /dev/null -D - -H 'Accept-Encoding: zstd' '{base}/cities'
  curl -s -o /dev/null -D - -H 'Accept-Encoding: br' '{base}/cities'
  curl -s -o /dev/null -D - -H 'Accept-Encoding: gzip' '{base}/cities'

  # a MessagePack upload in gzip: the app gets {{"name": "Porto"}} as JSON
  printf '\\201\\244name\\245Porto' | gzip | curl -s --data-binary @- \\
    -H 'Content-Type: application/vnd.msgpack' -H 'Content-Encoding: gzip' '{base}/echo'; echo

  # a miss, then a hit: compare Cache-Status and the time
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' '{base}/cities?page=1'
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' '{base}/cities?page=1'

  # a 304: the client has this city already
  curl -s -D - -H 'If-None-Match: "city-3"' '{base}/cities/3'

  # a POST whose body is part of the cache key: a miss, then a hit
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' -H 'Content-Type: application/json' \\
    -d '{{"name": "por"}}' '{base}/search'
  curl -s -o /dev/null -D - -w '%{{time_total}} s\\n' -H 'Content-Type: application/json' \\
    -d '{{"name": "por"}}' '{base}/search'

  # an event stream: compressed, and every event arrives at once
  curl -sN --compressed '{base}/clock'

  # the report: what each route cost, and why responses were not cached
  curl -s '{base}{report}'

Stop it with Ctrl+C.
"""


def lines_for(base: str) -> str:
    """Return what the demonstration prints: where it is, and commands to paste into a shell.

    Every URL is quoted, as zsh reads `?` and `[` as patterns; bytes are in octal, as dash knows no
    other escapes.
    """
    return LINES.format(base=base, report=REPORT_PATH)


class DemoServer(uvicorn.Server):
    """A server that says what it serves once it listens."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and call back unless that has failed."""
        await super().startup(sockets)
        if self.started:
            self._on_listening()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to a port, or to a free one if that port is taken.

    Raises: OSError, if the host is not one of this machine, or the port is not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    # A port that a server has just left can be used; one that a server listens at cannot.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            bound.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            bound.close()
            bound = socket.socket(family, socket.SOCK_STREAM)
            bound.bind((host, 0))
    except BaseException:
        bound.close()
        raise
    return bound


def url_of(host: str, port: int) -> str:
    """Return the URL at which a browser on this machine reaches a server.

    >>> url_of("0.0.0.0", 8000), url_of("::1", 8000)
    ('http://127.0.0.1:8000', 'http://[::1]:8000')
    """
    reached = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def serve_demo(host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the demonstration until it is interrupted; `tell` is told what to do with it.

    Raises: OSError, if it cannot listen there.
    """
    bound = listen(host, port)
    actual = bound.getsockname()[1]

    def on_listening() -> None:
        if port not in (0, actual):
            tell(f"Port {port} is taken; this is served at {actual}.")
        tell(lines_for(url_of(host, actual)))

    with bound:
        config = uvicorn.Config(build_demo(), log_level="warning")
        DemoServer(config, on_listening).run(sockets=[bound])
