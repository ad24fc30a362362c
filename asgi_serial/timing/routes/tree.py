"""The routes of a Starlette or FastAPI app as one flat list, with the prefixes of their mounts.

The objects are recognized by their attributes, so neither framework is imported.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.timing.routes.apps import layers_of
from asgi_serial.timing.routes.base import LONGEST_LABEL, MOUNTED

# How deep mounts inside mounts are followed. An app that is mounted in itself ends here.
_MAX_DEPTH = 8
_MAX_NODES = 20_000

_NAMED_GROUP = re.compile(r"\(\?P<[^>]*>")
REST_OF_MOUNT = "/(?:.*)$"


class Prefix(NamedTuple):
    """The part of a route that the mounts around it add."""

    template: str = ""
    pattern: str = ""
    host: re.Pattern[str] | None = None
    depth: int = 0


class RouteNode(NamedTuple):
    """A route, or a mount, which takes the requests that none of its own routes takes.

    `inside` says how many of the nodes right before a mount belong to it.
    """

    template: str
    pattern: re.Pattern[str]
    host: re.Pattern[str] | None
    methods: frozenset[str] | None
    endpoint: object
    route: object
    context: object
    inside: int
    is_leaf: bool


def walk_routes(routes: Iterable[Any], prefix: Prefix) -> Iterator[RouteNode]:
    """Yield all routes in the order in which frameworks try them, a mount after its own routes."""
    for listed in routes:
        for route, original, context in _unfold(listed):
            if hasattr(route, "host_regex"):
                inner = _inside_host(route, prefix)
                yield from _walk_mounted(route, prefix, inner)
            elif hasattr(route, "path_regex") and hasattr(route, "endpoint"):
                # A WebSocketRoute has no methods, and is not timed.
                if hasattr(route, "methods"):
                    yield _leaf(route, prefix, original, context)
            elif hasattr(route, "path_regex") and hasattr(route, "app"):
                yield from _walk_mounted(route, prefix, _inside_mount(route, prefix))


def may_have_routes(app: object) -> bool:
    """Whether an app, or the one that middleware wraps, keeps routes, even if it has none yet."""
    return any(hasattr(layer, "routes") for layer in layers_of(app))


def routes_of(app: object) -> list[Any]:
    """Return the routes of an app, or of the one that middleware wraps; empty if it has none."""
    for layer in layers_of(app):
        routes = getattr(layer, "routes", None)
        if isinstance(routes, list) and any(hasattr(route, "matches") for route in routes):
            return routes
    return []


def mounted_in(app: object, depth: int = 0) -> Iterator[object]:
    """Yield the apps that are mounted in an app, under a path or a host, and inside those."""
    if depth == _MAX_DEPTH:
        return
    for inner in _mounts_of(app):
        yield inner
        yield from mounted_in(inner, depth + 1)


def _mounts_of(app: object) -> Iterator[object]:
    for listed in routes_of(app):
        for route, _, _ in _unfold(listed):
            inner = None if hasattr(route, "endpoint") else getattr(route, "app", None)
            if inner is not None:
                yield inner
    for layer in layers_of(app):
        # BlackSheep, and Litestar, of which a handler may be an app.
        registry = getattr(layer, "mount_registry", None)
        yield from (route.handler for route in getattr(registry, "mounted_apps", ()))
        routes = getattr(layer, "routes", None)
        for route in routes if isinstance(routes, list) else ():
            handler = getattr(route, "route_handler", None)
            if getattr(handler, "is_mount", False):
                yield getattr(handler, "fn", None)


def leads_to_router(app: object) -> bool:
    """Whether a request reaches the routes of an app unchanged, and nothing but them.

    Middleware that is not the framework's own may change the path, as may a subclass of the app.
    A router's `default` takes requests that no route takes.
    """
    for _ in range(_MAX_DEPTH):
        if not _is_of_framework(type(app)):
            return False
        # FastAPI sets its own root path in the scope, which changes the path that is routed.
        if getattr(app, "root_path", ""):
            return False
        if hasattr(app, "user_middleware"):
            if not all(_is_of_framework(one.cls) for one in app.user_middleware):
                return False
            app = getattr(app, "router", None)
            continue
        if isinstance(getattr(app, "routes", None), list):
            default = getattr(app, "default", None)
            return getattr(default, "__func__", None) is getattr(type(app), "not_found", app)
        app = getattr(app, "app", None)
    return False


def _is_of_framework(cls: type) -> bool:
    name = cls.__module__
    # The function of a BaseHTTPMiddleware may do anything.
    is_open = name == "starlette.middleware.base"
    return name.partition(".")[0] in ("starlette", "fastapi") and not is_open


def _is_known(listed: Any) -> bool:
    """Whether an entry in a list of routes decides by its own path, method and host."""
    matches = getattr(type(listed), "matches", None)
    return getattr(matches, "__module__", "").partition(".")[0] in ("starlette", "fastapi")


def _unfold(listed: Any) -> Iterator[tuple[Any, object, object]]:
    """Yield a route, the object that stands in the scope for it, and FastAPI's context of it.

    A router that was included in FastAPI is one entry of the list. It has a context for each of its
    routes, which holds the route's full path, or a copy of the route that does.
    """
    if not hasattr(listed, "effective_route_contexts"):
        yield listed, listed, None
        return
    for context in listed.effective_route_contexts():
        copied = context.starlette_route
        yield copied or context, copied or context.original_route, context


def _leaf(route: Any, prefix: Prefix, original: object, context: object) -> RouteNode:
    return RouteNode(
        template=(prefix.template + route.path_format)[:LONGEST_LABEL],
        pattern=re.compile("^" + prefix.pattern + _pattern_of(route.path_regex)),
        host=prefix.host,
        methods=frozenset(route.methods) if route.methods else None,
        endpoint=route.endpoint,
        route=original,
        context=context,
        inside=0,
        is_leaf=True,
    )


def _walk_mounted(route: Any, prefix: Prefix, inner: Prefix) -> Iterator[RouteNode]:
    listed = routes_of(route) if prefix.depth < _MAX_DEPTH else []
    children = list(walk_routes(listed, inner))
    yield from children
    yield RouteNode(
        template=inner.template + MOUNTED,
        pattern=re.compile("^" + inner.pattern + REST_OF_MOUNT),
        host=inner.host,
        methods=None,
        endpoint=route.app,
        route=route,
        context=None,
        inside=len(children),
        is_leaf=False,
    )


def _inside_mount(route: Any, prefix: Prefix) -> Prefix:
    pattern = _pattern_of(route.path_regex).removesuffix(REST_OF_MOUNT)
    return prefix._replace(
        template=prefix.template + route.path_format.removesuffix(MOUNTED),
        pattern=prefix.pattern + pattern,
        depth=prefix.depth + 1,
    )


def _inside_host(route: Any, prefix: Prefix) -> Prefix:
    return prefix._replace(
        template=route.host_format + prefix.template,
        host=route.host_regex,
        depth=prefix.depth + 1,
    )


def _pattern_of(regex: re.Pattern[str]) -> str:
    """Return a pattern's text without names of groups, since two mounts may use the same one."""
    return _NAMED_GROUP.sub("(?:", regex.pattern.removeprefix("^"))


