"""How often a request calls a real store that processes share, and what the calls are good for."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from asgi_serial import SerialMiddleware
from asgi_serial.cache.leases import Lease
from tests.cache.services import (
    Proxy,
    memcached_server,
    redis_cluster,
    redis_sentinel,
    redis_server,
)
from tests.engine.driver import Answer, Request, ask, until

from .sites import PATIENT_SECONDS

_numbers = itertools.count()

# Without a poll in between, and however busy the machine is.
SETTINGS = {
    "cache_ttl": "60s",
    "cache_poll": "1h",
    "cache_store_timeout": f"{PATIENT_SECONDS}s",
    "cache_wait": f"{PATIENT_SECONDS}s",
}
ORIGINS = ("https://a.example", "https://b.example")


class App:
    """Counts its calls over all processes, and answers when it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        await self.gate.wait()
        fields = [(b"content-type", b"text/plain")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"%d" % self.calls})


def process_of(app: App, url: str) -> SerialMiddleware:
    return SerialMiddleware(app, cache_url=url, **SETTINGS)  # type: ignore[arg-type]


async def begin(app: App, url: str, count: int = 2) -> list[SerialMiddleware]:
    """So many processes, which know by now that nothing was purged."""
    processes = [process_of(app, url) for _ in range(count)]
    for process in processes:
        await process.engine.responses.purge_sync.listen()
    return processes


async def ask_and_flush(process: SerialMiddleware, request: Request) -> Answer:
    answer = await ask(process, request)
    await process.engine.responses.flush()
    return answer


def request_from(origin: str | None) -> Request:
    """A request for something new."""
    request = Request(path=f"/{next(_numbers)}")
    return request if origin is None else request.having(origin=origin)


@contextmanager
def forbidden() -> Iterator[str]:
    with redis_server() as service:
        service.ask(b"ACL SETUSER default -eval")
        yield f"redis://127.0.0.1:{service.port}"


@contextmanager
def renamed() -> Iterator[str]:
    with redis_server("--rename-command", "EVAL", "") as service:
        yield f"redis://127.0.0.1:{service.port}"


@contextmanager
def plain() -> Iterator[str]:
    with redis_server() as service:
        yield f"redis://127.0.0.1:{service.port}"


@contextmanager
def watched() -> Iterator[str]:
    with redis_server() as master, redis_sentinel(master) as sentinel:
        yield f"redis+sentinel://127.0.0.1:{sentinel.port}/main"


@contextmanager
def cluster() -> Iterator[str]:
    with redis_cluster() as nodes:
        yield f"redis+cluster://127.0.0.1:{nodes[0].port}"


@contextmanager
def memcached() -> Iterator[str]:
    with memcached_server() as service:
        yield f"memcached://127.0.0.1:{service.port}"


PLACES = {
    "Redis": plain,
    "Redis, no right to scripts": forbidden,
    "Redis, no scripts": renamed,
    "Sentinel": watched,
    "Cluster": cluster,
    "Memcached": memcached,
}


@pytest.fixture(scope="module", params=PLACES.values(), ids=PLACES.keys())
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a store of each kind."""
    place: Callable[[], AbstractContextManager[str]] = request.param
    with place() as found:
        yield found


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def check(process: SerialMiddleware) -> None:
    """Nothing has failed."""
    store = process.engine.responses.store
    assert store is not None
    counts = store.statistics()
    failed = ("timeouts", "crowded", "errors", "refusals", "skipped_by_breaker", "not_bytes")
    assert {name: counts[name] for name in failed if counts[name]} == {}


@pytest.mark.parametrize(
    ("start", "origin", "miss", "hit"),
    [
        pytest.param(redis_server, None, 2, 1, id="Redis"),
        pytest.param(redis_server, ORIGINS[0], 2, 1, id="Redis, from another origin"),
        # get, add; set; gets, cas.
        pytest.param(memcached_server, None, 5, 1, id="Memcached"),
        # The index is one set more.
        pytest.param(memcached_server, ORIGINS[0], 6, 1, id="Memcached, from another origin"),
    ],
)
def test_the_calls_of_a_cold_miss_and_of_a_cold_hit(
    start: Callable[[], Any], origin: str | None, miss: int, hit: int
) -> None:
    async def main() -> None:
        async with Proxy(service.port) as proxy:
            url = f"{start.__name__.partition('_')[0]}://127.0.0.1:{proxy.port}"
            processes = await begin(App(), url)
            # What opens a connection has calls of its own.
            for process in processes:
                await asyncio.gather(*[ask(process, request_from(origin)) for _ in range(4)])
                await process.engine.responses.flush()
            for request in [request_from(origin) for _ in range(3)]:
                for process, calls, what in zip(
                    processes, (miss, hit), ("stored", "hit"), strict=True
                ):
                    before = proxy.calls
                    assert what in (await ask_and_flush(process, request)).cached
                    assert proxy.calls - before == calls
            for process in processes:
                check(process)

    with start() as service:
        run(main())


@pytest.mark.parametrize("origin", [None, ORIGINS[0]])
def test_misses_at_once_in_two_processes_are_one_call_of_the_app(
    url: str,
    origin: str | None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However long a busy machine holds a process up.
    monkeypatch.setattr("asgi_serial.cache.leases.LEASE_SECONDS", 600.0)

    async def main() -> None:
        app = App()
        processes = await begin(app, url)
        for _ in range(3):
            request, before = request_from(origin), app.calls
            app.gate.clear()
            asked = [
                asyncio.ensure_future(ask(process, request))
                for process in processes
                for _ in range(5)
            ]
            await until(lambda before=before: app.calls > before)  # type: ignore[misc]
            app.gate.set()
            answers = await asyncio.gather(*asked)
            assert app.calls == before + 1
            assert len({answer.content for answer in answers}) == 1
        for process in processes:
            await process.engine.responses.flush()
            check(process)

    caplog.set_level(logging.WARNING, "asgi_serial")
    run(main())
    assert not caplog.records


def test_a_write_drops_what_is_stored_for_each_origin(url: str) -> None:
    async def main() -> None:
        app = App()
        one, other = await begin(app, url)
        requests = [request_from(None)]
        requests += [requests[0].having(origin=origin) for origin in ORIGINS]
        for request in requests:
            assert "stored" in (await ask_and_flush(one, request)).cached
        for request in requests:
            assert "hit" in (await ask_and_flush(other, request)).cached
        await ask_and_flush(other, Request("PUT", requests[0].path))
        written = app.calls
        (third,) = await begin(app, url, 1)
        for process in (third, other):
            for request in requests:
                assert int((await ask_and_flush(process, request)).content) > written

    run(main())


def test_the_lease_of_a_process_that_has_died_ends(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left to renew it; the others do not wait any longer."""
    monkeypatch.setattr(Lease, "renew", lambda lease: None)
    monkeypatch.setitem(SETTINGS, "cache_wait", "1h")

    async def main() -> None:
        app, request = App(), request_from(None)
        app.gate.clear()
        processes, asked = await begin(app, url), []
        async with asyncio.timeout(PATIENT_SECONDS * 6):
            for number, process in enumerate(processes, 1):
                asked.append(asyncio.ensure_future(ask(process, request)))
                await until(lambda number=number: app.calls == number)  # type: ignore[misc]
            app.gate.set()
            assert {answer.status for answer in await asyncio.gather(*asked)} == {200}

    run(main())
