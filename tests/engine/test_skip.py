"""Requests for which the function in `skip` says so go past the cache, whatever is stored."""

import asyncio
import functools
import logging

import pytest

from asgi_serial import serial, set_policy
from asgi_serial.admin.report_endpoint import engine_report
from asgi_serial.errors import ConfigurationError

from .driver import Clock, Request, ask, awaited, drive, serial_of, settled
from .making import JSON
from .shared_store import SharedStore

FRESH = (b"cache-control", b"public, max-age=60")


def is_preview(scope):
    return b"preview" in scope["query_string"] or (b"x-preview", b"1") in scope["headers"]


class Pages:
    """An app that numbers its responses, and says so in another way to those who preview."""

    def __init__(self, *fields, **policy):
        self.fields = [JSON, *(fields or [FRESH])]
        self.policy = policy
        self.calls = 0
        self.status = 200
        self.gate = None

    async def __call__(self, scope, receive, send):
        self.calls += 1
        number, name = self.calls, "draft" if is_preview(scope) else "page"
        if self.policy:
            set_policy(**self.policy)
        if scope["method"] == "POST":
            await receive()
        if self.gate is not None:
            await self.gate.wait()
        if self.status == 0:
            raise RuntimeError
        conditions = dict(scope["headers"])
        etag = (b"etag", b'"v1"')
        status = 304 if conditions.get(b"if-none-match") == etag[1] else self.status
        fields = [*self.fields, etag]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        body = b"" if status == 304 else b'"%s %d"' % (name.encode(), number)
        await send({"type": "http.response.body", "body": body})


PAGE, PREVIEW = Request(), Request(query=b"").having(x_preview="1")


def said_of(answer):
    return answer.one("cache-status")


def reasons_of(serial_app):
    return {
        one["name"]: one["count"]
        for row in engine_report(serial_app.engine).routes
        for one in row["reasons"]
    }


def by_pattern(app, skip, **options):
    options = {"cache_ignore_fields": "x-preview", **options}
    return serial_of(app, routes={"/": {"skip": skip}}, **options)


def by_handler(app, skip, **options):
    app.policy = {**app.policy, "skip": skip}
    return serial_of(app, cache_ignore_fields="x-preview", **options)


each_place = pytest.mark.parametrize("place", [by_pattern, by_handler])


@each_place
@awaited
async def test_a_skipped_request_is_neither_answered_nor_stored(place):
    app = Pages()
    serial_app = place(app, is_preview)
    seen = [
        (answer := await ask(serial_app, request)).document + " " + said_of(answer)
        for request in (PREVIEW, PAGE, PAGE, PREVIEW, PREVIEW, PAGE)
    ]
    skipped = "asgi_serial; fwd=bypass; detail=skipped"
    assert seen == [
        f"draft 1 {skipped}",
        "page 2 asgi_serial; fwd=uri-miss; stored",
        "page 2 asgi_serial; hit; ttl=60",
        f"draft 3 {skipped}",
        f"draft 4 {skipped}",
        "page 2 asgi_serial; hit; ttl=60",
    ]
    assert reasons_of(serial_app)["skipped"] == 3


@each_place
@awaited
async def test_skipped_requests_share_no_call(place):
    app = Pages()
    serial_app = place(app, lambda scope: True)
    await ask(serial_app, PAGE)
    app.gate = asyncio.Event()
    asked = [asyncio.create_task(ask(serial_app, PAGE)) for _ in range(5)]
    await settled()
    assert app.calls == 6
    app.gate.set()
    assert sorted([(await one).document for one in asked]) == [f"page {n}" for n in range(2, 7)]


@awaited
async def test_those_who_wait_for_a_call_that_is_skipped_share_the_next():
    """The first request of a handler is looked up before it is known to be skipped."""
    app = Pages()
    serial_app = by_handler(app, is_preview, cache_ttl=60)
    app.gate = asyncio.Event()
    preview = asyncio.create_task(ask(serial_app, PREVIEW))
    await settled()
    asked = [asyncio.create_task(ask(serial_app, PAGE)) for _ in range(5)]
    await settled()
    assert app.calls == 1
    app.gate.set()
    assert (await preview).document == "draft 1"
    assert {(await one).document for one in asked} <= {f"page {n}" for n in range(2, 7)}
    assert app.calls <= 1 + 5
    assert (await ask(serial_app, PAGE)).cached == "hit"


