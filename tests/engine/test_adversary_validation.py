"""What went wrong with stale responses where somebody was hostile, or unlucky."""

import asyncio
import json
import random

import pytest

from .driver import Clock, Request, ask, awaited, drive, serial_of, settled
from .test_validation import said, site

JSON = (b"content-type", b"application/json")


def app_of(answer):
    """An app by `answer(scope, headers) -> status, fields, body`, which counts its calls."""

    async def app(scope, receive, send):
        app.calls += 1
        app.scopes.append(scope)
        made = answer(scope, dict(scope["headers"]))
        status, fields, body = await made if asyncio.iscoroutine(made) else made
        await send({"type": "http.response.start", "status": status, "headers": list(fields)})
        await send({"type": "http.response.body", "body": body})

    app.calls, app.scopes = 0, []
    return app


class SideBySide:
    """Counts how many calls of an app are under way at once."""

    def __init__(self):
        self.running = self.most = 0

    async def stay(self):
        self.running += 1
        self.most = max(self.most, self.running)
        await settled()
        self.running -= 1


@pytest.mark.parametrize("first", [b"no-cache", b"max-age=0"])
@awaited
async def test_what_is_of_use_for_validation_only_is_not_kept_for_other_users(first):
    # The tag is that of the row, as in most APIs; what a user may see of it differs.
    def answer(scope, headers):
        fields = [JSON, (b"cache-control", first + b", must-revalidate"), (b"etag", b'W/"7"')]
        if headers.get(b"if-none-match") == b'W/"7"':
            return 304, fields, b""
        return 200, fields, json.dumps(headers[b"authorization"].decode()).encode()

    serial = serial_of(app_of(answer))
    await ask(serial, Request().having(authorization="alice"))
    answer = await ask(serial, Request().having(authorization="bob"))
    assert answer.document == "bob"


@awaited
async def test_a_form_that_found_no_room_does_not_fail_once_the_app_confirms():
    origin, clock, serial = site(cache_memory="200KB", cache_max_object="200KB")
    origin.document = [random.Random(n).randbytes(5).hex() for n in range(3000)]
    await ask(serial, Request())
    clock.now += 100
    answer = await ask(serial, Request().having(accept_encoding="gzip"))
    assert answer.document == origin.document


