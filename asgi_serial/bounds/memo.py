"""Memories of what clients send, bounded in bytes."""

from collections.abc import Callable
from sys import getsizeof
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

MAX_BYTES = 512 << 10
"""What one memory keeps at most: a thousand fields of usual length, with what they mean."""

MAX_ENTRIES = 4096

LONGEST_PART = 64
"""A pair takes at most this part of the memory, so that few of them cannot empty it."""

_PAIR_BYTES = 100  # the place of a pair in the dict, which grows by doubling


class BoundedDict(dict[K, V]):
    """A dict that is emptied where `keep` would make it hold more than `max_bytes`.

    What is too long is not kept. With `shares_values` the values are there anyway, and only the
    keys are counted. Only `keep` and `clear` may change it.
    """

    __slots__ = ("_shares_values", "held_bytes", "max_bytes")

    def __init__(self, max_bytes: int = MAX_BYTES, *, shares_values: bool = False) -> None:
        super().__init__()
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._shares_values = shares_values

    def keep(self, key: K, value: V) -> None:
        """Keep a pair, unless it is too long; an older value of the key is forgotten."""
        size = _PAIR_BYTES + weigh(key) + (0 if self._shares_values else weigh(value))
        if size * LONGEST_PART > self.max_bytes:
            self.pop(key, None)
            return
        # Threads may share it, and lose a count: the number of pairs bounds it all the same.
        if self.held_bytes + size > self.max_bytes or len(self) >= MAX_ENTRIES:
            self.clear()
        if key not in self:
            self.held_bytes += size
        self[key] = value

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self.held_bytes = 0


class Memo(BoundedDict[K, V]):
    """`memo[value]` is `function(value)`, kept: clients send the same few values again and again.

    The value is that of one field, or a tuple of several.

    >>> lengths = Memo(len)
    >>> lengths[b"gzip, br"]
    8
    """

    __slots__ = ("_function",)

    def __init__(
        self,
        function: Callable[[K], V],
        max_bytes: int = MAX_BYTES,
        *,
        shares_values: bool = False,
    ) -> None:
        super().__init__(max_bytes, shares_values=shares_values)
        self._function = function

    def __missing__(self, key: K) -> V:
        value = self._function(key)
        self.keep(key, value)
        return value


def weigh(value: object) -> int:
    """Return about how many bytes a value takes, with all that it holds.

    Looked into are the containers and the slots of objects that are made of a field's value.
    """
    size = getsizeof(value)
    if isinstance(value, tuple | list | set | frozenset):
        return size + sum(map(weigh, value))
    slots: tuple[str, ...] = getattr(value, "__slots__", ())
    return size + sum(weigh(getattr(value, name)) for name in slots)
