"""A circuit breaker for a failing store."""


class Breaker:
    """Lets calls through until several fail in a row; then lets one probe through per back-off.

    The back-off doubles with every failed probe. The caller passes the time in, in seconds. If the
    outcome of a probe is never reported, the next one follows after the same back-off.
    """

    __slots__ = (
        "_back_off",
        "_epoch",
        "_failures",
        "_first",
        "_longest",
        "_next_probe",
        "_threshold",
        "answers",
    )

    def __init__(
        self,
        *,
        threshold: int = 3,
        first_back_off_seconds: float = 1.0,
        longest_back_off_seconds: float = 30.0,
    ) -> None:
        self._threshold = threshold
        self._first = first_back_off_seconds
        self._longest = longest_back_off_seconds
        self._failures = 0
        self._back_off = 0.0  # 0 while the breaker is closed
        self._next_probe = 0.0
        self._epoch = 0
        self.answers = 0  # the number of calls that were answered

    @property
    def is_open(self) -> bool:
        """Whether calls are held back, except for probes."""
        return self._back_off > 0

    @property
    def is_failing(self) -> bool:
        """Whether the last call that says something of the store as it is now has failed."""
        return self._failures > 0

    def enter(self, now: float) -> int | None:
        """Return a ticket for one call, to hand back with the outcome; None: do not call."""
        if self._back_off:
            if now < self._next_probe:
                return None
            self._next_probe = now + self._back_off
            self._epoch += 1
        return self._epoch

    def succeeded(self, ticket: int) -> None:
        """Report that the call was answered."""
        self.answers += 1
        # Calls that began before the breaker opened say nothing about the store as it is now.
        if ticket == self._epoch:
            self._failures = 0
            self._back_off = 0.0

    def failed(self, ticket: int, now: float) -> None:
        """Report that the call was not answered."""
        if ticket != self._epoch:
            return
        self._failures += 1
        if self._back_off or self._failures >= self._threshold:
            self._back_off = min(self._longest, self._back_off * 2 or self._first)
            self._next_probe = now + self._back_off
            self._epoch += 1
