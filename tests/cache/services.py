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
from typing import NamedTuple, TypeVar

import redis

T = TypeVar("T")

_PACKAGES = {"redis-server": "redis-server", "memcached": "memcached", "openssl": "openssl"}
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


class Certificate(NamedTuple):
    """A certificate for 127.0.0.1 that is signed by itself, and its key."""

    file: str
    key: str

    def arguments(self, port: int) -> list[str]:
        """Those of a Redis that speaks only TLS, also to other servers."""
        files = ["--tls-cert-file", self.file, "--tls-key-file", self.key]
        files += ["--tls-ca-cert-file", self.file, "--tls-auth-clients", "no"]
        modes = ["--tls-replication", "yes", "--tls-cluster", "yes"]
        return ["--port", "0", "--tls-port", str(port), *files, *modes]


@contextmanager
def certificate() -> Iterator[Certificate]:
    with tempfile.TemporaryDirectory() as folder:
        made = Certificate(f"{folder}/certificate.pem", f"{folder}/key.pem")
        subprocess.run(
            [
                *(_binary("openssl"), "req", "-x509", "-days", "7", "-nodes"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-addext", "keyUsage=digitalSignature,keyCertSign"),
                *("-keyout", made.key, "-out", made.file),
            ],
            check=True,
            capture_output=True,
        )
        yield made


@contextmanager
def redis_server(*options: str, tls: Certificate | None = None) -> Iterator[Service]:
    port = free_port()
    fixed = ["--port", str(port)] if tls is None else tls.arguments(port)
    fixed += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with tempfile.TemporaryDirectory() as folder:  # a replica writes what it is sent
        fixed += ["--dir", folder]
        service = Service([_binary("redis-server"), *fixed, *options], port)
        try:
            yield service
        finally:
            service.kill()


def redis_client(
    port: int, password: str | None = None, tls: Certificate | None = None
) -> redis.Redis:
    """A client that looks into a server behind the back of what is tested."""
    options = {} if tls is None else {"ssl": True, "ssl_ca_certs": tls.file}
    return redis.Redis("127.0.0.1", port, protocol=2, password=password, **options)  # type: ignore[call-overload, no-any-return]


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
def redis_cluster(
    *options: str,
    nodes: int = 3,
    has_spare: bool = False,
    password: str | None = None,
    tls: Certificate | None = None,
) -> Iterator[list[Service]]:
    """Masters that share the slots evenly, in order; one that is gone takes only its own away.

    A spare is the last of the list: a replica of the last master.
    """
    with ExitStack() as stack:
        services: list[Service] = []
        for number in range(nodes + has_spare):
            port = _cluster_port()
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            fixed = ["--port", str(port)] if tls is None else tls.arguments(port)
            fixed += ["--bind", "127.0.0.1", "--save", "", "--dir", folder]
            fixed += ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no"]
            fixed += [] if password is None else ["--requirepass", password]
            services.append(Service([_binary("redis-server"), *fixed, *options], port))
            stack.callback(services[-1].kill)
            slots = range(number * _SLOTS // nodes, (number + 1) * _SLOTS // nodes)
            with redis_client(port, password, tls) as node:
                if number < nodes:
                    node.execute_command("CLUSTER", "ADDSLOTS", *slots)
                node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                for other in services[:-1]:
                    node.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        for service in services:
            with redis_client(service.port, password, tls) as node:
                _await_slots(node)
        if has_spare:
            with redis_client(services[-2].port, password, tls) as node:
                name = node.execute_command("CLUSTER MYID")
            with redis_client(services[-1].port, password, tls) as node:
                node.execute_command("CLUSTER", "REPLICATE", name)
                _wait_until(lambda: node.info("replication").get("master_link_status") == "up")
        yield services


@contextmanager
def redis_sentinel(
    master: Service,
    *lines: str,
    tls: Certificate | None = None,
    quorum: int = 1,
    down_seconds: float = 5.0,
) -> Iterator[Service]:
    """A sentinel that watches one master, by the name `main`."""
    port = free_port()
    options = [] if tls is None else tls.arguments(port)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sentinel.conf"
        watched = [
            f"sentinel monitor main 127.0.0.1 {master.port} {quorum}",
            f"sentinel down-after-milliseconds main {down_seconds * 1000:.0f}",
            "sentinel failover-timeout main 10000",
        ]
        file.write_text(
            "\n".join([f"port {port}", "bind 127.0.0.1", f"dir {folder}", *watched, *lines])
        )
        service = Service([_binary("redis-server"), str(file), "--sentinel", *options], port)
        try:
            yield service
        finally:
            service.kill()


class Watched(NamedTuple):
    """A master and its replica, either of which may be the master by now, and their sentinels."""

    servers: list[Service]
    sentinels: list[Service]

    def master(self) -> Service:
        """The server that the sentinels take for the master."""
        with redis_client(self.sentinels[0].port) as sentinel:
            _, port = sentinel.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")
        return next(server for server in self.servers if server.port == int(port))


@contextmanager
def redis_watched() -> Iterator[Watched]:
    """A master, a replica, and three sentinels that agree on what they watch."""
    with ExitStack() as stack:
        master = stack.enter_context(redis_server())
        replica = stack.enter_context(redis_server("--replicaof", "127.0.0.1", str(master.port)))
        sentinels = [
            stack.enter_context(redis_sentinel(master, quorum=2, down_seconds=2.0))
            for _ in range(3)
        ]
        ready = {"flags": "master", "num-slaves": "1", "num-other-sentinels": "2"}
        for sentinel in sentinels:
            with redis_client(sentinel.port) as client:
                _wait_until(lambda: ready.items() <= _watched_by(client).items())
        with redis_client(replica.port) as client:
            _wait_until(lambda: client.info("replication")["master_link_status"] == "up")
        yield Watched([master, replica], sentinels)


def _watched_by(sentinel: redis.Redis) -> dict[str, str]:
    found = sentinel.execute_command("SENTINEL MASTER", "main")
    return {name: str(value) for name, value in found.items()}


def _cluster_port() -> int:
    """A free port whose neighbour 10,000 above, where nodes talk to one another, is free, too."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError), socket.socket() as probe:
            _share(probe)
            probe.bind(("127.0.0.1", port + 10_000))
            _reserve(probe)
            return port


def _await_slots(node: redis.Redis) -> None:
    """Wait until a node answers for its slots and knows of all: some two seconds after a start."""
    ready = {"cluster_state": "ok", "cluster_slots_ok": str(_SLOTS)}
    _wait_until(lambda: ready.items() <= node.execute_command("CLUSTER INFO").items())


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "the servers do not find one another"
        time.sleep(0.02)


class Cut(Exception):
    """The proxy is to send these last bytes, and to cut the connection."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__(last)
        self.last = last


Script = Callable[[bytes], Awaitable[bytes]]


class Proxy:
    """A TCP proxy on loopback: `answer` edits what the server says, delays it, or raises Cut.

    It counts the calls: what is sent before an answer has come is one.
    """

    def __init__(self, port: int) -> None:
        self.calls = 0
        self._answered: set[asyncio.StreamWriter] = set()
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
        self._answered.add(up_writer)
        asked = asyncio.create_task(self._pump(reader, up_writer, up_writer, None))
        try:
            with suppress(asyncio.CancelledError):
                await self._pump(up_reader, writer, up_writer, lambda: self.answer)
        finally:
            asked.cancel()
            up_writer.close()
            await asyncio.gather(asked, return_exceptions=True)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        asks: asyncio.StreamWriter,
        script: Callable[[], Script | None] | None,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                edit = script() if script else None
                try:
                    if script is None:
                        self.calls += writer in self._answered
                        self._answered.discard(writer)
                    else:
                        self._answered.add(asks)
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
