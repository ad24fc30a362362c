"""The cache of responses: a first level in the process, and a second one that processes share."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from math import inf
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from asgi_serial.cache.collapse import running_loop
from asgi_serial.cache.entry import Entry, VaryIndex
from asgi_serial.cache.frame import digest_key, pack_entry, pack_vary_index, unpack_record
from asgi_serial.cache.sharing import SharedFields
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asgi_serial.cache.entry import Key, Representation, Variant
    from asgi_serial.cache.memory import Memory
    from asgi_serial.cache.store import Store

    Select = Callable[[tuple[bytes, ...]], tuple[tuple[bytes, bytes | None], ...]]
    """The varying fields of a request with their values, by the fields' names."""

MISS, VARY_MISS = Reason.MISS, Reason.VARY_MISS

# Writes that wait for the second level; what comes on top is dropped, and counted.
MAX_WAITING_WRITES = 256
MAX_REMEMBERED_DROPS = 1024


class ResponseCache:
    """Finds, keeps and drops stored responses; knows nothing of whether they may be used."""

    def __init__(self, memory: Memory[object], store: Store | None, clock: Callable[[], float]):
        self._memory = memory
        self.store = store
        self._clock = clock
        self._shared_fields = SharedFields()
        self._dropped: dict[Key, float] = {}
        self._lock = Lock()
        self._writers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer] = WeakKeyDictionary()
        self.stored = 0
        self.writes_dropped = 0

    def find(self, key: Key, select: Select) -> Entry | Reason:
        """The entry in the first level that this request selects, or why there is none."""
        found = self._memory.get(key)
        if isinstance(found, VaryIndex):
            found = self._memory.get(_selected_key(key, found, select(found.names)))
            return found if isinstance(found, Entry) else VARY_MISS
        return found if isinstance(found, Entry) else MISS

    def flight_key(self, key: Key, select: Select) -> Key:
        """What requests have in common that may wait for one another's call of the app.

        It is the resource, and of one that is known to vary the variant.
        """
        found = self._memory.get(key)
        if isinstance(found, VaryIndex):
            return _selected_key(key, found, select(found.names))
        return key

    async def load(self, key: Key, select: Select) -> Entry | Reason:
        """The same out of the second level, taken over into the first."""
        store = self.store
        if store is None or running_loop() is None:
            return MISS
        data = await store.get(digest_key(key))
        if data is None:
            return MISS
        found = unpack_record(data, key)
        # A deletion may be under way, or lost: what was made before it is not there any more.
        if found is None or self._is_dropped(key, found.born):
            return MISS
        if isinstance(found, VaryIndex):
            index = self._newer(key, found)
            selected = _selected_key(key, index, select(index.names))
            data = await store.get(digest_key(selected))
            found = unpack_record(data, selected) if data is not None else None
            if not isinstance(found, Entry) or self._is_dropped(key, found.born):
                return VARY_MISS
        if self._clock() >= found.expires:
            return MISS
        return self._take_over(found)

    def _newer(self, key: Key, found: VaryIndex) -> VaryIndex:
        """The index of the second level in the first, or one that has come there meanwhile."""
        known = self._memory.get(key)
        if isinstance(known, VaryIndex) and known.born >= found.born:
            return known
        self._memory.put(key, found, _index_size(key, found))
        return found

    def _take_over(self, found: Entry) -> Entry:
        """The entry of the second level in the first, or one that has come there meanwhile.

        RFC 9111, 4: of several stored responses the most recent is used.
        """
        known = self._memory.get(found.key)
        if isinstance(known, Entry) and known.born >= found.born:
            return known
        self._shared_fields.share(found)
        self._memory.put(found.key, found, entry_size(found))
        return found

    def keep(self, entry: Entry, asked: float) -> None:
        """Keep an entry whose key is its resource's; `asked`: when the app was asked for it."""
        key = entry.key
        # What a write has made invalid since the app was asked may be in this very response.
        if self._is_dropped(key, asked):
            return
        if entry.selecting:
            names = tuple([name for name, _ in entry.selecting])
            index = self._index(key, names, entry.expires - self._clock())
            entry.key = _selected_key(key, index, entry.selecting)
        self.stored += 1
        self._shared_fields.share(entry)
        self._write(entry)

    def add(self, entry: Entry, variant: Variant, made: Representation) -> None:
        """Keep another representation of an entry, if that is still what is stored."""
        if self._memory.get(entry.key) is entry:
            entry.add(variant, made)
            self._shared_fields.share(entry)
            self._write(entry)

    def _write(self, entry: Entry) -> None:
        self._memory.put(entry.key, entry, entry_size(entry))
        ttl = entry.expires - self._clock()
        if self.store is not None and ttl > 0 and running_loop() is not None:
            self._write_entry(self.store, entry, ttl)

    def drop(self, key: Key) -> None:
        """Forget all that is stored of a resource."""
        with self._lock:
            self._dropped.pop(key, None)
            if len(self._dropped) >= MAX_REMEMBERED_DROPS:
                del self._dropped[next(iter(self._dropped))]
            self._dropped[key] = self._clock()
        self._memory.delete(key)
        store = self.store
        if store is not None and running_loop() is not None:
            self._writer().put(lambda: store.delete(digest_key(key)), must=True)

    async def flush(self) -> None:
        """Wait until the second level has been sent what is there to be written."""
        await self._writer().flush()

    def _index(self, key: Key, names: tuple[bytes, ...], ttl: float) -> VaryIndex:
        """The index of a resource, made where there is none; it outlives the entry of `ttl`.

        It is made anew, not written again, before its time in the second level is over: another
        process may have dropped it there, and with it all that it led to.
        """
        now = self._clock()
        known = self._memory.get(key)
        if (
            isinstance(known, VaryIndex)
            and known.names == names
            and now - known.born < _INDEX_TTL / 2
        ):
            return known
        index = VaryIndex(names, os.urandom(16), now)
        self._memory.put(key, index, _index_size(key, index))
        store = self.store
        if store is not None and running_loop() is not None:
            self._writer().put(
                lambda: store.set(
                    digest_key(key), pack_vary_index(index, key), ttl=max(_INDEX_TTL, 2 * ttl)
                )
            )
        return index

    def _write_entry(self, store: Store, entry: Entry, ttl: float) -> None:
        def write() -> Awaitable[None]:
            return store.set(digest_key(entry.key), pack_entry(entry), ttl=ttl)

        if not self._writer().put(write):
            self.writes_dropped += 1

    def _is_dropped(self, key: Key, since: float) -> bool:
        """Whether the resource has been made invalid since that time."""
        return self._dropped.get(key, -inf) >= since

    def _writer(self) -> _Writer:
        loop = asyncio.get_running_loop()
        writer = self._writers.get(loop)
        if writer is None:
            writer = self._writers[loop] = _Writer()
        return writer


