"""Refuse to start an app with invalid settings.

Starlette and FastAPI build their middleware when the server calls the app for its lifespan. If that
raises, uvicorn, Hypercorn and Granian assume an app without lifespan support, and serve it.
"""

from __future__ import annotations

from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from asgi_serial.errors import ConfigurationError
    from asgi_serial.types import Receive, Scope, Send


def is_built_at_startup(caller: FrameType | None) -> bool:
    """Whether the frame `caller` belongs to an app's call for its lifespan.

    The nearest coroutine decides. Within the user's own lifespan function it is that function, in
    which an exception stops the server anyway.
    """
    while caller is not None:
        if caller.f_code.co_flags & (CO_COROUTINE | CO_ASYNC_GENERATOR):
            scope: Any = caller.f_locals.get("scope")
            return isinstance(scope, dict) and scope.get("type") == "lifespan"
        caller = caller.f_back
    return False


class Refusal:
    """An app that refuses to start because of `error`, so that the server exits."""

    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Report that the startup has failed, and raise.

        Source: ASGI, Lifespan 2.0: "If this is returned, the server should print the message and
        exit."
        """
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.failed", "message": str(self._error)})
        raise self._error
