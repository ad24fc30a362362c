"""Any worker of a server tells the totals of all of them, whatever becomes of one."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.cache.services import free_port

from .serving import ANSWER_SECONDS, serving
from .sites import wait_until as wait

APP = "tests.integration.staff:app"
WORKERS = 2
_SERVERS = {
    "uvicorn": [
        *("-m", "uvicorn", "{app}", "--port", "{port}", "--workers", "{workers}"),
        # On a busy machine a worker needs longer than the default to start. If one is killed
        # between a ping and its answer, the supervisor waits as long.
        *("--timeout-worker-healthcheck", "120"),
    ],
    "gunicorn": [
        *("-m", "gunicorn", "{app}", "-k", "uvicorn_worker.UvicornWorker"),
        *("-w", "{workers}", "-b", "127.0.0.1:{port}"),
    ],
    "gunicorn that loads the app first": [
        *("-m", "gunicorn", "{app}", "-k", "uvicorn_worker.UvicornWorker", "--preload"),
        *("-w", "{workers}", "-b", "127.0.0.1:{port}"),
    ],
    "granian": [
        *("-m", "granian", "--interface", "asgi", "{app}", "--respawn-failed-workers"),
        *("--workers", "{workers}", "--port", "{port}"),
    ],
    "hypercorn": ["-m", "hypercorn", "{app}", "-w", "{workers}", "-b", "127.0.0.1:{port}"],
}
# Hypercorn ends all workers if one of them ends.
RESTARTING = [name for name in _SERVERS if name != "hypercorn"]
each_server = pytest.mark.parametrize("server", _SERVERS)
each_restarting = pytest.mark.parametrize("server", RESTARTING)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for as long as several processes take to start one by one on a busy machine."""
    wait(holds, seconds=900)


