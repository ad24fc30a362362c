"""Models that were read, under the bytes that they were read from."""

from collections.abc import Hashable
from typing import Any

from asgi_serial.cache.memory import Memory
from asgi_serial.serialization.models import ModelType
from asgi_serial.serialization.serializers import Reader

# A model takes some times the bytes of its document.
_SIZE_FACTOR = 5
_OVERHEAD_BYTES = 500

# A class is judged by so many look-ups: where under a quarter is found, they cost more than they
# save. It is looked at again after so many readings without.
_TRIAL = 64
_WORTH_IT = _TRIAL // 4
_PAUSE = 1_000


class _Trial:
    """How a class fares; counts down through a trial, or up to its next one."""

    __slots__ = ("found", "is_pausing", "left")

    def __init__(self) -> None:
        self.left = _TRIAL
        self.found = 0
        self.is_pausing = False

    def is_on(self) -> bool:
        """Whether the next document is to be looked up."""
        self.left -= 1
        if self.left < 0:
            self.is_pausing = not self.is_pausing and self.found < _WORTH_IT
            self.left = _PAUSE if self.is_pausing else _TRIAL
            self.found = 0
        return not self.is_pausing


class ValidationCache:
    """A memory of immutable models; it gives the same instance to all who send the same bytes.

    Only classes that are frozen all through are kept, and of these only instances that depend on
    nothing but the bytes. The key is the bytes themselves: equal keys are equal documents.
    """

    def __init__(self, memory: Memory[object]) -> None:
        self.hits = 0
        self.misses = 0
        self._memory = memory

    def around(self, read: Reader, known: ModelType, variant: str) -> Reader:
        """`read`, but for documents of which the instance is kept; by class and by variant."""
        trial, find, keep = _Trial(), self._memory.get, self._keep

        def read_or_find(document: bytes) -> Any:
            if not trial.is_on():
                return read(document)
            key = ("val", known.cls, variant, document)
            found = find(key)
            if found is None:
                self.misses += 1
                found = read(document)
                keep(key, document, found, known)
            else:
                self.hits += 1
                trial.found += 1
            return found

        return read_or_find

    def _keep(self, key: Hashable, document: bytes, model: Any, known: ModelType) -> None:
        factories = known.reading.factory_fields
        # What a factory made belongs to one reading: the next one has another time, or another id.
        if factories and not factories <= model.model_fields_set:
            return
        self._memory.put(key, model, _SIZE_FACTOR * len(document) + _OVERHEAD_BYTES)

    @property
    def hit_rate(self) -> float:
        """The share of look-ups that found something, 0 to 1; 0 before the first."""
        looked_up = self.hits + self.misses
        return self.hits / looked_up if looked_up else 0.0
