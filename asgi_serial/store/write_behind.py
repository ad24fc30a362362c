"""Write-behind: write to the second level without delaying responses."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from asgi_serial.concurrency.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.store.base import GuardedStore, Write

# A waiting entry is not copied, and usually in the first level anyway: the limit has room for a
# burst of 1,000 misses of 10 KB. An entry that is being sent takes its memory twice, so that
# BYTES_AT_ONCE is smaller.
MAX_WAITING_BYTES = 32 << 20
MAX_WAITING = 10_000
BYTES_AT_ONCE = 4 << 20
# A server answers them in one step.
WRITES_AT_ONCE = 32


class Writers:
    """The writers of all event loops that serve requests."""

    def __init__(self, store: GuardedStore) -> None:
        self._store = store
        self._writers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Writer] = WeakKeyDictionary()
        self.dropped = 0  # writes that were discarded because too many were waiting

    def send(
        self,
        name: str,
        make: Callable[[str], Write],
        *,
        size: int = 0,
        must: bool = False,
    ) -> None:
        """Queue a write under a name, which `make` returns once it is its turn.

        `size` is the memory, in bytes, that it occupies until it is written. A write that `must`
        happen, such as a deletion, is not discarded when the queue is full. Without an asyncio
        event loop nothing is written.
        """
        if running_loop() is not None:
            self.dropped += self._writer().put(name, _Waiting(make, size, must))

    async def flush(self) -> None:
        """Wait until the queue of this loop is empty."""
        await self._writer().flush()

    async def flush_all(self, seconds: float) -> None:
        """Wait until the queues of all running loops are empty, for those of others no longer."""
        here = asyncio.get_running_loop()
        for loop, writer in list(self._writers.items()):
            if loop is here:
                await writer.flush()
            elif loop.is_running():
                flushed = asyncio.run_coroutine_threadsafe(writer.flush(), loop)
                await asyncio.wait((asyncio.wrap_future(flushed),), timeout=seconds)

    def _writer(self) -> _Writer:
        loop = asyncio.get_running_loop()
        writer = self._writers.get(loop)
        if writer is None:
            writer = self._writers[loop] = _Writer(self._store)
        return writer


class _Waiting(NamedTuple):
    """A queued write."""

    make: Callable[[str], Write]
    size: int
    must: bool


class _Writer:
    """The queue of one event loop, written by one task.

    Writes are made in their order, many of them together. Only the last of several waiting writes
    to the same name is made.
    """

    def __init__(self, store: GuardedStore) -> None:
        self._store = store
        self._waiting: dict[str, _Waiting] = {}
        self._bytes = 0  # of the waiting writes
        self._task: asyncio.Task[None] | None = None

    def put(self, name: str, write: _Waiting) -> int:
        """Queue a write, and return the number of writes that a full queue discards.

        It discards this write, or the oldest one if this one must be made.
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
                # This write would have replaced the waiting one. A deletion must still be made.
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
        """Wait until the queue is empty."""
        while (task := self._task) is not None and not task.done():
            await asyncio.wait((task,))

    def _take(self) -> list[Write]:
        """Take the next writes from the queue: at least one, and more within the limits."""
        taken: list[Write] = []
        size = 0
        for name, write in list(islice(self._waiting.items(), WRITES_AT_ONCE)):
            size += write.size
            if taken and size > BYTES_AT_ONCE:
                break
            del self._waiting[name]
            self._bytes -= write.size
            taken.append(write.make(name))
        return taken

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._store.write(self._take())
        finally:
            # The task refers to its loop, which is the weak key of this writer: it would never be
            # collected.
            self._task = None
