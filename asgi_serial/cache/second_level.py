"""Entries and indexes in the second level: read when asked for, written behind the responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.packing import digest_key, pack_entry, pack_vary_index, unpack_record
from asgi_serial.cache.size import entry_size, index_size
from asgi_serial.store.write_behind import Writers

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, VaryIndex
    from asgi_serial.store.base import GuardedStore


class SecondLevel:
    """A store of bytes as a store of records by key.

    Each event loop writes what its requests have to write, a few writes at a time, and drops some
    if too many wait.
    """

    def __init__(self, store: GuardedStore) -> None:
        self.store = store
        self.writers = Writers()

    async def load(self, key: Key) -> Entry | VaryIndex | None:
        """Return the record of a key; None if there is none, or another's under its name."""
        data = await self.store.get(digest_key(key))
        return None if data is None else unpack_record(data, key)

    def write_entry(self, entry: Entry, ttl: float) -> None:
        """Store an entry under its key."""
        self.writers.send(
            digest_key(entry.key),
            lambda name: self.store.set(name, pack_entry(entry), ttl=ttl),
            size=entry_size(entry),
        )

    def write_index(self, key: Key, index: VaryIndex, ttl: float) -> None:
        """Store the index of a resource under its key."""
        self.writers.send(
            digest_key(key),
            lambda name: self.store.set(name, pack_vary_index(index, key), ttl=ttl),
            size=index_size(key, index),
        )

    def delete(self, key: Key) -> None:
        """Delete the record of a key; this is not dropped if many writes wait."""
        self.writers.send(digest_key(key), self.store.delete, must=True)
