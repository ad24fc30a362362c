"""Servers that are slow, come and go, are full, forget, or do not let everybody do everything."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

import pytest
import redis.asyncio as redis_client

from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.base import GuardedStore

from .services import Proxy, Service, hurried, memcached_server, redis_server, run

# So long that only a server that is not well takes it, on a busy machine, too.
TIMEOUT_SECONDS = 20.0
# What a busy machine may add to it.
SLACK_SECONDS = 20.0

Server = tuple[str, Service]


def open_at(
    scheme: str, port: int, timeout: float = TIMEOUT_SECONDS, **options: object
) -> GuardedStore:
    return open_store(f"{scheme}://127.0.0.1:{port}", timeout=timeout, **options)  # type: ignore[arg-type]


def failures(store: GuardedStore) -> dict[str, int]:
    calls = ("gets", "hits", "sets", "adds", "increments", "deletes")
    return {name: n for name, n in store.statistics().items() if n and name not in calls}


async def fill(store: GuardedStore, count: int, size: int = 40) -> dict[str, bytes]:
    values = {random.randbytes(16).hex(): random.randbytes(size) for _ in range(count)}
    await asyncio.gather(*(store.set(key, value, ttl=60) for key, value in values.items()))
    return values


def test_a_server_that_is_slow_but_in_time_is_a_store(server: Server) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store = open_at(server[0], proxy.port)
            values = await fill(store, 20)

            async def delay(data: bytes) -> bytes:
                await asyncio.sleep(random.uniform(0.0, 0.05))
                return data

            proxy.answer = delay
            found = await asyncio.gather(*(store.get(key) for key in values))
            assert found == list(values.values())
            assert failures(store) == {}

    run(main())


def test_a_server_that_is_too_slow_costs_its_time_out_and_then_nothing(server: Server) -> None:
    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store = open_at(server[0], proxy.port)
            (key,) = await fill(store, 1)

            async def delay(data: bytes) -> bytes:
                await asyncio.sleep(3 * TIMEOUT_SECONDS)
                return data

            proxy.answer = delay
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with hurried():
                assert [await store.get(key) for _ in range(50)] == [None] * 50
            assert loop.time() - began < 3 * TIMEOUT_SECONDS + SLACK_SECONDS
            assert failures(store) == {"timeouts": 3, "skipped_by_breaker": 47}

    run(main())


def test_a_server_that_comes_and_goes_gives_what_is_right_or_nothing(server: Server) -> None:
    now = [0.0]

    async def main() -> None:
        async with Proxy(server[1].port) as proxy:
            store = open_at(server[0], proxy.port, clock=lambda: now[0])
            values = await fill(store, 20)

            async def stop(_: bytes) -> bytes:
                await asyncio.Event().wait()
                return b""

            loop = asyncio.get_running_loop()
            slowest, found_ever = 0.0, 0
            for turn in range(8):
                proxy.answer = stop if turn % 2 else None
                await proxy.cut()
                now[0] += 60.0
                for _ in range(2):  # in the first of them only a probe is made
                    began = loop.time()
                    async with hurried() if turn % 2 else nullcontext():
                        found = await asyncio.gather(*(store.get(key) for key in values))
                    slowest = max(slowest, loop.time() - began)
                    for value, right in zip(found, values.values(), strict=True):
                        assert value in (right, None)
                assert found == ([None] * 20 if turn % 2 else list(values.values()))
                found_ever += sum(value is not None for value in found)
            assert found_ever == 4 * 20
            assert slowest < TIMEOUT_SECONDS + SLACK_SECONDS

    run(main())


@pytest.mark.parametrize("state", ["well", "hung"])
def test_a_thousand_calls_at_once_take_no_longer_than_the_time_out(
    server: Server, state: str
) -> None:
    scheme, service = server

    async def main() -> None:
        store, other = open_at(scheme, service.port), open_at(scheme, service.port)
        values = await fill(other, 100)
        loop = asyncio.get_running_loop()
        if state == "hung":
            service.hang()
        try:
            began = loop.time()
            async with hurried() if state == "hung" else nullcontext():
                found = await asyncio.gather(*(store.get(key) for key in list(values) * 10))
            took = loop.time() - began
        finally:
            service.go_on()
        if state == "hung":
            assert found == [None] * 1000
            assert took < TIMEOUT_SECONDS + SLACK_SECONDS
        else:
            assert found == list(values.values()) * 10
        await other.close()

    run(main())


@pytest.mark.parametrize(
    ("start", "options"),
    [
        (redis_server, ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"]),
        (memcached_server, ["-m", "2"]),
    ],
    ids=["Redis", "Memcached"],
)
def test_a_server_that_forgets_under_pressure_gives_what_is_right_or_nothing(
    start: Callable[..., object], options: list[str]
) -> None:
    async def main() -> None:
        scheme = start.__name__.partition("_")[0]
        store = open_at(scheme, service.port)
        values = await fill(store, 600, size=20_000)
        found = await asyncio.gather(*(store.get(key) for key in values))
        for value, right in zip(found, values.values(), strict=True):
            assert value in (right, None)
        assert 0 < found.count(None) < 600
        assert failures(store) == {}

    with start(*options) as service:  # type: ignore[attr-defined]
        run(main())


async def ask(service: Service, *command: object) -> None:
    async with redis_client.Redis(port=service.port, protocol=2) as client:
        await client.execute_command(*command)


async def forbid_writing(service: Service) -> None:
    await ask(service, "ACL", "SETUSER", "default", "-@write", "-@scripting")


async def make_full(service: Service) -> None:
    await ask(service, "CONFIG", "SET", "maxmemory", "1")


async def make_read_only(service: Service) -> None:
    await ask(service, "REPLICAOF", "127.0.0.1", "1")


@pytest.mark.parametrize(
    "spoil", [forbid_writing, make_full, make_read_only], ids=["forbidden", "full", "read-only"]
)
def test_a_server_that_takes_no_writes_is_still_read(
    spoil: Callable[[Service], Awaitable[None]],
) -> None:
    async def main() -> None:
        store = open_at("redis", service.port)
        values = await fill(store, 9)
        await store.increment("number", ttl=60)
        await spoil(service)
        for key in values:
            await store.set(key, b"other", ttl=60)
            assert await store.add("another", b"value", ttl=60) is None
            assert await store.increment("number", ttl=60) is None
        found = await store.get_many([*values, "number", "another"])
        assert found == [*values.values(), b"1", None]
        assert failures(store) == {"refusals": 27}

    with redis_server() as service:
        run(main())


@pytest.mark.parametrize(
    "rule", ["-getrange", "-@all", "resetkeys", "off"], ids=["a command", "all", "keys", "the user"]
)
def test_a_user_who_may_not_read_misses(rule: str) -> None:
    async def main() -> None:
        await ask(service, "ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all")
        await ask(service, "ACL", "SETUSER", "app", rule)
        store = open_store(f"redis://app:secret@127.0.0.1:{service.port}", timeout=TIMEOUT_SECONDS)
        for _ in range(2):
            assert await store.get("key") is None
            assert await store.get_many(["key", "other"]) == [None, None]
        assert sum(failures(store).values()) == 4

    with redis_server() as service:
        run(main())
