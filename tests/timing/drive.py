"""An app driven over ASGI in process, and the scope that it leaves behind."""

import asyncio
from typing import Any


class Copying:
    """A middleware that hands its app a copy of the scope, as some inner middlewares do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        await self.app(dict(scope), receive, send)


class Capturing:
    """Keeps the scopes that pass through it; stands where the timing middleware would."""

    def __init__(self, app: Any, scopes: list[dict[str, Any]]) -> None:
        self.app = app
        self.scopes = scopes

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            self.scopes.append(scope)
        await self.app(scope, receive, send)


def http_scope(path: str, method: str = "GET", host: str = "example.org", root_path: str = ""):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", host.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }


def run(app: Any, scope: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """The status of the answer, and the scope as the app left it, a shallow copy of the given."""
    handed = dict(scope)
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(app(handed, receive, send))
    return messages[0]["status"], handed
