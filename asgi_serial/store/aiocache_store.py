"""A byte store on any aiocache cache, or on the user's own client."""

import re
import time
from asyncio import gather
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from math import ceil, isfinite
from typing import Any, TypeVar

from asgi_serial.concurrency.loops import PerLoop
from asgi_serial.errors import ConfigurationError
from asgi_serial.store.base import Claim, DeleteToken, GuardedStore, SetValue, Write
from asgi_serial.store.drivers import BatchWrite, Driver, RedisDriver
from asgi_serial.store.guard import Guard, Retry, never_again
from asgi_serial.store.target import (
    cache_at,
    cache_of,
    calls_at_once,
    is_shared,
    open_driver,
    refusals_of,
    takes_batches,
)
from asgi_serial.store.url import parse_store_url, shown_store_url

T = TypeVar("T")

# Memcached reads a longer lifetime as a date, which would be long past.
_LONGEST_TTL_SECONDS = 30 * 24 * 3600

# Closing the connections to several nodes takes less, even on a busy machine.
_CLOSE_SECONDS = 1.0


def open_store(
    target: object,
    *,
    timeout: float = 0.25,
    max_value_bytes: int = 1 << 20,
    namespace: str = "asgi_serial",
    clock: Callable[[], float] = time.monotonic,
    retry: Callable[[], Retry] = never_again,
) -> GuardedStore:
    """Return the store at a URL, or on a user's cache, client or `Store`.

    `target` is a URL, an aiocache cache, a client with the asynchronous methods of redis-py
    (Redis, RedisCluster, the master that sentinels name, or one of Valkey), or a `Store`.

    Nothing is connected yet. The store takes only the settings of a cache or client, and makes its
    own connections for each event loop, at most as many as the client allows; further calls wait.
    Objects of other classes (another library's client, the user's own cache) are used as they are,
    in every loop, and are never closed here. `memory://` has no limit on its size. `retry` is
    called after each failed call.

    Raises: ConfigurationError.
    """
    if not (isfinite(timeout) and timeout > 0):
        raise ConfigurationError(f"timeout is {timeout!r}; expected seconds above 0.")
    if max_value_bytes < 1:
        raise ConfigurationError(f"max_value_bytes is {max_value_bytes!r}; expected at least 1.")
    # With the digest of a key (32 characters) and a colon the names have at most 64 characters.
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,31}", namespace):
        raise ConfigurationError(
            f"namespace is {namespace!r}; expected 1 to 31 letters, digits, '_', '.' or '-'."
        )
    if isinstance(target, str):
        cache, name = cache_at(parse_store_url(target), max_value_bytes), shown_store_url(target)
    else:
        cache, name = cache_of(target), type(target).__name__
    return AiocacheStore(
        cache,
        name,
        timeout=timeout,
        max_value_bytes=max_value_bytes,
        namespace=namespace,
        clock=clock,
        retry=retry,
    )


