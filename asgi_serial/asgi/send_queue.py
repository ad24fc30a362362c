"""Run the slow steps of one response one after another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from asgi_serial.concurrency.cancellation import cancel_and_wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class SendQueue:
    """Pieces of work of which each begins when the one before it is done.

    They are tasks: an app may give up waiting and go on, and what it has handed over is sent all
    the same, in its turn.
    """

    __slots__ = ("_tasks",)

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is under way."""
        return not self._tasks

    def put(self, work: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Have `work` done after what is under way; what this gives may be waited for."""
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
            task.exception()  # the app may have ceased to wait for it

    async def finish(self) -> None:
        """Wait until all is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel(self) -> None:
        """Give up what is under way."""
        for task in reversed(self._tasks):
            task.cancel()

    async def end(self) -> None:
        """Give up what is under way, and wait until it has ended."""
        for task in reversed([*self._tasks]):
            await cancel_and_wait(task)


async def _follow(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)
