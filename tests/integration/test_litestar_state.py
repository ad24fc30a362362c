"""What Litestar's own middlewares have read of a request is not shown to its handlers."""

from typing import Any

import pytest
from litestar import Litestar, Request, Response, get
from litestar.middleware import DefineMiddleware
from litestar.testing import TestClient
from litestar.utils.scope.state import ScopeState

from asgi_serial import SerialMiddleware

OPTIONS = {"cache_ttl": 60, "cache_ignore_query": "utm_*"}


class Reader:
    """A middleware that reads all of a request, before and after the app."""

    seen: list[tuple[dict[str, str], dict[str, str], str]]

    def __init__(self, app: Any, seen: list[Any]) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.read(scope)
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            self.read(scope)

    def read(self, scope: Any) -> None:
        request = Request[Any, Any, Any](scope)
        query = dict(request.query_params)
        assert request.headers.get("cookie", "") == "; ".join(
            "=".join(pair) for pair in request.cookies.items()
        )
        self.seen.append((query, request.cookies, request.url.query))


def make_app(seen: list[Any]) -> Litestar:
    @get("/", sync_to_thread=False)
    def index(request: Request[Any, Any, Any]) -> Response[Any]:
        state = ScopeState.from_scope(request.scope)
        state.log_context["page"] = 2  # what a handler leaves there is for those outside
        told = [dict(request.query_params), request.cookies, request.url.query]
        is_held = request.headers.get("if-none-match") == '"1"'
        shown = [*told, request.headers.get("cookie")]
        content = None if is_held else shown
        return Response(content, status_code=304 if is_held else 200, headers={"etag": '"1"'})

    reader = DefineMiddleware(Reader, seen=seen)
    return Litestar([index], middleware=[reader, DefineMiddleware(SerialMiddleware, **OPTIONS)])


@pytest.mark.parametrize("fields", [{}, {"range": "bytes=0-999"}], ids=["leading", "alone"])
def test_a_handler_is_shown_nothing_that_is_hidden(fields: dict[str, str]) -> None:
    seen: list[Any] = []
    with TestClient(make_app(seen)) as client:
        first = client.get("/?utm_id=7&page=2", headers={"cookie": "_ga=7", **fields})
        assert first.json() == [{"page": "2"}, {}, "page=2", None]
        second = client.get("/?page=2&utm_id=8", headers={"cookie": "_ga=8"})
        assert second.json() == first.json()
        assert "hit" in second.headers["cache-status"]
    # The code outside sees what was sent, before and after.
    for number, queries in enumerate((["utm_id=7&page=2"] * 2, ["page=2&utm_id=8"] * 2)):
        for query, cookies, url in seen[2 * number : 2 * number + 2]:
            assert (query, cookies) == (
                {"utm_id": str(number + 7), "page": "2"},
                {"_ga": str(number + 7)},
            )
            assert url in queries


def test_a_handler_is_shown_the_conditions_of_the_cache() -> None:
    with TestClient(make_app([])) as client:
        first = client.get("/?page=2")
        second = client.get("/?page=2", headers={"cache-control": "no-cache"})
        assert "fwd-status=304" in second.headers["cache-status"]
        assert second.json() == first.json()


def test_a_handler_sees_all_of_what_bypasses_the_cache() -> None:
    with TestClient(make_app([])) as client:
        fields = {"cookie": "_ga=7; session=1", "cache-control": "no-store"}
        told = client.get("/?utm_id=7", headers=fields).json()
        assert told == [
            {"utm_id": "7"},
            {"_ga": "7", "session": "1"},
            "utm_id=7",
            "_ga=7; session=1",
        ]
