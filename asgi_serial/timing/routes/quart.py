"""Routes of Quart, whose router is asked again: it leaves nothing in the scope."""

from typing import Any, NamedTuple

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.timing.routes.apps import host_of, is_instance
from asgi_serial.timing.routes.base import RouteTable
from asgi_serial.timing.routes.templates import from_angles
from asgi_serial.types import Scope


class _Request(NamedTuple):
    """The part of a request by which Quart routes."""

    method: str
    scheme: str
    host: str
    root_path: str
    path: str
    query_string: bytes = b""


class QuartTable:
    """The rules of an app, blueprints included, as its map of URLs matches them.

    Matching takes about 30 µs, so the result is remembered: Quart refuses new rules after its first
    request.
    """

    __slots__ = ("_app", "_known")

    is_whole = False

    def __init__(self, app: Any) -> None:
        self._app = app
        self._known: BoundedDict[_Request, str | None] = BoundedDict(shares_values=True)

    def find(self, scope: Scope) -> str | None:
        """Return the template of the rule; see RouteTable."""
        root_path = scope.get("root_path", "")
        path = scope["path"]
        if root_path:
            # As ASGIHTTPConnection does, for which a path that is not below it has no route.
            is_below = path != root_path and path.startswith(root_path)
            path = path.removeprefix(root_path) if is_below else " "
        request = _Request(scope["method"], scope["scheme"], host_of(scope), root_path, path)
        try:
            return self._known[request]
        except KeyError:
            pass
        template = self._match(request)
        self._known.keep(request, template)
        return template

    def _match(self, request: _Request) -> str | None:
        try:
            adapter = self._app.create_url_adapter(request)
            rule, _ = adapter.match(return_rule=True)
        except Exception as error:
            if not hasattr(error, "get_response"):  # none of Werkzeug's HTTP errors
                raise
            allowed = getattr(error, "valid_methods", None)
            if not allowed:  # a 404, a bad host, or a redirect to where there is a route
                return None
            rule, _ = adapter.match(method=sorted(allowed)[0], return_rule=True)
        return from_angles(self._host(rule) + rule.rule)

    def _host(self, rule: Any) -> str:
        """Return the host that a rule asks for; empty if it does not."""
        if self._app.url_map.host_matching:
            return rule.host or ""
        if not rule.subdomain or not self._app.subdomain_matching:
            return ""
        return f"{rule.subdomain}.{self._app.config['SERVER_NAME']}"


def open_quart(app: object) -> RouteTable | None:
    """Return the routes of an app of Quart; None if it is none."""
    return QuartTable(app) if is_instance(app, "quart.app", "Quart") else None
