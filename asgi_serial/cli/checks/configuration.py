"""Settings: those without effect, and paths that shadow routes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asgi_serial.cli.findings import Code, Finding
from asgi_serial.cli.in_process import make_scope
from asgi_serial.timing.routes.base import UNMATCHED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgi_serial.cli.checks.subject import Subject
    from asgi_serial.engine.engine import Engine

_PATHS = {"report_path": "GET", "metrics_path": "GET", "purge_path": "POST"}


def check_settings(subject: Subject) -> Iterator[Finding]:
    """Find settings without effect, and ones that work in a single process only."""
    for engine in subject.engines:
        settings = engine.settings
        for line in settings.overridden:
            yield Finding(Code.SETTING_OVERRIDDEN, line, settings_place(line))
        if not engine.active:
            yield Finding(
                Code.TURNED_OFF,
                "The middleware passes everything on: enabled is off, or all of its parts are.",
                settings.origins.get("enabled", ""),
            )
        has_users = any(rule.policy.cache_partition for rule in settings.routes) or any(
            decoration.policy.cache_partition for decoration in subject.decorations
        )
        if has_users and settings.cache_url is not None and settings.cache_secret is None:
            yield Finding(
                Code.USERS_NOT_SHARED,
                "Responses are stored for each user in a shared store, but cache_secret is not "
                "set, so that each process has names of its own for them.",
                "cache_secret",
            )


def settings_place(line: str) -> str:
    """Return the name of the setting with which a line begins."""
    return line.partition(" ")[0].partition("[")[0]


def check_paths(subject: Subject) -> Iterator[Finding]:
    """Find paths of ours that the app has a route for, and patterns that no route matches."""
    for engine in subject.engines:
        for name, method in _PATHS.items():
            path = getattr(engine.settings, name, None)
            if path is None:
                continue
            label = _label_of(engine, path, method)
            literal = [route.template for route in subject.routes if route.template == path]
            if literal or label == path:
                yield Finding(
                    Code.PATH_SHADOWS_ROUTE,
                    f"{name} is {path!r}, which is a route of the app.",
                    name,
                )
            elif label == UNMATCHED and _is_called_for_routes_only(subject):
                yield Finding(
                    Code.PATH_NOT_SERVED,
                    f"{name} is {path!r}, but Litestar calls the middleware only for its routes, "
                    "and has none for this path.",
                    name,
                )
            elif label != UNMATCHED:
                yield Finding(
                    Code.PATH_WITHIN_ROUTE,
                    f"{name} is {path!r}, which the app's route {label} matches as well.",
                    name,
                )
        yield from _check_patterns(subject, engine.settings.routes)


def _is_called_for_routes_only(subject: Subject) -> bool:
    """Whether the middleware is in Litestar's own list, and nowhere around the app."""
    ours = [layer for layer in subject.layers if layer.is_ours]
    is_litestar = any(layer.name == "litestar.app.Litestar" for layer in subject.layers)
    return is_litestar and bool(ours) and all(layer.instance is None for layer in ours)


def _label_of(engine: Engine, path: str, method: str) -> str:
    """Return the route of a path; a failure, as of an app that is not started, is not logged."""
    logger = logging.getLogger("asgi_serial")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        return engine.label(make_scope(f"http://localhost{path}", method=method))
    finally:
        logger.disabled = was_disabled


def _check_patterns(subject: Subject, rules: object) -> Iterator[Finding]:
    """Find patterns that match no route, where all routes are known and none has parameters.

    A parameter may take any text, so it is replaced by one that a pattern is likely to match.
    """
    paths = [route.template for route in subject.routes]
    for rule in rules:  # type: ignore[attr-defined]
        if "*" in rule.pattern or "{" in rule.pattern or not paths:
            continue
        path = rule.pattern.rpartition(" ")[2]
        if not any(_may_match(template, path) for template in paths):
            yield Finding(
                Code.PATTERN_WITHOUT_ROUTE,
                f"The pattern {rule.pattern!r} matches no route of the app.",
                "routes",
            )


def _may_match(template: str, path: str) -> bool:
    """Whether a route may take a path; a parameter takes any text, slashes included."""
    literals = []
    rest = template
    while "{" in rest:
        literal, _, rest = rest.partition("{")
        literals.append(literal)
        rest = rest.partition("}")[2]
    literals.append(rest)
    if len(literals) == 1:
        return template == path
    if not (path.startswith(literals[0]) and path.endswith(literals[-1])):
        return False
    place = len(literals[0])
    for literal in literals[1:-1]:
        place = path.find(literal, place)
        if place < 0:
            return False
        place += len(literal)
    return place <= len(path) - len(literals[-1])
