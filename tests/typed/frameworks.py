"""The lines of the documentation, as users of each framework write them."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import blacksheep
import falcon.asgi
import hypercorn.typing
import litestar.types
import quart
import sanic
import uvicorn
from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPScope,
)
from asgiref.typing import Scope as AsgirefScope
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from fastapi import FastAPI, Request
from hypercorn.asyncio import serve
from hypercorn.config import Config
from litestar import Litestar, get
from litestar.middleware import DefineMiddleware
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from asgi_serial import (
    Engine,
    Recorder,
    Report,
    Sample,
    SerialMiddleware,
    build_engine,
    purge,
    serial,
    set_policy,
    timing_report,
)


@serial(cache_ttl="60s")
async def books(request: StarletteRequest) -> Response:
    set_policy(cache_ttl=60)
    return JSONResponse({})


@serial(compression=False)
def slow(request: StarletteRequest) -> Response:
    return JSONResponse({})


# The decorator keeps the signature.
handler: Callable[[StarletteRequest], Awaitable[Response]] = books
in_a_thread: Callable[[StarletteRequest], Response] = slow

starlette_app = Starlette(
    routes=[Route("/books", books), Mount("/in", SerialMiddleware(Starlette()))],
    middleware=[Middleware(SerialMiddleware, cache_ttl="60s", timing=False)],
)
starlette_app.add_middleware(SerialMiddleware)
starlette_app.add_middleware(SerialMiddleware, cache_ttl="60s", routes={"/x": {"cache": False}})
starlette_app.add_middleware(GZipMiddleware)

fastapi_app = FastAPI(middleware=[Middleware(SerialMiddleware)])
fastapi_app.add_middleware(SerialMiddleware, cache_url="redis://localhost", timing=True)
fastapi_app.mount("/in", SerialMiddleware(FastAPI()))


@fastapi_app.get("/books/{number}")
@serial(cache_ttl="60s")
async def book(number: int, request: Request) -> dict[str, int]:
    await purge(request, tags=["books"])
    await purge(fastapi_app, uris=["/books"])
    return {"number": number}


typed: Callable[[int, Request], Awaitable[dict[str, int]]] = book


@get("/books")
@serial(cache_ttl="60s")
async def litestar_books(request: litestar.Request[Any, Any, Any]) -> dict[str, float]:
    await purge(request, everything=True)
    return {}


litestar_app = Litestar([litestar_books], middleware=[DefineMiddleware(SerialMiddleware)])
around_litestar = SerialMiddleware(litestar_app, cache_ttl="60s")

quart_app = quart.Quart(__name__)
around_quart = SerialMiddleware(quart_app)
# mypy lets no attribute stand in for a method, whatever its type.
quart_app.asgi_app = SerialMiddleware(quart_app.asgi_app)  # type: ignore[method-assign]
around_its_callable = SerialMiddleware(quart_app.asgi_app, timing=False)


@quart_app.get("/books")
@serial(cache_ttl="60s")
async def quart_books() -> dict[str, int]:
    await purge(quart.request, everything=True)
    await purge(quart_app, everything=True)
    return {}


falcon_app = falcon.asgi.App()
around_falcon = SerialMiddleware(falcon_app)


class Books:
    @serial(cache_ttl="60s")
    async def on_get(self, request: falcon.asgi.Request, response: falcon.asgi.Response) -> None:
        await purge(request, everything=True)


falcon_app.add_route("/books", Books())

around_django = SerialMiddleware(get_asgi_application())
around_blacksheep = SerialMiddleware(blacksheep.Application())
around_sanic = SerialMiddleware(sanic.Sanic("books"))


async def starlette_like(scope: Scope, receive: Receive, send: Send) -> None: ...


async def by_asgiref(
    scope: AsgirefScope, receive: ASGIReceiveCallable, send: ASGISendCallable
) -> None: ...


async def by_litestar(
    scope: litestar.types.Scope, receive: litestar.types.Receive, send: litestar.types.Send
) -> None: ...


async def untyped(scope: dict[str, Any], receive: Any, send: Any) -> None: ...


class Plain:
    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None: ...


# What it returns is an app by every framework's word for it.
for_starlette: ASGIApp = SerialMiddleware(starlette_like)
for_asgiref: ASGI3Application = SerialMiddleware(by_asgiref)
for_hypercorn: hypercorn.typing.ASGIFramework = SerialMiddleware(Plain())
for_litestar: litestar.types.ASGIApp = SerialMiddleware(by_litestar)
inside = SerialMiddleware(SerialMiddleware(untyped), engine=build_engine(cache_ttl="60s"))


async def run() -> None:
    uvicorn.run(SerialMiddleware(starlette_app))
    uvicorn.run(around_falcon, port=8000)
    await uvicorn.Server(uvicorn.Config(around_quart)).serve()
    await serve(around_quart, Config())
    await serve(inside, Config())
    await inside.warm(["/books"], headers={"accept": "application/json"})


def by_dict(scope: dict[str, Any]) -> str | None:
    return None


def by_mapping(scope: Mapping[str, Any]) -> str:
    return "/"


def by_starlette(scope: Scope) -> str | None:
    return None


def by_http_scope(scope: HTTPScope) -> str | None:
    return scope["path"]


class Named:
    def __call__(self, scope: Scope) -> str | None: ...


for_dict = SerialMiddleware(untyped, route_resolver=by_dict)
for_mapping = SerialMiddleware(untyped, route_resolver=by_mapping)
for_scope = SerialMiddleware(untyped, route_resolver=by_starlette)
for_http = SerialMiddleware(untyped, route_resolver=by_http_scope)
for_named = SerialMiddleware(untyped, route_resolver=Named())
for_nothing = SerialMiddleware(untyped, route_resolver=lambda scope: None)
starlette_app.add_middleware(SerialMiddleware, route_resolver=by_starlette)


class Slow:
    def record(self, sample: Sample) -> None:
        self.last = sample.route


recorder: Recorder = Slow()
recorded = SerialMiddleware(untyped, recorder=Slow())
engine: Engine = recorded.engine
report: Report = timing_report(recorded)
