"""Find the function that a request was routed to, as far as its framework reveals it.

Only that function may permit something to the cache. Starlette, FastAPI and Litestar name it in the
scope, Django and Quart in their request. Falcon, BlackSheep and Sanic name it nowhere, but call it
themselves, without user code in between. An ASGI app that routes by hand passes the scope on.
"""

import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from asgi_serial.types import Scope

REQUEST = "asgi_serial.request"
"""The scope's key for an object of this request, by which copies of the scope are recognised."""

CALLERS = frozenset({"blacksheep", "falcon", "sanic"})
"""The frameworks that reveal their handlers only by calling them."""

_SCOPES = ("scope", "request", "req")  # local names in frameworks for a scope or its holder
_WRAPPED = ("__func__", "__wrapped__", "fn", "func", "view_class")
_MAX_STEPS = 16


def is_routed_to(
    function: object, scope: Scope, args: Sequence[object], caller: FrameType | None
) -> bool:
    """Whether the request of the app's `scope` was routed to `function`; false if unknown.

    `caller` is the frame that called the function with `args`.
    """
    try:
        if _are_among(function, _told_by(scope), scope):
            return True
        if _are_among(function, _views_of(scope, args), scope):
            return True
        nearest = _nearest_scope(caller)
        if caller is None or nearest is None or not is_of_one(nearest, scope):
            return False
        told = list(_told_by(nearest))
        if told:
            return _are_among(function, told, nearest)
        return str(caller.f_globals.get("__name__")).partition(".")[0] in CALLERS
    except Exception:  # raised by objects of a framework version that is not known here
        return False


def has_scope(args: Sequence[object], scope: Scope) -> bool:
    """Whether one of the arguments is the scope of the request, as for an ASGI app."""
    return any(isinstance(arg, dict) and is_of_one(arg, scope) for arg in args[:2])


def is_served_by(scope: Scope, caller: FrameType | None) -> bool:
    """Whether the frame `caller` serves the request of `scope`, and no other request within it.

    It does if the stack reaches the handler before any other scope, or if the nearest scope on the
    stack is that of the request. False if unknown.
    """
    try:
        own = {code for target in _told_by(scope) for code in _codes_of(target, scope)}
        codes = set()
        frame = caller
        while frame is not None:
            if frame.f_code in own:
                return True
            found = _scope_in(frame)
            if found is not None:
                return is_of_one(found, scope) and _agree(found, scope)
            codes.add(frame.f_code)
            frame = frame.f_back
        # The stack has no scope, as in a worker thread.
        further = [*_views_of(scope, ()), *_dependencies_of(scope)]
        return any(code in codes for target in further for code in _codes_of(target, scope))
    except Exception:  # raised by objects of a framework version that is not known here
        return False


def _told_by(scope: Scope) -> Iterator[object]:
    """Yield the functions or classes that a scope names as its handler."""
    for name in ("endpoint", "route_handler"):
        target = scope.get(name)
        if target is not None:
            yield target


def is_of_one(found: Scope, scope: Scope) -> bool:
    """Whether two scopes belong to the same request.

    A copy with another target belongs to a request within it, as for a fragment of a page.
    """
    if found is scope:
        return REQUEST in scope
    is_copy = REQUEST in scope and found.get(REQUEST) is scope[REQUEST]
    return is_copy and _target_of(found) == _target_of(scope)


def _target_of(scope: Scope) -> tuple[object, ...]:
    """Return the target of a scope, independent of where in its path an app is mounted."""
    root, path = scope.get("root_path", ""), scope.get("path", "")
    if not path.startswith(root):
        path = root + path
    return scope.get("method"), path.rstrip("/"), scope.get("query_string", b"")


def _agree(found: Scope, scope: Scope) -> bool:
    """Whether a copy of the scope was not routed to a different handler."""
    told, known = list(_told_by(found)), list(_told_by(scope))
    return not told or not known or told == known


def _views_of(scope: Scope, args: Sequence[object]) -> Iterator[object]:
    """Yield the functions that Django and Quart have routed a request to."""
    for arg in args:
        match = getattr(arg, "resolver_match", None)
        if match is not None and is_of_one(_scope_of(arg) or {}, scope):
            yield match.func
    quart: Any = sys.modules.get("quart")
    if quart is not None and quart.has_request_context():
        asked = quart.request
        if is_of_one(asked.scope, scope):
            yield quart.current_app.view_functions[asked.endpoint]


def _dependencies_of(scope: Scope) -> Iterator[object]:
    """Yield the dependencies that FastAPI calls for the route."""
    left = [getattr(scope.get("route"), "dependant", None)]
    while left:
        dependant: Any = left.pop()
        if dependant is not None:
            yield dependant.call
            left += dependant.dependencies


def _are_among(function: object, targets: Iterator[object] | list[object], scope: Scope) -> bool:
    return any(step is function for target in targets for step in _steps(target, scope))


def _codes_of(target: object, scope: Scope) -> Iterator[object]:
    for step in _steps(target, scope):
        code = getattr(step, "__code__", None)
        if code is not None:
            yield code


def _steps(target: Any, scope: Scope) -> Iterator[object]:
    """Yield `target` and each function that a call of it reaches.

    It looks below decorators, into bound methods and partials, and at the methods of view classes.
    """
    for _ in range(_MAX_STEPS):
        yield target
        if isinstance(target, type):
            method: str = scope["method"].lower()
            below = getattr(target, method, None)
            if below is None and method == "head":
                below = getattr(target, "get", None)
        else:
            found = (getattr(target, name, None) for name in _WRAPPED)
            below = next((one for one in found if one is not None), None)
            if below is None and callable(target) and not hasattr(target, "__code__"):
                below = type(target).__call__
        if below is None:
            return
        target = below


def _nearest_scope(frame: FrameType | None) -> Scope | None:
    """Return the nearest scope on the stack, under one of the names that frameworks use."""
    while frame is not None:
        found = _scope_in(frame)
        if found is not None:
            return found
        frame = frame.f_back
    return None


def _scope_in(frame: FrameType) -> Scope | None:
    code = frame.f_code
    for name in _SCOPES:
        if name in code.co_varnames or name in code.co_freevars:
            found = _scope_of(frame.f_locals.get(name))
            if found is not None:
                return found
    return None


def _scope_of(value: object) -> Scope | None:
    """Return the ASGI scope that `value` is or holds."""
    scope = value if isinstance(value, dict) else getattr(value, "scope", None)
    return scope if isinstance(scope, dict) and "type" in scope else None
