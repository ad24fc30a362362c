"""Guard every call of a store with a time-out, a circuit breaker and counters."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from math import inf
from typing import Any, TypeAlias, TypeVar

from asgi_serial.concurrency.loops import PerLoop
from asgi_serial.store.breaker import Breaker

T = TypeVar("T")

_logger = logging.getLogger("asgi_serial")
_QUIET_SECONDS = 30.0
_LONGEST_ERROR = 200
_STATES = ("closed", "open")
# A call that met one of these was not answered as it should have been.
_FAILURES = ("timeouts", "errors", "refusals")
# The limit of cluster nodes that are remembered; beyond it all are forgotten and tried anew.
_MAX_PLACES = 1000

COUNTERS = (
    "gets",
    "hits",
    "sets",
    "adds",
    "increments",
    "deletes",
    "timeouts",
    "crowded",
    "errors",
    "refusals",
    "oversized",
    "not_bytes",
    "skipped_by_breaker",
    "retries",
)
"""The counters of a store.

gets, sets, adds, increments, deletes: calls. hits: values found. timeouts: calls that took too
long. crowded: calls that waited too long for a free connection. errors: calls that failed.
refusals: errors that the server answered. oversized, not_bytes: values over the limit, or of
another type. skipped_by_breaker: calls not made. retries: calls repeated after a failure.
"""

Retry: TypeAlias = tuple[int, float]
"""The number of times to repeat a failed call, and the delay before each, in seconds."""


def never_again() -> Retry:
    """Return that failed calls are not repeated."""
    return 0, 0.0


class Refusal(Exception):
    """The server answered with an error."""


class Oversized(Refusal):
    """The value exceeds the limit; it was not read."""


class Guard:
    """Makes calls that end in time and never raise; shared by event loops and threads.

    Each place, such as a node of a cluster, has its own breaker. Each event loop makes at most
    `at_once` concurrent calls of a place; further calls wait, within their time-out. A place whose
    breaker is open may have moved: `reconnect` is awaited before each probe.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        refusals: tuple[type[Exception], ...],
        clock: Callable[[], float],
        retry: Callable[[], Retry] = never_again,
        at_once: int = 100,
        reconnect: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._name = name
        self._reconnect = reconnect
        self._retry = retry
        self._gates: PerLoop[defaultdict[str, asyncio.Semaphore]] = PerLoop(
            lambda: (defaultdict(lambda: asyncio.Semaphore(at_once)), None), close_seconds=0.0
        )
        self._timeout = timeout
        self._refusals: tuple[type[Exception], ...] = (Refusal, *refusals)
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        self._quiet_until = float("-inf")
        self._abandoned: set[asyncio.Task[Any]] = set()
        self._last_failure: tuple[str, str, float] | None = None  # its kind, the error, the time
        self._outage: tuple[float, int] | None = None  # since when, after how many failures
        self.counters = dict.fromkeys(COUNTERS, 0)

    @property
    def open_breakers(self) -> int:
        """The number of places whose calls are held back."""
        return sum(breaker.is_open for breaker in list(self._breakers.values()))

    def state(self) -> dict[str, Any]:
        """Return the name of the store, whether it is asked, and its last failure."""
        count = self.open_breakers
        failure = self._last_failure
        return {
            "target": self._name,
            # Each node of a cluster has a breaker of its own.
            "state": "partly open" if 0 < count < len(self._breakers) else _STATES[count > 0],
            "last_failure": None
            if failure is None
            else {
                "kind": failure[0],
                "error": failure[1],
                "seconds_ago": max(0.0, self._clock() - failure[2]),
            },
        }

    async def attempt(
        self, call: Callable[[], Coroutine[Any, Any, T]], place: str = ""
    ) -> T | None:
        """Await `call()`; return None if it failed, took too long, or was not made.

        A call is not repeated if the server refused it, or if the breaker is open.

        Raises: CancelledError if the caller's own task is cancelled.
        """
        breaker = self._breaker_of(place)
        gates = await self._gates.get()
        if len(gates) >= _MAX_PLACES:
            gates.clear()
        gate = gates[place]
        value, has_failed = await self._attempt_once(call, breaker, gate)
        if not has_failed:
            return value
        retries, delay_seconds = self._retry()
        for _ in range(retries):
            await asyncio.sleep(delay_seconds)
            if breaker.is_open:
                break
            self.counters["retries"] += 1
            value, has_failed = await self._attempt_once(call, breaker, gate)
            if not has_failed:
                return value
        return None

    def _breaker_of(self, place: str) -> Breaker:
        breaker = self._breakers.get(place)
        if breaker is None:
            if len(self._breakers) >= _MAX_PLACES:
                self._breakers.clear()
            breaker = self._breakers.setdefault(place, Breaker())
        return breaker

    async def _attempt_once(
        self, call: Callable[[], Coroutine[Any, Any, T]], breaker: Breaker, gate: asyncio.Semaphore
    ) -> tuple[T | None, bool]:
        """Return the result of one call, and whether it may be repeated."""
        ticket = breaker.enter(self._clock())
        if ticket is None:
            self.counters["skipped_by_breaker"] += 1
            return None, False
        reconnect = self._reconnect if breaker.is_open else None
        loop = asyncio.get_running_loop()
        answers, began, deadline = breaker.answers, inf, loop.time() + self._timeout

        async def pass_gate() -> T:
            nonlocal began
            async with gate:
                began = loop.time()
                if reconnect is not None:
                    await reconnect()
                return await call()

        task = loop.create_task(pass_gate())
        try:
            await asyncio.wait((task,), timeout=self._timeout)
        except asyncio.CancelledError:
            self._abandon(task)
            raise
        error: BaseException | None
        if task.done():
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
        else:
            self._abandon(task)
            error = TimeoutError()
        if error is None:
            breaker.succeeded(ticket)
            if self._outage is not None:
                self._note_recovery(self._outage)
            return task.result(), False
        # A time-out does not count against a store that has answered other calls meanwhile, if this
        # call spent most of its time waiting for a connection, or if this event loop is so busy
        # that it does not get to read the answers.
        now = loop.time()
        is_crowded = (
            isinstance(error, TimeoutError)
            and breaker.answers != answers
            and (now - began < self._timeout / 2 or now - deadline > self._timeout / 20)
        )
        kind = "crowded" if is_crowded else self._judge(error, breaker, ticket)
        self._note(error, kind)
        return None, kind in ("timeouts", "errors")

    def _abandon(self, task: asyncio.Task[T]) -> None:
        # Each call has its own task, because a client may swallow the cancellation and keep waiting
        # (redis-py 5.0 does, for a lock that it holds itself). The caller proceeds without it.
        self._abandoned.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # read it, or asyncio would log that it was never retrieved

    def _judge(self, error: BaseException, breaker: Breaker, ticket: int) -> str:
        if isinstance(error, self._refusals):
            breaker.succeeded(ticket)
            return "oversized" if isinstance(error, Oversized) else "refusals"
        breaker.failed(ticket, self._clock())
        return "timeouts" if isinstance(error, TimeoutError) else "errors"

    def _note(self, error: BaseException, kind: str) -> None:
        self.counters[kind] += 1
        now = self._clock()
        self._last_failure = kind, repr(error)[:_LONGEST_ERROR], now
        if now < self._quiet_until:
            return
        self._quiet_until = now + _QUIET_SECONDS
        _logger.warning(
            "The store %s fails (%s: %r); requests are answered without it.",
            self._name,
            kind,
            error,
        )
        if kind in _FAILURES and self._outage is None:
            self._outage = now, self._failures() - 1

    def _failures(self) -> int:
        return sum(self.counters[kind] for kind in _FAILURES)

    def _note_recovery(self, outage: tuple[float, int]) -> None:
        """Log that the store answers again, once no place of it fails any more."""
        if any(breaker.is_failing for breaker in list(self._breakers.values())):
            return
        self._outage = None
        began, failures = outage
        _logger.warning(
            "The store %s answers again; failed calls: %d, in %.1f s.",
            self._name,
            self._failures() - failures,
            self._clock() - began,
        )
