"""A path of our own that hides a route of the app is told of once."""

import asyncio
import logging

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial import SerialMiddleware
from tests.engine.driver import Request, ask


async def answer(request):
    return PlainTextResponse("the app's own")


def shadows(caplog, routes, *, inside=False, **options):
    """The warnings of an app with these routes, after two requests."""
    settings = {"report_path": "/-/timing", **options}
    app = Starlette(routes=routes)
    if inside:
        app.add_middleware(SerialMiddleware, **settings)
    else:
        app = SerialMiddleware(app, **settings)
    with caplog.at_level(logging.WARNING, "asgi_serial"):
        for _ in range(2):
            asyncio.run(ask(app, Request(path="/other")))
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("inside", [False, True], ids=["around the app", "inside the app"])
@pytest.mark.parametrize(
    ("route", "template"),
    [
        (Route("/-/timing", answer), "/-/timing"),
        (Route("/-/{page}", answer), "/-/{page}"),
        (Mount("/-", routes=[Route("/timing", answer)]), "/-/timing"),
    ],
    ids=["the same path", "a parameter", "below a mount"],
)
def test_a_route_that_is_hidden_is_told_of_once(caplog, route, template, inside):
    (warning,) = shadows(caplog, [Route("/other", answer), route], inside=inside)
    assert warning.startswith(f"report_path is '/-/timing', which the app's route {template} takes")


@pytest.mark.parametrize(
    ("routes", "options"),
    [
        pytest.param([Route("/timing", answer)], {}, id="another path"),
        pytest.param([Route("/{path:path}", answer)], {}, id="a route that takes any path"),
        pytest.param(
            [Mount("/", app=PlainTextResponse("any"))], {}, id="an app that takes any path"
        ),
        pytest.param([Route("/-/timing", answer)], {"report_path": None}, id="no path of ours"),
        pytest.param([], {"route_resolver": lambda scope: "a name"}, id="names that are no paths"),
        pytest.param(
            [Route("/-/purge", answer, methods=["GET"])],
            {"report_path": None, "metrics_path": "/metrics"},
            id="no route of that path",
        ),
    ],
)
def test_what_hides_nothing_is_not_told_of(caplog, routes, options):
    assert shadows(caplog, routes, **options) == []


def test_each_path_is_looked_at(caplog):
    routes = [Route(path, answer, methods=["GET", "POST"]) for path in ("/m", "/p", "/r")]
    options = {"report_path": "/r", "metrics_path": "/m", "purge_path": "/p", "purge_token": "t"}
    warnings = shadows(caplog, routes, **options)
    assert [line.split()[0] for line in warnings] == ["report_path", "metrics_path", "purge_path"]


def test_litestar_needs_a_route_of_that_path(caplog):
    from litestar import Litestar, get
    from litestar.middleware import DefineMiddleware
    from litestar.testing import TestClient

    @get("/-/timing")
    async def report() -> str:
        return "never"

    middleware = DefineMiddleware(SerialMiddleware, report_path="/-/timing")
    with (
        caplog.at_level(logging.WARNING, "asgi_serial"),
        TestClient(Litestar([report], middleware=[middleware])) as client,
    ):
        assert client.get("/-/timing").status_code == 403
    assert [record for record in caplog.records if record.name == "asgi_serial"] == []
