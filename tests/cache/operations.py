"""What the tests of stores over real servers do with each of them."""

import asyncio
import itertools
import random

from asgi_serial.store.base import Claim, DeleteToken, DeleteValue, GuardedStore, SetValue

_numbers = itertools.count()


def new_key() -> str:
    """A key that no test has used: every other one is in a group of its own."""
    number = next(_numbers)
    return f"{number:d>8}-{number:d>23}" if number % 2 else f"{number:d>32}"


def redis_name(key: str) -> str:
    """The name under which a Redis has the value of a key: a cluster keeps a group together."""
    group, dash, rest = key.partition("-")
    return f"asgi_serial:{{{group}}}{rest}" if dash else f"asgi_serial:{key}"


def failures(store: GuardedStore) -> dict[str, int]:
    """The calls that have failed, or were not made, by kind."""
    calls = ("gets", "hits", "sets", "adds", "increments", "deletes")
    return {name: n for name, n in store.statistics().items() if n and name not in calls}


async def fill(store: GuardedStore, count: int) -> dict[str, bytes]:
    """Set so many values under new keys."""
    values = {new_key(): random.randbytes(40) for _ in range(count)}
    await asyncio.gather(*(store.set(key, value, ttl=60) for key, value in values.items()))
    return values


async def try_together(store: GuardedStore, group: str) -> None:
    """Make the calls that a Redis answers in one step, on names of one group."""
    index, entry, lease = (f"{group}-{next(_numbers):n>23}" for _ in range(3))
    mine, other = (Claim(lease, token, 60) for token in (b"mine", b"another"))
    assert await store.get_or_add([index, entry], mine) == ([None, None], True)
    assert await store.get_or_add([index, entry], mine) == ([None, None], True)
    assert await store.get_or_add([entry], other) == ([None], False)
    writes = [DeleteToken(lease, b"mine"), SetValue(index, b"\xff1", 60), SetValue(entry, b"2", 60)]
    await store.write(writes)
    assert await store.get_or_add([index, entry], other) == ([b"\xff1", b"2"], None)
    assert await store.get(lease) is None
    await store.write([DeleteValue(index), DeleteValue(entry)])
    assert await store.get_or_add([index, entry], other) == ([None, None], True)


async def try_every_operation(store: GuardedStore) -> None:
    """Make each kind of call, and compare what it returns."""
    values = await fill(store, 60)
    found = await asyncio.gather(*(store.get(key) for key in values))
    assert found == list(values.values())
    assert await store.get_many([*values, "none"]) == [*values.values(), None]
    for key in list(values)[:9]:
        assert await store.add(key, b"mine", ttl=60) is False
        assert await store.delete_if(key, b"mine") is False
        assert await store.delete_if(key, values[key]) is True
        assert await store.add(key, b"mine", ttl=60) is True
        await store.delete(key)
        assert await store.increment(key, ttl=60, start=7) == 8
        assert await store.increment(key, ttl=60, start=7) == 9
    for group in list(values)[:9]:
        await try_together(store, group[-8:])
    assert failures(store) == {}
