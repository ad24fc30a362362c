"""Which engine the instances of the middleware in one app use, and how to find it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Scope

# Litestar makes an instance of a middleware for each of its routes, and users who wrote
# `add_middleware` hold none at all: only the app itself is known to both, from the scope.
_ENGINES: WeakKeyDictionary[object, list[Engine]] = WeakKeyDictionary()


def share(engine: Engine, scope: Scope) -> Engine:
    """The engine that serves this app: the one given, or one of equal settings from before.

    Only in Litestar are instances of equal settings the same middleware; elsewhere two of them
    are two, which may stand before different apps.
    """
    app = scope.get("app")
    try:
        known = _ENGINES.setdefault(app, [])
    except TypeError:  # no app in the scope, or one that can not be referred to weakly
        return engine
    if "litestar_app" in scope:
        for other in known:
            if other.settings == engine.settings and other.store_target == engine.store_target:
                return other
    known.append(engine)
    return engine


def engines_of(app: object) -> tuple[Engine, ...]:
    """The engines that have served `app` (a Starlette, FastAPI or Litestar object) so far."""
    try:
        return tuple(_ENGINES.get(app, ()))
    except TypeError:
        return ()
