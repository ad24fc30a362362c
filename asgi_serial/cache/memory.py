"""The first level: a mapping bounded in bytes that evicts what is not requested again."""

import sys
from array import array
from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar

V = TypeVar("V")

# The small queue takes a tenth of the bytes; a fifth or a twentieth performs about as well.
_SMALL_PART = 10
# The most used values that one call passes over, so that it never walks through all of them.
# Without this bound the hit rate is no higher (docs/explanation/eviction.md).
_MOST_SPARED = 64
_LEAST_GHOSTS = 64


class _Slot(Generic[V]):
    __slots__ = ("is_used", "key", "newer", "older", "owner", "queue", "size_bytes", "value")

    newer: "_Slot[V]"
    older: "_Slot[V]"
    queue: "_Queue[V]"

    def __init__(self, key: Hashable, value: V, size_bytes: int, owner: Hashable) -> None:
        self.key = key
        self.value = value
        self.size_bytes = size_bytes
        self.owner = owner
        self.is_used = False


class _Queue(Generic[V]):
    """Slots in a ring: `end` follows the newest, and the oldest follows `end`.

    Finding the oldest item of an insertion-ordered dict means skipping every vacated place at its
    front.
    """

    __slots__ = ("end", "size_bytes")

    def __init__(self) -> None:
        end: _Slot[Any] = _Slot(None, None, 0, None)
        end.newer = end.older = self.end = end
        self.size_bytes = 0

    def is_empty(self) -> bool:
        return self.end.newer is self.end

    def append(self, slot: _Slot[V]) -> None:
        end = self.end
        newest = end.older
        slot.older, slot.newer = newest, end
        newest.newer = end.older = slot
        slot.queue = self
        self.size_bytes += slot.size_bytes

    def remove(self, slot: _Slot[V]) -> None:
        older, newer = slot.older, slot.newer
        older.newer, newer.older = newer, older
        self.size_bytes -= slot.size_bytes


class _Owned(Generic[V]):
    """The slots of one owner by key, the oldest first."""

    __slots__ = ("size_bytes", "slots")

    def __init__(self) -> None:
        self.slots: OrderedDict[Hashable, _Slot[V]] = OrderedDict()
        self.size_bytes = 0


class Watcher(Protocol):
    """Is notified of the values that enter a memory and leave it, one at a time.

    It must not raise, and must not use the memory, which is locked during the call.
    """

    def entered(self, value: object) -> None:
        """Record that a value was stored; storing it again notifies again."""

    def left(self, value: object) -> None:
        """Record that a value has left the memory."""


