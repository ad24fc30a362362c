"""What is kept beside the models: in the process, in a store, and how failures of that are met."""

import asyncio

import pytest
import trio
from aiocache import SimpleMemoryCache
from aiocache.serializers import NullSerializer

from asgi_serial import ConfigurationError
from asgi_serial.cache.memory import Memory
from asgi_serial.serialization.keyvalue import KeyValueCache
from asgi_serial.serialization.records import pack_record, unpack_record

from .models import make_users


class FakeStore:
    """A store as another process would use it, too."""

    def __init__(self):
        self.records = {}
        self.calls = []
        self.is_open = True

    async def get(self, key):
        self.calls.append("get")
        return self.records.get(key)

    async def set(self, key, value, *, ttl):
        self.calls.append("set")
        self.records[key] = value

    async def delete(self, key):
        self.calls.append("delete")
        self.records.pop(key, None)

    async def close(self):
        self.is_open = False

    def statistics(self):
        return {"gets": self.calls.count("get"), "hits": 0}


class FailingCache(SimpleMemoryCache):
    """A cache of aiocache's that fails so many times before it answers."""

    def __init__(self, failures, error):
        super().__init__(serializer=NullSerializer(encoding=None))
        self.failures = failures
        self.error = error
        self.attempts = 0

    async def _get(self, key, encoding=None, _conn=None):
        self.attempts += 1
        if self.attempts <= self.failures:
            raise self.error
        return await super()._get(key, encoding=encoding, _conn=_conn)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make_cache(clock):
    def make(store=None, *, is_enabled=True):
        cache = KeyValueCache(
            Memory(1_000_000),
            ttl_seconds=lambda: 60.0,
            is_enabled=lambda: is_enabled,
            clock=clock,
        )
        cache.store = store
        return cache

    return make


def test_a_value_is_found_until_its_time_is_over(make_cache, clock):
    async def use(cache):
        await cache.set("default", b"a")
        await cache.set("short", b"b", ttl=5)
        await cache.set("none", b"c", ttl=0)
        assert [await cache.get(key) for key in ("default", "short", "none")] == [b"a", b"b", None]
        clock.now += 5
        assert [await cache.get(key) for key in ("default", "short")] == [b"a", None]
        clock.now += 55
        assert await cache.get("default") is None

    asyncio.run(use(make_cache()))


def test_a_value_of_no_time_takes_the_place_of_the_one_before(make_cache):
    async def use(cache):
        await cache.set("k", b"a")
        await cache.set("k", b"b", ttl=0)
        return await cache.get("k")

    assert asyncio.run(use(make_cache())) is None


def test_a_value_can_be_deleted_in_both_levels(make_cache):
    async def use(store):
        cache = make_cache(store)
        await cache.set("k", b"a")
        await cache.delete("k")
        return await cache.get("k"), store.records

    assert asyncio.run(use(FakeStore())) == (None, {})


def test_another_process_finds_it_for_the_time_that_is_left(make_cache, clock):
    async def use(store):
        await make_cache(store).set("k", b"", ttl=10)
        clock.now += 6
        other = make_cache(store)
        assert await other.get("k") == b""
        store.records.clear()
        clock.now += 3
        assert await other.get("k") == b""
        clock.now += 1
        assert await other.get("k") is None

    asyncio.run(use(FakeStore()))


def test_nothing_is_kept_where_caching_is_off(make_cache):
    async def use(cache):
        await cache.set("k", b"a")
        return await cache.get("k")

    assert asyncio.run(use(make_cache(FakeStore(), is_enabled=False))) is None


@pytest.mark.parametrize("value", ["text", None, 1], ids=repr)
def test_only_bytes_are_kept(make_cache, value):
    with pytest.raises(TypeError, match="expected bytes"):
        asyncio.run(make_cache().set("k", value))


@pytest.mark.parametrize("ttl", [-1, float("nan")])
def test_a_ttl_is_checked(make_cache, ttl):
    with pytest.raises(ConfigurationError, match="ttl is"):
        asyncio.run(make_cache().set("k", b"", ttl=ttl))


KEY = ("kv", "k")
RECORD = pack_record(KEY, b"content", expires=100.0)