class Odd:
    def __bool__(self):
        raise RuntimeError

    def __repr__(self):
        return "Odd()"  # the same in each process that runs tests


@pytest.mark.parametrize(
    "answer",
    [None, 0, 1, "", "no", [], Odd(), RuntimeError("broken"), KeyError("user")],
    ids=repr,
)
@each_place
@awaited
async def test_a_function_that_fails_or_answers_nonsense_skips(place, answer, caplog):
    def skip(scope):
        if isinstance(answer, Exception):
            raise answer
        return answer

    app = Pages()
    serial_app = place(app, skip)
    caplog.set_level(logging.WARNING, logger="asgi_serial")
    for number in range(1, 4):
        got = await ask(serial_app, PAGE)
        assert (got.status, got.document) == (200, f"page {number}")
        assert said_of(got) == "asgi_serial; fwd=bypass; detail=skip-failed"
    assert reasons_of(serial_app)["skip-failed"] == 3
    assert serial_app.engine.skip_failures.count == 3
    (record,) = caplog.records
    assert "A function in skip fails" in record.getMessage()


@each_place
@awaited
async def test_a_coroutine_from_a_plain_function_skips(place):
    async def find():
        return False

    app = Pages()
    serial_app = place(app, lambda scope: find())
    for _ in range(2):
        assert said_of(await ask(serial_app, PAGE)).endswith("detail=skip-failed")


async def asynchronous(scope):
    return False


def generator(scope):
    yield False


async def asynchronous_generator(scope):
    yield False


class Asynchronous:
    async def __call__(self, scope):
        return False


@pytest.mark.parametrize(
    "skip",
    [
        asynchronous,
        functools.partial(asynchronous),
        generator,
        asynchronous_generator,
        Asynchronous(),
    ],
)
@pytest.mark.parametrize("use", [serial, set_policy])
def test_an_asynchronous_function_is_an_error_when_decorating(use, skip):
    with pytest.raises(ConfigurationError, match=r"skip is .*expected a synchronous function"):
        use(skip=skip)


@pytest.mark.parametrize("skip", [True, "preview", ["preview"], 1])
def test_anything_but_a_function_is_an_error(skip):
    expected = "expected a function of the ASGI scope that returns True or False, in code"
    with pytest.raises(ConfigurationError, match=expected):
        serial(skip=skip)
    with pytest.raises(ConfigurationError, match=expected):
        serial_of(Pages(), routes={"/": {"skip": skip}})


def test_without_a_cache_there_is_nothing_to_skip():
    with pytest.raises(ConfigurationError, match="although cache is off"):
        serial(cache=False, skip=is_preview)


@awaited
async def test_another_process_does_not_answer_before_it_has_asked_the_function():
    """Both have the second level in common; the second one has not seen the handler yet."""
    store, clock = SharedStore(), Clock()
    first, second = (
        by_handler(Pages(), is_preview, store=store, clock=clock, cache_poll="10ms")
        for _ in range(2)
    )
    assert (await ask(first, PAGE)).document == "page 1"
    await first.engine.responses.flush()
    assert (await ask(second, PREVIEW)).document == "draft 1"
    assert (await ask(second, PREVIEW)).document == "draft 2"
    assert (await ask(second, PAGE)).document in ("page 1", "page 3")
    assert (await ask(second, PAGE)).cached == "hit"


@awaited
async def test_a_learned_function_that_is_forgotten_costs_a_miss_only():
    app = Pages()
    serial_app = by_handler(app, is_preview)
    await ask(serial_app, PAGE)
    assert (await ask(serial_app, PAGE)).cached == "hit"
    serial_app.engine.learned.policies.clear()
    assert (await ask(serial_app, PREVIEW)).document == "draft 2"
    assert (await ask(serial_app, PAGE)).document == "page 1"


