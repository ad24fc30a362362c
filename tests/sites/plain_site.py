import re

from asgi_serial import SerialMiddleware, purge, timing_report

from .contract import Site

SITE = Site("plain")

PATTERNS = {
    template: re.compile(pattern)
    for template, pattern in {
        "/": r"/",
        "/items/{id}": r"/items/\d+",
        "/api/v1/users/{name}/posts/{post}": r"/api/v1/users/[^/]+/posts/\d+",
        "/files/{rest}": r"/files/.+",
        "/boom/{id}": r"/boom/[^/]+",
        "/drop": r"/drop",
        "/report": r"/report",
    }.items()
}


def route_of(scope):
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    return next((name for name, rule in PATTERNS.items() if rule.fullmatch(path)), None)


async def bare(scope, receive, send):
    route = route_of(scope)
    if route == "/boom/{id}":
        raise RuntimeError("boom")
    status, body = 200, b"ok"
    if route is None:
        status = 404
    elif route == "/drop":
        body = f"{await purge(scope, everything=True)}".encode()
    elif route == "/report":
        body = str(timing_report(scope)).encode()
    elif scope["method"] != "GET":
        status = 405
    fields = [(b"cache-control", b"max-age=60")] if status == 200 and body == b"ok" else []
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def make(**settings):
    # A function of its own for each, as a framework's app is.
    async def app(scope, receive, send):
        await bare(scope, receive, send)

    return app, SerialMiddleware(app, route_resolver=route_of, **settings)


_, app = make(report_path="/_report")
