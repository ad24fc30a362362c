"""Litestar makes an instance of a middleware for each route; all of them are one middleware."""

import pytest
from litestar import Litestar, get, post
from litestar.middleware import DefineMiddleware
from litestar.testing import TestClient

from asgi_serial import SerialMiddleware, timing_report

BY_DEFINITION = DefineMiddleware(SerialMiddleware, routes={"GET /items": {"cache_ttl": "60s"}})


def make_app(middleware: object) -> Litestar:
    @get("/items", sync_to_thread=False)
    def list_items() -> list[int]:
        return [1, 2]

    @post("/items", sync_to_thread=False)
    def add_item() -> None:
        return None

    @get("/other", sync_to_thread=False)
    def other() -> str:
        return "other"

    return Litestar([list_items, add_item, other], middleware=[middleware])


@pytest.mark.parametrize(
    "middleware", [SerialMiddleware, BY_DEFINITION], ids=["by its class", "by a definition"]
)
def test_one_report_holds_the_routes_of_an_app(middleware):
    app = make_app(middleware)
    with TestClient(app) as client:
        for path in ("/items", "/items", "/other"):
            assert client.get(path).status_code == 200
        assert client.post("/items").status_code == 201
    text = timing_report(app).to_text()
    times, *_ = text.partition("formatted")
    assert [times.count(f"\n{path} ") for path in ("/items", "/other")] == [2, 1]


def test_a_write_by_one_route_drops_what_another_has_stored():
    with TestClient(make_app(BY_DEFINITION)) as client:
        assert "stored" in client.get("/items").headers["cache-status"]
        assert "hit" in client.get("/items").headers["cache-status"]
        client.post("/items")
        assert "fwd=uri-miss" in client.get("/items").headers["cache-status"]


def test_two_apps_of_equal_settings_share_nothing():
    for _ in range(2):
        with TestClient(make_app(BY_DEFINITION)) as client:
            assert "stored" in client.get("/items").headers["cache-status"]


def test_one_callback_hears_of_all_routes_of_an_app():
    samples = []
    app = make_app(DefineMiddleware(SerialMiddleware, on_response=samples.append))
    with TestClient(app) as client:
        for path in ("/items", "/other"):
            client.get(path)
    assert [sample.route for sample in samples] == ["/items", "/other"]
