import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest
import redis
import redis.asyncio as redis_client
from aiocache.backends.memcached import MemcachedCache
from aiocache.backends.memory import SimpleMemoryCache
from aiocache.backends.redis import RedisCache
from aiocache.plugins import HitMissRatioPlugin
from aiocache.serializers import JsonSerializer, NullSerializer, PickleSerializer

from asgi_serial.errors import ConfigurationError
from asgi_serial.store.aiocache_store import open_store

from .services import Service, run

KEY = "o" * 32
Server = tuple[str, Service]
PLAIN = NullSerializer(encoding=None)


class UsersCache(SimpleMemoryCache):  # type: ignore[misc]
    """A cache of the user's own, which fails as it is told to."""

    found: object = b"value"

    async def _get(self, *_: object, **__: object) -> object:
        if isinstance(self.found, BaseException):
            raise self.found
        return self.found


class TestTargets:
    @pytest.mark.parametrize("namespace", [None, "users"])
    def test_an_aiocache_cache_is_used_under_its_own_namespace(
        self, server: Server, namespace: str | None
    ) -> None:
        kind = {"redis": RedisCache, "memcached": MemcachedCache}[server[0]]
        cache = kind(PLAIN, endpoint="127.0.0.1", port=server[1].port, namespace=namespace)

        async def main() -> None:
            store = open_store(cache, timeout=20.0)
            await store.set(KEY, b"\xff", ttl=60)
            assert await store.get(KEY) == b"\xff"
            other = open_store(f"{server[0]}://127.0.0.1:{server[1].port}", timeout=20.0)
            assert await other.get(KEY) == (None if namespace else b"\xff")
            await store.delete(KEY)
            assert await store.get(KEY) is None

        run(main())
        run(main())

    @pytest.mark.parametrize(
        "pool", [redis_client.ConnectionPool, redis_client.BlockingConnectionPool]
    )
    def test_a_redis_client_is_taken_for_its_settings(self, redis: Service, pool: Any) -> None:
        client = redis_client.Redis(
            connection_pool=pool(host="127.0.0.1", port=redis.port, db=3, protocol=2)
        )

        async def main() -> None:
            store = open_store(client, timeout=20.0)
            await store.set(KEY, b"\xff", ttl=60)
            assert await store.get(KEY) == b"\xff"
            other = open_store(f"redis://127.0.0.1:{redis.port}/3", timeout=20.0)
            assert await other.get(KEY) == b"\xff"
            await store.close()

        run(main())
        run(main())
        assert not client.connection_pool._available_connections

    def test_a_redis_client_with_a_pool_of_its_own_is_used_as_it_is(self, redis: Service) -> None:
        class Pool(redis_client.ConnectionPool):
            pass

        async def main() -> None:
            pool = Pool(host="127.0.0.1", port=redis.port, protocol=2)
            client = redis_client.Redis(connection_pool=pool)
            store = open_store(client, timeout=20.0)
            await store.set(KEY, b"\xff", ttl=60)
            await store.close()
            assert await client.get(f"asgi_serial:{KEY}") == b"\xff"
            await pool.aclose()

        run(main())

    @pytest.mark.parametrize("target", ["memory://", SimpleMemoryCache()], ids=["URL", "object"])
    def test_memory_is_a_store(self, target: object) -> None:
        store = open_store(target)

        async def main(before: bytes | None) -> None:
            assert await store.get(KEY) == before
            await store.set(KEY, b"value", ttl=60)
            assert await store.get(KEY) == b"value"
            await store.close()

        run(main(None))
        run(main(b"value"))

    @pytest.mark.parametrize(
        ("found", "counter"),
        [
            pytest.param("text", "not_bytes", id="text"),
            pytest.param(["a"], "not_bytes", id="a list"),
            pytest.param(b"a" * 11, "oversized", id="more than the limit"),
            pytest.param(RuntimeError("broken"), "errors", id="an exception"),
            pytest.param(asyncio.CancelledError(), "errors", id="a cancellation of its own"),
        ],
    )
    def test_a_cache_that_gives_anything_else_is_a_miss(self, found: object, counter: str) -> None:
        cache = UsersCache()
        cache.found = found
        store = open_store(cache, max_value_bytes=10)
        assert run(store.get(KEY)) is None
        assert store.statistics()[counter] == 1
        assert store.statistics()["hits"] == 0

    @pytest.mark.parametrize("found", [[], [b"one"], [b"one", b"two", b"three"], None])
    def test_a_cache_that_gives_too_few_or_too_many_values_gives_none(self, found: object) -> None:
        class MuddledCache(SimpleMemoryCache):  # type: ignore[misc]
            async def multi_get(self, *_: object, **__: object) -> object:
                return found

        store = open_store(MuddledCache())
        assert run(store.get_many(["one", "two"])) == [None, None]


