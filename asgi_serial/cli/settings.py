"""`settings`: the effective settings of an app, or of the environment, and where they come from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from asgi_serial.admin.state import describe_settings
from asgi_serial.cli.apps import find_engines
from asgi_serial.cli.command import FINE, Command, UsageError, add_json_option
from asgi_serial.cli.loading import add_loading_options, load_app
from asgi_serial.settings.model import PREFIX, Settings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from asgi_serial.cli.console import Console


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "app",
        metavar="module:app",
        nargs="?",
        help="the app whose settings are shown (those of the environment alone)",
    )
    add_loading_options(parser)
    parser.add_argument(
        "--changed", action="store_true", help="leave out settings that have their default"
    )
    add_json_option(parser)


def shown_policy(policy: Any) -> dict[str, object]:
    """Return the options that a policy sets, in JSON's types."""
    given = {name: value for name, value in policy._asdict().items() if value is not None}
    return {
        name: list(value) if isinstance(value, tuple) else repr(value) if callable(value) else value
        for name, value in given.items()
    }


def shown_settings(settings: Settings) -> list[dict[str, Any]]:
    """Return all settings with their values, where these come from, and what they do."""
    rows = describe_settings(settings)
    for row in rows:
        row["description"] = Settings.model_fields[row["name"]].description
        if row["name"] == "routes":
            row["value"] = {rule.pattern: shown_policy(rule.policy) for rule in settings.routes}
            row["text"] = str(row["value"] or "unset")
    return rows


def load_environment() -> Settings:
    """Return the settings of the environment alone.

    Its tokens are for paths that the code may set, so that these are none of its faults.
    """
    set_there = {name.upper() for name in os.environ}
    given = {
        name: None
        for name in ("report_path", "metrics_path", "purge_path")
        if f"{PREFIX}{name.upper()}" not in set_there
    }
    loaded = Settings.load(given, os.environ)
    loaded.__dict__["origins"] = {
        name: origin for name, origin in loaded.origins.items() if name not in given
    }
    return loaded


def _run(given: Namespace, console: Console) -> int:
    if given.app is None:
        found = [load_environment()]
    else:
        with console.quiet_app():
            app = load_app(given).app
            found = list(dict.fromkeys(engine.settings for engine in find_engines(app)))
        if not found:
            raise UsageError(f"{given.app} has no SerialMiddleware; `doctor` says how to add it.")
    engines = []
    for number, settings in enumerate(found, start=1):
        rows = shown_settings(settings)
        if given.changed:
            rows = [row for row in rows if row["source"] != "default"]
        engines.append(rows)
        if len(found) > 1:
            console.print(f"Middleware {number} of {len(found)}:")
        if rows:
            console.table(
                ("setting", "value", "from"),
                [(row["name"], row["text"], row["source"]) for row in rows],
            )
        else:
            console.print("All settings have their defaults.")
        for line in settings.overridden:
            console.print(f"No effect: {line}")
    console.print_json(engines[0] if len(engines) == 1 else engines)
    return FINE


COMMAND = Command("settings", "show the effective settings and their sources", _add_arguments, _run)
