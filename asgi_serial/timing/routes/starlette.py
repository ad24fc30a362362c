"""Routes of Starlette and FastAPI, read from what their routers leave in the scope."""

import re
from collections.abc import Callable, Collection

from asgi_serial.timing.routes.apps import host_of
from asgi_serial.timing.routes.base import MOUNTED, MountedApp
from asgi_serial.timing.routes.tree import (
    REST_OF_MOUNT,
    RouteNode,
    RouteTree,
    leads_to_router,
    may_have_routes,
    routes_of,
)
from asgi_serial.timing.routes.uploads import fastapi_reads_json
from asgi_serial.types import Scope

# A process seldom has more than a few routers; an app that makes one for each request gets no more.
_MAX_TREES = 16
# Routes may be added while the app runs, but endpoints made for each request must not cause a walk
# through all routes each time.
_MAX_REBUILDS = 100
_MAX_KNOWN = 10_000


class StarletteRoutes:
    """The full template of the route that Starlette or FastAPI chose.

    Both set `endpoint` in the scope at every step, so it ends up as the innermost route's, and
    `router` at the first step only, so the tree below it knows the prefixes of all mounts. If the
    scope holds neither (the app was not called, or got a copy of the scope), the path is matched
    against the routes of `app`, and the result is remembered.
    """

    __slots__ = ("_app", "_known", "_rebuilds", "_trees", "has_routes")

    marks = ("router",)

    def __init__(self, app: object = None) -> None:
        self.has_routes = may_have_routes(app)
        self._app = app if self.has_routes else None
        self._rebuilds = 0
        self._trees: dict[int, RouteTree] = {}
        # For an endpoint that names a route alone: the route and the router that are in the scope
        # with it, and the template.
        self._known: dict[object, tuple[object, object, str]] = {}

    def find(self, scope: Scope) -> str | MountedApp | None:
        """Return the template of the route, or the app of a mount; see FrameworkRoutes."""
        if scope.get("endpoint") is None and scope.get("router") is not None:
            return _frontend_template(scope)
        node = self._node_of(scope)
        if node is None or node.is_leaf:
            return node and node.template
        root_path = None if "endpoint" in scope else _root_path_inside(node, scope)
        return MountedApp(node.template.removesuffix(MOUNTED), node.endpoint, root_path)

    def _node_of(self, scope: Scope) -> RouteNode | None:
        endpoint = scope.get("endpoint")
        root = scope.get("router")
        tree = None
        for app in (root or scope.get("app"), self._app):
            if tree is None and app is not None:
                tree = self._tree_of(app, endpoint)
        if tree is None:
            return None
        if endpoint is None:
            return _match(tree, scope)
        node = _choose(tree, scope, endpoint)
        self._learn(tree, scope, endpoint)
        return node

    def shortcut(
        self, resolve: Callable[[Scope], str], others: Collection[str]
    ) -> Callable[[Scope], str]:
        """Answer a request to an endpoint that was seen before by one look-up."""
        known = self._known
        other, *more = others or ("",)

        def label(scope: Scope) -> str:
            try:
                route, router, template = known[scope["endpoint"]]
                if (
                    route is scope["route"]
                    and router is scope["router"]
                    and other not in scope
                    and not (more and any(key in scope for key in more))
                ):
                    return template
            except Exception:
                # Not seen before, an endpoint without a hash, or no choice in the scope.
                pass
            return resolve(scope)

        return label

    def is_unrouted(self, scope: Scope) -> bool:
        """Whether only the app's routes decide about a request, and none of them takes it."""
        app = self._app
        if app is None or "endpoint" in scope or "router" in scope or not leads_to_router(app):
            return False
        tree = self._tree_of(app, None)
        if tree is None or not tree.is_known:
            return False
        node = _match(tree, scope)
        if node is None or not tree.is_flat:
            return node is None
        return node.methods is not None and scope["method"] not in node.methods

    def reads_json(self, scope: Scope) -> bool:
        """Whether the route that takes this request is known to read its body as JSON.

        Inside a mounted app the scope holds the outer router, whose routes have the whole path.
        """
        for app in (scope.get("router"), self._app):
            tree = None if app is None else self._tree_of(app, None)
            node = None if tree is None else _match(tree, scope)
            if node is not None and node.is_leaf:
                is_taken = node.methods is None or scope["method"] in node.methods
                return is_taken and fastapi_reads_json(node.route, node.context)
        return False

    def _learn(self, tree: RouteTree, scope: Scope, endpoint: object) -> None:
        """Remember an endpoint's route, for the shortcut."""
        node = tree.find_unique(endpoint)
        if node is None or node.route is not scope.get("route"):
            return
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[endpoint] = (node.route, tree.root, node.template)

    def _tree_of(self, root: object, endpoint: object) -> RouteTree | None:
        """Return the tree below `root`, read again if routes were added; None without routes."""
        tree = self._trees.get(id(root))
        if tree is not None:
            unknown = endpoint is not None and not tree.nodes_of(endpoint)
            if not (unknown or tree.is_outdated()) or self._rebuilds >= _MAX_REBUILDS:
                return tree
            self._rebuilds += 1
            self._known.clear()
        elif not routes_of(root):
            return None
        if len(self._trees) >= _MAX_TREES:
            self._trees.clear()
        tree = self._trees[id(root)] = RouteTree(root)
        return tree


def _choose(tree: RouteTree, scope: Scope, endpoint: object) -> RouteNode | None:
    """Return the chosen one of the routes that share an endpoint, or that are below a mount."""
    nodes = tree.nodes_of(endpoint)
    if len(nodes) == 1 and not nodes[0].inside:
        return nodes[0]
    context = scope.get("fastapi", {}).get("effective_route_context")
    route = scope.get("route")
    chosen = [node for node in nodes if context is not None and node.context is context] or [
        node for node in nodes if node.route is route
    ]
    if len(chosen) == 1 and not chosen[0].inside:
        return chosen[0]
    if not nodes or nodes[0].inside:
        return _match(tree, scope) or (nodes[0] if nodes else None)
    return _match(tree, scope, endpoint) or nodes[0]


def _match(tree: RouteTree, scope: Scope, endpoint: object = None) -> RouteNode | None:
    path = _routed_path(scope)
    host = _hostname_of(scope) if tree.has_hosts else ""
    return tree.match(path, scope["method"], host, endpoint=endpoint)


def _routed_path(scope: Scope) -> str:
    path: str = scope["path"]
    # A mount appends itself to root_path, and keeps the server's as app_root_path.
    root_path = scope.get("app_root_path", scope.get("root_path", ""))
    rest = path.removeprefix(root_path)
    return (rest or "/") if rest[:1] in ("", "/") else path  # `/apiary` is not below `/api`


def _root_path_inside(node: RouteNode, scope: Scope) -> str:
    """Return the root path that a mount gives its app; this scope does not show it."""
    path = _routed_path(scope)
    found = re.match(node.pattern.pattern.removesuffix(REST_OF_MOUNT), path)
    root_path: str = scope.get("root_path", "")
    return root_path if found is None else root_path + found[0]


def _hostname_of(scope: Scope) -> str:
    """Return the Host field in lower case, without the port."""
    host = host_of(scope).lower()
    return host if host.endswith("]") else host.rsplit(":", 1)[0]


def _frontend_template(scope: Scope) -> str | None:
    """Return the prefix under which FastAPI served a file of a frontend, which has no route."""
    below = scope.get("fastapi", {}).get("frontend_path")
    if below is None:
        return None
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.removesuffix(below).rstrip("/") + MOUNTED
