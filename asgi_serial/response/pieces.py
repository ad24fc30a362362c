"""Stored bodies in pieces, at the pace at which their clients take them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asgi_serial.types import Message

PIECE_BYTES = 128 << 10
"""The length from which a stored body is sent in pieces: servers copy what a client does not take,
and wait before they take more. Twice what usual ones hold of their own accord (64 kB); over uvicorn
4 MB take as long as in one message."""


def in_pieces(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield the messages of a stored response, with a long body in pieces.

    Each piece is copied when it is asked for.
    """
    for message in messages:
        body: bytes = message.get("body", b"")
        if len(body) <= PIECE_BYTES:
            yield message
            continue
        for start in range(0, len(body), PIECE_BYTES):
            end = start + PIECE_BYTES
            yield {**message, "body": body[start:end], "more_body": end < len(body)}
