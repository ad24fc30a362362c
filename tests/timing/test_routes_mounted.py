"""An app of one framework below a path of another's: its routes have their whole template."""

import asyncio
import importlib
from contextlib import nullcontext

import falcon.asgi
import pytest
import sanic
from blacksheep import Application, Router
from fastapi import FastAPI
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send
from quart import Quart, current_app
from starlette.applications import Starlette
from starlette.routing import Host, Mount

from asgi_serial import SerialMiddleware, timing_report
from asgi_serial.engine.app_engines import engines_of
from asgi_serial.timing.routes.resolver import build_resolver

from .drive import Copying, http_scope, living, visit

NAMES = ["starlette", "fastapi", "litestar", "quart", "django", "blacksheep"]


@pytest.fixture
def inner(name):
    """The bare app of a site; Django's patterns are those of the process."""
    module = importlib.import_module(f"tests.sites.{name}_site")
    with getattr(module, "with_these_patterns", nullcontext()):
        yield module.make(enabled=False)[0]


class Passing:
    """A middleware of the user's own."""

    def __init__(self, application):
        self.application = application

    async def __call__(self, scope, receive, send):
        await self.application(scope, receive, send)


def in_fastapi(app):
    outer = FastAPI()
    outer.mount("/out", app)
    return outer


def in_litestar(app):
    mounted = asgi("/out", is_mount=True, copy_scope=True)(app)
    return Litestar([mounted], openapi_config=None, logging_config=None)


def in_blacksheep(app):
    outer = Application(router=Router())
    outer.mount("/out", app)
    return outer


def in_a_copy(app):
    return Copying(Starlette(routes=[Mount("/out", app)]))


OUTER = {
    "Starlette": (lambda app: Starlette(routes=[Mount("/out", app)]), "/out", "/out"),
    "a parameter": (
        lambda app: Starlette(routes=[Mount("/all/{tenant:int}", app)]),
        "/all/7",
        "/all/{tenant}",
    ),
    "two mounts": (
        lambda app: Starlette(routes=[Mount("/a", Starlette(routes=[Mount("/b", app)]))]),
        "/a/b",
        "/a/b",
    ),
    "a middleware inside": (
        lambda app: Starlette(routes=[Mount("/out", Passing(app))]),
        "/out",
        "/out",
    ),
    "a copy of the scope": (in_a_copy, "/out", "/out"),
    "a host": (
        lambda app: Starlette(routes=[Host("{tenant}.org", app)]),
        "",
        "{tenant}.org",
    ),
    "FastAPI": (in_fastapi, "/out", "/out"),
    "BlackSheep": (in_blacksheep, "/out", "/out"),
}


async def in_turn(apps, coroutine):
    if not apps:
        return await coroutine
    async with living(apps[0]):
        return await in_turn(apps[1:], coroutine)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("mount", "path", "prefix"), OUTER.values(), ids=OUTER)
