"""The commands of each kind of server, without time-outs and counters; they may raise anything."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple, Protocol

from asgi_serial.store.base import Store

# Memcached reads a lifetime of more than thirty days as a date; this one is in January 1970.
_LONG_PAST = 30 * 24 * 3600 + 1

# A script, so that it is one step on the server: between two steps the key may change its owner.
_DELETE_IF = (
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
)

# Reads keys, and adds a value under the first of them if the last has none: -, 1 or 0 for "not
# tried", "added" and "another is there", then the length of each value (ten digits), and the value.
# It returns nothing if that would be longer than the client reads at once.
_READ_OR_ADD = """
local out, last = '', ''
for i = 2, #KEYS do
  last = redis.call('getrange', KEYS[i], 0, ARGV[3])
  out = out .. string.format('%010d', #last) .. last
end
if #out > tonumber(ARGV[3]) then return '' end
local state = '-'
if last == '' then
  local added = redis.pcall('set', KEYS[1], ARGV[1], 'EX', ARGV[2], 'NX')
  if not added then
    state = redis.pcall('get', KEYS[1]) == ARGV[1] and '1' or '0'
  elseif added.ok then
    state = '1'
  end
end
return state .. out
"""
_STATES = {b"-": None, b"1": True, b"0": False}
_LENGTH_DIGITS = 10

# Servers that refuse scripts are asked once more after this time: their rules may have changed.
_WITHOUT_SCRIPTS_SECONDS = 60.0


class BatchWrite(NamedTuple):
    """A value to set, or one to delete (if it equals the token, should there be one)."""

    name: str
    value: bytes | None = None
    seconds: int = 0
    token: bytes | None = None


class Driver(Protocol):
    """The calls on an aiocache cache; lifetimes are whole seconds, at least one.

    Values that are read are not trusted: they may be of any type, and of any size unless the server
    can be told to send less.
    """

    async def read(self, key: str) -> object:
        """Return the value; None or an empty value if there is none."""

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values of distinct keys, in their order."""

    async def read_or_add(
        self, keys: list[str], owned: str, token: bytes, seconds: int
    ) -> tuple[list[Any], bool | None]:
        """Return the values; add the token under `owned` if the last key has none.

        Also return whether it was added (or was there already); None if this was not tried.
        """

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value."""

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value if there is none; return whether it was set."""

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to a number (`start` if there is none), extend its lifetime, and return the sum."""

    async def remove(self, key: str) -> None:
        """Delete the value, if any."""

    async def remove_if(self, key: str, token: bytes) -> bool:
        """Delete the value if it equals the token; return whether it was deleted."""

    def place_of(self, key: str) -> str:
        """Return the name of the cluster node that holds the key; "" if unknown."""

    async def reconnect(self) -> None:
        """Use new connections for further calls, to the servers that are in charge now."""


class RedisDriver:
    """The commands of Redis, Redis Cluster and compatible servers."""

    def __init__(
        self,
        cache: Any,
        max_value_bytes: int,
        refusals: tuple[type[Exception], ...],
        reconnect: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._cache = cache
        self._max_value_bytes = max_value_bytes
        self._refusals = refusals
        self._reconnect = reconnect
        self._no_scripts_until = 0.0  # by the monotonic clock

    def _name(self, key: str) -> Any:
        # A cluster chooses the node by what stands in braces.
        space, _, name = key.rpartition(":")
        group, dash, rest = name.partition("-")
        if dash:
            key = f"{space}:{{{group}}}{rest}"
        return self._cache.build_key(key, self._cache.namespace)

    async def _run(self, script: str, names: list[Any], *arguments: object) -> Any:
        return await self._cache.raw("eval", script, len(names), *names, *arguments, timeout=None)

    @property
    def _may_run_scripts(self) -> bool:
        return monotonic() >= self._no_scripts_until

    def _run_no_scripts(self) -> None:
        """Remember that the server refused a script, but did what the script is for."""
        self._no_scripts_until = monotonic() + _WITHOUT_SCRIPTS_SECONDS

    async def read(self, key: str) -> object:
        """Return the value, or its first bytes, one more than the limit; Redis sends no more."""
        return await self._cache.raw(
            "getrange", self._name(key), 0, self._max_value_bytes, timeout=None
        )

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the first bytes of the values; MGET has no limit, and works in one slot only."""
        async with self._cache.client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.getrange(self._name(key), 0, self._max_value_bytes)
            return list(await pipeline.execute())

    async def read_or_add(
        self, keys: list[str], owned: str, token: bytes, seconds: int
    ) -> tuple[list[Any], bool | None]:
        """Read and add by a script; where the server refuses it, only read."""
        if not self._may_run_scripts:
            return await _read_all(self, keys), None
        names = [self._name(owned), *map(self._name, keys)]
        try:
            found = await self._run(_READ_OR_ADD, names, token, seconds, self._max_value_bytes)
        except self._refusals:
            values = await _read_all(self, keys)
            self._run_no_scripts()
            return values, None
        if found == b"":
            return await _read_all(self, keys), None
        return _split(found, len(keys))

    async def write_batch(self, batch: list[BatchWrite]) -> None:
        """Make several writes in their order, by a pipeline.

        Those that need a script are made apart if it is refused. If others are refused, the first
        refusal is raised after all of them.
        """
        may_run_scripts, apart = self._may_run_scripts, []
        async with self._cache.client.pipeline(transaction=False) as pipeline:
            sent = []
            for write in batch:
                name = self._name(write.name)
                if write.value is not None:
                    pipeline.set(name, write.value, ex=write.seconds)
                elif write.token is None:
                    pipeline.delete(name)
                elif may_run_scripts:
                    pipeline.eval(_DELETE_IF, 1, name, write.token)
                else:
                    apart.append(write)
                    continue
                sent.append(write)
            done = list(await pipeline.execute(raise_on_error=False))
        failed = None
        for write, result in zip(sent, done, strict=True):
            if write.token is not None and isinstance(result, self._refusals):
                apart.append(write)
            elif isinstance(result, Exception):
                failed = failed or result
        for write in apart:
            assert write.token is not None
            await self._remove_in_steps(write.name, write.token)
        if apart and may_run_scripts:
            self._run_no_scripts()
        if failed is not None:
            raise failed

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value by SET; aiocache would send SETEX, which redis-py 8 deprecates."""
        await self._cache.raw("set", self._name(key), value, ex=seconds, timeout=None)

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is."""
        return bool(
            await self._cache.raw("set", self._name(key), value, ex=seconds, nx=True, timeout=None)
        )

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to the number; extend its lifetime first, so that it cannot expire meanwhile."""
        name = self._name(key)
        async with self._cache.client.pipeline(transaction=False) as pipeline:
            pipeline.expire(name, seconds)
            pipeline.set(name, start, ex=seconds, nx=True)
            pipeline.incrby(name, delta)
            return (await pipeline.execute())[-1]

    async def remove(self, key: str) -> None:
        """Delete the value."""
        await self._cache.raw("delete", self._name(key), timeout=None)

    async def remove_if(self, key: str, token: bytes) -> bool:
        """Delete the value if it equals the token: by a script, or in two steps."""
        if not self._may_run_scripts:
            return await self._remove_in_steps(key, token)
        try:
            return bool(await self._run(_DELETE_IF, [self._name(key)], token))
        except self._refusals:
            removed = await self._remove_in_steps(key, token)
            self._run_no_scripts()
            return removed

    async def _remove_in_steps(self, key: str, token: bytes) -> bool:
        """Delete the value if it equals the token; meanwhile another may have taken its place."""
        if await self.read(key) != token:
            return False
        return bool(await self._cache.raw("delete", self._name(key), timeout=None))

    def place_of(self, key: str) -> str:
        """Return the name of the node, once the nodes of the cluster are known."""
        find_node = getattr(self._cache.client, "get_node_from_key", None)
        if find_node is None:
            return ""
        try:
            return str(find_node(self._name(key)).name)
        except Exception:  # the nodes are not known yet, or no node holds the slot
            return ""

    async def reconnect(self) -> None:
        """Use new connections, unless the client is the user's own; the server may be another."""
        self._no_scripts_until = 0.0
        if self._reconnect is not None:
            await self._reconnect()


class MemcachedDriver:
    """The commands of Memcached."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def _name(self, key: str) -> Any:
        return self._cache.build_key(key, self._cache.namespace)

    async def read(self, key: str) -> object:
        """Return the value; the connection pool enforces the limit."""
        return await self._cache.get(key, timeout=None)

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values by one command."""
        return list(await self._cache.multi_get(keys, timeout=None))

    async def read_or_add(
        self, keys: list[str], owned: str, token: bytes, seconds: int
    ) -> tuple[list[Any], bool | None]:
        """Only read; no command adds if another key has no value."""
        return await _read_all(self, keys), None

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value."""
        await self._cache.set(key, value, ttl=seconds, timeout=None)

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is."""
        return bool(await self._cache.raw("add", self._name(key), value, seconds, timeout=None))

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to the number; extend its lifetime first, so that it cannot expire meanwhile."""
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
        """Delete the value if it equals the token: replace it, if unchanged, by an expired one."""
        name = self._name(key)
        value, version = await self._cache.raw("gets", name, timeout=None)
        if value != token:
            return False
        return bool(await self._cache.raw("cas", name, b"", version, _LONG_PAST, timeout=None))

    def place_of(self, key: str) -> str:
        """Return "", since there is only one server."""
        return ""

    async def reconnect(self) -> None:
        """Close the connections that are not in use."""
        await self._cache.client.close()


class AiocacheDriver:
    """The methods of every aiocache cache, for those in memory and the user's own.

    `increment` and `remove_if` are atomic in memory; elsewhere they take several steps.
    """

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    async def read(self, key: str) -> object:
        """Return the value, or the digits of a number."""
        return _as_written(await self._cache.get(key, timeout=None))

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values."""
        return [_as_written(value) for value in await self._cache.multi_get(keys, timeout=None)]

    async def read_or_add(
        self, keys: list[str], owned: str, token: bytes, seconds: int
    ) -> tuple[list[Any], bool | None]:
        """Only read."""
        return await _read_all(self, keys), None

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value."""
        await self._cache.set(key, value, ttl=seconds, timeout=None)

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is."""
        try:
            return bool(await self._cache.add(key, value, ttl=seconds, timeout=None))
        except ValueError:  # aiocache's way to say that the key exists
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
        """Delete the value if it equals the token."""
        if await self._cache.get(key, timeout=None) != token:
            return False
        return bool(await self._cache.delete(key, timeout=None))

    def place_of(self, key: str) -> str:
        """Return "", since nothing is known about nodes."""
        return ""

    async def reconnect(self) -> None:
        """Do nothing, since nothing is known about connections."""


class StoreDriver:
    """The methods of a `Store` of the user's own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, key: str) -> object:
        """Return the value."""
        return await self._store.get(key)

    async def read_many(self, keys: list[str]) -> list[Any]:
        """Return the values."""
        return list(await self._store.get_many(keys))

    async def read_or_add(
        self, keys: list[str], owned: str, token: bytes, seconds: int
    ) -> tuple[list[Any], bool | None]:
        """Only read."""
        return await _read_all(self, keys), None

    async def write(self, key: str, value: bytes, seconds: int) -> None:
        """Set the value."""
        await self._store.set(key, value, ttl=seconds)

    async def add(self, key: str, value: bytes, seconds: int) -> bool:
        """Set the value where none is; an outcome that is not known counts as a failed call."""
        return _known(await self._store.add(key, value, ttl=seconds))

    async def increment(self, key: str, delta: int, start: int, seconds: int) -> object:
        """Add to the number."""
        return await self._store.increment(key, ttl=seconds, delta=delta, start=start)

    async def remove(self, key: str) -> None:
        """Delete the value."""
        await self._store.delete(key)

    async def remove_if(self, key: str, token: bytes) -> bool:
        """Delete the value if it equals the token."""
        return _known(await self._store.delete_if(key, token))

    def place_of(self, key: str) -> str:
        """Return "", since nothing is known about nodes."""
        return ""

    async def reconnect(self) -> None:
        """Do nothing, since nothing is known about connections."""


async def _read_all(driver: Driver, keys: list[str]) -> list[Any]:
    return [await driver.read(keys[0])] if len(keys) == 1 else await driver.read_many(keys)


def _split(found: object, count: int) -> tuple[list[Any], bool | None]:
    """Return the values in the result of the script, and whether the token was added.

    Anything else counts as no values, or as values of another type.
    """
    if not isinstance(found, bytes):
        return [found] * count, None
    values, at, nothing = [], 1, ([None] * count, None)
    for _ in range(count):
        begin = at + _LENGTH_DIGITS
        length = found[at:begin]
        if not (length.isdigit() and len(length) == _LENGTH_DIGITS):
            return nothing
        at = begin + int(length)
        values.append(found[begin:at])
    if at != len(found) or found[:1] not in _STATES:
        return nothing
    return values, _STATES[found[:1]]


def _known(outcome: object) -> bool:
    """Return an outcome that is one. Raises: TypeError."""
    if not isinstance(outcome, bool):
        raise TypeError(f"a store returned {outcome!r}; expected True or False")
    return outcome


def _as_written(value: object) -> object:
    return b"%d" % value if type(value) is int else value
