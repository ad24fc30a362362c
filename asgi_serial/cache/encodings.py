"""Encoded forms of bodies that the app makes again and again.

Equal keys mean equal bytes (a cryptographic digest of them), so this cache can give nobody
another's content. It saves the encoding only: the app always runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.bounds.memo import BoundedDict

if TYPE_CHECKING:
    from asgi_serial.cache.memory import Memory

# A digest costs 1 ns a byte and some us on top: for less, a lookup costs what it saves.
MIN_BYTES = 1_000

# A route is judged by this many lookups: with less than a quarter found, the digests cost more
# than they save at zstd's price. It is looked at again after so many responses without.
TRIAL = 64
WORTH_IT = TRIAL // 4
PAUSE = 1_000

# The digest, the key's tuple, the named tuple and their places in the memory.
OVERHEAD_BYTES = 400


class Encoded(NamedTuple):
    """What became of a body; `media_type` and `coding` are empty where it stayed as it was."""

    media_type: str
    coding: str
    content: bytes
    format_bytes: int  # how long it was before the coding


class _Trial:
    """How a route fares; counts down through a trial, or up to its next one."""

    __slots__ = ("found", "left", "pausing")

    def __init__(self) -> None:
        self.left = TRIAL
        self.found = 0
        self.pausing = False


class Encodings:
    """The cache; it stops paying for digests on routes whose bodies do not repeat."""

    def __init__(self, memory: Memory[object], max_object_bytes: int) -> None:
        self.hits = 0
        self.misses = 0
        self._memory = memory
        self._max_object_bytes = max_object_bytes
        self._trials: BoundedDict[str, _Trial] = BoundedDict()

    def wants(self, route: str, size_bytes: int, *, min_bytes: int = MIN_BYTES) -> bool:
        """Whether looking a body of this size up is expected to pay, on this route.

        `min_bytes` is the size from which it pays with the coding that is wanted.
        """
        if size_bytes < min_bytes:
            return False
        trial = self._trials.get(route)
        if trial is None:
            trial = _Trial()
            self._trials.keep(route, trial)
        trial.left -= 1
        if trial.left < 0:
            trial.pausing = not trial.pausing and trial.found < WORTH_IT
            trial.left = PAUSE if trial.pausing else TRIAL
            trial.found = 0
        return not trial.pausing

    def find(self, route: str, digest: bytes, media_type: str, coding: str) -> Encoded | None:
        """What the body of this digest became for this variant, if it is remembered."""
        found = self._memory.get((digest, media_type, coding))
        if not isinstance(found, Encoded):
            self.misses += 1
            return None
        self.hits += 1
        trial = self._trials.get(route)
        if trial is not None:
            trial.found += 1
        return found

    def keep(self, digest: bytes, media_type: str, coding: str, encoded: Encoded) -> None:
        """Remember what the body of this digest became for this variant."""
        size = len(encoded.content) + OVERHEAD_BYTES
        if size <= self._max_object_bytes:
            self._memory.put((digest, media_type, coding), encoded, size)
