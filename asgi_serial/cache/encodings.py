"""Cache the encoded forms of bodies that the app repeats.

The key is a cryptographic digest of the app's bytes, so a hit never returns another's content. The
cache saves only the encoding: the app always runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.bounds.memo import BoundedDict

if TYPE_CHECKING:
    from asgi_serial.cache.memory import Memory
    from asgi_serial.reasons import Reason

# A digest takes 1 ns per byte and a few us. For smaller bodies a look-up costs what it saves.
MIN_BYTES = 1_000

# A trial of a route takes this many look-ups. If less than a quarter of them hit, the digests cost
# more than they save with zstd, and the next PAUSE responses of the route are not looked up.
TRIAL = 64
WORTH_IT = TRIAL // 4
PAUSE = 1_000

# An estimate of the digest, the key's tuple, the named tuple and their slots in the memory.
OVERHEAD_BYTES = 400


class Encoded(NamedTuple):
    """The result of encoding a body; `media_type` and `coding` are empty if they are unchanged."""

    media_type: str
    coding: str
    content: bytes
    format_bytes: int  # the size before the coding was applied
    reasons: tuple[Reason, ...] = ()  # for each planned step that was not done


class _Trial:
    """The state of a route, which alternates between trials and pauses."""

    __slots__ = ("found", "left", "pausing")

    def __init__(self) -> None:
        self.left = TRIAL
        self.found = 0
        self.pausing = False


class Encodings:
    """The cache of encodings; it skips look-ups on routes whose bodies do not repeat."""

    def __init__(self, memory: Memory[object], max_object_bytes: int) -> None:
        self.hits = 0
        self.misses = 0
        self._memory = memory
        self._max_object_bytes = max_object_bytes
        self._trials: BoundedDict[str, _Trial] = BoundedDict()

    def wants(self, route: str, size_bytes: int, *, min_bytes: int = MIN_BYTES) -> bool:
        """Whether looking up a body of this size is likely to pay off on this route.

        `min_bytes` is the size from which it pays off for the wanted coding.
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
        """Return the encoding of the body with this digest for a variant; None if unknown."""
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
        """Store the encoding of the body with this digest for a variant."""
        size = len(encoded.content) + OVERHEAD_BYTES
        if size <= self._max_object_bytes:
            self._memory.put((digest, media_type, coding), encoded, size)
