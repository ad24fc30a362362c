"""`demo`: serve the demonstration API over uvicorn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from asgi_serial.cli.command import FINE, Command
from asgi_serial.cli.demo import build_demo, print_lines

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from asgi_serial.cli.console import Console


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)


def _run(given: Namespace, console: Console) -> int:
    print_lines(given.host, given.port)
    uvicorn.run(build_demo(), host=given.host, port=given.port, log_level="warning")
    return FINE


COMMAND = Command("demo", "serve a demonstration API and print curl commands", _add_arguments, _run)
