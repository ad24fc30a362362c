import itertools

from sanic import Blueprint, Sanic, text

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

SITE = Site("sanic", of_other_methods="(unmatched)", is_whole=True)

# Elsewhere there is one app in a process: its methods are compiled for its settings.
Sanic.test_mode = True
_numbers = itertools.count()


async def ok(request, **parameters):
    return text("ok", headers={"cache-control": "max-age=60"})


async def boom(request, id):
    raise RuntimeError("boom")


async def drop(request):
    return text(f"{await purge(request, everything=True)}")


async def report(request):
    return text(str(timing_report(request)))


def make(**settings):
    app = Sanic(f"site{next(_numbers)}", configure_logging=False)
    app.config.MOTD = False
    users = Blueprint("users", url_prefix="/users", version=1, version_prefix="/api/v")
    users.add_route(ok, "/<name>/posts/<post:int>", name="post")
    app.add_route(ok, "/", name="index")
    app.add_route(ok, "/items/<id:int>", name="item")
    app.blueprint(users)
    app.add_route(ok, "/files/<rest:path>", name="file")
    app.add_route(boom, "/boom/<id>")
    app.add_route(drop, "/drop", methods=["POST"])
    app.add_route(report, "/report")
    return app, SerialMiddleware(app, **settings)


_, app = make(report_path="/_report")