class AiocacheStore:
    """A `Store`, with its guarantees, on one aiocache cache; made by `open_store`."""

    def __init__(
        self,
        cache: Any,
        name: str,
        *,
        timeout: float,
        max_value_bytes: int,
        namespace: str,
        clock: Callable[[], float],
        retry: Callable[[], Retry] = never_again,
    ) -> None:
        self.is_shared = is_shared(cache)
        self._takes_batches = takes_batches(cache)
        self._max_value_bytes = max_value_bytes
        self._prefix = f"{namespace}:"
        self._guard = Guard(
            name,
            timeout=timeout,
            refusals=refusals_of(cache),
            clock=clock,
            retry=retry,
            at_once=calls_at_once(cache),
            reconnect=self._reconnect,
        )
        self._drivers: PerLoop[Driver] = PerLoop(
            lambda: open_driver(cache, max_value_bytes), close_seconds=max(timeout, _CLOSE_SECONDS)
        )

    async def get(self, key: str) -> bytes | None:
        """Return the value; a value over `max_value_bytes`, or of another type, is a miss.

        Redis sends no more than the limit, and Memcached's answer is not read any further. Other
        caches return the whole value, which is then dropped.
        """
        self._guard.counters["gets"] += 1
        name = self._prefix + key
        return self._accept(await self._call(name, lambda driver: driver.read(name)))

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values in the order of their keys, by one call per node of a cluster.

        All values of a call are None if one of them is refused.
        """
        self._guard.counters["gets"] += len(keys)
        places: dict[str, dict[str, None]] = {}
        for key in keys:
            name = self._prefix + key
            places.setdefault(self._place_of(name), {})[name] = None
        found: dict[str, bytes | None] = {}
        for values in await gather(*[self._read_many(list(names)) for names in places.values()]):
            found |= values
        return [found[self._prefix + key] for key in keys]

    async def _read_many(self, names: list[str]) -> dict[str, bytes | None]:
        values = await self._call(names[0], lambda driver: driver.read_many(names))
        if values is None or len(values) != len(names):
            return dict.fromkeys(names)
        return dict(zip(names, map(self._accept, values), strict=True))

    async def get_or_add(
        self, keys: Sequence[str], claim: Claim
    ) -> tuple[list[bytes | None], bool | None]:
        """Return the values, and whether the claim was added; only Redis does both at once."""
        counters = self._guard.counters
        counters["gets"] += len(keys)
        names, owned = [self._prefix + key for key in keys], self._prefix + claim.key
        found = await self._call(
            names[-1],
            lambda driver: driver.read_or_add(names, owned, claim.token, _whole_seconds(claim.ttl)),
        )
        if found is None:
            return [None] * len(keys), True
        values, is_added = found
        counters["adds"] += is_added is not None
        if len(values) != len(names):
            values = [None] * len(names)
        return [self._accept(value) for value in values], is_added

    def _accept(self, value: object) -> bytes | None:
        counters = self._guard.counters
        if value is None or value == b"":
            return None
        if not isinstance(value, bytes):
            counters["not_bytes"] += 1
            return None
        if len(value) > self._max_value_bytes:
            counters["oversized"] += 1
            return None
        counters["hits"] += 1
        return value

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Store the value; one over `max_value_bytes` only deletes the previous value."""
        if len(value) > self._max_value_bytes:
            self._guard.counters["oversized"] += 1
            await self.delete(key)
            return
        self._guard.counters["sets"] += 1
        name, seconds = self._prefix + key, _whole_seconds(ttl)
        await self._call(name, lambda driver: driver.write(name, value, seconds))

    async def write(self, writes: Sequence[Write]) -> None:
        """Make several writes: by one call per node of Redis, elsewhere by one call each."""
        if not self._takes_batches or len(writes) == 1:
            for are_last in (False, True):
                some = [each for each in writes if isinstance(each, DeleteToken) is are_last]
                await gather(*map(self._write_one, some))
            return
        places: dict[str, list[BatchWrite]] = {}
        for write in sorted(writes, key=lambda write: isinstance(write, DeleteToken)):
            batched = self._batched(write)
            places.setdefault(self._place_of(batched.name), []).append(batched)
        await gather(*map(self._write_batch, places.values()))

    async def _write_one(self, write: Write) -> None:
        if isinstance(write, SetValue):
            await self.set(write.key, write.value, ttl=write.ttl)
        elif isinstance(write, DeleteToken):
            await self.delete_if(write.key, write.token)
        else:
            await self.delete(write.key)

    async def _write_batch(self, batch: list[BatchWrite]) -> None:
        async def write(driver: Driver) -> None:
            assert isinstance(driver, RedisDriver)
            await driver.write_batch(batch)

        await self._call(batch[0].name, write)

    def _batched(self, write: Write) -> BatchWrite:
        """Return a write as a driver takes it; a value over `max_value_bytes` is only deleted."""
        counters, name = self._guard.counters, self._prefix + write.key
        if isinstance(write, SetValue):
            if len(write.value) <= self._max_value_bytes:
                counters["sets"] += 1
                return BatchWrite(name, write.value, _whole_seconds(write.ttl))
            counters["oversized"] += 1
        counters["deletes"] += 1
        return BatchWrite(name, token=write.token if isinstance(write, DeleteToken) else None)

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool | None:
        """Store the value if there is none; a value over `max_value_bytes` is never stored."""
        if len(value) > self._max_value_bytes:
            self._guard.counters["oversized"] += 1
            return None
        self._guard.counters["adds"] += 1
        name, seconds = self._prefix + key, _whole_seconds(ttl)
        return await self._call(name, lambda driver: driver.add(name, value, seconds))

    async def increment(
        self, key: str, *, ttl: float, delta: int = 1, start: int = 0
    ) -> int | None:
        """Add `delta` to the number."""
        self._guard.counters["increments"] += 1
        name, seconds = self._prefix + key, _whole_seconds(ttl)
        value = await self._call(name, lambda driver: driver.increment(name, delta, start, seconds))
        return value if isinstance(value, int) else None

    async def delete(self, key: str) -> None:
        """Delete the value; a failed deletion is not repeated later."""
        self._guard.counters["deletes"] += 1
        name = self._prefix + key
        await self._call(name, lambda driver: driver.remove(name))

    async def delete_if(self, key: str, token: bytes) -> bool | None:
        """Delete the value if it equals `token`."""
        self._guard.counters["deletes"] += 1
        name = self._prefix + key
        return await self._call(name, lambda driver: driver.remove_if(name, token))

    async def _call(self, name: str, call: Callable[[Driver], Coroutine[Any, Any, T]]) -> T | None:
        async def made() -> T:
            return await call(await self._drivers.get())

        return await self._guard.attempt(made, self._place_of(name))

    async def _reconnect(self) -> None:
        driver = self._drivers.find()
        if driver is not None:
            await driver.reconnect()

    def _place_of(self, name: str) -> str:
        driver = self._drivers.find()
        return "" if driver is None else driver.place_of(name)

    def statistics(self) -> Mapping[str, int]:
        """Return the counters of `Guard`."""
        return dict(self._guard.counters)

    @property
    def open_breakers(self) -> int:
        """The number of the store's places, such as nodes, whose calls are held back."""
        return self._guard.open_breakers

    def state(self) -> Mapping[str, Any]:
        """Return the state of `Guard`."""
        return self._guard.state()

    async def close(self) -> None:
        """Close the connections of this event loop, and make other loops close theirs."""
        with suppress(RuntimeError):  # another task is already closing them
            await self._drivers.close()


def _whole_seconds(ttl: float) -> int:
    return ceil(min(max(1.0, ttl), _LONGEST_TTL_SECONDS))
