"""`purge` and `timing_report` take whatever users hold: an app, a request, a middleware, a URL."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi
from litestar import Request as LitestarRequest
from litestar import get as litestar_get
from litestar.middleware import DefineMiddleware
from litestar.testing import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Host, Mount, Route

from asgi_serial import SerialMiddleware, purge, timing_report
from asgi_serial.settings.model import Settings

from .cache.services import redis_server

TTL: dict[str, Any] = {"cache_ttl": "60s"}


class Shelf:
    """Routes that count their calls, and one that calls `act` with its request."""

    def __init__(self) -> None:
        self.calls = 0
        self.act: Any = None
        self.acted: Any = None

    async def show(self, request: Any) -> JSONResponse:
        self.calls += 1
        return JSONResponse({"number": self.calls}, headers={"Cache-Tag": "shelf"})

    async def do(self, request: Any) -> JSONResponse:
        self.acted = await self.act(request)
        return JSONResponse({})

    def routes(self) -> list[Route]:
        return [Route("/shelf", self.show), Route("/do", self.do, methods=["POST"])]


def plain(shelf: Shelf) -> tuple[Any, Any, str]:
    app = Starlette(routes=shelf.routes())
    app.add_middleware(SerialMiddleware, **TTL)
    return app, app, ""


def behind_another(shelf: Shelf) -> tuple[Any, Any, str]:
    app, _, _ = plain(shelf)
    app.add_middleware(GZipMiddleware)
    return app, app, ""


def mounted_routes(shelf: Shelf) -> tuple[Any, Any, str]:
    app = Starlette(routes=[Mount("/v1", routes=shelf.routes())])
    app.add_middleware(SerialMiddleware, **TTL)
    return app, app, "/v1"


def mounted_app(shelf: Shelf) -> tuple[Any, Any, str]:
    inner = Starlette(routes=shelf.routes())
    app = Starlette(routes=[Mount("/v1", inner)])
    app.add_middleware(SerialMiddleware, **TTL)
    return app, inner, "/v1"


def mounted_in_fastapi(shelf: Shelf) -> tuple[Any, Any, str]:
    app, inner = FastAPI(), FastAPI(routes=shelf.routes())
    app.mount("/v1", inner)
    app.add_middleware(SerialMiddleware, **TTL)
    return app, inner, "/v1"


def mounted_twice(shelf: Shelf) -> tuple[Any, Any, str]:
    inner = Starlette(routes=shelf.routes())
    between = Starlette(routes=[Mount("/b", GZipMiddleware(inner))])
    app = Starlette(routes=[Host("test", Starlette(routes=[Mount("/a", between)]))])
    app.add_middleware(SerialMiddleware, **TTL)
    return app, inner, "/a/b"


def only_inside(shelf: Shelf) -> tuple[Any, Any, str]:
    """The mounted app has the middleware, and the outer one is asked."""
    inner = Starlette(routes=shelf.routes())
    inner.add_middleware(SerialMiddleware, **TTL)
    app = Starlette(routes=[Mount("/v1", inner)])
    return app, app, "/v1"


def around(shelf: Shelf) -> tuple[Any, Any, str]:
    app = Starlette(routes=shelf.routes())
    return SerialMiddleware(app, **TTL), app, ""


def around_and_more(shelf: Shelf) -> tuple[Any, Any, str]:
    app = FastAPI(routes=shelf.routes())
    return GZipMiddleware(SerialMiddleware(GZipMiddleware(app), **TTL)), app, ""


def by_the_outermost(shelf: Shelf) -> tuple[Any, Any, str]:
    app, _, root = around_and_more(shelf)
    return app, app, root


def in_place(shelf: Shelf) -> tuple[Any, Any, str]:
    """As Quart's and Flask's users do it."""

    class App:
        def __init__(self) -> None:
            self.asgi_app: Any = Starlette(routes=shelf.routes())

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.asgi_app(scope, receive, send)

    app = App()
    app.asgi_app = SerialMiddleware(app.asgi_app, **TTL)
    return app, app, ""


SHAPES = [
    *[plain, behind_another, mounted_routes, mounted_app, mounted_in_fastapi, mounted_twice],
    *[only_inside, around, around_and_more, by_the_outermost, in_place],
]
each_shape = pytest.mark.parametrize("shape", SHAPES)


async def ask(app: Any, method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("held", ["the app", "request.app", "request", "request.scope", "the mark"])
@each_shape
def test_each_of_them_purges(shape, held):
    async def run() -> None:
        shelf = Shelf()
        app, known, root = shape(shelf)

        async def act(request: Any) -> bool:
            scope = request.scope
            sources = {"the app": known, "request.app": request.app, "request": request}
            sources |= {"request.scope": scope, "the mark": scope["asgi_serial"]}
            return await purge(sources[held], tags=["shelf"])

        shelf.act = act
        for _ in range(2):
            await ask(app, "GET", f"{root}/shelf")
        assert shelf.calls == 1
        assert (await ask(app, "POST", f"{root}/do")).status_code == 200
        assert shelf.acted is True
        await ask(app, "GET", f"{root}/shelf")
        assert shelf.calls == 2

    asyncio.run(run())


@each_shape
def test_each_of_them_reports(shape):
    async def run() -> None:
        shelf = Shelf()
        app, known, root = shape(shelf)

        async def act(request: Any) -> list[int]:
            sources = (known, request, request.app, request.scope)
            return [timing_report(source).totals["count"] for source in sources]

        shelf.act = act
        await ask(app, "GET", f"{root}/shelf")
        await ask(app, "POST", f"{root}/do")
        assert shelf.acted == [1, 1, 1, 1]

    asyncio.run(run())


def test_apps_beside_one_another_keep_what_is_theirs():
    async def run() -> None:
        shelves = Shelf(), Shelf()
        apps = [plain(shelf)[0] for shelf in shelves]
        for app in apps:
            await ask(app, "GET", "/shelf")
        await purge(apps[0], everything=True)
        for app in apps:
            await ask(app, "GET", "/shelf")
        assert [shelf.calls for shelf in shelves] == [2, 1]

    asyncio.run(run())


@each_shape
def test_an_app_that_is_gone_is_forgotten(shape):
    app, known, _ = shape(Shelf())
    gone = weakref.ref(app), weakref.ref(known)
    del app, known
    gc.collect()
    assert [one() for one in gone] == [None, None]


def in_lifespan(done: list[bool], **options: Any) -> Any:
    @asynccontextmanager
    async def lifespan(app: Any) -> Any:
        done.append(await purge(app, everything=True))
        yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(SerialMiddleware, **options)
    return app


async def start(app: Any) -> None:
    """Have the app start, and stop again."""
    waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return waiting.pop(0)

    async def send(message: Any) -> None:
        assert message["type"].endswith(".complete"), message

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)


def test_an_app_purges_before_it_has_served_anybody():
    done: list[bool] = []
    asyncio.run(start(in_lifespan(done, **TTL)))
    assert done == [True]


def litestar_app(shelf: Shelf, **options: Any) -> Litestar:
    @litestar_get("/shelf")
    async def show(request: LitestarRequest) -> dict[str, int]:
        shelf.calls += 1
        if request.query_params:
            await purge(request, everything=True)
        return {"number": shelf.calls}

    @asgi("/inner", is_mount=True, copy_scope=True)
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await Starlette(routes=shelf.routes())(scope, receive, send)

    async def begin(app: Litestar) -> None:
        shelf.acted = await purge(app, everything=True)

    return Litestar(
        [show, inner],
        middleware=[DefineMiddleware(SerialMiddleware, **TTL, **options)],
        on_startup=[begin],
        openapi_config=None,
    )


def test_litestar_purges_by_the_app_and_by_the_request():
    shelf = Shelf()
    app = litestar_app(shelf)
    with TestClient(app) as client:
        assert shelf.acted is True
        for _ in range(2):
            client.get("/shelf")
        assert shelf.calls == 1
        asyncio.run(purge(app, everything=True))
        client.get("/shelf")
        client.get("/shelf?purge=1")
        client.get("/shelf")
        assert shelf.calls == 4

        async def act(request: Any) -> bool:
            return await purge(request, everything=True)

        shelf.act = act
        client.post("/inner/do")
        assert shelf.acted is True
        assert timing_report(app).totals["count"] == 6


@pytest.mark.parametrize("kind", ["a URL", "settings", "the app", "litestar", "in its lifespan"])
def test_a_script_purges_the_second_level(kind):
    """A deploy drops what the release before has left there."""
    with redis_server() as service:
        url = f"redis://127.0.0.1:{service.port}/0"
        options: dict[str, Any] = {**TTL, "cache_url": url, "cache_poll": "100ms"}
        shelf, done = Shelf(), list[bool]()

        def make_app() -> Any:
            app = Starlette(routes=shelf.routes())
            app.add_middleware(SerialMiddleware, **options)
            return app

        async def fill() -> None:
            """Ask until another process finds what one has stored, behind its response."""
            is_stored = False
            while not is_stored:
                before = shelf.calls
                await ask(make_app(), "GET", "/shelf")
                await asyncio.sleep(0)
                is_stored = shelf.calls == before

        async def script() -> bool:
            if kind == "the app":
                return await purge(make_app(), tags=["shelf"])
            if kind == "litestar":
                return await purge(litestar_app(shelf, cache_url=url), everything=True)
            if kind == "in its lifespan":
                await start(in_lifespan(done, **options))
                return done == [True]
            source = url if kind == "a URL" else Settings.load({"cache_url": url}, {})
            return await purge(source, everything=True)

        async def find() -> int:
            await ask(make_app(), "GET", "/shelf")
            return shelf.calls

        asyncio.run(fill())
        calls = shelf.calls
        assert asyncio.run(find()) == calls
        assert asyncio.run(script()) is True
        assert asyncio.run(find()) == calls + 1


def test_a_script_says_that_the_second_level_was_not_told():
    url = "redis://127.0.0.1:1/0"
    assert asyncio.run(purge(url, everything=True)) is False


@pytest.mark.parametrize(
    "source",
    [object(), Starlette(), Starlette(middleware=[Middleware(GZipMiddleware)]), {"type": "http"}],
    ids=["an object", "an app without", "an app with another", "a scope without"],
)
def test_the_error_says_what_is_expected(source):
    with pytest.raises(LookupError, match=r"expected an app .* a request .* cache_url"):
        asyncio.run(purge(source, everything=True))
    with pytest.raises(LookupError, match=r"expected an app .* a request"):
        timing_report(source)
