"""Purging over HTTP; the response is sent once the other processes have been notified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.admin.access import Refusal
from asgi_serial.admin.forms import read_body
from asgi_serial.admin.purge_request import (
    MAX_BODY_BYTES,
    purge_stored,
    read_purge,
    refuse_purge,
)
from asgi_serial.representation.problem import problem_messages

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Message, Receive, Scope


async def purge_messages(engine: Engine, scope: Scope, receive: Receive) -> list[Message]:
    """Purge as a request for `purge_path` asks, and return the response: 204 on success."""
    refusal = refuse_purge(engine, scope)
    if refusal is None:
        purges = read_purge(await read_body(receive, MAX_BODY_BYTES), engine.clock())
        if isinstance(purges, Refusal):
            refusal = purges
        elif not await purge_stored(engine, purges):
            detail = (
                "The purge is done in this process, but the second level did not accept it for "
                "the others; send it again."
            )
            refusal = Refusal(503, detail)
    if refusal is not None:
        return problem_messages(*refusal, is_head=scope["method"] == "HEAD")
    fields = [(b"cache-control", b"no-store")]
    return [
        {"type": "http.response.start", "status": 204, "headers": fields},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]
