"""The calls of the second level that a request makes, as a Redis that processes share sees them."""

import asyncio
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from asgi_serial.types import ASGIApp
from benchmarks.apps import document, plain_app
from benchmarks.cases.subjects import ALL_ON, PUBLIC, is_hit, is_stored, ours
from benchmarks.traffic import Fields, Request, Subject

WARM_UP = 5
COUNTED = 25
SETTLED_SECONDS = 0.02
START_SECONDS = 30.0

# A lifetime of ours, so that requests for something new wait for one another, in all processes. A
# call that waits for the server's turn on a busy machine is one all the same.
SHARED = {**ALL_ON, "cache_ttl": "60s", "cache_store_timeout": "10s"}


class Counter:
    """A relay to a server that counts the calls: what is sent before an answer has come is one."""

    def __init__(self, server: Path, path: Path) -> None:
        self.calls = 0
        self.path = path
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Relay connections until the end of the block."""
        server = await asyncio.start_unix_server(self._accept, self.path)
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, asks = await asyncio.open_unix_connection(self._server)
        is_answered = True

        async def relay_answers() -> None:
            nonlocal is_answered
            while data := await answers.read(1 << 20):
                is_answered = True
                writer.write(data)

        answering = asyncio.get_running_loop().create_task(relay_answers())
        try:
            while data := await reader.read(1 << 20):
                self.calls += is_answered
                is_answered = False
                asks.write(data)
        finally:
            answering.cancel()
            asks.close()
            writer.close()


@contextmanager
def redis_at(folder: Path) -> Iterator[Path]:
    """Run a Redis; yield the path of its socket."""
    program = shutil.which("redis-server")
    if program is None:
        raise RuntimeError("redis-server is not installed; the calls are counted before a real one")
    path = folder / "redis"
    command = [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", folder]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield path
    finally:
        server.kill()
        server.wait()


@asynccontextmanager
async def counted_redis() -> AsyncIterator[Counter]:
    """Run a Redis behind a counter."""
    with tempfile.TemporaryDirectory() as name, redis_at(Path(name)) as server:
        counter = Counter(server, Path(name) / "counter")
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_unix_connection(server)
                    writer.close()
                    break
                await asyncio.sleep(SETTLED_SECONDS)
        async with counter.listening():
            yield counter


async def cold_miss(client: Fields) -> float:
    """The calls of a request for something new, beyond one to look and one to store."""
    async with counted_redis() as counter:
        request = Request(client=client, unique=True)
        app = ours(
            plain_app(document(10_000), PUBLIC), cache_url=f"unix://{counter.path}", **SHARED
        )
        return await _count(Subject(app, request, is_stored), counter) - 2


async def cold_hit(client: Fields) -> float:
    """The calls of a request for what another process has stored, beyond one to look."""
    app: ASGIApp = plain_app(document(10_000), PUBLIC)
    async with counted_redis() as counter:
        for check in (is_stored, is_hit):
            served = ours(app, cache_url=f"unix://{counter.path}", **SHARED)
            request = Request(client=client, unique=True)
            calls = await _count(Subject(served, request, check), counter)
        return calls - 1


async def _count(subject: Subject, counter: Counter) -> float:
    """The median of the calls of a request, with those behind its response.

    A few of the requests meet a poll of the purges, or open a connection.
    """
    counts = []
    for number in range(WARM_UP + COUNTED):
        counter.calls = 0
        await subject.prove()
        await asyncio.sleep(SETTLED_SECONDS)
        if number >= WARM_UP:
            counts.append(counter.calls)
    return statistics.median(counts)
