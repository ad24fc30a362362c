"""Entries and indexes in the second level: read when asked for, written behind the responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.footprint import entry_size, index_size
from asgi_serial.cache.packing import name_record, pack_entry, pack_vary_index
from asgi_serial.store.base import DeleteValue, SetValue
from asgi_serial.store.write_behind import Writers

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, VaryIndex
    from asgi_serial.store.base import Claim, GuardedStore


class SecondLevel:
    """A store of bytes as a store of records by key.

    Each event loop writes what its requests have to write, a few writes at a time, and drops some
    if too many wait.
    """

    def __init__(self, store: GuardedStore) -> None:
        self.store = store
        self.writers = Writers(store)

    async def read(
        self, keys: tuple[Key, ...], claim: Claim | None = None
    ) -> tuple[list[bytes | None], bool | None]:
        """Return what is stored under the names of some keys, by one call.

        If the last key has no value, the claim is added in the same step; also return whether it
        was, as `GuardedStore.get_or_add` does.
        """
        names = [name_record(key) for key in keys]
        if claim is not None:
            return await self.store.get_or_add(names, claim)
        if len(names) == 1:
            return [await self.store.get(names[0])], None
        return await self.store.get_many(names), None

    def write_entry(self, entry: Entry, ttl: float) -> None:
        """Store an entry under its key."""
        self.writers.send(
            name_record(entry.key),
            lambda name: SetValue(name, pack_entry(entry), ttl),
            size=entry_size(entry),
        )

    def write_index(self, key: Key, index: VaryIndex, ttl: float) -> None:
        """Store the index of a resource under its key."""
        self.writers.send(
            name_record(key),
            lambda name: SetValue(name, pack_vary_index(index, key), ttl),
            size=index_size(key, index),
        )

    def delete(self, key: Key) -> None:
        """Delete the record of a key; this is not dropped if many writes wait."""
        self.writers.send(name_record(key), DeleteValue, must=True)
