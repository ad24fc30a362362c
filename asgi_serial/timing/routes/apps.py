"""Recognize the app of a framework, without importing it, through what is wrapped around it."""

from collections.abc import Iterator
from typing import Any

from asgi_serial.types import Scope

_MAX_DEPTH = 16
# A bound method (`app.asgi_app = SerialMiddleware(app.asgi_app)`), and the attributes by which
# middleware names the app inside.
_INNER = ("__self__", "app", "asgi_app", "application", "__wrapped__")


def layers_of(app: Any) -> Iterator[Any]:
    """Yield an app, and those that it wraps, from the outside in."""
    for _ in range(_MAX_DEPTH):
        yield app
        # Channels: ProtocolTypeRouter({"http": get_asgi_application(), ...})
        by_protocol = getattr(app, "application_mapping", None)
        if isinstance(by_protocol, dict):
            app = by_protocol.get("http")
        else:
            inner = (getattr(app, name, None) for name in _INNER)
            app = next((one for one in inner if one is not None), None)
        if app is None:
            return


def is_instance(app: object, module: str, name: str) -> bool:
    """Whether an object is of a class, or one derived from it, which need not be imported."""
    return any(cls.__module__ == module and cls.__name__ == name for cls in type(app).__mro__)


def host_of(scope: Scope) -> str:
    """Return the Host field of a request; empty if it has none."""
    for name, value in scope["headers"]:
        if name == b"host":
            return str(value, "latin-1")
    return ""
