"""WebSocket connections: passed to the app, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asgi_serial.timing.gauges import Gauges
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send


async def count_websocket(
    gauges: Gauges, app: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve a connection; it is open from the app's acceptance until the app has returned."""
    accepted = False

    def send_counted(message: Message) -> Awaitable[None]:
        nonlocal accepted
        if not accepted and message["type"] == "websocket.accept":
            accepted = True
            gauges.websockets_accepted += 1
            gauges.websockets_open += 1
        return send(message)

    try:
        await app(scope, receive, send_counted)
    finally:
        if accepted:
            gauges.websockets_open -= 1