# The index outlives its entries; one without entries costs a look-up that misses.
_INDEX_TTL = 86_400.0


class _Writer:
    """Writes to the second level behind the responses, in order, in one task of its loop."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, write: Callable[[], Awaitable[None]], *, must: bool = False) -> bool:
        """Queue a write; False where too many wait and it is not one that must be made."""
        if not must and len(self._waiting) >= MAX_WAITING_WRITES:
            return False
        self._waiting.append(write)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())
        return True

    async def flush(self) -> None:
        """Wait until nothing waits."""
        while (task := self._task) is not None and not task.done():
            await asyncio.wait((task,))

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._waiting.popleft()()
        finally:
            self._task = None  # it refers to its loop, which could never be forgotten


def _selected_key(
    key: Key, index: VaryIndex, selecting: tuple[tuple[bytes, bytes | None], ...]
) -> Key:
    return (key, index.nonce, *[value for _, value in selecting])


# Measured with tracemalloc: a line of its own takes a tuple and a value, most are shared.
_PAIR_BYTES = 75
# A representation takes itself, its two lists, its tag and its length.
_KEPT_BYTES = 500
_LINE_BYTES = 16
_INDEX_BYTES = 300


def entry_size(entry: Entry) -> int:
    """The memory that an entry takes, in bytes, to about a tenth."""
    size = _key_size(entry.key) + sum(len(value) + _PAIR_BYTES for _, value in entry.fields)
    for kept in entry.kept:
        size += len(kept.body) + _KEPT_BYTES + _LINE_BYTES * len(kept.fields)
    return size


def _index_size(key: Key, index: VaryIndex) -> int:
    return _INDEX_BYTES + _key_size(key) + sum(map(len, index.names))


def _key_size(key: Key) -> int:
    size = 0
    for part in key:
        if isinstance(part, tuple):
            size += _key_size(part)
        elif isinstance(part, str | bytes):
            size += len(part) + 50
    return size
