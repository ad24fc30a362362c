"""The origin of the conformance table: an app that answers by a script and notes its requests."""

import re
from email.utils import formatdate
from time import gmtime, strftime
from typing import Any, NamedTuple

from .table import BROKEN, FAILED, SHORT, Reply

_DATE = re.compile(r"\{([+-]\d+)(?: (rfc850|asctime))?\}")
_OBSOLETE = {"rfc850": "%A, %d-%b-%y %H:%M:%S GMT", "asctime": "%a %b %e %H:%M:%S %Y"}

Fields = tuple[tuple[str, str], ...]


class Asked(NamedTuple):
    """A request that has reached the origin, and what it was answered with."""

    method: str
    fields: Fields
    status: int  # that it was answered with
    body: bytes


class Clock:
    """A clock that only the steps move."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Failed(Exception):
    """The origin ends a response before it is whole."""


class Origin:
    """An ASGI app that answers with `replies` whatever it is asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.replies: list[Reply] = []  # to the next requests; the last one to all that follow
        self.path = ""  # of the case
        self.asked: list[Asked] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body", False):
            pass
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        body = reply.body
        if body is None:
            body = f"{self.path} was asked {len(self.asked) + 1} times".encode()
        fields = tuple((name.decode(), value.decode("latin-1")) for name, value in scope["headers"])
        has_content = scope["method"] != "HEAD" and reply.status not in (204, 304)
        answered = body if has_content else b""
        self.asked.append(Asked(scope["method"], fields, reply.status, answered))
        if reply.end is FAILED:
            raise Failed
        headers = self._render(reply)
        if reply.status not in (204, 304) and reply.end is not BROKEN:
            headers.append((b"content-length", b"%d" % (len(body) + (reply.end is SHORT))))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if has_content:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        if reply.end is BROKEN:
            raise Failed
        if reply.end is not SHORT:
            await send({"type": "http.response.body"})

    def _render(self, reply: Reply) -> list[tuple[bytes, bytes]]:
        lines = [self.render(line) for line in reply.lines]
        pairs = [line.partition(":") for line in lines]
        fields = [(name.lower(), value.strip()) for name, _, value in pairs]
        if reply.dated and not any(name == "date" for name, _ in fields):
            fields.append(("date", formatdate(self.clock.now, usegmt=True)))
        return [(name.encode(), value.encode("latin-1")) for name, value in fields]

    def render(self, line: str) -> str:
        """A line of the table with its dates and its path put in."""
        return _DATE.sub(self._date, line.replace("{path}", self.path))

    def _date(self, match: re.Match[str]) -> str:
        seconds = self.clock.now + int(match[1])
        if match[2] is None:
            return formatdate(seconds, usegmt=True)
        return strftime(_OBSOLETE[match[2]], gmtime(seconds))
