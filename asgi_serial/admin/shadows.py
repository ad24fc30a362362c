"""Paths of our own that keep a route of the app from ever being asked."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from asgi_serial.timing.routes.base import MOUNTED, UNMATCHED

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Scope

_logger = logging.getLogger("asgi_serial")
_METHODS = {"report_path": "GET", "metrics_path": "GET", "purge_path": "POST"}
_PARAMETER = re.compile(r"\{[^{}]*\}")


def warn_of_shadows(engine: Engine, scope: Scope) -> None:
    """Log a warning for each path of our own that a route of the app has as well.

    It is called once, at the first request: only then the app has all its routes. Litestar calls
    its middleware for its own routes only, so that ours have to be among them.
    """
    if "litestar_app" in scope:
        return
    for setting, method in _METHODS.items():
        path = getattr(engine.settings, setting)
        route = None if path is None else find_shadowed(engine, scope, path, method)
        if route is not None:
            _logger.warning(
                "%s is %r, which the app's route %s takes as well; no request for that path "
                "reaches the route. Choose another path.",
                setting,
                path,
                route,
            )


def find_shadowed(engine: Engine, scope: Scope, path: str, method: str) -> str | None:
    """Return the template of the app's route for a path, or None.

    A mounted app, and a route that takes any path, is not meant for this one.
    """
    whole = f"{scope.get('root_path') or ''}{path}"
    probe = {
        **scope,
        "method": method,
        "path": whole,
        "raw_path": whole.encode(),
        "query_string": b"",
    }
    template = engine.label(probe)
    if template == UNMATCHED or template.endswith(MOUNTED):
        return None
    # A resolver of the user's own may name a request by something else than its path.
    literals = _PARAMETER.split(template)
    pattern = ".+".join(map(re.escape, literals))
    is_for_it = literals[0] != "/" and re.fullmatch(pattern, path) is not None
    return template if is_for_it else None
