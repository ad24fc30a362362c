"""Bodies of requests for our own endpoints, read within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from asgi_serial.types import Receive

FORM_TYPE = b"application/x-www-form-urlencoded"
MAX_FORM_BYTES = 16_000
_MAX_MEMBERS = 20


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """Read a body, or slightly more than `max_bytes` of it; the server drops the rest."""
    parts, size, more = [], 0, True
    while more and size <= max_bytes:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
    return b"".join(parts)


async def read_form(receive: Receive) -> dict[str, str]:
    """Read the members of a form; none if it is too large."""
    body = await read_body(receive, MAX_FORM_BYTES)
    if len(body) > MAX_FORM_BYTES or body.count(b"&") > _MAX_MEMBERS:
        return {}
    return dict(parse_qsl(body.decode("latin-1"), errors="replace"))
