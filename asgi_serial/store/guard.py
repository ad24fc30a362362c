"""The fence around every call of a store: a time-out, a breaker, counters, and no exception."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, TypeAlias, TypeVar

from asgi_serial.concurrency.loops import PerLoop
from asgi_serial.store.breaker import Breaker

T = TypeVar("T")

_logger = logging.getLogger("asgi_serial")
_QUIET_SECONDS = 30.0
# Nodes that a cluster has had; where there were more, all are given another chance.
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
"""What is counted: calls; values found; calls that took too long, that waited too long for a free
connection, broke, or that the server answered with an error; values over the limit, or of another
type; calls not made at all; calls made again since one had failed."""

Retry: TypeAlias = tuple[int, float]
"""How often to make a failed call again, and how many seconds to wait before each time."""


def never_again() -> Retry:
    """Make no call again."""
    return 0, 0.0


class Refusal(Exception):
    """The server answered, and the answer is an error."""


class Oversized(Refusal):
    """The value is longer than the caller allows; it was not read."""


class Guard:
    """Makes calls that end in time and never raise; may be shared by loops and threads.

    Each place that is called, a node of a cluster say, has a breaker of its own, and each event
    loop makes at most `at_once` calls of it at a time: the others wait, within their time-out.
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
    ) -> None:
        self._name = name
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
        self.counters = dict.fromkeys(COUNTERS, 0)

    async def attempt(
        self, call: Callable[[], Coroutine[Any, Any, T]], place: str = ""
    ) -> T | None:
        """Await `call()`; None where it failed, took too long, or was not made.

        A call that the server refused is not made again, and none is that the breaker holds back.
        Raises: CancelledError, where the caller's own task is cancelled.
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
        """What came of one call, and whether making it again may give more."""
        ticket = breaker.enter(self._clock())
        if ticket is None:
            self.counters["skipped_by_breaker"] += 1
            return None, False
        loop = asyncio.get_running_loop()
        answers, began, deadline = breaker.answers, inf, loop.time() + self._timeout

        async def pass_gate() -> T:
            nonlocal began
            async with gate:
                began = loop.time()
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
            return task.result(), False
        # A call that ran out of time says nothing against a store that has answered others
        # meanwhile, where it had less than half of its time for itself, or where this loop is so
        # busy that it does not get to answers that are there.
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
        # A call has a task of its own since a client may swallow its cancellation and wait on
        # (redis-py 5.0 does, for a lock that it holds itself): its caller goes on without it.
        self._abandoned.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # asyncio reports an exception that nobody read

    def _judge(self, error: BaseException, breaker: Breaker, ticket: int) -> str:
        if isinstance(error, self._refusals):
            breaker.succeeded(ticket)
            return "oversized" if isinstance(error, Oversized) else "refusals"
        breaker.failed(ticket, self._clock())
        return "timeouts" if isinstance(error, TimeoutError) else "errors"

    def _note(self, error: BaseException, kind: str) -> None:
        self.counters[kind] += 1
        now = self._clock()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            _logger.warning(
                "The store %s fails (%s: %r); requests are answered without it.",
                self._name,
                kind,
                error,
            )
