"""Routes that only one framework has: hosts, sinks, fallbacks, filters, redirects."""

import asyncio
import itertools

import falcon.asgi
import pytest
import sanic
from blacksheep import Application, Router, text
from blacksheep.server.controllers import Controller
from blacksheep.server.routing import RoutesRegistry
from quart import Blueprint, Quart
from werkzeug.routing import BaseConverter

from asgi_serial.timing.routes.resolver import build_resolver

from .drive import http_scope, living, visit

_numbers = itertools.count()


async def ok(*arguments, **parameters):
    return "ok"


def labels(app, *visits, host="example.org", failures=0):
    """The statuses and labels of requests, once the app has answered them."""
    resolve = build_resolver(app=app)

    async def ask():
        found = []
        async with living(app):
            for method, path in visits:
                scope = http_scope(path, method, host)
                answer = await visit(with_host(app, host), method, path)
                found.append((answer.status, resolve(scope)))
        return found

    found = asyncio.run(ask())
    assert resolve.failures == failures
    return found


def with_host(app, host):
    async def around(scope, receive, send):
        scope["headers"] = [(b"host", host.encode())]
        await app(scope, receive, send)

    return around


class Item:
    async def on_get(self, request, response, **parameters):
        response.text = "ok"


async def sink(request, response, **parameters):
    response.text = "sunk"


def falcon_app(tmp_path):
    (tmp_path / "a.css").write_text("a")
    app = falcon.asgi.App()
    app.req_options.strip_url_path_trailing_slash = True
    app.add_route("/items/{id:int}", Item())
    app.add_route("/{year:int}-{month:int(2)}/report", Item())
    app.add_sink(sink, r"/sunk/(?P<rest>[a-z]+)")
    app.add_static_route("/static", str(tmp_path))
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "label"),
    [
        ("GET", "/items/7", 200, "/items/{id}"),
        ("GET", "/items/7/", 200, "/items/{id}"),
        ("OPTIONS", "/items/7", 200, "/items/{id}"),
        ("POST", "/items/7", 405, "/items/{id}"),
        ("GET", "/items/x", 404, "(unmatched)"),
        ("GET", "/2024-11/report", 200, "/{year}-{month}/report"),
        ("GET", "/sunk/abc/d", 200, "/sunk/{rest}/{path}"),
        ("GET", "/static/a.css", 200, "/static/{path}"),
        ("GET", "/static/none.css", 404, "/static/{path}"),
        ("GET", "/", 404, "(unmatched)"),
    ],
)
def test_falcon(tmp_path, method, path, status, label):
    assert labels(falcon_app(tmp_path), (method, path)) == [(status, label)]


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (None, "(unmatched)"),
        ((None, {}, {}), "(unmatched)"),
        ((Item(), {}, {}), "(unmatched)"),
        ((Item(), {}, {}, None), "(unmatched)"),
        ((Item(), {}, {}, "/{id:int}"), "/{id}"),
    ],
)
def test_a_router_of_the_users_own_in_falcon(found, label):
    class OwnRouter:
        def find(self, uri, req=None):
            return found

    assert build_resolver(app=falcon.asgi.App(router=OwnRouter()))(http_scope("/7")) == label


def quart_app(**options):
    app = Quart(__name__, **options)
    app.add_url_rule("/items/<int:id>", "item", ok, methods=["GET", "PATCH"])
    app.add_url_rule("/items/<int:id>", "put", ok, methods=["PUT"])
    app.add_url_rule("/slash/", "slash", ok)
    app.add_url_rule("/<any(books, films):kind>.<ext>", "kind", ok)
    app.add_url_rule("/again", "again", ok, defaults={"id": 1})
    app.add_websocket("/socket", view_func=ok)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "label"),
    [
        ("GET", "/items/7", 200, "/items/{id}"),
        ("HEAD", "/items/7", 200, "/items/{id}"),
        ("PUT", "/items/7", 200, "/items/{id}"),
        ("OPTIONS", "/items/7", 200, "/items/{id}"),
        ("DELETE", "/items/7", 405, "/items/{id}"),
        ("GET", "/slash/", 200, "/slash/"),
        ("GET", "/slash", 308, "(unmatched)"),
        ("GET", "/books.json", 200, "/{kind}.{ext}"),
        ("GET", "/songs.json", 404, "(unmatched)"),
        ("GET", "/again", 200, "/again"),
        ("GET", "/socket", 400, "(unmatched)"),
        ("GET", "/static/none.css", 404, "/static/{filename}"),
    ],
)
def test_quart(method, path, status, label):
    assert labels(quart_app(), (method, path)) == [(status, label)]


