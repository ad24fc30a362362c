"""Policies that no request hears: decorators in the wrong place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cli.apps import place_of
from asgi_serial.cli.findings import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgi_serial.cli.checks.subject import Subject

_WRAPPED = ("__wrapped__", "__func__", "func", "fn")
_MAX_STEPS = 16


def check_decorators(subject: Subject) -> Iterator[Finding]:
    """Find functions that a route got before `serial` decorated them."""
    routed: dict[int, str] = {}
    for route in subject.routes:
        for step in _steps(route.endpoint):
            routed.setdefault(id(step), route.shown)
    for decoration in subject.decorations:
        function, wrapper = decoration.function, decoration.wrapper
        if id(function) in routed and id(wrapper) not in routed:
            name = getattr(function, "__qualname__", repr(function))
            yield Finding(
                Code.POLICY_ABOVE_ROUTE,
                f"@serial stands above the decorator that routes {name} to "
                f"{routed[id(function)]}, so that no request hears its policy.",
                place_of(function),
            )


def _steps(endpoint: object) -> Iterator[object]:
    """Yield an endpoint, and the functions that it wraps; of a class, those of its methods."""
    if isinstance(endpoint, type):
        for value in vars(endpoint).values():
            yield from _steps(value) if not isinstance(value, type) else ()
        return
    step: object = endpoint
    for _ in range(_MAX_STEPS):
        yield step
        inner = (getattr(step, name, None) for name in _WRAPPED)
        following = next((one for one in inner if one is not None), None)
        if following is None:
            return
        step = following
