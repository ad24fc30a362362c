"""Every scope that the ASGI specification allows is read whole, and the app can read it as well.

Its HTTP connection scope: `headers` is an iterable of two-item iterables, `client` and `server`
are two-item iterables, and `scheme`, `root_path`, `raw_path`, `client`, `server`, `state` and
`extensions` may be missing.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import falcon.asgi
import falcon.testing
import pytest

from asgi_serial import SerialMiddleware

from .client import understand
from .driver import Recording, Request, awaited, serial_of
from .making import FRESH, JSON

LONG = b'{"a":"' + b"b" * 5000 + b'"}'

SETTINGS = [
    pytest.param({}, id="defaults"),
    pytest.param({"cache": False}, id="no cache"),
    pytest.param({"cache": False, "compression": False, "formats": False}, id="only timed"),
]
REQUESTS = [
    pytest.param(Request().having(x_tenant="a"), id="plain"),
    pytest.param(Request().having(accept_encoding="gzip", x_tenant="a"), id="gzip"),
    pytest.param(Request().having(accept="application/msgpack", x_tenant="a"), id="msgpack"),
    pytest.param(Request().having(if_none_match='"v1"', x_tenant="a"), id="conditional"),
    pytest.param(
        Request("POST", body=(b"\x81\xa1a\x01",)).having(
            content_type="application/msgpack", x_tenant="a"
        ),
        id="an upload",
    ),
]
each_way = pytest.mark.parametrize("settings", SETTINGS)
each_request = pytest.mark.parametrize("request_", REQUESTS)

SHAPES: dict[str, Any] = {
    "an iterator": lambda pairs: iter(pairs),
    "an iterator of iterators": lambda pairs: iter([iter(pair) for pair in pairs]),
    "a list of iterators": lambda pairs: [iter(pair) for pair in pairs],
    "a generator of lists": lambda pairs: (list(pair) for pair in pairs),
    "a list of lists": lambda pairs: [list(pair) for pair in pairs],
    "a tuple": tuple,
    "a view": lambda pairs: MappingProxyType(dict(pairs)).items(),
}


class App:
    """Notes what it can read of the scope."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        fields = dict(tuple(pair) for pair in scope["headers"])
        ends = [None if scope.get(name) is None else tuple(scope[name]) for name in ENDS]
        self.seen.append((fields[b"x-tenant"], *ends))
        scope["route"] = "/"
        await receive()
        fields = [JSON, FRESH, (b"etag", b'"v1"')]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": LONG})


ENDS = ("client", "server")


@pytest.mark.parametrize("shape", SHAPES)
@each_request
@each_way
@awaited
async def test_fields_of_any_shape_reach_us_and_the_app(settings, request_, shape):
    outcomes = []
    for make in (list, SHAPES[shape]):
        app = App()
        serial = serial_of(app, **settings)
        answers = []
        for _ in range(2):  # the second time, out of the cache where there is one
            scope = request_.make_scope()
            given = scope["headers"]
            scope["headers"] = make(given)
            recording = Recording()
            await serial(scope, request_.make_receive(), recording.send)
            assert {tuple(pair) for pair in scope["headers"]} == set(given)  # for those outside
            answers.append(recording.messages)
        outcomes.append((app.seen, answers))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0][0][0] == b"a"


@pytest.mark.parametrize("name", ["client", "server"])
@each_request
@each_way
@awaited
async def test_an_address_that_can_be_read_once_reaches_the_app(settings, request_, name):
    app = App()
    scope = request_.make_scope()
    scope["headers"] = iter(scope["headers"])
    scope[name] = iter(("h", 80))
    await serial_of(app, **settings)(scope, request_.make_receive(), Recording().send)
    assert app.seen[0][1 + ENDS.index(name)] == ("h", 80)


PATHS = {"report_path": "/report", "purge_path": "/purge", "purge_token": "t" * 32}
OPTIONAL = ["scheme", "root_path", "raw_path", "client", "server", "state", "extensions"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[pytest.param(name, ..., id=f"no {name}") for name in OPTIONAL],
        *[pytest.param(name, None, id=f"{name} is None") for name in OPTIONAL[2:]],
    ],
)
@each_request
@each_way
@awaited
async def test_what_is_optional_may_be_missing(settings, request_, name, value):
    app = App()
    serial = serial_of(app, **settings, **PATHS)
    for _ in range(2):
        scope = request_.make_scope()
        if value is ...:
            scope.pop(name, None)
        else:
            scope[name] = value
        recording = Recording()
        await serial(scope, request_.make_receive(), recording.send)
        assert understand(recording).status in (200, 304)


class Echo:
    async def on_get(self, request: Any, response: Any) -> None:
        response.media = {"tenant": request.get_header("x-tenant"), "long": "a" * 5000}

    async def on_post(self, request: Any, response: Any) -> None:
        response.media = {"got": await request.get_media(), "host": request.host}


@pytest.mark.parametrize(
    ("method", "options"),
    [
        pytest.param("GET", {"headers": {"x-tenant": "a"}}, id="plain"),
        pytest.param("GET", {"headers": {"x-tenant": "a", "accept-encoding": "gzip"}}, id="gzip"),
        pytest.param("GET", {"headers": {"accept": "application/msgpack"}}, id="msgpack"),
        pytest.param("POST", {"json": {"a": 1}}, id="an upload"),
    ],
)
@each_way
def test_falcons_test_client_can_test_an_app_behind_us(settings, method, options):
    """It gives iterators of iterators on purpose, as the specification allows them."""

    def make_app(wrapped: Any) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await wrapped(scope, receive, send)

        app._ASGI = True  # type: ignore[attr-defined]
        return app

    app = falcon.asgi.App()
    app.add_route("/", Echo())
    bare = falcon.testing.simulate_request(app, method, "/", **options)
    ours = SerialMiddleware(app, **settings)
    answer = falcon.testing.simulate_request(make_app(ours), method, "/", **options)
    assert answer.status == bare.status == "200 OK"
    if options.get("headers", {}).keys().isdisjoint({"accept", "accept-encoding"}):
        assert answer.content == bare.content
