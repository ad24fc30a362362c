"""No part of a request is kept in more than bounded memory, whatever it holds and however long."""

import gc
import tracemalloc

import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router

from asgi_serial import SerialMiddleware

from .driver import awaited

CACHE_BYTES = 1_000_000
# Beside the cache: a dozen memories of half a megabyte at most, each of which holds little of what
# is sent in one place.
ALLOWED_BYTES = CACHE_BYTES + 2_500_000
LONG = (40, 200_000)  # requests, and the length of what each of them brings
LISTS = (250, 1_700)


async def page(request):
    return PlainTextResponse("page", headers={"cache-control": "max-age=60"})


async def echo(request):
    """Reflect the request in fields of a response that is stored."""
    fields = {"cache-control": "max-age=60", "content-type": "text/plain; x=" + request["path"]}
    for name in ("x-reflected", "accept"):
        if name in request.headers:
            fields["x-" + name] = request.headers[name]
    for name in ("vary", "cache-control"):
        fields[name] = request.headers.get("x-" + name, fields.get(name, "origin"))
    return PlainTextResponse("echo", headers=fields)


def make_app(**options):
    inner = Starlette(routes=[Route("/page", page)])
    app = Starlette(
        routes=[
            Route("/page", page, methods=["GET", "POST"]),
            Route("/echo/{rest:path}", echo),
            Mount("/in", inner),
            Host("{sub}.example.org", Router([Route("/x", page)])),
        ]
    )
    app.add_middleware(CORSMiddleware, allow_origin_regex=".*")
    app.add_middleware(
        SerialMiddleware, cache_memory=CACHE_BYTES, cache_max_object=100_000, **options
    )
    return app


def scope_of(method="GET", path="/page", query=b"", host=b"example.org", fields=()):
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", host), *fields],
    }


async def call(app, scope):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"]


def with_field(name, path="/page"):
    return lambda text: scope_of(path=path, fields=[(name, text)])


PLACES = {
    "method": lambda text: scope_of(method=text.decode()),
    "path": lambda text: scope_of(path="/" + text.decode()),
    "path of a mount": lambda text: scope_of(path="/in/" + text.decode()),
    "path that is reflected": lambda text: scope_of(path="/echo/" + text.decode()),
    "query": lambda text: scope_of(query=text),
    "host": lambda text: scope_of(host=text),
    "host, where nothing is": lambda text: scope_of(path="/in/nothing", host=text),
    "port": lambda text: scope_of(host=b"example.org:" + text),
    "host that has a route": lambda text: scope_of(path="/x", host=text + b".example.org"),
    "field that is reflected": with_field(b"x-reflected", "/echo/x"),
    "Accept that is reflected": with_field(b"accept", "/echo/x"),
    "Vary that is reflected": with_field(b"x-vary", "/echo/x"),
    "Cache-Control that is reflected": with_field(b"x-cache-control", "/echo/x"),
    **{
        name.decode(): with_field(name)
        for name in (
            b"accept",
            b"accept-encoding",
            b"authorization",
            b"cache-control",
            b"content-encoding",
            b"content-length",
            b"content-type",
            b"cookie",
            b"if-none-match",
            b"if-modified-since",
            b"origin",
            b"pragma",
            b"range",
            b"x-forwarded-port",
            b"x-forwarded-proto",
            b"x-other",
        )
    },
}


def long_text(number, size):
    return b"%06d" % number + b"a" * size


def list_of_names(number, size):
    names = b",".join(b"%x" % (number * 1_000 + one) for one in range(size // 6))
    return b'private="' + names + b'",' + names


def taken_bytes():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize(
    ("make_text", "count", "size"),
    [pytest.param(long_text, *LONG, id="long"), pytest.param(list_of_names, *LISTS, id="lists")],
)
@pytest.mark.parametrize("make_scope", PLACES.values(), ids=PLACES)
@awaited
async def test_what_is_kept_of_requests_is_bounded(make_scope, make_text, count, size):
    app = make_app()
    await call(app, make_scope(make_text(0, 100)))
    tracemalloc.start()
    try:
        before = taken_bytes()
        for number in range(1, count):
            await call(app, make_scope(make_text(number, size)))
        assert taken_bytes() - before < ALLOWED_BYTES
    finally:
        tracemalloc.stop()


@awaited
async def test_what_a_resolver_names_by_the_path_is_bounded():
    app = make_app(route_resolver=lambda scope: scope["path"])
    tracemalloc.start()
    try:
        before = taken_bytes()
        for number in range(LONG[0]):
            await call(app, scope_of(path="/" + long_text(number, LONG[1]).decode()))
        assert taken_bytes() - before < ALLOWED_BYTES
    finally:
        tracemalloc.stop()


def with_many_tags(number):
    return (b"if-none-match", b'"%d", ' % number + b'"' + b"a" * 60_000 + b'"')


def with_long_names(number):
    return (b"x-%06d" % number + b"a" * 60_000, b"1")


def with_many_names(number):
    names = b",".join(b"%x" % name for name in range(number, number + 1_200))
    return (b"cache-control", b'private="' + names + b'"')


@pytest.mark.parametrize(
    ("make_field", "options"),
    [
        pytest.param(with_many_tags, {}, id="conditions"),
        pytest.param(with_long_names, {}, id="names"),
        pytest.param(with_many_names, {}, id="directives"),
        pytest.param(
            with_many_names, {"cache_obey_requests": False}, id="directives that are not obeyed"
        ),
    ],
)
@awaited
async def test_what_hits_remember_of_requests_is_bounded(make_field, options):
    app = make_app(**options)
    await call(app, scope_of(fields=[make_field(0)]))
    tracemalloc.start()
    try:
        before = taken_bytes()
        for number in range(1, 80):
            path = f"/echo/{number}"
            for fields in ((), (), [make_field(number)], [make_field(number)]):
                await call(app, scope_of(path=path, fields=fields))
        assert taken_bytes() - before < ALLOWED_BYTES
    finally:
        tracemalloc.stop()
