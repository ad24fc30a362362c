"""Run the slow steps of one response one after another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asgi_serial.concurrency.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class SendQueue:
    """Runs pieces of work in sequence.

    Each piece is a task: even if the app stops waiting for it, its messages are sent in their turn.
    """

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_empty(self) -> bool:
        """Whether no work is pending."""
        return not self._tasks

    def put(self, work: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Queue `work`, and return an awaitable for its completion."""
        before = self._tasks[-1] if self._tasks else None

        async def wait_and_work() -> None:
            if before is not None:
                await asyncio.wait((before,))
            await work()

        task = asyncio.get_running_loop().create_task(wait_and_work())
        self._tasks.append(task)
        task.add_done_callback(self._end)
        return _follow(task)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.remove(task)
        if not task.cancelled():
            task.exception()  # read it, since the app may have stopped waiting

    async def finish(self) -> None:
        """Wait until all work is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """Cancel all pending work."""
        for task in reversed(self._tasks):
            task.cancel()

    async def end(self) -> None:
        """Cancel all pending work, and wait until it has ended."""
        for task in reversed([*self._tasks]):
            await cancel_and_wait(task)


async def _follow(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)
