"""What was purged, told to other processes and heard of them."""

from __future__ import annotations

import asyncio
import contextlib
from math import inf
from typing import TYPE_CHECKING
from weakref import ref

from asgi_serial.cache.purges import Purge, purges_of_uris
from asgi_serial.concurrency.loops import running_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asgi_serial.cache.purge_log import PurgeLog
    from asgi_serial.cache.purges import PurgeTable

# Of 128 URIs each: 2 ms.
PURGES_AT_ONCE = 10

MAX_UNTOLD = 200_000
"""URIs that wait to be told, 25 MB; beyond it all is purged elsewhere.

They are told at once as a rule, in a record for 1,900: so many wait only where the second level has
taken nothing for long, and nothing that others have can be told apart any more.
"""


class PurgeNews:
    """Keeps the purges of this process and those of others, by the log that they share, alike.

    Without a log nothing is heard of others, and they are told nothing.
    """

    def __init__(
        self,
        purges: PurgeTable,
        log: PurgeLog | None,
        *,
        poll_seconds: float,
        hearing_seconds: float,
    ) -> None:
        self.purges = purges
        self.log = log
        self._poll_seconds = poll_seconds
        self._hearing_seconds = hearing_seconds  # that a request waits for what was purged before
        self.is_newcomer = True  # this process has stored nothing yet
        self.believed_from = -inf  # what is older in the second level may have been purged
        self._listener: asyncio.Task[None] | None = None
        self._has_heard = asyncio.Event()  # the listener, for the first time
        self._untold: dict[bytes, float] = {}  # what writes have invalidated, by `uri_digest`
        self._lost_at = -inf  # when so many were untold that all is purged elsewhere
        self.teller: asyncio.Task[None] | None = None

    @property
    def is_deaf(self) -> bool:
        """Whether it is not known what others have purged of the second level."""
        return self.log is not None and self.log.heard_at == -inf

    async def publish(self, purges: Sequence[Purge]) -> bool:
        """Tell others at once; gives whether it was possible."""
        return self.log is None or await self.log.publish(purges)

    async def listen(self) -> None:
        """See that what other processes purge is heard, now and from now on."""
        if self.log is None:
            return
        loop = asyncio.get_running_loop()
        if self._listener is None or _has_ended(self._listener):
            self._has_heard = asyncio.Event()
            listening = _listen(ref(self), self._has_heard, self._poll_seconds)
            self._listener = loop.create_task(listening)
        # Another event loop's listener is this one's, too, but can not be waited for.
        if not self._has_heard.is_set() and self._listener.get_loop() is loop:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_heard.wait(), self._hearing_seconds)

    async def hear(self) -> None:
        """Take note of what other processes have purged since it was last asked."""
        assert self.log is not None
        is_first = self.is_deaf
        purges = await self.log.poll()
        if is_first and purges and self.is_newcomer:
            # Nothing of this process's own can be meant by what was told before it began.
            self.believed_from = purges.pop(0).at
        for number, purge in enumerate(purges, 1):
            self.purges.add(purge)
            if number % PURGES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def tell(self, digest: bytes, at: float) -> None:
        """Have other processes told that a write has invalidated a URI, behind the response.

        It is told with what else there is to tell then. A flood of writes is told whole: others
        drop what it names, and nothing else.
        """
        if self.log is None or running_loop() is None:
            return
        if len(self._untold) >= MAX_UNTOLD:
            self._untold, self._lost_at = {}, at
        self._untold[digest] = at
        if self.teller is None or _has_ended(self.teller):
            self.teller = asyncio.get_running_loop().create_task(self._tell_all(self.log))

    async def _tell_all(self, log: PurgeLog) -> None:
        while self._untold:
            # In few records what comes within half a poll: others read so many of them only.
            await asyncio.sleep(self._poll_seconds / 2)
            told, self._untold = self._untold, {}
            lost_at, self._lost_at = self._lost_at, -inf
            purges = purges_of_uris(told)
            if lost_at > -inf:
                purges.insert(0, Purge("all", "", None, lost_at))
            if not await log.publish(purges):
                self._untold = told | self._untold
                self._lost_at = max(lost_at, self._lost_at)


async def _listen(news: ref[PurgeNews], has_heard: asyncio.Event, seconds: float) -> None:
    """Hear what others purge for as long as somebody has the news; they are not kept for this."""
    while (heard_by := news()) is not None:
        await heard_by.hear()
        del heard_by
        has_heard.set()
        await asyncio.sleep(seconds)


def _has_ended(task: asyncio.Task[None]) -> bool:
    return task.done() or task.get_loop().is_closed()
