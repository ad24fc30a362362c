"""The first level: a least-recently-used mapping that is bounded in bytes."""

from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Memory(Generic[V]):
    """Values by key, of which the least recently used leave when the bytes run out.

    Threads may share it: moving a key to the young end takes two steps, and a lock between
    them is what keeps a deleted value from coming back.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self.evictions = 0
        self._slots: dict[Hashable, tuple[V, int]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._slots)

    def get(self, key: Hashable) -> V | None:
        """The value under `key`, which counts as used; or None."""
        with self._lock:
            slot = self._slots.pop(key, None)
            if slot is None:
                return None
            self._slots[key] = slot
            return slot[0]

    def put(self, key: Hashable, value: V, size_bytes: int) -> bool:
        """Keep `value`, said to take `size_bytes`; False where it is larger than the whole."""
        with self._lock:
            self._drop(key)
            if size_bytes > self.max_bytes:
                return False
            self._slots[key] = (value, size_bytes)
            self.size_bytes += size_bytes
            while self.size_bytes > self.max_bytes:
                self._drop(next(iter(self._slots)))
                self.evictions += 1
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
            self.size_bytes -= slot[1]
