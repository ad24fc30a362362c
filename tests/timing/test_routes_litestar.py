import asyncio

import pytest
from litestar import Controller, Litestar, Router, asgi, delete, get
from litestar.middleware import DefineMiddleware
from litestar.types import Receive, Scope, Send
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial import SerialMiddleware, timing_report
from asgi_serial.timing.routes.resolver import build_resolver

from .drive import Capturing, Copying, http_scope, run, visit


@get("/", sync_to_thread=False)
def index() -> str:
    return "index"


@get("/items/{id:int}", sync_to_thread=False)
def read_item() -> str:
    return "item"


@delete("/items/{id:int}", sync_to_thread=False)
def delete_item() -> None:
    return None


async def page(request):
    return PlainTextResponse("page")


# Litestar hands a mounted app its path with a slash at the end.
def make_app(wrap=lambda app: app, middleware=()) -> Litestar:
    inner = wrap(Starlette(routes=[Route("/pages/{name}/", page)]))

    @asgi("/mounted", is_mount=True, copy_scope=False)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(scope, receive, send)

    return Litestar(
        [
            index,
            Router("/api/v1", route_handlers=[read_item, delete_item, index, mounted]),
        ],
        middleware=middleware,
    )


CASES = [
    pytest.param("GET", "/", 200, "/", id="the root"),
    pytest.param("GET", "/api/v1", 200, "/api/v1", id="the root of a router"),
    pytest.param("GET", "/api/v1/items/3", 200, "/api/v1/items/{id}", id="a parameter"),
    pytest.param("DELETE", "/api/v1/items/3", 204, "/api/v1/items/{id}", id="by method"),
    pytest.param("PUT", "/api/v1/items/3", 405, "(unmatched)", id="a 405, which has no template"),
    pytest.param("GET", "/none", 404, "(unmatched)", id="no route"),
]


@pytest.mark.parametrize(("method", "path", "status", "label"), CASES)
def test_the_template_is_read_from_the_scope(method, path, status, label):
    app = make_app()
    resolve = build_resolver(app=app)
    answered, scope = run(app, http_scope(path, method))
    assert (answered, resolve(scope)) == (status, label)
    assert resolve.failures == 0


@pytest.mark.parametrize(("method", "path", "status", "label"), CASES)
def test_where_the_app_was_not_called_its_routing_is_asked(method, path, status, label):
    resolve = build_resolver(app=make_app())
    assert resolve(http_scope(path, method)) == label
    assert resolve.failures == 0


@pytest.mark.parametrize(
    ("wrap", "label"),
    [
        pytest.param(lambda app: app, "/api/v1/mounted/pages/{name}/", id="the template inside"),
        pytest.param(Copying, "/api/v1/mounted/{path}", id="the mount where the scope is copied"),
    ],
)
def test_an_app_mounted_in_litestar_keeps_the_prefix(wrap, label):
    app = make_app(wrap)
    status, scope = run(app, http_scope("/api/v1/mounted/pages/a"))
    assert (status, build_resolver(app=app)(scope)) == (200, label)
    unhandled = http_scope("/api/v1/mounted/pages/a")
    assert build_resolver(app=app)(unhandled) == "/api/v1/mounted/{path}"


def test_litestar_mounted_in_starlette_keeps_the_prefix():
    app = Starlette(routes=[Mount("/all/{tenant}", make_app())])
    _, scope = run(app, http_scope("/all/x/api/v1/items/3"))
    assert build_resolver()(scope) == "/all/{tenant}/api/v1/items/{id}"


def add_us(place):
    """One handler, with us around the app or as a middleware in one of Litestar's four places."""
    ours = [DefineMiddleware(SerialMiddleware, cache=False)]
    handler = get("/items/{id:int}", middleware=ours if place == "a handler" else [])(answer)
    if place == "a controller":
        own = get("/items/{id:int}")(answer_of_controller)
        handler = type("Items", (Controller,), {"middleware": ours, "item": own})
    router = Router(
        "/api", route_handlers=[handler], middleware=ours if place == "a router" else []
    )
    app = Litestar([router], middleware=ours if place == "the app" else [], openapi_config=None)
    return app, SerialMiddleware(app, cache=False) if place == "around the app" else app


async def answer() -> str:
    return "ok"


async def answer_of_controller(self) -> str:
    return "ok"


@pytest.mark.parametrize(
    "place", ["around the app", "the app", "a router", "a controller", "a handler"]
)
def test_wherever_we_stand_in_litestar_the_template_is_the_same(place):
    bare, app = add_us(place)

    async def ask():
        visits = [("GET", "/api/items/7"), ("PUT", "/api/items/7"), ("GET", "/nowhere")]
        return [(await visit(app, *one)).status for one in visits]

    assert asyncio.run(ask()) == [200, 405, 404]
    # Litestar calls its middleware for requests that have a route.
    unmatched = [("(unmatched)", 404), ("(unmatched)", 405)] if bare is not app else []
    rows = sorted((row["route"], row["status"]) for row in timing_report(bare).routes)
    assert rows == [*unmatched, ("/api/items/{id}", 200)]


def test_as_a_middleware_of_litestar_the_template_is_there():
    scopes: list = []
    run(make_app(middleware=[DefineMiddleware(Capturing, scopes=scopes)]), http_scope("/api/v1"))
    assert build_resolver()(scopes[0]) == "/api/v1"
