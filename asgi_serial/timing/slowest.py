"""The slowest requests of the last hour, with their paths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappush, heapreplace
from threading import Lock
from typing import Any, NamedTuple

from asgi_serial.timing.base import PHASES

MOST = 20
"""How many requests the report names."""

_PARTS = 6
_PART_NS = 3600 * 1_000_000_000 // _PARTS
_IN_A_PART = 5
_LONGEST_PATH = 200


class SlowRequest(NamedTuple):
    """One request; `path` has no query and is cut, and the client is not named."""

    total_ns: int
    ended_ns: int
    method: str
    path: str
    route: str
    status: int
    outcome: str
    first_byte_ns: int
    phases: Sequence[int]


class Slowest:
    """The slowest requests of each sixth of the last hour.

    The request path asks only whether a request took longer than `floor_ns` or ended after
    `ends_ns`, and calls `add` if so: for all but the slowest, two comparisons of numbers.
    """

    __slots__ = ("_lock", "_past", "_present", "ends_ns", "floor_ns")

    def __init__(self) -> None:
        self._lock = Lock()
        self._past: list[SlowRequest] = []
        self._present: list[SlowRequest] = []
        self.floor_ns = -1
        """A request of the present part that took no longer is not among the slowest."""
        self.ends_ns = 0
        """When the present part ends, by perf_counter_ns."""

    def add(self, request: SlowRequest) -> None:
        """Note a request, if it is one of the slowest of its part of the hour."""
        if len(request.path) > _LONGEST_PATH:
            request = request._replace(path=request.path[:_LONGEST_PATH])
        with self._lock:
            if request.ended_ns >= self.ends_ns:
                self._begin(request.ended_ns)
            present = self._present  # a heap: the fastest of them comes first
            if len(present) < _IN_A_PART:
                heappush(present, request)
            elif request > present[0]:
                heapreplace(present, request)
            if len(present) == _IN_A_PART:
                self.floor_ns = present[0].total_ns

    def _begin(self, now_ns: int) -> None:
        """Begin a new part of the hour, and forget what is older than an hour."""
        oldest = now_ns - _PARTS * _PART_NS
        self._past = [one for one in (*self._past, *self._present) if one.ended_ns > oldest]
        self._present = []
        self.floor_ns = -1
        self.ends_ns = now_ns + _PART_NS

    def find(self, now_ns: int) -> list[SlowRequest]:
        """Return the slowest requests of the last hour, the slowest first."""
        oldest = now_ns - _PARTS * _PART_NS
        with self._lock:
            known = [one for one in (*self._past, *self._present) if one.ended_ns > oldest]
        return sorted(known, key=lambda one: one.total_ns, reverse=True)[:MOST]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._past, self._present, self.floor_ns = [], [], -1


def describe_slowest(
    requests: Iterable[SlowRequest], now_ns: int, now: float
) -> list[dict[str, Any]]:
    """Return requests as the report has them."""
    return [
        {
            "at": round(now - (now_ns - one.ended_ns) / 1e9, 3),
            "seconds_ago": round((now_ns - one.ended_ns) / 1e9, 3),
            "method": one.method,
            "path": one.path,
            "route": one.route,
            "status": one.status,
            "outcome": one.outcome,
            "total_ms": one.total_ns / 1e6,
            "first_byte_ms": one.first_byte_ns / 1e6,
            "phases_ms": {
                name: spent / 1e6 for name, spent in zip(PHASES, one.phases, strict=True)
            },
        }
        for one in requests
    ]
