"""Counts of what is going on at this moment."""


class Gauges:
    """Counts the requests and WebSocket connections of one engine.

    Every request that is measured adds 1 to `started` when it arrives, and ends in one record.
    """

    __slots__ = ("started", "websockets_accepted", "websockets_open")

    def __init__(self) -> None:
        self.started = 0
        self.websockets_accepted = 0
        self.websockets_open = 0

    def in_flight(self, recorded: int) -> int:
        """Return how many requests have arrived and not ended; `recorded` have been recorded."""
        return max(0, self.started - recorded)
