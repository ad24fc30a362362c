"""The call of an app whose exchanges are timed, for the report or the client, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.asgi.record import record_call
from asgi_serial.asgi.timer import START, start_timer
from asgi_serial.engine.app_engines import MARK
from asgi_serial.timing.server_timing import add_server_timing

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asgi_serial.asgi.timer import Timer
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send


async def call_timed(
    engine: Engine, app: ASGIApp, scope: Scope, receive: Receive, send: Send, began: float
) -> None:
    """Call the app with the scope from the server itself, and record the exchange."""
    timer, ending = start_timer(receive, send, began), ""
    timed_send = with_field(timer) if engine.server_timing else timer.send
    engine.gauges.started += 1
    # The mark keeps a nested engine from counting the request, too.
    scope[MARK] = engine
    try:
        await app(scope, timer.receive, timed_send)
    except Exception:
        ending = "failed"
        raise
    except BaseException:
        ending = "cancelled"
        raise
    finally:
        scope.pop(MARK, None)
        record_call(engine, scope, timer, ending)


def with_field(timer: Timer) -> Send:
    """Return a `send` that adds the Server-Timing field to the start of the response."""

    def send(message: Message) -> Awaitable[None]:
        if message["type"] == START and not timer.status:
            message = add_server_timing(message, timer.phases_so_far())
        return timer.send(message)

    return send
