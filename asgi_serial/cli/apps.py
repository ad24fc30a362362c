"""Look into an app: the layers around it, and its instances of the middleware."""

from __future__ import annotations

import os
import sys
from inspect import ismethod
from typing import TYPE_CHECKING, Any, NamedTuple

from asgi_serial.engine.app_engines import engines_of
from asgi_serial.middleware import SerialMiddleware, build_engine
from asgi_serial.timing.routes.apps import layers_of as wrapped_by
from asgi_serial.timing.routes.tree import mounted_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgi_serial.engine.engine import Engine


class Layer(NamedTuple):
    """A layer around the routes of an app: a middleware, or the app itself."""

    cls: object
    """The class, or the function that makes the layer."""
    options: dict[str, Any]
    """The arguments that a framework keeps until it builds the layer."""
    instance: object = None
    """The layer, if it has been built."""

    @property
    def name(self) -> str:
        """The name, with that of its module."""
        module = getattr(self.cls, "__module__", "")
        return f"{module}.{getattr(self.cls, '__qualname__', repr(self.cls))}".lstrip(".")

    @property
    def is_ours(self) -> bool:
        """Whether this layer is the middleware of this package."""
        return isinstance(self.cls, type) and issubclass(self.cls, SerialMiddleware)


def layers_of(app: object) -> list[Layer]:
    """Return the layers of an app from the outside in, as far as they can be seen.

    Middleware that is wrapped around names the app inside by an attribute. A framework's own list
    of middleware stands before its routes.
    """
    found: list[Layer] = []
    for part in parts_of(app):
        found.append(Layer(type(part), {}, part))
        found += listed_middleware(part)
    return found


def parts_of(app: object) -> Iterator[object]:
    """Yield an app, and those that it wraps, from the outside in, each of them once."""
    seen: dict[int, object] = {}  # kept, as otherwise another could get the same `id`
    for part in wrapped_by(app):
        # A method, as in `app.asgi_app = SerialMiddleware(app.asgi_app)`, leads to its app.
        if ismethod(part):
            continue
        if id(part) in seen:
            return
        seen[id(part)] = part
        yield part


def _package(part: object) -> str:
    for cls in type(part).__mro__:
        package = cls.__module__.partition(".")[0]
        if package in ("litestar", "starlette", "fastapi", "quart", "falcon", "blacksheep"):
            return package
    return type(part).__module__.partition(".")[0]


def listed_middleware(app: Any) -> list[Layer]:
    """Return the middleware that a framework lists for an app, the outermost first."""
    package = _package(app)
    if package in ("starlette", "fastapi"):
        listed = getattr(app, "user_middleware", ())
    elif package == "litestar":
        listed = getattr(app, "middleware", ())
    elif package == "blacksheep":
        listed = getattr(app, "middlewares", ())
    elif package == "falcon":
        listed = getattr(app, "_unprepared_middleware", ())
    else:
        listed = ()
    return [_read_listed(one) for one in listed if one is not None]


def _read_listed(one: Any) -> Layer:
    cls = getattr(one, "cls", None) or getattr(one, "middleware", None)
    if cls is None:
        return Layer(
            one if isinstance(one, type) or hasattr(one, "__qualname__") else type(one), {}
        )
    options = getattr(one, "kwargs", None) or getattr(one, "options", None)
    return Layer(cls, dict(options) if isinstance(options, dict) else {})


def apps_within(app: Any) -> Iterator[Any]:
    """Yield an app, and those that are mounted in it, as far as they can be seen."""
    yield app
    yield from mounted_in(app)


def find_engines(app: object) -> list[Engine]:
    """Return the engines of an app, also if its framework has not built its middleware yet.

    Raises: ConfigurationError, if the settings are wrong.
    """
    known = list(engines_of(app))
    if known:
        return known
    made = []
    for one in apps_within(app):
        for layer in layers_of(one):
            if layer.is_ours and layer.instance is None:
                given = layer.options.get("engine")
                made.append(given if given is not None else build_engine(one, **layer.options))
    return made


def place_of(function: object) -> str:
    """Return the file and the line of a function, the file relative to the current directory."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    path = code.co_filename
    for folder in (os.getcwd(), *sys.path):
        if folder and path.startswith(os.path.join(folder, "")):
            path = os.path.relpath(path, folder)
            break
    return f"{path}:{code.co_firstlineno}"
