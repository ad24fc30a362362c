"""Apps driven over ASGI in process, and what they send held against the rules."""

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from asgi_serial import SerialMiddleware
from asgi_serial.engine.engine import Engine
from asgi_serial.settings.model import Settings

from .client import Answer, understand

SINGLE = (b"content-length", b"content-type", b"content-encoding", b"etag", b"age", b"vary")


def awaited(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine, as one that pytest can call; it fails where it hangs."""

    @functools.wraps(test)
    def run(*arguments: Any, **options: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **options), 300))

    return run


async def settled(turns: int = 100) -> None:
    """Let every task come to where it waits, however long the machine takes for it."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def until(holds: Callable[[], object]) -> None:
    """Wait until this holds; what never does is ended by `awaited`."""
    while not holds():
        await asyncio.sleep(0.001)


async def heard(process: Any) -> None:
    """Wait until a process has asked what others have purged, having begun to after this."""
    sync, polls = process.engine.responses.purge_sync, []
    poll = sync.poll

    async def watched() -> None:
        await poll()
        polls.append(True)

    sync.poll = watched
    await until(lambda: polls)
    sync.poll = poll


async def told(process: Any) -> None:
    """Wait until other processes were told of all that was written in this one."""
    await asyncio.wait((process.engine.responses.purge_sync.sender,))


class Clock:
    """A clock that stands still until it is told the time."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def serial_of(
    app: Any, *, clock: Callable[[], float] | None = None, store: Any = None, **options: Any
) -> Any:
    """`app` behind the middleware, by the settings alone and not the environment."""
    settings = Settings.load(options, {})
    return SerialMiddleware(app, engine=Engine(settings, store=store, clock=clock or Clock()))


@dataclass(frozen=True)
class Request:
    """What a client sends."""

    method: str = "GET"
    path: str = "/"
    fields: tuple[tuple[str, str], ...] = ()
    body: tuple[bytes, ...] = ()
    query: bytes = b""
    leaves: bool = False  # the client is gone after its last byte
    scope: dict[str, Any] = field(default_factory=dict)  # what else its scope is to hold

    def having(self, **fields: str) -> "Request":
        """The same with further fields, `if_match` for `If-Match`."""
        added = tuple((name.replace("_", "-"), value) for name, value in fields.items())
        return replace(self, fields=self.fields + added)

    def make_scope(self) -> dict[str, Any]:
        pairs = [(b"host", b"example.org")]
        if "host" in dict(self.fields):
            pairs = []
        pairs += [(name.encode(), value.encode("latin-1")) for name, value in self.fields]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query,
            "root_path": "",
            "headers": pairs,
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
            **self.scope,
        }

    def make_receive(self) -> Callable[[], Any]:
        pieces = list(self.body or (b"",))
        waiting: list[dict[str, Any]] = [
            {"type": "http.request", "body": piece, "more_body": place < len(pieces)}
            for place, piece in enumerate(pieces, 1)
        ]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop(0)
            if not self.leaves:
                await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        return receive


class Recording:
    """What an app has sent, as it was when it was sent, and how it has ended."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.error: BaseException | None = None

    async def send(self, message: Any) -> None:
        taken = dict(message)
        if "headers" in taken or taken["type"] == "http.response.start":
            pairs = taken.get("headers", ())
            taken["headers"] = [(bytes(name), bytes(value)) for name, value in pairs]
        if "body" in taken:
            taken["body"] = bytes(taken["body"])
        self.messages.append(taken)

    @property
    def types(self) -> list[str]:
        return [message["type"].removeprefix("http.response.") for message in self.messages]

    @property
    def start(self) -> dict[str, Any]:
        return next(one for one in self.messages if one["type"] == "http.response.start")

    @property
    def lengths(self) -> list[bytes]:
        """The values of Content-Length, of which there should be one at most."""
        return [value for name, value in self.start["headers"] if name == b"content-length"]


async def drive(app: Any, request: Request) -> Recording:
    """Let the app answer; an exception of its own is recorded."""
    recording = Recording()
    try:
        await app(request.make_scope(), request.make_receive(), recording.send)
    except Exception as error:
        recording.error = error
    return recording


def find_faults(recording: Recording, request: Request) -> list[str]:
    """What breaks the rules of ASGI and of HTTP in what an app has sent."""
    faults: list[str] = []
    start: dict[str, Any] | None = None
    size, over, trailed, has_file = 0, False, False, False
    for message in recording.messages:
        kind = message["type"].removeprefix("http.response.")
        if kind == "start":
            if start is not None:
                faults.append("a second start")
            start = message
        elif kind == "body":
            if start is None:
                faults.append("a body before the start")
            if over:
                faults.append("a body after the last")
            size += len(message.get("body", b""))
            over = over or not message.get("more_body", False)
        elif kind in ("pathsend", "zerocopysend"):
            if start is None or over:
                faults.append("a file out of place")
            has_file = True
            over = not message.get("more_body", False)
        elif kind == "trailers":
            if start is None or not start.get("trailers") or trailed:
                faults.append("trailers out of place")
            trailed = not message.get("more_trailers", False)
    if start is None:
        return [*faults, *(["no start"] if recording.error is None else [])]
    if not over and recording.error is None:
        faults.append("no end")
    known_size = size if over and not has_file else None
    if start["status"] in (204, 304) and (size or has_file):
        faults.append("content where none may be")
    return faults + _head_faults(start, known_size, request)


def _head_faults(start: dict[str, Any], size: int | None, request: Request) -> list[str]:
    faults: list[str] = []
    names = [name for name, _ in start["headers"]]
    faults += [f"{name!r} is not in lower case" for name in names if name != name.lower()]
    faults += [f"{name!r} stands more than once" for name in SINGLE if names.count(name) > 1]
    length = dict(start["headers"]).get(b"content-length")
    no_content = request.method == "HEAD" or start["status"] == 304
    if None not in (length, size) and not no_content and int(length or 0) != size:
        faults.append(f"Content-Length is {length!r}, sent were {size} bytes")
    return faults


async def ask(app: Any, request: Request) -> Answer:
    """The answer of an app, which has to be legal and to end without an exception."""
    recording = await drive(app, request)
    if recording.error is not None:
        raise recording.error
    assert find_faults(recording, request) == []
    return understand(recording)


def fields_of(**fields: str) -> list[tuple[bytes, bytes]]:
    """Field lines as an app sends them; `content_type` for `content-type`."""
    return [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]


def document_of(size: int) -> bytes:
    """A JSON document of about this many bytes."""
    members = [{"id": number, "name": f"item {number}"} for number in range(size // 33)]
    return json.dumps(members).encode()


class Whole:
    """An app that answers every request alike, in pieces, and counts its calls."""

    def __init__(
        self,
        content: bytes,
        *,
        pieces: int = 1,
        status: int = 200,
        **fields: str,
    ) -> None:
        self.content = content
        self.pieces = pieces
        self.status = status
        self.fields = fields_of(**fields)
        self.calls = 0
        self.scopes: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        self.scopes.append(scope)
        headers = list(self.fields)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        size = -(-len(self.content) // self.pieces) or 1
        for place in range(self.pieces):
            body = self.content[place * size : (place + 1) * size]
            more = place + 1 < self.pieces
            await send({"type": "http.response.body", "body": body, "more_body": more})
