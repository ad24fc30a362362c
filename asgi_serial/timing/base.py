"""The protocol of recorders, and what they are told of each finished request."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from asgi_serial.reasons import Reason

OUTCOMES = ("completed", "disconnected", "failed", "cancelled")
"""The ways in which an exchange ends."""

PHASES = (
    "request-body",
    "decode",
    "look-up",
    "app-first-byte",
    "app-last-byte",
    "encode",
    "send",
    "background",
)
"""The phases of an exchange; every moment of it belongs to exactly one of them."""

REQUEST_BODY, DECODE, LOOK_UP, APP_FIRST_BYTE, APP_LAST_BYTE, ENCODE, SEND, BACKGROUND = range(8)
"""The place of each phase in `PHASES`."""


class Sample(NamedTuple):
    """One finished request.

    `route` is the template of its route. A method that HTTP does not define is `OTHER`, and a
    status that is none is 0, so that clients cannot make up labels.

    `outcome` says how the exchange ended: `completed`, `disconnected` (the client left before it
    had the whole response; the status is 499 if nothing was sent), `failed` (the app raised an
    exception; the status is 500 if it had not started a response), or `cancelled`.

    The durations run from the arrival of the request to the first and to the last body message
    that was sent. The bytes are those of the body: as the app made it, in the negotiated format,
    and as it was sent.

    `cache` says how the cache of responses took part (`hit`, `stale`, `validated`, `collapsed`,
    `miss`, `refresh`, `bypass`), `encodings` the same of the cache of encodings (`hit`, `miss`);
    the empty string stands for a cache that is off. `coding` is the content coding that was applied
    (`identity` if none was), and `format` the media type into which the body was translated; it is
    empty if the body was sent in the app's own format.

    `phases` are nanoseconds in the order of `PHASES`. Their sum is the time from the arrival of the
    request until the app has returned. `reasons` says why something was not done to the response.
    """

    route: str
    method: str
    status: int
    outcome: str
    first_byte_ns: int
    total_ns: int
    app_bytes: int
    encoded_bytes: int
    sent_bytes: int
    cache: str
    encodings: str
    coding: str
    format: str
    phases: tuple[int, ...]
    reasons: tuple[Reason, ...]


OnResponse: TypeAlias = Callable[[Sample], object]
"""A function that is called as `Recorder.record` is; its result is ignored."""


class Recorder(Protocol):
    """Takes the figures of finished requests, for a metrics system of the user's own.

    It is called in the event loop once the exchange has ended, so it must be quick, and must not
    wait. An exception is counted, logged, and never reaches the request. Apps that run several
    event loops in threads may call it from each of them.
    """

    def record(self, sample: Sample, /) -> None:
        """Count one finished request."""
