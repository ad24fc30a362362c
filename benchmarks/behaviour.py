"""What the peers do, seen from outside: the cells of the table in README.md.

`make bench ARGS=--list` installs them. Then:

    PYTHONPATH=.venv/peers .venv/bin/python -m benchmarks.behaviour
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import version
from typing import Any

import httpx
from brotli_asgi import BrotliMiddleware
from fastapi import FastAPI, Request, Response
from msgpack_asgi import MessagePackMiddleware
from pydantic import BaseModel
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import StreamingResponse
from starlette_compress import CompressMiddleware

from asgi_serial import SerialMiddleware

BODY = json.dumps([{"id": n, "title": f"Volume {n}"} for n in range(100)]).encode()
# 600 bytes of text that no coding makes smaller.
NOISE = os.urandom(600)


def origin() -> FastAPI:
    """An app with one route for each question."""
    app = FastAPI()

    @app.get("/list")
    async def list_all() -> Response:
        return Response(BODY, media_type="application/json", headers={"etag": '"v1"'})

    @app.get("/noise")
    async def noise() -> Response:
        return Response(NOISE, media_type="text/plain")

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(3):
                yield f"data: {number} {'x' * 600}\n\n".encode()

        return StreamingResponse(pieces(), media_type="text/event-stream")

    @app.get("/big")
    async def big() -> Response:
        return Response(b'{"n": %d}' % 2**70, media_type="application/json")

    @app.post("/upload")
    async def upload(request: Request) -> Any:
        return json.loads(await request.body())

    return app


async def ask(app: Any, path: str, method: str = "GET", content: Any = None, **fields: str) -> Any:
    """A response, with its body as it was sent."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app.example") as client:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        defaults = {"accept-encoding": "identity"} | headers
        async with client.stream(method, path, content=content, headers=defaults) as response:
            body = b"".join([piece async for piece in response.aiter_raw()])
        response.extensions["raw"] = body
        return response


def coding(response: Any) -> str:
    return str(response.headers.get("content-encoding", "identity"))


async def codings(app: Any) -> str:
    """Which codings it applies for a client that accepts one."""
    applied = [
        name
        for name in ("zstd", "br", "gzip")
        if coding(await ask(app, "/list", accept_encoding=name)) == name
    ]
    return ", ".join(applied) or "none"


async def respects_refusal(app: Any) -> bool:
    """Whether `gzip;q=0` is not answered in gzip (RFC 9110, 12.5.3)."""
    return coding(await ask(app, "/list", accept_encoding="gzip;q=0, identity")) == "identity"


async def follows_preference(app: Any) -> bool:
    """Whether the coding that the client prefers is used."""
    return all(
        [
            coding(await ask(app, "/list", accept_encoding=f"{one};q=1, {other};q=0.5")) == one
            for one, other in (("gzip", "br"), ("br", "gzip"))
        ]
    )


async def tells_forms_apart(app: Any) -> bool:
    """Whether the compressed form has not the strong ETag of the plain one (RFC 9110, 8.8.3)."""
    plain = (await ask(app, "/list")).headers.get("etag")
    packed = (await ask(app, "/list", accept_encoding="gzip")).headers.get("etag")
    return plain != packed


async def leaves_what_would_grow(app: Any) -> bool:
    """Whether a body that does not shrink is sent as it is."""
    return coding(await ask(app, "/noise", accept_encoding="gzip")) == "identity"


async def decodes_uploads(app: Any) -> bool:
    """Whether the app gets an upload in gzip decoded."""
    import gzip

    packed = gzip.compress(b"[1]")
    sent = await ask(app, "/upload", "POST", packed, content_encoding="gzip")
    return bool(sent.extensions["raw"] == b"[1]")


async def prefers_by_weight(app: Any) -> bool:
    """Whether a client that prefers JSON gets it, though it also takes MessagePack."""
    accept = "application/json, application/vnd.msgpack;q=0.1"
    return "json" in (await ask(app, "/list", accept=accept)).headers["content-type"]


async def keeps_values(app: Any) -> str:
    """What becomes of a number that MessagePack has no room for."""
    response = await ask(app, "/big", accept="application/vnd.msgpack")
    return f"{response.status_code} {response.headers.get('content-type')}"


Decorate = Callable[[Callable[[], Awaitable[Any]]], Callable[[], Awaitable[Any]]]
Wrap = Callable[[Any], Any]


async def compression(wrap: Wrap) -> dict[str, object]:
    app = wrap(origin())
    return {
        "codings": await codings(app),
        "q=0 is respected": await respects_refusal(app),
        "preference": await follows_preference(app),
        "ETag of its own": await tells_forms_apart(app),
        "never larger": await leaves_what_would_grow(app),
        "uploads decoded": await decodes_uploads(app),
    }


async def formats(wrap: Wrap) -> dict[str, object]:
    app = wrap(origin())
    return {
        "prefers by weight": await prefers_by_weight(app),
        "2**70": await keeps_values(app),
    }


