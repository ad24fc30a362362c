"""The memory of the requests' bodies that are read before the app is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.bounds.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable


class Bodies:
    """One budget for all bodies that are being read, or wait for the app to receive them.

    Where it is spent, the body that has been arriving for the longest time gives way: those that
    arrive slowly cannot keep out the others.
    """

    def __init__(self, max_bytes: int) -> None:
        self.budget = Budget(max_bytes)
        self.arriving: dict[BodyShare, None] = {}  # the oldest first

    def open(self) -> BodyShare:
        """Return the share of one more request, which holds nothing yet."""
        return BodyShare(self)


class BodyShare:
    """The bytes that one request's body holds of the budget, until the app has received it."""

    __slots__ = ("_bodies", "_held_bytes", "_loop", "_stop", "gave_way")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._held_bytes = 0
        self._loop: object = None
        self._stop: Callable[[], None] | None = None
        self.gave_way = False  # to another, while it arrived

    def __del__(self) -> None:
        self.release()  # where the task was cancelled before its first step

    def begin(self, loop: object, stop: Callable[[], None]) -> None:
        """Let others of the same event loop have this give way, which calls `stop`."""
        self._loop, self._stop = loop, stop
        self._bodies.arriving[self] = None

    def end(self) -> None:
        """Be a body that has arrived, and does not give way any more."""
        self._bodies.arriving.pop(self, None)

    def take(self, size_bytes: int) -> bool:
        """Hold so many more; return False where there is no room, even if others give way."""
        budget = self._bodies.budget
        while not self.gave_way and not budget.take(size_bytes):
            others = [one for one in list(self._bodies.arriving) if one._loop is self._loop]
            if not others or others[0] is self:
                return False
            others[0]._give_way()
        if self.gave_way:
            return False
        self._held_bytes += size_bytes
        return True

    def resize(self, size_bytes: int) -> bool:
        """Hold this many instead; return False, and hold nothing, where there is no room."""
        self.release()
        return self.take(size_bytes)

    def release(self) -> None:
        """Hold nothing any more."""
        held, self._held_bytes = self._held_bytes, 0
        if held:
            self._bodies.budget.give_back(held)

    def _give_way(self) -> None:
        self.gave_way = True
        self.end()
        self.release()
        assert self._stop is not None  # it has begun to arrive
        self._stop()
