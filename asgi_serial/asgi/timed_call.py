"""The call of an app whose exchanges are timed, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.asgi.record import record_call
from asgi_serial.asgi.timer import start_timer
from asgi_serial.engine.app_engines import MARK

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import ASGIApp, Receive, Scope, Send


async def call_timed(
    engine: Engine, app: ASGIApp, scope: Scope, receive: Receive, send: Send, began: float
) -> None:
    """Call the app with the scope from the server itself, and record the exchange."""
    timer, ending = start_timer(receive, send, began), ""
    engine.gauges.started += 1
    # The mark keeps a nested engine from counting the request, too.
    scope[MARK] = engine
    try:
        await app(scope, timer.receive, timer.send)
    except Exception:
        ending = "failed"
        raise
    except BaseException:
        ending = "cancelled"
        raise
    finally:
        scope.pop(MARK, None)
        record_call(engine, scope, timer, ending)
