"""Counts of what is going on at this moment."""


class Gauges:
    """Counts the requests and WebSocket connections of one engine.

    Every counted request adds 1 to `started` when it arrives, and ends either in one record or in
    `left_out`, if a policy says that it is not timed.
    """

    __slots__ = ("left_out", "started", "websockets_accepted", "websockets_open")

    def __init__(self) -> None:
        self.started = 0
        self.left_out = 0
        self.websockets_accepted = 0
        self.websockets_open = 0

    def in_flight(self, recorded: int) -> int:
        """Return how many requests have arrived and not ended; `recorded` have been recorded."""
        return max(0, self.started - self.left_out - recorded)
