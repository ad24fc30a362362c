"""Processes share what a cached function has made, through a real Redis, whatever becomes of it."""

import asyncio
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis
from pydantic import BaseModel, create_model

from asgi_serial import cached, create_serialization_manager
from asgi_serial.cache.leases import Leases
from asgi_serial.cache.packing import digest_key
from asgi_serial.cache.second_level import SecondLevel
from asgi_serial.serialization.config import SerializationConfig
from asgi_serial.serialization.functions.value_type import value_type
from asgi_serial.serialization.records import pack_record
from asgi_serial.store.aiocache_store import open_store
from tests.cache.services import redis_server

SECONDS = 300  # more than anything takes here


class User(BaseModel):
    id: int
    name: str = "ada"


@pytest.fixture(scope="module")
def server():
    with redis_server() as service:
        yield service


@pytest.fixture
def client(server):
    """The contents of the server, which are empty at first."""
    with redis.Redis(port=server.port) as client:
        client.flushall()
        yield client


@pytest.fixture
def make_process(server, client):
    """Makes managers as different processes have them."""

    def make(port=server.port, timeout=SECONDS, **options):
        url = f"redis://127.0.0.1:{port}/0"
        store = open_store(url, timeout=timeout, namespace="asgi_serial_model")
        config = SerializationConfig(**options)
        return create_serialization_manager(config, store=store, environ={})

    return make


def loader(manager, calls, type_=User, **options):
    """A function of one process."""

    async def load(id: int):
        calls.append(id)
        return type_(id=id, name=f"made {len(calls)}")

    load.__annotations__["return"] = type_
    return cached(key="user:{id}", manager=manager, **options)(load)


async def until(holds):
    """Wait for what another task or process brings about."""
    async with asyncio.timeout(SECONDS):
        while not await holds():
            await asyncio.sleep(0.01)


def records(client):
    return list(client.scan_iter("asgi_serial_model:*"))


@pytest.mark.parametrize("format", ["json", "msgpack", "orjson"])
def test_a_process_finds_what_another_has_made(make_process, client, format):
    calls = []

    async def use():
        async with make_process() as one, make_process() as other:
            first, second = (loader(each, calls, format=format) for each in (one, other))
            found = [await first(1), await second(1), await second(1)]
            assert second.cache_info()[:2] == (1, 1)
            return found

    assert asyncio.run(use()) == [User(id=1, name="made 1")] * 3
    assert calls == [1]


def test_pickles_are_shared_by_processes_with_one_key(make_process):
    async def use(*keys):
        calls = []
        one, other = (make_process(pickle_key=key) for key in keys)
        async with one, other:
            first, second = (loader(each, calls, format="pickle") for each in (one, other))
            assert await first(1) == User(id=1, name="made 1")
            await second(1)
            await first.invalidate(1)
        return calls

    assert asyncio.run(use("a" * 32, "a" * 32)) == [1]
    # Another key does not fit the signature, so that nothing is unpickled.
    assert asyncio.run(use("a" * 32, "b" * 32)) == [1, 1]


def test_functions_of_threads_use_the_store_as_well(make_process):
    calls, found = [], []
    managers = make_process(), make_process()

    def functions():
        for manager in managers:

            @cached(key="user:{id}", manager=manager)
            def load(id: int) -> User:
                calls.append(id)
                return User(id=id, name=threading.current_thread().name)

            yield load

    one, other = functions()
    thread = threading.Thread(target=lambda: found.append(one(1)), name="first")
    thread.start()
    thread.join()
    assert found == [other(1)] == [User(id=1, name="first")]
    assert calls == [1]

    async def in_loop():
        return other(1), one(2), other(2)

    assert asyncio.run(in_loop())[1:] == (User(id=2, name="MainThread"),) * 2
    assert calls == [1, 2]
    other.invalidate(1)
    one.clear()
    assert other(1) == User(id=1, name="MainThread")
    assert calls == [1, 2, 1]
    for manager in managers:
        asyncio.run(manager.stop())


@pytest.mark.parametrize("way", ["invalidate", "delete", "purge", "clear"])
def test_all_processes_hear_of_an_invalidation(make_process, way):
    calls = []

    async def use():
        async with make_process() as one, make_process() as other:
            first, second = (loader(each, calls, tags=["user:{id}"]) for each in (one, other))
            before = [await first(1), await second(1)]
            assert before[0] == before[1]
            if way == "invalidate":
                await first.invalidate(1)
            elif way == "delete":
                await one.delete("user:1")
            elif way == "purge":
                assert await one.purge("user:1") is True
            else:
                await second.clear()
            here, there = (second, first) if way == "clear" else (first, second)
            assert await here(1) != before[0]

            async def has_heard():
                return await there(1) != before[0]

            await until(has_heard)

    asyncio.run(use())


