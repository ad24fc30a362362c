"""Run work in threads that would block an event loop."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from asgi_serial.concurrency.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable


V = TypeVar("V")


class Threads:
    """A pool of at most `count` threads for one purpose.

    The loop's default pool is not used: the app may have all of its threads waiting.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._executor = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)

    def run(self, work: Callable[[], V]) -> asyncio.Future[V]:
        """Run `work` in one of the threads."""
        if self._process != os.getpid():
            self._start()  # after a fork the executor is there, but its threads are not
        return asyncio.get_running_loop().run_in_executor(self._executor, work)


T = TypeVar("T")


async def run_in_thread(work: Callable[[], T], threads: Threads) -> T:
    """Run `work` in a thread, or right here if the event loop is not asyncio's."""
    return work() if running_loop() is None else await threads.run(work)
