"""Routes of Litestar, read from what its router leaves in the scope."""

from collections.abc import Callable, Collection
from typing import Any

from asgi_serial.http.mediatypes import essence
from asgi_serial.timing.routes.base import MOUNTED, MountedApp
from asgi_serial.timing.routes.uploads import litestar_reads_json
from asgi_serial.types import Scope


class LitestarRoutes:
    """The template of the route that Litestar chose.

    If the scope holds none because the app was not called, Litestar's own (cached) routing is
    asked.
    """

    __slots__ = ("_app", "_router", "has_routes")

    marks = ("path_template",)

    def __init__(self, app: object = None) -> None:
        self._app = app
        self._router: Any = getattr(app, "asgi_router", None)
        self.has_routes = self._router is not None

    def find(self, scope: Scope) -> str | MountedApp | None:
        """Return the template of the route, or the app that is a handler; see FrameworkRoutes."""
        template: str | None = scope.get("path_template")
        if template is None:
            # Litestar leaves no template if it answers 404 or 405.
            return None if self._router is None or "litestar_app" in scope else self._route(scope)
        handler = scope.get("route_handler")
        if getattr(handler, "is_mount", False):
            # The path in the scope is the one below the mount by now.
            prefix = _mount_path(scope.get("litestar_app"), scope, handler)
            return MountedApp(prefix, getattr(handler, "fn", None))
        # Older versions leave the template of a route without parameters empty: it is the path.
        return template or str(scope["path"])

    def shortcut(
        self, resolve: Callable[[Scope], str], others: Collection[str]
    ) -> Callable[[Scope], str]:
        """Return `resolve`: the template stands in the scope."""
        return resolve

    def is_unrouted(self, scope: Scope) -> bool:
        """Whether Litestar answers 404 or 405; its middleware comes after its router."""
        if self._router is None or not _is_litestar(self._app) or "path_template" in scope:
            return False
        path, root_path = scope["path"], scope.get("root_path", "")
        # Litestar treats repeated slashes as one, and looks for the root anywhere in the path.
        if "//" in path or not path.startswith(root_path):
            return False
        path = path.removeprefix(root_path)
        try:
            self._router.handle_routing(path="/" + path.strip("/"), method=scope["method"])
        except Exception as error:
            return getattr(error, "status_code", None) in (404, 405)
        return False

    def reads_json(self, scope: Scope) -> bool:
        """Whether the handler of this request is known to read its body as JSON."""
        handler = scope.get("route_handler")
        if handler is None:
            if self._router is None or not _is_litestar(self._app):
                return False
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            found = self._router.handle_routing(path="/" + path.strip("/"), method=scope["method"])
            handler = found[1]
        sent = [value for name, value in scope["headers"] if name == b"content-type"]
        return litestar_reads_json(handler, essence(b"".join(sent)).decode("latin-1"))

    def _route(self, scope: Scope) -> str | None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            found = self._router.handle_routing(path="/" + path.strip("/"), method=scope["method"])
        except Exception:
            # Litestar raises for 404 and 405.
            return None
        handler, template = found[1], found[4] or found[2]
        if getattr(handler, "is_mount", False):
            return _mount_path(self._app, scope, handler) + MOUNTED
        return str(template)


def _is_litestar(app: object) -> bool:
    return type(app).__module__.partition(".")[0] == "litestar"


def _mount_path(app: object, scope: Scope, handler: object) -> str:
    """Return the path under which an app is mounted; the scope's own path has lost it."""
    path = scope.get("raw_path", b"").decode("latin-1")
    mounts = [
        route.path.rstrip("/")
        for route in getattr(app, "routes", ())
        if getattr(route, "route_handler", None) is handler
    ]
    fitting = [mount for mount in mounts if path.startswith(mount)]
    return max(fitting or mounts, key=len, default="")