def test_hosts_and_subdomains_of_quart_are_part_of_the_template():
    by_host = Quart(__name__, host_matching=True, static_host="example.org")
    by_host.add_url_rule("/", "one", ok, host="<tenant>.example.org")
    assert labels(by_host, ("GET", "/"), host="a.example.org") == [(200, "{tenant}.example.org/")]
    assert labels(by_host, ("GET", "/"), host="b.example.net") == [(404, "(unmatched)")]

    by_name = Quart(__name__, subdomain_matching=True)
    by_name.config["SERVER_NAME"] = "example.org"
    api = Blueprint("api", __name__, subdomain="api")
    api.add_url_rule("/", "one", ok)
    by_name.register_blueprint(api)
    by_name.add_url_rule("/", "index", ok)
    assert labels(by_name, ("GET", "/"), host="api.example.org") == [(200, "api.example.org/")]
    assert labels(by_name, ("GET", "/"), host="example.org") == [(200, "/")]


class Failing(BaseConverter):
    def to_python(self, value):
        raise RuntimeError(value)


def test_a_converter_of_quart_that_fails_is_counted():
    app = Quart(__name__)
    app.url_map.converters["failing"] = Failing
    app.add_url_rule("/<failing:id>", "item", ok)
    assert labels(app, ("GET", "/7"), failures=1) == [(500, "(unmatched)")]


def blacksheep_app():
    controllers = RoutesRegistry()

    class Shelf(Controller):
        @classmethod
        def route(cls):
            return "/shelf"

        @controllers.get("/{int:id}")
        async def book(self):
            return text("ok")

    app = Application(router=Router(prefix="/api"))
    app.router.controllers_routes = controllers
    for path in ("/items/:id", "/items/{int:id}/parts/<str:part>", "/files/*", "/a.b"):
        app.router.add_get(path, lambda: text("ok"))
    app.router.add_get("/picky", lambda: text("ok"))
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "label"),
    [
        ("GET", "/api/items/7", 200, "/api/items/{id}"),
        ("GET", "/api/items/7/", 200, "/api/items/{id}"),
        ("GET", "/api/items/7/parts/x", 200, "/api/items/{id}/parts/{part}"),
        ("GET", "/api/items/x/parts/x", 404, "(unmatched)"),
        ("GET", "/api/files/a/b", 200, "/api/files/{tail}"),
        ("GET", "/api/a.b", 200, "/api/a.b"),
        ("GET", "/api/shelf/3", 200, "/api/shelf/{id}"),
        ("POST", "/api/items/7", 404, "(unmatched)"),
        ("GET", "/items/7", 404, "(unmatched)"),
    ],
)
def test_blacksheep(method, path, status, label):
    assert labels(blacksheep_app(), (method, path)) == [(status, label)]


def test_the_fallback_of_blacksheep_is_no_route():
    app = Application(router=Router())
    app.router.fallback = lambda: text("anything", 200)

    async def around(request, handler):
        return await handler(request)

    app.middlewares.append(around)
    app.router.add_get("/items/:id", lambda: text("ok"))
    visits = [("GET", "/items/7"), ("GET", "/a"), ("GET", "/b")]
    assert labels(app, *visits) == [
        (200, "/items/{id}"),
        (200, "(unmatched)"),
        (200, "(unmatched)"),
    ]


