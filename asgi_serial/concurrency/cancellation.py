"""Cancel tasks that belong to a request."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait until it has finished; its result or exception stays in it.

    If the caller is cancelled meanwhile, the task is cancelled again, as if its code ran in the
    caller. A cancelled scope of anyio cancels in each iteration of the event loop; the wait is
    shielded from that.
    """
    task.cancel()
    with _shielded_from_anyio():
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                task.cancel()


def _shielded_from_anyio() -> AbstractContextManager[object]:
    anyio = sys.modules.get("anyio")  # not imported means that no scope can exist
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)
