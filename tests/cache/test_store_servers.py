"""What holds over each server: Redis and Memcached, really running."""

import asyncio
import itertools
import random
import time

import pytest

from asgi_serial.store.aiocache_store import AiocacheStore, open_store
from asgi_serial.store.base import Claim

from .services import (
    Cut,
    Proxy,
    Service,
    hurried,
    longest_stall,
    memcached_server,
    redis_server,
    run,
)

# So long that only a server that does not answer takes it, on a busy machine, too.
TIMEOUT_SECONDS = 20.0
# What a busy machine may add to it, and for how long it may not turn to the event loop.
SLACK_SECONDS = STALL_SECONDS = 20.0

Server = tuple[str, Service]
_keys = itertools.count()


async def get_one_of_many(store: AiocacheStore, key: str) -> bytes | None:
    (value,) = await store.get_many([key])
    return value


async def get_or_add(store: AiocacheStore, key: str) -> bytes | None:
    (value,), _ = await store.get_or_add([key], Claim(f"{key}l", b"token", 60))
    return value


CALLS = {
    "get": lambda store, key: store.get(key),
    "get or add": get_or_add,
    "get many": get_one_of_many,
    "set": lambda store, key: store.set(key, b"new", ttl=60),
    "add": lambda store, key: store.add(key, b"new", ttl=60),
    "increment": lambda store, key: store.increment(f"{key}n", ttl=60),
    "delete": lambda store, key: store.delete(key),
    "delete if": lambda store, key: store.delete_if(key, b"another value"),
}


def new_key() -> str:
    return f"{next(_keys):032x}"


def open_at(
    scheme: str, port: int, timeout: float = TIMEOUT_SECONDS, **options: object
) -> AiocacheStore:
    return open_store(f"{scheme}://127.0.0.1:{port}", timeout=timeout, **options)  # type: ignore[arg-type]


def failures(store: AiocacheStore) -> dict[str, int]:
    calls = ("gets", "hits", "sets", "adds", "increments", "deletes")
    return {name: n for name, n in store.statistics().items() if n and name not in calls}


def always_probing() -> float:
    """A clock by which each call comes long after the one before, so that all are let through."""
    return next(_keys) * 100.0


@pytest.mark.parametrize(
    "value",
    [b"\x00", b"\xff\xfe\r\nEND\r\n\x00", "é".encode("latin-1"), b"0", b"a" * 1_000_000],
    ids=["a zero", "ends of lines", "no UTF-8", "a number", "1 MB"],
)
def test_bytes_come_back_as_they_were(server: Server, value: bytes) -> None:
    async def main() -> None:
        store, key = open_at(server[0], server[1].port), new_key()
        assert await store.get(key) is None
        await store.set(key, value, ttl=60)
        assert await store.get(key) == value
        await store.delete(key)
        assert await store.get(key) is None
        await store.delete(key)
        assert failures(store) == {}
        assert store.statistics()["hits"] == 1

    run(main())


@pytest.mark.parametrize(
    "ttl",
    [0.0, -5.0, 0.3, float("nan"), 1e12],
    ids=["no time", "the past", "a part of a second", "no number", "for ever"],
)
def test_any_lifetime_is_one_that_the_server_takes(server: Server, ttl: float) -> None:
    async def main() -> None:
        store, key = open_at(server[0], server[1].port), new_key()
        await store.set(key, b"value", ttl=ttl)
        assert await store.get(key) == b"value"
        assert failures(store) == {}

    run(main())


def test_a_value_ends_with_its_lifetime(server: Server) -> None:
    async def main() -> None:
        store, key = open_at(server[0], server[1].port), new_key()
        await store.set(key, b"value", ttl=0.5)
        deadline = time.monotonic() + 120
        while await store.get(key) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert await store.get(key) is None

    run(main())


def test_a_value_over_the_limit_is_not_kept_and_nor_is_what_it_replaces(server: Server) -> None:
    async def main() -> None:
        store, key = open_at(server[0], server[1].port, max_value_bytes=10), new_key()
        await store.set(key, b"a" * 10, ttl=60)
        assert await store.get(key) == b"a" * 10
        await store.set(key, b"a" * 11, ttl=60)
        assert await store.get(key) is None
        assert failures(store) == {"oversized": 1}

    run(main())


