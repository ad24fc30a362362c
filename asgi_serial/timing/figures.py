"""The figures of one exchange, the phases of its time, and the slowest exchanges of an hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappush, heapreplace
from threading import Lock
from typing import Any, NamedTuple, TypeAlias

from asgi_serial.timing.base import PHASES


class Figures(NamedTuple):
    """The figures of one exchange, or their sums for many; times are in ns, and no integers.

    All that is derived from them is linear. So the phases of a single exchange are not computed on
    its way, and the sums of many give the sums of their phases.

    Most exchanges end with `at`: a tuple of their first `USUAL` figures stands for all of them.
    """

    first_byte: float
    """From the arrival of the request to the first message of the body."""
    total: float
    """From the arrival of the request until the server had taken the last message of the body."""
    app_bytes: int
    """The size of the body as the app made it."""
    encoded_bytes: int
    """Its size in the negotiated format."""
    sent_bytes: int
    """The size of what was sent."""
    before_call: float
    """From the arrival of the request to the call of the app."""
    sent: float
    """The time spent in the server's `send`."""
    background: float
    """From the last message of the body until the app had returned."""
    at: float
    """The moment at which the app had returned, by perf_counter."""
    waited_before_call: float = 0.0
    """The time waited for the request until the app was called."""
    decoded: float = 0.0
    """The time spent on decoding the request, before the app was called."""
    waited: float = 0.0
    """The time waited for the request."""
    encoded: float = 0.0
    """The time spent on the response."""
    apart: float = 0.0
    """The part of `waited`, `encoded` and `sent` that was spent before the first byte."""


WIDTH = len(Figures._fields)
TOTAL, AT = map(Figures._fields.index, ("total", "at"))
USUAL = AT + 1


_NO_OTHERS = (0.0,) * (WIDTH - USUAL)


def divide(figures: Iterable[float]) -> tuple[int, int, int, int, int, int, int, int]:
    """Return the time in each of `PHASES`; together they are the time until the app returned.

    `figures` are `Figures`, all of them or the usual ones.

    >>> usual, rest = (50, 65, 0, 0, 0, 10, 6, 5, 0), (3, 2, 13, 4, 13)
    >>> divide(usual + rest), sum(divide(usual + rest))
    ((13, 2, 5, 30, 5, 4, 6, 5), 70)
    >>> divide(usual), sum(divide(usual))
    ((0, 0, 10, 40, 9, 0, 6, 5), 70)
    """
    first_byte, total, _, _, _, before_call, sent, background, _, *rest = figures
    waited_before_call, decoded, waited, encoded, apart = rest or _NO_OTHERS
    return (
        round(waited),
        round(decoded),
        round(before_call - waited_before_call - decoded),
        round(first_byte - before_call - (apart - waited_before_call)),
        round(total - first_byte - (waited + encoded + sent - apart)),
        round(encoded),
        round(sent),
        round(background),
    )


MOST = 20
"""How many requests the report names."""

_PARTS = 6
_PART_NS = 3600 * 1_000_000_000 // _PARTS
_IN_A_PART = 5
_LONGEST_PATH = 200


Labels: TypeAlias = tuple[str, str, int, str]
"""The route, method, status and outcome of a request."""


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

    def note(self, labels: Labels | None, path: str, figures: Sequence[float]) -> None:
        """Note a request by its figures, if it is one of the slowest; `path` is as it was sent.

        Without labels, which were malformed, it is not noted.
        """
        if labels is None:
            return
        first_byte_ns, total_ns, ended_ns = map(round, (figures[0], figures[TOTAL], figures[AT]))
        route, method, status, outcome = labels
        sent = (method, path, route, status, outcome)
        self.add(SlowRequest(total_ns, ended_ns, *sent, first_byte_ns, divide(figures)))

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
