"""An app that answers while its client still talks, or waits, behind the middleware.

Served by the tests as `tests.integration.talking:app`.
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response
from starlette.responses import StreamingResponse

from asgi_serial import SerialMiddleware

api = FastAPI()
gate = asyncio.Event()


@api.get("/lines")
async def lines() -> StreamingResponse:
    """JSON Lines, of which the first has to wait until somebody opens the gate."""

    async def give() -> AsyncIterator[bytes]:
        await gate.wait()
        for number in range(3):
            yield b'{"n": %d}\n' % number

    return StreamingResponse(give(), media_type="application/x-ndjson")


@api.get("/open")
async def open_gate() -> None:
    gate.set()


@api.post("/echo")
async def echo(request: Request) -> Response:
    """One task reads the request while another writes the response."""
    parts: asyncio.Queue[bytes] = asyncio.Queue()

    async def read() -> None:
        async for part in request.stream():
            await parts.put(part)

    async def give() -> AsyncIterator[bytes]:
        while part := await parts.get():
            yield b"got " + part

    class Echo(StreamingResponse):
        async def __call__(self, scope, receive, send):
            reading = asyncio.create_task(read())
            await asyncio.sleep(0)
            await self.stream_response(send)
            await reading

    return Echo(give(), media_type="text/plain")


app = SerialMiddleware(api)
