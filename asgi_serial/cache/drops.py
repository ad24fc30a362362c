"""When each URI was last invalidated, in bounded memory and by no key that a client can aim at."""

from __future__ import annotations

import os
from array import array
from hashlib import blake2b
from math import inf, nextafter
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

# 2 MB, made at the first drop. A URI has four slots, and its time is the earliest of theirs: after
# 16,000 drops of other URIs, one in 400 would pass for dropped with them, after 64,000 one in 6.
_SLOTS = 2**18
_SLOTS_OF_ONE = 4
_SLOT_BYTES = 4


class StoredUri:
    """What all responses share that this process has stored of one URI."""

    __slots__ = ("__weakref__", "is_dropped")

    def __init__(self) -> None:
        self.is_dropped = False


NEVER_DROPPED = StoredUri()
"""Of responses that are not stored, or not yet."""


class DropTable:
    """The times at which URIs were invalidated; `digest` is one of `key.uri_digest`.

    It answers two questions, however many URIs were invalidated:

    - Was a stored response invalidated? `find` gives the one object of its URI, which a drop
      marks. This is exact: a drop of one URI never touches a response stored for another.
    - Was the URI invalidated after a time? This is for responses that were asked for before, and
      for those of other processes. The table never says no in error. It says yes in error where
      other URIs were dropped after that time and share all slots, which are chosen by a key of
      this process that no client knows.

    Threads may share it.
    """

    def __init__(self) -> None:
        self._uris: WeakValueDictionary[bytes, StoredUri] = WeakValueDictionary()
        self._times: array[float] | None = None
        self._last = -inf
        self._secret = os.urandom(16)
        self._lock = Lock()

    def find(self, digest: bytes) -> StoredUri:
        """Return the object that stored responses of this URI share.

        Take it before asking `dropped_at`, so that no drop falls in between.
        """
        with self._lock:
            uri = self._uris.get(digest)
            if uri is None:
                uri = self._uris[digest] = StoredUri()
            return uri

    def drop(self, digest: bytes, now: float) -> float:
        """Invalidate a URI; return the time of this drop, which no other drop of this has.

        Two drops may come in one tick of the clock: the later has the later time all the same.
        """
        with self._lock:
            at = self._last = max(now, nextafter(self._last, inf))
            self._drop(digest, at)
        return at

    def drop_at(self, digest: bytes, at: float) -> None:
        """Invalidate what another process has invalidated, up to `at`."""
        with self._lock:
            self._drop(digest, at)

    def _drop(self, digest: bytes, at: float) -> None:
        times = self._times
        if times is None:
            times = self._times = array("d", [-inf]) * _SLOTS
        for slot in self._slots_of(digest):
            if times[slot] < at:
                times[slot] = at
        # The times first: see `find`.
        uri = self._uris.pop(digest, None)
        if uri is not None:
            uri.is_dropped = True

    def dropped_at(self, digest: bytes) -> float:
        """Return when a URI was last invalidated, or a later time; -inf if it never was."""
        times = self._times
        return -inf if times is None else min([times[slot] for slot in self._slots_of(digest)])

    def _slots_of(self, digest: bytes) -> Iterator[int]:
        size = _SLOTS_OF_ONE * _SLOT_BYTES
        found = blake2b(digest, digest_size=size, key=self._secret).digest()
        for start in range(0, size, _SLOT_BYTES):
            yield int.from_bytes(found[start : start + _SLOT_BYTES], "little") % _SLOTS
