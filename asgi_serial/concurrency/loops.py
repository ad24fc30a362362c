"""One client per event loop, closed when the loop ends; and helpers for the running loop."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, NamedTuple, TypeAlias, TypeVar
from weakref import ref

T = TypeVar("T")

Opened: TypeAlias = tuple[T, Callable[[], Awaitable[object]] | None]
"""A client and the function that closes it; None if it needs no closing."""


class _Held(NamedTuple, Generic[T]):
    client: T
    until_loop_ends: AsyncGenerator[None, None]


class PerLoop(Generic[T]):
    """Clients made by `open_client`, each used only in the event loop in which it was made.

    Closing a client may take `close_seconds`; after that it is abandoned.
    """

    def __init__(self, open_client: Callable[[], Opened[T]], *, close_seconds: float) -> None:
        self._open_client = open_client
        self._close_seconds = close_seconds
        self._held: dict[asyncio.AbstractEventLoop, _Held[T]] = {}

    async def get(self) -> T:
        """Return the client of the running loop; the first call opens it."""
        loop = asyncio.get_running_loop()
        held = self._held.get(loop)
        return (await self._open(loop)).client if held is None else held.client

    def find(self) -> T | None:
        """Return the client of the running loop; None before the first call of `get`."""
        held = self._held.get(asyncio.get_running_loop())
        return None if held is None else held.client

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Held[T]:
        for other in list(self._held):
            if other.is_closed():
                self.forget(other)
        client, close = self._open_client()
        # asyncio has no hook for the end of a loop but this: asyncio.run and its like close every
        # open asynchronous generator while the loop is still running.
        until_loop_ends = _until_loop_ends(ref(self), loop, close, self._close_seconds)
        held = self._held[loop] = _Held(client, until_loop_ends)
        await anext(until_loop_ends)
        return held

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Remove the client of a loop, which is being closed."""
        self._held.pop(loop, None)

    async def close(self) -> None:
        """Close the running loop's client, and those of other loops in their own threads."""
        here = asyncio.get_running_loop()
        for loop, held in list(self._held.items()):
            if loop is here:
                await held.until_loop_ends.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(_finish(held.until_loop_ends), loop)


async def _until_loop_ends(
    # A weak reference: once nobody holds the store any more, asyncio finalizes this generator,
    # which alone keeps the client alive until it is closed.
    clients: ref[PerLoop[T]],
    loop: asyncio.AbstractEventLoop,
    close: Callable[[], Awaitable[object]] | None,
    close_seconds: float,
) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (holder := clients()) is not None:
            holder.forget(loop)
        if close is not None:
            try:
                await _try(close, close_seconds)
            except asyncio.CancelledError:
                # asyncio.run cancels all tasks at its end: this one, and the one that closes.
                await _try(close, close_seconds)
                raise


async def _try(close: Callable[[], Awaitable[object]], close_seconds: float) -> None:
    closing = asyncio.ensure_future(close())
    await asyncio.wait((closing,), timeout=close_seconds)
    if not closing.cancel() and not closing.cancelled():
        closing.exception()  # read it, or asyncio would log that it was never retrieved


async def _finish(generator: AsyncGenerator[None, None]) -> None:
    await generator.aclose()


async def checkpoint() -> None:
    """Yield to the event loop; an app whose messages are all dropped never would."""
    if running_loop() is not None:
        await asyncio.sleep(0)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop; None if it is not asyncio's, as under trio.

    Without asyncio, requests do not wait for one another, no work runs in threads, and there is no
    second level.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
