"""Writes to the second level, made behind the responses."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from asgi_serial.cache.collapse import running_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Writes that wait; what comes on top is dropped.
MAX_WAITING_WRITES = 256
MAX_WAITING_DROPS = 10_000
WRITES_AT_ONCE, ENTRIES_AT_ONCE = 16, 4


class Writers:
    """The writers of all event loops in which requests are served."""

    def __init__(self) -> None:
        self._writers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer] = WeakKeyDictionary()
        self.dropped = 0  # writes that were lost since too many waited

    def send(
        self,
        name: str,
        write: Callable[[str], Awaitable[object]],
        *,
        must: bool = False,
        last: bool = False,
    ) -> None:
        """Have something written under a name.

        `must`: as a deletion, which is not left out when many wait; `last`: after what waits
        already. Outside of an event loop of asyncio nothing is written.
        """
        if running_loop() is not None and not self._writer().put(name, _Write(write, must, last)):
            self.dropped += 1

    async def flush(self) -> None:
        """Wait until nothing waits in this loop."""
        await self._writer().flush()

    def _writer(self) -> _Writer:
        loop = asyncio.get_running_loop()
        writer = self._writers.get(loop)
        if writer is None:
            writer = self._writers[loop] = _Writer()
        return writer


class _Write(NamedTuple):
    """What is to be written under a name."""

    make: Callable[[str], Awaitable[object]]
    must: bool
    last: bool


class _Writer:
    """Writes in one task of its loop.

    They are made a few side by side, so that one that takes long holds up few others, in the order
    in which they came, and of several to one name the last only.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, _Write] = {}
        self._task: asyncio.Task[None] | None = None

    def put(self, name: str, write: _Write) -> bool:
        """Queue a write; False where one was lost since too many wait (of drops, more may)."""
        known = self._waiting.pop(name, None)
        if not write.must and known is None and len(self._waiting) >= MAX_WAITING_WRITES:
            return False
        is_full = len(self._waiting) >= MAX_WAITING_DROPS
        if is_full:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[name] = write
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())
        return not is_full

    async def flush(self) -> None:
        """Wait until nothing waits."""
        while (task := self._task) is not None and not task.done():
            await asyncio.wait((task,))

    def _take(self) -> list[tuple[str, _Write]]:
        """The next few: of those that carry an entry fewer, since each is in the memory twice."""
        taken: list[tuple[str, _Write]] = []
        entries = 0
        for name, write in list(islice(self._waiting.items(), WRITES_AT_ONCE)):
            entries += not write.must
            if entries > ENTRIES_AT_ONCE:
                break
            del self._waiting[name]
            taken.append((name, write))
        return taken

    async def _write(self) -> None:
        try:
            while self._waiting:
                taken = self._take()
                for is_last in (False, True):
                    now = [write.make(name) for name, write in taken if write.last is is_last]
                    await asyncio.gather(*now)
        finally:
            self._task = None  # it refers to its loop, which could never be forgotten
