"""An app that tells what reached it, behind the middleware as the environment sets it.

Served by the tests as `tests.integration.probe:app`. `/calls` has the number of calls by path,
`/flush` answers once all that was stored is in the second level.
"""

import asyncio
import hashlib
import json
import os
from collections import Counter
from urllib.parse import parse_qsl

from asgi_serial import SerialMiddleware, set_policy

CALLS: Counter[str] = Counter()
GATES: dict[str, asyncio.Semaphore] = {}

JSON_TYPE = (b"content-type", b"application/json")
EVENTS_TYPE = (b"content-type", b"text/event-stream")
MAX_AGE = (b"cache-control", b"max-age=60")


async def probe(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
        return
    path = scope["path"]
    CALLS[path] += 1
    options = dict(parse_qsl(scope["query_string"].decode()))
    await HANDLERS[path.split("/")[1]](Exchange(scope, receive, send, options))


async def live(scope, receive, send):
    while True:
        kind = (await receive())["type"]
        CALLS[kind] += 1
        scope["state"]["told"] = kind
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


class Exchange:
    """One request to the probe."""

    def __init__(self, scope, receive, send, options):
        self.path = scope["path"]
        self.headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.told = scope["state"]["told"]
        self.options = options
        self.receive, self.send = receive, send

    async def start(self, *fields, status=200):
        await self.send(
            {"type": "http.response.start", "status": status, "headers": [*fields, *self.asked()]}
        )

    def asked(self):
        """The fields of the response that the query asks for, by `field-<name>=<value>`."""
        return [
            (name.removeprefix("field-").encode(), value.encode())
            for name, value in self.options.items()
            if name.startswith("field-")
        ]

    async def piece(self, body, more=True):
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def answer(self, value, *fields, status=200):
        body = json.dumps(value).encode()
        length = (b"content-length", b"%d" % len(body))
        await self.start(JSON_TYPE, length, *fields, status=status)
        await self.piece(body, more=False)

    async def body(self):
        """The parts of the request's body, and whether the client has left."""
        parts, more = [], True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                return parts, True
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        return parts, False


async def calls(exchange):
    await exchange.answer(CALLS, (b"cache-control", b"no-store"))


async def document(exchange):
    """`size` rows, kept for a minute; `process` and `call` tell who made them."""
    rows = [{"id": number, "name": f"row {number}"} for number in range(rows_of(exchange))]
    made = {"process": os.getpid(), "call": CALLS[exchange.path], "rows": rows}
    await exchange.answer(made, MAX_AGE)


def rows_of(exchange):
    return int(exchange.options.get("rows", "50"))


async def varied(exchange):
    language = exchange.headers.get("accept-language", "")
    value = {"language": language, "call": CALLS[exchange.path], "text": language * 500}
    await exchange.answer(value, MAX_AGE, (b"vary", b"Accept-Language"))


async def account(exchange):
    """What belongs to one user, though it says that it may be kept, and perhaps by whom."""
    user = exchange.headers.get("authorization") or exchange.headers.get("cookie")
    await exchange.answer({"user": user, "path": exchange.path, "text": "x" * 600}, MAX_AGE)


async def told(exchange):
    """What the server has told the app of its life, as each request has it."""
    await exchange.answer({"told": exchange.told})


async def edit(exchange):
    await exchange.body()
    await exchange.answer({"edited": True})


async def echo(exchange):
    parts, left = await exchange.body()
    if left:
        CALLS["/left"] += 1
        return
    body = b"".join(parts)
    set_policy(cache=False)
    await exchange.answer(
        {
            "length": len(body),
            "digest": hashlib.sha256(body).hexdigest(),
            "content_type": exchange.headers.get("content-type"),
            "content_encoding": exchange.headers.get("content-encoding"),
            "content_length": exchange.headers.get("content-length"),
        }
    )


async def ignore(exchange):
    """Answers without a look at the body."""
    await exchange.answer({"ignored": True})


async def gated(exchange):
    """Three events, each sent when a client asks `/open/<the same name>` for it."""
    gate = GATES.setdefault(exchange.path, asyncio.Semaphore(0))
    await exchange.start(EVENTS_TYPE)
    for number in range(3):
        await gate.acquire()
        await exchange.piece(b"data: %d\n\n" % number)
    await exchange.piece(b"", more=False)


async def open_gate(exchange):
    GATES.setdefault(exchange.path.replace("/open/", "/gated/"), asyncio.Semaphore(0)).release()
    await exchange.answer({})


async def ticks(exchange):
    """Ten pieces within half a second, which may be kept."""
    await exchange.start(JSON_TYPE, MAX_AGE)
    await exchange.piece(b"[0")
    for number in range(1, 9):
        await asyncio.sleep(0.05)
        await exchange.piece(b", %d" % number)
    await exchange.piece(b"]", more=False)


async def endless(exchange):
    """Pieces for as long as the client takes them; how it ends is counted."""
    await exchange.start(JSON_TYPE, MAX_AGE)
    leaving = asyncio.ensure_future(wait_for_disconnect(exchange))
    try:
        while not leaving.done():
            await exchange.piece(os.urandom(8192).hex().encode())
            await asyncio.sleep(0.001)
        CALLS["/endless left"] += 1
    finally:
        leaving.cancel()


async def wait_for_disconnect(exchange):
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


async def flush(exchange):
    """Answer once the second level has taken what this process has stored."""
    await app.engine.responses.flush()
    await exchange.answer("flushed")


HANDLERS = {
    "calls": calls,
    "flush": flush,
    "document": document,
    "varied": varied,
    "account": account,
    "told": told,
    "edit": edit,
    "echo": echo,
    "ignore": ignore,
    "gated": gated,
    "open": open_gate,
    "ticks": ticks,
    "endless": endless,
}

app = SerialMiddleware(probe)
