"""When a store that fails is asked again."""


class Breaker:
    """Lets calls through until some fail in a row; then one probe after each back-off.

    The back-off doubles with every failed probe. Time is whatever the caller passes in, in
    seconds; a probe whose outcome never comes is followed by the next one in its own time.
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
        self._back_off = 0.0  # 0 while calls are let through
        self._next_probe = 0.0
        self._epoch = 0
        self.answers = 0  # of all calls so far

    @property
    def is_open(self) -> bool:
        """Whether calls are held back."""
        return self._back_off > 0

    def enter(self, now: float) -> int | None:
        """Give a ticket for one call, to be handed back with its outcome; None: do not call."""
        if self._back_off:
            if now < self._next_probe:
                return None
            self._next_probe = now + self._back_off
            self._epoch += 1
        return self._epoch

    def succeeded(self, ticket: int) -> None:
        """Take note that the call was answered."""
        self.answers += 1
        # Calls of an earlier epoch, still under way when the breaker opened, say nothing new.
        if ticket == self._epoch:
            self._failures = 0
            self._back_off = 0.0

    def failed(self, ticket: int, now: float) -> None:
        """Take note that the call was not answered."""
        if ticket != self._epoch:
            return
        self._failures += 1
        if self._back_off or self._failures >= self._threshold:
            self._back_off = min(self._longest, self._back_off * 2 or self._first)
            self._next_probe = now + self._back_off
            self._epoch += 1
