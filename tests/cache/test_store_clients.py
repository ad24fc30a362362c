"""A client of the user's own in place of a URL: a cluster, a sentinel's master, a look-alike."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio as redis_client
from aiocache.backends.redis import RedisCache
from aiocache.serializers import NullSerializer
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.sentinel import Sentinel

from asgi_serial.errors import ConfigurationError
from asgi_serial.store.aiocache_store import open_store
from asgi_serial.store.base import GuardedStore
from asgi_serial.store.redis_clients import max_connections_of, renew_client

from .operations import failures, fill, new_key, redis_name, try_every_operation
from .services import (
    Proxy,
    Service,
    hurried,
    longest_stall,
    redis_cluster,
    redis_sentinel,
    redis_server,
    run,
)

# So long that only a node that is gone takes it, on a busy machine, too.
TIMEOUT_SECONDS = 20.0
# What a busy machine may add to it.
SLACK_SECONDS = 20.0

_ticks = itertools.count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[list[Service]]:
    """Three nodes, which a test leaves running."""
    with redis_cluster() as nodes:
        yield nodes


class TestCluster:
    def test_every_operation_works_over_all_nodes(self, cluster: list[Service]) -> None:
        async def main() -> None:
            async with redis_client.RedisCluster("127.0.0.1", cluster[0].port) as client:
                store = open_store(client, timeout=TIMEOUT_SECONDS)
                await try_every_operation(store)
                sizes = [await client.dbsize(target_nodes=node) for node in client.get_nodes()]
                assert min(sizes) > 5

        run(main())

    # A call that is cancelled while redis-py connects leaves its connection to the garbage
    # collector, and Python 3.13 warns of that. The answers to the calls are what counts here.
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_cancelled_calls_leave_no_answer_for_another(self, cluster: list[Service]) -> None:
        async def main() -> None:
            async with redis_client.RedisCluster("127.0.0.1", cluster[0].port) as client:
                # By this clock each call comes long after the one before: none is held back.
                store = open_store(client, timeout=0.05, clock=lambda: next(_ticks) * 100.0)
                values = await fill(open_store(client, timeout=TIMEOUT_SECONDS), 60)
                for _ in range(3):
                    for node in cluster:
                        node.hang()
                    tasks = [asyncio.create_task(store.get(key)) for key in values]
                    tasks.append(asyncio.create_task(store.get_many(list(values))))  # type: ignore[arg-type]
                    await asyncio.sleep(random.uniform(0.0, 0.06))
                    for task in tasks[::2]:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    for node in cluster:
                        node.go_on()
                    found = await asyncio.gather(*(store.get(key) for key in values))
                    found += await store.get_many(list(values))
                    for value, right in zip(found, [*values.values()] * 2, strict=True):
                        assert value in (right, None)

        run(main())

    def test_a_node_that_is_killed_takes_its_own_values_only_and_comes_back(
        self, cluster: list[Service]
    ) -> None:
        now = [0.0]

        async def main() -> None:
            async with redis_client.RedisCluster("127.0.0.1", cluster[0].port) as client:
                store = open_store(client, timeout=TIMEOUT_SECONDS, clock=lambda: now[0])
                values = await fill(store, 60)
                asking = asyncio.create_task(ask_all(store, values, rounds=60))
                await asyncio.sleep(0.02)
                cluster[1].kill()
                async with hurried():
                    longest, _ = await asking
                assert longest < TIMEOUT_SECONDS + SLACK_SECONDS
                lost = [
                    key
                    for key in values
                    if client.get_node_from_key(redis_name(key)).port == cluster[1].port
                ]
                assert 0 < len(lost) < len(values)
                right = [None if key in lost else values[key] for key in values]
                # A cluster's client that looks for its nodes may keep the others waiting, too.
                assert await settled(store, values, right, now)
                assert await store.get_many(list(values)) == right
                # Of the node that is gone nothing is asked any more: the rest costs nothing.
                began = time.monotonic()
                assert (await ask_all(store, values, rounds=1))[1] == right
                assert time.monotonic() - began < TIMEOUT_SECONDS + SLACK_SECONDS
                cluster[1].start()
                assert await recovered(store, lost, now)

        run(main())

    def test_a_cluster_that_is_not_there_costs_its_time_out(self) -> None:
        async def main() -> None:
            client = redis_client.RedisCluster("127.0.0.1", 1)
            store = open_store(client, timeout=TIMEOUT_SECONDS)
            loop = asyncio.get_running_loop()
            async with longest_stall() as stall, hurried():
                for _ in range(10):
                    began = loop.time()
                    assert await store.get_many(["a", "b"]) == [None, None]
                    assert loop.time() - began < TIMEOUT_SECONDS + SLACK_SECONDS
            assert stall[0] < SLACK_SECONDS
            assert store.statistics()["skipped_by_breaker"] == 7
            await client.aclose()

        run(main())


async def ask_all(
    store: GuardedStore, values: dict[str, bytes], *, rounds: int
) -> tuple[float, list[bytes | None]]:
    """The seconds of the slowest of many calls, and what came of the last round of them.

    Whatever is found is right.
    """
    slowest, loop = 0.0, asyncio.get_running_loop()

    async def ask(key: str) -> bytes | None:
        nonlocal slowest
        began = loop.time()
        value = await store.get(key)
        slowest = max(slowest, loop.time() - began)
        assert value in (values[key], None)
        return value

    for _ in range(rounds):
        found = await asyncio.gather(*(ask(key) for key in values))
    return slowest, found


async def settled(
    store: GuardedStore, values: dict[str, bytes], right: list[bytes | None], now: list[float]
) -> bool:
    """Whether the nodes that are there are found again, after some probes."""
    deadline = time.monotonic() + 120
    # In haste a node that is there may be taken for one that is not; so every other time only.
    haste = itertools.cycle([hurried, nullcontext])
    while time.monotonic() < deadline:
        now[0] += 60
        async with next(haste)():
            if (await ask_all(store, values, rounds=2))[1] == right:
                return True
    return False


async def recovered(store: GuardedStore, keys: list[str], now: list[float]) -> bool:
    """Whether the values of a node can be written again, by probes that are not held back."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        now[0] += 60
        await store.set(keys[0], b"new", ttl=60)
        if await store.get(keys[0]) == b"new":
            return True
        await asyncio.sleep(0.05)
    return False


