"""Which function a request was routed to, as far as its framework tells.

Only that function may permit something to the cache. Starlette, FastAPI and Litestar name it in the
scope, Django and Quart in their request. Falcon, BlackSheep and Sanic do not, but it is they who
call it, and no code of users. An ASGI app that routes by hand passes the scope.
"""

import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from asgi_serial.types import Scope

REQUEST = "asgi_serial.request"
"""The key in the app's scope for an object of this request; copies of the scope have it, too."""

CALLERS = frozenset({"blacksheep", "falcon", "sanic"})
"""The frameworks that tell their handlers by calling them, and in no other way."""

_SCOPES = ("scope", "request", "req")  # what frameworks call a scope, and what holds one
_WRAPPED = ("__func__", "__wrapped__", "fn", "func", "view_class")
_MAX_STEPS = 16


def is_routed_to(
    function: object, scope: Scope, args: Sequence[object], caller: FrameType | None
) -> bool:
    """Whether the request of `scope`, the app's, was routed to a function.

    The frame `caller` has called that with `args`. What cannot be known is False.
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
    except Exception:  # of a framework's, whose objects are not those that are known here
        return False


def has_scope(args: Sequence[object], scope: Scope) -> bool:
    """Whether one of these arguments is the scope of the request, as an ASGI app's first one is."""
    return any(isinstance(arg, dict) and is_of_one(arg, scope) for arg in args[:2])


def is_served_by(scope: Scope, caller: FrameType | None) -> bool:
    """Whether the frame `caller` serves the request of `scope`, and no other within it.

    The scope that stands nearest on the stack is that of the request, or the function that it was
    routed to does. What cannot be known is False.
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
        # The stack has ended, as that of a thread does.
        further = [*_views_of(scope, ()), *_dependencies_of(scope)]
        return any(code in codes for target in further for code in _codes_of(target, scope))
    except Exception:  # of a framework's, whose objects are not those that are known here
        return False


def _told_by(scope: Scope) -> Iterator[object]:
    """The functions, or classes, that a scope names as those which it was routed to."""
    for name in ("endpoint", "route_handler"):
        target = scope.get(name)
        if target is not None:
            yield target


def is_of_one(found: Scope, scope: Scope) -> bool:
    """Whether two scopes are of one request.

    A copy that asks for something else is that of a request within it, as for a part of a page.
    """
    if found is scope:
        return REQUEST in scope
    is_copy = REQUEST in scope and found.get(REQUEST) is scope[REQUEST]
    return is_copy and _target_of(found) == _target_of(scope)


def _target_of(scope: Scope) -> tuple[object, ...]:
    """What a scope asks for, however much of its path an app has been mounted at."""
    root, path = scope.get("root_path", ""), scope.get("path", "")
    if not path.startswith(root):
        path = root + path
    return scope.get("method"), path.rstrip("/"), scope.get("query_string", b"")


def _agree(found: Scope, scope: Scope) -> bool:
    """Whether a copy of the scope was not routed elsewhere, to answer something else."""
    told, known = list(_told_by(found)), list(_told_by(scope))
    return not told or not known or told == known


def _views_of(scope: Scope, args: Sequence[object]) -> Iterator[object]:
    """The functions that Django and Quart have routed a request to."""
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
    """The functions that FastAPI calls for the route, beside its endpoint."""
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
    """What is called in the end where `target` is: below decorators, in methods and classes."""
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
    """The scope that stands nearest on the stack, in whatever a frame calls one."""
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
    """The ASGI scope that `value` is, or holds."""
    scope = value if isinstance(value, dict) else getattr(value, "scope", None)
    return scope if isinstance(scope, dict) and "type" in scope else None