def test_a_mount_of_blacksheep_takes_what_is_below_its_path():
    inner = Application(router=Router())
    inner.router.add_get("/items/:id", lambda: text("ok"))
    app = Application(router=Router())
    app.router.add_get("/items/:id", lambda: text("ok"))
    app.mount("/other", inner)
    app.mount("/shop", inner)
    resolve = build_resolver(app=app)
    scope = http_scope("/items/7")
    asyncio.run(inner.start())
    asyncio.run(app.start())
    assert resolve(scope) == "/items/{id}"
    assert resolve(http_scope("/shop/items/7") | {"root_path": "/shop"}) == "/shop/items/{id}"
    assert resolve(http_scope("/shop/none") | {"root_path": "/shop"}) == "/shop/{path}"


def sanic_app(tmp_path):
    sanic.Sanic.test_mode = True
    app = sanic.Sanic(f"tables{next(_numbers)}", configure_logging=False)
    app.config.MOTD = False
    (tmp_path / "a.css").write_text("a")

    async def item(request, *arguments, **parameters):
        return sanic.text("ok")

    async def put(request, *arguments, **parameters):
        return sanic.text("ok")

    app.add_route(item, "/items/<id:int>", name="one")
    app.add_route(put, "/items/<id:int>", methods=["PUT"], name="two")
    app.add_route(item, r"/codes/<code:[a-z]{3}>", name="three")
    app.add_route(item, r"/notes/<note:(?P<note>[a-z]+)\.txt>", name="four")
    app.add_route(item, "/files/<name=str:ext=txt|md>", name="five")
    app.add_route(item, "/hosted", host="api.example.org", name="six")
    app.static("/static", str(tmp_path), name="static")
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "label"),
    [
        ("GET", "/items/7", 200, "/items/{id}"),
        ("GET", "/items/7/", 200, "/items/{id}"),
        ("PUT", "/items/7", 200, "/items/{id}"),
        ("DELETE", "/items/7", 405, "(unmatched)"),
        ("GET", "/items/x", 404, "(unmatched)"),
        ("GET", "/codes/abc", 200, "/codes/{code}"),
        ("GET", "/notes/abc.txt", 200, "/notes/{note}"),
        ("GET", "/files/a.md", 200, "/files/{name}"),
        ("GET", "/static/a.css", 200, "/static/{__file_uri__}"),
        ("GET", "/hosted", 404, "(unmatched)"),
    ],
)
def test_sanic(tmp_path, method, path, status, label):
    assert labels(sanic_app(tmp_path), (method, path)) == [(status, label)]


def test_the_host_of_a_route_of_sanic_is_part_of_the_template(tmp_path):
    visits = ("GET", "/hosted")
    found = labels(sanic_app(tmp_path), visits, host="api.example.org")
    assert found == [(200, "api.example.org/hosted")]


def test_a_router_of_sanic_that_is_not_ready_is_counted(tmp_path):
    resolve = build_resolver(app=sanic_app(tmp_path))
    assert resolve(http_scope("/items/7")) == "(unmatched)"
    assert resolve.failures == 1


class Router3:
    """As `channels.routing.ProtocolTypeRouter` is made."""

    def __init__(self, application_mapping):
        self.application_mapping = application_mapping


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda app: Router3({"http": app}), id="an app for each protocol"),
        pytest.param(lambda app: app.asgi_app, id="a bound method"),
        pytest.param(lambda app: Router3({"http": Router3({"http": app})}), id="two"),
    ],
)
def test_an_app_is_found_in_what_is_around_it(wrap):
    assert build_resolver(app=wrap(quart_app()))(http_scope("/items/7")) == "/items/{id}"


def test_nothing_is_found_where_there_is_no_app():
    assert build_resolver(app=Router3({"websocket": ok}))(http_scope("/items/7")) == "(unmatched)"