class TestSentinel:
    def test_the_master_that_a_sentinel_names_is_used(self) -> None:
        async def main() -> None:
            sentinel = Sentinel([("127.0.0.1", watcher.port)])
            async with sentinel.master_for("main") as client:
                store = open_store(client, timeout=TIMEOUT_SECONDS)
                values = await fill(store, 20)
                assert await store.get_many(list(values)) == list(values.values())
                assert await store.increment("number", ttl=60) == 1
                assert failures(store) == {}
                await store.close()
                assert await client.dbsize() == 21

                master.kill()
                began = time.monotonic()
                for key in values:
                    assert await store.get(key) is None
                assert time.monotonic() - began < 3 * SLACK_SECONDS
            for each in sentinel.sentinels:
                await each.aclose()

        with redis_server() as master, redis_sentinel(master) as watcher:
            run(main())


class Lookalike:
    """A client of another library that has the methods of redis-py's, and nothing in common."""

    def __init__(self, client: Any) -> None:
        self._client = client
        for name in ("getrange", "set", "delete", "expire", "incrby", "eval", "pipeline"):
            setattr(self, name, getattr(client, name))

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        return await self._client.execute_command(*args, **kwargs)


class TestLookalike:
    def test_it_is_a_store(self, redis: Service) -> None:
        async def main() -> None:
            async with redis_client.Redis(port=redis.port, protocol=3) as client:
                store, key = open_store(Lookalike(client), timeout=TIMEOUT_SECONDS), new_key()
                await store.set(key, b"\xff", ttl=60)
                assert await store.get(key) == b"\xff"
                assert await store.get_many([key]) == [b"\xff"]
                assert await store.add(key, b"other", ttl=60) is False
                assert await store.increment(key, ttl=60) is None
                assert await store.delete_if(key, b"\xff") is True
                assert failures(store) == {"refusals": 1}
                await store.close()
                assert await client.ping()

        run(main())

    def test_what_it_decodes_is_a_miss(self, redis: Service) -> None:
        async def main() -> None:
            async with redis_client.Redis(port=redis.port, decode_responses=True) as client:
                store, key = open_store(Lookalike(client), timeout=TIMEOUT_SECONDS), new_key()
                await store.set(key, b"text", ttl=60)
                assert await store.get(key) is None
                assert failures(store) == {"not_bytes": 1}

        run(main())

    def test_one_that_is_not_asynchronous_is_refused(self) -> None:
        client = Lookalike(redis_client.Redis())
        client.execute_command = lambda *_: None  # type: ignore[method-assign]
        with pytest.raises(ConfigurationError, match=r"Lookalike.*; expected .* asynchronous"):
            open_store(client)

    def test_one_without_all_the_methods_is_refused(self) -> None:
        client = SimpleNamespace(execute_command=Lookalike.execute_command, set=print)
        with pytest.raises(ConfigurationError, match="SimpleNamespace"):
            open_store(client)