def test_an_app_below_a_mount_has_its_whole_templates(inner, name, mount, path, prefix):
    app = SerialMiddleware(mount(inner), cache=False)

    async def ask():
        return [
            (await visit(app, "GET", path + below)).status
            for below in ("/items/7", "/api/v1/users/ann/posts/3", "/nowhere")
        ]

    assert asyncio.run(in_turn([inner, app], ask())) == [200, 200, 404]
    if name == "litestar" and mount is in_a_copy:
        # Its choice stands in the copy, and only there.
        assert {row["route"] for row in timing_report(app).routes} == {prefix + "/{path}"}
        return
    assert {row["route"]: row["status"] for row in timing_report(app).routes} == {
        prefix + "/items/{id}": 200,
        prefix + "/api/v1/users/{name}/posts/{post}": 200,
        prefix + "/{path}": 404,
    }
    assert timing_report(app).engine["route_resolver_failures"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_an_app_with_its_own_middleware_below_a_mount_has_its_whole_templates(inner, name):
    ours = SerialMiddleware(inner, cache=False)
    app = Starlette(routes=[Mount("/out", ours)])

    async def ask():
        paths = ("/out/items/7", "/out/items/7?again", "/out/nowhere")
        return [(await visit(app, "GET", path)).status for path in paths]

    assert asyncio.run(in_turn([inner], ask())) == [200, 200, 404]
    routes = {row["route"]: row["count"] for row in timing_report(ours).routes}
    assert routes == {"/out/items/{id}": 2, "/out/{path}": 1}


def test_mounts_around_the_middleware_and_below_it_are_named_once():
    ours = SerialMiddleware(in_blacksheep(quart_app()), cache=False)
    app = Starlette(routes=[Mount("/all", ours)])
    scope = http_scope("/out/items/7/") | {"root_path": "/out"}
    assert ours.engine.label(scope) == "/out/items/{id}/"
    marked = scope | {"router": app.router, "endpoint": ours, "app_root_path": ""}
    assert ours.engine.label(marked) == "/all/out/items/{id}/"


async def ok(**parameters):
    return "ok"


def quart_app():
    """Litestar hands a mounted app its path with a slash at the end."""
    app = Quart(__name__)
    app.add_url_rule("/items/<int:id>/", "item", ok)
    return app


def test_an_app_that_is_a_handler_of_litestar_has_its_whole_templates():
    app = SerialMiddleware(in_litestar(quart_app()), cache=False)

    async def ask():
        return [(await visit(app, "GET", path)).status for path in ("/out/items/7", "/out/none")]

    assert asyncio.run(in_turn([app], ask())) == [200, 404]
    assert {row["route"] for row in timing_report(app).routes} == {
        "/out/items/{id}/",
        "/out/{path}",
    }


def test_mounts_of_two_frameworks_are_followed():
    inner = Starlette(routes=[Mount("/deep", quart_app())])
    app = SerialMiddleware(in_blacksheep(inner), cache=False)

    async def ask():
        return (await visit(app, "GET", "/out/deep/items/7/")).status

    assert asyncio.run(in_turn([app], ask())) == 200
    assert [row["route"] for row in timing_report(app).routes] == ["/out/deep/items/{id}/"]


class Item:
    async def on_get(self, request, response, **parameters):
        response.text = "ok"


def falcon_app():
    app = falcon.asgi.App()
    app.add_route("/out/items/{id:int}", Item())
    return app


def sanic_app():
    async def item(request, id):
        return sanic.text("ok")

    sanic.Sanic.test_mode = True
    app = sanic.Sanic("mounted", configure_logging=False)
    app.config.MOTD = False
    app.add_route(item, "/out/items/<id:int>")
    return app


@pytest.mark.parametrize("make", [falcon_app, sanic_app])
def test_a_framework_that_routes_the_whole_path_is_given_no_prefix_twice(make):
    inner = make()
    app = SerialMiddleware(Starlette(routes=[Mount("/out", inner)]), cache=False)

    async def ask():
        return [(await visit(app, "GET", path)).status for path in ("/out/items/7", "/out/items")]

    assert asyncio.run(in_turn([inner], ask())) == [200, 404]
    assert {row["route"] for row in timing_report(app).routes} == {
        "/out/items/{id}",
        "/out/{path}",
    }


def test_an_app_that_is_mounted_in_itself_ends():
    app = Application(router=Router())
    app.mount_registry.mount("/again", app)
    scope = http_scope("/again/again/page")
    assert build_resolver(app=app)(scope) == "/again" * 9 + "/{path}"


class Numbered:
    """An app, and its table of one route."""

    is_whole = False

    def __init__(self, number):
        self.number = number

    async def __call__(self, scope, receive, send): ...

    def find(self, scope):
        return f"/{self.number}"


def test_many_mounted_apps_are_kept_within_bounds():
    resolve = build_resolver(tables=[lambda app: app if isinstance(app, Numbered) else None])
    for number in range(600):
        app = Starlette(routes=[Mount("/out", Numbered(number))])
        scope = http_scope("/out/x") | {"router": app.router, "endpoint": app.routes[0].app}
        assert resolve(scope) == f"/out/{number}"
    assert len(resolve._mounted) <= 256


@pytest.mark.parametrize("name", [*NAMES, "falcon", "sanic"])
@pytest.mark.parametrize("mount", [in_fastapi, in_blacksheep, in_litestar])
def test_the_engine_is_found_by_the_app_that_is_mounted(inner, name, mount):
    if mount is in_litestar and name in ("django", "falcon", "sanic", "blacksheep"):
        inner = annotated(inner)  # Litestar asks for a handler with annotations
    elif name == "quart":
        inner = Quart(__name__)  # the site's has a middleware of its own
    outer = mount(inner)
    app = SerialMiddleware(outer)
    assert engines_of(inner) == engines_of(outer) == (app.engine,)


def annotated(app):
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return call


@pytest.mark.parametrize("is_inside", [True, False])
def test_the_engine_is_found_by_the_current_app_of_quart(is_inside):
    app = Quart(__name__)
    if is_inside:
        app.asgi_app = ours = SerialMiddleware(app.asgi_app)
    else:
        ours = SerialMiddleware(app)
    found = []

    @app.get("/")
    async def index():
        found.extend(engines_of(current_app))
        return "ok"

    asyncio.run(visit(app if is_inside else ours, "GET", "/"))
    assert found == [ours.engine]
