"""The engines of an app, found by whatever users hold of it: an app, a request, a middleware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from asgi_serial.engine.engine import Engine
from asgi_serial.timing.routes.tree import mounted_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Scope


# Users who wrote `add_middleware` hold no instance of the middleware, and Litestar makes one for
# each of its routes: only the app itself is known to both. An engine refers to its app, and so is
# referred to weakly here; it lives as long as an instance of the middleware.
_ENGINES: WeakKeyDictionary[object, list[ref[Engine]]] = WeakKeyDictionary()

_MAX_DEPTH = 16
# How apps and middleware name the app that stands inside, or the part of them that serves.
_INNER = ("app", "asgi_app", "middleware_stack", "router", "asgi_handler")


def register(engine: Engine, app: object) -> None:
    """Let an engine be found by the app that its middleware stands in front of."""
    for part in _parts_of(app):
        _add(part, engine)


def share(engine: Engine, scope: Scope) -> Engine:
    """Return the engine that serves an app: the one given, or one of equal settings from before.

    Only in Litestar are instances of equal settings the same middleware; elsewhere two of them
    are two, which may stand before different apps.
    """
    app = scope.get("app")
    if "litestar_app" in scope:
        for part in _anchors_of(app):
            for other in _known_by(part):
                same_store = other.store_target == engine.store_target
                same_recorder = other.user_recorder is engine.user_recorder
                if other.settings == engine.settings and same_store and same_recorder:
                    return other
    for part in _anchors_of(app):
        if _add(part, engine):
            break
    return engine


def engines_of(source: object) -> tuple[Engine, ...]:
    """Return the engines of what a user holds: first those that have served it.

    `source` is an app, one that is mounted in another or wrapped by another, an instance of the
    middleware, an engine, a request (what has a `scope`), or a scope.
    """
    if isinstance(source, Engine):
        return (source,)
    scope = source if isinstance(source, Mapping) else getattr(source, "scope", None)
    if isinstance(scope, Mapping):
        marked = scope.get(MARK)
        return (marked,) if isinstance(marked, Engine) else engines_of(scope.get("app"))
    found = [engine for part in _parts_of(source) for engine in _engines_at(part)]
    if not found:
        found = [engine for app in mounted_in(source) for engine in _engines_at(app)]
    if not found:
        found = [engine for outer in _apps_around(source) for engine in _known_by(outer)]
    return tuple(dict.fromkeys(found))


def _apps_around(source: object) -> Iterator[object]:
    """The known apps in which this one, or a part of it, is mounted."""
    parts = {id(part) for part in _parts_of(source)}
    for known in list(_ENGINES):
        if any(id(part) in parts for app in mounted_in(known) for part in _parts_of(app)):
            yield known


def _parts_of(app: object) -> Iterator[object]:
    """An app, and what it is wrapped around or made of, from the outside in."""
    seen: dict[int, object] = {}
    waiting = [app]
    while waiting and len(seen) < _MAX_DEPTH:
        part = waiting.pop(0)
        if part is None or id(part) in seen:
            continue
        seen[id(part)] = part
        yield part
        waiting += [getattr(part, name, None) for name in _INNER]


def _engines_at(part: object) -> list[Engine]:
    """The engine that an instance of the middleware has, and those by which a part is served."""
    own = getattr(part, "engine", None)
    return [*([own] if isinstance(own, Engine) else ()), *_known_by(part)]


def _known_by(part: object) -> list[Engine]:
    try:
        known = _ENGINES.get(part, [])
    except TypeError:  # not hashable, or not to be referred to weakly
        return []
    engines: list[Any] = [engine() for engine in known]
    return [engine for engine in engines if engine is not None]


def _anchors_of(app: object) -> tuple[object, ...]:
    # An object of Litestar's can not be referred to weakly; its outermost handler, of which each
    # has one of its own, can.
    return (app, getattr(app, "asgi_handler", None))


def _add(part: object, engine: Engine) -> bool:
    """Let an engine be found by a part of an app; False where nothing of it can be referred to."""
    if part is None:
        return False
    try:
        known = _ENGINES.setdefault(part, [])
    except TypeError:
        return False
    known[:] = [other for other in known if other() not in (None, engine)] + [ref(engine)]
    return True


MARK = "asgi_serial"
"""The key in the scope by which an engine knows that another has this request in hand."""
