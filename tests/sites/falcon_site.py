import falcon.asgi

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

SITE = Site("falcon", is_whole=True)


class Ok:
    async def on_get(self, request, response, **parameters):
        response.text = "ok"
        response.cache_control = ["max-age=60"]


class Boom:
    async def on_get(self, request, response, **parameters):
        raise RuntimeError("boom")


class Drop:
    async def on_post(self, request, response):
        response.text = f"{await purge(request, everything=True)}"


class Report:
    async def on_get(self, request, response):
        response.text = str(timing_report(request))


def make(**settings):
    app = falcon.asgi.App()
    app.add_route("/", Ok())
    app.add_route("/items/{id:int}", Ok())
    app.add_route("/api/v1/users/{name}/posts/{post:int(min=1)}", Ok())
    app.add_route("/files/{rest:path}", Ok())
    app.add_route("/boom/{id}", Boom())
    app.add_route("/drop", Drop())
    app.add_route("/report", Report())
    return app, SerialMiddleware(app, **settings)


_, app = make(report_path="/_report")
