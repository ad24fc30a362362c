"""Bytes that several may hold at once, each a part of them."""

from threading import Lock


class Budget:
    """What is held in all, and whether there is room for more; threads may share it.

    >>> budget = Budget(100)
    >>> budget.take(80), budget.take(30), budget.held_bytes
    (True, False, 80)
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._lock = Lock()

    def take(self, size_bytes: int) -> bool:
        """Hold so many more; False, and nothing more is held, where there is no room for them."""
        with self._lock:
            if self.held_bytes + size_bytes > self.max_bytes:
                return False
            self.held_bytes += size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        """Hold so many less."""
        with self._lock:
            self.held_bytes -= size_bytes
