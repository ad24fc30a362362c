"""A limit on the memory of request bodies that are read before the app is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.bounds.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable


class Bodies:
    """One budget for all bodies that are arriving or waiting for the app to receive them.

    When the budget is exhausted, the body that has been arriving for the longest time is dropped,
    so that slow clients cannot keep others out.
    """

    def __init__(self, max_bytes: int) -> None:
        self.budget = Budget(max_bytes)
        self.arriving: dict[BodyShare, None] = {}  # an ordered set, the oldest first

    def open(self) -> BodyShare:
        """Return an empty share for one more request."""
        return BodyShare(self)


class BodyShare:
    """The bytes of the budget that one request body holds until the app has received it."""

    __slots__ = ("_bodies", "_held_bytes", "_stop", "gave_way", "loop")

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._held_bytes = 0
        self.loop: object = None  # the event loop that its request is served by
        self._stop: Callable[[], None] | None = None
        self.gave_way = False  # dropped for another body while arriving

    def __del__(self) -> None:
        # A task that is cancelled before its first step never reaches its own `finally`.
        self.release()

    def begin(self, stop: Callable[[], None]) -> None:
        """Allow other bodies in the same event loop to drop this one, which calls `stop`."""
        self._stop = stop
        self._bodies.arriving[self] = None

    def end(self) -> None:
        """Mark the body as complete; it is not dropped any more."""
        self._bodies.arriving.pop(self, None)

    def take(self, size_bytes: int) -> bool:
        """Take more bytes; return False if there is no room even when others are dropped."""
        if self.gave_way:
            return False
        while not self._bodies.budget.take(size_bytes):
            others = [one for one in list(self._bodies.arriving) if one.loop is self.loop]
            if not others or others[0] is self:
                return False
            others[0]._give_way()
        self._held_bytes += size_bytes
        return True

    def resize(self, size_bytes: int) -> bool:
        """Change the number of bytes; return False, and hold none, if there is no room."""
        more = size_bytes - self._held_bytes
        if more < 0:
            self._held_bytes = size_bytes
            self._bodies.budget.give_back(-more)
            return True
        if self.take(more):
            return True
        self.release()
        return False

    def release(self) -> None:
        """Give all bytes back."""
        held, self._held_bytes = self._held_bytes, 0
        if held:
            self._bodies.budget.give_back(held)

    def _give_way(self) -> None:
        self.gave_way = True
        self.end()
        self.release()
        assert self._stop is not None  # set by `begin`
        self._stop()
