"""What is more than get, set and delete, over each kind of store."""

import asyncio
import itertools
import time
from collections.abc import Callable

import pytest
import redis.asyncio as redis_client
from aiocache.backends.memory import SimpleMemoryCache

from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.base import (
    Claim,
    DeleteToken,
    DeleteValue,
    GuardedStore,
    SetValue,
    Write,
)

from .services import Service, run

Open = Callable[..., GuardedStore]
_keys = itertools.count()


def new_key() -> str:
    return f"{next(_keys):f>8}-{'f' * 23}"


@pytest.fixture(params=["redis", "memcached", "memory", "client"])
def open_one(request: pytest.FixtureRequest) -> Open:
    """Opens a store of each kind; each call of it opens one more over the same values."""
    kind = request.param
    if kind == "memory":
        cache = SimpleMemoryCache()
        return lambda **options: open_store(cache, timeout=20.0, **options)
    service: Service = request.getfixturevalue("memcached" if kind == "memcached" else "redis")
    if kind == "client":
        client = redis_client.Redis(port=service.port, protocol=3)
        return lambda **options: open_store(client, timeout=20.0, **options)
    url = f"{kind}://127.0.0.1:{service.port}"
    return lambda **options: open_store(url, timeout=20.0, **options)


def counted(store: GuardedStore) -> dict[str, int]:
    return {name: count for name, count in store.statistics().items() if count}


class TestAdd:
    def test_of_many_that_add_at_once_one_is_told_so(self, open_one: Open) -> None:
        async def main() -> None:
            key, stores = new_key(), [open_one() for _ in range(4)]
            told = await asyncio.gather(
                *(store.add(key, b"%d" % n, ttl=60) for n, store in enumerate(stores * 10))
            )
            assert sorted(told) == [False] * 39 + [True]
            assert await stores[0].get(key) == b"%d" % told.index(True)
            assert counted(stores[1]) == {"adds": 10}

        run(main())

    def test_a_value_over_the_limit_is_not_added(self, open_one: Open) -> None:
        async def main() -> None:
            store, key = open_one(max_value_bytes=10), new_key()
            assert await store.add(key, b"a" * 11, ttl=60) is None
            assert await store.get(key) is None
            assert counted(store) == {"oversized": 1, "gets": 1}

        run(main())


class TestIncrement:
    def test_no_increment_of_many_at_once_is_lost(self, open_one: Open) -> None:
        async def main() -> None:
            key, stores = new_key(), [open_one() for _ in range(4)]
            sums = await asyncio.gather(
                *(store.increment(key, ttl=60) for store in stores for _ in range(10))
            )
            assert sorted(sums) == list(range(1, 41))
            assert await stores[0].get(key) == b"40"
            assert await stores[0].get_many([key]) == [b"40"]
            assert counted(stores[1]) == {"increments": 10}

        run(main())

    def test_a_number_begins_at_its_start_only_where_there_is_none(self, open_one: Open) -> None:
        async def main() -> None:
            store, key = open_one(), new_key()
            assert await store.increment(key, ttl=60, start=1_764_000_000_000) == 1_764_000_000_001
            assert await store.increment(key, ttl=60, start=5, delta=7) == 1_764_000_000_008
            await store.delete(key)
            assert await store.increment(key, ttl=60, start=5, delta=7) == 12

        run(main())

    def test_what_is_no_number_is_left_as_it_is(self, open_one: Open) -> None:
        async def main() -> None:
            store, key = open_one(), new_key()
            await store.set(key, b"value", ttl=60)
            assert await store.increment(key, ttl=60) is None
            assert await store.get(key) == b"value"

        run(main())


def test_what_was_added_or_counted_ends_with_its_lifetime(open_one: Open) -> None:
    async def main() -> None:
        store, lasting, number, added = open_one(), new_key(), new_key(), new_key()
        await store.increment(lasting, ttl=1)
        await store.increment(lasting, ttl=60)
        await store.increment(number, ttl=1)
        assert await store.add(added, b"value", ttl=0.2) is True
        deadline = time.monotonic() + 120
        while any(await store.get_many([number, added])) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert await store.get_many([lasting, number, added]) == [b"2", None, None]
        assert await store.add(added, b"next", ttl=60) is True

    run(main())


