"""Synchronise purges with other processes."""

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

# Adding this many purges with 128 URIs each takes 2 ms; then the event loop gets its turn.
PURGES_AT_ONCE = 10

# After that many polls and time-outs of the store without the end of a poll, the process must have
# been suspended, as a container is between two requests, or its event loop blocked.
_POLLS_MISSED, _TIMEOUTS_MISSED = 2, 20

MAX_UNPUBLISHED = 200_000
"""The limit of URIs that wait to be published, 25 MB; beyond it, others purge everything.

Usually they are published at once, 1,900 in a record. So many wait only if the second level has
accepted nothing for a long time.
"""


class PurgeSync:
    """Exchanges purges with other processes through a shared log; without a log it does nothing."""

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
        self._hearing_seconds = hearing_seconds  # the longest that a request waits for a first poll
        self.is_new = True  # this process has stored nothing yet
        self.trusted_since = -inf  # older entries of the second level may have been purged
        self._listener: asyncio.Task[None] | None = None
        self._has_heard = asyncio.Event()  # set after the first poll of the listener
        self._deaf_from = inf  # by the log's clock; each poll, even a failing one, puts it off
        self._unpublished: dict[bytes, float] = {}  # URIs that writes invalidated, by `uri_digest`
        self._lost_at = -inf  # the time at which the URIs were too many
        self.sender: asyncio.Task[None] | None = None

    @property
    def has_not_synced(self) -> bool:
        """Whether the purges by others are still unknown."""
        return self.log is not None and self.log.heard_at == -inf

    def is_deaf(self, now: float) -> bool:
        """Whether others may have purged something long ago that this process could not hear of.

        A store that does not answer makes no process deaf: there is nobody else to ask.
        """
        return now > self._deaf_from

    async def publish(self, purges: Sequence[Purge]) -> bool:
        """Publish purges to other processes at once; return whether that was possible."""
        return self.log is None or await self.log.publish(purges)

    def start_listening(self) -> None:
        """Start polling for the purges of other processes, unless that is in progress."""
        loop = running_loop()
        if self.log is None or loop is None:
            return
        if self._listener is None or _has_ended(self._listener):
            self._has_heard = asyncio.Event()
            listening = _listen(ref(self), self._has_heard, self._poll_seconds)
            self._listener = loop.create_task(listening)

    async def listen(self) -> None:
        """Start polling for the purges of other processes, and wait for the first poll.

        A process that could not poll for long does so at once.
        """
        if self.log is not None and self._has_heard.is_set() and self.is_deaf(self.log.clock()):
            self.stop()
            self._listener = None
        self.start_listening()
        listener = self._listener
        # A listener in another event loop serves this one as well, but cannot be awaited here.
        if (
            listener is not None
            and not self._has_heard.is_set()
            and listener.get_loop() is running_loop()
        ):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_heard.wait(), self._hearing_seconds)

    def stop(self) -> None:
        """Stop polling, until `start_listening` is called again."""
        listener = self._listener
        if listener is not None and not _has_ended(listener):
            listener.get_loop().call_soon_threadsafe(listener.cancel)

    async def poll(self) -> None:
        """Apply the purges of other processes since the last poll."""
        assert self.log is not None
        is_first = self.has_not_synced
        purges = await self.log.poll()
        if is_first and purges and self.is_new:
            # Earlier purges cannot concern this process's own entries, as it has none yet.
            self.trusted_since = purges.pop(0).at
        for number, purge in enumerate(purges, 1):
            self.purges.add(purge, self.log.heard_at)
            if number % PURGES_AT_ONCE == 0:
                await asyncio.sleep(0)
        missed = _POLLS_MISSED * self._poll_seconds + _TIMEOUTS_MISSED * self._hearing_seconds
        self._deaf_from = self.log.clock() + missed

    def announce(self, digest: bytes, at: float) -> None:
        """Queue the invalidation of a URI by a write, to be published after the response.

        Queued URIs are published together. Even a flood of writes is published completely, so that
        others drop exactly the URIs that it names.
        """
        if self.log is None or running_loop() is None:
            return
        if len(self._unpublished) >= MAX_UNPUBLISHED:
            self._unpublished, self._lost_at = {}, at
        self._unpublished[digest] = at
        if self.sender is None or _has_ended(self.sender):
            self.sender = asyncio.get_running_loop().create_task(self._publish_all(self.log))

    async def _publish_all(self, log: PurgeLog) -> None:
        while self._unpublished:
            # Collect the URIs of half a polling interval into few records, since others read only a
            # limited number per poll.
            await asyncio.sleep(self._poll_seconds / 2)
            published, self._unpublished = self._unpublished, {}
            lost_at, self._lost_at = self._lost_at, -inf
            purges = purges_of_uris(published)
            if lost_at > -inf:
                purges.insert(0, Purge("all", "", None, lost_at))
            if not await log.publish(purges):
                self._unpublished = published | self._unpublished
                self._lost_at = max(lost_at, self._lost_at)


async def _listen(sync: ref[PurgeSync], has_heard: asyncio.Event, seconds: float) -> None:
    """Poll for as long as the object exists; the reference to it is weak."""
    while (polled_by := sync()) is not None:
        await polled_by.poll()
        del polled_by
        has_heard.set()
        await asyncio.sleep(seconds)


def _has_ended(task: asyncio.Task[None]) -> bool:
    return task.done() or task.get_loop().is_closed()
