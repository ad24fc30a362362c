"""What went wrong with partitions, refreshes and purges where somebody was hostile, or unlucky."""

import asyncio
import json
from contextvars import ContextVar

import pytest

from asgi_serial import set_policy

from .driver import Clock, Request, ask, awaited, heard, serial_of, until
from .test_adversary_validation import JSON, app_of
from .test_validation import site


def by_badge(scope):
    return dict(scope["headers"]).get(b"x-badge", b"").decode() or None


@pytest.mark.parametrize("path", ["/x", "/" + "x" * 300])
@awaited
async def test_a_partition_that_the_handler_asks_for_holds_beside_a_stale_response_for_all(path):
    def answer(scope, headers):
        set_policy(cache_partition=by_badge)
        return 200, [JSON, (b"cache-control", b"max-age=60")], json.dumps(by_badge(scope)).encode()

    clock = Clock()
    serial = serial_of(app_of(answer), clock=clock)
    await ask(serial, Request(path=path))  # nobody's
    serial.engine.learned.policies.clear()  # as 1,024 other paths do, or another process
    clock.now += 100
    await ask(serial, Request(path=path).having(x_badge="bob"))
    for user in (None, "carol"):
        serial.engine.learned.policies.clear()
        request = Request(path=path).having(**({"x_badge": user} if user else {}))
        assert (await ask(serial, request)).document != "bob"


@awaited
async def test_a_refresh_whose_partition_is_not_known_any_more_is_not_for_all():
    def answer(scope, headers):
        set_policy(cache_partition=by_badge)
        fields = [
            JSON,
            (b"cache-control", b"max-age=60, stale-while-revalidate=600"),
            (b"etag", b'"%s"' % headers.get(b"x-badge", b"")),
        ]
        return 200, fields, json.dumps(by_badge(scope)).encode()

    clock = Clock()
    serial = serial_of(app_of(answer), clock=clock)
    bob = Request().having(x_badge="bob")
    await ask(serial, bob)
    await ask(serial, bob)
    clock.now += 100

    class Forgetful(dict):
        """Between the answer and its refresh another request may clear what is learned."""

    request = bob

    async def send(message):
        if message["type"] == "http.response.body":
            serial.engine.learned.policies.clear()

    await serial(request.make_scope(), request.make_receive(), send)
    await asyncio.gather(*serial.engine.workers.tasks, return_exceptions=True)
    serial.engine.learned.policies.clear()
    assert (await ask(serial, Request())).document is None


@awaited
async def test_a_304_without_cache_control_leaves_a_partition_its_lifetime():
    def answer(scope, headers):
        fields = [JSON, (b"etag", b'"1"')]
        if headers.get(b"if-none-match") == b'"1"':
            return 304, fields, b""
        return 200, [*fields, (b"cache-control", b"max-age=60")], b"1"

    clock, app = Clock(), app_of(answer)
    serial = serial_of(app, clock=clock, routes={"/": {"cache_partition": "cookie:sid"}})
    bob = Request().having(cookie="sid=bob")
    await ask(serial, bob)
    clock.now += 100
    await ask(serial, bob)
    await ask(serial, bob)
    assert app.calls == 2


@pytest.mark.parametrize("user", [5, "\ud800", b"bob"])
@awaited
async def test_a_function_that_gives_something_else_than_a_name_is_no_500(user):
    app = app_of(lambda scope, headers: (200, [JSON], b"1"))
    serial = serial_of(app, routes={"/": {"cache_partition": lambda scope: user}})
    assert (await ask(serial, Request())).status == 200


@awaited
async def test_what_an_app_sets_in_its_context_is_seen_outside_as_without_the_middleware():
    seen = ContextVar("seen", default="nothing")

    def answer(scope, headers):
        seen.set("something")
        return 200, [JSON, (b"cache-control", b"max-age=60")], b"1"

    serial = serial_of(app_of(answer))
    await ask(serial, Request())
    assert seen.get() == "something"


@awaited
async def test_one_handler_with_partitions_keeps_no_hit_from_all_others():
    def answer(scope, headers):
        if scope["path"] == "/mine":
            set_policy(cache_partition=by_badge)
        return 200, [JSON, (b"cache-control", b"max-age=60")], b"1"

    serial = serial_of(app_of(answer))
    await ask(serial, Request(path="/mine").having(x_badge="bob"))
    assert (await ask(serial, Request(path="/all"))).cached != "hit"
    assert (await ask(serial, Request(path="/all"))).cached == "hit"


@awaited
async def test_what_one_user_is_told_drops_nothing_of_another():
    said = {b"sid=alice": b"max-age=60", b"sid=bob": b"max-age=60"}

    def answer(scope, headers):
        return 200, [JSON, (b"cache-control", said[headers[b"cookie"]])], b"1"

    app = app_of(answer)
    serial = serial_of(app, routes={"/": {"cache_partition": "cookie:sid"}})
    alice, bob = (Request().having(cookie=f"sid={name}") for name in ("alice", "bob"))
    await ask(serial, alice)
    await ask(serial, bob)
    said[b"sid=bob"] = b"no-store"
    await ask(serial, bob.having(cache_control="no-cache"))
    await ask(serial, alice)
    assert app.calls == 3