class TestGetMany:
    def test_values_come_in_the_order_of_their_keys(self, open_one: Open) -> None:
        async def main() -> None:
            store, keys = open_one(), [new_key() for _ in range(50)]
            await asyncio.gather(*(store.set(key, key.encode(), ttl=60) for key in keys[::2]))
            asked = [*keys[::-1], keys[0], keys[1], keys[0]]
            right = [key.encode() if key in keys[::2] else None for key in asked]
            assert await store.get_many(asked) == right
            assert counted(store) == {"sets": 25, "gets": 53, "hits": 25}

        run(main())

    def test_no_keys_are_no_values_and_no_call(self) -> None:
        store = open_store("redis://127.0.0.1:1")
        assert run(store.get_many([])) == []
        assert counted(store) == {}

    def test_a_value_over_the_limit_is_none(self, open_one: Open) -> None:
        async def main() -> None:
            store, wide, keys = open_one(max_value_bytes=10), open_one(), [new_key(), new_key()]
            await wide.set(keys[0], b"a" * 11, ttl=60)
            await wide.set(keys[1], b"b" * 10, ttl=60)
            first, second = await store.get_many(keys)
            assert first is None
            assert second in (b"b" * 10, None)
            assert store.statistics()["oversized"] == 1
            assert await store.get_many(keys[1:]) == [b"b" * 10]

        run(main())


class TestDeleteIf:
    def test_a_value_is_deleted_by_its_token_only(self, open_one: Open) -> None:
        async def main() -> None:
            store, key = open_one(), new_key()
            assert await store.delete_if(key, b"mine") is False
            await store.add(key, b"mine", ttl=60)
            assert await store.delete_if(key, b"theirs") is False
            assert await store.get(key) == b"mine"
            assert await store.delete_if(key, b"mine") is True
            assert await store.get(key) is None
            assert await store.add(key, b"theirs", ttl=60) is True
            assert await store.delete_if(key, b"mine") is False
            assert await store.get(key) == b"theirs"

        run(main())

    def test_of_many_that_delete_at_once_one_is_told_so(self, open_one: Open) -> None:
        async def main() -> None:
            store, key = open_one(), new_key()
            await store.add(key, b"mine", ttl=60)
            told = await asyncio.gather(*(store.delete_if(key, b"mine") for _ in range(20)))
            assert told.count(True) == 1

        run(main())


def is_redis(store: GuardedStore) -> bool:
    return str(store.state()["target"]).lower().startswith("redis")


class TestGetOrAdd:
    """Redis takes a claim in the step that finds nothing; no other store tries it."""

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_a_claim_is_added_where_the_last_key_has_no_value(
        self, open_one: Open, count: int
    ) -> None:
        async def main() -> None:
            store, keys, lease = open_one(), [new_key() for _ in range(count)], new_key()
            tries = is_redis(store)
            for key in keys[:-1]:
                await store.set(key, key.encode(), ttl=60)
            nothing = [*[key.encode() for key in keys[:-1]], None]
            mine, others = Claim(lease, b"mine", 60), Claim(lease, b"another", 60)
            assert await store.get_or_add(keys, mine) == (nothing, True if tries else None)
            assert await store.get(lease) == (b"mine" if tries else None)
            assert await store.get_or_add(keys, mine) == (nothing, True if tries else None)
            assert await store.get_or_add(keys, others) == (nothing, False if tries else None)
            await store.set(keys[-1], b"\x00\xff\r\n", ttl=60)
            values = [*nothing[:-1], b"\x00\xff\r\n"]
            assert await store.get_or_add(keys, mine) == (values, None)
            assert counted(store)["gets"] == 4 * count + 1

        run(main())

    def test_of_many_that_ask_at_once_one_has_the_claim(self, open_one: Open) -> None:
        async def main() -> None:
            stores, key, lease = [open_one() for _ in range(4)], new_key(), new_key()
            asked = [
                store.get_or_add([key], Claim(lease, b"%d" % number, 60))
                for number, store in enumerate(stores * 10)
            ]
            told = [is_added for _, is_added in await asyncio.gather(*asked)]
            assert sorted(map(str, told)) == (
                ["False"] * 39 + ["True"] if is_redis(stores[0]) else ["None"] * 40
            )

        run(main())

    def test_a_claim_ends_with_its_lifetime(self, open_one: Open) -> None:
        async def main() -> None:
            store, key, lease = open_one(), new_key(), new_key()
            if not is_redis(store):
                await store.add(lease, b"gone", ttl=1)
            else:
                assert await store.get_or_add([key], Claim(lease, b"gone", 1)) == ([None], True)
            deadline = time.monotonic() + 120
            while await store.get(lease) is not None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            _, is_added = await store.get_or_add([key], Claim(lease, b"next", 60))
            assert is_added in (True, None)

        run(main())

    @pytest.mark.parametrize("size", [60, 70, 71, 500])
    def test_values_up_to_the_limit_are_read_and_none_above_it(
        self, open_one: Open, size: int
    ) -> None:
        async def main() -> None:
            wide, store = open_one(), open_one(max_value_bytes=70)
            keys, lease = [new_key(), new_key()], new_key()
            await wide.set(keys[0], b"a" * 20, ttl=60)
            await wide.set(keys[1], b"b" * size, ttl=60)
            values, is_added = await store.get_or_add(keys, Claim(lease, b"mine", 60))
            # Memcached gives nothing at all if one of the values is over the limit.
            assert values[0] in ((b"a" * 20,) if size <= 70 else (b"a" * 20, None))
            assert values[1] == (b"b" * size if size <= 70 else None)
            assert not is_added or size > 70
            assert counted(store).get("oversized", 0) == (size > 70)

        run(main())