class TestEachLoop:
    """A client of redis-py belongs to one event loop: the store makes one for each."""

    @staticmethod
    def _use(client: Any) -> None:
        store = open_store(client, timeout=TIMEOUT_SECONDS)

        async def main() -> None:
            values = await fill(store, 20)
            assert await store.get_many(list(values)) == list(values.values())

        for _ in range(3):
            run(main())
        threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures(store) == {}
        assert store.statistics()["hits"] == 6 * 20

    def test_of_a_redis(self, redis: Service) -> None:
        self._use(redis_client.Redis(port=redis.port))

    def test_of_a_cluster(self, cluster: list[Service]) -> None:
        client = redis_client.RedisCluster("127.0.0.1", cluster[0].port)
        self._use(client)
        assert not client.get_nodes()  # it was used for its settings only

    def test_of_a_master_that_sentinels_name(self) -> None:
        with redis_server() as master, redis_sentinel(master) as watcher:
            sentinel = Sentinel([("127.0.0.1", watcher.port)])
            client = sentinel.master_for("main")
            self._use(client)
            assert not client.connection_pool._available_connections
            (asked,) = sentinel.sentinels
            assert not asked.connection_pool._available_connections

    def test_of_a_cluster_whose_look_for_nodes_was_under_way_when_the_loop_ended(
        self, cluster: list[Service]
    ) -> None:
        store = open_store(
            redis_client.RedisCluster("127.0.0.1", cluster[0].port), timeout=TIMEOUT_SECONDS
        )

        async def main(*, leaves: bool) -> None:
            asking = asyncio.create_task(store.set(new_key(), b"value", ttl=60))
            while store._drivers.find() is None:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            if leaves:
                await store.close()
            await asking

        run(main(leaves=True))
        assert store.statistics()["errors"] == 1
        run(main(leaves=False))
        assert store.statistics()["errors"] == 1


def renewed_from(client: Any) -> Any:
    renewed = renew_client(client)
    assert renewed is not None
    return renewed.client


