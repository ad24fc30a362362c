"""Hits over uvicorn: two servers that a client on loopback asks in turns."""

import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable

from benchmarks import callgrind
from benchmarks.callgrind import Callgrind
from benchmarks.cases.subjects import total
from benchmarks.meters import Costs, Round
from benchmarks.traffic import Fields

WARM_UP = 200
REQUESTS = 200


class Served:
    """Servers by the names of their apps (see server.py), and the figure that their costs give."""

    def __init__(self, value: Callable[[Costs], float], client: Fields, **apps: str) -> None:
        self.value = value
        self.client = client
        self.apps = apps
        self._servers: dict[str, Server] = {}

    async def prepare(self, callgrind: Callgrind | None) -> None:
        """Start the servers; their instructions are counted where this process's are."""
        if callgrind is None:
            _share_one_core()
        for name, app in self.apps.items():
            self._servers[name] = Server(app, self.client, counting=callgrind is not None)
        for server in self._servers.values():
            server.warm_up()

    async def measure(self) -> Round:
        """Let every server have its turn; instructions or seconds of CPU for each request."""
        costs = {name: server.measure() for name, server in self._servers.items()}
        return self.value(costs), costs

    def close(self) -> None:
        """End the servers."""
        for server in self._servers.values():
            server.stop()


def hit(app: str) -> Callable[[Fields], Awaitable[Served]]:
    """The case of a hit by one of the servers' apps, for a client."""

    async def case(client: Fields) -> Served:
        return Served(total, client, bare="bare", ours=app)

    return case


class Server:
    """A uvicorn in a process of its own, and one connection to it that is kept alive."""

    def __init__(self, app: str, client: Fields, *, counting: bool) -> None:
        command = [sys.executable, "-m", "benchmarks.server", app]
        environment = dict(os.environ)
        if counting:
            command[:0], extra = callgrind.prefix()
            environment |= extra
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        )
        self._socket: socket.socket | None = None
        self._app = app
        self._client = client

    def warm_up(self) -> None:
        """Wait until the server listens, hold it to its work, and let it settle."""
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = self._request("/items")
        head, _ = self._ask(request)
        if self._app != "bare" and b"; hit" not in self._ask(request)[0]:
            raise RuntimeError(f"{self._app} gives no hit: {head!r}")
        for _ in range(WARM_UP):
            self._ask(request)

    def measure(self) -> float:
        """What one request costs the server."""
        request = self._request("/items")
        _, began = self._ask(self._request("/-/begin"))
        for _ in range(REQUESTS):
            self._ask(request)
        _, ended = self._ask(self._request("/-/end"))
        return (float(ended) - float(began)) / REQUESTS

    def stop(self) -> None:
        """End the server."""
        if self._socket is not None:
            self._socket.close()
        self._process.terminate()
        self._process.wait()

    def _ask(self, request: bytes) -> tuple[bytes, bytes]:
        assert self._socket is not None
        self._socket.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"\r\ncontent-length: ")
        left = int(length.partition(b"\r\n")[0]) - len(body)
        while left > 0:
            piece = self._receive()
            body += piece
            left -= len(piece)
        return head, body

    def _request(self, path: str) -> bytes:
        fields = [b": ".join(pair) for pair in self._client.items()]
        return b"\r\n".join([f"GET {path} HTTP/1.1".encode(), *fields]) + b"\r\n\r\n"

    def _receive(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("The server has closed the connection.")
        return data


def _share_one_core() -> None:
    # Where the system may place them, a server that wakes up on a core of its own takes 1.5 times
    # the CPU of one that takes over from its client.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
