"""Real servers on loopback, and a proxy that breaks connections at will."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import redis

T = TypeVar("T")

_PACKAGES = {"redis-server": "redis-server", "memcached": "memcached"}
# Far more than a start takes, since a busy machine is not what these tests are about.
_START_SECONDS = 120.0


def free_port() -> int:
    """A port for a server, which nobody else is given before that server listens, nor after."""
    probe = socket.socket()
    _share(probe)
    probe.bind(("127.0.0.1", 0))
    return _reserve(probe)


def _share(probe: socket.socket) -> None:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _reserve(probe: socket.socket) -> int:
    """The port of a socket, which is kept until this process ends.

    Linux lets a server that reuses addresses, as all of ours do, listen beside a socket that is
    bound and does not; it chooses such a port for nobody else, and for no connection.
    """
    port = int(probe.getsockname()[1])
    if sys.platform == "linux":
        probe.detach()
    else:
        probe.close()
    return port


class Service:
    """A server process that can be stopped, continued, killed and started again."""

    def __init__(self, arguments: list[str], port: int) -> None:
        self.arguments = arguments
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        self.kill()
        raise RuntimeError(f"{self.arguments[0]} does not listen on port {self.port}")

    def ask(self, command: bytes) -> None:
        """Give a command that is answered by OK."""
        with socket.create_connection(("127.0.0.1", self.port), _START_SECONDS) as connection:
            connection.sendall(command + b"\r\n")
            assert connection.recv(100).strip().endswith(b"OK")

    def hang(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # until each of its threads stands still

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


def _binary(name: str) -> str:
    # Debian keeps servers in folders that a user's PATH may lack.
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        raise RuntimeError(
            f"{name} is not installed, and the tests of the stores run a real one; "
            f"install the system's package {_PACKAGES[name]!r} "
            f"(Debian, Ubuntu: apt-get install {_PACKAGES[name]})"
        )
    return path


@contextmanager
def redis_server(*options: str) -> Iterator[Service]:
    port = free_port()
    fixed = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    service = Service([_binary("redis-server"), *fixed, *options], port)
    try:
        yield service
    finally:
        service.kill()


@contextmanager
def memcached_server(*options: str) -> Iterator[Service]:
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    service = Service(
        [_binary("memcached"), *user, "-l", "127.0.0.1", "-p", str(port), "-U", "0", *options],
        port,
    )
    try:
        yield service
    finally:
        service.kill()


_SLOTS = 16384


@contextmanager
def redis_cluster(*options: str, nodes: int = 3) -> Iterator[list[Service]]:
    """Masters that share the slots evenly, in order; one that is gone takes only its own away."""
    with ExitStack() as stack:
        services = []
        for number in range(nodes):
            port = _cluster_port()
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            fixed = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
            fixed += ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]
            services.append(Service([_binary("redis-server"), *fixed, *options], port))
            stack.callback(services[-1].kill)
            slots = range(number * _SLOTS // nodes, (number + 1) * _SLOTS // nodes)
            with redis.Redis(port=port, protocol=2) as node:
                node.execute_command("CLUSTER", "ADDSLOTS", *slots)
                node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                for other in services[:-1]:
                    node.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        for service in services:
            _await_slots(service.port)
        yield services


@contextmanager
def redis_sentinel(master: Service) -> Iterator[Service]:
    """A sentinel that watches one master, by the name `main`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sentinel.conf"
        file.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds main 5000\n"
        )
        service = Service([_binary("redis-server"), str(file), "--sentinel"], port)
        try:
            yield service
        finally:
            service.kill()


def _cluster_port() -> int:
    """A free port whose neighbour 10,000 above, where nodes talk to one another, is free, too."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError), socket.socket() as probe:
            _share(probe)
            probe.bind(("127.0.0.1", port + 10_000))
            _reserve(probe)
            return port


def _await_slots(port: int) -> None:
    """Wait until a node answers for its slots and knows of all: some two seconds after a start."""
    deadline = time.monotonic() + _START_SECONDS
    with redis.Redis(port=port, protocol=2) as node:
        ready = {"cluster_state": "ok", "cluster_slots_ok": str(_SLOTS)}
        while not ready.items() <= node.execute_command("CLUSTER INFO").items():
            assert time.monotonic() < deadline, "the nodes do not find one another"
            time.sleep(0.02)


class Cut(Exception):
    """The proxy is to send these last bytes, and to cut the connection."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__(last)
        self.last = last


Script = Callable[[bytes], Awaitable[bytes]]


class Proxy:
    """A TCP proxy on loopback: `answer` edits what the server says, delays it, or raises Cut."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.connections = 0
        self.answer: Script | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        """Cut the connections that are open now."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(10):  # until the sockets are closed, and both sides have heard of it
            await asyncio.sleep(0.001)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Not in the coroutine: a task that is cancelled before its first step runs none of it.
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        asked = asyncio.create_task(self._pump(reader, up_writer, None))
        try:
            with suppress(asyncio.CancelledError):
                await self._pump(up_reader, writer, lambda: self.answer)
        finally:
            asked.cancel()
            up_writer.close()
            await asyncio.gather(asked, return_exceptions=True)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        script: Callable[[], Script | None] | None,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                edit = script() if script else None
                try:
                    writer.write(data if edit is None else await edit(data))
                except Cut as cut:
                    writer.write(cut.last)
                    return
                await writer.drain()


class StoodStill(BaseException):
    """The event loop did not turn; nothing in the loop may take this for a failed call."""


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.skipped_seconds


def run(main: Coroutine[object, object, T], *, seconds: int = 300) -> T:
    """Run `main`; an event loop that stands still is broken up by a signal, and fails."""

    def stop(*_: object) -> None:
        raise StoodStill(f"the event loop stood still for {seconds} seconds")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            return runner.run(main)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


@asynccontextmanager
async def hurried() -> AsyncIterator[None]:
    """Let the loop's clock run fast, while a server does not answer anyhow.

    So a time-out is waited for in a moment though it is one that no server misses that is well,
    however busy the machine is.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _Loop)

    async def hurry() -> None:
        while True:
            await asyncio.sleep(0.01)
            loop.skipped_seconds += 0.5

    task = asyncio.create_task(hurry())
    try:
        yield
    finally:
        task.cancel()


@asynccontextmanager
async def longest_stall() -> AsyncIterator[list[float]]:
    """Measure, into the list's one element, how long the event loop did not turn."""
    longest, last = [0.0], time.monotonic()

    def look() -> None:
        nonlocal last
        last, before = time.monotonic(), last
        longest[0] = max(longest[0], last - before)

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.002)
            look()

    task = asyncio.create_task(watch())
    try:
        yield longest
    finally:
        look()
        task.cancel()
