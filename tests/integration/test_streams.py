"""Responses without end, clients that stop reading, and more names than there is room for."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cache.services import redis_server

from .serving import Server, uvicorn_of
from .sites import PATIENT_SECONDS, wait_until
from .wire import Wire, head_of

APP = "tests.integration.torrent:app"
GIB = 2**30
MAX_OBJECT = 5_000_000
MEGABYTE = 1_000_000


@pytest.fixture
def server() -> Iterator[Server]:
    with uvicorn_of(APP, "--http", "httptools") as server:
        server.get("/counts")
        yield server
        server.stop()
        assert "Traceback" not in server.log()


def count_of(server: Server, what: str) -> int:
    return server.get("/counts").value.get(what, 0)


def resident_bytes(server: Server) -> int:
    """The memory that the process has now."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def read_all(wire: Wire) -> int:
    """Read a response; how many bytes there were, with those that part its chunks."""
    status, fields = wire.read_head()
    assert (status, "stored" in fields["cache-status"]) == (200, False)
    length = int(fields.get("content-length", 0))
    buffer, size, end = bytearray(1 << 20), 0, b""
    while size < length if length else end != b"0\r\n\r\n":
        count = wire.file.readinto1(buffer)
        assert count
        size += count
        end = (end + bytes(buffer[max(0, count - 5) : count]))[-5:]
    return size


@pytest.mark.parametrize("coding", ["identity", "zstd"])
@pytest.mark.parametrize("known", ["", "&known=1"], ids=["of unknown length", "of known length"])
def test_a_gibibyte_passes_through_a_few_megabytes(server, known, coding):
    before = server.peak_bytes()
    with Wire(server) as wire:
        wire.send(head_of("GET", f"/bulk?bytes={GIB}{known}", f"Accept-Encoding: {coding}"))
        assert GIB <= read_all(wire) < 1.01 * GIB
    assert server.peak_bytes() - before < 3 * MAX_OBJECT


def test_clients_that_stop_reading_hold_up_nobody_and_what_they_leave_ends(server):
    before = resident_bytes(server)
    with ExitStack() as stack:
        for number in range(20):
            wire = stack.enter_context(Wire(server))
            wire.send(head_of("GET", f"/endless/{number}"))
            assert len(wire.file.read(2 * MAX_OBJECT)) == 2 * MAX_OBJECT
        for number in range(200):
            assert server.get(f"/small/{number}").status == 200
        assert resident_bytes(server) - before < 3 * MAX_OBJECT
        assert count_of(server, "endless over") == 0
    wait_until(lambda: count_of(server, "endless over") == 20)


Make = Callable[[int], bytes]

NAMES: dict[str, Make] = {
    "paths": lambda number: head_of("GET", f"/small/{number}"),
    "queries": lambda number: head_of("GET", f"/small?page={number}"),
    "values of Vary": lambda number: head_of("GET", "/small", f"Accept-Language: x-{number}"),
}


def fill(wire: Wire, make: Make, numbers: range) -> None:
    """Have the response to each of these requests stored."""
    for start in numbers[::50]:
        wire.send(*map(make, range(start, start + 50)))
        for _ in range(50):
            status, fields, body = wire.read()
            assert (status, len(body)) == (200, 1000)
            assert "stored" in fields["cache-status"]


@pytest.mark.parametrize("make", NAMES.values(), ids=NAMES)
def test_any_number_of_names_takes_what_the_cache_may(make):
    # A hundred thousand of each take what two thousand do, and 0.2 ms each from first to last; so
    # few stand for them since they are six times what there is room for.
    environ = {"ASGI_SERIAL_CACHE_MEMORY": "1MB", "ASGI_SERIAL_CACHE_MAX_OBJECT": "100kB"}
    with uvicorn_of(APP, "--http", "httptools", environ=environ) as server, Wire(server) as wire:
        fill(wire, make, range(50))
        before = resident_bytes(server)
        fill(wire, make, range(50, 2000))
        full = resident_bytes(server)
        fill(wire, make, range(2000, 5000))
        assert full - before < 1 * MEGABYTE + 4 * MEGABYTE
        assert resident_bytes(server) - full < MEGABYTE / 2


def test_servers_stop_whatever_is_under_way():
    with redis_server() as store, ExitStack() as stack:
        # One call for both: neither gives up on the store, or on the other's call, before the end.
        environ = {
            "ASGI_SERIAL_CACHE_URL": f"redis://127.0.0.1:{store.port}",
            "ASGI_SERIAL_CACHE_TTL": "60s",
            "ASGI_SERIAL_CACHE_STORE_TIMEOUT": f"{PATIENT_SECONDS}s",
            "ASGI_SERIAL_CACHE_WAIT": f"{PATIENT_SECONDS}s",
        }
        options = ["--timeout-graceful-shutdown", "1"]
        servers = [
            stack.enter_context(uvicorn_of(APP, *options, environ=environ)) for _ in range(2)
        ]

        def ask(server: Server, path: str) -> Wire:
            wire = stack.enter_context(Wire(server))
            wire.send(head_of("GET", path))
            return wire

        for server in servers:
            begin_everything(server, ask)
        # The second waits for the lease of the first.
        for server in servers * 3:
            ask(server, "/slow/shared")
        wait_until(lambda: sum(count_of(server, "slow begun") for server in servers) == 3)
        for server in servers:
            server.stop()
            assert "Finished server process" in server.log()
            for complaint in (
                "Traceback",
                "Task was destroyed",
                "never retrieved",
                "never awaited",
            ):
                assert complaint not in server.log()


def begin_everything(server: Server, ask: Callable[[Server, str], Wire]) -> None:
    """Have a refresh, a stream, a call whose client has left, and one that waits for it."""
    server.get("/stale")
    assert "stale-while-revalidate" in server.get("/stale").fields["cache-status"]
    wait_until(lambda: count_of(server, "stale begun") == 2)
    ask(server, f"/endless/{server.port}").read_head()
    slow = f"/slow/{server.port}"
    leader = ask(server, slow)
    wait_until(lambda: count_of(server, "slow begun") == 1)
    ask(server, slow)
    leader.file.close()
    leader.socket.close()


def test_clients_that_stop_reading_take_no_more_than_the_cache_may():
    environ = {"ASGI_SERIAL_CACHE_MEMORY": "20MB"}
    with uvicorn_of(APP, "--http", "httptools", environ=environ) as server, ExitStack() as stack:
        before = server.peak_bytes()
        for number in range(40):
            wire = stack.enter_context(Wire(server))
            wire.send(head_of("GET", f"/endless/{number}"))
            wire.read_head()
        time.sleep(1)
        # Each of them holds what the kernel takes, some 4 MB.
        assert server.peak_bytes() - before < 20 * MEGABYTE + 2 * MAX_OBJECT
