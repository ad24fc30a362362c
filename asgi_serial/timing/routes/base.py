"""What names the route that served a request."""

from typing import Protocol

from asgi_serial.types import Scope

UNMATCHED = "(unmatched)"
"""The one label of requests that no route took; the raw path would open a series for each."""

MOUNTED = "/{path}"
"""How the label of a mounted app ends, where what is inside names no route of its own."""


class RouteResolver(Protocol):
    """The name of the route that served a request, read from its scope."""

    def __call__(self, scope: Scope, /) -> str | None:
        """The route's template, with the prefix of every mount: `/api/items/{id}`; None where
        no route took the request.

        `scope` is the dict that the app was handed, after the app has run (frameworks leave their
        choice in it), or before, where the app is not called. It is read only.
        """
