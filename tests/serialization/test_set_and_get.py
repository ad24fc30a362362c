"""Models by keys of the user's own, in the memory of the process."""

import asyncio
import time

import pytest
import trio
from pydantic import BaseModel, SecretStr, ValidationError

from asgi_serial import ConfigurationError, FormatError, cached

from .clock import Clock


class User(BaseModel):
    id: int
    names: list[str] = []


class Account(BaseModel):
    balance: float | None
    password: SecretStr


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def manager(make_manager, clock):
    made = make_manager()
    made.cached_manager.values.clock = clock
    return made


def test_each_gets_a_value_of_its_own(manager):
    async def use():
        user = User(id=1)
        await manager.set_model("k", user)
        user.names.append("a")
        found = await manager.get_model("k", User)
        found.names.append("b")
        return await manager.get_model("k", User)

    assert asyncio.run(use()) == User(id=1)


@pytest.mark.parametrize("format", ["json", "msgpack", "cbor"])
def test_what_is_stored_is_what_pydantic_writes(make_manager, format):
    account = Account(balance=float("nan"), password="hunter2")

    async def use(manager, format):
        await manager.set_model("k", account, format=format)
        return await manager.get_model("k", Account, format=format)

    written = asyncio.run(use(make_manager(), format))
    assert written == Account(balance=None, password="*" * 10)
    kept = asyncio.run(use(make_manager(), "pickle"))
    assert kept.password == account.password
    with pytest.raises(FormatError, match=r"Account.balance is nan"):
        asyncio.run(use(make_manager(check_round_trip=True), format))


@pytest.mark.parametrize("ttl", [5, "5s", None])
def test_a_value_lives_for_its_time(manager, clock, ttl):
    manager.config.cache_ttl = 5

    async def use():
        await manager.set_model("k", 7, ttl)
        clock.now += 4.9
        assert await manager.get_model("k", int) == 7
        clock.now += 0.2
        assert await manager.get_model("k", int) is None
        await manager.set_model("k", 8, ttl)
        await manager.set_model("k", 9, 0)
        assert await manager.get_model("k", int) is None

    asyncio.run(use())


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack", "cbor"])
def test_the_format_need_not_be_named_to_get(manager, format):
    async def use():
        await manager.set_model("k", User(id=1), format=format)
        assert await manager.get_model("k", User) == User(id=1)
        assert await manager.get_model("k", User, format="json") == User(id=1)

    asyncio.run(use())


def test_a_pickle_is_read_only_if_it_is_named(manager):
    async def use():
        await manager.set_model("k", User(id=1), format="pickle")
        assert await manager.get_model("k", User) is None
        assert await manager.get_model("k", User, format="pickle") == User(id=1)

    asyncio.run(use())


def test_caching_can_be_turned_off(manager):
    async def use():
        await manager.set_model("k", 1)
        manager.config.enable_caching = False
        await manager.set_model("l", 1)
        assert await manager.get_model("k", int) is None
        manager.config.enable_caching = True
        assert await manager.get_model("k", int) == 1
        assert await manager.get_model("l", int) is None

    asyncio.run(use())


def test_without_asyncio_the_memory_is_used(manager):
    async def use():
        await manager.set_model("k", 1)
        assert await manager.get_model("k", int) == 1
        assert await manager.get_model("l", int) is None
        await manager.delete("k")
        assert await manager.get_model("k", int) is None
        assert await manager.purge("a") is True

    trio.run(use)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.set_model(7, 1), TypeError, "the key is 7, of type int; expected a str"),
        (lambda m: m.get_model(None, int), TypeError, "the key is None"),
        (lambda m: m.delete(b"k"), TypeError, "the key is b'k'"),
        (lambda m: m.set_model("k", "x", as_type=int), ValidationError, "valid integer"),
        (lambda m: m.set_model("k", float("inf")), FormatError, "float cannot be written as json"),
        (lambda m: m.set_model("k", "\ud800"), FormatError, "cannot be written as json"),
        (lambda m: m.set_model("k", 1, -1), ConfigurationError, "ttl is -1; expected a duration"),
        (lambda m: m.set_model("k", 1, tags="a"), TypeError, "expected a list of texts"),
        (lambda m: m.set_model("k", 1, tags=[1]), TypeError, "the tag 1 is of type int"),
        (lambda m: m.set_model("k", 1, tags=[""]), ValueError, "the tag is empty"),
        (lambda m: m.set_model("k", 1, format="yaml"), ValueError, "yaml"),
        (lambda m: m.get_model("k", "User"), TypeError, "is not a Pydantic model class"),
        (lambda m: m.purge(), ValueError, r"purge\(\) got no tag"),
        (lambda m: m.purge(" a"), ValueError, "no blanks around"),
    ],
)
def test_what_is_wrong_is_said(manager, call, error, message):
    with pytest.raises(error, match=message):
        asyncio.run(call(manager))


def test_long_keys_are_different_keys(manager):
    async def use():
        await manager.set_model("x" * 999, 1)
        await manager.set_model("x" * 998, 2)
        assert await manager.get_model("x" * 999, int) == 1
        assert await manager.get_model("x" * 998, int) == 2

    asyncio.run(use())


def test_the_memory_is_bounded(make_manager):
    manager = make_manager(cache_max_size=10)

    async def use():
        for number in range(100):
            await manager.set_model(f"k{number}", number)
        found = [await manager.get_model(f"k{number}", int) for number in range(100)]
        assert sum(value is not None for value in found) <= 10

    asyncio.run(use())
    small = make_manager(cache_max_bytes=1_000)
    calls = []

    @cached(manager=small)
    def load() -> str:
        calls.append(1)
        return "x" * 10_000

    assert load() == load()
    assert len(calls) == 2


def test_a_value_outlives_the_purge_of_another_tag(manager, clock):
    async def use():
        await manager.set_model("a", 1, tags=["one"])
        clock.now += 1
        await manager.purge("two")
        assert await manager.get_model("a", int) == 1
        clock.now += 1
        await manager.purge("one")
        assert await manager.get_model("a", int) is None

    asyncio.run(use())


def test_the_clock_is_that_of_the_system(make_manager):
    assert make_manager().cached_manager.values.clock is time.time
