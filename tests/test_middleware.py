"""The middleware as users make it: settings, what it leaves alone, engines, and the report."""

import asyncio
import json
import os
from dataclasses import replace

import pytest
from aiocache import SimpleMemoryCache
from aiocache.serializers import JsonSerializer, NullSerializer
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from asgi_serial import (
    ConfigurationError,
    SerialMiddleware,
    build_engine,
    timing_report,
)
from asgi_serial.engine.engine import Engine
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import CURRENT
from tests.engine.driver import (
    Recording,
    Request,
    Whole,
    ask,
    awaited,
    document_of,
    drive,
    serial_of,
    settled,
)

PLAIN = {"content_type": "text/plain"}
FRESH = {"cache_control": "max-age=60"}
GET = Request()
REPORT = Request(path="/-/timing").having(host="localhost")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """No setting of whoever runs the tests."""
    for name in list(os.environ):
        if name.upper().startswith("ASGI_SERIAL_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "something.new"])
@awaited
async def test_what_is_not_http_is_the_apps_untouched(kind):
    seen = []

    async def app(*given):
        seen.append(given)

    given = ({"type": kind}, object(), object())
    # With timing on, the acceptance of a WebSocket connection is seen, so `send` is wrapped.
    await SerialMiddleware(app, timing=kind != "websocket")(*given)
    assert all(one is other for one, other in zip(seen[0], given, strict=True))


EVERYTHING_OFF = dict.fromkeys(
    ["formats", "compression", "decoding", "cache", "timing", "server_timing"], False
)


@pytest.mark.parametrize("options", [{"enabled": False}, EVERYTHING_OFF], ids=["off", "all off"])
@awaited
async def test_where_nothing_is_to_be_done_the_app_has_it_all(options):
    seen = []

    async def app(*given):
        seen.append(given)

    given = (GET.make_scope(), object(), object())
    await SerialMiddleware(app, report_path="/", **options)(*given)
    assert all(one is other for one, other in zip(seen[0], given, strict=True))


@awaited
async def test_a_second_one_inside_leaves_all_to_the_first():
    app = Whole(document_of(2_000), content_type="application/json", **FRESH)
    inner = SerialMiddleware(app)
    outer = SerialMiddleware(inner)
    answer = await ask(outer, GET.having(accept_encoding="gzip"))
    assert answer.coding == "gzip"
    assert len(answer.all("cache-status")) == 1
    assert len(inner.engine.memory) == 0


@awaited
async def test_the_scope_and_its_fields_stay_as_the_server_gave_them():
    app = Whole(document_of(2_000), content_type="application/json", **FRESH)
    serial_app = serial_of(app)
    request = GET.having(accept_encoding="gzip", if_none_match='"x"', accept="application/msgpack")
    scope = request.make_scope()
    before = {**scope, "headers": list(scope["headers"])}
    await serial_app(scope, request.make_receive(), Recording().send)
    assert scope == before
    assert app.scopes[-1] is not scope


@pytest.mark.parametrize("make", [tuple, iter], ids=["a tuple", "a generator"])
@awaited
async def test_fields_of_any_iterable_reach_both_the_middleware_and_the_app(make):
    seen = []

    async def app(scope, receive, send):
        seen.append(list(scope["headers"]))
        await Whole(b"content", **PLAIN)(scope, receive, send)

    pairs = [(b"host", b"example.org"), (b"x-field", b"value")]
    await drive(serial_of(app), Request(scope={"headers": make(pairs)}))
    assert seen == [pairs]


@awaited
async def test_a_policy_is_there_while_its_own_request_runs_only():
    seen = []

    async def app(scope, receive, send):
        seen.append(CURRENT.get(None))
        await Whole(b"content", **PLAIN)(scope, receive, send)

    await ask(serial_of(app), GET)
    assert seen[0] is not None
    assert CURRENT.get(None) is None


@awaited
async def test_an_app_that_is_cancelled_is_counted_and_lets_nobody_wait():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.Event().wait()

    serial_app = serial_of(app)
    running = asyncio.ensure_future(drive(serial_app, GET.having(accept_encoding="gzip")))
    await settled()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (row,) = timing_report(serial_app).routes
    assert [reason["name"] for reason in row["reasons"]].count("incomplete") == 1
    assert row["count"] == 1


def test_arguments_beat_the_environment(monkeypatch):
    monkeypatch.setenv("ASGI_SERIAL_GZIP_LEVEL", "1")
    monkeypatch.setenv("asgi_serial_min_size", "1kB")
    settings = build_engine(gzip_level=9).settings
    assert (settings.gzip_level, settings.min_size) == (9, 1_000)


def test_every_fault_of_the_settings_is_named_when_it_is_built(monkeypatch):
    monkeypatch.setenv("ASGI_SERIAL_MIN_SIZE", "much")
    with pytest.raises(ConfigurationError) as caught:
        SerialMiddleware(Whole(b""), gzip_level=12, gzip_levle=3)
    text = str(caught.value)
    assert [name in text for name in ("ASGI_SERIAL_MIN_SIZE", "gzip_level", "gzip_levle")] == [
        True
    ] * 3


@pytest.mark.parametrize(
    ("options", "has_store"),
    [
        pytest.param({}, False, id="none is asked for"),
        pytest.param({"cache_url": "memory://"}, True, id="by URL"),
        pytest.param(
            {"store": SimpleMemoryCache(serializer=NullSerializer(encoding=None))},
            True,
            id="by an object",
        ),
        pytest.param({"cache_url": "memory://", "cache": False}, False, id="the cache is off"),
        pytest.param({"cache_url": "memory://", "enabled": False}, False, id="all is off"),
        pytest.param(
            {"cache_url": "memory://", "cache": False, "routes": {"/a": {"cache": True}}},
            True,
            id="the cache is on for one route",
        ),
    ],
)
def test_a_second_level_is_opened_where_it_is_asked_for_and_used(options, has_store):
    assert (build_engine(**options).responses.store is not None) is has_store


def test_a_second_level_that_can_not_be_used_is_an_error_when_it_is_built():
    with pytest.raises(ConfigurationError, match="NullSerializer"):
        build_engine(store=SimpleMemoryCache(serializer=JsonSerializer()))


@awaited
async def test_a_second_level_is_used_by_an_app_that_names_it():
    cache = SimpleMemoryCache(serializer=NullSerializer(encoding=None))
    serial_app = SerialMiddleware(Whole(b"content", **PLAIN, **FRESH), store=cache)
    await ask(serial_app, GET)
    await serial_app.engine.responses.flush()
    assert any(b"content" in value for value in cache._cache.values() if isinstance(value, bytes))


@awaited
async def test_instances_of_one_engine_share_its_cache_and_counts():
    engine = Engine(Settings.load({}, {}))
    first = SerialMiddleware(Whole(b"content", **PLAIN, **FRESH), engine=engine)
    other = SerialMiddleware(Whole(b"never"), engine=engine)
    await ask(first, GET)
    assert (await ask(other, GET)).content == b"content"
    (row,) = timing_report(engine).routes
    assert row["count"] == 2
    assert timing_report(other).routes[0]["count"] == 2


def make_starlette(**options):
    async def say(request):
        return PlainTextResponse("content", headers={"cache-control": "max-age=60"})

    app = Starlette(routes=[Route("/", say), Mount("/api", routes=[Route("/items/{id}", say)])])
    app.add_middleware(SerialMiddleware, **options)
    return app


@awaited
async def test_the_report_is_there_for_who_wrote_one_line():
    app = make_starlette()
    with pytest.raises(LookupError, match="no request was served"):
        timing_report(app)
    for path in ("/", "/", "/api/items/1", "/api/items/2", "/nowhere"):
        await ask(app, Request(path=path))
    routes = {row["route"]: row["count"] for row in timing_report(app).routes}
    assert routes["/"] == 2
    assert routes["/api/items/{id}"] == 2
    assert sum(routes.values()) == 5


@awaited
async def test_two_in_one_app_are_two_and_the_first_that_times_reports():
    app = make_starlette(timing=False)
    app.add_middleware(SerialMiddleware, compression=False)
    assert (await ask(app, GET)).content == b"content"
    assert timing_report(app).totals["count"] == 1


@awaited
async def test_without_timing_there_is_no_report():
    app = make_starlette(timing=False)
    await ask(app, GET)
    with pytest.raises(LookupError, match="timing is off"):
        timing_report(app)


def test_an_app_that_can_not_be_referred_to_weakly_is_served_all_the_same():
    class Odd:
        __slots__ = ()

    async def serve():
        serial_app = SerialMiddleware(Whole(b"content", **PLAIN))
        request = Request(scope={"app": Odd()})
        return (await ask(serial_app, request)).content, timing_report(serial_app).totals["count"]

    assert asyncio.run(serve()) == (b"content", 1)
    with pytest.raises(LookupError):
        timing_report(Odd())


@pytest.mark.parametrize(
    ("fields", "media_type"),
    [({}, "text/plain"), ({"accept": "application/json"}, "application/json")],
    ids=["as text", "as JSON"],
)
@awaited
async def test_the_report_is_served_under_its_path(fields, media_type):
    app = Whole(b"content", **PLAIN)
    serial_app = serial_of(app, report_path="/-/timing")
    await ask(serial_app, GET)
    answer = await ask(serial_app, REPORT.having(**fields))
    assert (answer.status, answer.media_type, app.calls) == (200, media_type, 1)
    assert answer.one("cache-control") == "no-store"
    if media_type == "application/json":
        assert json.loads(answer.body)["totals"]["count"] == 1


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(replace(REPORT, method="POST"), 405, id="another method"),
        pytest.param(replace(REPORT, method="HEAD"), 200, id="its head"),
        pytest.param(
            replace(REPORT, path="/mounted/-/timing", scope={"root_path": "/mounted"}),
            200,
            id="mounted",
        ),
        pytest.param(replace(REPORT, path="/-/timing/"), 418, id="another path"),
    ],
)
@awaited
async def test_who_asks_for_the_report_and_how(request_, status):
    serial_app = serial_of(Whole(b"content", status=418, **PLAIN), report_path="/-/timing")
    answer = await ask(serial_app, request_)
    assert answer.status == status
    assert bool(answer.body) is (request_.method != "HEAD")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("Basic s3cret", 401),
        ("Bearer s3cret", 200),
        ("bearer  s3cret ", 200),
        ("Bearer s3cret\xff", 401),
    ],
    ids=str,
)
@awaited
async def test_a_token_keeps_the_report_to_those_who_hold_it(authorization, status):
    serial_app = serial_of(Whole(b""), report_path="/-/timing", report_token="s3cret")
    fields = {} if authorization is None else {"authorization": authorization}
    answer = await ask(serial_app, REPORT.having(**fields))
    assert answer.status == status
    assert (answer.one("www-authenticate") is not None) is (status == 401)


def test_the_route_resolver_of_the_user_names_the_routes():
    app = Whole(b"content", **PLAIN)
    serial_app = SerialMiddleware(app, route_resolver=lambda scope: "named")
    asyncio.run(ask(serial_app, GET))
    assert timing_report(serial_app).routes[0]["route"] == "named"
    assert timing_report(serial_app).engine["route_resolver_failures"] == 0


def test_a_resolver_that_fails_is_counted_in_the_report_and_harms_no_request():
    def failing(scope):
        raise RuntimeError

    serial_app = SerialMiddleware(Whole(b"content", **PLAIN), route_resolver=failing)
    for _ in range(3):
        assert asyncio.run(ask(serial_app, Request(path="/a"))).status == 200
    report = timing_report(serial_app)
    assert [(row["route"], row["count"]) for row in report.routes] == [("(unmatched)", 3)]
    assert report.engine["route_resolver_failures"] == 3
