"""The fence around every call of a store: a time-out, a breaker, counters, and no exception."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from asgi_serial.cache.breaker import Breaker

T = TypeVar("T")

_logger = logging.getLogger("asgi_serial")
_QUIET_SECONDS = 30.0

COUNTERS = (
    "gets",
    "hits",
    "sets",
    "deletes",
    "timeouts",
    "errors",
    "refusals",
    "oversized",
    "not_bytes",
    "skipped_by_breaker",
)
"""What is counted: calls; values found; calls that took too long, broke, or that the server
answered with an error; values over the limit, or of another type; calls not made at all."""


class Refusal(Exception):
    """The server answered, and the answer is an error."""


class Oversized(Refusal):
    """The value is longer than the caller allows; it was not read."""


class Guard:
    """Makes calls that end in time and never raise; may be shared by loops and threads."""

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        refusals: tuple[type[Exception], ...],
        clock: Callable[[], float],
    ) -> None:
        self._name = name
        self._timeout = timeout
        self._refusals: tuple[type[Exception], ...] = (Refusal, *refusals)
        self._clock = clock
        self._breaker = Breaker()
        self._quiet_until = float("-inf")
        self.counters = dict.fromkeys(COUNTERS, 0)

    async def attempt(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """Await `call()`; None where it failed, took too long, or was not made.

        Raises: CancelledError, where the caller's own task is cancelled.
        """
        ticket = self._breaker.enter(self._clock())
        if ticket is None:
            self.counters["skipped_by_breaker"] += 1
            return None
        try:
            async with asyncio.timeout(self._timeout):
                result = await call()
        except self._refusals as error:
            self._breaker.succeeded(ticket)
            self._note("oversized" if isinstance(error, Oversized) else "refusals", error)
        except TimeoutError as error:
            self._failed(ticket, "timeouts", error)
        except Exception as error:
            self._failed(ticket, "errors", error)
        except asyncio.CancelledError as error:
            # A client may cancel its own futures when a connection breaks; that is a failure
            # of the store, and must not look like a cancellation of the request.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._failed(ticket, "errors", error)
        else:
            self._breaker.succeeded(ticket)
            return result
        return None

    def _failed(self, ticket: int, kind: str, error: BaseException) -> None:
        self._breaker.failed(ticket, self._clock())
        self._note(kind, error)

    def _note(self, kind: str, error: BaseException) -> None:
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
