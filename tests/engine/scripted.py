"""An app by a script of ASGI messages."""

import asyncio
import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


class Failure(Exception):
    """What a scripted app raises."""


@dataclass(frozen=True)
class Script:
    """What an app does for every request alike; pieces are counted from the start, which is 0."""

    status: int
    content: bytes
    cuts: tuple[int, ...]  # where the body is cut into pieces; equal ones make empty pieces
    fields: tuple[tuple[bytes, bytes], ...]
    container: str  # of the fields: list, tuple, iterator
    own_tag: bytes | None  # of the app, which answers If-None-Match by it
    ends_after: int | None  # stops after so many pieces
    raises: bool  # where it stops, or at its end
    reads: str  # the request's body: never, first, after the start, late
    trailers: bool
    works_on: bool  # after its last piece

    @property
    def pieces(self) -> list[bytes]:
        """The body as it is sent."""
        places = [0, *sorted(min(cut, len(self.content)) for cut in self.cuts), len(self.content)]
        return [self.content[a:b] for a, b in pairwise(places)]


class Scripted:
    """An app by a script; its answers say which of its calls they are of, and what it has read."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        script = self.script
        self.calls += 1
        call = self.calls
        read = await _read(receive) if script.reads == "first" else None
        status, pieces = script.status, script.pieces
        condition = dict(scope["headers"]).get(b"if-none-match")
        reads = scope["method"] in ("GET", "HEAD")
        if reads and script.own_tag and script.own_tag in (condition or b"").split(b", "):
            status, pieces = 304, [b""]
        fields = [*script.fields, (b"x-call", b"%d" % call)]
        if status == 304:
            fields = [pair for pair in fields if pair[0] not in (b"content-length",)]
        if read is not None:
            fields.append((b"x-read", hashlib.sha256(read).hexdigest().encode()))
        start = {"type": "http.response.start", "status": status, "headers": fields}
        start["headers"] = {"list": list, "tuple": tuple, "iterator": iter}[script.container](
            fields
        )
        if script.trailers and status != 304:
            start["trailers"] = True
        await self._send_all(start, pieces, receive, send)
        if script.reads == "late":
            await _read(receive)
        if script.works_on:
            await asyncio.sleep(0)
        if script.raises and script.ends_after is None:
            raise Failure

    async def _send_all(self, start: Any, pieces: list[bytes], receive: Any, send: Any) -> None:
        script = self.script
        for place in range(len(pieces) + 1):
            if place == script.ends_after:
                if script.raises:
                    raise Failure
                return
            if place == 0:
                await send(start)
                if script.reads == "after the start":
                    await _read(receive)
                continue
            more = place < len(pieces)
            body = {"type": "http.response.body", "body": pieces[place - 1], "more_body": more}
            if not more and place == 1:
                del body["more_body"]
            await send(body)
        if start.get("trailers"):
            headers = [(b"x-sum", b"1"), (b"x-sum", b"2")]
            await send({"type": "http.response.trailers", "headers": headers})


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
