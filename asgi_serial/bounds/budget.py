"""Bytes that several may hold at once, each a part of them."""

from threading import Lock
from typing import Protocol


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


class Holder(Protocol):
    """Somebody who holds bytes of a budget."""

    def lose(self) -> None:
        """Let go of all bytes: they are another's from now on. May be called in any thread."""


class FairBudget:
    """What is held in all. Who has made no progress for longest makes room; threads may share it.

    So a client that reads slowly does not decide whether the responses of others are stored.

    >>> budget = FairBudget(100)
    >>> budget.held_bytes
    0
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._held: dict[Holder, int] = {}  # who has taken some last comes last
        self._lock = Lock()

    def take(self, holder: Holder, size_bytes: int) -> bool:
        """Hold so many more, for which others may lose theirs; False where it is too many."""
        lost = []
        with self._lock:
            own = self._held.get(holder, 0)
            if own + size_bytes > self.max_bytes:
                return False
            self._held.pop(holder, None)
            while self.held_bytes + size_bytes > self.max_bytes:
                slowest = next(iter(self._held))
                self.held_bytes -= self._held.pop(slowest)
                lost.append(slowest)
            self._held[holder] = own + size_bytes
            self.held_bytes += size_bytes
        for one in lost:
            one.lose()
        return True

    def give_back(self, holder: Holder) -> None:
        """Hold nothing any more."""
        with self._lock:
            self.held_bytes -= self._held.pop(holder, 0)