@each_place
@awaited
async def test_a_stale_response_is_neither_confirmed_by_nor_sent_to_a_skipped_request(place):
    clock, app = Clock(), Pages()
    options = {"clock": clock, "cache_stale_if_error": 600, "cache_grace": 0}
    serial_app = place(app, is_preview, **options)
    await ask(serial_app, PAGE)
    clock.now += 100
    assert (await ask(serial_app, PREVIEW)).document == "draft 2"
    app.status = 0
    assert isinstance((await drive(serial_app, PREVIEW)).error, RuntimeError)
    assert (await ask(serial_app, PAGE)).document == "page 1"


@awaited
async def test_a_304_to_a_request_that_turns_out_to_be_skipped_is_not_its_answer():
    """It was asked with the validators of a response that no function guarded."""
    clock, app = Clock(), Pages()
    serial_app = serial_of(app, cache_ignore_fields="x-preview", clock=clock)
    await ask(serial_app, PAGE)
    clock.now += 100
    app.policy = {"skip": is_preview}
    answer = await ask(serial_app, PREVIEW)
    assert (answer.status, answer.document) == (200, "draft 3")


@awaited
async def test_an_upload_that_is_keyed_on_is_asked_about_as_well():
    app = Pages(cache_body=True)
    serial_app = by_handler(app, is_preview)
    for made, expected in [(PAGE, 1), (PREVIEW, 2), (PAGE, 1), (PREVIEW, 3)]:
        posted = Request("POST", fields=made.fields, body=(b"{}",)).having(content_length="2")
        assert (await ask(serial_app, posted)).document.endswith(f" {expected}")


@awaited
async def test_a_response_to_a_post_is_not_stored_for_an_unknown_handler_of_get():
    app = Pages((b"content-location", b"/"), FRESH)
    serial_app = by_handler(app, is_preview, cache_posted=True)
    posted = Request("POST", body=(b"{}",)).having(content_length="2")
    await ask(serial_app, posted)
    assert (await ask(serial_app, PREVIEW)).document == "draft 2"
    assert (await ask(serial_app, PREVIEW)).document == "draft 3"


@pytest.mark.parametrize(
    "request_",
    [PAGE.having(cache_control="no-store"), Request("PUT"), Request("DELETE")],
    ids=["no-store", "PUT", "DELETE"],
)
@awaited
async def test_a_request_that_passes_anyway_asks_nothing(request_):
    asked = []
    serial_app = by_pattern(Pages(), asked.append)
    await ask(serial_app, request_)
    assert asked == []


@awaited
async def test_a_function_is_asked_once_for_each_request():
    asked = []

    def skip(scope):
        asked.append(scope["path"])
        return False

    serial_app = by_handler(Pages(), skip)
    for number in range(1, 5):
        await ask(serial_app, PAGE)
        assert len(asked) == number


@awaited
async def test_a_function_of_other_code_than_the_handler_turns_the_cache_off():
    @serial(skip=lambda scope: False)
    def helper():
        return None

    class Calling(Pages):
        async def __call__(self, scope, receive, send):
            helper()
            await super().__call__(scope, receive, send)

    serial_app = serial_of(Calling())
    for number in range(1, 3):
        assert (await ask(serial_app, PAGE)).document == f"page {number}"


@awaited
async def test_a_path_that_may_be_read_as_a_guarded_one_is_not_cached():
    app = Pages()
    serial_app = serial_of(app, routes={"/drafts/*": {"skip": lambda scope: False}})
    for number in range(1, 3):
        answer = await ask(serial_app, Request(path="/x/..%2fdrafts/1/"))
        assert answer.document == f"page {number}"


@awaited
async def test_with_only_if_cached_a_skipped_request_gets_a_504():
    serial_app = by_pattern(Pages(), lambda scope: True)
    answer = await ask(serial_app, PAGE.having(cache_control="only-if-cached"))
    assert answer.status == 504