class RouteTree:
    """The routes below one router, found by what a request's scope holds.

    It keeps the routes alive, so that their `id` is not reused.
    """

    __slots__ = (
        "_by_endpoint",
        "_listed",
        "_matched",
        "_nodes",
        "_size",
        "has_hosts",
        "is_flat",
        "is_known",
        "root",
    )

    def __init__(self, root: object) -> None:
        self.root = root
        self._listed = routes_of(root)
        self._size = len(self._listed)
        self._nodes: list[RouteNode] = []
        self._by_endpoint: dict[int, list[RouteNode]] = {}
        self._matched: BoundedDict[tuple[object, ...], RouteNode | None]
        self._matched = BoundedDict(shares_values=True)
        for node in walk_routes(self._listed, Prefix()):
            if len(self._nodes) == _MAX_NODES:
                break
            self._nodes.append(node)
            self._by_endpoint.setdefault(id(node.endpoint), []).append(node)
        # Whether a request that it does not match is matched by no route of the app.
        self.is_known = len(self._nodes) < _MAX_NODES and all(map(_is_known, self._listed))
        self.is_flat = all(node.is_leaf for node in self._nodes)
        self.has_hosts = any(node.host is not None for node in self._nodes)

    def is_outdated(self) -> bool:
        """Whether routes were added or removed since."""
        return len(self._listed) != self._size

    def nodes_of(self, endpoint: object) -> list[RouteNode]:
        """Return the routes that lead to an endpoint; empty if it is unknown."""
        return self._by_endpoint.get(id(endpoint), [])

    def find_unique(self, endpoint: object) -> RouteNode | None:
        """Return the only route of an endpoint, unless it is a mount; else None."""
        nodes = self.nodes_of(endpoint)
        return nodes[0] if len(nodes) == 1 and nodes[0].is_leaf else None

    def match(
        self, path: str, method: str, host: str, *, endpoint: object = None
    ) -> RouteNode | None:
        """Return the route that takes such a request, of those to `endpoint` if it is given.

        The result is remembered.
        """
        key = (path, method, host, id(endpoint))
        try:
            return self._matched[key]
        except KeyError:
            pass
        nodes = self._nodes if endpoint is None else self.nodes_of(endpoint)
        node = _first_match(nodes, path, method, host)
        self._matched.keep(key, node)
        return node


def _first_match(nodes: Iterable[RouteNode], path: str, method: str, host: str) -> RouteNode | None:
    """Return the first route for the path and the method, else the first for the path (a 405)."""
    partial: list[tuple[int, RouteNode]] = []
    for index, node in enumerate(nodes):
        if node.host is not None and not node.host.match(host):
            continue
        if not node.pattern.match(path):
            continue
        if node.methods is None or method in node.methods:
            # A mount takes every method, so a 405 below it comes from one of its own routes.
            inside = (found for place, found in partial if place >= index - node.inside)
            return next(inside, node)
        partial.append((index, node))
    return partial[0][1] if partial else None
