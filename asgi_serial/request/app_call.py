"""The call of the app: what its handlers say, and what it reads and makes, before it responds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.settings.policy import RequestPolicy

if TYPE_CHECKING:
    from asgi_serial.representation.encoded_model import EncodedModel
    from asgi_serial.types import Message


class AppCall(RequestPolicy):
    """Everything that is said while the app runs, and that its response depends on.

    It also collects the policies of handlers: `CURRENT` leads to it. The exchange is one: an object
    of its own cost 3 % of the work on a request that is only compressed.
    """

    __slots__ = ()

    body_copy: RequestCopy | None = None  # what the app has read of the body, if it may be a key
    encoded_model: EncodedModel | None = None  # a model that the app has passed on unencoded
    client_left = False


class RequestCopy:
    """Copies the request body while the app reads it, up to the size that can be part of a key."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._body = bytearray()  # a client may send thousands of pieces
        self._is_whole = False

    def take(self, message: Message) -> None:
        """Copy the body in a message that the app receives."""
        if message["type"] != "http.request" or self._left < 0:
            return
        part = message.get("body", b"")
        self._left -= len(part)
        if self._left < 0:
            self._body.clear()
            return
        self._body += part
        self._is_whole = not message.get("more_body", False)

    @property
    def is_too_large(self) -> bool:
        """Whether the body is too large to be part of a key."""
        return self._left < 0

    def whole(self) -> bytes | None:
        """Return the body; None if the app has not read all of it, or if it is too large."""
        return bytes(self._body) if self._is_whole and not self.is_too_large else None
