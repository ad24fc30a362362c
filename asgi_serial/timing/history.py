"""Requests and errors in each minute of the last hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypedDict

MINUTES = 60
_MINUTE_NS = 60_000_000_000


class Minute(TypedDict):
    """The requests that ended in one minute; `start` is in epoch seconds."""

    start: float
    requests: int
    errors: int


class History:
    """Counts requests by the minute in which they ended; at most an hour of them.

    Times are those of `perf_counter_ns`, so that no clock that is set moves a request. They are
    added by the batch when it is counted: nothing is done here for a single request.
    """

    __slots__ = ("_errors", "_requests")

    def __init__(self) -> None:
        self._requests: Counter[int] = Counter()
        self._errors: Counter[int] = Counter()

    def add(self, ends_ns: Sequence[float], *, are_errors: bool) -> None:
        """Count requests by the times at which they ended, which are in order."""
        first, last = int(ends_ns[0] // _MINUTE_NS), int(ends_ns[-1] // _MINUTE_NS)
        if first == last:
            self._requests[first] += len(ends_ns)
            if are_errors:
                self._errors[first] += len(ends_ns)
            self._forget_oldest()
        else:
            counts = Counter(int(end // _MINUTE_NS) for end in ends_ns)
            self._add(counts, counts if are_errors else Counter())

    def merge(self, other: History) -> None:
        """Add everything that `other` has counted in this or another process of this machine."""
        self._add(other._requests, other._errors)

    def _add(self, requests: Counter[int], errors: Counter[int]) -> None:
        self._requests.update(requests)
        self._errors.update(errors)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        if len(self._requests) > MINUTES:
            oldest = max(self._requests) - MINUTES
            for minute in [minute for minute in self._requests if minute <= oldest]:
                del self._requests[minute]
                self._errors.pop(minute, None)

    def clear(self) -> None:
        """Forget everything."""
        self._requests.clear()
        self._errors.clear()

    def to_list(self, now_ns: int, now: float) -> list[Minute]:
        """Return the minutes of the last hour, the current one last.

        `now_ns` is of `perf_counter_ns`, and `now` the same moment in epoch seconds.
        """
        current = now_ns // _MINUTE_NS
        return [
            Minute(
                start=round(now - (now_ns - minute * _MINUTE_NS) / 1e9, 3),
                requests=self._requests[minute],
                errors=self._errors[minute],
            )
            for minute in range(current - MINUTES + 1, current + 1)
        ]
