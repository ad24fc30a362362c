"""An app whose every answer is another."""

import json
from typing import Any

from .driver import Request, ask
from .scripts import JSON, body_of, start_of


class Personal:
    """An app whose every answer is another, and says what it was asked."""

    def __init__(self, **fields: str) -> None:
        self.fields = {**JSON, **fields}
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        document = {"call": self.calls, "padding": "x" * 600, "body": body.decode("latin-1")}
        await send(start_of(**self.fields))
        await send(body_of(json.dumps(document).encode()))


async def calls_of(app: Any, *requests: Request) -> list[int]:
    """Which call of the app has made the answer to each request."""
    return [(await ask(app, request)).document["call"] for request in requests]
