"""Routes of Falcon, whose compiled router is asked again: it leaves nothing in the scope."""

from typing import Any

from asgi_serial.timing.routes.apps import is_instance
from asgi_serial.timing.routes.base import MOUNTED, RouteTable
from asgi_serial.timing.routes.templates import from_braces, from_regex
from asgi_serial.types import Scope


class FalconTable:
    """The URI templates of an app, and the prefixes of its sinks and static routes."""

    __slots__ = ("_app",)

    is_whole = True  # Falcon takes `path` as it is, and leaves out no `root_path`

    def __init__(self, app: Any) -> None:
        self._app = app

    def find(self, scope: Scope) -> str | None:
        """Return the URI template; see RouteTable."""
        app = self._app
        path = scope["path"] or "/"
        if app.req_options.strip_url_path_trailing_slash and len(path) > 1:
            path = path.removesuffix("/")
        route = app._router_search(path, req=None)
        # Routers of users' own may say that there is no route by a resource of None.
        if route is not None and route[0] is not None:
            template = route[3] if len(route) > 3 else None
            return None if template is None else from_braces(template)
        for matcher, _, is_sink in app._sink_and_static_routes:
            if matcher.match(path):
                prefix = from_regex(matcher.pattern) if is_sink else str(matcher._prefix)
                return prefix.rstrip("/") + MOUNTED
        return None


def open_falcon(app: object) -> RouteTable | None:
    """Return the routes of an app of Falcon; None if it is none."""
    return FalconTable(app) if is_instance(app, "falcon.asgi.app", "App") else None
