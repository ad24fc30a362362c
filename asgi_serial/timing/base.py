"""The protocol of recorders, and what they are told of each finished request."""

from typing import NamedTuple, Protocol

from asgi_serial.reasons import Reason


class Sample(NamedTuple):
    """One finished request.

    `route` is the template of its route. A method that HTTP does not define is `OTHER`, and a
    status that is none is 0, so that clients cannot make up labels. The durations run from the
    arrival of the request to the first byte and to the last body message. The bytes are those of
    the body: as the app made it, in the negotiated format, and as it was sent.

    `outcome` says how the cache of responses took part (`hit`, `stale`, `validated`, `collapsed`,
    `miss`, `refresh`, `bypass`), `encoding_outcome` the same of the cache of encodings (`hit`,
    `miss`); the empty string stands for a cache that is off. `reasons` says why something was not
    done to the response.
    """

    route: str
    method: str
    status: int
    first_byte_ns: int
    total_ns: int
    app_bytes: int
    encoded_bytes: int
    sent_bytes: int
    outcome: str
    encoding_outcome: str
    reasons: tuple[Reason, ...]


class Recorder(Protocol):
    """Takes the figures of finished requests, for a metrics system of the user's own.

    It is called in the event loop before the last message of the response is sent, so it must be
    quick, and must not wait. An exception is counted, logged, and never reaches the request. Apps
    that run several event loops in threads may call it from each of them.
    """

    def record(self, sample: Sample, /) -> None:
        """Count one finished request."""
