"""An app whose clients leave in the middle, behind the middleware as the environment sets it.

Served by the tests as `tests.integration.leaving:app`. `/report` has how the exchanges ended.
"""

import asyncio
import json

from asgi_serial import SerialMiddleware, timing_report

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"a/b")]}
PIECE = b"x" * (1 << 16)


async def leaving(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await HANDLERS[scope["path"]](receive, send)


async def wait_for_end(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


async def whole(receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": b"content"})


async def before(receive, send):
    """Answer only once the client has left."""
    await wait_for_end(receive)
    await whole(receive, send)


async def listening(receive, send):
    """Stream until the server says that the client has left."""
    await send(START)
    ending = asyncio.create_task(wait_for_end(receive))
    while not ending.done():
        await send({"type": "http.response.body", "body": b"piece", "more_body": True})
        await asyncio.sleep(0.001)


async def deaf(receive, send):
    """Stream to the end, whoever listens."""
    await send(START)
    for _ in range(64):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def failing(receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": b"piece", "more_body": True})
    raise LookupError("of the app")


async def upload(receive, send):
    """Read the whole request."""
    while (await receive()).get("more_body", False):
        pass
    await whole(receive, send)


async def report(receive, send):
    report = timing_report(app)
    body = json.dumps({"in_flight": report.in_flight, "rows": report.routes}).encode()
    await send({**START, "headers": [(b"cache-control", b"no-store")]})
    await send({"type": "http.response.body", "body": body})


HANDLERS = {
    "/whole": whole,
    "/before": before,
    "/listening": listening,
    "/deaf": deaf,
    "/failing": failing,
    "/upload": upload,
    "/report": report,
}

app = SerialMiddleware(leaving, route_resolver=lambda scope: scope["path"])
