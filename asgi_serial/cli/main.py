"""The command line: `asgi-serial` and `python -m asgi_serial`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from asgi_serial.cli import bench, demo_command, doctor, purge, report, routes, serve, settings
from asgi_serial.cli.command import INTERRUPTED, USAGE, Command, UsageError
from asgi_serial.cli.console import Console
from asgi_serial.errors import ConfigurationError
from asgi_serial.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS: tuple[Command, ...] = (
    doctor.COMMAND,
    settings.COMMAND,
    routes.COMMAND,
    serve.COMMAND,
    bench.COMMAND,
    report.COMMAND,
    purge.COMMAND,
    demo_command.COMMAND,
)

_EPILOG = """\
exit codes: 0 all is well; 1 something was found, or a server refused; 2 the command cannot be run
as it was given. `asgi-serial COMMAND --help` tells more about each.
"""


def run(arguments: Sequence[str] | None = None, *, program: str = "asgi-serial") -> int:
    """Run a command, and return the exit code."""
    parser = _build_parser(program)
    given = parser.parse_args(arguments)
    command: Command = given.command
    console = Console(is_json=getattr(given, "json", False))
    try:
        return command.run(given, console)
    except UsageError as error:
        return _fail(program, command, str(error))
    except ConfigurationError as error:
        return _fail(program, command, f"The settings are wrong:\n{error}")
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left, as `head` does; Python would complain about it at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(program: str, command: Command, text: str) -> int:
    print(f"{program} {command.name}: {text}", file=sys.stderr)  # noqa: T201
    return USAGE


def _build_parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Look at an app with the asgi_serial middleware, measure it, and serve it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"asgi-serial {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        about = command.help[0].upper() + command.help[1:] + "."
        added = commands.add_parser(
            command.name, help=command.help, description=about, allow_abbrev=False
        )
        added.set_defaults(command=command)
        command.add_arguments(added)
    return parser
