"""Two frameworks whose routes Swagger UI shows, with its scripts from this machine."""

from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from litestar import Litestar, post
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from asgi_serial import SerialMiddleware, openapi_formats

ASSETS = Path(fastapi_offline.__file__).parent / "static"


class Book(BaseModel):
    id: int


def with_fastapi() -> Any:
    app = FastAPI(docs_url=None)
    app.add_middleware(SerialMiddleware)

    @app.post("/books")
    async def add_book(book: Book) -> Book:
        return book

    openapi_formats(app)
    return app


def with_litestar() -> Any:
    @post("/books")
    async def add_book(data: Book) -> Book:
        return data

    app = SerialMiddleware(Litestar([add_book]))
    openapi_formats(app)
    return app


async def show(request: Request) -> HTMLResponse:
    """Swagger UI's page, as FastAPI makes it."""
    return get_swagger_ui_html(
        openapi_url=request.query_params["document"],
        title="Books",
        swagger_js_url="/assets/swagger-ui-bundle.js",
        swagger_css_url="/assets/swagger-ui.css",
        swagger_favicon_url="/favicon.ico",
        swagger_ui_parameters={"docExpansion": "full"},
    )


async def icon(request: Request) -> Response:
    return Response(status_code=204)


app = Starlette(
    routes=[
        Route("/docs", show),
        Route("/favicon.ico", icon),
        Mount("/assets", StaticFiles(directory=ASSETS)),
        Mount("/fastapi", with_fastapi()),
        Mount("/", with_litestar()),
    ]
)