class Counted:
    """How often each handler of a cached app was called."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def count(self, name: str) -> int:
        self.calls[name] = self.calls.get(name, 0) + 1
        return self.calls[name]


def of_fastapi_cache() -> Decorate:
    from fastapi_cache import FastAPICache
    from fastapi_cache.backends.inmemory import InMemoryBackend
    from fastapi_cache.decorator import cache

    FastAPICache.reset()
    FastAPICache.init(InMemoryBackend())
    return cache(expire=60)


def of_cashews() -> Decorate:
    from cashews import Cache

    cache = Cache()
    cache.setup("mem://")
    return cache(ttl="1m")


async def with_fastapi_cache(counted: Counted) -> FastAPI:
    return cached_app(counted, of_fastapi_cache())


async def with_cashews(counted: Counted) -> FastAPI:
    return cached_app(counted, of_cashews())


async def with_cashews_middleware(counted: Counted) -> FastAPI:
    from cashews import Cache
    from cashews.contrib.fastapi import CacheEtagMiddleware, CacheRequestControlMiddleware

    cache = Cache()
    cache.setup("mem://")
    app = cached_app(counted, cache(ttl="1m"))
    app.add_middleware(CacheEtagMiddleware, cache_instance=cache)
    app.add_middleware(CacheRequestControlMiddleware, cache_instance=cache)
    return app


async def with_starlette_caches(counted: Counted) -> Any:
    from aiocache import SimpleMemoryCache
    from starlette_caches.middleware import CacheMiddleware

    app = cached_app(counted, lambda handler: handler)
    app.add_middleware(CacheMiddleware, cache=SimpleMemoryCache(ttl=60))
    return app


async def with_asgi_serial(counted: Counted) -> FastAPI:
    from asgi_serial import serial

    app = cached_app(counted, serial(cache_ttl="60s"))
    # A decorator is known from the first call on only, a pattern before it.
    app.add_middleware(
        SerialMiddleware,
        routes={
            "/slow": {"cache_ttl": "60s"},
            "/me": {"cache_ttl": "60s", "cache_partition": "authorization"},
        },
    )
    return app


def cached_app(counted: Counted, decorator: Callable[[Any], Any]) -> FastAPI:
    """An app whose handlers are cached by the decorator of a peer."""
    app = FastAPI()

    @app.get("/me")
    @decorator
    async def me(request: Request) -> Any:
        return {"user": request.headers.get("authorization"), "n": counted.count("me")}

    @app.get("/slow")
    @decorator
    async def slow() -> Any:
        counted.count("slow")
        for _ in range(20):
            await asyncio.sleep(0)
        return [1]

    @app.get("/private")
    @decorator
    async def private(response: Response) -> Any:
        response.headers["cache-control"] = "no-store"
        return counted.count("private")

    @app.get("/items/1")
    @decorator
    async def item() -> Any:
        return counted.count("item")

    @app.put("/items/1")
    async def change() -> Any:
        return None

    return app


async def caching(make: Callable[[Counted], Awaitable[Any]]) -> dict[str, object]:
    counted = Counted()
    app = await make(counted)
    found: dict[str, object] = {}
    first = await ask(app, "/items/1")
    again = await ask(app, "/items/1")
    found["hits"] = counted.calls["item"] == 1
    tag = first.headers.get("etag") or again.headers.get("etag")
    found["304"] = (
        bool(tag) and (await ask(app, "/items/1", if_none_match=tag or "x")).status_code == 304
    )
    await ask(app, "/items/1", "PUT", b"")
    before = counted.calls["item"]
    await ask(app, "/items/1")
    found["a PUT drops it"] = counted.calls["item"] == before + 1
    ada = (await ask(app, "/me", authorization="Bearer ada")).extensions["raw"]
    bob = (await ask(app, "/me", authorization="Bearer bob")).extensions["raw"]
    found["Bob gets his own"] = b"ada" in ada and b"bob" in bob
    before = counted.calls["me"]
    await ask(app, "/me", authorization="Bearer ada")
    found["Ada gets hers without a call"] = counted.calls["me"] == before
    with contextlib.suppress(Exception):
        await asyncio.gather(*(ask(app, "/slow") for _ in range(10)))
    found["calls of a crowd of 10"] = counted.calls.get("slow")
    await ask(app, "/private")
    await ask(app, "/private")
    found["no-store is obeyed"] = counted.calls["private"] == 2
    return found


def of_asgi_serial() -> Decorate:
    from asgi_serial import cached

    return cached(ttl="60s")


async def functions(make: Callable[[], Decorate]) -> dict[str, object]:
    """What the callers of a cached function get that returns a model."""

    class User(BaseModel):
        name: str

    async def load() -> User:
        return User(name="Ada")

    load.__annotations__["return"] = User
    cached_load = make()(load)
    _, second, third = [await cached_load() for _ in range(3)]
    return {
        "a later caller gets": type(second).__name__,
        "later callers share one object": second is third,
    }


COMPRESSION: dict[str, Wrap] = {
    "asgi-serial": SerialMiddleware,
    "starlette": GZipMiddleware,
    "starlette-compress": CompressMiddleware,
    "brotli-asgi": BrotliMiddleware,
}
FORMATS: dict[str, Wrap] = {"asgi-serial": SerialMiddleware, "msgpack-asgi": MessagePackMiddleware}
CACHES = {
    "asgi-serial": with_asgi_serial,
    "fastapi-cache2": with_fastapi_cache,
    "cashews": with_cashews,
    "cashews (with its middlewares)": with_cashews_middleware,
    "starlette-caches": with_starlette_caches,
}

FUNCTIONS = {
    "asgi-serial": of_asgi_serial,
    "fastapi-cache2": of_fastapi_cache,
    "cashews": of_cashews,
}


async def main() -> None:
    looks = (COMPRESSION, compression), (FORMATS, formats), (CACHES, caching)
    for peers, look in (*looks, (FUNCTIONS, functions)):
        for name, peer in peers.items():
            print(f"\n{name} {version(name.partition(' ')[0])}")
            for question, answer in (await look(peer)).items():  # type: ignore[operator]
                print(f"  {question}: {answer}")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
