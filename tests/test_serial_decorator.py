"""What a handler says by the decorator `serial` or by `set_policy`, in each framework."""

import asyncio
import functools
import importlib.util
import inspect
import textwrap

import fastapi
import litestar
import pytest
from litestar.params import FromPath, FromQuery
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_serial.errors import ConfigurationError
from asgi_serial.settings.policy import CURRENT, RequestPolicy, RoutePolicy, serial, set_policy
from asgi_serial.settings.routed_handler import REQUEST


def call(app, path):
    """GET `path` of `app` as the middleware does; its body, and what its handler said."""

    async def run():
        said = RequestPolicy()
        CURRENT.set(said)
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        path_only, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path_only,
            "raw_path": path_only.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(b"host", b"test")],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
            "state": {},
        }
        said.app_scope = scope = {**scope, REQUEST: object()}
        await app(scope, receive, send)
        assert sent[0]["status"] == 200
        return b"".join(message.get("body", b"") for message in sent), said.resolve(None, None)

    return asyncio.run(run())


def said_by(function, *args):
    """What `function` says when called within a request that was routed to it."""

    async def run():
        CURRENT.set(said := RequestPolicy())
        said.app_scope = {"type": "http", "endpoint": function, REQUEST: object()}
        result = function(*args)
        if inspect.isawaitable(result):
            result = await result
        elif inspect.isasyncgen(result):
            result = [item async for item in result]
        elif inspect.isgenerator(result):
            result = list(result)
        return result, said.resolve(None, None)

    return asyncio.run(run())


@serial(cache_ttl=60)
async def async_function(value):
    return value


@serial(cache_ttl=60)
def plain_function(value):
    return value


@serial(cache_ttl=60)
def generator_function(value):
    yield value


@serial(cache_ttl=60)
async def async_generator_function(value):
    yield value


@pytest.mark.parametrize(
    ("function", "kind", "result"),
    [
        (async_function, inspect.iscoroutinefunction, 7),
        (plain_function, inspect.isfunction, 7),
        (generator_function, inspect.isgeneratorfunction, [7]),
        (async_generator_function, inspect.isasyncgenfunction, [7]),
        (serial(cache_ttl=60)(functools.partial(plain_function, 7)), inspect.isfunction, 7),
    ],
)
def test_a_decorated_function_stays_of_its_kind(function, kind, result):
    assert kind(function)
    arguments = inspect.signature(function).parameters
    assert said_by(function, *[7] * len(arguments)) == (result, RoutePolicy(cache_ttl=60.0))


def test_outside_of_a_request_the_decorator_changes_nothing():
    assert plain_function(7) == 7
    set_policy(cache=False)


def test_an_abandoned_async_generator_is_closed():
    closed = []

    @serial(cache=False)
    async def items():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def run():
        stream = items()
        await anext(stream)
        await stream.aclose()

    asyncio.run(run())
    assert closed == [True]


def test_the_function_that_was_routed_to_is_heard_and_others_forbid_only():
    @serial(cache_ttl=60, compression=False)
    def outer():
        set_policy(cache_ttl=50)
        inner()

    @serial(cache_ttl=5, cache_shared=True, compression=True, formats=False)
    def inner():
        pass

    policy = RoutePolicy(compression=False, formats=False, cache_ttl=5.0)
    assert said_by(outer)[1] == policy


@pytest.mark.parametrize(
    "target",
    [
        litestar.get("/")(async_function),
        HTTPEndpoint,
        staticmethod(plain_function),
        Route("/", async_function),
        7,
    ],
    ids=lambda target: type(target).__name__,
)
def test_what_is_not_a_function_is_refused_with_the_way_out(target):
    with pytest.raises(ConfigurationError, match=r"expected a function\. Put it below the"):
        serial(cache=False)(target)


def test_without_parentheses_the_decorator_sets_nothing():
    @serial
    async def coroutine(value):
        """Return it."""
        return value

    @serial
    def plain(value):
        return value

    @serial
    async def stream(value):
        yield value

    assert [inspect.iscoroutinefunction(each) for each in (coroutine, plain)] == [True, False]
    assert coroutine.__doc__ == "Return it."
    for function, result in ((coroutine, 7), (plain, 7), (stream, [7])):
        assert said_by(function, 7) == (result, RoutePolicy())


