import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial.timing.routes.resolver import build_resolver

from .drive import http_scope, run


async def ok(request):
    return PlainTextResponse("ok")


async def plain_app(scope, receive, send) -> None:
    await PlainTextResponse("plain")(scope, receive, send)


def by_first_segment(scope):
    return "/" + scope["path"].split("/")[1] + "/..."


def failing(scope):
    raise RuntimeError("callback")


@pytest.mark.parametrize(
    ("callback", "label", "failures"),
    [
        pytest.param(None, "(unmatched)", 0, id="none"),
        pytest.param(by_first_segment, "/orders/...", 0, id="a name"),
        pytest.param(lambda scope: None, "(unmatched)", 0, id="None"),
        pytest.param(lambda scope: "", "(unmatched)", 0, id="nothing"),
        pytest.param(failing, "(unmatched)", 1, id="an exception"),
        pytest.param(lambda scope: 42, "(unmatched)", 1, id="not text"),
    ],
)
def test_a_callback_names_the_routes_of_a_plain_app(callback, label, failures):
    resolve = build_resolver(callback, app=plain_app)
    assert resolve(run(plain_app, http_scope("/orders/12"))[1]) == label
    assert resolve.failures == failures


@pytest.mark.parametrize("callback", [failing, lambda scope: None], ids=["failing", "None"])
def test_behind_a_callback_the_framework_is_asked(callback):
    app = Starlette(routes=[Route("/orders/{id}", ok)])
    assert build_resolver(callback)(run(app, http_scope("/orders/12"))[1]) == "/orders/{id}"


class Hostile:
    def __getattr__(self, name):
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param({}, id="an empty scope"),
        pytest.param({"endpoint": Hostile(), "router": Hostile()}, id="objects that raise"),
        pytest.param({"app": Hostile()}, id="an app that raises"),
        pytest.param({"path_template": "/", "route_handler": Hostile()}, id="a bad handler"),
        pytest.param({"endpoint": ok, "router": Starlette(), "fastapi": None}, id="no dict"),
        pytest.param({"router": 1, "fastapi": {"frontend_path": 1}, "path": "/"}, id="no text"),
    ],
)
def test_a_scope_that_nobody_would_make_is_unmatched_and_never_raises(scope):
    assert build_resolver()(scope) == "(unmatched)"


def test_an_app_whose_attributes_raise_is_one_without_routes():
    resolve = build_resolver(app=Hostile())
    assert resolve.failures == 1
    scope = run(Starlette(routes=[Route("/orders/{id}", ok)]), http_scope("/orders/12"))[1]
    assert resolve(scope) == "/orders/{id}"
    assert resolve(http_scope("/orders/12")) == "(unmatched)"


class FailingTable:
    is_whole = False

    def find(self, scope):
        raise RuntimeError("table")


def test_a_table_that_fails_is_counted_and_puts_nothing_into_a_request():
    resolve = build_resolver(app=plain_app, tables=[lambda app: FailingTable()])
    for _ in range(3):
        assert resolve(http_scope("/orders/12")) == "(unmatched)"
    assert resolve.failures == 3


@pytest.mark.parametrize("error", [ValueError, UnicodeError])
def test_a_value_that_a_router_cannot_read_is_no_failure(error):
    class Table:
        is_whole = False

        def find(self, scope):
            raise error

    resolve = build_resolver(app=plain_app, tables=[lambda app: Table()])
    assert resolve(http_scope("/orders/12")) == "(unmatched)"
    assert resolve.failures == 0


def test_a_callback_comes_before_a_table_and_leaves_to_it_what_it_does_not_know():
    class Table:
        is_whole = False

        def find(self, scope):
            return "/table"

    def callback(scope):
        return "/callback" if scope["path"] == "/a" else None

    resolve = build_resolver(callback, app=plain_app, tables=[lambda app: Table()])
    assert [resolve(http_scope(path)) for path in ("/a", "/b")] == ["/callback", "/table"]


@pytest.mark.parametrize("where", ["route", "mount", "callback", "table"])
def test_a_name_is_cut_after_two_hundred_characters(where):
    long = "/" + "x" * 10_000

    class Table:
        is_whole = False

        def find(self, scope):
            return long

    routes = {
        "route": [Route(long, ok)],
        "mount": [Mount(long, routes=[Route("/in", ok)])],
    }
    app = Starlette(routes=routes.get(where, [Route("/other", ok)]))
    resolve = build_resolver(
        (lambda scope: long) if where == "callback" else None,
        app=app,
        tables=[lambda app: Table() if where == "table" else None],
    )
    path = long + "/in" if where == "mount" else long
    for _ in range(2):
        assert resolve(run(app, http_scope(path))[1]) == long[:200]
        assert resolve(http_scope(path)) == long[:200]
