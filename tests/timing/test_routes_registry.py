"""A framework is one class: what it finds is joined with what the others find."""

import pytest
from litestar import Litestar, get
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial.timing.routes.registry import FRAMEWORKS
from asgi_serial.timing.routes.resolver import build_resolver

from .drive import http_scope, run


async def ok(request):
    return PlainTextResponse("ok")


class Gears:
    """Routes of a framework that leaves its choice in the scope, and may know a shortcut."""

    marks = ("gears.route", "gears.app", "gears.more")

    def __init__(self, app):
        self.has_routes = isinstance(app, GearsApp)
        self.asked = []

    def find(self, scope):
        self.asked.append(scope)
        if "gears.route" in scope:
            return scope["gears.route"]
        return "/before" if self.has_routes else None

    def shortcut(self, resolve, others):
        assert "gears.route" not in others
        return resolve

    def is_unrouted(self, scope):
        return self.has_routes and scope["path"] == "/nowhere"

    def reads_json(self, scope):
        return self.has_routes


class GearsApp:
    def __init__(self, label):
        self.label = label

    async def __call__(self, scope, receive, send):
        scope["gears.route"] = self.label
        await PlainTextResponse("ok")(scope, receive, send)


ALL = (*FRAMEWORKS, Gears)


@pytest.mark.parametrize(
    "app", [GearsApp("/gears/{id}"), Starlette(), None], ids=["gears", "Starlette", "no app"]
)
def test_a_framework_that_is_listed_names_its_routes(app):
    resolve = build_resolver(app=app, frameworks=ALL)
    assert resolve(run(GearsApp("/gears/{id}"), http_scope("/gears/1"))[1]) == "/gears/{id}"


def test_a_framework_that_is_not_listed_is_not_known():
    _, scope = run(GearsApp("/gears/{id}"), http_scope("/gears/1"))
    assert build_resolver()(scope) == build_resolver(frameworks=())(scope) == "(unmatched)"


def test_the_framework_of_the_app_is_asked_where_the_app_was_not_called():
    resolve = build_resolver(app=GearsApp("/gears/{id}"), frameworks=ALL)
    assert resolve(http_scope("/any")) == "/before"
    assert resolve.is_unrouted(http_scope("/nowhere"))
    assert not resolve.is_unrouted(http_scope("/any"))
    assert resolve.reads_json(http_scope("/any"))


@pytest.mark.parametrize("mark", [*Gears.marks, "app", "router", "path_template"])
def test_each_mark_has_the_frameworks_asked(mark):
    resolve = build_resolver(frameworks=ALL)
    gears = resolve._frameworks[-1]
    assert resolve(http_scope("/any")) == "(unmatched)"
    assert not gears.asked
    resolve(http_scope("/any") | {mark: None})
    assert gears.asked


def test_an_app_that_is_mounted_continues_the_label_of_the_mount():
    app = Starlette(routes=[Mount("/in", GearsApp("/gears/{id}")), Route("/page", ok)])
    resolve = build_resolver(app=app, frameworks=ALL)
    for _ in range(2):
        assert resolve(run(app, http_scope("/in/gears/1"))[1]) == "/in/gears/{id}"
        assert resolve(run(app, http_scope("/page"))[1]) == "/page"


def test_a_route_that_was_seen_before_is_joined_with_what_stands_around_it():
    inner = Starlette(routes=[Route("/page", ok)])
    resolve = build_resolver(app=inner, frameworks=ALL)
    for _ in range(3):
        scope = run(inner, http_scope("/page"))[1]
        assert resolve(scope) == "/page"
        for mark in ("gears.route", "path_template"):
            assert resolve(scope | {mark: "/out/{path}"}) == "/out/page"


def test_a_litestar_app_is_asked_before_others_that_took_no_part():
    @get("/items/{number:int}")
    async def item() -> str:
        return "ok"

    app = Litestar([item])
    resolve = build_resolver(app=app, frameworks=ALL)
    assert resolve(run(app, http_scope("/items/1"))[1]) == "/items/{number}"
    assert not resolve._frameworks[-1].asked
