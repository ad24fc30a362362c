"""Threads for what would hold up an event loop."""

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
    """At most `count` threads of one purpose: those of the app may all be waiting for something."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._executor = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)

    def run(self, work: Callable[[], V]) -> asyncio.Future[V]:
        """Do `work` in one of them."""
        if self._process != os.getpid():
            self._start()  # a fork has the executor, but none of its threads
        return asyncio.get_running_loop().run_in_executor(self._executor, work)


T = TypeVar("T")


async def run_off_loop(work: Callable[[], T], threads: Threads) -> T:
    """What `work` gives, done in a thread where the loop is asyncio's."""
    return work() if running_loop() is None else await threads.run(work)