class TestRefusals:
    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (None, "the store is of <class 'NoneType'>; expected a URL, an aiocache cache"),
            ({}, "the store is of <class 'dict'>"),
            ("http://h", "has no known scheme"),
            (SimpleMemoryCache(serializer=PickleSerializer()), "PickleSerializer"),
            (RedisCache(), "expected serializer=NullSerializer"),
            (RedisCache(NullSerializer()), r"NullSerializer\(encoding='utf-8'\)"),
            (MemcachedCache(JsonSerializer()), "JsonSerializer"),
            (SimpleMemoryCache(plugins=[HitMissRatioPlugin()]), "HitMissRatioPlugin"),
            (
                redis.Redis(),
                "the store is of <class 'redis.client.Redis'>; expected .* asynchronous",
            ),
            (redis_client.Redis(decode_responses=True), "expected decode_responses=False"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_a_target_that_would_change_bytes_is_refused(
        self, target: object, message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message):
            open_store(target)

    @pytest.mark.parametrize(
        "options",
        [
            {"timeout": 0},
            {"timeout": -1},
            {"timeout": float("nan")},
            {"timeout": float("inf")},
            {"max_value_bytes": 0},
            {"namespace": ""},
            {"namespace": "a b"},
            {"namespace": "a" * 32},
            {"namespace": "é"},
        ],
        ids=str,
    )
    def test_an_option_out_of_range_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match=f"{next(iter(options))} is .*; expected"):
            open_store("memory://", **options)

    @pytest.mark.parametrize(
        ("url", "module", "extra"),
        [
            ("redis://h", "redis.asyncio", "redis"),
            ("redis://h", "aiocache.backends.redis", "redis"),
            ("memcached://h", "aiocache.backends.memcached", "memcached"),
        ],
    )
    def test_a_missing_package_is_named_by_its_extra(
        self, url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(ConfigurationError, match=rf'pip install "asgi-serial\[{extra}\]"$'):
            open_store(url)


class TestLoops:
    def test_one_store_serves_loops_one_after_another(self, server: Server) -> None:
        store = open_store(f"{server[0]}://127.0.0.1:{server[1].port}", timeout=20.0)

        async def main(number: int) -> None:
            await store.set(KEY, b"%d" % number, ttl=60)
            assert await store.get(KEY) == b"%d" % number

        for number in range(5):
            run(main(number))
        assert store.statistics()["hits"] == 5

    def test_one_store_serves_loops_of_several_threads(self, server: Server) -> None:
        store = open_store(f"{server[0]}://127.0.0.1:{server[1].port}", timeout=20.0)
        wrong: list[object] = []

        async def main(number: int) -> None:
            key = f"{number:t>32}"
            for turn in range(20):
                await store.set(key, b"%d %d" % (number, turn), ttl=60)
                value = await store.get(key)
                if value != b"%d %d" % (number, turn):
                    wrong.append(value)

        threads = [
            threading.Thread(target=lambda n=n: asyncio.run(main(n)))  # type: ignore[misc]
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_close_reaches_the_loop_of_another_thread(self, server: Server) -> None:
        store = open_store(f"{server[0]}://127.0.0.1:{server[1].port}", timeout=20.0)
        asked, closed = threading.Event(), threading.Event()

        async def other() -> None:
            await store.get(KEY)
            asked.set()
            while store._drivers._held.get(asyncio.get_running_loop()):
                await asyncio.sleep(0.005)
            closed.set()

        thread = threading.Thread(target=lambda: asyncio.run(other()), daemon=True)
        thread.start()
        assert asked.wait(120)
        run(store.close())
        assert closed.wait(120)
        thread.join()

    def test_a_store_is_used_again_after_it_was_closed(self, server: Server) -> None:
        async def main() -> None:
            store = open_store(f"{server[0]}://127.0.0.1:{server[1].port}", timeout=20.0)
            await store.set(KEY, b"value", ttl=60)
            await store.close()
            await store.close()
            assert await store.get(KEY) == b"value"

        run(main())

    def test_a_loop_that_was_closed_without_a_word_is_forgotten(self) -> None:
        store = open_store("memory://")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(store.get(KEY))
        loop.close()
        run(store.get(KEY))
        assert loop not in store._drivers._held

    def test_a_loop_that_pauses_keeps_its_connections(self, server: Server) -> None:
        store = open_store(f"{server[0]}://127.0.0.1:{server[1].port}", timeout=20.0)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(store.set(KEY, b"value", ttl=60))
        run(store.close())
        assert loop.run_until_complete(store.get(KEY)) == b"value"
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        assert loop not in store._drivers._held

    @pytest.mark.parametrize("ends", ["", "await store.close()"], ids=["left open", "closed"])
    def test_a_process_ends_without_a_warning(self, server: Server, ends: str) -> None:
        program = f"""
import asyncio
from asgi_serial.store.aiocache_store import open_store
store = open_store("{server[0]}://127.0.0.1:{server[1].port}", timeout=20.0)
async def main():
    asyncio.get_running_loop().slow_callback_duration = 600  # nothing is slow on a busy machine
    await store.set("{KEY}", b"value", ttl=60)
    assert await asyncio.gather(*(store.get("{KEY}") for _ in range(9))) == [b"value"] * 9
    {ends}
asyncio.run(main())
asyncio.run(main())
"""
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "error", "-c", program],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
