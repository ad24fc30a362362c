"""Responses of our own endpoints."""

from __future__ import annotations

from collections.abc import Iterable

from asgi_serial.types import Field, Fields, Message

VARY = (b"vary", b"accept, accept-encoding, authorization, cookie")


def respond(
    status: int,
    content_type: bytes,
    body: bytes,
    *,
    is_head: bool,
    fields: Iterable[Field] = (),
) -> list[Message]:
    """Return a whole response, which nobody may store."""
    head: Fields = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        *fields,
    ]
    return [
        {"type": "http.response.start", "status": status, "headers": head},
        {"type": "http.response.body", "body": b"" if is_head else body, "more_body": False},
    ]