class Staff:
    """A server with workers, and what they say."""

    def __init__(self, process: subprocess.Popen[bytes], url: str) -> None:
        self.process = process
        self._url = url

    def get(self, path: str, **fields: str) -> httpx.Response:
        """The response by any of the workers: each time over a connection of its own."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return httpx.get(
                    self._url + path, headers=fields, timeout=ANSWER_SECONDS, trust_env=False
                )
            except httpx.ConnectError:  # while a worker is replaced, some servers accept nothing
                assert self.process.poll() is None, "the server has ended"
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def has_left(self, worker: int) -> bool:
        """Whether the others no longer count this worker."""
        with suppress(httpx.TransportError):
            return worker not in self.report()["processes"]["pids"]
        return False

    def ask(self, path: str, times: int) -> set[int]:
        """Ask for this path so often; the processes that have answered."""
        return {int(self.get(path).text) for _ in range(times)}

    def report(self) -> dict[str, Any]:
        """The report of any of the workers."""
        document: dict[str, Any] = self.get("/-/report", accept="application/json").json()
        return document

    def tell_all(self, *, of: int = WORKERS) -> dict[int, dict[str, Any]]:
        """The report of each worker, once so many are there and each of them has answered."""
        found: dict[int, dict[str, Any]] = {}
        told: set[int] = set()  # by the last report: those that it no longer names have ended

        def is_complete() -> bool:
            told.clear()
            with suppress(httpx.TransportError):  # a worker ends, or is not there yet
                report = self.report()
                found[report["processes"]["pid"]] = report
                told.update(report["processes"]["pids"])
            return len(told) == of and told <= found.keys()

        wait_until(is_complete)
        return {pid: found[pid] for pid in told}

    def workers(self) -> set[int]:
        """The processes, once all workers are there."""
        found: set[int] = set()

        def is_complete() -> bool:
            with suppress(httpx.TransportError):
                found.add(int(self.get("/").text))
            return len(found) == WORKERS

        wait_until(is_complete)
        return found

    def all_tell(self, requests: int, path: str, *, of: int = WORKERS) -> None:
        """Wait until each worker tells of so many requests for a path; none tells of more."""

        def is_told() -> bool:
            told = [count_of(report, path) for report in self.tell_all(of=of).values()]
            assert max(told) <= requests
            return min(told) == requests

        # A request is counted right after its response was sent.
        wait_until(is_told)


def count_of(report: Mapping[str, Any], path: str) -> int:
    return sum(row["count"] for row in report["routes"] if row["route"] == path)


def history_is_whole(report: Mapping[str, Any]) -> bool:
    """Whether the requests of all minutes are those of all routes."""
    minutes = sum(minute["requests"] for minute in report["history"])
    return bool(minutes == sum(row["count"] for row in report["routes"]))


@contextmanager
def staff_of(
    server: str, app: str = APP, workers: int = WORKERS, environ: Mapping[str, str] | None = None
) -> Iterator[Staff]:
    port = free_port()
    words = {"app": app, "port": str(port), "workers": str(workers)}
    arguments = [argument.format(**words) for argument in _SERVERS[server]]
    with serving(arguments, port, environ) as served:
        try:
            yield Staff(served.process, served.url)
        finally:
            children = children_of(served.process.pid)
            served.process.send_signal(signal.SIGTERM)
            served.process.wait(ANSWER_SECONDS)
            for pid in children:
                wait_until(lambda pid=pid: not is_running(pid))


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def named_memory() -> set[str]:
    return {name for name in os.listdir("/dev/shm") if "asgi" in name}


@each_server
def test_any_worker_tells_the_totals_of_all(server):
    before = named_memory()
    with staff_of(server) as staff:
        workers = staff.workers()
        staff.ask("/items", 100)
        staff.all_tell(100, "/items")
        for pid, report in staff.tell_all().items():
            processes = report["processes"]
            assert processes["pid"] == pid
            assert set(processes["pids"]) == workers
            assert (processes["counted"], processes["note"]) == ("all workers", "")
        # Another worker may count its last request between the two sums of a report.
        wait_until(lambda: history_is_whole(staff.report()))
        text = staff.get("/-/report", accept="text/plain").text
        assert f"\ncounted: all workers, pid {', '.join(map(str, sorted(workers)))}\n" in text
        assert named_memory() == before
    assert named_memory() == before


@each_restarting
def test_a_worker_that_is_killed_takes_nothing_along(server):
    with staff_of(server) as staff:
        staff.ask("/items", 50)
        staff.all_tell(50, "/items")
        # Each is one of the first: Granian ends if a worker does that it has just replaced.
        for number, victim in enumerate(staff.workers(), start=1):
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: staff.has_left(victim))
            staff.all_tell(50 * number, "/items")
            assert victim not in staff.workers()
            staff.ask("/items", 50)
            staff.all_tell(50 * (number + 1), "/items")


@each_restarting
def test_a_worker_may_be_killed_in_the_midst_of_its_requests(server):
    with staff_of(server) as staff, ThreadPoolExecutor(4) as clients:
        victim = staff.workers().pop()
        is_over = Event()

        def ask() -> tuple[int, int]:
            asked = answered = 0
            while not is_over.is_set():
                asked += 1
                with suppress(httpx.TransportError):
                    answered += staff.get("/items").is_success
            return asked, answered

        running = [clients.submit(ask) for _ in range(4)]
        try:
            wait_until(lambda: count_of(staff.report(), "/items") > 200)
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: len(staff.tell_all()) == WORKERS)
        finally:
            is_over.set()
        asked, answered = map(sum, zip(*[one.result() for one in running], strict=True))
        # The worker may have ended between a response and its record, for each of the clients.
        wait_until(lambda: count_of(staff.report(), "/items") >= answered - 4)
        told: set[int] = set()

        def is_agreed() -> bool:
            told.clear()
            told.update(count_of(report, "/items") for report in staff.tell_all().values())
            return len(told) == 1

        wait_until(is_agreed)
        assert answered - 4 <= told.pop() <= asked


# Those of Hypercorn, and of gunicorn that does not load the app first, end before others begin.
@pytest.mark.parametrize("server", ["uvicorn", "gunicorn that loads the app first", "granian"])
def test_workers_that_are_replaced_leave_their_totals(server):
    with staff_of(server) as staff:
        workers = staff.workers()
        staff.ask("/items", 50)
        staff.all_tell(50, "/items")
        staff.process.send_signal(signal.SIGHUP)
        wait_until(lambda: workers.isdisjoint(staff.tell_all()))
        staff.all_tell(50, "/items")


@each_server
def test_any_worker_tells_what_is_in_flight_in_another(server):
    with staff_of(server) as staff, socket.create_connection(port_of(staff)) as waiting:
        staff.workers()
        waiting.sendall(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        wait_until(lambda: all(one["in_flight"] == 1 for one in staff.tell_all().values()))
        waiting.close()
        wait_until(lambda: all(one["in_flight"] == 0 for one in staff.tell_all().values()))


def port_of(staff: Staff) -> tuple[str, int]:
    url = httpx.URL(staff.get("/").url)
    return url.host, url.port or 0


def test_servers_that_were_started_by_one_process_count_apart():
    with staff_of("uvicorn") as one, staff_of("uvicorn") as other:
        one.ask("/items", 20)
        other.ask("/items", 30)
        one.all_tell(20, "/items")
        other.all_tell(30, "/items")


def test_single_servers_that_were_started_by_one_process_count_apart():
    arguments = ["-m", "uvicorn", APP, "--port"]
    ports = [free_port(), free_port()]
    with (
        serving([*arguments, str(ports[0])], ports[0]) as one,
        serving([*arguments, str(ports[1])], ports[1]) as other,
    ):
        for server in (one, other):
            staff = Staff(server.process, server.url)
            staff.ask("/items", 10)
            wait_until(lambda staff=staff: count_of(staff.report(), "/items") == 10)
            assert staff.report()["processes"] == {
                "counted": "this process",
                "pids": [server.process.pid],
                "note": "",
                "pid": server.process.pid,
            }


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_workers_without_shared_memory_say_whom_they_count(server):
    with staff_of(server, "tests.integration.staff_apart:app") as staff:
        workers = staff.workers()
        staff.ask("/items", 30)
        told: dict[int, int] = {}
        while told.keys() != workers:
            report = staff.report()
            processes = report["processes"]
            pid = processes["pid"]
            told[pid] = count_of(report, "/items")
            assert processes["pids"] == [pid]
            assert processes["counted"] == "this process"
            assert processes["note"].startswith("one of several: ")
            assert "memfd_create" in processes["note"]
        assert sum(told.values()) == 30
