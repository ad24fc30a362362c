"""Runs the cases of the conformance table, and says what is wrong with the answers."""

import asyncio
import http.client
import itertools
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import uvicorn

from asgi_serial import SerialMiddleware
from asgi_serial.engine.engine import Engine
from asgi_serial.settings.model import Settings
from tests.engine.driver import Request, drive

from .origin import Asked, Clock, Fields, Origin
from .table import ANY, CACHE, ORIGIN, REFRESHED, WHOLE, Case, Step

OPTIONS = {"compression": False, "formats": False, "decoding": False, "timing": False}
OPTIONS["cache_confirm"] = True
PRESET: dict[str, object] = {"preset": "conformance"}
_REFRESH_SECONDS = 120.0
_numbers = itertools.count()


class Answer(NamedTuple):
    """What the client has got."""

    status: int
    fields: Fields
    body: bytes
    is_whole: bool

    def all(self, name: str) -> list[str]:
        return [value for other, value in self.fields if other.lower() == name]


class Play:
    """One case as it is run: what is known of the steps so far."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.faults: list[str] = []
        self.stored: list[tuple[int, bytes]] = []  # by step: status and body of the origin
        self.place = 0
        origin.path = f"/{next(_numbers)}"
        origin.asked.clear()

    def prepare(self, step: Step) -> None:
        self.origin.clock.now += step.after
        self.origin.replies = [step.reply] if step.again is None else [step.reply, step.again]
        self.before = len(self.origin.asked)
        self.place += 1

    def target(self, step: Step) -> str:
        return self.origin.path + step.path

    def lines(self, step: Step) -> list[tuple[str, str]]:
        lines = [self.origin.render(line).partition(":") for line in step.lines]
        fields = [(name.lower(), value.strip()) for name, _, value in lines]
        if step.body:
            fields.append(("content-length", str(len(step.body))))
        if not any(name == "host" for name, _ in fields):
            fields.insert(0, ("host", "example.org"))
        return fields

    def is_asked(self) -> bool:
        return len(self.origin.asked) > self.before

    def check(self, step: Step, answer: Answer) -> None:
        """Note what is wrong with the answer to this step."""
        asked = self.origin.asked[self.before :]
        self._check_source(step, asked)
        is_from_origin = bool(asked) and step.source in (ORIGIN, ANY)
        if is_from_origin:
            self.stored.append((asked[-1].status, asked[-1].body))
        else:
            self.stored.append(self.stored[-1] if self.stored else (0, b""))
        status, body = self.stored[(step.of or self.place) - 1]
        self._same("status", answer.status, step.status or status)
        if step.reply.end is not WHOLE and is_from_origin:
            if answer.is_whole and step.status is None:
                self._fault("the answer looks whole")
        elif step.content is not None:
            self._same("content", answer.body, step.content)
        elif step.status in (None, status) and step.source is not ANY:
            empty = step.method == "HEAD" or answer.status in (204, 304)
            self._same("content", answer.body, b"" if empty else body)
        self._check_fields(step, answer)
        if asked:
            self._check_asked(step, asked[-1])
        if step.source is REFRESHED and asked and asked[-1].status == 200:
            self.stored[-1] = (200, asked[-1].body)

    def _check_source(self, step: Step, asked: list[Asked]) -> None:
        if step.source is CACHE and asked:
            self._fault("the origin was asked")
        elif step.source not in (CACHE, ANY) and not asked:
            self._fault("the origin was not asked")

    def _check_fields(self, step: Step, answer: Answer) -> None:
        for line in step.has:
            name, _, value = self.origin.render(line).partition(":")
            values = answer.all(name.lower())
            if value.strip() not in values:
                self._fault(f"{name} is {values}, not {value.strip()!r}")
        for name in step.lacks:
            if answer.all(name.lower()):
                self._fault(f"it has {name}: {answer.all(name.lower())}")
        if step.says:
            members = ", ".join(answer.all("cache-status")).split("; ")
            for member in step.says:
                if member not in members:
                    self._fault(f"Cache-Status has {members}, not {member}")

    def _check_asked(self, step: Step, asked: Asked) -> None:
        for line in step.asked:
            name, _, value = self.origin.render(line).partition(":")
            values = [value for other, value in asked.fields if other == name.lower()]
            if value.strip() not in values:
                self._fault(f"the origin got {name} {values}, not {value.strip()!r}")
        for name in step.not_asked:
            if any(other == name.lower() for other, _ in asked.fields):
                self._fault(f"the origin got {name}")

    def _same(self, what: str, got: object, wanted: object) -> None:
        if got != wanted:
            self._fault(f"its {what} is {got!r}, not {wanted!r}")

    def _fault(self, text: str) -> None:
        self.faults.append(f"step {self.place}: {text}")


def options_of(case: Case) -> dict[str, object]:
    return PRESET if case.preset else OPTIONS


def run_in_process(case: Case) -> list[str]:
    """The faults of the middleware in front of the origin, as ASGI apps."""
    clock = Clock()
    origin = Origin(clock)
    engine = Engine(Settings.load(options_of(case), {}), clock=clock)
    play = Play(origin)

    async def main() -> None:
        app = SerialMiddleware(origin, engine=engine)
        for step in case.steps:
            play.prepare(step)
            answer = await _ask_app(app, play, step)
            for _ in range(200 if step.source is REFRESHED else 20):
                await asyncio.sleep(0)
            play.check(step, answer)

    asyncio.run(asyncio.wait_for(main(), 300))
    return play.faults


async def _ask_app(app: Any, play: Play, step: Step) -> Answer:
    path, _, query = play.target(step).partition("?")
    request = Request(
        step.method,
        path,
        tuple(play.lines(step)),
        (step.body,) if step.body else (),
        query.encode(),
        scope={"path": unquote(path), "raw_path": path.encode()},
    )
    recording = await drive(app, request)
    if not any(message["type"] == "http.response.start" for message in recording.messages):
        return Answer(500, (), b"", False)  # as the server says of an app that fails
    start = recording.start
    fields = tuple((name.decode(), value.decode("latin-1")) for name, value in start["headers"])
    pieces = [message for message in recording.messages if "body" in message]
    body = b"".join(message["body"] for message in pieces)
    is_over = bool(recording.messages) and not recording.messages[-1].get("more_body", False)
    lengths = [int(value) for name, value in fields if name == "content-length"]
    is_whole = recording.error is None and is_over and lengths in ([], [len(body)])
    return Answer(start["status"], fields, body, is_whole)


class Wire(threading.Thread):
    """The reverse proxy and the origin over uvicorn, on the clock of the table.

    `build_app` is that of `examples/reverse_proxy.py`.
    """

    def __init__(self, build_app: Callable[..., Any], options: dict[str, object]) -> None:
        super().__init__(daemon=True)
        self.clock = Clock()
        self.origin = Origin(self.clock)
        self.engine = engine = Engine(Settings.load(options, {}), clock=self.clock)
        sockets = [_listen() for _ in range(2)]
        port = sockets[0].getsockname()[1]
        self.port = sockets[1].getsockname()[1]
        apps = (self.origin, build_app(f"http://127.0.0.1:{port}", engine=engine, clock=self.clock))
        servers = (_make_server(apps[0], lifespan="off"), _make_server(apps[1], lifespan="on"))
        self._servers = list(zip(servers, sockets, strict=True))

    def __enter__(self) -> "Wire":
        self.start()
        deadline = time.monotonic() + 120
        while not all(server.started for server, _ in self._servers):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        for server, _ in self._servers:
            server.should_exit = True
        self.join(120)

    def run(self) -> None:
        async def main() -> None:
            runs = (server.serve(sockets=[one]) for server, one in self._servers)
            await asyncio.gather(*runs)

        asyncio.run(main())

    def play(self, case: Case) -> list[str]:
        """The faults of the proxy over HTTP."""
        play = Play(self.origin)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            for step in case.steps:
                play.prepare(step)
                answer = _ask_server(connection, play, step)
                deadline = time.monotonic() + _REFRESH_SECONDS
                # Until the origin was asked behind the answer, and its response is stored.
                while step.source is REFRESHED and (
                    self.engine.workers.tasks or not play.is_asked()
                ):
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.002)
                play.check(step, answer)
        finally:
            connection.close()
        return play.faults


def _listen() -> socket.socket:
    # Of a named protocol: only then asyncio sends what is small at once (TCP_NODELAY).
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    return listener


def _make_server(app: Any, *, lifespan: Literal["on", "off"]) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        lifespan=lifespan,
        ws="none",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
    )
    return uvicorn.Server(config)


def _ask_server(connection: http.client.HTTPConnection, play: Play, step: Step) -> Answer:
    connection.putrequest(step.method, play.target(step), skip_host=True, skip_accept_encoding=True)
    for name, value in play.lines(step):
        connection.putheader(name, value)
    connection.endheaders(step.body or None)
    response = connection.getresponse()
    fields = tuple((name.lower(), value) for name, value in response.getheaders())
    try:
        return Answer(response.status, fields, response.read(), is_whole=True)
    except http.client.IncompleteRead as error:
        connection.close()
        return Answer(response.status, fields, error.partial, is_whole=False)
