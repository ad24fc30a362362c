"""Request collapsing: one call of the app for concurrent misses in one event loop."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

from asgi_serial.concurrency.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.entry import Key, Representation

# The time in seconds for which a resource counts as hit-for-miss, after its response was not
# stored: its requests do not wait for each other, as they could not share the response anyway.
REMEMBERED_SECONDS = 10.0
MAX_REMEMBERED = 4096
_NEVER = (0.0, 0)


class CallResult(Enum):
    """The result of a call of the app, for the requests that wait for it."""

    STORED = "the response is stored"
    UNCACHEABLE = "the response must not be stored"
    UNSTORED_ERROR = "the response is an error and not stored; the next one may be no error"
    FAILED = "the call broke off; the next one may succeed"
    SLOW = "the client reads the response slowly; it may still be stored"
    ERROR = "the app failed; a stale response may replace the error"


NOT_STORED = (CallResult.UNCACHEABLE, CallResult.UNSTORED_ERROR)
"""The results after which no request waits for the next call."""


class Call:
    """A call of the app, or the derivation of a variant, for which other requests may wait."""

    __slots__ = ("_result", "loop", "made", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting = 0  # the number of waiting requests
        self.made: Representation | None = None  # the derived variant
        self._result: asyncio.Future[CallResult] = loop.create_future()

    async def wait(self, seconds: float | None) -> CallResult | None:
        """Wait for the result; return None if it does not come in time."""
        self.waiting += 1
        try:
            await asyncio.wait((self._result,), timeout=seconds)
        finally:
            self.waiting -= 1
        return self._result.result() if self._result.done() else None

    def finish(self, result: CallResult) -> None:
        """Set the result, and wake the waiting requests."""
        if not self._result.done():
            self._result.set_result(result)


class CallsInFlight:
    """The current calls of the app, by the key under which their responses may be stored."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[Key, Call] = {}
        # The end of the time and the number of calls. The keys are hashes, since a client may send
        # keys of any length. If two keys collide, their requests just do not wait.
        self._hit_for_miss: dict[int, tuple[float, int]] = {}
        self._storable: dict[int, None] = {}  # hashes of keys whose last response was storable

    def find(self, key: Key) -> Call | None:
        """Return the call under a key in this event loop, to wait for; None if there is none."""
        call = self._calls.get(key)
        return call if call is not None and call.loop is running_loop() else None

    def is_hit_for_miss(self, key: Key, *, calls: int = 1) -> bool:
        """Whether at least this many of the last responses under a key could not be stored."""
        hashed = hash(key)
        until, count = self._hit_for_miss.get(hashed, _NEVER)
        if self._clock() < until:
            return count >= calls
        self._hit_for_miss.pop(hashed, None)
        return False

    def start(self, key: Key) -> Call | None:
        """Start a call for which others may wait; return None if waiting would be useless."""
        if self.is_hit_for_miss(key) or key in self._calls:
            # A call that exists belongs to another event loop, or its waiters have given up.
            return None
        loop = running_loop()
        if loop is None:
            return None
        call = self._calls[key] = Call(loop)
        return call

    def finish(self, key: Key, call: Call, result: CallResult) -> None:
        """Finish a call with its result."""
        if self._calls.get(key) is call:
            del self._calls[key]
        if result in NOT_STORED:
            self.mark_hit_for_miss(key, is_error=result is CallResult.UNSTORED_ERROR)
        call.finish(result)

    def mark_hit_for_miss(self, key: Key, *, is_error: bool = False) -> None:
        """Mark a key as hit-for-miss for a while, since its response could not be stored.

        An error does not count, as the next response may well be storable.
        """
        hashed = hash(key)
        self._storable.pop(hashed, None)
        _, count = self._hit_for_miss.get(hashed, _NEVER)
        if len(self._hit_for_miss) >= MAX_REMEMBERED:
            self._hit_for_miss.clear()
        calls = max(1, count if is_error else count + 1)
        self._hit_for_miss[hashed] = (self._clock() + REMEMBERED_SECONDS, calls)

    def note_storable(self, key: Key) -> None:
        """Remember that the last response of a resource was storable."""
        hashed = hash(key)
        self._hit_for_miss.pop(hashed, None)
        self._storable.pop(hashed, None)
        if len(self._storable) >= MAX_REMEMBERED:
            del self._storable[next(iter(self._storable))]
        self._storable[hashed] = None

    def was_storable(self, key: Key) -> bool:
        """Whether the last response of a resource was storable; false if unknown."""
        return hash(key) in self._storable

    def extend_hit_for_miss(self, key: Key, *, is_error: bool = False) -> None:
        """Extend the mark of a key that is marked already."""
        if hash(key) in self._hit_for_miss:
            self.mark_hit_for_miss(key, is_error=is_error)
