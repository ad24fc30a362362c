"""One request to an app, in process."""

import asyncio

import httpx


def get(app, path="/", method="GET", **options):
    async def call():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.request(method, f"http://test{path}", **options)

    return asyncio.run(call())
