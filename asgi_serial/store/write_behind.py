"""Writes to the second level, made behind the responses."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from asgi_serial.concurrency.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# An entry that waits is no copy, and in the first level as a rule: a burst of 1,000 misses of
# 10 KB has room. One that is being sent is in the memory twice.
MAX_WAITING_BYTES = 32 << 20
MAX_WAITING = 10_000
BYTES_AT_ONCE = 4 << 20
# As many as one Redis is given connections for.
WRITES_AT_ONCE = 32


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
        size: int = 0,
        must: bool = False,
        last: bool = False,
    ) -> None:
        """Have something written under a name.

        `size`: the bytes that it keeps in memory until then; `must`: as a deletion, which is not
        left out when many wait; `last`: after what waits already. Outside of an event loop of
        asyncio nothing is written.
        """
        if running_loop() is not None:
            self.dropped += self._writer().put(name, _Write(write, size, must, last))

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
    size: int
    must: bool
    last: bool


class _Writer:
    """Writes in one task of its loop.

    They are made many side by side, in the order in which they came, and of several to one name
    the last only.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, _Write] = {}
        self._bytes = 0  # of those that wait
        self._task: asyncio.Task[None] | None = None

    def put(self, name: str, write: _Write) -> int:
        """Queue a write; return how many were lost since too many wait.

        That is this one, but for one that must be made: the oldest makes room for it.
        """
        known = self._waiting.pop(name, None)
        if known is not None:
            self._bytes -= known.size
        lost = 0
        if len(self._waiting) >= MAX_WAITING or (
            self._waiting and self._bytes + write.size > MAX_WAITING_BYTES
        ):
            lost = 1
            if not write.must:
                # What was to be written before this is not what is there now.
                if known is not None and known.must:
                    self._waiting[name] = known
                return lost
            self._bytes -= self._waiting.pop(next(iter(self._waiting))).size
        self._waiting[name] = write
        self._bytes += write.size
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write())
        return lost

    async def flush(self) -> None:
        """Wait until nothing waits."""
        while (task := self._task) is not None and not task.done():
            await asyncio.wait((task,))

    def _take(self) -> list[tuple[str, _Write]]:
        """Take the next few out of those that wait: one, or as many as keep within the bytes."""
        taken: list[tuple[str, _Write]] = []
        size = 0
        for name, write in list(islice(self._waiting.items(), WRITES_AT_ONCE)):
            size += write.size
            if taken and size > BYTES_AT_ONCE:
                break
            del self._waiting[name]
            self._bytes -= write.size
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
