"""Four server processes over one store: one call of the app, and one truth, for all of them."""

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from asgi_serial.cache.leases import LEASE_SECONDS
from tests.cache.services import redis_server

from .serving import ANSWER_SECONDS, Answer, Server, uvicorn_of
from .sites import PATIENT_SECONDS, SERVICES, wait_until

APP = "tests.integration.crew:app"
WORKERS, CLIENTS = 4, 200
POLL_SECONDS, CALL_SECONDS = 0.4, 0.5
# What a busy machine may add. Whoever heard of nothing would have the old response for a minute,
# and who waited for a process that is gone would do so for all of `PATIENT_SECONDS`.
SLACK_SECONDS = 15.0

FORMS = [
    {"accept": accept, "accept-encoding": coding}
    for accept in ("application/json", "application/vnd.msgpack")
    for coding in ("identity", "zstd", "br", "gzip")
]
_numbers = itertools.count()


class Crew:
    """The processes of one app over one store, and the file of their calls."""

    def __init__(self, url: str, file: Path, stack: ExitStack) -> None:
        self.servers: list[Server] = []
        self._file, self._stack = file, stack
        file.touch()
        self.environ = {
            "ASGI_SERIAL_CACHE_URL": url,
            "ASGI_SERIAL_CACHE_TTL": "60s",  # so that the first requests wait for one another
            "ASGI_SERIAL_CACHE_POLL": f"{POLL_SECONDS}s",
            # Where the store or the call took longer than these, a second call would be right.
            "ASGI_SERIAL_CACHE_WAIT": f"{PATIENT_SECONDS}s",
            "ASGI_SERIAL_CACHE_STORE_TIMEOUT": f"{PATIENT_SECONDS}s",
            "CREW_CALLS": str(file),
        }

    def start(self, *options: str) -> Server:
        """One process more."""
        server = self._stack.enter_context(uvicorn_of(APP, *options, environ=self.environ))
        server.client.headers["host"] = "site.test"
        self.servers.append(server)
        return server

    def calls(self, path: str) -> list[int]:
        """Which process made each call of the app for a path."""
        lines = [line.split() for line in self._file.read_text().splitlines()]
        return [int(process) for process, *what in lines if what == ["GET", path]]

    def numbers(self, path: str) -> list[int]:
        """By which call of the app each of the processes answers."""
        return [server.get(path).value["call"] for server in self.servers]

    def fill(self, path: str) -> int:
        """Have all processes keep one response; by which call."""
        wait_until(lambda: len(set(self.numbers(path))) == 1)
        assert {server.get(path).cache for server in self.servers} == {"hit"}
        return self.numbers(path)[0]

    def seconds_until_renewed(self, path: str, call: int) -> float:
        """How long some process still answers by this call, or by one before it."""
        began = time.monotonic()
        wait_until(lambda: min(self.numbers(path)) > call)
        return time.monotonic() - began


@pytest.fixture(scope="module", params=SERVICES)
def crew(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Crew]:
    file = tmp_path_factory.mktemp("crew") / "calls"
    with SERVICES[request.param]() as store, ExitStack() as stack:
        crew = Crew(f"{request.param}://127.0.0.1:{store.port}", file, stack)
        for _ in range(WORKERS):
            crew.start()
        yield crew
        for server in crew.servers:
            server.stop()
            assert "Traceback" not in server.log()


def new() -> str:
    return f"/document/{next(_numbers)}"


async def ask_all(servers: list[Server], path: str, clients: int) -> dict[int, list[Answer]]:
    """The answers of each process to clients who come at once, and want each form of it."""
    answers: dict[int, list[Answer]] = {server.process.pid: [] for server in servers}
    limits = httpx.Limits(max_connections=clients)

    async def ask(server: Server, form: dict[str, str]) -> None:
        fields = {"host": "site.test", **form}
        # A process that is killed answers nobody, nor those who have not come to it yet.
        with suppress(httpx.RemoteProtocolError, httpx.NetworkError):
            async with client.stream("GET", server.url + path, headers=fields) as response:
                body = b"".join([part async for part in response.aiter_raw()])
            answer = Answer(response.status_code, response.headers, body)
            check(answer, form)
            answers[server.process.pid].append(answer)

    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, limits=limits, trust_env=False) as client:
        every = itertools.cycle(itertools.product(servers, FORMS))
        await asyncio.gather(*[ask(*each) for each in itertools.islice(every, clients)])
    return answers


