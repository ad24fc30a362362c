"""The calls of a store by the commands of its server: no time-out, no counters, any exception."""

from contextlib import suppress
from typing import Any, Protocol

# Memcached takes an end of life over thirty days for a date: this one is in January 1970.
_LONG_PAST = 30 * 24 * 3600 + 1

# In one step on the server: between two steps the name may have passed to another owner.
_DELETE_IF = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
)


class Driver(Protocol):
    """Plain calls on a cache of aiocache; lives of values are whole seconds, at least one.

    What is read is not trusted: it may be of any type and, but where the server can be told to
    send less, of any size.
    """

    async def read(self, key: str) -> object:
        """Return the value; None or an empty one where there is none."""

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values of keys that are all different, in their order."""

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value, whatever was there."""

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is; False where one was, which stays."""

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to a number, `start` where none is, have it live on, and return the sum."""

    async def remove(self, key: str) -> None:
        """Delete the value, if there is one."""

    async def remove_if(self, key: str, token: bytes) -> bool:
        """Delete the value if it is the token, and tell whether it was."""

    def place_of(self, key: str) -> str:
        """Return the name of the cluster node that holds the key; "" where it is not known."""


class RedisDriver:
    """The commands of a Redis, a cluster of them, or what speaks like them."""

    def __init__(self, cache: Any, max_value_bytes: int) -> None:
        self._cache = cache
        self._max_value_bytes = max_value_bytes

    def _name(self, key: str) -> Any:
        return self._cache.build_key(key, self._cache.namespace)

    async def read(self, key: str) -> object:
        """Return the value's first bytes, one more than the limit: Redis sends nothing more."""
        return await self._cache.raw(
            "getrange", self._name(key), 0, self._max_value_bytes, timeout=None
        )

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values' first bytes (MGET knows no limit, and keeps to one slot)."""
        async with self._cache.client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.getrange(self._name(key), 0, self._max_value_bytes)
            return list(await pipeline.execute())

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value by SET: aiocache would send SETEX, which redis-py 8 warns of."""
        await self._cache.raw("set", self._name(key), value, ex=seconds, timeout=None)

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is."""
        return bool(
            await self._cache.raw("set", self._name(key), value, ex=seconds, nx=True, timeout=None)
        )

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to the number; its life is made longer first, so that it can not end meanwhile."""
        name = self._name(key)
        async with self._cache.client.pipeline(transaction=False) as pipeline:
            pipeline.expire(name, seconds)
            pipeline.set(name, start, ex=seconds, nx=True)
            pipeline.incrby(name, delta)
            return (await pipeline.execute())[-1]

    async def remove(self, key: str) -> None:
        """Delete the value."""
        await self._cache.delete(key, timeout=None)

    async def remove_if(self, key: str, token: bytes) -> bool:
        """Delete the value if it is the token, by a script."""
        removed = await self._cache.raw("eval", _DELETE_IF, 1, self._name(key), token, timeout=None)
        return bool(removed)

    def place_of(self, key: str) -> str:
        """Return the name of the node, once the cluster was asked for its nodes."""
        find_node = getattr(self._cache.client, "get_node_from_key", None)
        if find_node is None:
            return ""
        try:
            return str(find_node(self._name(key)).name)
        except Exception:  # the cluster has not been asked yet, or nobody has the key
            return ""


class MemcachedDriver:
    """The commands of Memcached."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def _name(self, key: str) -> Any:
        return self._cache.build_key(key, self._cache.namespace)

    async def read(self, key: str) -> object:
        """Return the value; the pool has the limit."""
        return await self._cache.get(key, timeout=None)

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values, by one command."""
        return list(await self._cache.multi_get(keys, timeout=None))

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value."""
        await self._cache.set(key, value, ttl=seconds, timeout=None)

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is."""
        return bool(await self._cache.raw("add", self._name(key), value, seconds, timeout=None))

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to the number; its life is made longer first, so that it can not end meanwhile."""
        name = self._name(key)
        if not await self._cache.raw("touch", name, seconds, timeout=None):
            first = b"%d" % (start + delta)
            if await self._cache.raw("add", name, first, seconds, timeout=None):
                return start + delta
        return await self._cache.raw("incr", name, delta, timeout=None)

    async def remove(self, key: str) -> None:
        """Delete the value."""
        await self._cache.delete(key, timeout=None)

    async def remove_if(self, key: str, token: bytes) -> bool:
        """Delete the value if it is the token: replaced by one whose life is over, if unchanged."""
        name = self._name(key)
        value, version = await self._cache.raw("gets", name, timeout=None)
        if value != token:
            return False
        return bool(await self._cache.raw("cas", name, b"", version, _LONG_PAST, timeout=None))

    def place_of(self, key: str) -> str:
        """Return "": there is one server."""
        return ""


class AiocacheDriver:
    """The methods that every cache of aiocache has; it is one of memory, or of the user's own.

    `increment` and `remove_if` are one step in memory; elsewhere they are as many as it takes.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    async def read(self, key: str) -> object:
        """Return the value; a number is one that was counted here."""
        return _as_written(await self._cache.get(key, timeout=None))

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values."""
        return [_as_written(value) for value in await self._cache.multi_get(keys, timeout=None)]

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value."""
        await self._cache.set(key, value, ttl=seconds, timeout=None)

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is."""
        try:
            return bool(await self._cache.add(key, value, ttl=seconds, timeout=None))
        except ValueError:  # by which aiocache says that there is one
            return False

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to the number."""
        if not await self._cache.expire(key, seconds, timeout=None):
            with suppress(ValueError):
                await self._cache.add(key, b"%d" % start, ttl=seconds, timeout=None)
        return await self._cache.increment(key, delta, timeout=None)

    async def remove(self, key: str) -> None:
        """Delete the value."""
        await self._cache.delete(key, timeout=None)

    async def remove_if(self, key: str, token: bytes) -> bool:
        """Delete the value if it is the token."""
        if await self._cache.get(key, timeout=None) != token:
            return False
        return bool(await self._cache.delete(key, timeout=None))

    def place_of(self, key: str) -> str:
        """Return "": nothing is known of nodes."""
        return ""


def _as_written(value: object) -> object:
    return b"%d" % value if type(value) is int else value
