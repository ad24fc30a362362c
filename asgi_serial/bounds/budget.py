"""Budgets of bytes that several holders share."""

from threading import Lock
from typing import Protocol


class Budget:
    """A fixed number of bytes, first come, first served; thread-safe.

    >>> budget = Budget(100)
    >>> budget.take(80), budget.take(30), budget.held_bytes
    (True, False, 80)
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._lock = Lock()

    def take(self, size_bytes: int) -> bool:
        """Take bytes; return False, and take none, if there is no room for all of them."""
        with self._lock:
            if self.held_bytes + size_bytes > self.max_bytes:
                return False
            self.held_bytes += size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        """Give bytes back."""
        with self._lock:
            self.held_bytes -= size_bytes


class Holder(Protocol):
    """A holder of bytes in a `FairBudget`."""

    def lose(self) -> None:
        """Drop everything: the bytes belong to another holder now. May be called in any thread."""


class FairBudget:
    """A number of bytes that the slowest holders lose to others; thread-safe.

    The holder that took bytes least recently loses all of its own first. So a client that reads
    slowly cannot prevent the responses of others from being stored.

    >>> budget = FairBudget(100)
    >>> budget.held_bytes
    0
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._held: dict[Holder, int] = {}  # least recent first
        self._lock = Lock()

    def take(self, holder: Holder, size_bytes: int) -> bool:
        """Take bytes, from others if needed; return False if they exceed the whole budget."""
        if not size_bytes:
            return True  # a holder of nothing has nothing to give back, and must not be kept
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
        # Outside the lock, which is not reentrant: a holder may call `give_back` in turn.
        for one in lost:
            one.lose()
        return True

    def give_back(self, holder: Holder) -> None:
        """Give all bytes of a holder back."""
        with self._lock:
            self.held_bytes -= self._held.pop(holder, 0)
