"""The Cache-Status line of a response from the app (RFC 9211)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.engine.cache_status import MAX_SHOWN_BYTES, with_key
from asgi_serial.http.fields import is_token
from asgi_serial.http.request_fields import MAX_STRANGE
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Field


_UNKNOWN_FIELD, _UNKEYED_FIELD = (
    Reason.REQUEST_HAS_UNKNOWN_FIELD,
    Reason.REQUEST_HAS_UNKEYED_FIELD,
)


def forward_line(
    engine: Engine, request: RequestPlan, *, stored: bool, detail: Reason | None
) -> Field:
    """Return the line for a response of the app: why it was called, and whether it is stored."""
    why, waited = request.bypass or request.forward, request.collapsed
    line = engine.cache_status.forward_line(why, stored=stored, detail=detail, waited=waited)
    name = None if stored else field_behind(request, detail or why)
    if name is not None:
        line = line[0], line[1] + b":" + name
    if request.key is not None and engine.settings.cache_status_key:
        line = with_key(line, request.key)
    return line


def field_behind(request: RequestPlan, reason: Reason) -> bytes | None:
    """Return the name of the request field behind a reason, if there is one that can be shown.

    The client has chosen it and others may read it: it is short, and a token (RFC 9651, 3.3.4).
    """
    if reason is _UNKNOWN_FIELD:
        names = request.unknown
    elif reason is _UNKEYED_FIELD:
        names = request.profile.strange.routing or request.profile.strange.twins
    else:
        return None
    if len(names) > MAX_STRANGE:
        return None  # their number is the reason, and none of them
    shown = [name for name in names if len(name) <= MAX_SHOWN_BYTES and is_token(name)]
    return min(shown, default=None)