class Memory(Generic[V]):
    """A bounded mapping with S3-FIFO eviction.

    New values wait in a small queue. At its end, those that were requested move to the main queue,
    whose oldest value is evicted unless it was requested since it last was the oldest. The others
    are evicted at once; their hashes are remembered for a while, and a key that returns enters the
    main queue. A look-up moves nothing: it sets a flag and takes no lock. Thread-safe.

    A value may have an owner, which can be anything hashable. The values of one owner take at most
    `owner_share` of the bytes; beyond that, the owner's oldest values are evicted, nobody else's.

    Source: Yang and others, FIFO queues are all you need for cache eviction, SOSP 2023.
    """

    def __init__(
        self, max_bytes: int, *, max_items: int = sys.maxsize, owner_share: float = 0.05
    ) -> None:
        self.max_bytes = max_bytes
        self.max_items = max_items
        self.owner_share = owner_share
        self.size_bytes = 0
        self.evictions = 0
        self._slots: dict[Hashable, _Slot[V]] = {}
        self.find_slot = self._slots.get
        """Like `get`, but without the cost of a Python frame: the caller marks the slot as used."""
        self._small: _Queue[V] = _Queue()
        self._main: _Queue[V] = _Queue()
        # Hashes of keys that left the small queue, each in its only possible place, until a newer
        # one replaces it. A key mistaken for another merely skips its trial.
        self._ghosts = array("q", [0]) * _LEAST_GHOSTS
        self._owners: dict[Hashable, _Owned[V]] = {}
        self._lock = Lock()
        self.watcher: Watcher | None = None

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, key: Hashable) -> V | None:
        """Return the value under `key`, marked as used, or None."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        slot.is_used = True
        return slot.value

    def has_room(self, size_bytes: int, *, owner: Hashable = None) -> bool:
        """Whether `put` would keep a value of this size, evicting others if necessary."""
        most = self.max_bytes if owner is None else self.owner_share * self.max_bytes
        return size_bytes <= most

    def put(
        self,
        key: Hashable,
        value: V,
        size_bytes: int,
        *,
        owner: Hashable = None,
        must_be_there: bool = False,
    ) -> bool:
        """Keep `value`, which takes `size_bytes`; return False if it is too large.

        With `must_be_there`, do nothing and return False unless `value` is there already.
        """
        slot = _Slot(key, value, size_bytes, owner)
        with self._lock:
            known = self._slots.get(key)
            if must_be_there and (known is None or known.value is not value):
                return False
            if known is not None:
                self._unlink(known)
            has_room = size_bytes <= self.max_bytes and self._make_owner_room(slot)
            # A value that is written again stays, if it fits.
            is_over = known is not None and not (has_room and known.value is value)
            if known is not None and is_over and self.watcher is not None:
                self.watcher.left(known.value)
            if not has_room:
                return False
            self._make_room(size_bytes)
            if known is not None:
                # A value that is written again stays in its queue.
                slot.is_used = known.is_used
                queue = known.queue
            else:
                queue = self._main if self._take_ghost(key) else self._small
            self._add(slot, queue)
            return True

    def delete(self, key: Hashable) -> None:
        """Remove `key`, if present."""
        with self._lock:
            slot = self._slots.get(key)
            if slot is not None:
                self._drop(slot)

    def clear(self) -> None:
        """Remove all values."""
        with self._lock:
            # One by one: slots that still reference their neighbours would wait for the collector.
            for slot in list(self._slots.values()):
                self._drop(slot)

    def _add(self, slot: _Slot[V], queue: _Queue[V]) -> None:
        self._slots[slot.key] = slot
        self.size_bytes += slot.size_bytes
        queue.append(slot)
        if slot.owner is not None:
            owned = self._owners.get(slot.owner)
            if owned is None:
                owned = self._owners[slot.owner] = _Owned()
            owned.slots[slot.key] = slot
            owned.size_bytes += slot.size_bytes
        if self.watcher is not None:
            self.watcher.entered(slot.value)

    def _drop(self, slot: _Slot[V]) -> None:
        self._unlink(slot)
        if self.watcher is not None:
            self.watcher.left(slot.value)

    def _unlink(self, slot: _Slot[V]) -> None:
        del self._slots[slot.key]
        self.size_bytes -= slot.size_bytes
        slot.queue.remove(slot)
        if slot.owner is not None:
            owned = self._owners[slot.owner]
            del owned.slots[slot.key]
            owned.size_bytes -= slot.size_bytes
            if not owned.slots:
                del self._owners[slot.owner]

    def _make_owner_room(self, slot: _Slot[V]) -> bool:
        """Evict the owner's oldest values until the new one fits; return False if it never does."""
        if slot.owner is None:
            return True
        most = self.owner_share * self.max_bytes - slot.size_bytes
        owned = self._owners.get(slot.owner)
        while owned is not None and owned.size_bytes > most >= 0:
            self._drop(next(iter(owned.slots.values())))
            self.evictions += 1
        return most >= 0

    def _make_room(self, size_bytes: int) -> None:
        small, main = self._small, self._main
        spares = _MOST_SPARED
        # Either limit may have been lowered since the last call.
        while self._slots and (
            self.size_bytes + size_bytes > self.max_bytes or len(self._slots) >= self.max_items
        ):
            is_small = main.is_empty() or small.size_bytes * _SMALL_PART > self.size_bytes
            slot = (small if is_small else main).end.newer
            if slot.is_used and spares:
                spares -= 1
                slot.is_used = False
                slot.queue.remove(slot)
                main.append(slot)
                continue
            self._drop(slot)
            self.evictions += 1
            if is_small:
                self._make_ghost(slot.key)

    def _make_ghost(self, key: Hashable) -> None:
        if len(self._ghosts) < len(self._slots):
            self._ghosts = array("q", [0]) * (2 * len(self._ghosts))
        name = hash(key)
        self._ghosts[name % len(self._ghosts)] = name

    def _take_ghost(self, key: Hashable) -> bool:
        """Whether `key` left the small queue recently; its hash is forgotten."""
        name = hash(key)
        place = name % len(self._ghosts)
        if self._ghosts[place] != name:
            return False
        self._ghosts[place] = 0
        return True