@pytest.mark.parametrize("size", [11, 900_000])
def test_a_value_over_the_limit_is_not_read(server: Server, size: int) -> None:
    async def main() -> None:
        wide, key, other = open_at(server[0], server[1].port), new_key(), new_key()
        store = open_at(server[0], server[1].port, max_value_bytes=10)
        await wide.set(key, b"a" * size, ttl=60)
        await wide.set(other, b"b", ttl=60)
        for _ in range(5):
            assert await store.get(key) is None
            assert await store.get(other) == b"b"
        assert failures(store) == {"oversized": 5}

    run(main())


def test_many_calls_at_once_each_get_their_own_answer(server: Server) -> None:
    async def main() -> None:
        store = open_at(server[0], server[1].port)
        values = {new_key(): random.randbytes(200) for _ in range(300)}
        await asyncio.gather(*(store.set(key, value, ttl=60) for key, value in values.items()))
        found = await asyncio.gather(*(store.get(key) for key in values))
        assert found == list(values.values())
        assert failures(store) == {}

    run(main())


def test_a_server_that_hangs_costs_its_time_out_and_then_nothing(server: Server) -> None:
    scheme, service = server

    async def main() -> None:
        store, key = open_at(scheme, service.port), new_key()
        await store.set(key, b"value", ttl=60)
        loop = asyncio.get_running_loop()
        service.hang()
        try:
            async with longest_stall() as stall, hurried():
                for call in list(CALLS.values())[:3]:
                    began = loop.time()
                    assert await call(store, key) is None
                    assert loop.time() - began < TIMEOUT_SECONDS + SLACK_SECONDS
                held_back = asyncio.create_task(store.get(key))
                for _ in range(5):
                    await asyncio.sleep(0)
                assert held_back.done()
                assert held_back.result() is None
            assert stall[0] < STALL_SECONDS
            assert failures(store) == {"timeouts": 3, "skipped_by_breaker": 1}
        finally:
            service.go_on()

    run(main())


def test_a_server_that_hangs_before_the_first_call_costs_its_time_out(server: Server) -> None:
    scheme, service = server

    async def main() -> None:
        store, keys = open_at(scheme, service.port), [new_key() for _ in range(100)]
        loop = asyncio.get_running_loop()
        service.hang()
        try:
            async with hurried():
                began = loop.time()
                assert await asyncio.gather(*map(store.get, keys)) == [None] * 100
                assert loop.time() - began < TIMEOUT_SECONDS + SLACK_SECONDS
                await store.close()
                assert loop.time() - began < 2 * (TIMEOUT_SECONDS + SLACK_SECONDS)
        finally:
            service.go_on()

    run(main())


@pytest.mark.parametrize("start", [redis_server, memcached_server])
def test_a_server_that_is_killed_is_found_again_by_a_probe(start) -> None:  # type: ignore[no-untyped-def]
    now = [0.0]

    async def main() -> None:
        scheme = start.__name__.partition("_")[0]
        store = open_at(scheme, service.port, clock=lambda: now[0])
        key = new_key()
        await store.set(key, b"value", ttl=60)
        service.kill()
        async with longest_stall() as stall:
            for _ in range(10):
                assert await store.get(key) is None
        assert stall[0] < STALL_SECONDS
        assert failures(store) == {"errors": 3, "skipped_by_breaker": 7}
        service.start()
        await store.set(key, b"lost", ttl=60)
        now[0] += 1
        assert await store.get(key) is None
        await store.set(key, b"new", ttl=60)
        assert await store.get(key) == b"new"
        assert failures(store) == {"errors": 3, "skipped_by_breaker": 8}

    with start() as service:
        run(main())


def test_a_server_that_was_started_again_meanwhile_costs_no_failure(server: Server) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store, key = open_at(server[0], proxy.port), new_key()
            await store.set(key, b"value", ttl=60)
            await proxy.cut()
            assert await store.get(key) == b"value"
            assert failures(store) == {}
            assert proxy.connections == 2

    run(main())


