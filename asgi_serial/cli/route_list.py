"""List the routes of an app, in whichever framework it is made."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from asgi_serial.cli.apps import parts_of
from asgi_serial.timing.routes.base import MOUNTED
from asgi_serial.timing.routes.blacksheep import template_of
from asgi_serial.timing.routes.templates import from_angles, from_braces, from_regex
from asgi_serial.timing.routes.tree import Prefix, routes_of, walk_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_DEPTH = 8
_MAX_ROUTES = 20_000


class ListedRoute(NamedTuple):
    """A route of an app, with the prefixes of all mounts."""

    template: str
    methods: tuple[str, ...] | None
    """In alphabetical order; None, if the route takes all methods, or does not tell."""
    endpoint: object
    """The function or class that it leads to; None, if that is not known."""
    framework: str

    @property
    def shown(self) -> str:
        """The route for people: its methods and its template."""
        return f"{','.join(self.methods or ('*',))} {self.template}"

    @property
    def may_be_asked(self) -> bool:
        """Whether a GET of its path can be made up without knowing any parameter."""
        has_get = self.methods is None or "GET" in self.methods
        return (
            has_get and self.template.startswith("/") and not re.search(r"[{}*<>()]", self.template)
        )


def list_routes(app: object) -> list[ListedRoute]:
    """Return the routes of an app, in the order in which it tries them, as far as they are known.

    Raises whatever a framework of an unknown version raises.
    """
    found: list[ListedRoute] = []
    for route in _routes_within(app, "", 0):
        found.append(route)
        if len(found) == _MAX_ROUTES:
            break
    return found


def _routes_within(app: object, prefix: str, depth: int) -> Iterator[ListedRoute]:
    if depth == _MAX_DEPTH:
        return
    for part in parts_of(app):
        lister = _lister_of(part)
        if lister is not None:
            for route in lister(part):
                if isinstance(route, _Mount):
                    yield from _routes_within(route.app, prefix + route.prefix, depth + 1)
                else:
                    yield route._replace(template=prefix + route.template)
            return


class _Mount(NamedTuple):
    prefix: str
    app: object


_Listed = Any  # a ListedRoute or a _Mount


def _lister_of(app: object) -> Callable[[Any], Iterator[_Listed]] | None:
    for cls in type(app).__mro__:
        name = (cls.__module__.partition(".")[0], cls.__name__)
        if name in _LISTERS:
            return _LISTERS[name]
    return _list_starlette if routes_of(app) else None


def _list_starlette(app: Any) -> Iterator[_Listed]:
    framework = type(app).__module__.partition(".")[0]
    framework = framework if framework in ("fastapi", "starlette") else "starlette"
    for node in walk_routes(routes_of(app), Prefix()):
        if node.is_leaf:
            methods = node.methods
            if methods is None and isinstance(node.endpoint, type):
                allowed = getattr(node.endpoint, "methods", None) or _HANDLERS
                methods = frozenset(
                    name.upper() for name in allowed if hasattr(node.endpoint, name.lower())
                )
            yield ListedRoute(node.template, _sorted(methods), node.endpoint, framework)
        elif not node.inside:
            yield _Mount(node.template.removesuffix(MOUNTED), node.endpoint)


_HANDLERS = ("get", "head", "post", "put", "patch", "delete", "options")


def _sorted(methods: Any) -> tuple[str, ...] | None:
    return None if methods is None else tuple(sorted(methods))


def _list_litestar(app: Any) -> Iterator[_Listed]:
    for route in app.routes:
        template = getattr(route, "path_format", None) or route.path
        for handler in getattr(route, "route_handlers", ()):
            methods = _sorted(getattr(handler, "http_methods", None))
            endpoint = getattr(handler, "fn", None)
            if getattr(endpoint, "__qualname__", "").endswith("options_handler"):
                continue  # Litestar answers OPTIONS of each route itself
            yield ListedRoute(template, methods, getattr(endpoint, "value", endpoint), "litestar")
        handler = getattr(route, "route_handler", None)
        if getattr(handler, "is_mount", False):
            yield _Mount(template.rstrip("/"), getattr(handler, "fn", None))


def _list_quart(app: Any) -> Iterator[_Listed]:
    for rule in app.url_map.iter_rules():
        endpoint = app.view_functions.get(rule.endpoint)
        endpoint = getattr(endpoint, "view_class", endpoint)
        yield ListedRoute(from_angles(rule.rule), _sorted(rule.methods), endpoint, "quart")


def _list_django(app: Any) -> Iterator[_Listed]:
    yield from _django_patterns(sys.modules["django.urls.resolvers"].get_resolver(), "", 0)


def _django_patterns(resolver: Any, prefix: str, depth: int) -> Iterator[_Listed]:
    for one in resolver.url_patterns:
        is_path = hasattr(one.pattern, "_route")
        template = prefix + (from_angles if is_path else from_regex)(str(one.pattern))
        if hasattr(one, "url_patterns"):
            if depth < _MAX_DEPTH:
                yield from _django_patterns(one, template, depth + 1)
        else:
            view = getattr(one.callback, "view_class", one.callback)
            yield ListedRoute("/" + template.lstrip("/"), None, view, "django")


def _list_falcon(app: Any) -> Iterator[_Listed]:
    waiting = list(app._router._roots)
    while waiting:
        node = waiting.pop(0)
        waiting = [*node.children, *waiting]
        if node.uri_template is None:
            continue
        own = {
            method: responder
            for method, responder in (node.method_map or {}).items()
            if getattr(responder, "__module__", "") != "falcon.responders"
        }
        for responder in dict.fromkeys(own.values()):
            methods = [method for method, known in own.items() if known is responder]
            yield ListedRoute(from_braces(node.uri_template), _sorted(methods), responder, "falcon")


def _list_blacksheep(app: Any) -> Iterator[_Listed]:
    # Routes are registered at first, and applied when the app starts.
    routers = [app.router, *getattr(app.router, "_sub_routers", ())]
    pairs = [pair for router in routers for pair in getattr(router, "registered_routes", ())]
    for method, routes in app.router.routes.items():
        pairs += [(method.decode(), route) for route in routes]
    for method, route in pairs:
        handler = getattr(route.handler, "root_fn", None) or route.handler
        template = template_of(route.pattern) or "/"
        yield ListedRoute(template, (method,), handler, "blacksheep")
    registry = getattr(app, "mount_registry", None)
    for route in getattr(registry, "mounted_apps", ()):
        yield _Mount(template_of(route.pattern).removesuffix("/{tail}"), route.handler)


def _list_sanic(app: Any) -> Iterator[_Listed]:
    for route in app.router.routes:
        host = str(route.requirements.get("host", ""))
        template = host + "/" + from_names_first(route.path.lstrip("/"))
        yield ListedRoute(template, _sorted(route.methods), route.handler, "sanic")


def from_names_first(text: str) -> str:
    """Return a template whose parameters are written `<name:type>`, as in Sanic.

    >>> from_names_first("items/<id:int>/<name>")
    'items/{id}/{name}'
    """
    return re.sub(r"<([^<>:]+)(?::[^<>]*)?>", r"{\1}", text)


_LISTERS: dict[tuple[str, str], Callable[[Any], Iterator[_Listed]]] = {
    ("litestar", "Litestar"): _list_litestar,
    ("quart", "Quart"): _list_quart,
    ("django", "ASGIHandler"): _list_django,
    ("falcon", "App"): _list_falcon,
    ("blacksheep", "Application"): _list_blacksheep,
    ("sanic", "Sanic"): _list_sanic,
}
