"""An event loop in a thread of its own, for asynchronous work of code that has no loop."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import finalize

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

# Closing the connections to a store may take so long; the process then exits without that.
_CLOSE_SECONDS = 2.0


class LoopThread:
    """Runs coroutines to their ends; the thread starts with the first, and ends with the process.

    Thread-safe. After a fork the child starts a thread of its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Block until the work is done; return its result. Raises: whatever it raises."""
        return asyncio.run_coroutine_threadsafe(work, self._running_loop()).result()

    def start(self, work: Coroutine[Any, Any, object]) -> asyncio.Handle:
        """Begin work that runs beside the caller; return a handle that cancels it."""
        loop = self._running_loop()
        future = asyncio.run_coroutine_threadsafe(work, loop)
        return asyncio.Handle(future.cancel, (), loop)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._process = os.getpid()
                loop = self._loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(loop,), name=self._name, daemon=True)
                thread.start()
                finalize(self, _stop, loop, thread, self._process)
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    # The clients of stores are closed by this: see `PerLoop`.
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread, process: int) -> None:
    if process == os.getpid() and not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join(_CLOSE_SECONDS)
