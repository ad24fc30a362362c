"""The paths that the middleware answers itself, for operators."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asgi_serial.admin.access import path_within
from asgi_serial.admin.explaining import may_be_explained, may_explain
from asgi_serial.admin.metrics_endpoint import metrics_messages
from asgi_serial.admin.purge_endpoint import purge_messages
from asgi_serial.admin.report_endpoint import report_messages
from asgi_serial.timing.table import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.engine.engine import Engine
    from asgi_serial.settings.model import Settings
    from asgi_serial.types import Message, Receive, Scope

_logger = logging.getLogger("asgi_serial")


def build_filter(settings: Settings) -> Callable[[Scope], bool] | None:
    """Return whether a request may be for us, or may be explained; None if none ever is.

    It stands in the way of every request, and so only looks at how the path ends, for the whole one
    depends on where the app is mounted.
    """
    given = (settings.report_path, settings.metrics_path, settings.purge_path)
    paths = tuple(path for path in given if path is not None)
    if may_explain(settings):
        return lambda scope: scope["path"].endswith(paths) or may_be_explained(settings, scope)
    return (lambda scope: scope["path"].endswith(paths)) if paths else None


async def own_messages(engine: Engine, scope: Scope, receive: Receive) -> list[Message] | None:
    """Return the response to a request for a path of our own; None if it is for the app."""
    path, settings = path_within(scope), engine.settings
    if path == settings.report_path:
        return await report_messages(engine, scope, receive)
    if path == settings.metrics_path:
        return await metrics_messages(engine, scope)
    if path == settings.purge_path:
        return await purge_messages(engine, scope, receive)
    return None


def log_own(scope: Scope, messages: list[Message]) -> None:
    """Write the line of a request that the middleware has answered itself."""
    method, path, status = printable(scope["method"]), scope["path"], messages[0]["status"]
    _logger.debug("%s %r: %d, answered by asgi_serial itself", method, path, status)
