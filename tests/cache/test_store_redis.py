"""What only a Redis can do wrong."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import redis.asyncio as redis_client

from asgi_serial.store.aiocache_store import AiocacheStore, open_store
from asgi_serial.store.base import Claim, DeleteToken, DeleteValue, SetValue, Write
from asgi_serial.store.drivers import _split

from .services import Proxy, Service, redis_server, run

KEY = "k" * 32


def open_at(service: Service, password: str = "") -> AiocacheStore:
    return open_store(f"redis://{password}127.0.0.1:{service.port}", timeout=20.0)


def failures(store: AiocacheStore) -> dict[str, int]:
    calls = ("gets", "hits", "sets", "adds", "increments", "deletes")
    return {name: n for name, n in store.statistics().items() if n and name not in calls}


async def ask(service: Service, *command: object) -> object:
    async with redis_client.Redis(port=service.port, protocol=2) as client:
        return await client.execute_command(*command)


def test_a_list_under_the_key_is_a_miss_and_is_replaced(redis: Service) -> None:
    async def main() -> None:
        store = open_at(redis)
        await ask(redis, "RPUSH", f"asgi_serial:{KEY}", "a", "b")
        for _ in range(5):
            assert await store.get(KEY) is None
        assert failures(store) == {"refusals": 5}
        await store.set(KEY, b"value", ttl=60)
        assert await store.get(KEY) == b"value"
        await store.delete(KEY)

    run(main())


async def make_read_only(service: Service) -> None:
    await ask(service, "REPLICAOF", "127.0.0.1", "1")


async def make_full(service: Service) -> None:
    await ask(service, "CONFIG", "SET", "maxmemory", "1")


@pytest.mark.parametrize("spoil", [make_read_only, make_full], ids=["read-only", "full"])
def test_a_server_that_takes_nothing_still_answers(
    spoil: Callable[[Service], Awaitable[None]],
) -> None:
    async def main() -> None:
        store = open_at(service)
        await store.set(KEY, b"value", ttl=60)
        await spoil(service)
        for _ in range(5):
            await store.set(KEY, b"other", ttl=60)
            assert await store.get(KEY) == b"value"
        assert failures(store) == {"refusals": 5}

    with redis_server() as service:
        run(main())


@pytest.mark.parametrize(
    ("credentials", "failed"),
    [(":right@", {}), ("", {"errors": 2}), (":wrong@", {"errors": 2}), ("u:wrong@", {"errors": 2})],
    ids=["right", "none", "wrong", "a user there is not"],
)
def test_a_password_opens_the_store(credentials: str, failed: dict[str, int]) -> None:
    async def main() -> None:
        store = open_at(service, credentials)
        await store.set(KEY, b"value", ttl=60)
        assert await store.get(KEY) == (None if failed else b"value")
        assert failures(store) == failed

    with redis_server("--requirepass", "right") as service:
        run(main())


def test_a_database_there_is_not_is_a_failure(redis: Service) -> None:
    async def main() -> None:
        store = open_store(f"redis://127.0.0.1:{redis.port}/9999", timeout=20.0)
        await store.set(KEY, b"value", ttl=60)
        assert await store.get(KEY) is None
        assert sum(failures(store).values()) == 2

    run(main())


def test_databases_are_kept_apart(redis: Service) -> None:
    async def main() -> None:
        one, two = (
            open_store(f"valkey://127.0.0.1:{redis.port}/{number}", timeout=20.0)
            for number in (1, 2)
        )
        await one.set(KEY, b"one", ttl=60)
        assert await two.get(KEY) is None
        assert await one.get(KEY) == b"one"
        assert await ask(redis, "EXISTS", f"asgi_serial:{KEY}") == 0

    run(main())


def test_more_calls_than_connections_wait_for_one(redis: Service) -> None:
    async def main() -> None:
        store = open_at(redis)
        await store.set(KEY, b"value", ttl=60)
        assert await asyncio.gather(*(store.get(KEY) for _ in range(500))) == [b"value"] * 500
        info = await ask(redis, "INFO", "clients")
        assert isinstance(info, dict)
        assert info["connected_clients"] <= 32 + 1

    run(main())


def test_an_encrypted_store_says_nothing_in_clear_to_a_server_without_tls(redis: Service) -> None:
    async def main() -> None:
        key = "e" * 32
        store = open_store(f"rediss://127.0.0.1:{redis.port}", timeout=0.3)
        await store.set(key, b"value", ttl=60)
        assert sum(failures(store).values()) == 1
        assert await ask(redis, "EXISTS", f"asgi_serial:{key}") == 0

    run(main())


def test_a_pool_of_the_user_s_keeps_its_bounds(redis: Service) -> None:
    async def main() -> None:
        async with Proxy(redis.port) as proxy:
            pool = redis_client.BlockingConnectionPool(
                1, timeout=0.05, host="127.0.0.1", port=proxy.port, protocol=2
            )
            store = open_store(redis_client.Redis(connection_pool=pool), timeout=20.0)
            await store.set(KEY, b"value", ttl=60)

            async def delay(data: bytes) -> bytes:
                await asyncio.sleep(0.3)
                return data

            proxy.answer = delay
            found = await asyncio.gather(store.get(KEY), store.get(KEY))
            # The second waits as long as the store's time-out lets it, not the pool's.
            assert found == [b"value", b"value"]
            assert failures(store) == {}
            assert proxy.connections == 1
            await store.delete(KEY)

    run(main())


def test_a_value_over_the_limit_is_not_even_sent(redis: Service) -> None:
    async def main() -> None:
        async with Proxy(redis.port) as proxy:
            sent = 0

            async def count(data: bytes) -> bytes:
                nonlocal sent
                sent += len(data)
                return data

            store = open_store(
                f"redis://127.0.0.1:{proxy.port}", timeout=20.0, max_value_bytes=1000
            )
            await ask(redis, "SET", f"asgi_serial:{KEY}", b"a" * 500_000)
            proxy.answer = count
            assert await store.get(KEY) is None
            assert failures(store) == {"oversized": 1}
            assert 1000 < sent < 1200
            await store.delete(KEY)

    run(main())


@contextmanager
def without_rights() -> Iterator[Service]:
    """A server whose user must not run scripts."""
    with redis_server() as service:
        service.ask(b"ACL SETUSER default -@scripting")
        yield service


@contextmanager
def without_command() -> Iterator[Service]:
    with redis_server("--rename-command", "EVAL", "") as service:
        yield service


class TestWithoutScripts:
    """A server that refuses scripts is used by plain commands, and nobody is told."""

    @pytest.mark.parametrize("start", [without_rights, without_command])
    def test_all_calls_do_without(
        self,
        start: Callable[[], AbstractContextManager[Service]],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        async def main() -> None:
            async with Proxy(service.port) as proxy:
                store = open_at(proxy)  # type: ignore[arg-type]
                refused = []

                async def note(data: bytes) -> bytes:
                    lines = data.split(b"\r\n")
                    # A connection begins by CLIENT SETINFO, which came with Redis 7.2.
                    refused.extend(x for x in lines if x[:1] == b"-" and b"SETINFO" not in x)
                    return data

                proxy.answer = note
                claim, values = Claim("g-lease", b"mine", 60), {"g-index": b"1", "g-entry": b"2"}
                for _ in range(3):
                    assert await store.get_or_add(list(values), claim) == ([None, None], None)
                    assert await store.get_or_add(["g-entry"], claim) == ([None], None)
                assert await store.add("g-lease", b"mine", ttl=60) is True
                assert await store.delete_if("g-lease", b"another") is False
                assert await store.delete_if("g-lease", b"mine") is True
                assert await store.add("g-lease", b"mine", ttl=60) is True
                writes: list[Write] = [SetValue(*each, 60) for each in values.items()]
                await store.write([DeleteToken("g-lease", b"mine"), *writes])
                assert await store.get_or_add(list(values), claim) == ([b"1", b"2"], None)
                assert await store.get("g-lease") is None
                await store.write([DeleteToken("g-index", b"2"), DeleteToken("g-entry", b"2")])
                assert await store.get_many(list(values)) == [b"1", None]
                assert len(refused) == 1
                assert failures(store) == {}
                assert not caplog.records

        caplog.set_level(logging.DEBUG, "asgi_serial")
        with start() as service:
            run(main())

    @pytest.mark.parametrize("first", ["delete if", "write"])
    def test_whatever_is_called_first(self, first: str) -> None:
        async def main() -> None:
            store = open_at(service)
            for token in (b"another", b"mine", b"mine"):
                await store.add("g-lease", b"mine", ttl=60)
                if first == "write":
                    await store.write([DeleteToken("g-lease", token), DeleteValue("g-entry")])
                else:
                    assert await store.delete_if("g-lease", token) is (token == b"mine")
                assert await store.get("g-lease") == (b"mine" if token == b"another" else None)
            assert failures(store) == {}

        with without_command() as service:
            run(main())

    def test_they_are_tried_again_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [1000.0]
        monkeypatch.setattr("asgi_serial.store.drivers.monotonic", lambda: now[0])

        async def main() -> None:
            store, claim = open_at(service), Claim("g-lease", b"mine", 60)
            assert await store.get_or_add(["g-entry"], claim) == ([None], None)
            service.ask(b"ACL SETUSER default +@all")
            now[0] += 59
            assert await store.get_or_add(["g-entry"], claim) == ([None], None)
            now[0] += 1
            assert await store.get_or_add(["g-entry"], claim) == ([None], True)

        with without_rights() as service:
            run(main())

    @pytest.mark.parametrize(("at", "is_added"), [("entry", True), ("lease", False)])
    def test_a_list_in_the_place_of_a_value_is_no_reason_to_do_without(
        self, redis: Service, at: str, *, is_added: bool
    ) -> None:
        async def main() -> None:
            store, claim = open_at(redis), Claim("g-lease", b"mine", 60)
            await ask(redis, "RPUSH", f"asgi_serial:{{g}}{at}", "a")
            for _ in range(3):
                assert await store.get_or_add(["g-entry"], claim) == ([None], is_added)
            await ask(redis, "DEL", f"asgi_serial:{{g}}{at}")
            assert await store.get_or_add(["g-entry"], claim) == ([None], True)

        run(main())


@pytest.mark.parametrize("spoil", [make_read_only, make_full], ids=["read-only", "full"])
def test_a_server_that_takes_nothing_tells_what_it_has_and_takes_no_claim(
    spoil: Callable[[Service], Awaitable[None]],
) -> None:
    async def main() -> None:
        store, claim = open_at(service), Claim("g-lease", b"mine", 60)
        await store.write([SetValue("g-index", b"1", 60), SetValue("g-entry", b"2", 60)])
        await spoil(service)
        assert await store.get_or_add(["g-index", "g-entry"], claim) == ([b"1", b"2"], None)
        assert await store.get_or_add(["g-index", "g-other"], claim) == ([b"1", None], None)
        assert failures(store) == {}
        await store.write([SetValue("g-index", b"3", 60), SetValue("g-entry", b"4", 60)])
        assert failures(store) == {"refusals": 1}

    with redis_server() as service:
        run(main())


@pytest.mark.parametrize(
    "result",
    [
        b"",
        b"1",
        b"1000000000",
        b"10000000001",
        b"10000000001ab",
        b"1-000000001a",
        b"x0000000001a",
        b"10000000001a0000000000",
        b"19999999999",
        "10000000001a",
        ["a"],
        7,
        None,
    ],
    ids=repr,
)
def test_any_other_result_of_the_script_is_no_value(result: object) -> None:
    values, is_added = _split(result, 1)
    assert is_added is None
    assert len(values) == 1
    assert not isinstance(values[0], bytes)
