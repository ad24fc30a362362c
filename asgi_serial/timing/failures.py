"""Failures of what users plug in: counted all, logged now and then."""

import logging
from collections.abc import Callable
from time import monotonic

_logger = logging.getLogger("asgi_serial")
_QUIET_SECONDS = 30.0


class Failures:
    """Counts the exceptions of one part, and logs one of every `quiet_seconds`.

    `part` is the part that fails, `consequence` says what is done without it.
    """

    __slots__ = ("_clock", "_consequence", "_part", "_quiet_seconds", "_quiet_until", "count")

    def __init__(
        self,
        part: str,
        consequence: str,
        clock: Callable[[], float] = monotonic,
        *,
        quiet_seconds: float = _QUIET_SECONDS,
    ) -> None:
        self._part = part
        self._consequence = consequence
        self._clock = clock
        self._quiet_seconds = quiet_seconds
        self._quiet_until = float("-inf")
        self.count = 0

    def note(self, error: Exception) -> None:
        """Count a failure, and log it unless one was logged shortly before."""
        self.count += 1
        now = self._clock()
        if now >= self._quiet_until:
            self._quiet_until = now + self._quiet_seconds
            _logger.warning(
                "%s fails (%r; %d times so far); %s.",
                self._part,
                error,
                self.count,
                self._consequence,
                exc_info=error,
            )
