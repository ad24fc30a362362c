"""Requests as a server hands them to an app, and a loop that makes them."""

import marshal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

from asgi_serial.types import ASGIApp, Field, Message, Scope

Fields = dict[bytes, bytes]

# A browser, asked by a page of the same origin.
SAME_ORIGIN: Fields = {
    b"host": b"api.example.com",
    b"connection": b"keep-alive",
    b"sec-ch-ua": b'"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
    b"user-agent": b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/140.0.0.0 Safari/537.36",
    b"accept": b"*/*",
    b"sec-fetch-site": b"same-origin",
    b"sec-fetch-mode": b"cors",
    b"sec-fetch-dest": b"empty",
    b"referer": b"https://api.example.com/items",
    b"accept-encoding": b"gzip, deflate, br, zstd",
    b"accept-language": b"en-GB,en;q=0.9",
}

# A browser, asked by a page of another origin, for a host of which it holds cookies.
BROWSER: Fields = SAME_ORIGIN | {
    b"sec-ch-ua-platform": b'"Linux"',
    b"sec-ch-ua-mobile": b"?0",
    b"origin": b"https://www.example.com",
    b"sec-fetch-site": b"same-site",
    b"referer": b"https://www.example.com/",
    b"cookie": b"_ga=GA1.1.1234567890.1760000000; session=3f9a1c5e7b2d4f60",
}

# A script, by a client that says no more than it has to.
BARE: Fields = {
    b"host": b"api.example.com",
    b"accept": b"*/*",
    b"user-agent": b"python-client/1.0",
}


class Request:
    """One request, made anew each time, with a client's fields, `fields` and not `without`.

    With `unique`, no two have the same query.
    """

    def __init__(
        self,
        fields: Fields | None = None,
        *,
        client: Fields = SAME_ORIGIN,
        without: tuple[bytes, ...] = (),
        method: str = "GET",
        path: str = "/items",
        body: bytes = b"",
        unique: bool = False,
    ) -> None:
        # A server cuts the fields out of what it has read: bytes that nobody has hashed yet.
        pairs = (client | (fields or {})).items()
        self._fields = marshal.dumps([pair for pair in pairs if pair[0] not in without])
        self.scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 50000),
            "scheme": "http",
            "method": method,
            "root_path": "",
            "path": path,
            "raw_path": path.encode(),
        }
        self.body = body
        self._numbers = count() if unique else None

    def read(self) -> tuple[bytes, list[Field]]:
        """The query and the fields of one more request, cut out of what a client has sent."""
        query = b"page=2" if self._numbers is None else b"n=%d" % next(self._numbers)
        return query, marshal.loads(self._fields)


@dataclass
class Answer:
    """A response as the client gets it."""

    status: int = 0
    fields: list[Field] = field(default_factory=list)
    body: bytes = b""

    def get(self, name: bytes) -> bytes:
        """The value of a field, or b""."""
        return next((value for key, value in self.fields if key.lower() == name), b"")


class Subject:
    """An app and the request that is put to it; `check` tells whether it has done its work."""

    def __init__(
        self, app: ASGIApp, request: Request, check: Callable[[Answer], object] | None = None
    ) -> None:
        self.app = app
        self.request = request
        self.check = check or (lambda answer: answer.status == 200)

    def read(self, requests: int) -> list[tuple[bytes, list[Field]]]:
        """So many requests; to parse them is a server's own work, and not measured."""
        return [self.request.read() for _ in range(requests)]

    async def serve(self, requests: list[tuple[bytes, list[Field]]]) -> list[Message]:
        """Put requests to the app, one after the other; the messages of the last response."""
        app, scope = self.app, self.request.scope
        receive, send, sent = connect(self.request)
        for query, fields in requests:
            sent.clear()
            await app({**scope, "query_string": query, "headers": fields}, receive, send)
        return sent

    async def run(self, requests: int) -> list[Message]:
        """Make so many requests and put them to the app."""
        return await self.serve(self.read(requests))

    async def prove(self) -> Answer:
        """The answer to one request more. Raises: RuntimeError where the work was not done."""
        answer = read_answer(await self.run(1))
        if not self.check(answer):
            raise RuntimeError(f"{self.app!r} has not done its work: {answer!r:.600}")
        return answer


def connect(
    request: Request,
) -> tuple[Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]], list[Message]]:
    """A `receive`, a `send`, and the list that it fills."""
    sent: list[Message] = []
    body = request.body

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    return receive, send, sent


def read_answer(messages: list[Message]) -> Answer:
    """What a client understands of the messages."""
    start, *rest = messages
    bodies = [message.get("body", b"") for message in rest]
    return Answer(start["status"], list(start["headers"]), b"".join(bodies))
