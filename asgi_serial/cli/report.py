"""`report`: print the timing report of a running server."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from asgi_serial.cli.command import FINDINGS, FINE, Command, add_json_option
from asgi_serial.cli.http_client import send

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from asgi_serial.cli.console import Console
    from asgi_serial.cli.http_client import Reply

TOKEN_VARIABLE = "ASGI_SERIAL_REPORT_TOKEN"


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        help="the server's report_path, such as http://localhost:8000/-/timing",
    )
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        help=f"the report_token of the server (the value of {TOKEN_VARIABLE})",
    )
    parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS")
    add_json_option(parser)


def _run(given: Namespace, console: Console) -> int:
    token = given.token or os.environ.get(TOKEN_VARIABLE)
    accept = "application/json" if console.is_json else "text/plain"
    with console.progress("Waiting for the report") as progress:
        progress.step("")
        reply = send(given.url, token=token, timeout=given.timeout, accept=accept)
    fault = _fault_of(reply, given.url, has_token=bool(token))
    if fault:
        console.note(fault)
        return FINDINGS
    if console.is_json:
        console.print_json(json.loads(reply.body))
    else:
        console.print(reply.text.rstrip("\n"))
    return FINE


def _fault_of(reply: Reply, url: str, *, has_token: bool) -> str:
    """Return why an answer is no report; empty, if it is one."""
    if reply.status == 0:
        return f"{reply.text}. Is the server running, and is this its port?"
    if reply.status in (401, 403):
        if has_token:
            return (
                f"{url} does not accept the token ({reply.status}); compare it with report_token."
            )
        return f"{url} requires a token ({reply.status}); pass report_token by --token."
    if reply.status == 404:
        return f"{url} does not exist (404); expected the report_path of the server."
    if reply.status != 200:
        return f"{url} has answered with the status {reply.status}; expected 200."
    if reply.content_type.startswith("application/json"):
        try:
            document = json.loads(reply.body)
        except ValueError:
            document = None
        if isinstance(document, dict) and "schema" in document and "routes" in document:
            return ""
    elif reply.content_type.startswith("text/plain") and b"requests" in reply.body:
        return ""
    return f"{url} is not a timing report ({reply.content_type or 'no Content-Type'})."


COMMAND = Command("report", "print the timing report of a running server", _add_arguments, _run)
