"""Send long stored bodies in pieces, as fast as their clients read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asgi_serial.types import Message

PIECE_BYTES = 128 << 10
"""The size of the pieces of a stored body.

Servers copy data that a client has not read yet, and wait before they accept more. The size is
twice the usual buffer of servers (64 kB). Over uvicorn, 4 MB take as long as in one message.
"""


def in_pieces(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield the messages of a stored response, with a long body in pieces, copied on demand."""
    for message in messages:
        body: bytes = message.get("body", b"")
        if len(body) <= PIECE_BYTES:
            yield message
            continue
        for start in range(0, len(body), PIECE_BYTES):
            end = start + PIECE_BYTES
            yield {**message, "body": body[start:end], "more_body": end < len(body)}
