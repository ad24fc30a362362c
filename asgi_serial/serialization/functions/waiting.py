"""How a call of a cached function waits: in an event loop, or by blocking its thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from asgi_serial.concurrency.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from asgi_serial.serialization.functions.flights import Flight

T = TypeVar("T")


class Waiting(Protocol):
    """One way to wait."""

    async def store(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of work with the store."""

    async def flight(self, flight: Flight, seconds: float) -> bool:
        """Wait until a flight is over; return False if it is not in time."""

    async def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return the result of the cached function."""


class InLoop:
    """Waits in the running event loop."""

    async def store(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of work with the store."""
        return await work

    async def flight(self, flight: Flight, seconds: float) -> bool:
        """Wait until a flight is over."""
        return await flight.wait_in_loop(seconds)

    async def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return the result of the cached function."""
        return await function(*args, **kwargs)


class InThread:
    """Blocks the thread; stores are used by an event loop in a thread of its own.

    Coroutines that wait by it end without suspending.
    """

    # One for all functions: a store has a client for each loop.
    _loop: ClassVar[LoopThread] = LoopThread("asgi_serial store")

    async def store(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of work with the store."""
        return self._loop.run(work)

    async def flight(self, flight: Flight, seconds: float) -> bool:
        """Wait until a flight is over."""
        return flight.wait(seconds)

    async def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Return the result of the cached function. Raises: CarriedError for StopIteration."""
        try:
            return function(*args, **kwargs)
        except StopIteration as error:
            raise CarriedError(error) from error


class CarriedError(Exception):
    """Carries a StopIteration of the function through coroutines, which cannot raise it."""

    def __init__(self, error: StopIteration) -> None:
        super().__init__(error)
        self.error = error


def run_without_loop(work: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that waits by `InThread`, and so never suspends."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    except CarriedError as carried:
        error: Exception = carried.error
    else:
        work.close()
        error = RuntimeError("the coroutine has suspended")
    raise error
