"""`purge`: drop stored responses, by a running server or in the store that servers share."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

from asgi_serial.cli.command import FINDINGS, FINE, Command, UsageError, add_json_option
from asgi_serial.cli.http_client import send
from asgi_serial.middleware import purge
from asgi_serial.settings.model import Settings
from asgi_serial.store.url import shown_store_url

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from asgi_serial.cli.console import Console

TOKEN_VARIABLE = "ASGI_SERIAL_PURGE_TOKEN"
URL_VARIABLE = "ASGI_SERIAL_CACHE_URL"
_UNREAD_PATHS = ("report_path", "metrics_path", "purge_path")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help="the purge_path of a server, such as http://localhost:8000/-/purge, or the store that "
        f"servers share, such as redis://localhost:6379/0 (the value of {URL_VARIABLE})",
    )
    for name, about in (
        ("tag", "responses with this tag"),
        ("uri", "the responses of this URI: a path, or an absolute one"),
        ("prefix", "the responses of all URIs that begin like this"),
    ):
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar=name.upper(),
            help=f"drop {about}; may be repeated",
        )
    parser.add_argument("--everything", action="store_true", help="drop all responses")
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        help=f"the purge_token of the server (the value of {TOKEN_VARIABLE})",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        help="the cache_namespace of the servers that share the store (that of the environment)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="the longest wait for the server or the store (30)",
    )
    add_json_option(parser)


def _run(given: Namespace, console: Console) -> int:
    url = given.url or os.environ.get(URL_VARIABLE)
    if not url:
        raise UsageError(
            "There is nothing to purge from; name the purge_path of a server, or the store."
        )
    asked = {"tags": given.tag, "uris": given.uri, "prefixes": given.prefix}
    if not given.everything and not any(asked.values()):
        raise UsageError(
            "There is nothing to purge; name it by --tag, --uri, --prefix or --everything."
        )
    with console.progress("Purging") as progress:
        progress.step("")
        if url.startswith(("http://", "https://")):
            fault = _purge_by_server(url, asked, given)
        else:
            fault = _purge_in_store(url, asked, given)
    shown = shown_store_url(url) if not url.startswith("http") else url
    console.print_json({"url": shown, "purged": not fault, "fault": fault or None})
    if fault:
        console.note(fault)
        return FINDINGS
    console.print(f"Purged at {shown}.")
    return FINE


def _purge_by_server(url: str, asked: dict[str, Any], given: Namespace) -> str:
    """Purge by a server's endpoint; return what went wrong, or nothing."""
    token = given.token or os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise UsageError(
            f"A server purges with a token only; pass it by --token or {TOKEN_VARIABLE}."
        )
    body = {name: values for name, values in asked.items() if values}
    if given.everything:
        body["everything"] = True
    reply = send(
        url,
        token=token,
        timeout=given.timeout,
        body=json.dumps(body).encode(),
        fields={"content-type": "application/json"},
    )
    if reply.status == 204:
        return ""
    if reply.status == 0:
        return f"{reply.text}."
    if reply.status in (401, 403):
        return f"{url} does not accept the token ({reply.status}); compare it with purge_token."
    if reply.status in (404, 405):
        return f"{url} does not purge ({reply.status}); expected the purge_path of the server."
    try:
        detail = json.loads(reply.body)["detail"]
    except (ValueError, KeyError, TypeError):
        detail = ""
    return f"{url} has not purged ({reply.status}). {detail}".rstrip()


def _purge_in_store(url: str, asked: dict[str, Any], given: Namespace) -> str:
    """Purge in the second level; return what went wrong, or nothing."""
    # The servers' own limit is for each request. This is the first call of a new connection, which
    # at sentinels and clusters is the last of several.
    options: dict[str, object] = {"cache_url": url, "cache_store_timeout": given.timeout}
    options |= dict.fromkeys(_UNREAD_PATHS)
    if given.namespace is not None:
        options["cache_namespace"] = given.namespace
    settings = Settings.load(options, os.environ)
    try:
        told = asyncio.run(purge(settings, **asked, everything=given.everything))
    except ValueError as error:
        raise UsageError(str(error)) from None
    if told:
        return ""
    return f"The store {shown_store_url(url)} has not accepted the purge; is it running?"


COMMAND = Command(
    "purge", "drop stored responses, in a server or in a shared store", _add_arguments, _run
)
