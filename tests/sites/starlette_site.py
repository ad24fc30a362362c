from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

SITE = Site("starlette")


async def ok(request):
    return PlainTextResponse("ok", headers={"cache-control": "max-age=60"})


async def boom(request):
    raise RuntimeError("boom")


async def drop(request):
    return PlainTextResponse(f"{await purge(request, everything=True)}")


async def report(request):
    return PlainTextResponse(str(timing_report(request)))


def make(**settings):
    app = Starlette(
        routes=[
            Route("/", ok),
            Route("/items/{id:int}", ok, methods=["GET"]),
            Mount("/api", routes=[Mount("/v1", routes=[Route("/users/{name}/posts/{post}", ok)])]),
            Route("/files/{rest:path}", ok),
            Route("/boom/{id}", boom),
            Route("/drop", drop, methods=["POST"]),
            Route("/report", report),
        ]
    )
    app.add_middleware(SerialMiddleware, **settings)
    return app, app


_, app = make(report_path="/_report")
