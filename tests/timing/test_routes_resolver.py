import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

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
