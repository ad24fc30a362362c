"""Routes of Sanic, whose router is asked again: it leaves nothing in the scope."""

from typing import Any

from asgi_serial.timing.routes.apps import host_of, is_instance
from asgi_serial.timing.routes.base import RouteTable
from asgi_serial.types import Scope


class SanicTable:
    """The routes of an app, blueprints and versions included; its router remembers its answers."""

    __slots__ = ("_app",)

    is_whole = True  # Sanic takes `raw_path` as it is, and leaves out no `root_path`

    def __init__(self, app: Any) -> None:
        self._app = app

    def find(self, scope: Scope) -> str | None:
        """Return the template of the route; see RouteTable."""
        path = scope["raw_path"].partition(b"?")[0].decode()
        host = host_of(scope) or None
        try:
            route = self._app.router.get(path, scope["method"], host)[0]
        except Exception as error:
            if getattr(error, "status_code", None) not in (404, 405):
                raise
            return None
        named = route.params
        parts = [
            "{" + named[index].name + "}" if index in named else part
            for index, part in enumerate(route.parts)
        ]
        return str(route.requirements.get("host", "")) + "/" + "/".join(parts)


def open_sanic(app: object) -> RouteTable | None:
    """Return the routes of an app of Sanic; None if it is none."""
    return SanicTable(app) if is_instance(app, "sanic.app", "Sanic") else None
