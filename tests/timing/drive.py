"""An app driven over ASGI in process, and the scope that it leaves behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote


class Copying:
    """A middleware that hands its app a copy of the scope, as some inner middlewares do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        await self.app(dict(scope), receive, send)


class Capturing:
    """Keeps the scopes that pass through it; stands where the timing middleware would."""

    def __init__(self, app: Any, scopes: list[dict[str, Any]]) -> None:
        self.app = app
        self.scopes = scopes

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            self.scopes.append(scope)
        await self.app(scope, receive, send)


def http_scope(path: str, method: str = "GET", host: str = "example.org", root_path: str = ""):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", host.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }


def run(app: Any, scope: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status of the answer, and the scope as the app left it, a shallow copy of the given."""
    handed = dict(scope)
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(app(handed, receive, send))
    return messages[0]["status"], handed


class Answer(NamedTuple):
    """What a server passes on of a response."""

    status: int
    fields: dict[str, str]
    body: bytes


async def visit(app: Any, method: str, target: str, root_path: str = "") -> Answer:
    """The answer to a request, sent as a server does.

    An app that raises before its response has begun is answered with 500, as by a server.
    """
    raw_path, _, query = (root_path + target).partition("?")
    scope = http_scope(unquote(raw_path), method) | {
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": root_path,
    }
    return await call(app, scope)


async def call(app: Any, scope: dict[str, Any]) -> Answer:
    """The answer to a request with this scope, which is left as the app leaves it."""
    messages: list[Any] = []
    asked = []
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not asked:
            asked.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    try:
        await app(scope, receive, send)
    except (RuntimeError, ExceptionGroup):
        if not messages:
            return Answer(500, {}, b"")
    fields = {
        bytes(name).decode().lower(): bytes(value).decode("latin-1")
        for name, value in messages[0]["headers"]
    }
    body = b"".join(message.get("body", b"") for message in messages[1:])
    return Answer(messages[0]["status"], fields, body)


@asynccontextmanager
async def living(app: Any) -> AsyncIterator[None]:
    """An app between its startup and its shutdown; one that knows neither is left alone."""
    said: asyncio.Queue[Any] = asyncio.Queue()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    life = asyncio.ensure_future(app(scope, said.get, heard.put))
    await said.put({"type": "lifespan.startup"})
    first = asyncio.ensure_future(heard.get())
    await asyncio.wait((life, first), return_when=asyncio.FIRST_COMPLETED)
    knows = first.done()
    first.cancel()
    yield
    if knows:
        await said.put({"type": "lifespan.shutdown"})
        await life
    else:
        life.exception()