@awaited
async def test_who_is_cancelled_before_the_app_is_called_leaves_no_call_behind():
    origin, clock, serial = site()
    origin.document = [f"item {n}" for n in range(20_000)]
    await ask(serial, Request())
    clock.now += 100
    task = asyncio.ensure_future(ask(serial, Request().having(accept_encoding="br")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(origin.asked) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not serial.engine.calls._calls or await asyncio.wait_for(ask(serial, Request()), 120)


@awaited
async def test_what_needs_validation_gets_it_whatever_the_clock_says():
    origin, clock, serial = site((b"cache-control", b"no-cache"), cache_confirm=True)
    await ask(serial, Request())
    clock.now -= 2  # or another process whose clock is ahead has made it
    await ask(serial, Request())
    assert len(origin.asked) == 2


@awaited
async def test_requests_with_conditions_do_not_wait_for_one_another_one_by_one():
    side_by_side = SideBySide()

    async def answer(scope, headers):
        await side_by_side.stay()
        fields = [JSON, (b"cache-control", b"max-age=60"), (b"etag", b'"v1"')]
        if headers.get(b"if-none-match") == b'"v1"':
            return 304, fields, b""
        return 200, fields, b"{}"

    serial = serial_of(app_of(answer))
    asked = [ask(serial, Request().having(if_none_match='"v1"')) for _ in range(20)]
    await asyncio.gather(*asked)
    assert side_by_side.most > 10


@awaited
async def test_a_304_that_says_what_the_answer_varies_on_is_heeded():
    origin, clock, serial = site()
    await ask(serial, Request().having(accept_language="de"))
    origin.more = [(b"vary", b"accept-language")]
    clock.now += 100
    await ask(serial, Request().having(accept_language="de"))
    await ask(serial, Request().having(accept_language="en"))
    assert len(origin.asked) == 3


@awaited
async def test_a_304_says_nothing_of_a_stored_404():
    state = {"there": False}
    old, new = b"Mon, 01 Jan 2024 00:00:00 GMT", b"Tue, 02 Jan 2024 00:00:00 GMT"

    def answer(scope, headers):
        fresh = (b"cache-control", b"max-age=60")
        if not state["there"]:
            return 404, [JSON, fresh, (b"last-modified", new)], b'"none"'
        if b"if-modified-since" in headers:
            return 304, [fresh, (b"last-modified", old)][:1], b""
        return 200, [JSON, fresh, (b"last-modified", old)], b'"here"'

    clock = Clock()
    serial = serial_of(app_of(answer), clock=clock)
    await ask(serial, Request())
    state["there"] = True
    clock.now += 100
    assert (await ask(serial, Request())).status == 200


@pytest.mark.parametrize(
    ("status", "fields"),
    [(206, {"range": "bytes=0-0"}), (429, {}), (401, {}), (403, {}), (412, {"if-match": '"x"'})],
)
@awaited
async def test_what_is_said_to_one_client_alone_takes_nothing_from_the_others(status, fields):
    def answer(scope, headers):
        if b"x-other" in headers:
            return status, [JSON], b"1"
        return 200, [JSON, (b"cache-control", b"max-age=60")], b"[1]"

    app = app_of(answer)
    serial = serial_of(app)
    await ask(serial, Request())
    other = tuple({"x-other": "1", "cache-control": "no-cache", **fields}.items())
    await ask(serial, Request(fields=other))
    await ask(serial, Request())
    assert app.calls == 2


@awaited
async def test_the_reload_of_one_who_is_logged_in_takes_nothing_from_the_others():
    def answer(scope, headers):
        if b"cookie" in headers:
            return 200, [JSON, (b"cache-control", b"private")], b"[2]"
        return 200, [JSON, (b"cache-control", b"public, max-age=60")], b"[1]"

    app = app_of(answer)
    serial = serial_of(app)
    await ask(serial, Request())
    await ask(serial, Request().having(cookie="a=1", cache_control="no-cache"))
    await ask(serial, Request())
    assert app.calls == 2


@awaited
async def test_a_late_304_does_not_bring_back_what_is_older_than_what_is_stored():
    origin, clock, serial = site()
    await ask(serial, Request())
    clock.now += 100
    gate = asyncio.Event()
    slow_is_asked = asyncio.Event()

    class Slow:
        async def __call__(self, scope, receive, send):
            if b"x-slow" in dict(scope["headers"]):

                async def late(message):
                    slow_is_asked.set()
                    await gate.wait()
                    await send(message)

                await origin(scope, receive, late)
            else:
                await origin(scope, receive, send)

    serial.app = Slow()
    # With a range, so that nobody waits for it.
    slow = asyncio.ensure_future(drive(serial, Request().having(x_slow="1", range="bytes=0-0")))
    await slow_is_asked.wait()
    clock.now += 1
    origin.etag, origin.document = '"v2"', [2]
    assert (await ask(serial, Request())).document == [2]
    clock.now += 1
    gate.set()
    await slow
    assert (await ask(serial, Request())).document == [2]


@awaited
async def test_the_date_of_a_304_that_has_none_is_now():
    origin, clock, serial = site()
    origin.more = [(b"date", b"Fri, 15 Jan 2027 08:00:00 GMT")]  # what the clock says
    await ask(serial, Request())
    origin.more = []
    clock.now += 100
    await ask(serial, Request())
    await ask(serial, Request())
    assert len(origin.asked) == 2


@awaited
async def test_a_refresh_that_never_began_leaves_no_call_behind():
    _origin, clock, serial = site((b"cache-control", b"max-age=60, stale-while-revalidate=600"))
    await ask(serial, Request())
    clock.now += 100
    await ask(serial, Request())
    for task in list(serial.engine.workers.tasks):
        task.cancel()  # as a loop does that ends
    await settled()
    assert not serial.engine.calls._calls


@awaited
async def test_a_client_that_forbids_transformation_may_start_a_refresh():
    _origin, clock, serial = site(
        (b"cache-control", b"max-age=60, stale-while-revalidate=600"),
        routes={"/": {"cache": True}},
    )
    await ask(serial, Request())
    clock.now += 100
    await ask(serial, Request().having(accept_encoding="gzip", cache_control="no-transform"))
    await asyncio.gather(*serial.engine.workers.tasks)
    assert (await ask(serial, Request())).one("age") == "0"


@awaited
async def test_what_a_write_has_made_invalid_does_not_stand_in_for_an_error():
    gate, asked = asyncio.Event(), asyncio.Event()

    async def answer(scope, headers):
        if scope["method"] == "PUT":
            return 204, [], b""
        if app.calls > 1:
            asked.set()
            await gate.wait()
            return 500, [JSON], b"1"
        return 200, [JSON, (b"cache-control", b"max-age=60, stale-if-error=600")], b"[1]"

    clock, app = Clock(), app_of(answer)
    serial = serial_of(app, clock=clock)
    await ask(serial, Request())
    clock.now += 100
    reading = asyncio.ensure_future(ask(serial, Request()))
    await asked.wait()
    await ask(serial, Request("PUT"))
    gate.set()
    assert (await reading).status == 500


@awaited
async def test_variants_of_a_fork_do_not_wait_for_one_another_one_by_one():
    side_by_side = SideBySide()

    async def answer(scope, headers):
        await side_by_side.stay()
        fields = [JSON, (b"cache-control", b"max-age=60"), (b"vary", b"accept-language")]
        return 200, fields, b"[1]"

    serial = serial_of(app_of(answer))

    async def crowd(*tongues):
        requests = [Request().having(origin="http://o", accept_language=one) for one in tongues]
        await asyncio.gather(*[ask(serial, one) for one in requests])

    await crowd("de")
    await crowd(*[f"x-{n}" for n in range(20)])
    assert side_by_side.most > 10


@awaited
async def test_a_private_field_of_a_304_reaches_the_client_that_asked():
    origin, clock, serial = site((b"cache-control", b'max-age=60, private="x-mine"'))
    origin.more = [(b"x-mine", b"1")]
    await ask(serial, Request())
    clock.now += 100
    assert (await ask(serial, Request())).one("x-mine") == "1"


@awaited
async def test_a_private_field_of_a_304_that_is_not_kept_reaches_it_once():
    origin, clock, serial = site((b"cache-control", b'max-age=60, private="x-mine"'))
    await ask(serial, Request())
    clock.now += 100
    origin.fields = [(b"cache-control", b'no-store, private="x-mine"')]
    origin.more = [(b"x-mine", b"1")]
    assert (await ask(serial, Request())).all("x-mine") == [b"1"]


@awaited
async def test_an_app_that_ignores_conditions_is_not_asked_by_them_for_a_while():
    origin, clock, serial = site((b"cache-control", b"no-cache"), cache_confirm=True)
    asked = []

    async def ignoring(scope, receive, send):
        asked.append(dict(scope["headers"]).get(b"if-none-match"))
        headers = [line for line in scope["headers"] if line[0] != b"if-none-match"]
        scope = {**scope, "headers": headers}
        await origin(scope, receive, send)

    serial.app = ignoring
    for _ in range(4):
        assert (await ask(serial, Request())).document == origin.document
    assert asked == [None, b'"v1"', None, None]
    clock.now += 601
    for _ in range(2):
        await ask(serial, Request())
    assert asked[4:] == [None, b'"v1"']


@awaited
async def test_it_is_remembered_of_few_keys_that_an_app_ignores_conditions(monkeypatch):
    monkeypatch.setattr("asgi_serial.engine.learned.MAX_LEARNED", 2)
    _, _, serial = site()
    for number in range(3):
        serial.engine.learned.note_unconditional(("key", str(number)))
    assert not serial.engine.learned.ignores_conditions(("key", "0"))
    assert serial.engine.learned.ignores_conditions(("key", "2"))


@awaited
async def test_what_a_304_keeps_private_goes_to_its_client_alone():
    origin, clock, serial = site()
    await ask(serial, Request())
    clock.now += 100
    origin.fields = [(b"cache-control", b'max-age=60, private="x-mine"'), (b"x-mine", b"1")]
    assert (await ask(serial, Request())).one("x-mine") == "1"
    again = await ask(serial, Request())
    assert (again.one("x-mine"), said(again)) == (None, "hit; ttl=60")
