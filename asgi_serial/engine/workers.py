"""The threads and tasks that work beside the event loop, and the memory for request bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.bounds.bodies import Bodies
from asgi_serial.codecs.decoding import DecodeLimits
from asgi_serial.concurrency.threads import Threads

if TYPE_CHECKING:
    from asgi_serial.settings.model import Settings

ENCODERS, DECODERS = 4, 2  # threads; codecs release the GIL, so they use as many cores


class Workers:
    """Threads that encode and decode, tasks without a client, and the memory for bodies."""

    def __init__(self, settings: Settings) -> None:
        # Separate pools, so that clients with slow bodies to decode delay only each other.
        self.encoders = Threads(ENCODERS, "asgi_serial_encode")
        self.decoders = Threads(DECODERS, "asgi_serial_decode")
        # The memory is never smaller than the largest allowed body.
        self.decode_limits = DecodeLimits(
            settings.max_encoded, settings.max_decoded, settings.max_ratio, settings.max_codings
        )
        self.bodies = Bodies(max(settings.max_gathered, settings.max_encoded, settings.max_decoded))
        self.tasks: set[object] = set()  # calls of the app that no client waits for
        self.led: set[object] = set()  # calls that others may wait for: tasks of their own
