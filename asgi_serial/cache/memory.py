"""The first level: a mapping that is bounded in bytes and forgets what is not asked for."""

import sys
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class _Slot(Generic[V]):
    __slots__ = ("is_used", "size_bytes", "value")

    def __init__(self, value: V, size_bytes: int) -> None:
        self.value = value
        self.size_bytes = size_bytes
        self.is_used = False


class Memory(Generic[V]):
    """Values by key; the oldest that was not asked for since it last was the oldest leaves first.

    This order (CLOCK, or second chance) keeps about what a least-recently-used order keeps, but a
    look-up moves nothing: it sets a flag, and takes no lock. Threads may share it.
    """

    def __init__(self, max_bytes: int, *, max_items: int = sys.maxsize) -> None:
        self.max_bytes = max_bytes
        self.max_items = max_items
        self.size_bytes = 0
        self.evictions = 0
        self._slots: dict[Hashable, _Slot[V]] = {}
        self.find_slot = self._slots.get
        """`get` without a frame of its own: the caller marks the slot as used himself."""
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, key: Hashable) -> V | None:
        """The value under `key`, which counts as used; or None."""
        slot = self._slots.get(key)
        if slot is None:
            return None
        slot.is_used = True
        return slot.value

    def put(self, key: Hashable, value: V, size_bytes: int) -> bool:
        """Keep `value`, said to take `size_bytes`; False where it is larger than the whole."""
        with self._lock:
            self._drop(key)
            if size_bytes > self.max_bytes:
                return False
            # Either limit may have been lowered since the last call.
            while self._slots and (
                self.size_bytes + size_bytes > self.max_bytes or len(self._slots) >= self.max_items
            ):
                self._evict()
            self._slots[key] = _Slot(value, size_bytes)
            self.size_bytes += size_bytes
            return True

    def delete(self, key: Hashable) -> None:
        """Forget `key`, if it is there."""
        with self._lock:
            self._drop(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._slots.clear()
            self.size_bytes = 0

    def _drop(self, key: Hashable) -> None:
        slot = self._slots.pop(key, None)
        if slot is not None:
            self.size_bytes -= slot.size_bytes

    def _evict(self) -> None:
        oldest = next(iter(self._slots))
        slot = self._slots[oldest]
        if slot.is_used:
            slot.is_used = False
            self._slots[oldest] = self._slots.pop(oldest)
        else:
            self._drop(oldest)
            self.evictions += 1
