"""`serve`: serve an app over uvicorn, with the middleware around it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import uvicorn

from asgi_serial.cli.apps import find_engines
from asgi_serial.cli.command import FINE, Command, UsageError
from asgi_serial.cli.loading import add_app_arguments, load_app
from asgi_serial.cli.served import VARIABLE, describe
from asgi_serial.settings.model import Settings

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from asgi_serial.cli.console import Console


def _add_arguments(parser: ArgumentParser) -> None:
    add_app_arguments(parser)
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen at (8000)")
    parser.add_argument("--workers", type=int, default=1, help="how many processes serve (1)")
    parser.add_argument("--reload", action="store_true", help="start anew if a file changes")
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("critical", "error", "warning", "info", "debug", "trace"),
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the middleware, written as in the environment, such as cache_ttl=60s; "
        "may be repeated",
    )


def read_settings(pairs: list[str]) -> dict[str, str]:
    """Return the settings that the option `--set` gives.

    Raises: UsageError, if one is no pair; ConfigurationError, if they are wrong.
    """
    settings: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().lower().removeprefix("asgi_serial_")
        if not equals:
            raise UsageError(
                f"--set {pair!r} has no '='; expected NAME=VALUE such as cache_ttl=60s."
            )
        if name in settings:
            raise UsageError(f"--set names {name} twice.")
        settings[name] = value
    Settings.load(settings, os.environ)
    return settings


def _run(given: Namespace, console: Console) -> int:
    settings = read_settings(given.set)
    # In the parent process only to see that it can be imported; uvicorn imports it again where it
    # serves it, which may be in several processes.
    app = load_app(given).app
    if find_engines(app):
        if settings:
            raise UsageError(
                f"{given.app} has a SerialMiddleware already; give it the settings there, or as "
                "variables."
            )
        console.note(f"{given.app} has a SerialMiddleware already; it is served as it is.")
    os.environ[VARIABLE] = describe(
        given.app, os.path.abspath(given.app_dir), settings, factory=given.factory
    )
    uvicorn.run(
        "asgi_serial.cli.served:make_app",
        factory=True,
        host=given.host,
        port=given.port,
        workers=given.workers if given.workers > 1 else None,
        reload=given.reload,
        log_level=given.log_level,
    )
    return FINE


COMMAND = Command("serve", "serve an app over uvicorn, with the middleware", _add_arguments, _run)
