"""Values that may be used once, within the time that they hold."""

from __future__ import annotations

from threading import Lock

MAX_SPENT = 1000


class Spent:
    """The values that were used, each until it expires anyway.

    If there are too many, another is refused rather than used twice.
    """

    __slots__ = ("_expiries", "_lock")

    def __init__(self) -> None:
        self._expiries: dict[str, float] = {}
        self._lock = Lock()

    def spend(self, value: str, expires: float, now: float) -> bool:
        """Note the use of a value; return whether it is the first one."""
        with self._lock:
            for spent in [each for each, end in self._expiries.items() if end <= now]:
                del self._expiries[spent]
            if value in self._expiries or len(self._expiries) >= MAX_SPENT:
                return False
            self._expiries[value] = expires
            return True
