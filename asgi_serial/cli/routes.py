"""`routes`: the routes of an app, with the policies that the settings and decorators give them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgi_serial.cli.apps import find_engines, place_of
from asgi_serial.cli.command import FINE, Command, UsageError, add_json_option
from asgi_serial.cli.loading import add_app_arguments, load_app
from asgi_serial.cli.route_list import list_routes
from asgi_serial.cli.settings import shown_policy
from asgi_serial.settings.policy import DECORATIONS, merge

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from asgi_serial.cli.console import Console
    from asgi_serial.cli.route_list import ListedRoute
    from asgi_serial.settings.policy import Decoration, RoutePolicy, RouteRule


def _add_arguments(parser: ArgumentParser) -> None:
    add_app_arguments(parser)
    add_json_option(parser)


def _run(given: Namespace, console: Console) -> int:
    decorations: list[Decoration] = []
    DECORATIONS.set(decorations)
    with console.quiet_app():
        app = load_app(given).app
        rules = [rule for engine in find_engines(app) for rule in engine.settings.routes]
        try:
            routes = list_routes(app)
        except Exception as error:  # a framework of another version
            raise UsageError(f"The routes of {given.app} cannot be listed: {error!r}.") from None
    if not routes:
        raise UsageError(
            f"{given.app} has no routes that can be listed: it is not an app of a known framework, "
            "or has none yet."
        )
    rows = [_row(route, rules, decorations) for route in routes]
    console.table(
        ("methods", "route", "handler", "policy"),
        [
            (
                ",".join(row["methods"]) if row["methods"] else "*",
                row["route"],
                row["handler"],
                ", ".join(f"{name}={_text_of(value)}" for name, value in row["policy"].items()),
            )
            for row in rows
        ],
    )
    console.print_json(rows)
    return FINE


def _row(
    route: ListedRoute, rules: list[RouteRule], decorations: list[Decoration]
) -> dict[str, Any]:
    policy = merge(_policy_of(route.endpoint, decorations), _rule_for(route, rules))
    return {
        "methods": None if route.methods is None else list(route.methods),
        "route": route.template,
        "handler": handler_name(route.endpoint),
        "where": place_of(_function_of(route.endpoint)),
        "framework": route.framework,
        "policy": {} if policy is None else shown_policy(policy),
    }


def _text_of(value: object) -> str:
    """Return the value of an option as a decorator takes it; numbers with a point are durations."""
    return f"{value:g}s" if isinstance(value, float) else str(value)


def handler_name(endpoint: object) -> str:
    """Return the name of a handler with that of its module; empty, if it is not known."""
    name = getattr(endpoint, "__qualname__", None)
    if name is None:
        return "" if endpoint is None else type(endpoint).__qualname__
    return f"{getattr(endpoint, '__module__', '')}.{name}".lstrip(".")


def _function_of(endpoint: Any) -> object:
    while hasattr(endpoint, "__wrapped__"):
        endpoint = endpoint.__wrapped__
    return getattr(endpoint, "__func__", endpoint)


def _policy_of(endpoint: object, decorations: list[Decoration]) -> RoutePolicy | None:
    """Return the policy that a decorator directly on an endpoint, or inside it, has set."""
    by_wrapper = {id(one.wrapper): one.policy for one in decorations}
    step: Any = endpoint
    while step is not None:
        if id(step) in by_wrapper:
            return by_wrapper[id(step)]
        step = getattr(step, "__wrapped__", None)
    return None


def _rule_for(route: ListedRoute, rules: list[RouteRule]) -> RoutePolicy | None:
    """Return the policy of the first pattern that matches the path with its parameters as text."""
    for method in route.methods or ("GET",):
        for rule in rules:
            if rule.matches(method, route.template):
                return rule.policy
    return None


COMMAND = Command("routes", "list the routes of an app and their policies", _add_arguments, _run)
