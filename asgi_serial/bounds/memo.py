"""Caches of values that derive from what clients send, bounded in bytes."""

from collections.abc import Callable
from sys import getsizeof
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

MAX_BYTES = 512 << 10
"""The default limit of one cache: about a thousand fields of common length, with their results."""

MAX_ENTRIES = 4096

LONGEST_PART = 64
"""A pair takes at most this fraction of the limit, so that a few long ones cannot displace all."""

_PAIR_BYTES = 100  # the slot of a pair in the dict, which grows by doubling


class BoundedDict(dict[K, V]):
    """A dict that is cleared when `keep` would exceed `max_bytes`.

    Pairs that are too long are not kept. `shares_values` means that the values exist elsewhere, so
    that only the keys count. Only `keep` and `clear` may change the dict.
    """

    __slots__ = ("_shares_values", "held_bytes", "max_bytes")

    def __init__(self, max_bytes: int = MAX_BYTES, *, shares_values: bool = False) -> None:
        super().__init__()
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._shares_values = shares_values

    def keep(self, key: K, value: V, own_bytes: int = 0) -> None:
        """Store a pair unless it is too long; an older value of the key is removed in any case.

        `own_bytes` are those of a shared value that do not exist elsewhere.
        """
        size = _PAIR_BYTES + weigh(key) + (own_bytes if self._shares_values else weigh(value))
        if size * LONGEST_PART > self.max_bytes:
            self.pop(key, None)
            return
        # There is no lock, so threads may lose an update of `held_bytes`. The number of pairs
        # bounds the memory nevertheless.
        if self.held_bytes + size > self.max_bytes or len(self) >= MAX_ENTRIES:
            self.clear()
        if key not in self:
            self.held_bytes += size
        self[key] = value

    def add_bytes(self, own_bytes: int) -> None:
        """Count bytes that a shared value has come to hold; if they are too many, clear."""
        self.held_bytes += own_bytes
        if self.held_bytes > self.max_bytes:
            self.clear()

    def clear(self) -> None:
        """Remove all pairs."""
        super().clear()
        self.held_bytes = 0


class Memo(BoundedDict[K, V]):
    """A cache of `function`: `memo[value]` returns `function(value)`.

    The value is that of a field, or a tuple of several. Clients send the same few values again and
    again, and a hit is one look-up in a dict, in C.

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
    """Return an estimate of a value's size in bytes, including the values within it.

    It looks into the kinds of containers and slots that parsed fields consist of.
    """
    size = getsizeof(value)
    if isinstance(value, tuple | list | set | frozenset):
        return size + sum(map(weigh, value))
    slots: tuple[str, ...] = getattr(value, "__slots__", ())
    return size + sum(weigh(getattr(value, name)) for name in slots)
