"""The documents of FastAPI and Litestar list what their routes really give and take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Body, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    StreamingResponse,
)
from litestar import Controller, Litestar, Router, get, post
from litestar.enums import RequestEncodingType
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Operation
from litestar.params import Body as LitestarBody
from litestar.response import File, Redirect
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Mount

from asgi_serial import (
    ConfigurationError,
    SerialMiddleware,
    SerialResponse,
    build_engine,
    openapi_formats,
    serial,
)

# Litestar has other ways to declare a parameter by now, which its oldest release lacks.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Reserved kwarg"),
    pytest.mark.filterwarnings("ignore:.*deprecated"),
]

JSON = ["application/json"]
ALL = ["application/json", "application/vnd.msgpack", "application/cbor"]


class Book(BaseModel):
    id: int


def given_by(document: dict[str, Any], path: str, method: str = "get", status: str = "200") -> Any:
    response = document["paths"][path][method]["responses"][status]
    return list(response.get("content") or {})


def taken_by(document: dict[str, Any], path: str) -> list[str]:
    return list(document["paths"][path]["post"]["requestBody"]["content"])


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def add_routes(app: FastAPI) -> None:
    router = APIRouter(prefix="/shelves")

    @app.get("/books")
    async def books() -> list[Book]:
        return [Book(id=1)]

    @app.get("/serial")
    async def serial_book() -> SerialResponse:
        return SerialResponse(Book(id=1))

    @app.get("/serial-class", response_class=SerialResponse)
    async def serial_class() -> Book:
        return Book(id=1)

    @app.get("/json")
    async def in_json() -> JSONResponse:
        return JSONResponse([])

    @app.get("/nothing", status_code=204)
    async def nothing() -> None: ...

    @app.get("/text", response_class=PlainTextResponse)
    async def text() -> str:
        return ""

    @app.get("/file", response_class=FileResponse)
    async def file() -> str:
        return ""

    @app.get("/file-returned")
    async def file_returned() -> FileResponse:
        return FileResponse("")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse([])

    @app.get("/redirect", status_code=307)
    async def redirect() -> RedirectResponse:
        return RedirectResponse("/")

    @app.get("/own")
    @traced
    @serial(formats=False)
    async def own() -> Book:
        return Book(id=1)

    @app.get("/wanted")
    @serial(formats=True)
    async def wanted() -> Book:
        return Book(id=1)

    @app.get("/hidden", include_in_schema=False)
    async def hidden() -> Book:
        return Book(id=1)

    @app.post("/books", status_code=201)
    async def add_book(book: Book) -> Book:
        return book

    @app.post("/bytes")
    async def add_bytes(data: Annotated[bytes, Body()]) -> None: ...

    @app.post("/form")
    async def add_form(name: Annotated[str, Body(media_type="text/plain")]) -> None: ...

    @router.get("/{shelf:path}")
    async def shelf(shelf: str) -> Book:
        return Book(id=1)

    app.include_router(router, prefix="/v1")


GIVEN = {
    **dict.fromkeys(("/books", "/serial", "/serial-class", "/json", "/wanted"), ALL),
    "/v1/shelves/{shelf}": ALL,
    "/nothing": [],
    "/text": ["text/plain"],
    "/own": JSON,
    "/file": [],
    "/file-returned": JSON,  # which FastAPI says
    "/stream": JSON,
}


@pytest.mark.parametrize("is_first", [True, False], ids=["before the routes", "after them"])
def test_fastapi_lists_what_its_routes_give_and_take(is_first: bool) -> None:
    app = FastAPI()
    if is_first:
        openapi_formats(app)
    add_routes(app)
    app.add_middleware(SerialMiddleware)
    if not is_first:
        openapi_formats(app)
    document = app.openapi()
    statuses = {"/nothing": "204", "/redirect": "307"}
    found = {path: given_by(document, path, status=statuses.get(path, "200")) for path in GIVEN}
    assert found == GIVEN
    assert "application/cbor" not in given_by(document, "/redirect", status="307")
    assert given_by(document, "/books", "post", "201") == ALL
    assert given_by(document, "/books", "post", "422") == ALL
    assert taken_by(document, "/books") == ALL
    assert taken_by(document, "/bytes") == JSON
    assert taken_by(document, "/form") == ["text/plain"]
    assert "/hidden" not in document["paths"]


@pytest.mark.parametrize(
    ("options", "given", "taken"),
    [
        pytest.param({}, ALL, ALL, id="by default"),
        pytest.param({"formats": False}, JSON, JSON, id="formats turned off"),
        pytest.param({"enabled": False}, JSON, JSON, id="everything turned off"),
        pytest.param({"preset": "conformance"}, JSON, JSON, id="a preset without formats"),
        pytest.param({"format_uploads": False}, ALL, JSON, id="uploads turned off"),
        pytest.param({"routes": {"/books": {"formats": False}}}, JSON, JSON, id="by a pattern"),
        pytest.param(
            {"routes": {"POST /books": {"formats": False}}}, ALL, JSON, id="of one method"
        ),
        pytest.param(
            {"formats": False, "routes": {"/b*": {"formats": True}}}, ALL, ALL, id="turned on"
        ),
    ],
)
@pytest.mark.parametrize("make", ["fastapi", "litestar"])
def test_settings_and_patterns_are_heard(
    make: str, options: dict[str, Any], given: list[str], taken: list[str]
) -> None:
    document = document_of(make, **options)
    assert given_by(document, "/books") == given
    assert taken_by(document, "/books") == taken


def document_of(make: str, **options: Any) -> dict[str, Any]:
    if make == "fastapi":
        app = FastAPI()
        add_routes(app)
        app.add_middleware(SerialMiddleware, **options)
        openapi_formats(app)
        return app.openapi()
    return document_of_litestar(litestar_app(**options))


def document_of_litestar(app: Litestar) -> dict[str, Any]:
    openapi_formats(app)
    return app.openapi_schema.to_schema()


def test_uploads_of_unknown_routes_are_listed_if_all_are_translated() -> None:
    app = FastAPI()
    add_routes(app)
    app.add_middleware(SerialMiddleware, format_uploads=True)
    openapi_formats(app)
    assert taken_by(app.openapi(), "/bytes") == ALL


def test_fastapi_keeps_its_own_document_and_makes_a_new_one_for_new_routes() -> None:
    app = FastAPI()
    app.add_middleware(SerialMiddleware)
    openapi_formats(app)
    openapi_formats(app)
    app.openapi()
    add_routes(app)
    app.openapi_schema = None
    assert given_by(app.openapi(), "/books") == ALL == given_by(app.openapi(), "/books")
    assert given_by(app.openapi_schema or {}, "/books") == JSON


def test_a_function_of_the_users_own_is_extended() -> None:
    app = FastAPI()
    add_routes(app)
    app.add_middleware(SerialMiddleware)

    def build() -> dict[str, Any]:
        document = get_openapi(title="Mine", version="1", routes=app.routes)
        document["paths"]["/elsewhere"] = {
            "post": {
                "requestBody": {"content": {"application/json": {}}},
                "responses": {"200": {"description": "-", "content": {"application/json": {}}}},
            }
        }
        return document

    app.openapi = build  # type: ignore[method-assign]
    openapi_formats(app)
    document = app.openapi()
    assert document["info"]["title"] == "Mine"
    assert given_by(document, "/books") == ALL
    assert given_by(document, "/elsewhere", "post") == ALL
    assert taken_by(document, "/elsewhere") == JSON


def test_without_the_middleware_nothing_is_listed() -> None:
    app = FastAPI()
    add_routes(app)
    openapi_formats(app)
    assert given_by(app.openapi(), "/books") == JSON


def test_middleware_around_the_app_counts() -> None:
    app = FastAPI()
    add_routes(app)
    around = SerialMiddleware(app)
    openapi_formats(around)
    assert given_by(app.openapi(), "/books") == ALL


def test_an_engine_of_the_users_own_is_heard() -> None:
    app = FastAPI()
    add_routes(app)
    app.add_middleware(SerialMiddleware, engine=build_engine(app, formats=False))
    openapi_formats(app)
    assert given_by(app.openapi(), "/books") == JSON


async def fetch(app: Any, path: str, accept: str = "application/json") -> Any:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://books") as client:
        answer = await client.get(path, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("listed", ["/books", "/serial", "/serial-class", "/v1/shelves/a/b"])
@pytest.mark.parametrize("media_type", ALL)
def test_a_route_really_gives_what_is_listed(listed: str, media_type: str) -> None:
    import asyncio

    app = FastAPI()
    add_routes(app)
    app.add_middleware(SerialMiddleware)
    openapi_formats(app)
    answer = asyncio.run(fetch(app, listed, media_type))
    assert answer.headers["content-type"] == media_type


def test_the_document_is_served_and_not_at_all_if_there_is_none() -> None:
    import asyncio

    app = FastAPI(root_path="/api")
    add_routes(app)
    app.add_middleware(SerialMiddleware)
    openapi_formats(app)
    document = asyncio.run(fetch(app, "/openapi.json")).json()
    assert given_by(document, "/books") == ALL
    assert document["servers"] == [{"url": "/api"}]
    silent = FastAPI(openapi_url=None)
    add_routes(silent)
    openapi_formats(silent)
    assert "/openapi.json" not in {getattr(route, "path", "") for route in silent.routes}


def test_patterns_name_the_whole_path_of_a_mounted_app() -> None:
    import asyncio

    inner = FastAPI()
    add_routes(inner)
    openapi_formats(inner)
    app = Starlette(routes=[Mount("/api", app=inner)])
    app.add_middleware(SerialMiddleware, routes={"/api/books": {"formats": False}})
    document = asyncio.run(fetch(app, "/api/openapi.json")).json()
    assert given_by(document, "/books") == JSON
    assert given_by(document, "/serial") == ALL


class Shelves(Controller):
    path = "/shelves"

    @get("/{shelf:str}")
    async def shelf(self, shelf: str) -> Book:
        return Book(id=1)

    @get("/own")
    @serial(formats=False)
    async def own(self) -> Book:
        return Book(id=1)


@dataclass
class OwnOperation(Operation):
    def __post_init__(self) -> None:
        self.summary = "mine"


def litestar_app(handlers: Sequence[Any] = (), **options: Any) -> Litestar:
    @get("/books")
    async def books() -> list[Book]:
        return [Book(id=1)]

    @get("/serial")
    async def serial_book() -> SerialResponse:
        return SerialResponse(Book(id=1))

    @get("/nothing", status_code=204)
    async def nothing() -> None: ...

    @get("/text", media_type="text/plain")
    async def text() -> str:
        return ""

    @get("/packed", media_type="application/x-msgpack")
    async def packed() -> Book:
        return Book(id=1)

    @get("/file")
    async def file() -> File:
        return File("")

    @get("/redirect", status_code=307)
    async def redirect() -> Redirect:
        return Redirect("/")

    @get(["/one", "/two"], operation_class=OwnOperation)
    async def both() -> Book:
        return Book(id=1)

    @post("/books")
    async def add_book(data: Book) -> Book:
        return data

    @post("/form")
    async def add_form(
        data: Annotated[Book, LitestarBody(media_type=RequestEncodingType.URL_ENCODED)],
    ) -> None: ...

    return Litestar(
        [
            *(books, serial_book, nothing, text, packed, file, redirect, both, add_book, add_form),
            *(Router("/v1", route_handlers=[Shelves]), *handlers),
        ],
        middleware=[DefineMiddleware(SerialMiddleware, **options)],
        openapi_config=OpenAPIConfig(title="Books", version="1"),
    )


def test_litestar_lists_what_its_routes_give_and_take() -> None:
    app = litestar_app()
    openapi_formats(app)
    document = document_of_litestar(app)
    given = {
        **dict.fromkeys(("/books", "/serial", "/one", "/two", "/v1/shelves/{shelf}"), ALL),
        "/v1/shelves/own": JSON,
        "/text": ["text/plain"],
        "/packed": ["application/x-msgpack", "application/json"],
    }
    assert {path: given_by(document, path) for path in given} == given
    assert given_by(document, "/nothing", status="204") == []
    assert "application/cbor" not in given_by(document, "/file")
    assert given_by(document, "/redirect", status="307") == []
    assert given_by(document, "/books", "post", "201") == ALL
    assert given_by(document, "/books", "post", "400") == ALL
    assert taken_by(document, "/books") == ALL
    assert taken_by(document, "/form") == ["application/x-www-form-urlencoded"]


def test_an_operation_class_of_the_users_own_in_litestar_is_kept() -> None:
    document = document_of_litestar(litestar_app())
    assert document["paths"]["/one"]["get"]["summary"] == "mine"
    assert given_by(document, "/one") == ALL


def test_litestar_serves_the_document_with_the_formats() -> None:
    import asyncio

    app = litestar_app()
    openapi_formats(app)
    document = asyncio.run(fetch(app, "/schema/openapi.json", "application/json, */*")).json()
    assert given_by(document, "/books") == ALL


@pytest.mark.parametrize("options", [{}, {"formats": False}], ids=["on", "off"])
def test_middleware_around_litestar_counts(options: dict[str, Any]) -> None:
    @get("/books")
    async def books() -> list[Book]:
        return [Book(id=1)]

    app = Litestar([books])
    around = SerialMiddleware(app, **options)
    openapi_formats(around)
    expected = JSON if options else ALL
    assert given_by(app.openapi_schema.to_schema(), "/books") == expected


def test_other_apps_of_litestar_are_not_touched() -> None:
    app, other = litestar_app(), litestar_app()
    openapi_formats(app)
    assert given_by(other.openapi_schema.to_schema(), "/books") == JSON


def test_routes_of_litestar_that_are_added_later_need_another_call() -> None:
    @get("/later")
    async def later() -> Book:
        return Book(id=1)

    app = litestar_app()
    openapi_formats(app)
    app.register(later)
    document = document_of_litestar(app)
    assert given_by(document, "/later") == ALL == given_by(document, "/books")


@pytest.mark.parametrize("app", [Starlette(), SerialMiddleware(Starlette()), None, "main:app"])
def test_an_app_without_a_document_is_an_error(app: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected an app of FastAPI or Litestar"):
        openapi_formats(app)