def test_many_invalidations_are_told_together(make_process):
    calls = []

    async def use():
        async with make_process() as one, make_process() as other:
            first, second = (loader(each, calls) for each in (one, other))
            await asyncio.gather(*map(first, range(200)))
            before = await asyncio.gather(*map(second, range(200)))
            sets = one.get_stats()["cached_manager"]["cache"]["l2_cache"]["sets"]
            await asyncio.gather(*map(first.invalidate, range(200)))
            told = one.get_stats()["cached_manager"]["cache"]["l2_cache"]["sets"] - sets

            async def has_heard():
                after = await asyncio.gather(*map(second, range(200)))
                return all(old != new for old, new in zip(before, after, strict=True))

            await until(has_heard)
            return told

    assert asyncio.run(use()) <= 100


def test_of_all_processes_one_makes_the_value(make_process):
    calls = []

    async def use():
        async with make_process() as one, make_process() as other:
            release = asyncio.Event()

            @cached(key="user:{id}", manager=one)
            async def first(id: int) -> User:
                calls.append(id)
                await release.wait()
                return User(id=id, name="of one")

            second = loader(other, calls)
            making = asyncio.ensure_future(first(1))
            await until(lambda: asyncio.sleep(0, bool(calls)))
            waiting = [asyncio.ensure_future(second(1)) for _ in range(3)]

            async def is_waiting():
                stats = other.get_stats()["cached_manager"]["cache"]["l2_cache"]
                return stats["adds"] > 1

            await until(is_waiting)
            release.set()
            return await making, *await asyncio.gather(*waiting)

    assert asyncio.run(use()) == (User(id=1, name="of one"),) * 4
    assert calls == [1]


def test_a_process_that_fails_lets_another_make_the_value(make_process):
    calls = []

    async def use():
        async with make_process() as one, make_process() as other:
            release = asyncio.Event()

            @cached(key="user:{id}", manager=one)
            async def first(id: int) -> User:
                await release.wait()
                raise LookupError("no")

            second = loader(other, calls)
            making = asyncio.ensure_future(first(1))

            async def has_lease():
                return one.get_stats()["cached_manager"]["cache"]["l2_cache"]["adds"] > 0

            await until(has_lease)
            waiting = asyncio.ensure_future(second(1))
            release.set()
            return await asyncio.gather(making, waiting, return_exceptions=True)

    error, found = asyncio.run(use())
    assert isinstance(error, LookupError)
    assert found == User(id=1, name="made 1")


def test_a_process_that_has_died_holds_nobody_up(make_process):
    calls = []

    async def use():
        async with make_process() as one, make_process() as other:
            dead = Leases(SecondLevel(one.cached_manager.values.store))
            assert await dead.take(("model", "user:1")) is not None
            return await loader(other, calls)(1)

    assert asyncio.run(use()) == User(id=1, name="made 1")


def test_a_lease_is_held_for_as_long_as_the_call_takes(make_process, client, monkeypatch):
    monkeypatch.setattr("asgi_serial.serialization.functions.function_cache.LEASE_SECONDS", 0.04)
    calls = []

    async def use():
        async with make_process() as one:
            release = asyncio.Event()

            @cached(key="user:{id}", manager=one)
            async def first(id: int) -> User:
                calls.append(id)
                await release.wait()
                return User(id=id)

            making = asyncio.ensure_future(first(1))

            async def is_renewed():
                stats = one.get_stats()["cached_manager"]["cache"]["l2_cache"]
                return stats["sets"] >= 5

            await until(is_renewed)
            release.set()
            await making

            async def is_over():
                return len(records(client)) == 3  # the value, and the log of invalidations

            await until(is_over)

    asyncio.run(use())


def test_a_stale_value_of_another_process_is_made_anew(make_process):
    calls = []

    async def use():
        async with make_process() as one, make_process() as other:
            first, second = (loader(each, calls, ttl=10, stale=60) for each in (one, other))
            clock = one.cached_manager.values.clock
            await first(1)
            one.cached_manager.values.clock = lambda: clock() + 12
            other.cached_manager.values.clock = lambda: clock() + 12
            assert await second(1) == User(id=1, name="made 2")
            assert await first(1) == User(id=1, name="made 1")  # and it looks for a newer one

            async def has_looked():
                return await first(1) == User(id=1, name="made 2")

            await until(has_looked)

    asyncio.run(use())
    assert calls == [1, 1]


