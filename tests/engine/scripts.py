"""Apps that send a script of messages, and the settings and clients that they are tried with."""

from typing import Any

import pytest

from .driver import Request, document_of, fields_of

DOCUMENT = document_of(4000)
LARGE = document_of(900_000)
JSON = {"content_type": "application/json"}
FRESH_JSON = {**JSON, "cache_control": "max-age=60"}

SETTINGS: dict[str, dict[str, Any]] = {
    "all on": {},
    "a ttl for all": {"cache_ttl": "60s"},
    "timing only": {"formats": False, "compression": False, "decoding": False, "cache": False},
    "compression only": {"formats": False, "decoding": False, "cache": False, "timing": False},
    "server timing": {"server_timing": True},
    "turned off": {"enabled": False},
}
CLIENTS = {
    "a plain client": Request(),
    "a browser": Request(fields=(("accept", "*/*"), ("accept-encoding", "gzip, br, zstd"))),
    "a client of MessagePack": Request(fields=(("accept", "application/vnd.msgpack"),)),
}
COMPRESSING = Request(fields=(("accept-encoding", "gzip"),))

every_setting = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)


def start_of(status: int = 200, **fields: str) -> dict[str, Any]:
    """The start of a response."""
    return {"type": "http.response.start", "status": status, "headers": fields_of(**fields)}


def body_of(body: bytes = b"", *, more: bool = False) -> dict[str, Any]:
    """A message of a response's body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


def script(*messages: dict[str, Any]) -> Any:
    """An app that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app