@pytest.mark.parametrize("kept", [0, 1, 3, -1], ids=["none", "one byte", "3 bytes", "all but one"])
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_is_cut_is_a_failure_and_the_next_is_right(
    server: Server, call: str, kept: int
) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store = open_at(server[0], proxy.port)
            key, other = new_key(), new_key()
            await store.set(key, b"value", ttl=60)
            await store.set(other, b"other", ttl=60)

            async def cut(data: bytes) -> bytes:
                raise Cut(data[:kept])

            proxy.answer = cut
            async with longest_stall() as stall:
                assert await CALLS[call](store, key) is None
            assert stall[0] < STALL_SECONDS
            assert failures(store) == {"errors": 1}
            proxy.answer = None
            assert await store.get(other) == b"other"
            assert await store.get(key) == {"set": b"new", "delete": None}.get(call, b"value")

    run(main())


@pytest.mark.parametrize("call", CALLS)
def test_half_an_answer_is_a_time_out_and_the_next_is_right(server: Server, call: str) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store = open_at(server[0], proxy.port)
            key, other = new_key(), new_key()
            await store.set(key, b"value", ttl=60)
            await store.set(other, b"other", ttl=60)

            async def halve(data: bytes) -> bytes:
                return data[: len(data) // 2]

            proxy.answer = halve
            async with hurried():
                assert await CALLS[call](store, key) is None
            assert failures(store) == {"timeouts": 1}
            proxy.answer = None
            assert await store.get(other) == b"other"

    run(main())


@pytest.mark.parametrize(
    "extra",
    [b"STORED\r\n", b"+OK\r\n$1\r\nx\r\n", b"END\r\n", b"\r\n", b"\x00"],
    ids=["an answer of Memcached", "two of Redis", "an end", "a line", "a byte"],
)
def test_bytes_that_nobody_asked_for_are_nobody_s_answer(server: Server, extra: bytes) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store = open_at(server[0], proxy.port, clock=always_probing)
            values = {new_key(): random.randbytes(20) for _ in range(10)}
            for key, value in values.items():
                await store.set(key, value, ttl=60)

            async def add(data: bytes) -> bytes:
                return data + extra

            proxy.answer = add
            for key, value in values.items():
                assert await store.get(key) in (value, None)
            proxy.answer = None
            assert [await store.get(key) for key in values] == list(values.values())

    run(main())


@pytest.mark.parametrize(
    "garbage",
    [b"\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 99],
    ids=["an empty line", "HTTP", "zeros"],
)
def test_a_server_of_another_protocol_is_a_failure(server: Server, garbage: bytes) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store = open_at(server[0], proxy.port, clock=always_probing)

            async def replace(_: bytes) -> bytes:
                return garbage

            proxy.answer = replace
            async with longest_stall() as stall, hurried():
                assert await store.get(new_key()) is None
                await store.set(new_key(), b"value", ttl=60)
            assert stall[0] < STALL_SECONDS
            assert sum(failures(store).values()) == 2

    run(main())


@pytest.mark.parametrize("by", ["its caller", "the time-out"])
def test_a_cancelled_call_leaves_no_answer_for_another(server: Server, by: str) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            timeout = TIMEOUT_SECONDS if by == "its caller" else 0.02
            store = open_at(server[0], proxy.port, timeout=timeout, clock=always_probing)
            sure = open_at(server[0], server[1].port)
            values = {new_key(): random.randbytes(20) for _ in range(20)}
            for key, value in values.items():
                await sure.set(key, value, ttl=60)

            async def delay(data: bytes) -> bytes:
                await asyncio.sleep(0.03)
                return data

            for _ in range(3):
                proxy.answer = delay
                tasks = [asyncio.create_task(store.get(key)) for key in values]
                tasks += [
                    asyncio.create_task(store.set(key, value, ttl=60))  # type: ignore[arg-type]
                    for key, value in values.items()
                ]
                await asyncio.sleep(random.uniform(0.0, 0.04))
                if by == "its caller":
                    for task in tasks:
                        task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                proxy.answer = None
                found = await asyncio.gather(*(store.get(key) for key in values))
                for value, right in zip(found, values.values(), strict=True):
                    assert value in (right, None) if by == "the time-out" else value == right
            await store.close()

    run(main())
