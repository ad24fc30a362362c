"""The OpenAPI document of Litestar, which it makes of an `Operation` for each handler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgi_serial.formats.registry import FORMATS
from asgi_serial.openapi.contents import Offer, extend_content
from asgi_serial.openapi.offers import find_offer, find_settings
from asgi_serial.timing.routes.uploads import litestar_reads_json

if TYPE_CHECKING:
    from collections.abc import Callable

_MARK = "is_extended_by_asgi_serial"


def extend_litestar(app: Any) -> None:
    """Have the operations of all handlers that an app has now list the formats."""
    paths: dict[int, tuple[Any, list[str]]] = {}
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if hasattr(handler, "operation_class"):
                known = paths.setdefault(id(handler), (handler, []))
                known[1].append(getattr(route, "path_format", None) or route.path)
    for handler, its_paths in paths.values():
        if not hasattr(handler.operation_class, _MARK):
            offer = _offers_of(app, handler, its_paths)
            handler.operation_class = _extended(handler.operation_class, offer)


def _offers_of(app: Any, handler: Any, paths: list[str]) -> Callable[[], Offer]:
    def offer() -> Offer:
        endpoint = getattr(handler.fn, "value", handler.fn)
        methods = [str(getattr(method, "value", method)) for method in handler.http_methods]
        return find_offer(
            find_settings(app), methods, paths, endpoint, lambda: _reads_json(handler)
        )

    return offer


def _reads_json(handler: Any) -> bool:
    return all(litestar_reads_json(handler, one.media_types[0]) for one in FORMATS)


def _extended(base: Any, offer: Callable[[], Offer]) -> Any:
    """Return a subclass of an operation, whose contents are extended when one is made."""

    def __init__(self: Any, *args: Any, **values: Any) -> None:  # noqa: N807
        base.__init__(self, *args, **values)
        offered = offer()
        if offered.gives:
            for response in (self.responses or {}).values():
                _extend(response)
        if offered.takes:
            _extend(self.request_body)

    return type(base.__name__, (base,), {"__init__": __init__, _MARK: True})


def _extend(part: Any) -> None:
    content = getattr(part, "content", None)
    if content:
        part.content = extend_content(content)
