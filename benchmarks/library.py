"""`python -m benchmarks.library`: the library against what it stands on, as ratios of one run.

Each subject takes its turn in every round, and its best round counts, in CPU time of the thread, so
that what else the machine does falls on all alike.
"""

import asyncio
import itertools
import json
import pickle
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any

import cbor2
import msgpack
import msgspec
import orjson
from pydantic import BaseModel, Field

from asgi_serial import (
    OptimizedSerializationManager,
    SerializationConfig,
    cached,
    create_serialization_manager,
)

ROUNDS = 150
ROUND_SECONDS = 0.002


class User(BaseModel):
    id: int
    name: str
    email: str
    created_at: datetime = Field(default_factory=datetime.now)
    is_active: bool = True


class Point(BaseModel, frozen=True):
    """A class whose instances are kept under the bytes that they were read from."""

    x: int
    y: int
    label: str = ""


class Record(BaseModel, frozen=True):
    """A class of twenty fields, ten numbers and ten texts."""

    id: int
    name: str
    street: str
    city: str
    country: str
    phone: str
    email: str
    company: str
    title: str
    note: str
    language: str
    age: int
    height: int
    weight: int
    visits: int
    orders: int
    returns: int
    credit: int
    points: int
    level: int


class Users(BaseModel):
    users: list[User]


class Fixed(BaseModel, frozen=True):
    """A user that nobody can change."""

    id: int
    name: str


class Line(BaseModel):
    sku: str
    count: int
    price: float
    tags: list[str]


class Order(BaseModel):
    id: int
    buyer: User
    lines: list[Line]


class Orders(BaseModel):
    orders: list[Order]


def make_user(number: int) -> User:
    at = datetime(2026, 1, 1, 12, number % 60, 30, 123456)
    return User(id=number, name=f"User {number}", email=f"user{number}@example.com", created_at=at)


def make_orders() -> Orders:
    lines = [
        Line(sku=f"SKU-{number:05}", count=number % 9, price=number * 1.37, tags=["new", "sale"])
        for number in range(12)
    ]
    orders = [Order(id=number, buyer=make_user(number), lines=lines) for number in range(105)]
    return Orders(orders=orders)


def make_record() -> Record:
    texts = {name for name, field in Record.model_fields.items() if field.annotation is str}
    return Record(**{name: name if name in texts else 7 for name in Record.model_fields})


MODELS: dict[str, BaseModel] = {
    "one user": make_user(1),
    "100 users": Users(users=[make_user(number) for number in range(100)]),
    "100 KB nested": make_orders(),
}


