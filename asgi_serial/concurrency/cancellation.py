"""Tasks of our own, ended with the request that has started them."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel `task`, and wait until it has cleaned up; its outcome is left in it.

    Whoever cancels the caller meanwhile cancels the task once more, as it would be without a task
    of its own. A cancelled scope of anyio would do so at each turn of the event loop: the caller is
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
    anyio = sys.modules.get("anyio")  # whoever has a scope of it has imported it
    return nullcontext() if anyio is None else anyio.CancelScope(shield=True)
