"""Whether it is certain, before the app is called, that no route of it takes a request."""

import pytest
from fastapi import APIRouter, FastAPI
from litestar import Litestar, asgi, post
from litestar.types import Receive, Scope, Send
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Match, Mount, Route, Router

from asgi_serial.timing.routes.resolver import build_resolver

from .drive import http_scope


async def page(request):
    return PlainTextResponse("page")


async def pass_on(request, call_next):
    return await call_next(request)


def routes():
    return [Route("/pages/{id}", page, methods=["POST"]), Route("/all", page, methods=None)]


class OwnApp(Starlette):
    """An app that may do anything before it routes."""


class OwnRoute(BaseRoute):
    """A route that takes what it likes."""

    def matches(self, scope):
        return Match.FULL, {}


class OwnMiddleware:
    """A middleware that may change the path."""

    def __init__(self, app):
        self.app = app


def fastapi_app():
    app, router = FastAPI(), APIRouter(prefix="/pages")
    router.add_api_route("/{id}", lambda id: id, methods=["POST"])
    app.include_router(router)
    return app


def rooted_app():
    app = FastAPI(routes=routes())
    app.root_path = "/api"  # the parameter of that name is deprecated
    return app


@post("/pages/{id:int}", sync_to_thread=False)
def litestar_page() -> None:
    return None


@asgi("/mounted", is_mount=True, copy_scope=False)
async def mounted(scope: Scope, receive: Receive, send: Send) -> None: ...


def litestar_app():
    return Litestar([litestar_page, mounted])


DECIDED = {
    "Starlette": lambda: Starlette(routes=routes()),
    "with a middleware of its own": lambda: Starlette(
        routes=routes(), middleware=[Middleware(GZipMiddleware)]
    ),
    "behind a middleware of its own": lambda: GZipMiddleware(Starlette(routes=routes())),
    "inside": lambda: Starlette(routes=routes()).build_middleware_stack(),
    "a router": lambda: Router(routes=routes()),
    "FastAPI": fastapi_app,
    "Litestar": litestar_app,
}
OPEN = {
    "a subclass": lambda: OwnApp(routes=routes()),
    "a middleware around it": lambda: OwnMiddleware(Starlette(routes=routes())),
    "a middleware that is a function": lambda: Starlette(
        routes=routes(), middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)]
    ),
    "a function around it": lambda: BaseHTTPMiddleware(Starlette(routes=routes()), pass_on),
    "a middleware of the user's": lambda: Starlette(
        routes=routes(), middleware=[Middleware(OwnMiddleware)]
    ),
    "a default of the user's": lambda: Router(routes=routes(), default=page),
    "a route of the user's": lambda: Starlette(routes=[*routes(), OwnRoute()]),
    "a root path of its own": rooted_app,
    "no routes": lambda: Starlette(),
    "no framework": lambda: page,
    "a framework's part without a router": lambda: GZipMiddleware(page),
}


@pytest.mark.parametrize("make_app", DECIDED.values(), ids=DECIDED)
@pytest.mark.parametrize(
    ("method", "path", "is_unrouted"),
    [
        ("POST", "/pages/1", False),
        ("POST", "/nowhere", True),
        ("POST", "/pages", True),
        ("PUT", "/pages/1", True),
    ],
)
def test_the_routes_decide(make_app, method, path, is_unrouted):
    resolver = build_resolver(app=make_app())
    scope = http_scope(path, method=method)
    assert [resolver.is_unrouted(scope) for _ in range(2)] == [is_unrouted] * 2
    assert resolver.failures == 0


@pytest.mark.parametrize("make_app", OPEN.values(), ids=OPEN)
def test_something_else_may_decide(make_app):
    assert not build_resolver(app=make_app()).is_unrouted(http_scope("/nowhere", method="POST"))


@pytest.mark.parametrize("name", ["endpoint", "router", "path_template"])
@pytest.mark.parametrize("make_app", [DECIDED["Starlette"], litestar_app])
def test_what_was_routed_has_a_route(make_app, name):
    resolver = build_resolver(app=make_app())
    scope = {**http_scope("/nowhere", method="POST"), name: page}
    is_other = (name == "path_template") != (make_app is litestar_app)
    assert resolver.is_unrouted(scope) is is_other


def test_what_is_below_a_mount_is_for_the_mounted_app_to_say():
    app = Starlette(routes=[*routes(), Mount("/in", Starlette(routes=routes()))])
    resolver = build_resolver(app=app)
    for method, path, is_unrouted in [
        ("POST", "/in/nowhere", False),
        ("PUT", "/in/pages/1", False),
        ("PUT", "/pages/1", False),
        ("POST", "/nowhere", True),
    ]:
        assert resolver.is_unrouted(http_scope(path, method=method)) is is_unrouted
    assert not build_resolver(app=litestar_app()).is_unrouted(
        http_scope("/mounted/x", method="POST")
    )


def test_a_route_of_a_host_takes_the_requests_of_that_host():
    app = Starlette(routes=[Host("a.example", Router(routes=routes()))])
    resolver = build_resolver(app=app)
    for host, is_unrouted in [(b"a.example", False), (b"b.example", True)]:
        scope = {**http_scope("/nowhere", method="POST"), "headers": [(b"host", host)]}
        assert resolver.is_unrouted(scope) is is_unrouted


@pytest.mark.parametrize("make_app", DECIDED.values(), ids=DECIDED)
@pytest.mark.parametrize(
    ("path", "root_path", "is_unrouted"),
    [
        ("/api/pages/1", "/api", False),
        ("/api/nowhere", "/api", True),
        ("/pages/1", "/pag", False),
        ("/pages/1", "/elsewhere", False),
    ],
)
def test_the_root_path_is_no_part_of_what_is_routed(make_app, path, root_path, is_unrouted):
    scope = {**http_scope(path, method="POST"), "root_path": root_path}
    # Litestar does not ask for a whole segment: for it this is `/es/1`.
    is_unrouted = is_unrouted or (make_app is litestar_app and root_path == "/pag")
    assert build_resolver(app=make_app()).is_unrouted(scope) is is_unrouted


@pytest.mark.parametrize("path", ["//pages/1", "/pages//1"])
def test_litestar_takes_repeated_slashes_for_one(path):
    assert not build_resolver(app=litestar_app()).is_unrouted(http_scope(path, method="POST"))


def test_a_router_that_fails_is_counted_and_decides_nothing():
    app = litestar_app()
    resolver = build_resolver(app=app)
    assert not resolver.is_unrouted({"path": "/nowhere"})
    assert resolver.failures == 0
    assert not resolver.is_unrouted({})
    assert resolver.failures == 1