def test_without_parentheses_methods_are_routed_to_and_may_permit():
    class Endpoint(HTTPEndpoint):
        @serial
        async def get(self, request):
            set_policy(cache_ttl=3)
            return PlainTextResponse("c")

        @serial
        def post(self, request):
            set_policy(cache_ttl=4)
            return PlainTextResponse("d")

    app = Starlette(routes=[Route("/c", Endpoint)])
    assert call(app, "/c") == (b"c", RoutePolicy(cache_ttl=3.0))

    fast = fastapi.FastAPI()

    @fast.get("/{number}")
    @serial
    def show(number: int) -> int:
        set_policy(cache_ttl=5)
        return number

    assert call(fast, "/7") == (b"7", RoutePolicy(cache_ttl=5.0))

    class Items(litestar.Controller):
        path = "/items"

        @litestar.get("/{number:int}")
        @serial
        async def show(self, number: FromPath[int]) -> list[int]:
            set_policy(cache_ttl=6)
            return [number]

    lite = litestar.Litestar([Items], openapi_config=None)
    assert call(lite, "/items/6") == (b"[6]", RoutePolicy(cache_ttl=6.0))


@pytest.mark.parametrize("target", [HTTPEndpoint, staticmethod(plain_function)])
def test_without_parentheses_the_same_is_refused(target):
    with pytest.raises(ConfigurationError, match=r"expected a function\. Put it below the"):
        serial(target)


@pytest.mark.parametrize("value", ["60s", 60, {"cache_ttl": 60}])
def test_an_option_without_its_name_is_refused(value):
    with pytest.raises(ConfigurationError, match="expected options by name, such as serial"):
        serial(value)


def test_starlette_functions_threads_and_endpoint_classes():
    @serial(cache_ttl=1)
    async def coroutine(request):
        return PlainTextResponse("a")

    @serial(cache_ttl=2)
    def threaded(request):
        set_policy(compression=False)
        return PlainTextResponse("b")

    class Endpoint(HTTPEndpoint):
        @serial(cache_ttl=3)
        async def get(self, request):
            return PlainTextResponse("c")

    app = Starlette(
        routes=[Route("/a", coroutine), Route("/b", threaded), Route("/c", Endpoint)],
    )
    assert call(app, "/a") == (b"a", RoutePolicy(cache_ttl=1.0))
    assert call(app, "/b") == (b"b", RoutePolicy(cache_ttl=2.0, compression=False))
    assert call(app, "/c") == (b"c", RoutePolicy(cache_ttl=3.0))


def test_fastapi_injects_by_the_signature_of_the_function():
    app = fastapi.FastAPI()

    def twice(number: int) -> int:
        return 2 * number

    @app.get("/async/{number}")
    @serial(cache_ttl=1)
    async def coroutine(number: int, double: int = fastapi.Depends(twice)) -> list[int]:
        return [number, double]

    @app.get("/sync")
    @serial(cache_ttl=2)
    def threaded(request: fastapi.Request, number: int = 3) -> dict[str, int]:
        return {request.url.path: number}

    assert call(app, "/async/4") == (b"[4,8]", RoutePolicy(cache_ttl=1.0))
    assert call(app, "/sync?number=5") == (b'{"/sync":5}', RoutePolicy(cache_ttl=2.0))


def test_fastapi_resolves_annotations_that_are_text(tmp_path):
    file = tmp_path / "deferred.py"
    file.write_text(
        textwrap.dedent("""
            from __future__ import annotations
            from uuid import UUID
            from fastapi import FastAPI
            from asgi_serial import serial

            app = FastAPI()

            @app.get("/{name}")
            @serial(cache_ttl=1)
            async def show(name: UUID) -> str:
                return name.hex
        """)
    )
    spec = importlib.util.spec_from_file_location("deferred", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    body, said = call(module.app, f"/{'0' * 8}-0000-0000-0000-{'0' * 12}")
    assert (body, said) == (b'"%s"' % (b"0" * 32), RoutePolicy(cache_ttl=1.0))


def test_litestar_injects_by_the_signature_of_the_function():
    @litestar.get("/async/{number:int}")
    @serial(cache_ttl=1)
    async def coroutine(number: FromPath[int], size: FromQuery[int]) -> list[int]:
        return [number, size]

    @litestar.get("/sync", sync_to_thread=True)
    @serial(cache_ttl=2)
    def threaded(request: litestar.Request) -> dict[str, int]:
        return {request.url.path: 1}

    class Items(litestar.Controller):
        path = "/items"

        @litestar.get("/{number:int}")
        @serial(cache_ttl=3)
        async def show(self, number: FromPath[int]) -> list[int]:
            return [number]

    app = litestar.Litestar([coroutine, threaded, Items], openapi_config=None)
    assert call(app, "/async/4?size=5") == (b"[4,5]", RoutePolicy(cache_ttl=1.0))
    assert call(app, "/sync") == (b'{"/sync":1}', RoutePolicy(cache_ttl=2.0))
    assert call(app, "/items/6") == (b"[6]", RoutePolicy(cache_ttl=3.0))
