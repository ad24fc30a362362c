"""The refusal to start an app with wrong settings.

Starlette and FastAPI build their middleware when the server calls the app for its lifespan. To
uvicorn, Hypercorn and Granian an exception there means an app without a lifespan, which they serve.
"""

from __future__ import annotations

from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from asgi_serial.errors import ConfigurationError
    from asgi_serial.types import Receive, Scope, Send


def is_built_at_startup(caller: FrameType | None) -> bool:
    """Whether the frame `caller` is part of an app's own call for its lifespan.

    The nearest coroutine decides: in a lifespan function of the user's own it is that function.
    """
    while caller is not None:
        if caller.f_code.co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR):
            scope: Any = caller.f_locals.get("scope")
            return isinstance(scope, dict) and scope.get("type") == "lifespan"
        caller = caller.f_back
    return False


class Refusal:
    """An app that does not start, because of `error`; a server that sees it ends."""

    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that the startup has failed, and raise.

        "If this is returned, the server should print the message and exit" (ASGI, Lifespan 2.0).
        """
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._error)})
        raise self._error
