"""A bounded memory of pure functions of fields' raw values."""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

MAX_ENTRIES = 1024
MAX_KEY_BYTES = 4096  # a longer value is worked out each time, so that nobody can fill the memory


class Memo(dict[K, V]):
    """`memo[value]` is `function(value)`, kept: clients send the same few values again and again.

    The value is that of one field, or a tuple of several.

    >>> lengths = Memo(len)
    >>> lengths[b"gzip, br"]
    8
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[K], V]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, value: K) -> V:
        result = self._function(value)
        if size_of(value) <= MAX_KEY_BYTES:
            if len(self) >= MAX_ENTRIES:
                self.clear()
            self[value] = result
        return result


def size_of(value: object) -> int:
    """How many bytes there are in a value, or in the parts of a tuple."""
    if isinstance(value, tuple):
        return sum(map(size_of, value))
    return len(value) if isinstance(value, bytes) else 0
