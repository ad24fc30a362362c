"""The protocols by which the route of a request gets its name."""

from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Protocol

from asgi_serial.types import Scope

UNMATCHED = "(unmatched)"
"""The label of all requests that no route took; their paths would open a series each."""

APP = "app"
"""The key of the scope in which frameworks leave their app before they route."""

MOUNTED = "/{path}"
"""The end of the label of a mounted app, if its inside names no route of its own."""

LONGEST_LABEL = 200
"""How many characters of a label are kept."""


class MountedApp(NamedTuple):
    """An app that took a request below the template `prefix`.

    `root_path` is that of the scope that it was given, if the one at hand has another.
    """

    prefix: str
    app: object
    root_path: str | None = None


class RouteResolver(Protocol):
    """Names the route that served a request, from its scope, by whatever type it has."""

    def __call__(self, scope: Any, /) -> str | None:
        """Return the route's template, with the prefix of every mount: `/api/items/{id}`.

        None, if no route took the request. `scope` is the dict that the app was given, after the
        app has run, since frameworks leave their choice in it; or before, if the answer came from
        the cache. It must not be changed. An exception is counted, and never reaches the request.
        """


class FrameworkRoutes(Protocol):
    """The routes of one framework's apps; made with the app that the middleware wraps.

    A class for a framework that leaves its choice in the scope stands in a module of its own, and
    in `registry.FRAMEWORKS`.
    """

    @property
    def marks(self) -> tuple[str, ...]:
        """The keys of the scope by which the framework shows that it has routed the request."""

    @property
    def has_routes(self) -> bool:
        """Whether the app that it was made with may have routes of the framework."""

    def find(self, scope: Scope) -> str | MountedApp | None:
        """Return the template of the route for a request, or the app that is mounted there.

        None, if no route took the request. `scope` is the dict that the app was given, after the
        app has run, or before. An exception is counted, and never reaches the request.
        """

    def shortcut(
        self, resolve: Callable[[Scope], str], others: Collection[str]
    ) -> Callable[[Scope], str]:
        """Return `resolve` with a faster way before it for routes seen before, or as it is.

        The faster way must not be taken if the scope has one of the `others`, the marks of other
        frameworks: the route has a part in each.
        """

    def is_unrouted(self, scope: Scope) -> bool:
        """Whether it is certain before the app is called that no route takes the request."""

    def reads_json(self, scope: Scope) -> bool:
        """Whether it is certain before the app is called that it reads the request as JSON."""


class RouteTable(Protocol):
    """The routes of one app, for a framework that leaves its choice nowhere.

    Its own router is asked again once the app has run. A function that opens the table of an app,
    which may be mounted in another, stands in a module of its own, and in `registry.TABLES`.
    """

    @property
    def is_whole(self) -> bool:
        """Whether templates hold the whole path, since the framework does not know `root_path`."""

    def find(self, scope: Scope) -> str | MountedApp | None:
        """Return the template of the route for a request, or the app below which it is.

        None, if no route takes the path. An exception is counted, and never reaches the request.
        """
