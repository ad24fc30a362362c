from quart import Blueprint, Quart, Response, request

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

SITE = Site("quart")


async def ok(**parameters):
    return Response("ok", headers={"cache-control": "max-age=60"})


async def boom(**parameters):
    raise RuntimeError("boom")


async def drop():
    return f"{await purge(request, everything=True)}"


async def report():
    return str(timing_report(request))


def make(**settings):
    users = Blueprint("users", __name__, url_prefix="/users")
    users.add_url_rule("/<string(minlength=1):name>/posts/<int:post>", "post", ok)
    version = Blueprint("v1", __name__, url_prefix="/v1")
    version.register_blueprint(users)
    app = Quart(__name__)
    app.add_url_rule("/", "index", ok)
    app.add_url_rule("/items/<int:id>", "item", ok)
    app.register_blueprint(version, url_prefix="/api/v1")
    app.add_url_rule("/files/<path:rest>", "file", ok)
    app.add_url_rule("/boom/<id>", "boom", boom)
    app.add_url_rule("/drop", "drop", drop, methods=["POST"])
    app.add_url_rule("/report", "report", report)
    app.asgi_app = SerialMiddleware(app.asgi_app, **settings)
    return app, app


_, app = make(report_path="/_report")
