"""A FastAPI app in which everything stands in the wrong place."""

import functools

from fastapi import FastAPI, Response
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from asgi_serial import SerialMiddleware, serial

app = FastAPI(openapi_url=None)
CALLED = []


class Plain:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


class Inside(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


app.add_middleware(Inside)
app.add_middleware(GZipMiddleware, minimum_size=100)
app.add_middleware(
    SerialMiddleware,
    report_path="/report",
    purge_path="/items/purge",
    purge_token="secret",
    routes={"/itmes": {"cache_ttl": 60}},
)
app.add_middleware(GZipMiddleware)
app.add_middleware(Plain)


@app.middleware("http")
async def outside(request, call_next):
    return await call_next(request)


def hiding(function):
    async def call():
        return await function()

    return call


@serial(cache_ttl=60)
@app.get("/above")
async def above():
    return {"numbers": list(range(1000))}


@app.get("/hidden")
@hiding
@serial(cache_ttl=60)
async def hidden():
    return [1]


@app.get("/report")
async def report():
    return "never seen"


@app.get("/items/{number}")
async def item(number: int):
    return number


@app.get("/fails")
async def fails():
    raise RuntimeError("on purpose")


@app.delete("/fails")
@app.post("/write")
async def write():
    CALLED.append("write")
    raise AssertionError("a method that is not safe was called")


@app.get("/teapot")
async def teapot():
    return Response(status_code=418)


@functools.lru_cache
def unused():
    return None