@awaited
async def test_what_one_language_is_told_drops_nothing_of_another():
    said = {b"de": b"max-age=60", b"en": b"max-age=60"}

    def answer(scope, headers):
        control = said[headers[b"accept-language"]]
        return 200, [JSON, (b"cache-control", control), (b"vary", b"accept-language")], b"1"

    app = app_of(answer)
    serial = serial_of(app)
    await ask(serial, Request().having(accept_language="de"))
    await ask(serial, Request().having(accept_language="en"))
    said[b"en"] = b"no-store"
    await ask(serial, Request().having(accept_language="en", cache_control="no-cache"))
    await ask(serial, Request().having(accept_language="de"))
    assert app.calls == 3


@pytest.mark.parametrize(
    "line", [(b"connection", b"etag"), (b"cache-control", b'no-cache="etag", max-age=60')]
)
@awaited
async def test_a_tag_that_is_not_kept_is_no_validator(line):
    origin, clock, serial = site((b"cache-control", b"max-age=60"), line)
    await ask(serial, Request())
    clock.now += 100
    assert (await ask(serial, Request())).document == origin.document
    await ask(serial, Request("HEAD").having(cache_control="no-cache"))


@awaited
async def test_a_refresh_of_what_is_an_endless_stream_now_ends():
    state = {"endless": False}

    async def app(scope, receive, send):
        if not state["endless"]:
            fields = [JSON, (b"cache-control", b"max-age=10, stale-while-revalidate=600")]
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            await send({"type": "http.response.body", "body": b"1"})
            return
        fields = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        gone = asyncio.ensure_future(receive_until_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            await asyncio.sleep(0.001)

    async def receive_until_gone(receive):
        while (await receive())["type"] != "http.disconnect":
            pass

    clock = Clock()
    serial = serial_of(app, clock=clock)
    await ask(serial, Request())
    state["endless"] = True
    clock.now += 100
    await ask(serial, Request())
    assert serial.engine.workers.tasks
    await until(lambda: not serial.engine.workers.tasks)


@awaited
async def test_a_304_that_is_private_to_one_user_takes_nothing_from_the_others():
    def answer(scope, headers):
        is_known = b"cookie" in headers
        control = b"private" if is_known else b"public, max-age=60"
        fields = [JSON, (b"cache-control", control), (b"etag", b'"1"')]
        if headers.get(b"if-none-match") == b'"1"':
            return 304, fields, b""
        return 200, fields, b"1"

    app = app_of(answer)
    serial = serial_of(app)
    await ask(serial, Request())
    await ask(serial, Request().having(cookie="a=1", cache_control="no-cache"))
    await ask(serial, Request())
    assert app.calls == 2


@awaited
async def test_an_app_whose_client_has_left_still_gets_the_request_it_is_to_answer():
    async def app(scope, receive, send):
        await asyncio.sleep(0.01)  # who are you?
        await receive()  # Django and Quart begin so
        fields = [JSON, (b"cache-control", b"max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"1"})

    serial = serial_of(app)
    leader = asyncio.ensure_future(ask(serial, Request()))
    await asyncio.sleep(0)
    waiter = asyncio.ensure_future(ask(serial, Request()))
    await asyncio.sleep(0.002)
    leader.cancel()
    assert (await asyncio.wait_for(waiter, 120)).document == 1


@pytest.mark.parametrize(
    "user",
    [
        {"cookie:sid": "s", "authorization": "bob"},
        {"authorization": "bob", "cookie:sid": "s"},
        {"Authorization": "bob", "cookie:sid": "s"},
    ],
)
@awaited
async def test_a_user_is_purged_in_whatever_order_his_values_are_named(user):
    from asgi_serial import purge

    app = app_of(lambda scope, headers: (200, [JSON, (b"cache-control", b"max-age=60")], b"1"))
    serial = serial_of(app, routes={"/": {"cache_partition": "authorization, cookie:sid"}})
    bob = Request().having(authorization="bob", cookie="sid=s")
    await ask(serial, bob)
    await purge(serial, users=[user])
    await ask(serial, bob)
    assert app.calls == 2


@awaited
async def test_a_user_is_purged_in_every_process_or_not_said_to_be():
    from asgi_serial import purge

    from .shared_store import SharedStore

    app = app_of(lambda scope, headers: (200, [JSON, (b"cache-control", b"max-age=60")], b"1"))
    store, clock = SharedStore(), Clock()
    options = {"routes": {"/": {"cache_partition": "cookie:sid"}}, "cache_poll": 0.05}
    one, other = (serial_of(app, store=store, clock=clock, **options) for _ in range(2))
    bob = Request().having(cookie="sid=s")
    await ask(one, bob)
    await ask(other, bob)
    clock.now += 5
    calls = app.calls
    told = await purge(one, users=[{"cookie:sid": "s"}])  # he has logged out
    await heard(other)
    await ask(other, bob)
    assert app.calls > calls or not told


@awaited
async def test_what_is_purged_does_not_stand_in_for_an_error():
    from asgi_serial import purge

    gate, asked = asyncio.Event(), asyncio.Event()

    async def answer(scope, headers):
        if app.calls > 1:
            asked.set()
            await gate.wait()
            return 500, [JSON], b"0"
        return 200, [JSON, (b"cache-control", b"max-age=60, stale-if-error=600")], b"1"

    clock, app = Clock(), app_of(answer)
    serial = serial_of(app, clock=clock)
    await ask(serial, Request())
    clock.now += 100
    reading = asyncio.ensure_future(ask(serial, Request()))
    await asked.wait()
    await purge(serial, everything=True)
    gate.set()
    assert (await reading).status == 500
