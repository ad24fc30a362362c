"""The label of a request's route, whatever framework served it."""

from asgi_serial.timing.routes.base import MOUNTED, UNMATCHED, RouteResolver
from asgi_serial.timing.routes.litestar import LitestarRoutes
from asgi_serial.timing.routes.starlette import StarletteRoutes
from asgi_serial.timing.routes.tree import may_have_routes
from asgi_serial.types import Scope

LONGEST_LABEL = 200
"""How many characters are kept of a label that a callback gives."""


class LabelResolver:
    """The label of the route that served a request; never raises, and is never empty.

    `failures` counts the callbacks and frameworks that failed to name one.
    """

    __slots__ = ("_callback", "_is_plain", "_known", "_litestar", "_starlette", "failures")

    def __init__(self, callback: RouteResolver | None, app: object) -> None:
        self._callback = callback
        self._starlette = StarletteRoutes(app)
        self._known = self._starlette.known
        # An app that no framework made names no route, and there is nothing to match against.
        self._is_plain = not may_have_routes(app)
        self._litestar = LitestarRoutes(app)
        self.failures = 0

    def __call__(self, scope: Scope) -> str:
        """The label of the route; `(unmatched)` where no route took the request."""
        try:
            if self._callback is None and "path_template" not in scope:
                if "endpoint" in scope:
                    route, router, template = self._known[scope["endpoint"]]
                    if route is scope["route"] and router is scope["router"]:
                        return template
                elif self._is_plain and "app" not in scope and "router" not in scope:
                    return UNMATCHED
        except Exception:
            # Not seen before, no object that can be looked up, or a route that left no `route`.
            pass
        try:
            return self._search(scope)
        except Exception:
            self.failures += 1
            return UNMATCHED

    def is_unrouted(self, scope: Scope) -> bool:
        """Whether it is certain before the app is called that none of its routes takes this."""
        try:
            return self._starlette.is_unrouted(scope) or self._litestar.is_unrouted(scope)
        except Exception:
            self.failures += 1
            return False

    def reads_json(self, scope: Scope) -> bool:
        """Whether it is certain before the app is called that it reads this request as JSON."""
        try:
            return self._starlette.reads_json(scope) or self._litestar.reads_json(scope)
        except Exception:
            # A 404 or a 405 of Litestar's, or a framework of another shape.
            return False

    def _search(self, scope: Scope) -> str:
        if self._callback is not None:
            label = self._ask(self._callback, scope)
            if label:
                return label
        if "path_template" in scope:
            return self._nested(scope)
        return self._starlette(scope) or self._litestar(scope) or UNMATCHED

    def _ask(self, callback: RouteResolver, scope: Scope) -> str | None:
        try:
            label = callback(scope)
            if label is None or isinstance(label, str):
                # It may be the path that the client has sent, and stays with what is stored.
                return label and label[:LONGEST_LABEL]
        except Exception:
            pass
        self.failures += 1
        return None

    def _nested(self, scope: Scope) -> str:
        """The label where Litestar took part: alone, around a Starlette app, or mounted in one."""
        litestar = self._litestar(scope) or UNMATCHED
        starlette = self._starlette(scope) if "router" in scope else None
        if starlette is None:
            return litestar
        if litestar.endswith(MOUNTED) and not starlette.endswith(MOUNTED):
            return litestar.removesuffix(MOUNTED) + starlette
        return starlette.removesuffix(MOUNTED) + litestar


def build_resolver(callback: RouteResolver | None = None, *, app: object = None) -> LabelResolver:
    """What labels the requests of `app`: the callback first, then what the framework chose.

    A callback may return None, or fail, for what it does not know. `app` is what the middleware
    wraps; its routes are matched where the scope holds no choice, as for an answer that came from
    the cache.
    """
    return LabelResolver(callback, app)
