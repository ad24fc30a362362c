"""Which routes are known to read JSON before they are called."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, NewType

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Request
from fastapi.routing import APIRoute
from litestar import Controller, Litestar, Router, post, put
from litestar.dto import DataclassDTO
from litestar.enums import RequestEncodingType
from litestar.params import Body as LitestarBody
from pydantic import (
    BaseModel,
    BeforeValidator,
    RootModel,
    field_validator,
    model_validator,
)
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from asgi_serial.timing.routes.resolver import build_resolver

# Both ways of declaring `data` are in use.
pytestmark = pytest.mark.filterwarnings("ignore:.*Reserved kwarg")


class Book(BaseModel):
    id: int

    @field_validator("id", mode="before")
    @classmethod
    def check(cls, value: Any) -> Any:
        return value

    @model_validator(mode="after")
    def check_whole(self) -> "Book":
        return self


class Unpacking(BaseModel):
    id: int

    @model_validator(mode="before")
    @classmethod
    def unpack(cls, value: Any) -> Any:
        return value


class OfItsOwn:
    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.any_schema()


@dataclass
class Shelf:
    id: int


class Kind(StrEnum):
    NEW = "new"


class Title(str):
    """What an annotation may hold beside validators."""


class UnpackingRoute(APIRoute):
    def get_route_handler(self) -> Any:
        return super().get_route_handler()


def fastapi_app(annotation: Any, default: Any = ...) -> FastAPI:
    app = FastAPI()

    async def handle(data): ...

    handle.__annotations__ = {"data": annotation}
    if default is not ...:
        handle.__defaults__ = (default,)
    app.post("/books/{id}")(handle)
    return app


def asked(path: str = "/books/3", method: str = "POST", **more: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "path": path,
        "method": method,
        "root_path": "",
        "headers": [(b"host", b"h"), (b"content-type", b"application/x-msgpack")],
        **more,
    }


Number = NewType("Number", bytes)


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(Book, True, id="a model"),
        pytest.param(Book | None, True, id="an optional model"),
        pytest.param(Annotated[Book, Title("x")] | None, True, id="an optional, annotated model"),
        pytest.param(list[Book], True, id="a list of models"),
        pytest.param(dict, True, id="a mapping"),
        pytest.param(dict[str, Any], True, id="a mapping of anything"),
        pytest.param(Shelf, True, id="a dataclass"),
        pytest.param(RootModel[list[int]], True, id="a root model"),
        pytest.param(Annotated[Book, Body(embed=True)], True, id="a model by its name"),
        pytest.param(Annotated[int, Body()], True, id="a number"),
        pytest.param(Annotated[Kind, Body()], True, id="a word"),
        pytest.param(Annotated[bytes, Body()], False, id="bytes"),
        pytest.param(Annotated[bytes | Book, Body()], False, id="bytes or a model"),
        pytest.param(Annotated[str, Body()], False, id="text"),
        pytest.param(Annotated[Any, Body()], False, id="anything"),
        pytest.param(Annotated[object, Body()], False, id="any object"),
        pytest.param(Annotated[Number, Body()], False, id="a new type"),
        pytest.param(RootModel[bytes], False, id="a root model of bytes"),
        pytest.param(Unpacking, False, id="a model that may unpack bytes"),
        pytest.param(OfItsOwn, False, id="a class with a schema of its own"),
        pytest.param(
            Annotated[Book, Body(), BeforeValidator(lambda value: value)],
            False,
            id="a validator that may unpack bytes",
        ),
        pytest.param(
            Annotated[Book, Body(media_type="application/x-msgpack")], False, id="says MessagePack"
        ),
        pytest.param(Request, False, id="the request alone"),
    ],
)
def test_what_a_handler_of_fastapi_reads(annotation, expected):
    default = Body() if annotation is OfItsOwn else ...
    resolver = build_resolver(app=fastapi_app(annotation, default))
    assert resolver.reads_json(asked()) is expected
    assert not resolver.reads_json(asked(method="PUT"))
    assert not resolver.reads_json(asked("/nowhere"))


def test_several_parameters_and_those_of_dependencies_are_json():
    app = FastAPI()

    def find(book: Book) -> Book:
        return book

    @app.post("/two")
    async def two(book: Book, other: Annotated[int, Body()]) -> None: ...

    @app.post("/dependent")
    async def dependent(request: Request, book: Annotated[Book, Depends(find)]) -> None: ...

    resolver = build_resolver(app=app)
    assert resolver.reads_json(asked("/two"))
    assert resolver.reads_json(asked("/dependent"))


def test_a_route_class_of_ones_own_may_read_what_it_likes():
    router = APIRouter(route_class=UnpackingRoute)
    plain = APIRouter()

    async def add(book: Book) -> None: ...

    router.post("/unpacked")(add)
    plain.post("/{id}")(add)
    app = FastAPI()
    app.include_router(router)
    app.include_router(plain, prefix="/books")
    resolver = build_resolver(app=app)
    assert not resolver.reads_json(asked("/unpacked"))
    assert resolver.reads_json(asked("/books/3"))


def test_a_mounted_fastapi_is_known_from_outside_and_inside():
    inner = fastapi_app(Book)
    outer = Starlette(routes=[Mount("/api", inner)])
    assert build_resolver(app=outer).reads_json(asked("/api/books/3"))
    scope = asked("/api/books/3", router=outer.router, app_root_path="", root_path="/api")
    assert build_resolver(app=inner.router).reads_json(scope)
    # A router that does not know the path leaves it to the app's own.
    scope = asked("/api/books/3", router=Starlette().router, root_path="/api")
    assert build_resolver(app=inner.router).reads_json(scope)


def test_starlette_and_plain_apps_do_not_say_what_they_read():
    async def handle(scope: Any, receive: Any, send: Any) -> None: ...

    app = Starlette(routes=[Route("/books/3", handle, methods=["POST"])])
    assert not build_resolver(app=app).reads_json(asked())
    assert not build_resolver(app=handle).reads_json(asked())
    assert not build_resolver().reads_json(asked())


def litestar_app(annotation: Any, **options: Any) -> Litestar:
    async def handle(data): ...

    handle.__annotations__ = {"data": annotation, "return": None}
    return Litestar([post("/books/{id:int}", **options)(handle)])


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(Shelf, True, id="a dataclass"),
        pytest.param(dict[str, Any], True, id="a mapping"),
        pytest.param(
            Annotated[Shelf, LitestarBody(media_type=RequestEncodingType.JSON)], True, id="JSON"
        ),
        pytest.param(
            Annotated[Shelf, LitestarBody(media_type=RequestEncodingType.MESSAGEPACK)],
            False,
            id="MessagePack",
        ),
        pytest.param(
            Annotated[dict[str, Any], LitestarBody(media_type=RequestEncodingType.MULTI_PART)],
            False,
            id="a form",
        ),
    ],
)
def test_what_a_handler_of_litestar_reads(annotation, expected):
    app = litestar_app(annotation)
    resolver = build_resolver(app=app)
    assert resolver.reads_json(asked()) is expected
    assert not resolver.reads_json(asked("/nowhere"))
    assert not resolver.reads_json(asked(method="PUT"))
    # A middleware of Litestar's comes after its routing.
    handler = app.asgi_router.handle_routing(path="/books/3", method="POST")[1]
    assert build_resolver().reads_json(asked(route_handler=handler)) is expected


def test_a_data_transfer_object_reads_messagepack_by_the_name_that_litestar_has_for_it():
    resolver = build_resolver(app=litestar_app(Shelf, dto=DataclassDTO[Shelf]))
    assert not resolver.reads_json(asked())
    other = [(b"content-type", b"application/vnd.msgpack")]
    assert resolver.reads_json(asked(headers=other))


def test_a_handler_of_litestar_without_data_may_read_what_it_likes():
    class Books(Controller):
        path = "/books"

        @put("/")
        async def replace(self, body: bytes) -> None: ...

    resolver = build_resolver(app=Litestar([Router("/v1", route_handlers=[Books])]))
    assert not resolver.reads_json(asked("/v1/books", "PUT"))
