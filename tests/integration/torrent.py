"""An app that sends as much as it is asked for, behind the middleware as the environment sets it.

Served by the tests as `tests.integration.torrent:app`. `/counts` has what has come to an end.
"""

import asyncio
import itertools
import json
import os
from collections import Counter
from urllib.parse import parse_qs

from asgi_serial import SerialMiddleware

COUNTS: Counter[str] = Counter()
# What is more than a compressor looks back on, so that it does not shrink.
NOISE, PIECE_BYTES = os.urandom(1 << 23), 1 << 16
NO_STORE, KEPT = (b"cache-control", b"no-store"), (b"cache-control", b"max-age=60")
AT_ONCE_STALE = (b"cache-control", b"max-age=0, stale-while-revalidate=60")


async def torrent(scope, receive, send):
    if scope["type"] == "http":
        query = parse_qs(scope["query_string"].decode())
        options = {name: values[0] for name, values in query.items()}
        headers = dict(scope["headers"])
        name = scope["path"].split("/")[1]
        COUNTS[f"{name} begun"] += 1
        try:
            await HANDLERS[name](Client(receive, send), options, headers)
        finally:
            COUNTS[f"{name} over"] += 1


class Client:
    """The client, and where the messages of one response go."""

    def __init__(self, receive, send):
        self.receive, self.send = receive, send

    async def wait_until_left(self):
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def start(self, *fields, kind=b"text/plain"):
        headers = [(b"content-type", kind), *fields]
        await self.send({"type": "http.response.start", "status": 200, "headers": headers})

    async def piece(self, body, more=True):
        await self.send({"type": "http.response.body", "body": body, "more_body": more})


def noise(place):
    """A piece of memory of its own, as files and databases give it."""
    start = place % len(NOISE)
    return NOISE[start : start + PIECE_BYTES]


async def counts(client, options, headers):
    await client.start(NO_STORE, kind=b"application/json")
    await client.piece(json.dumps(COUNTS).encode(), more=False)


async def bulk(client, options, headers):
    """`bytes` of them, in pieces, and kept if they are not too many; `known` states the length."""
    size = int(options["bytes"])
    length = [(b"content-length", b"%d" % size)] if "known" in options else []
    await client.start(KEPT, *length)
    for place in range(0, size, PIECE_BYTES):
        await client.piece(noise(place)[: size - place])
    await client.piece(b"", more=False)


async def endless(client, options, headers):
    """Pieces until the client leaves."""
    await client.start(KEPT)
    leaving = asyncio.ensure_future(client.wait_until_left())
    for place in itertools.count(step=PIECE_BYTES):
        await client.piece(noise(place))
        await asyncio.sleep(0)
        if leaving.done():
            return


async def small(client, options, headers):
    """A kilobyte of its own for each language, kept for a minute."""
    body = b"%-1000d" % COUNTS["small begun"]
    await client.start(KEPT, (b"content-length", b"1000"), (b"vary", b"Accept-Language"))
    await client.piece(body, more=False)


async def stale(client, options, headers):
    """At once, but stale; whoever asks again has to wait."""
    if COUNTS["stale begun"] > 1:
        await asyncio.sleep(60)
    await client.start(AT_ONCE_STALE)
    await client.piece(b"stale", more=False)


async def slow(client, options, headers):
    await asyncio.sleep(60)


HANDLERS = {
    "bulk": bulk,
    "counts": counts,
    "endless": endless,
    "slow": slow,
    "small": small,
    "stale": stale,
}

app = SerialMiddleware(torrent)
