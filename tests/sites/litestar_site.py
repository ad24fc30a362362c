from litestar import Litestar, MediaType, Request, Response, Router, get, post

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

# Litestar's middleware is called for routes only: to count a 404, too, the app itself is wrapped.
SITE = Site("litestar", of_other_methods="(unmatched)")


def answer() -> Response:
    return Response("ok", media_type=MediaType.TEXT, headers={"cache-control": "max-age=60"})


@get("/", sync_to_thread=False)
def index() -> Response:
    return answer()


@get("/items/{id:int}", sync_to_thread=False)
def item() -> Response:
    return answer()


@get("/users/{name:str}/posts/{post:int}", sync_to_thread=False)
def user_post() -> Response:
    return answer()


@get("/files/{rest:path}", sync_to_thread=False)
def file() -> Response:
    return answer()


@get("/boom/{id:str}", sync_to_thread=False)
def boom() -> Response:
    raise RuntimeError("boom")


@post("/drop", status_code=200, media_type=MediaType.TEXT)
async def drop(request: Request) -> str:
    return f"{await purge(request, everything=True)}"


@get("/report", media_type=MediaType.TEXT, sync_to_thread=False)
def report(request: Request) -> str:
    return str(timing_report(request))


def make(**settings):
    app = Litestar(
        [
            index,
            item,
            file,
            boom,
            drop,
            report,
            Router("/api", route_handlers=[Router("/v1", route_handlers=[user_post])]),
        ],
        openapi_config=None,
        logging_config=None,
    )
    return app, SerialMiddleware(app, **settings)


_, app = make(report_path="/_report")
