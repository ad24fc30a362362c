"""Find out whether the formats of a route are translated, by the settings and its policies."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from asgi_serial.engine.app_engines import apps_around, engines_of
from asgi_serial.engine.engine import Engine
from asgi_serial.middleware import SerialMiddleware
from asgi_serial.openapi.contents import Offer
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import merge, policy_of
from asgi_serial.timing.routes.apps import layers_of
from asgi_serial.timing.routes.base import MOUNTED
from asgi_serial.timing.routes.tree import Prefix, routes_of, walk_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asgi_serial.settings.policy import RoutePolicy

NOTHING = Offer(gives=False, takes=False)


def find_settings(app: Any) -> Settings | None:
    """Return the settings of the middleware around an app; None if there is none.

    A framework that has not built its middleware yet tells the options that it will be given.
    """
    for engine in engines_of(app):
        return engine.settings
    # FastAPI, and Litestar.
    for listed in app.user_middleware if hasattr(app, "user_middleware") else app.middleware:
        cls = getattr(listed, "cls", None) or getattr(listed, "middleware", listed)
        if isinstance(cls, type) and issubclass(cls, SerialMiddleware):
            options: dict[str, Any] = dict(getattr(listed, "kwargs", None) or {})
            shared = options.get("engine")
            if isinstance(shared, Engine):
                return shared.settings
            known = {name: options[name] for name in Settings.model_fields if name in options}
            return Settings.load(known, os.environ)
    return None


def find_prefix(app: object) -> str:
    """Return the path under which an app is mounted in one with the middleware; empty if none."""
    for outer in apps_around(app):
        for node in walk_routes(routes_of(outer), Prefix()):
            if not node.is_leaf and any(layer is app for layer in layers_of(node.endpoint)):
                return node.template.removesuffix(MOUNTED)
    return ""


def find_offer(
    settings: Settings | None,
    methods: Iterable[str],
    paths: Iterable[str],
    endpoint: object,
    reads_json: Callable[[], bool],
) -> Offer:
    """Return the offer of a route: what holds for each of its methods and paths.

    `endpoint` is its handler, and `reads_json` tells whether that is known to read JSON.
    """
    if settings is None or not settings.enabled:
        return NOTHING
    handler = policy_of(endpoint)
    policies = [
        merge(handler, _rule_of(settings, method, path)) for method in methods for path in paths
    ]
    gives = all(_choose(policy, "formats", settings) for policy in policies)
    uploads = {_choose(policy, "format_uploads", settings) for policy in policies}
    takes = gives and False not in uploads and (uploads == {True} or reads_json())
    return Offer(gives=gives, takes=takes)


def _rule_of(settings: Settings, method: str, path: str) -> RoutePolicy | None:
    """Return the policy of the first pattern that matches a path with its parameters as text."""
    found = (rule.policy for rule in settings.routes if rule.matches(method, path))
    return next(found, None)


def _choose(policy: RoutePolicy | None, option: str, settings: Settings) -> bool | None:
    said: bool | None = None if policy is None else getattr(policy, option)
    default: bool | None = getattr(settings, option)
    return default if said is None else said
