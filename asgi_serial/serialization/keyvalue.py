"""A key-value cache of bytes, in this process and optionally in a shared store."""

import time
from collections.abc import Callable
from typing import Any

from asgi_serial.cache.entry import Key
from asgi_serial.cache.memory import Memory
from asgi_serial.cache.packing import digest_key
from asgi_serial.concurrency.loops import running_loop
from asgi_serial.errors import ConfigurationError
from asgi_serial.serialization.records import pack_record, unpack_record
from asgi_serial.store.base import GuardedStore

# An estimate of the dict slot, the tuple of the key and the entry.
OVERHEAD_BYTES = 400


class KeyValueCache:
    """A cache of bytes by text keys, with two levels; a failing store only makes it slower.

    The manager stores its payloads here as well, under tuples that cannot equal a text key.
    """

    def __init__(
        self,
        memory: Memory[object],
        *,
        ttl_seconds: Callable[[], float],
        is_enabled: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.memory = memory
        self.store: GuardedStore | None = None
        self.hits = 0
        self.misses = 0
        self._ttl_seconds = ttl_seconds
        self._is_enabled = is_enabled
        self._clock = clock

    async def get(self, key: str) -> bytes | None:
        """Return the value of `key`, which may be empty bytes; None if there is none."""
        check_key(key)
        return await self.read(("kv", key)) if self._is_enabled() else None

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Store a value for `ttl` seconds, by default for the configuration's `cache_ttl`.

        Raises: TypeError if the value is not bytes or the key not text; ConfigurationError for an
            invalid ttl.
        """
        check_key(key)
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"the value is of type {type(value).__name__}; expected bytes")
        seconds = self._ttl_seconds() if ttl is None else float(ttl)
        if not seconds >= 0:
            raise ConfigurationError(f"ttl is {ttl!r}; expected seconds, 0 or more.")
        if self._is_enabled():
            await self.write(("kv", key), bytes(value), seconds)

    async def delete(self, key: str) -> None:
        """Delete the value of `key`."""
        check_key(key)
        self.memory.delete(("kv", key))
        if self.store is not None and running_loop() is not None:
            await self.store.delete(digest_key(("kv", key)))

    def find(self, key: Key) -> bytes | None:
        """Return the content of a key in this process; None if there is none, or if it expired."""
        found: Any = self.memory.get(key)
        if found is None or found[1] <= self._clock():
            self.misses += 1
            return None
        self.hits += 1
        content: bytes = found[0]
        return content

    def keep(self, key: Key, content: bytes, ttl_seconds: float) -> None:
        """Store content in this process."""
        if ttl_seconds > 0:
            kept = (content, self._clock() + ttl_seconds)
            self.memory.put(key, kept, len(content) + OVERHEAD_BYTES)

    async def read(self, key: Key) -> bytes | None:
        """Return the content of a key in either level, and copy it from the second to the first."""
        found = self.find(key)
        if found is not None or self.store is None or running_loop() is None:
            return found
        record = await self.store.get(digest_key(key))
        unpacked = None if record is None else unpack_record(record, key, now=self._clock())
        if unpacked is None:
            return None
        # It keeps its remaining lifetime, rather than starting a new one.
        self.keep(key, *unpacked)
        return unpacked[0]

    async def write(self, key: Key, content: bytes, ttl_seconds: float) -> None:
        """Store content in both levels."""
        self.keep(key, content, ttl_seconds)
        if ttl_seconds <= 0:
            self.memory.delete(key)
        if self.store is not None and ttl_seconds > 0 and running_loop() is not None:
            record = pack_record(key, content, expires=self._clock() + ttl_seconds)
            await self.store.set(digest_key(key), record, ttl=ttl_seconds)

    def statistics(self) -> dict[str, Any]:
        """Return the look-ups and the sizes of both levels."""
        looked_up = self.hits + self.misses
        levels: dict[str, Any] = {
            "l1_cache": {
                "hits": self.hits,
                "misses": self.misses,
                "hit_rate": self.hits / looked_up if looked_up else 0.0,
                "size": len(self.memory),
                "max_size": self.memory.max_items,
                "bytes": self.memory.size_bytes,
                "max_bytes": self.memory.max_bytes,
                "evictions": self.memory.evictions,
            }
        }
        if self.store is not None:
            counters = dict(self.store.statistics())
            gets = counters.get("gets", 0)
            hit_rate = counters.get("hits", 0) / gets if gets else 0.0
            levels["l2_cache"] = {**counters, "hit_rate": hit_rate}
        return levels


def check_key(key: object) -> None:
    """Refuse a key that is not text. Raises: TypeError."""
    if not isinstance(key, str):
        raise TypeError(f"the key is {key!r}, of type {type(key).__name__}; expected a str")
