"""Find the engines of an app by an object that users have: an app, a request, a middleware."""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize, ref

from asgi_serial.engine.engine import Engine
from asgi_serial.timing.routes.tree import mounted_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.types import Scope


# Users of `add_middleware` have no instance of the middleware, and Litestar makes one for each of
# its routes. Both sides know only the app itself. An engine refers to its app, so the references to
# engines are weak; an engine lives as long as an instance of the middleware.
_ENGINES: WeakKeyDictionary[object, list[ref[Engine]]] = WeakKeyDictionary()

# Falcon's app and its parts support no weak references. It is kept, by its `id`, for as long as its
# engine lives.
_HELD: dict[int, tuple[object, list[ref[Engine]]]] = {}

_MAX_DEPTH = 16
# The attributes by which apps and middleware name the app inside, or the part that serves.
_INNER = ("app", "asgi_app", "middleware_stack", "router", "asgi_handler")


def register(engine: Engine, app: object) -> None:
    """Register an engine under the app that its middleware wraps."""
    added = [_add(part, engine) for part in _parts_of(app)]
    if not any(added):
        _hold(app, engine)


def share(engine: Engine, scope: Scope) -> Engine:
    """Return the engine that serves an app: the given one, or an earlier one with equal settings.

    Only in Litestar do instances with equal settings stand for one middleware. Elsewhere they are
    separate, and may wrap different apps.
    """
    app = scope.get("app")
    if "litestar_app" in scope:
        if engine.crew is not None:
            engine.crew.stand_for_equals()
        for part in _anchors_of(app):
            for other in _known_by(part):
                same_store = other.store_target == engine.store_target
                same_listeners = all(map(is_, other.heard_by, engine.heard_by))
                if other.settings == engine.settings and same_store and same_listeners:
                    return other
    for part in _anchors_of(app):
        if _add(part, engine):
            break
    return engine


def engines_of(source: object) -> tuple[Engine, ...]:
    """Return the engines of an object, those that have served it first.

    `source` is an app (also one that is mounted in or wrapped by another), an instance of the
    middleware, an engine, a request (any object with a `scope`), a scope, or a proxy for one.
    """
    if isinstance(source, Engine):
        return (source,)
    if hasattr(source, "_get_current_object"):  # Quart's `current_app`
        source = source._get_current_object()
    scope = source if isinstance(source, Mapping) else getattr(source, "scope", None)
    if isinstance(scope, Mapping):
        marked = scope.get(MARK)
        return (marked,) if isinstance(marked, Engine) else engines_of(scope.get("app"))
    found = [engine for part in _parts_of(source) for engine in _engines_at(part)]
    if not found:
        found = [engine for app in mounted_in(source) for engine in _engines_at(app)]
    if not found:
        found = [engine for outer in apps_around(source) for engine in _known_by(outer)]
    return tuple(dict.fromkeys(found))


def apps_around(source: object) -> Iterator[object]:
    """Yield the registered apps in which this app, or a part of it, is mounted."""
    # The parts are kept: some are made for whoever asks, and another would get the same `id`.
    parts = {id(part): part for part in _parts_of(source)}
    for known in list(_ENGINES):
        if any(id(part) in parts for app in mounted_in(known) for part in _parts_of(app)):
            yield known


def _parts_of(app: object) -> Iterator[object]:
    """Yield an app and the apps within it, from the outside in."""
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
    """Return the engine of a middleware's instance, and the engines registered under a part."""
    own = getattr(part, "engine", None)
    return [*([own] if isinstance(own, Engine) else ()), *_known_by(part)]


def _known_by(part: object) -> list[Engine]:
    try:
        known = _ENGINES.get(part, [])
    except TypeError:  # not hashable, or without support for weak references
        known = _HELD.get(id(part), (part, []))[1]
    engines: list[Any] = [engine() for engine in known]
    return [engine for engine in engines if engine is not None]


def _anchors_of(app: object) -> tuple[object, ...]:
    # Litestar's app does not support weak references. Its outermost handler does, and each app has
    # its own.
    return (app, getattr(app, "asgi_handler", None))


def _add(part: object, engine: Engine) -> bool:
    """Register an engine under a part of an app; return whether the part supports that."""
    if part is None:
        return False
    try:
        known = _ENGINES.setdefault(part, [])
    except TypeError:
        return False
    known[:] = [other for other in known if other() not in (None, engine)] + [ref(engine)]
    return True


def _hold(app: object, engine: Engine) -> None:
    """Register an engine under an app that supports no weak references."""
    _, known = _HELD.setdefault(id(app), (app, []))
    known.append(ref(engine))
    finalize(engine, _release, id(app)).atexit = False


def _release(key: int) -> None:
    """Forget an app once none of its engines is left."""
    held = _HELD.get(key)
    if held is not None and not any(engine() for engine in held[1]):
        del _HELD[key]


MARK = "asgi_serial"
"""The scope's key for the engine that already handles the request."""
