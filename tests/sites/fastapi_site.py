from fastapi import APIRouter, FastAPI, Request
from starlette.responses import PlainTextResponse

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

# A path that is no number is refused by the route, not by the router.
SITE = Site("fastapi")


def ok():
    return PlainTextResponse("ok", headers={"cache-control": "max-age=60"})


def boom(id: str):
    raise RuntimeError("boom")


async def drop(request: Request):
    return PlainTextResponse(f"{await purge(request, everything=True)}")


def report(request: Request):
    return PlainTextResponse(str(timing_report(request)))


def make(**settings):
    users = APIRouter(prefix="/users")
    users.add_api_route("/{name}/posts/{post}", ok)
    version = APIRouter(prefix="/v1")
    version.include_router(users)
    app = FastAPI()
    app.add_api_route("/", ok)
    app.add_api_route("/items/{id:int}", ok)
    app.include_router(version, prefix="/api")
    app.add_api_route("/files/{rest:path}", ok)
    app.add_api_route("/boom/{id}", boom)
    app.add_api_route("/drop", drop, methods=["POST"])
    app.add_api_route("/report", report)
    app.add_middleware(SerialMiddleware, **settings)
    return app, app


_, app = make(report_path="/_report")
