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
    known = _engines_by(scope.get("app"))
    if known is None:
        return engine
    if "litestar_app" in scope:
        for other in known:
            if other.settings == engine.settings and other.store_target == engine.store_target:
                return other
    known.append(engine)
    return engine


def engines_of(app: object) -> tuple[Engine, ...]:
    """The engines that have served `app` (a Starlette, FastAPI or Litestar object) so far."""
    return tuple(_engines_by(app) or ())


def _engines_by(app: object) -> list[Engine] | None:
    """The list that is kept for an app; None where nothing of it lasts that can be referred to."""
    # An object of Litestar's can not be referred to weakly; its outermost handler, of which each
    # has one of its own, can.
    for anchor in (app, getattr(app, "asgi_handler", None)):
        try:
            return _ENGINES.setdefault(anchor, [])
        except TypeError:
            continue
    return None