def check(answer: Answer, form: dict[str, str]) -> None:
    """Whether this is the whole document, in the form that was asked for."""
    assert answer.status == 200
    assert answer.fields["content-type"] == form["accept"]
    assert answer.fields.get("content-encoding", "identity") == form["accept-encoding"]
    assert len(answer.value["rows"]) == 200


def calls_at_once(crew: Crew, clients: int) -> int:
    """How many calls of the app answer clients of all processes who come at once."""
    path = new()
    asked = ask_all(crew.servers, f"{path}?seconds={CALL_SECONDS}", clients)
    answers = list(itertools.chain(*asyncio.run(asked).values()))
    assert len(answers) == clients
    calls = crew.calls(path)
    assert {answer.value["process"] for answer in answers} <= set(calls)
    tags = {answer.fields["etag"] for answer in answers}
    assert len(FORMS) <= len(tags) <= len(FORMS) * len(calls)
    return len(calls)


def is_once(crew: Crew, clients: int) -> bool:
    """Whether one call answers all.

    A busy machine may hold a process up for longer than its lease lasts, so that another takes it
    for gone, but not each time.
    """
    return any(calls_at_once(crew, clients) == 1 for _ in range(5))


def test_two_hundred_clients_of_four_processes_call_the_app_once(crew):
    assert is_once(crew, CLIENTS)


@pytest.mark.parametrize("by", ["tags", "uris", "prefixes"])
def test_a_purge_in_one_process_reaches_all_of_them(crew, by):
    path = new()
    call = crew.fill(path)
    assert crew.servers[1].ask("POST", f"/purge?{by}={path}").value is True
    assert crew.servers[1].get(path).value["call"] > call
    assert crew.seconds_until_renewed(path, call) < 1.5 * POLL_SECONDS + SLACK_SECONDS


def test_a_write_in_one_process_reaches_all_of_them(crew):
    path = new()
    crew.fill(path)
    written = crew.servers[2].ask("PUT", path).value
    assert crew.servers[2].get(path).value["call"] > written
    assert crew.seconds_until_renewed(path, written) < 1.5 * POLL_SECONDS + SLACK_SECONDS


async def ask_and_signal(crew: Crew, path: str, number: int) -> tuple[Server, float]:
    """Send a signal to the process that calls the app: which it is, and how long others take."""
    url, _, _ = path.partition("?")
    asked = asyncio.create_task(ask_all(crew.servers, path, 64))
    while not crew.calls(url):
        await asyncio.sleep(0.01)
    (caller,) = [server for server in crew.servers if server.process.pid in crew.calls(url)]
    caller.process.send_signal(number)
    others = [server for server in crew.servers if server is not caller]
    began = time.monotonic()
    later = await ask_all(others, path, 48)
    seconds = time.monotonic() - began
    caller.process.send_signal(signal.SIGCONT)
    earlier = await asked
    for server in others:
        assert len(earlier[server.process.pid]) == len(later[server.process.pid]) == 16
    return caller, seconds


def test_those_who_wait_for_a_process_that_hangs_are_answered(crew):
    path = f"{new()}?seconds={CALL_SECONDS}"
    caller, seconds = asyncio.run(ask_and_signal(crew, path, signal.SIGSTOP))
    assert seconds < LEASE_SECONDS + CALL_SECONDS + SLACK_SECONDS
    assert caller.get(path).status == 200


def test_those_who_wait_for_a_process_that_is_killed_are_answered(crew):
    path = f"{new()}?seconds={CALL_SECONDS}"
    caller, seconds = asyncio.run(ask_and_signal(crew, path, signal.SIGKILL))
    assert seconds < LEASE_SECONDS + CALL_SECONDS + SLACK_SECONDS
    crew.servers.remove(caller)
    # Whoever takes its place finds what the others have stored.
    assert crew.start().get(path).cache == "hit"


def test_workers_of_one_server_call_the_app_once_and_stop(tmp_path):
    with redis_server() as store, ExitStack() as stack:
        crew = Crew(f"redis://127.0.0.1:{store.port}", tmp_path / "calls", stack)
        server = crew.start("--workers", "2")
        assert is_once(crew, 64)
        assert server.stop() == 0
        assert "Traceback" not in server.log()
