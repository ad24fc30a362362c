"""What stands around the middleware and inside it works as without: each test runs bare, too."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from advanced_alchemy.extensions.litestar import SQLAlchemyAsyncConfig, SQLAlchemyPlugin
from fastapi import FastAPI
from litestar import Litestar, Request, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.middleware import DefineMiddleware
from litestar.middleware.session.server_side import (
    ServerSideSessionBackend,
    ServerSideSessionConfig,
)
from litestar.params import FromPath
from litestar.security.session_auth import SessionAuth
from litestar.testing import TestClient
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    SimpleUser,
)
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette_exporter import PrometheusMiddleware

from asgi_serial import SerialMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS: list[Any] = [
    pytest.param(None, id="bare"),
    pytest.param({}, id="defaults"),
    pytest.param({"cache": False}, id="no cache"),
    pytest.param({"cache_ttl": "60s"}, id="a lifetime of ours"),
]
each_setting = pytest.mark.parametrize("settings", SETTINGS)
each_coding = pytest.mark.parametrize("coding", ["identity", "gzip"])


def in_litestar(settings: dict[str, Any] | None) -> list[DefineMiddleware]:
    """As the README says."""
    return [] if settings is None else [DefineMiddleware(SerialMiddleware, **settings)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "shelf.sqlite")
    connection.execute("create table books (name text)")
    connection.commit()
    yield connection
    connection.close()


@each_coding
@each_setting
def test_a_transaction_of_litestars_sqlalchemy_plugin_is_ended(
    settings, coding, database, tmp_path
):
    """Its `before_send` commits or rolls back, and gives the connection back."""
    config = SQLAlchemyAsyncConfig(
        connection_string=f"sqlite+aiosqlite:///{tmp_path}/shelf.sqlite",
        before_send_handler="autocommit",
    )

    @post("/books/{name:str}")
    async def add(name: FromPath[str], db_session: NamedDependency[AsyncSession]) -> dict[str, str]:
        await db_session.execute(text("insert into books values (:name)"), {"name": name})
        if name == "refused":
            raise HTTPException("no such book", status_code=409)
        return {"name": name, "text": "long " * 1000}

    @get("/books")
    async def show(db_session: NamedDependency[AsyncSession]) -> list[str]:
        return list((await db_session.execute(text("select name from books"))).scalars())

    async def close() -> None:
        await config.get_engine().dispose()

    app = Litestar(
        [add, show],
        plugins=[SQLAlchemyPlugin(config)],
        middleware=in_litestar(settings),
        on_shutdown=[close],
        openapi_config=None,
    )
    with TestClient(app) as client:
        pool = config.get_engine().pool
        client.headers["accept-encoding"] = coding
        assert client.post("/books/emma").status_code == 201
        assert pool.checkedout() == 0
        assert client.post("/books/refused").status_code == 409
        assert pool.checkedout() == 0
        assert client.get("/books").json() == ["emma"]
        assert pool.checkedout() == 0
    assert database.execute("select name from books").fetchall() == [("emma",)]


@each_coding
@each_setting
def test_litestars_sessions_begin_and_end(settings, coding):
    """SessionAuth stores or deletes the session where it stands: outside of the middleware."""

    async def retrieve_user(session: dict[str, str], connection: Any) -> str | None:
        return session.get("user")

    auth = SessionAuth[str, ServerSideSessionBackend](
        retrieve_user_handler=retrieve_user,
        session_backend_config=ServerSideSessionConfig(),
        exclude=["/login"],
    )

    @post("/login/{name:str}")
    async def login(request: Request, name: FromPath[str]) -> str:
        request.set_session({"user": name})
        return "in"

    @post("/logout")
    async def logout(request: Request) -> str:
        request.clear_session()
        return "out"

    @get("/me")
    async def me(request: Request) -> str:
        return request.user

    app = Litestar(
        [login, logout, me],
        middleware=in_litestar(settings),
        on_app_init=[auth.on_app_init],
        openapi_config=None,
    )
    with TestClient(app) as client:
        client.headers["accept-encoding"] = coding
        assert client.get("/me").status_code == 401
        for name in ("ada", "grace"):
            assert client.post(f"/login/{name}").status_code == 201
            assert client.get("/me").text == name
            assert client.post("/logout").status_code == 201
            assert client.get("/me").status_code == 401


@each_setting
def test_litestars_before_send_sees_what_a_handler_has_put_into_the_scope(settings):
    seen = []

    @get("/")
    async def handler(request: Request) -> str:
        request.scope["opened"] = "a session"
        return "ok"

    async def before_send(message: Any, scope: Any) -> None:
        seen.append((message["type"], scope.pop("opened", None)))

    app = Litestar(
        [handler],
        middleware=in_litestar(settings),
        before_send=[before_send],
        openapi_config=None,
    )
    with TestClient(app) as client:
        assert client.get("/").text == "ok"
    assert seen == [("http.response.start", "a session"), ("http.response.body", None)]


def add_ours(app: Starlette, settings: dict[str, Any] | None) -> None:
    if settings is not None:
        app.add_middleware(SerialMiddleware, **settings)


def ask(app: Any, method: str, path: str, **headers: str) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return await client.request(method, path, headers=named)

    return asyncio.run(run())


def shelf(number: int) -> dict[str, int]:
    return {"number": number}


@each_coding
@each_setting
def test_starlette_exporter_counts_by_the_route(settings, coding, request):
    prefix = f"exporter{abs(hash(request.node.name))}"
    app = FastAPI()
    app.get("/shelf/{number}")(shelf)
    add_ours(app, settings)
    app.add_middleware(PrometheusMiddleware, prefix=prefix, group_paths=True)
    assert ask(app, "GET", "/shelf/7", accept_encoding=coding).status_code == 200
    labels = {"app_name": "starlette", "method": "GET", "status_code": "200"}
    labels["path"] = "/shelf/{number}"
    assert REGISTRY.get_sample_value(f"{prefix}_requests_total", labels) == 1.0


@each_coding
@each_setting
def test_opentelemetrys_spans_have_the_route(settings, coding):
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app = FastAPI()
    app.get("/shelf/{number}")(shelf)
    add_ours(app, settings)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    assert ask(app, "GET", "/shelf/7", accept_encoding=coding).json() == {"number": 7}
    routes = [span.attributes.get("http.route") for span in spans.get_finished_spans()]
    assert "/shelf/{number}" in routes


class ByName(AuthenticationBackend):
    async def authenticate(self, conn: Any) -> tuple[AuthCredentials, SimpleUser]:
        return AuthCredentials(["read"]), SimpleUser(conn.headers["x-name"])


class AccessLog:
    """Notes what is in the scope when the response starts, and when the app has returned."""

    def __init__(self, app: Any, seen: list[Any]) -> None:
        self.app, self.seen = app, seen

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        def note() -> None:
            user = scope.get("user")
            route = getattr(scope.get("route"), "path", None)
            given = [scope.get(key) for key in ("endpoint", "path_params", "root_path", "opened")]
            self.seen.append((getattr(user, "display_name", None), route, *given))

        async def noting(message: Any) -> None:
            note()
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive, noting)
            note()


@pytest.mark.parametrize("path", ["/shelf/7", "/inner/shelf/7", "/none"])
@each_coding
@pytest.mark.parametrize("settings", SETTINGS[1:])
def test_a_log_outside_sees_the_user_and_the_route(settings, coding, path):
    async def endpoint(request: Any) -> JSONResponse:
        request.scope["opened"] = "here"
        return JSONResponse({"text": "long " * 1000})

    routes = [Route("/shelf/{number}", endpoint)]
    heard = []
    for ours in (None, settings):
        seen: list[Any] = []
        app = Starlette(routes=[*routes, Mount("/inner", Starlette(routes=routes))])
        app.add_middleware(AuthenticationMiddleware, backend=ByName())
        add_ours(app, ours)
        app.add_middleware(AccessLog, seen=seen)
        ask(app, "GET", path, x_name="ada", accept_encoding=coding)
        heard.append((seen[0], seen[-1]))
    assert heard[0] == heard[1]
    assert heard[0][0][0] == "ada"
