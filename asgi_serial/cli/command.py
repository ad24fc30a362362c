"""A command of `asgi-serial`, and what a run of it gives back to the shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from asgi_serial.cli.console import Console

FINE = 0
"""The exit code of a command that did what it was asked, and found nothing wrong."""
FINDINGS = 1
"""The exit code of a command that found something wrong, or was refused by a server."""
USAGE = 2
"""The exit code of a command that could not be run as it was given."""
INTERRUPTED = 130
"""The exit code of a command that was stopped by Ctrl+C (128 + SIGINT, as shells have it)."""


class Command(NamedTuple):
    """One command; each stands in a module of its own, and in `main.COMMANDS`."""

    name: str
    help: str
    add_arguments: Callable[[ArgumentParser], None]
    run: Callable[[Namespace, Console], int]


class UsageError(Exception):
    """The command cannot be run as it was given; the message says why, and what to change."""


def add_json_option(parser: ArgumentParser) -> None:
    """Add the option for commands whose result a program may read."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
