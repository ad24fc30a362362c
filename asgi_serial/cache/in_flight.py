"""One call of the app for many requests that miss at once, in one event loop."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

from asgi_serial.concurrency.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.entry import Key, Representation

# How long a resource whose response was not stored is remembered, in seconds: its requests do
# not wait for one another, since nothing would come of it.
REMEMBERED_SECONDS = 10.0
MAX_REMEMBERED = 4096
_NEVER = (0.0, 0)


class CallResult(Enum):
    """How a call of the app came out for those who wait for it."""

    STORED = "its response is stored"
    UNCACHEABLE = "its response is not one that is stored"
    UNSTORED_ERROR = "its response is an error that is not stored; the next may be none"
    FAILED = "it broke off; the next call may fare better"
    SLOW = "its client is slow to take the response, which may still be stored"
    ERROR = "the app has failed; what is stored may stand in, stale as it is"


NOT_STORED = (CallResult.UNCACHEABLE, CallResult.UNSTORED_ERROR)
"""The results after which nobody waits for the next call."""


class Call:
    """A call of the app, or the making of a form, and those who wait for what comes of it."""

    __slots__ = ("_result", "loop", "made", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting = 0  # how many wait for it
        self.made: Representation | None = None  # the form, for those who wait
        self._result: asyncio.Future[CallResult] = loop.create_future()

    async def wait(self, seconds: float | None) -> CallResult | None:
        """Wait for its end; None where it does not come in time."""
        self.waiting += 1
        try:
            await asyncio.wait((self._result,), timeout=seconds)
        finally:
            self.waiting -= 1
        return self._result.result() if self._result.done() else None

    def finish(self, result: CallResult) -> None:
        """Let those who wait go on."""
        if not self._result.done():
            self._result.set_result(result)


class CallsInFlight:
    """The calls of the app that are under way, by the key of what they may store."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[Key, Call] = {}
        # Until when, and after how many calls. By hash: a client may send keys of any length. Two
        # that share one wait for nobody.
        self._hit_for_miss: dict[int, tuple[float, int]] = {}
        self._storable: dict[int, None] = {}  # by hash: the last response was one to be stored

    def find(self, key: Key) -> Call | None:
        """The call of the app to wait for, if there is one in this event loop."""
        call = self._calls.get(key)
        return call if call is not None and call.loop is running_loop() else None

    def is_hit_for_miss(self, key: Key, *, calls: int = 1) -> bool:
        """Whether so many of the last responses under this key were not ones to be stored."""
        hashed = hash(key)
        until, count = self._hit_for_miss.get(hashed, _NEVER)
        if self._clock() < until:
            return count >= calls
        self._hit_for_miss.pop(hashed, None)
        return False

    def start(self, key: Key) -> Call | None:
        """Begin a call of the app that others may wait for; None where it would be in vain."""
        if self.is_hit_for_miss(key) or key in self._calls:
            return None  # the latter of another event loop, or its waiters have given up
        loop = running_loop()
        if loop is None:
            return None
        call = self._calls[key] = Call(loop)
        return call

    def finish(self, key: Key, call: Call, result: CallResult) -> None:
        """End a call of the app."""
        if self._calls.get(key) is call:
            del self._calls[key]
        if result in NOT_STORED:
            self.mark_hit_for_miss(key, is_error=result is CallResult.UNSTORED_ERROR)
        call.finish(result)

    def mark_hit_for_miss(self, key: Key, *, is_error: bool = False) -> None:
        """Let nobody wait for calls under this key for a while: nothing came of it.

        An error is no sign that the next response will not be stored.
        """
        hashed = hash(key)
        self._storable.pop(hashed, None)
        _, count = self._hit_for_miss.get(hashed, _NEVER)
        if len(self._hit_for_miss) >= MAX_REMEMBERED:
            self._hit_for_miss.clear()
        calls = max(1, count if is_error else count + 1)
        self._hit_for_miss[hashed] = (self._clock() + REMEMBERED_SECONDS, calls)

    def note_storable(self, key: Key) -> None:
        """Remember that the last response of a resource was one to be stored."""
        hashed = hash(key)
        self._hit_for_miss.pop(hashed, None)
        self._storable.pop(hashed, None)
        if len(self._storable) >= MAX_REMEMBERED:
            del self._storable[next(iter(self._storable))]
        self._storable[hashed] = None

    def was_storable(self, key: Key) -> bool:
        """Whether the last response of a resource was one to be stored, if it is remembered."""
        return hash(key) in self._storable

    def extend_hit_for_miss(self, key: Key, *, is_error: bool = False) -> None:
        """The same where it is remembered already: nothing has come of another call."""
        if hash(key) in self._hit_for_miss:
            self.mark_hit_for_miss(key, is_error=is_error)
