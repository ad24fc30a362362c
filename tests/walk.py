"""Count what a request crosses of the package: `python -m tests.walk` prints the files in order.

A request is walked once every memory is full of requests like it. Comprehensions are no calls
here (from Python 3.12 on they are none at all), and a coroutine or generator that is resumed is
not called again.
"""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import asgi_serial
from asgi_serial import SerialMiddleware
from asgi_serial.timing.routes.resolver import build_resolver

from .engine.making import Clock, make_engine

PACKAGE = Path(asgi_serial.__file__).parent
WARM_UP = 50
WALKS = 3
LIFETIME_SECONDS = 60

BARE = [
    (b"host", b"api.example.com"),
    (b"accept", b"*/*"),
    (b"user-agent", b"python-httpx/0.28.1"),
]
# A browser with a request to another origin, for which it has cookies.
BROWSER = [
    (b"host", b"api.example.com"),
    (b"connection", b"keep-alive"),
    (b"sec-ch-ua-platform", b'"Linux"'),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0"),
    (b"sec-ch-ua", b'"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"'),
    (b"sec-ch-ua-mobile", b"?0"),
    (b"accept", b"*/*"),
    (b"origin", b"https://www.example.com"),
    (b"sec-fetch-site", b"same-site"),
    (b"sec-fetch-mode", b"cors"),
    (b"sec-fetch-dest", b"empty"),
    (b"referer", b"https://www.example.com/"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-GB,en;q=0.9"),
    (b"cookie", b"_ga=GA1.1.1234567890.1760000000; session=3f9a1c5e7b2d4f60"),
]
CLIENTS = {"bare": BARE, "browser": BROWSER}

# How Cache-Status names the result of each kind. What passes is too small to compress, and has no
# lifetime; the rest is JSON that pays to compress.
RESULTS = {
    "pass": b"fwd=",
    "hit": b"; hit",
    "miss": b"; stored",
    "revalidation": b"fwd-status=304",
}


class Walk(NamedTuple):
    """The files of the package that a request crosses, in the order of their first call."""

    files: tuple[str, ...]
    calls: int
    changes: int  # of file, between one call and the next


class Steps:
    """The file of each call of a package, in every thread."""

    def __init__(self, package: Path = PACKAGE) -> None:
        self._package = package
        self.files: list[str] = []
        self._frames: list[FrameType] = []

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_name
        if event != "call" or (name.startswith("<") and name != "<lambda>"):
            return
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(self._package) and not any(each is frame for each in self._frames):
            self._frames.append(frame)
            self.files.append(path.relative_to(self._package).as_posix())

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note the calls of this thread, and of those that start meanwhile."""
        before, before_in_threads = sys.getprofile(), threading.getprofile()
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(before)
            threading.setprofile(before_in_threads)

    def sum_up(self) -> Walk:
        """Return the walk that was noted."""
        changes = sum(a != b for a, b in zip(self.files, self.files[1:], strict=False))
        return Walk(tuple(dict.fromkeys(self.files)), len(self.files), changes)


class Walker:
    """Requests of one kind by one client, to a middleware with everything on."""

    def __init__(self, kind: str, client: str) -> None:
        self.kind = kind
        self.fields = CLIENTS[client]
        self.clock = Clock()
        self.numbers = count()
        app = answer_small if kind == "pass" else answer_fresh
        engine = make_engine(self.clock, label=build_resolver(None, app=app))
        self.app = SerialMiddleware(app, engine=engine)

    async def walk(self) -> Walk:
        """Return the shortest of some walks, in case a garbage collection calls something."""
        for _ in range(WARM_UP):
            await self._ask()
        walks = []
        for _ in range(WALKS):
            steps = Steps()
            await self._ask(steps)
            walks.append(steps.sum_up())
        return min(walks, key=lambda walk: (walk.calls, walk.changes))

    async def _ask(self, steps: Steps | None = None) -> None:
        if self.kind == "revalidation":
            self.clock.now += LIFETIME_SECONDS + 1
        query = b"n=%d" % next(self.numbers) if self.kind == "miss" else b"n=0"
        scope = make_scope(query, self.fields.copy())
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        if steps is None:
            await self.app(scope, receive, send)
            return
        with steps.noted():
            await self.app(scope, receive, send)
        self._check(sent[0])

    def _check(self, start: Any) -> None:
        result = dict(start["headers"]).get(b"cache-status", b"fwd=")
        if start["status"] != 200 or RESULTS[self.kind] not in result:
            raise RuntimeError(f"The answer is no {self.kind}: {start!r}")


def make_scope(query: bytes, fields: list[tuple[bytes, bytes]]) -> Any:
    """Return the scope of a GET as a server makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "scheme": "https",
        "method": "GET",
        "root_path": "",
        "path": "/items",
        "raw_path": b"/items",
        "query_string": query,
        "headers": fields,
    }


async def answer_small(scope: Any, receive: Any, send: Any) -> None:
    """Answer with 100 bytes that nothing is done to."""
    fields = [(b"content-type", b"application/json"), (b"content-length", b"100")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b'"%s"' % (b"x" * 98)})


async def answer_fresh(scope: Any, receive: Any, send: Any) -> None:
    """Answer with JSON that any cache may store, or confirm it by a 304."""
    fields = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"public, max-age=%d" % LIFETIME_SECONDS),
        (b"etag", b'"1"'),
    ]
    if any(name == b"if-none-match" for name, _ in scope["headers"]):
        await send({"type": "http.response.start", "status": 304, "headers": fields})
        await send({"type": "http.response.body"})
        return
    body = b"[%s]" % b",".join(b'{"id":%d}' % number for number in range(200))
    fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def count_walk(kind: str, client: str) -> Walk:
    """Walk with a request of one of the kinds in `RESULTS`, by one of the `CLIENTS`."""
    return asyncio.run(Walker(kind, client).walk())


def main() -> None:
    """Print the walks of the kinds that the command line names, or of all."""
    for kind in sys.argv[1:] or RESULTS:
        for client in CLIENTS:
            files, calls, changes = count_walk(kind, client)
            title = (
                f"{kind}, {client}: {len(files)} files, {calls} calls, {changes} changes of file"
            )
            print("\n  ".join([title, *files]), end="\n\n")  # noqa: T201


if __name__ == "__main__":
    main()
