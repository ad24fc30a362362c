"""One client for each event loop that asks, closed when its loop ends."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


T = TypeVar("T")

Opened: TypeAlias = tuple[T, Callable[[], Awaitable[object]] | None]
"""A client, and what closes it; None where nothing is to be closed."""


class _Held(NamedTuple, Generic[T]):
    client: T
    until_loop_ends: AsyncGenerator[None, None]


class PerLoop(Generic[T]):
    """Clients made by `open_client`, each used in the event loop that it was made in only.

    What closes a client may take `close_seconds`, and is left behind after that.
    """

    def __init__(self, open_client: Callable[[], Opened[T]], *, close_seconds: float) -> None:
        self._open_client = open_client
        self._close_seconds = close_seconds
        self._held: dict[asyncio.AbstractEventLoop, _Held[T]] = {}

    async def get(self) -> T:
        """Give the client of the running loop, a new one at the first call."""
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
        # asyncio.run and its like close each asynchronous generator that is still open, while
        # the loop still turns: there is no other hook for the end of a loop.
        until_loop_ends = _until_loop_ends(ref(self), loop, close, self._close_seconds)
        held = self._held[loop] = _Held(client, until_loop_ends)
        await anext(until_loop_ends)
        return held

    def forget(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take note that a loop's client is being closed."""
        self._held.pop(loop, None)

    async def close(self) -> None:
        """Close the running loop's client, and have other loops that still run close theirs."""
        here = asyncio.get_running_loop()
        for loop, held in list(self._held.items()):
            if loop is here:
                await held.until_loop_ends.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(_finish(held.until_loop_ends), loop)


async def _until_loop_ends(
    # A reference that does not keep it: of a store that nobody has any more asyncio ends this
    # generator, which is all that keeps the client until it is closed.
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
            closing = asyncio.ensure_future(close())
            await asyncio.wait((closing,), timeout=close_seconds)
            if not closing.cancel() and not closing.cancelled():
                closing.exception()  # asyncio reports an exception that nobody read


async def _finish(generator: AsyncGenerator[None, None]) -> None:
    await generator.aclose()


async def give_way() -> None:
    """Give the event loop back: an app that only sends what goes nowhere would never do so."""
    if running_loop() is not None:
        await asyncio.sleep(0)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs this; None where there is none of asyncio's, as under trio.

    There requests do not wait for one another, nothing is done in threads, and there is no second
    level.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
