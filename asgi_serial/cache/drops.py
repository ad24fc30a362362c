"""When each URI was last invalidated, in bounded memory that no client can target."""

from __future__ import annotations

import os
from array import array
from hashlib import blake2b
from math import inf, nextafter
from threading import Lock
from typing import TYPE_CHECKING

from asgi_serial.cache.entry import DROPPED, UNHELD, Droppable

if TYPE_CHECKING:
    from collections.abc import Iterator

# 2 MB, allocated at the first drop. A URI has four slots, and its time is the earliest of theirs:
# after 16,000 drops of other URIs, one URI in 400 is reported as dropped in error, after 64,000 one
# in 6.
_SLOTS = 2**18
_SLOTS_OF_ONE = 4
_SLOT_BYTES = 4


class StoredUris:
    """The entries of the first level by URI, so that a write finds everything stored for its URI.

    It is told of each entry that enters or leaves the first level. Thread-safe.
    """

    def __init__(self) -> None:
        # Most URIs have one entry, which is stored without a set around it.
        self._entries: dict[bytes, Droppable | set[Droppable]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def entered(self, value: object) -> None:
        """Record that a value is in the first level; the same entry may be reported twice."""
        if not isinstance(value, Droppable):
            return
        with self._lock:
            known = self._entries.get(value.uri)
            if known is None or known is value:
                self._entries[value.uri] = value
            elif isinstance(known, Droppable):
                self._entries[value.uri] = {known, value}
            else:
                known.add(value)

    def left(self, value: object) -> None:
        """Record that a value has left the first level, where drops can no longer mark it."""
        if not isinstance(value, Droppable):
            return
        with self._lock:
            known = self._entries.get(value.uri)
            # A dropped entry is no longer in the table, and stays dropped.
            if known is value or (isinstance(known, set) and value in known):
                value.epoch = UNHELD
                if isinstance(known, set):
                    known.discard(value)
                if not isinstance(known, set) or not known:
                    del self._entries[value.uri]

    def drop(self, digest: bytes) -> None:
        """Mark the entries of a URI as dropped."""
        with self._lock:
            known = self._entries.pop(digest, ())
            for entry in (known,) if isinstance(known, Droppable) else known:
                entry.epoch = DROPPED

    def confirm(self, entry: Droppable, epoch: object) -> bool:
        """Accept an entry until the next purge; return False if no drop would mark it."""
        with self._lock:
            known = self._entries.get(entry.uri)
            is_held = known is entry or (isinstance(known, set) and entry in known)
            if is_held:
                entry.epoch = epoch
            return is_held


class DropTable:
    """The times at which URIs were invalidated, by the digest from `key.uri_digest`.

    The table answers whether a URI was invalidated after a given time: for responses requested
    before the drop, and for responses of other processes. It takes any number of URIs and never
    misses a drop. It reports a drop in error if other URIs that share all four slots were dropped
    after that time; the slots are chosen with a secret of this process that no client knows.
    Entries in the first level of this process are marked exactly: dropping one URI never affects an
    entry of another.

    Thread-safe.
    """

    def __init__(self) -> None:
        self.uris = StoredUris()
        self.count = 0
        """Changes with every drop. Read it before `dropped_at`, not after."""
        self.changed_at = -inf
        """When this process last learned of a drop or a purge, by its own clock.

        A response for which the app was called later is newer than all of them, even if one of them
        has a later time, as those of other hosts may have.
        """
        self._times: array[float] | None = None
        self._last = -inf
        self._secret = os.urandom(16)
        self._lock = Lock()

    def drop(self, digest: bytes, now: float) -> float:
        """Invalidate a URI; return the time of this drop, which is unique in this table.

        If two drops fall into one tick of the clock, the second still gets the later time.
        """
        with self._lock:
            at = self._last = max(now, nextafter(self._last, inf))
            self._drop(digest, at, at)
        return at

    def drop_at(self, digest: bytes, at: float, heard_at: float = inf) -> None:
        """Invalidate whatever another process has invalidated, up to `at`.

        `heard_at` is when this process learned of it, by its own clock; inf if that is unknown.
        """
        with self._lock:
            self._drop(digest, at, heard_at)

    def note_change(self, heard_at: float) -> None:
        """Note that this process learned of a purge."""
        with self._lock:
            self.changed_at = max(self.changed_at, heard_at)

    def _drop(self, digest: bytes, at: float, heard_at: float) -> None:
        # Set this first: a thread that stores an entry, and reads the old value after that, has
        # inserted it before the entries are marked.
        self.changed_at = max(self.changed_at, heard_at)
        times = self._times
        if times is None:
            times = self._times = array("d", [-inf]) * _SLOTS
        for slot in self._slots_of(digest):
            if times[slot] < at:
                times[slot] = at
        self.count += 1
        # Update the times first. A thread that stores an entry checks them after inserting it:
        # either the entry is marked here, or the thread sees the new time.
        self.uris.drop(digest)

    def dropped_at(self, digest: bytes) -> float:
        """Return when a URI was last invalidated, or a later time; -inf if it never was."""
        times = self._times
        return -inf if times is None else min([times[slot] for slot in self._slots_of(digest)])

    def _slots_of(self, digest: bytes) -> Iterator[int]:
        size = _SLOTS_OF_ONE * _SLOT_BYTES
        found = blake2b(digest, digest_size=size, key=self._secret).digest()
        for start in range(0, size, _SLOT_BYTES):
            yield int.from_bytes(found[start : start + _SLOT_BYTES], "little") % _SLOTS
