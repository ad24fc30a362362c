from blacksheep import Application, Request, Response, Router, text

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

SITE = Site("blacksheep", of_other_methods="(unmatched)", status_of_other_methods=404, rest="tail")


def answer() -> Response:
    response = text("ok")
    response.add_header(b"cache-control", b"max-age=60")
    return response


def make(**settings):
    users = Router(prefix="/api/v1")
    app = Application(router=Router(sub_routers=[users]))

    @app.router.get("/")
    async def index():
        return answer()

    @app.router.get("/items/{int:id}")
    async def item():
        return answer()

    @users.get("/users/:name/posts/<post>")
    async def post():
        return answer()

    @app.router.get("/files/*")
    async def file():
        return answer()

    @app.router.get("/boom/{id}")
    async def boom():
        raise RuntimeError("boom")

    @app.router.post("/drop")
    async def drop(request: Request):
        return text(f"{await purge(request, everything=True)}")

    @app.router.get("/report")
    async def report(request: Request):
        return text(str(timing_report(request)))

    return app, SerialMiddleware(app, **settings)


_, app = make(report_path="/_report")