class TestWrite:
    def test_all_are_made_and_tokens_are_deleted_last(self, open_one: Open) -> None:
        async def main() -> None:
            store, keys = open_one(), [new_key() for _ in range(6)]
            for key in keys[:4]:
                await store.set(key, b"old", ttl=60)
            writes: list[Write] = [
                DeleteToken(keys[0], b"new"),
                SetValue(keys[0], b"new", 60),
                DeleteToken(keys[1], b"another"),
                DeleteValue(keys[2]),
                DeleteValue(keys[5]),
                SetValue(keys[4], b"\xff", 60),
            ]
            await store.write(writes)
            assert await store.get_many(keys) == [None, b"old", None, b"old", b"\xff", None]
            assert counted(store) == {"gets": 6, "hits": 3, "sets": 6, "deletes": 4}

        run(main())

    def test_a_value_over_the_limit_only_deletes_the_one_before(self, open_one: Open) -> None:
        async def main() -> None:
            store, keys = open_one(max_value_bytes=10), [new_key(), new_key()]
            for key in keys:
                await store.set(key, b"old", ttl=60)
            await store.write([SetValue(keys[0], b"a" * 11, 60), SetValue(keys[1], b"a" * 10, 60)])
            assert await store.get_many(keys) == [None, b"a" * 10]
            assert counted(store)["oversized"] == 1

        run(main())

    def test_nothing_to_write_is_no_call(self, open_one: Open) -> None:
        async def main() -> None:
            store = open_one()
            await store.write([])
            assert counted(store) == {}

        run(main())


@pytest.mark.parametrize("scheme", ["redis", "memcached"])
def test_without_a_server_nothing_is_known(scheme: str) -> None:
    async def main() -> None:
        store = open_store(f"{scheme}://127.0.0.1:1", timeout=20.0)
        assert await store.add("key", b"value", ttl=60) is None
        assert await store.increment("key", ttl=60) is None
        assert await store.get_many(["key", "other"]) == [None, None]
        assert await store.delete_if("key", b"value") is None
        await store.write([SetValue("key", b"value", 60), DeleteValue("other")])
        # Nobody can have the claim: so it may be acted upon.
        claim = Claim("lease", b"mine", 60)
        assert await store.get_or_add(["key", "other"], claim) == ([None, None], True)

    run(main())


def test_memory_gives_numbers_to_other_calls_as_digits() -> None:
    async def main() -> None:
        store = open_store("memory://")
        assert await store.increment("key", ttl=60) == 1
        assert await store.get("key") == b"1"
        assert await store.add("key", b"value", ttl=60) is False

    run(main())
