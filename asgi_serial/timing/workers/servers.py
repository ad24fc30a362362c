"""Recognize a worker of a server, and the other processes that may be its fellows."""

import gc
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread, current_thread, main_thread
from types import FrameType

# The functions that servers run in each of their workers. `multiprocessing` calls them by `run` in
# a process that it has started; the same functions serve in a single process as well.
_RUN = ("multiprocessing.process", "run")
_TARGETS = frozenset(
    (
        "uvicorn._subprocess",
        "hypercorn.asyncio.run",
        "hypercorn.trio.run",
        "granian.server",
        "granian.server.mp",
    )
)
_GUNICORN = ("gunicorn.arbiter", "spawn_worker")


def is_worker(calls: Iterable[tuple[str, str]]) -> bool:
    """Whether these calls, module and function, the innermost first, are those of a worker.

    >>> is_worker([("app", "f"), ("uvicorn._subprocess", "subprocess_started"), _RUN])
    True
    >>> is_worker([("app", "f"), ("hypercorn.asyncio.run", "asyncio_worker"), ("app", "main")])
    False
    """
    within = ""
    for call in calls:
        if call == _GUNICORN or (call == _RUN and within in _TARGETS):
            return True
        within = call[0]
    return False


def main_calls() -> Iterator[tuple[str, str]]:
    """Yield the calls of the main thread, the innermost first."""
    main = main_thread()
    frame = sys._getframe() if current_thread() is main else _frame_of(main)
    while frame is not None:
        yield str(frame.f_globals.get("__name__")), frame.f_code.co_name
        frame = frame.f_back


def _frame_of(thread: Thread) -> FrameType | None:
    """Return what another thread runs.

    A garbage collection within `_current_frames` blocks the process if it clears a
    `threading.local`: before CPython 3.11.9 both take the same lock.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(thread.ident or 0)
    finally:
        if was_on:
            gc.enable()


def siblings() -> list[int]:
    """Return the other processes with the same parent, as far as the system tells of them."""
    found = []
    with suppress(OSError, ValueError):
        for path in Path(f"/proc/{os.getppid()}/task").glob("*/children"):
            found += [int(pid) for pid in path.read_text().split()]
    return [pid for pid in found if pid != os.getpid()]
