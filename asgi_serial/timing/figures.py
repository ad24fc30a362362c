"""The figures of one exchange, and the phases into which they divide its time."""

from typing import NamedTuple


class Figures(NamedTuple):
    """The figures of one exchange, or their sums for many; times are in ns, and no integers.

    All that is derived from them is linear. So the phases of a single exchange are not computed on
    its way, and the sums of many give the sums of their phases.
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
    waited_before_call: float
    """The time waited for the request until the app was called."""
    decoded: float
    """The time spent on decoding the request, before the app was called."""
    waited: float
    """The time waited for the request."""
    encoded: float
    """The time spent on the response."""
    sent: float
    """The time spent in the server's `send`."""
    apart: float
    """The part of the last three that was spent before the first byte."""
    background: float
    """From the last message of the body until the app had returned."""
    at: float
    """The moment at which the app had returned, by perf_counter."""


def divide(figures: Figures) -> tuple[int, int, int, int, int, int, int, int]:
    """Return the time in each of `PHASES`; together they are the time until the app returned.

    >>> moments, times = (50, 65, 0, 0, 0, 10), (3, 2, 13, 4, 6, 13, 5, 0)
    >>> divide(Figures(*moments, *times)), sum(divide(Figures(*moments, *times)))
    ((13, 2, 5, 30, 5, 4, 6, 5), 70)
    """
    first_byte, total, _, _, _, before_call, waited_before_call, decoded, *rest = figures
    waited, encoded, sent, apart, background, _ = rest
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
