"""The OpenAPI document of FastAPI, which `app.openapi` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.openapi.contents import Offer, extend_document
from asgi_serial.openapi.offers import find_offer, find_prefix, find_settings
from asgi_serial.timing.routes.tree import Prefix, routes_of, walk_routes
from asgi_serial.timing.routes.uploads import fastapi_reads_json

if TYPE_CHECKING:
    from asgi_serial.settings.model import Settings
    from asgi_serial.timing.routes.tree import RouteNode


def extend_fastapi(app: Any) -> None:
    """Have `app.openapi` list the formats, whatever function it is now."""
    build = app.openapi
    if isinstance(build, _Extended):
        return
    app.openapi = _Extended(app, build)


class _Extended:
    """Takes the place of a method `openapi`, whose document it extends at each call.

    FastAPI keeps its document, which must not be changed, and makes a new one for new routes.
    """

    def __init__(self, app: Any, build: Any) -> None:
        self._app = app
        self._build = build

    def __call__(self) -> dict[str, Any]:
        settings, prefix = find_settings(self._app), find_prefix(self._app)
        nodes: dict[tuple[str, str], RouteNode] = {}
        for node in walk_routes(routes_of(self._app), Prefix()):
            for method in node.methods or ():
                nodes.setdefault((method, node.template), node)

        def offer_of(method: str, path: str) -> Offer:
            return _offer_of(settings, nodes.get((method, path)), method, prefix + path)

        return extend_document(self._build(), offer_of)


def _offer_of(settings: Settings | None, node: RouteNode | None, method: str, path: str) -> Offer:
    """Return the offer of an operation; one without a route has been added to the document."""
    if node is None:
        return find_offer(settings, [method], [path], None, lambda: False)
    offer = find_offer(
        settings,
        [method],
        [path],
        node.endpoint,
        lambda: fastapi_reads_json(node.route, node.context),
    )
    return offer if _may_return_json(node.endpoint) else offer._replace(gives=False)


def _may_return_json(endpoint: Any) -> bool:
    """Whether a function is not annotated with a class of responses of another type than JSON.

    FastAPI documents JSON for it nevertheless.
    """
    try:
        returned = get_type_hints(endpoint).get("return")
    except Exception:  # a name that cannot be resolved, or no function
        return True
    is_response = isinstance(returned, type) and hasattr(returned, "init_headers")
    return not is_response or getattr(returned, "media_type", None) == JSON_TYPE