SPOILT = {
    "nothing": lambda record: b"",
    "noise": lambda record: os.urandom(len(record)),
    "cut off": lambda record: record[:-1],
    "a bit": lambda record: record[:-1] + bytes([record[-1] ^ 1]),
    "of another": lambda record: b"\x80\x05" + record,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_damaged_record_is_a_miss(make_process, client, spoil):
    calls = []

    async def use():
        async with make_process() as one:
            await loader(one, calls)(1)
        for name in records(client):
            if client.type(name) == b"string" and len(client.get(name)) > 60:
                client.set(name, spoil(client.get(name)))
        async with make_process() as other:
            return await loader(other, calls)(1)

    assert asyncio.run(use()) == User(id=1, name="made 2")


SHAPE = value_type(create_serialization_manager(environ={}).cached_manager.pipeline, User, None)
NOW = time.time()


def content_of(*header, payload=b'{"id":1,"name":"of a liar"}'):
    return json.dumps(header).encode() + b"\n" + payload


LIES = {
    "nothing": b"",
    "no header": b'{"id":1,"name":"of a liar"}',
    "a header of another kind": content_of(1, 2),
    "a header without end": b"[" * 100_000 + b"\n",
    "a header of a deep list": b"[" * 50_000 + b"]" * 10_000 + b"\n",
    "another shape": content_of("json 00", NOW, NOW + 60, []),
    "born in the future": content_of(SHAPE.shape.decode(), NOW + 86_400, NOW + 90_000, []),
    "born never": content_of(SHAPE.shape.decode(), float("nan"), NOW + 60, []),
    "without end": content_of(SHAPE.shape.decode(), NOW, float("inf"), []),
    "over already": content_of(SHAPE.shape.decode(), NOW, NOW - 60, []),
    "another payload": content_of(SHAPE.shape.decode(), NOW, NOW + 600, [], payload=b"{}"),
    "no payload": content_of(SHAPE.shape.decode(), NOW, NOW + 600, [], payload=b""),
    "a broken frame": content_of(
        SHAPE.shape.decode(), NOW, NOW + 600, [], payload=b"\x28\xb5\x2f\xfd" + b"x" * 50
    ),
    "a pickle": content_of(
        SHAPE.shape.decode().replace("json", "pickle"),
        *(NOW, NOW + 600, []),
        payload=pickle.dumps(User(id=1, name="of a liar")),
    ),
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES)
def test_a_record_of_a_liar_is_a_miss(make_process, client, content):
    record = pack_record(("model", "user:1"), content, expires=NOW + 3600)
    name = "asgi_serial_model:" + digest_key(("model", "user:1"))

    async def use():
        async with make_process() as one, make_process() as other:
            await loader(one, [])(2)  # so that records are trusted
            client.set(name, record)
            found = await other.get_model("user:1", User)
            return found, await loader(other, [])(1)

    assert asyncio.run(use())[1] == User(id=1, name="made 1")
    client.set(name, record)


def test_a_true_record_is_no_miss(make_process, client):
    now = time.time() + 0.5
    content = content_of(SHAPE.shape.decode(), now, now + 600, ["a"])
    record = pack_record(("model", "user:1"), content, expires=now + 600)

    async def use():
        async with make_process() as one:
            await loader(one, [])(2)
            client.set("asgi_serial_model:" + digest_key(("model", "user:1")), record)
            return await loader(one, [])(1)

    assert asyncio.run(use()).name == "of a liar"


def test_a_model_that_has_changed_is_a_miss(make_process):
    calls = []
    # Both read what the other has written.
    changed = create_model("User", __base__=User, age=(int, 0))
    changed.__module__, changed.__qualname__ = User.__module__, User.__qualname__

    async def use():
        async with make_process() as one, make_process() as other:
            first, second = loader(one, calls), loader(other, calls, changed)
            found = [await first(1), await second(1), await second(1), await first(1)]
            return [user.name for user in found]

    assert asyncio.run(use()) == ["made 1", "made 2", "made 2", "made 1"]


def test_a_large_value_is_compressed(make_process, client):
    async def use():
        async with make_process() as one, make_process() as other:
            text = "ada " * 100_000
            await one.set_model("k", text)
            assert await other.get_model("k", str) == text
            return max(client.strlen(name) for name in records(client))

    assert asyncio.run(use()) < 10_000


def test_what_the_store_does_not_take_is_kept_in_memory(make_process, client):
    calls = []

    async def use():
        async with make_process(enable_compression=False, max_decoded_size=100) as one:

            @cached(manager=one)
            async def load() -> str:
                calls.append(1)
                return "x" * 1000

            return {await load(), await load()}

    assert asyncio.run(use()) == {"x" * 1000}
    assert calls == [1]


@pytest.mark.parametrize("way", ["hangs", "dies"])
def test_a_store_that_fails_is_a_miss(make_process, way):
    calls = []

    async def use(service):
        async with make_process(service.port, timeout=1.0) as one:
            load = loader(one, calls)
            assert await load(1) == User(id=1, name="made 1")
            (service.hang if way == "hangs" else service.kill)()
            try:
                assert await load(1) == User(id=1, name="made 1")
                assert await load(2) == User(id=2, name="made 2")
                await load.invalidate(1)
                assert await load(1) == User(id=1, name="made 3")
                assert await one.purge("users") is False
                assert await load(1) == User(id=1, name="made 3")
            finally:
                if way == "hangs":
                    service.go_on()

    with redis_server() as service:
        asyncio.run(use(service))


def test_an_invalidation_is_told_once_the_store_is_back(make_process):
    calls = []

    async def use(service):
        one, other = make_process(service.port, timeout=1.0), make_process(service.port)
        async with one, other:
            first, second = loader(one, calls), loader(other, calls)
            await first(1)
            before = await second(1)
            service.hang()
            await first.invalidate(1)
            service.go_on()

            async def has_heard():
                return await second(1) != before

            await until(has_heard)

    with redis_server() as service:
        asyncio.run(use(service))


def test_models_are_set_got_and_deleted(make_process):
    async def use():
        async with make_process() as one, make_process() as other:
            await one.set_model("a", User(id=1), tags=["users"])
            await one.set_model("b", [User(id=2)], as_type=list[User], format="msgpack")
            await one.set_model("c", b"\xff", ttl="1h")
            for each in (one, other, other):
                assert await each.get_model("a", User) == User(id=1)
                assert await each.get_model("b", list[User]) == [User(id=2)]
                assert await each.get_model("c", bytes) == b"\xff"
                assert await each.get_model("a", dict[str, int]) is None
                assert await each.get_model("d", User) is None
            await other.delete("b")
            await other.purge("users")
            assert await other.get_model("a", User) is None
            assert await other.get_model("b", list[User]) is None

            async def has_heard():
                found = [await one.get_model("a", User), await one.get_model("b", list[User])]
                return found == [None, None]

            await until(has_heard)
            assert await one.get_model("c", bytes) == b"\xff"

    asyncio.run(use())


PROCESS = """
import asyncio, sys
import redis
from pydantic import BaseModel
from asgi_serial import SerializationConfig, cached, create_serialization_manager
from asgi_serial import set_default_manager
from asgi_serial.cache import leases
from asgi_serial.serialization.functions import function_cache
from asgi_serial.store.aiocache_store import open_store

# On a busy machine, a process may not get to renew its lease in time, or begin late.
leases.LEASE_SECONDS = function_cache.WAIT_SECONDS = 300
port = int(sys.argv[1])
client = redis.Redis(port=port)

class User(BaseModel):
    id: int

@cached(ttl=60, key="user:{id}")
async def load(id: int) -> User:
    client.incr("calls")
    while client.get("ready") != b"4":
        await asyncio.sleep(0.01)
    return User(id=id)

async def main():
    url = f"redis://127.0.0.1:{port}/0"
    store = open_store(url, timeout=300, namespace="asgi_serial_model")
    async with create_serialization_manager(SerializationConfig(), store=store) as manager:
        set_default_manager(manager)
        client.incr("ready")
        print(await load(1))

asyncio.run(main())
"""


def test_processes_that_begin_at_once_make_one_call(server, client, make_process):
    async def begin():
        # A process trusts no value that is older than the log of invalidations, as it sees it.
        async with make_process() as first:
            await first.set_model("k", 1)

    asyncio.run(begin())
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PROCESS, str(server.port)]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    processes = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=SECONDS)[0] for process in processes]
    assert outputs == [b"id=1\n"] * 4
    assert client.get("calls") == b"1"


SCRIPT = """
import sys
from asgi_serial import SerializationConfig, cached, create_serialization_manager
from asgi_serial.store.aiocache_store import open_store

store = open_store(sys.argv[1], timeout=300, namespace="asgi_serial_model")
manager = create_serialization_manager(SerializationConfig(), store=store)

@cached(manager=manager, key="k")
def load() -> int:
    print("made")
    return 7

print(load())
"""


def test_a_script_without_a_loop_ends_and_leaves_its_values(server, client):
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    command.append(f"redis://127.0.0.1:{server.port}/0")
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    outputs = [
        subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert [each.stdout for each in outputs] == ["made\n7\n", "7\n"]
    assert [each.stderr for each in outputs] == ["", ""]
