"""Call an app without a server: its lifespan, and requests."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from asgi_serial.types import Fields, Message, Scope

_MAX_BODY_BYTES = 50_000_000
"""A body that is longer than this, or endless, is cut off."""


class StartupFailed(Exception):
    """The app has refused to start; the message is its own."""


class Answer(NamedTuple):
    """The response of an app, and how long it took."""

    status: int
    """0, if it has not begun a response."""
    fields: Fields
    body: bytes
    seconds: float
    cpu_seconds: float
    """The CPU time of the whole process, threads included."""
    fault: str = ""
    """Why there is no whole response; empty if there is."""

    def all(self, name: bytes) -> list[str]:
        """Return the values of all lines of a field."""
        return [value.decode("latin-1") for known, value in self.fields if known.lower() == name]

    def one(self, name: bytes) -> str:
        """Return the value of a field, its lines joined; empty if there is none."""
        return ", ".join(self.all(name))


def make_scope(
    url: str, *, method: str = "GET", headers: Iterable[tuple[str, str]] = (), state: Any = None
) -> Scope:
    """Return the scope of a request for an absolute URL, as uvicorn gives it."""
    parts = urlsplit(url)
    path = parts.path or "/"
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": unquote(path),
        "raw_path": path.encode("latin-1", "replace"),
        "query_string": parts.query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": [
            (b"host", parts.netloc.encode("latin-1", "replace")),
            *(
                (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
                for name, value in headers
            ),
        ],
        "client": ("127.0.0.1", 50_000),
        "server": (parts.hostname or "localhost", port),
        "state": {} if state is None else dict(state),
    }


async def ask(app: Any, scope: Scope, *, timeout: float) -> Answer:
    """Send a request without a body to an app, and return its answer.

    An app that takes longer than `timeout` seconds, or whose body does not end, is told that its
    client has left, and then cancelled.
    """
    began, began_cpu = perf_counter(), process_time()
    start: Message | None = None
    parts: list[bytes] = []
    size = 0
    has_asked = False
    is_over = asyncio.Event()

    async def receive() -> Message:
        nonlocal has_asked
        if not has_asked:
            has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await is_over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal start, size
        if message["type"] == "http.response.start":
            start = message
        elif message["type"] == "http.response.body":
            body = bytes(message.get("body", b""))
            size += len(body)
            if size <= _MAX_BODY_BYTES:
                parts.append(body)
            if size > _MAX_BODY_BYTES or not message.get("more_body", False):
                is_over.set()

    task = asyncio.ensure_future(app(scope, receive, send))
    ended = asyncio.ensure_future(is_over.wait())
    fault = ""
    try:
        await asyncio.wait((task, ended), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        seconds, cpu_seconds = perf_counter() - began, process_time() - began_cpu
        if size > _MAX_BODY_BYTES:
            fault = f"its body is longer than {_MAX_BODY_BYTES:,} bytes"
        elif not task.done() and not is_over.is_set():
            fault = f"it was not complete after {timeout:g} s"
        is_over.set()
        if not task.done():
            # What goes on after the response, such as background tasks.
            await asyncio.wait((task,), timeout=0.0 if fault else timeout)
        if task.done() and not task.cancelled() and task.exception() is not None:
            fault = f"the app raised {task.exception()!r}"
        elif not fault and start is None:
            fault = "the app sent no response"
    finally:
        ended.cancel()
        task.cancel()
        await asyncio.gather(task, ended, return_exceptions=True)
    return Answer(
        status=0 if start is None else int(start["status"]),
        fields=[] if start is None else [(bytes(k), bytes(v)) for k, v in start.get("headers", [])],
        body=b"".join(parts),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        fault=fault,
    )


@asynccontextmanager
async def lifespan_of(app: Any, *, timeout: float) -> AsyncIterator[dict[str, Any]]:
    """Run the lifespan of an app around the block, and yield the state that requests get.

    An app without a lifespan raises at once, and is served without, as servers do. Raises:
    StartupFailed.
    """
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": state,
    }
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    try:
        to_app.put_nowait({"type": "lifespan.startup"})
        answered = await _next_message(task, from_app, timeout)
        if answered is None and not task.done():
            raise StartupFailed(f"the lifespan has not started after {timeout:g} s")
        if answered is not None and answered["type"] == "lifespan.startup.failed":
            raise StartupFailed(answered.get("message") or "the lifespan has failed to start")
        yield state
        if not task.done():
            to_app.put_nowait({"type": "lifespan.shutdown"})
            await _next_message(task, from_app, timeout)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _next_message(
    task: asyncio.Future[Any], messages: asyncio.Queue[Message], timeout: float
) -> Message | None:
    """Return the next message of the lifespan; None, if it ends or takes too long."""
    getting = asyncio.ensure_future(messages.get())
    await asyncio.wait((task, getting), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    if getting.done():
        return getting.result()
    getting.cancel()
    return None
