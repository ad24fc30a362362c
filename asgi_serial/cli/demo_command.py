"""`demo`: serve the demonstration API over uvicorn."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asgi_serial.cli.command import FINE, Command, UsageError
from asgi_serial.cli.demo import serve_demo

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Mapping

    from asgi_serial.cli.console import Console

DEFAULT_PORT = 8000


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (127.0.0.1)")
    parser.add_argument(
        "--port",
        type=int,
        help=f"the port to listen at ($PORT, else {DEFAULT_PORT}); a free one if that is taken",
    )


def find_port(given: int | None, environ: Mapping[str, str]) -> int:
    """Return the port of the option, of the variable PORT, or the default.

    Raises: UsageError, if it is none.
    """
    written = str(given) if given is not None else environ.get("PORT", "").strip()
    name = "--port" if given is not None else "PORT"
    if not written:
        return DEFAULT_PORT
    if not (written.isascii() and written.isdigit() and int(written[:9]) <= 65_535):
        raise UsageError(f"{name} is {written[:20]!r}; expected a number from 0 to 65535.")
    return int(written)


def _run(given: Namespace, console: Console) -> int:
    port = find_port(given.port, os.environ)
    try:
        serve_demo(given.host, port, console.print)
    except OSError as error:
        raise UsageError(f"cannot listen at {given.host}, port {port}: {error}") from None
    except KeyboardInterrupt:
        pass  # that is how one stops it
    return FINE


COMMAND = Command("demo", "serve a demonstration API and print what to try", _add_arguments, _run)