def best_ns(subjects: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """The time that one call of each subject takes in its best round."""
    calls = {}
    for name, call in subjects.items():
        began = time.perf_counter()
        call()
        call()
        calls[name] = max(1, int(ROUND_SECONDS / max((time.perf_counter() - began) / 2, 1e-7)))
    best = dict.fromkeys(subjects, float("inf"))
    for _ in range(ROUNDS):
        for name, call in subjects.items():
            began_ns = time.thread_time_ns()
            for _ in range(calls[name]):
                call()
            best[name] = min(best[name], (time.thread_time_ns() - began_ns) / calls[name])
    return best


def show(title: str, subjects: dict[str, Callable[[], Any]]) -> None:
    """Print what each subject takes, in times of the first one."""
    best = best_ns(subjects)
    base = next(iter(best.values()))
    print(f"\n{title}: {base / 1000:.2f} us for {next(iter(best))}")
    for name, took in best.items():
        print(f"  {name:44} {took / base:6.2f}")


def writers(model: BaseModel) -> dict[str, Callable[[], Any]]:
    write = type(model).__pydantic_serializer__
    manager = create_serialization_manager(
        SerializationConfig(enable_compression=False), environ={}
    )
    checked = create_serialization_manager(
        SerializationConfig(enable_compression=False, check_round_trip=True), environ={}
    )
    zstd = create_serialization_manager(SerializationConfig(compression_threshold=0), environ={})
    return {
        "pydantic-core to_json": lambda: write.to_json(model),
        "model_dump_json": lambda: model.model_dump_json(),
        "asgi_serial JSON, profiled": lambda: manager.serialize_sync(model, "json"),
        "asgi_serial JSON, read back": lambda: checked.serialize_sync(model, "json"),
        "asgi_serial MSGPACK": lambda: manager.serialize_sync(model, "msgpack"),
        "asgi_serial CBOR": lambda: manager.serialize_sync(model, "cbor"),
        "asgi_serial PICKLE": lambda: manager.serialize_sync(model, "pickle"),
        "asgi_serial JSON, zstd (repeating)": lambda: zstd.serialize_sync(model, "json"),
        "model_dump, orjson": lambda: orjson.dumps(model.model_dump()),
        "model_dump(mode=json), json": lambda: json.dumps(model.model_dump(mode="json")),
        "model_dump(mode=json), msgpack": lambda: msgpack.packb(model.model_dump(mode="json")),
        "model_dump(mode=json), msgspec": lambda: msgspec.msgpack.encode(
            model.model_dump(mode="json")
        ),
        "model_dump(mode=json), cbor2": lambda: cbor2.dumps(model.model_dump(mode="json")),
        "pickle": lambda: pickle.dumps(model, 5),
    }


def readers(model: BaseModel) -> dict[str, Callable[[], Any]]:
    cls = type(model)
    read = cls.__pydantic_validator__
    manager = create_serialization_manager(
        SerializationConfig(enable_compression=False), environ={}
    )
    zstd = create_serialization_manager(SerializationConfig(compression_threshold=0), environ={})
    by_json, by_msgpack, by_cbor, by_pickle = (
        manager.serialize_sync(model, format) for format in ("json", "msgpack", "cbor", "pickle")
    )
    packed, pickled = zstd.serialize_sync(model), pickle.dumps(model, 5)
    return {
        "pydantic-core validate_json": lambda: read.validate_json(by_json),
        "model_validate_json": lambda: cls.model_validate_json(by_json),
        "asgi_serial JSON, profiled": lambda: manager.deserialize_sync(by_json, cls, "json"),
        "asgi_serial JSON, format found": lambda: manager.deserialize_sync(by_json, cls),
        "asgi_serial MSGPACK": lambda: manager.deserialize_sync(by_msgpack, cls, "msgpack"),
        "asgi_serial CBOR": lambda: manager.deserialize_sync(by_cbor, cls, "cbor"),
        "asgi_serial PICKLE": lambda: manager.deserialize_sync(by_pickle, cls, "pickle"),
        "asgi_serial JSON, zstd": lambda: manager.deserialize_sync(packed, cls),
        "orjson, validate": lambda: read.validate_python(orjson.loads(by_json)),
        "msgpack, validate": lambda: read.validate_python(msgpack.unpackb(by_msgpack)),
        "msgspec, validate": lambda: read.validate_python(msgspec.msgpack.decode(by_msgpack)),
        "msgpack, model_validate": lambda: cls.model_validate(msgpack.unpackb(by_msgpack)),
        "cbor2, model_validate": lambda: cls.model_validate(cbor2.loads(by_cbor)),
        "pickle": lambda: pickle.loads(pickled),
    }


def show_caches() -> None:
    """What a hit takes, and the work that it saves."""
    kept, unkept = (
        create_serialization_manager(SerializationConfig(cache_validation=keeps), environ={})
        for keeps in (True, False)
    )
    for model in (Point(x=1, y=2, label="here"), make_record()):
        cls, payload = type(model), kept.serialize_sync(model)
        show(
            f"a frozen model of {len(cls.model_fields)} fields, read",
            {
                "without the validation cache": partial(unkept.deserialize_sync, payload, cls),
                "from the validation cache": partial(kept.deserialize_sync, payload, cls),
                "model_validate_json": partial(cls.model_validate_json, payload),
            },
        )
    for name, model in MODELS.items():
        show_payload_cache(kept, name, model)


def show_payload_cache(manager: OptimizedSerializationManager, name: str, model: BaseModel) -> None:
    loop = asyncio.new_event_loop()

    async def call(key: str | None) -> None:
        for _ in range(20):
            await manager.serialize_model(model, "json", cache_key=key)

    show(
        f"{name}, serialized 20 times",
        {
            "without a key": lambda: loop.run_until_complete(call(None)),
            "from the cache": lambda: loop.run_until_complete(call(name)),
        },
    )
    loop.close()


Function = Callable[[int], Awaitable[Any]]
FROM_STORE = "asgi_serial, found in the store only"


async def best_of_functions(subjects: dict[str, Function]) -> dict[str, float]:
    """The time that a hit of each function takes in its best round, in one event loop."""
    best = dict.fromkeys(subjects, float("inf"))
    for load in subjects.values():
        await load(1)
        await load(1)
    for _ in range(ROUNDS):
        for name, load in subjects.items():
            calls, began_ns = 0, time.perf_counter_ns()
            while (took_ns := time.perf_counter_ns() - began_ns) < ROUND_SECONDS * 1e9:
                for _ in range(20):
                    await load(1)
                calls += 20
            best[name] = min(best[name], took_ns / calls)
    return best


async def find_kinds(subjects: dict[str, Function], type_: Any) -> dict[str, str]:
    """What the callers of each function get."""
    kinds = {}
    for name, load in subjects.items():
        one, other = [await load(1) for _ in range(3)][1:]
        if name == FROM_STORE:  # the function is called for two values in turn
            other = await load(1)
        if one is other:
            kinds[name] = "one object for all callers"
        elif type(one) is type_:
            kinds[name] = "a value of its own for each caller"
        else:
            kinds[name] = f"a {type(one).__name__} of its own for each caller"
    return kinds


def show_hits(title: str, best: dict[str, float], kinds: dict[str, str]) -> None:
    """Print what hits take, and their ratio to the fastest of the others that gives the same."""
    print(f"\n{title}")
    for kind in dict.fromkeys(kinds[name] for name in best):
        alike = {name: took for name, took in best.items() if kinds[name] == kind}
        others = {name: took for name, took in alike.items() if not name.startswith("asgi_serial")}
        base = min((others or alike).values())
        print(f"  {kind}, compared to the fastest of the others:")
        for name, took in alike.items():
            print(f"    {name:42} {took / base:6.2f}  ({took / 1000:.2f} us)")


def functions_of(make: Callable[[], Any], type_: Any, store: str | None) -> dict[str, Function]:
    """A function that makes a value, cached by each library, in memory or with a Redis."""
    from cashews import Cache
    from fastapi_cache.coder import PickleCoder
    from fastapi_cache.decorator import cache as fastapi_cache

    async def load(id: int) -> Any:
        return make()

    load.__annotations__["return"] = type_
    name = type_.__name__
    config = SerializationConfig(cache_url=store)
    manager = create_serialization_manager(config, environ={})
    plain = Cache()
    plain.setup(store or "mem://", **({"client_side": False} if store else {}))
    pickled = Cache()
    # Without the `repr` of each value that it makes by default.
    pickled.setup(store or "mem://", pickle_type="default", check_repr=False)
    found: dict[str, Function] = {
        "asgi_serial": cached(ttl=600, manager=manager, key="user:{id}")(load),
        "asgi_serial, key of all arguments": cached(ttl=600, manager=manager)(load),
        "asgi_serial, shared": cached(ttl=600, manager=manager, key="u:{id}", shared=True)(load),
        "cashews": plain(ttl=600, prefix=name)(load),
        "cashews, protected=False": plain(ttl=600, prefix=f"{name} 2", protected=False)(load),
        "cashews, pickled": pickled(ttl=600, prefix=f"{name} 3", protected=False)(load),
        "fastapi-cache2": fastapi_cache(expire=600, namespace=name)(load),
        "fastapi-cache2, pickled": fastapi_cache(
            expire=600, namespace=f"{name} 2", coder=PickleCoder
        )(load),
    }
    if store is not None:
        near = Cache()
        near.setup(f"{store}1", client_side=True)
        found["cashews, client_side=True"] = near(ttl=600, prefix=name, protected=False)(load)
        # The memory has room for one of the two values that are asked for in turn.
        small = SerializationConfig(cache_url=store, cache_max_size=1)
        far = cached(ttl=600, manager=create_serialization_manager(small, environ={}))(load)
        turns = itertools.cycle((1, 2))

        async def from_the_store(_: int) -> Any:
            return await far(next(turns))

        found[FROM_STORE] = from_the_store
    return found


async def show_functions(store: str | None) -> None:
    """What a hit of a cached function takes, beside other libraries that cache functions."""
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.inmemory import InMemoryBackend
    from fastapi_cache.backends.redis import RedisBackend

    FastAPICache.reset()
    if store is None:
        FastAPICache.init(InMemoryBackend(), prefix="bench")
    else:
        from redis.asyncio import Redis

        FastAPICache.init(RedisBackend(Redis.from_url(f"{store}2")), prefix="bench")
    where = "in memory" if store is None else "with Redis"
    values: dict[str, tuple[Callable[[], Any], Any]] = {
        "one user": (lambda: make_user(1), User),
        "a frozen user": (lambda: Fixed(id=1, name="ada"), Fixed),
        "a number": (lambda: 7, int),
        "100 users": (lambda: MODELS["100 users"], Users),
    }
    for name, (make, type_) in values.items():
        functions = functions_of(make, type_, store)
        best = await best_of_functions(functions)
        # Nobody can tell a copy of an immutable value from the value itself.
        kinds = dict.fromkeys(best, "a value that nothing can change")
        if type_ in (User, Users):
            kinds = await find_kinds(functions, type_)
        show_hits(f"{name}, a hit of a cached function {where}", best, kinds)


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a Redis of its own, without the number of a database."""
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(1000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/"
    finally:
        process.kill()
        process.wait()


def show_cached_functions() -> None:
    asyncio.run(show_functions(None))
    try:
        with redis_server() as url:
            asyncio.run(show_functions(url))
    except FileNotFoundError as error:
        print(f"\nNo cached functions with Redis: {error}.")


def main() -> None:
    for name, model in MODELS.items():
        size = len(model.model_dump_json())
        show(f"{name} ({size:,} bytes of JSON), written", writers(model))
        show(f"{name}, read", readers(model))
    show_caches()
    show_cached_functions()


if __name__ == "__main__":
    main()
