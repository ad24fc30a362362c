"""A cache of instances by the documents from which they were read."""

from collections.abc import Hashable
from typing import Any

from asgi_serial.cache.memory import Memory
from asgi_serial.serialization.models import ModelType
from asgi_serial.serialization.serializers import Reader

# An estimate: an instance takes several times as many bytes as its document.
_SIZE_FACTOR = 5
_OVERHEAD_BYTES = 500

# A trial of a class takes this many look-ups. If less than a quarter of them hit, they cost more
# than they save, and the class is not looked up for the next _PAUSE documents.
_TRIAL = 64
_WORTH_IT = _TRIAL // 4
_PAUSE = 1_000


class _Trial:
    """Decides whether look-ups for a class are worthwhile; alternates trials and pauses."""

    __slots__ = ("found", "is_pausing", "left")

    def __init__(self) -> None:
        self.left = _TRIAL
        self.found = 0
        self.is_pausing = False

    def start_next(self) -> None:
        """Decide from the look-ups of this trial if a pause follows, and start it."""
        self.is_pausing = not self.is_pausing and self.found < _WORTH_IT
        self.left = _PAUSE if self.is_pausing else _TRIAL
        self.found = 0


class ValidationCache:
    """A cache of immutable instances: equal documents yield the same instance.

    It holds only instances of deeply frozen classes that depend on nothing but their document. The
    document itself is part of the key, not a digest of it, so no other document can be mistaken
    for it.
    """

    def __init__(self, memory: Memory[object]) -> None:
        self.hits = 0
        self.misses = 0
        self._memory = memory

    def around(self, read: Reader, known: ModelType, variant: str) -> Reader:
        """Return a reader that looks documents up before it calls `read`.

        Instances are cached per class and `variant`, which names the format and strictness.
        """
        trial, find_slot, keep = _Trial(), self._memory.find_slot, self._keep
        # A class that was rebuilt may read a document otherwise.
        owner = ("val", known.key, known.validator, variant)

        def read_or_find(document: bytes) -> Any:
            trial.left -= 1
            if trial.left < 0:
                trial.start_next()
            if trial.is_pausing:
                return read(document)
            slot = find_slot((owner, document))
            if slot is not None:
                slot.is_used = True
                self.hits += 1
                trial.found += 1
                return slot.value
            self.misses += 1
            found = read(document)
            keep((owner, document), document, found, known)
            return found

        return read_or_find

    def _keep(self, key: Hashable, document: bytes, model: Any, known: ModelType) -> None:
        factories = known.reading.factory_fields
        # A default factory may give another value for each instance, such as a time or an ID.
        if factories and not factories <= model.model_fields_set:
            return
        self._memory.put(key, model, _SIZE_FACTOR * len(document) + _OVERHEAD_BYTES)

    @property
    def hit_rate(self) -> float:
        """The share of look-ups that hit, from 0 to 1; 0 before the first."""
        looked_up = self.hits + self.misses
        return self.hits / looked_up if looked_up else 0.0
