"""Routes of BlackSheep, whose router is asked again: it leaves nothing in the scope."""

import re
from typing import Any

from asgi_serial.timing.routes.apps import is_instance
from asgi_serial.timing.routes.base import MountedApp, RouteTable
from asgi_serial.types import Scope

# A parameter is a whole segment: `/:name`, `/{int:name}` or `/<int:name>`.
_PARAMETER = re.compile(r"/(?::([^/]+)|[{<](?:[^:>}]*:)?([^:>}]+)[}>])")


class BlackSheepTable:
    """The patterns of an app's router and of the apps that are mounted in it."""

    __slots__ = ("_app",)

    is_whole = False

    def __init__(self, app: Any) -> None:
        self._app = app

    def find(self, scope: Scope) -> str | MountedApp | None:
        """Return the pattern that matches; see RouteTable."""
        app = self._app
        for route in app.mount_registry.mounted_apps:
            if route.match_by_path(scope["raw_path"]):
                prefix = template_of(route.pattern).removesuffix("/{tail}")
                return MountedApp(prefix, route.handler)
        found = app.router.get_match(app.instantiate_request(scope, None))
        fallback = app.router.fallback
        # The middlewares of the app are part of the handler, of the fallback's, too.
        if found is None or (fallback is not None and found.handler is fallback.handler):
            return None
        return template_of(found.pattern)


def template_of(pattern: bytes) -> str:
    """Return the template of a pattern.

    >>> template_of(b"/items/:id")
    '/items/{id}'
    """
    text = pattern.decode("utf-8", "replace")
    named = _PARAMETER.sub(lambda found: "/{" + (found[1] or found[2]) + "}", text)
    return named.replace("*", "{tail}")


def open_blacksheep(app: object) -> RouteTable | None:
    """Return the routes of an app of BlackSheep; None if it is none."""
    is_app = is_instance(app, "blacksheep.server.application", "Application")
    return BlackSheepTable(app) if is_app else None