class TestSettings:
    def test_a_cluster_s_are_taken_over(self) -> None:
        def remap(address: tuple[str, int]) -> tuple[str, int]:
            return address

        client = redis_client.RedisCluster(
            startup_nodes=[ClusterNode("127.0.0.1", 1), ClusterNode("127.0.0.1", 2)],
            username="user",
            password="secret",
            ssl=True,
            ssl_check_hostname=False,
            max_connections=7,
            require_full_coverage=False,
            reinitialize_steps=3,
            protocol=2,
            socket_timeout=1.5,
            address_remap=remap,
        )
        renewed = renewed_from(client)
        assert type(renewed) is redis_client.RedisCluster
        assert [*renewed.nodes_manager.startup_nodes] == ["127.0.0.1:1", "127.0.0.1:2"]
        for name, value in client.connection_kwargs.items():
            if name not in ("response_callbacks", "himport_registry"):
                assert renewed.connection_kwargs[name] == value
        assert renewed.connection_kwargs["connection_class"] is redis_client.SSLConnection
        assert renewed.nodes_manager.require_full_coverage is False
        assert renewed.nodes_manager.address_remap is remap
        assert renewed.reinitialize_steps == 3
        assert max_connections_of(renewed) == 7

    @pytest.mark.parametrize("find", ["master_for", "slave_for"])
    def test_a_sentinel_s_are_taken_over(self, find: str) -> None:
        sentinel = Sentinel(
            [("127.0.0.1", 1), ("127.0.0.1", 2)],
            min_other_sentinels=1,
            sentinel_kwargs={"password": "of the sentinel"},
            password="of the master",
        )
        client = getattr(sentinel, find)("main", db=3, max_connections=7, check_connection=True)
        renewed = renewed_from(client)
        pool, old = renewed.connection_pool, client.connection_pool
        assert pool is not old
        assert pool.connection_kwargs["password"] == "of the master"
        assert pool.connection_kwargs["db"] == 3
        names = ("service_name", "max_connections", "is_master", "check_connection")
        for name in (*names, "connection_class"):
            assert getattr(pool, name) == getattr(old, name)
        assert pool.sentinel_manager.min_other_sentinels == 1
        for number, asked in enumerate(pool.sentinel_manager.sentinels, 1):
            assert asked is not sentinel.sentinels[number - 1]
            assert asked.connection_pool.connection_kwargs["port"] == number
            assert asked.connection_pool.connection_kwargs["password"] == "of the sentinel"

    def test_a_class_of_the_user_s_own_is_not_made_anew(self) -> None:
        class Cluster(redis_client.RedisCluster):
            pass

        class Client(redis_client.Redis):
            pass

        assert renew_client(Cluster("127.0.0.1", 1)) is None
        assert type(renewed_from(Client())) is redis_client.Redis
        assert renew_client(Lookalike(redis_client.Redis())) is None
        assert max_connections_of(Lookalike(redis_client.Redis())) is None


class TestFewConnections:
    """Calls wait for a free connection; that none is free says nothing against the server."""

    @staticmethod
    async def _burst(client: Any) -> None:
        store = open_store(client, timeout=TIMEOUT_SECONDS)
        values = await fill(store, 300)
        found = await asyncio.gather(*(store.get(key) for key in values))
        assert found == list(values.values())
        assert failures(store) == {}
        await store.close()

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"connection_pool": redis_client.ConnectionPool},
            {"connection_pool": redis_client.BlockingConnectionPool},
        ],
        ids=["Redis", "ConnectionPool", "BlockingConnectionPool"],
    )
    def test_of_a_redis(self, redis: Service, options: dict[str, Any]) -> None:
        async def main() -> None:
            async with Proxy(redis.port) as proxy:
                settings = {"host": "127.0.0.1", "port": proxy.port, "max_connections": 2}
                made = {name: pool(**settings) for name, pool in options.items()}
                await self._burst(redis_client.Redis(**(made or settings)))
                assert proxy.connections <= 2

        run(main())

    def test_of_an_aiocache_cache(self, redis: Service) -> None:
        cache = RedisCache(
            NullSerializer(encoding=None),
            endpoint="127.0.0.1",
            port=redis.port,
            pool_max_size=2,
        )
        run(self._burst(cache))

    def test_of_a_cluster(self, cluster: list[Service]) -> None:
        client = redis_client.RedisCluster("127.0.0.1", cluster[0].port, max_connections=2)
        run(self._burst(client))

    def test_of_a_master_that_sentinels_name(self) -> None:
        with redis_server() as master, redis_sentinel(master) as watcher:
            sentinel = Sentinel([("127.0.0.1", watcher.port)])
            run(self._burst(sentinel.master_for("main", max_connections=2)))

    def test_a_pool_that_others_have_emptied_is_a_miss_and_no_failure(self, redis: Service) -> None:
        class Pool(redis_client.ConnectionPool):
            pass

        async def main() -> None:
            pool = Pool(host="127.0.0.1", port=redis.port, max_connections=1)
            client, key = redis_client.Redis(connection_pool=pool), new_key()
            store = open_store(client, timeout=TIMEOUT_SECONDS)
            await store.set(key, b"value", ttl=60)
            taken = await pool.get_connection()
            for _ in range(9):
                assert await store.get(key) is None
            await pool.release(taken)
            assert await store.get(key) == b"value"
            assert failures(store) == {"refusals": 9}
            await pool.aclose()

        run(main())
