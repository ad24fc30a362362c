"""Single flight: of concurrent calls with one key, one is made, and all have its outcome."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import Enum
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeAlias

from asgi_serial.concurrency.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator
    from types import TracebackType


State: TypeAlias = tuple[float, int]
"""When the value of a key was invalidated last, and the number of purges so far."""


class Ended(Enum):
    """The outcomes of a flight that are no value."""

    ABANDONED = "the call was cancelled; one of those who wait makes the next"
    NOT_SHARED = "the result cannot be given to others; each makes its own call"


class Flight:
    """A call in progress, for which other calls may wait, in any thread and event loop."""

    __slots__ = ("_loop", "_outcome", "_process", "_traceback", "needs", "parent", "state")

    def __init__(self, state: State, parent: Flight | None) -> None:
        self.state = state
        """The state when the call began; it changes with an invalidation."""
        self.parent = parent
        """The flight within which this one was started."""
        self.needs: set[Flight] = set()
        """The flights that must end first: those started within it, and those it waits for."""
        self._loop = running_loop()
        self._process = os.getpid()
        self._outcome: Future[Any] = Future()
        self._traceback: TracebackType | None = None

    def is_over(self) -> bool:
        """Whether the outcome is known."""
        return self._outcome.done()

    def is_stranded(self) -> bool:
        """Whether nothing can end the flight: its loop was closed, or a fork left its thread."""
        return (self._loop is not None and self._loop.is_closed()) or self._process != os.getpid()

    def finish(self, outcome: object) -> None:
        """Set the outcome, and wake those who wait; the first outcome stands."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def fail(self, error: Exception) -> None:
        """Have those who wait raise an exception."""
        if not self._outcome.done():
            self._traceback = error.__traceback__
            self._outcome.set_exception(error)

    def outcome(self) -> Any:
        """Return the outcome of a flight that is over. Raises: the exception of its call."""
        error = self._outcome.exception(0)
        if error is not None:
            # Otherwise the traceback would grow with each one who waits.
            raise error.with_traceback(self._traceback)
        return self._outcome.result(0)

    def wait(self, seconds: float) -> bool:
        """Block until the flight is over; return False if it is not in time."""
        with suppress(TimeoutError):
            self._outcome.exception(seconds)
        return self._outcome.done()

    async def wait_in_loop(self, seconds: float) -> bool:
        """Wait until the flight is over; return False if it is not in time."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def wake(_: object) -> None:
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(over.set)

        self._outcome.add_done_callback(wake)
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), seconds)
        return self._outcome.done()


_current: ContextVar[Flight | None] = ContextVar("asgi_serial_flight", default=None)


@contextmanager
def within(flight: Flight) -> Iterator[None]:
    """Make calls of this context part of a flight."""
    token = _current.set(flight)
    try:
        yield
    finally:
        # A coroutine that was never ended is closed by the garbage collector, in any context.
        with suppress(ValueError):
            _current.reset(token)


class Flights:
    """The calls in progress, by key; thread-safe."""

    # One lock for all: a flight may wait for one of another function. Whoever holds it may end a
    # flight as well, where the garbage collector closes a call that was never ended.
    _lock = RLock()

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight] = {}

    def join(
        self,
        key: Hashable,
        state: State,
        *,
        must_lead: bool = False,
        is_nested: bool = True,
    ) -> tuple[Flight, bool] | None:
        """Return the flight of a key, and whether the caller leads it; None if it must not wait.

        The leader makes the call, and has to end the flight. Others wait for it, unless it began in
        another state. A caller must not wait for a flight that cannot end before the caller's own:
        a function that calls itself, or two that call each other, would wait without end.
        `is_nested` says that the calls of this context wait for the flight.
        """
        caller = _current.get() if is_nested else None
        while caller is not None and caller.is_over():
            caller = caller.parent
        with self._lock:
            flight = self.find(key)
            if flight is None or must_lead or flight.state != state:
                flight = self._flights[key] = Flight(state, caller)
                is_leader = True
            elif caller is not None and _needs(flight, caller):
                return None
            else:
                is_leader = False
            if caller is not None:
                caller.needs = {one for one in caller.needs if not one.is_over()} | {flight}
        return flight, is_leader

    def find(self, key: Hashable) -> Flight | None:
        """Return the flight of a key, unless it is over, or will never be."""
        flight = self._flights.get(key)
        if flight is None or flight.is_over() or flight.is_stranded():
            return None
        return flight

    def end(self, key: Hashable, flight: Flight) -> None:
        """Remove a flight; those who still wait for an outcome make calls of their own."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        flight.finish(Ended.ABANDONED)


def _needs(flight: Flight, caller: Flight) -> bool:
    """Whether a flight cannot end before one of those within which its caller runs."""
    callers: set[Flight] = set()
    one: Flight | None = caller
    while one is not None:
        callers.add(one)
        one = one.parent
    seen: set[Flight] = set()
    waiting = [flight]
    while waiting:
        found = waiting.pop()
        if found in callers:
            return True
        if found not in seen and not found.is_over():
            seen.add(found)
            waiting += found.needs
    return False