def test_a_record_is_read_under_its_key_and_in_its_time():
    assert unpack_record(RECORD, KEY, now=40.0) == (b"content", 60.0)
    assert unpack_record(RECORD, KEY, now=100.0) is None
    assert unpack_record(RECORD, ("kv", "other"), now=40.0) is None


def test_a_record_that_is_damaged_anywhere_is_none():
    for position in range(len(RECORD)):
        damaged = bytearray(RECORD)
        damaged[position] ^= 1
        assert unpack_record(bytes(damaged), KEY, now=40.0) is None
        assert unpack_record(RECORD[:position], KEY, now=40.0) is None


async def serialize_often(manager, users, times=6):
    return {await manager.serialize_model(users, cache_key="users") for _ in range(times)}


def test_a_payload_is_kept_under_the_key_that_the_caller_claims(make_manager):
    async def use(manager):
        users = make_users(300)
        await serialize_often(manager, users)
        found = await manager.serialize_model(make_users(1), cache_key="users")
        return len((await manager.deserialize_model(found, type(users))).users)

    assert asyncio.run(use(make_manager())) == 300


@pytest.mark.parametrize("users", [make_users(1), make_users(2000)], ids=["small", "large"])
def test_a_payload_is_shared_by_processes(make_manager, users):
    async def use(store):
        one, other = make_manager(store=store), make_manager(store=store)
        payloads = await serialize_often(one, users)
        assert len(store.records) == 1
        other_users = make_users(3)
        found = {await other.serialize_model(other_users, cache_key="users") for _ in range(2)}
        assert (store.calls.count("get"), store.calls.count("set")) == (2, 1)
        return payloads == found

    assert asyncio.run(use(FakeStore()))


def test_without_asyncio_only_the_memory_is_used(make_manager):
    store = FakeStore()
    manager = make_manager(store=store)
    cache = manager.cached_manager.cache_manager

    async def use():
        await manager.serialize_model(make_users(1), cache_key="users")
        await cache.set("k", b"a")
        found = await cache.get("k"), await cache.get("other")
        await cache.delete("k")
        return found, await cache.get("k")

    assert trio.run(use) == ((b"a", None), None)
    assert store.calls == []


def test_starting_connects_and_stopping_closes(make_manager):
    async def use(store):
        async with make_manager(store=store):
            assert store.calls == ["get"]
        return store.is_open

    assert asyncio.run(use(FakeStore())) is False


def test_the_second_level_has_its_numbers(make_manager):
    manager = make_manager(store=FakeStore())
    assert manager.get_stats()["cached_manager"]["cache"]["l2_cache"] == {
        "gets": 0,
        "hits": 0,
        "hit_rate": 0.0,
    }


@pytest.mark.parametrize("error", [ConnectionError("down"), TimeoutError(), OSError(1)], ids=repr)
def test_a_failed_call_of_the_store_is_made_again(make_manager, error):
    async def use(cache):
        manager = make_manager(store=cache, retry_delay=0)
        assert await manager.cached_manager.cache_manager.get("k") is None
        return manager.get_stats()["cached_manager"]["cache"]["l2_cache"]

    cache = FailingCache(2, error)
    counters = asyncio.run(use(cache))
    assert (cache.attempts, counters["retries"]) == (3, 2)


def test_the_number_of_retries_is_live(make_manager):
    async def use(cache):
        manager = make_manager(store=cache, retry_delay=0, max_retries=0)
        await manager.cached_manager.cache_manager.get("k")
        before = cache.attempts
        manager.config.max_retries = 1
        await manager.cached_manager.cache_manager.get("k")
        return before, cache.attempts

    assert asyncio.run(use(FailingCache(9, OSError()))) == (1, 3)


def test_retries_end_where_the_breaker_opens(make_manager):
    async def use(cache):
        manager = make_manager(store=cache, retry_delay=0, max_retries=10)
        await manager.cached_manager.cache_manager.get("k")
        return cache.attempts

    assert asyncio.run(use(FailingCache(99, OSError()))) == 3


def test_the_encoded_form_of_a_document_that_repeats_is_remembered(make_manager):
    manager, users = make_manager(), make_users(100)
    assert len({manager.serialize_sync(users) for _ in range(5)}) == 1
    assert manager.get_stats()["cached_manager"]["cache"]["encodings"] == {"hits": 4, "misses": 1}
