"""Many clients at once: one call of the app where it serves all, no wait where it can not."""

import asyncio
from typing import Any

import pytest

from .client import understand
from .driver import Clock, Recording, Request, ask, awaited, drive, serial_of, settled
from .scripts import DOCUMENT, FRESH_JSON, JSON, body_of, start_of
from .variants import VALUE, VARIANTS, variants_as, wanting


class Gated:
    """An app that answers only once its gate is open, and counts who is inside."""

    def __init__(self, **fields: str) -> None:
        self.fields = fields
        self.gate = asyncio.Event()
        self.calls = self.inside = self.most_inside = 0
        self.fails = 0  # so many calls fail after the gate

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        call = self.calls
        try:
            await self.gate.wait()
            if call <= self.fails:
                raise RuntimeError(call)
            await send(start_of(**self.fields))
            await send(body_of(DOCUMENT))
        finally:
            self.inside -= 1


def asking(app: Any, requests: list[Request]) -> list[asyncio.Task[Recording]]:
    return [asyncio.create_task(drive(app, request)) for request in requests]


@awaited
async def test_a_hundred_misses_call_the_app_once():
    app = Gated(**FRESH_JSON)
    tasks = asking(serial_of(app, cache_ttl="60s"), [Request()] * 100)
    await settled()
    app.gate.set()
    answers = [understand(await task) for task in tasks]
    assert app.calls == 1
    assert all(answer.document == VALUE for answer in answers)
    assert sum("collapsed" in str(answer.one("cache-status")) for answer in answers) == 99


@variants_as("variant")
@awaited
async def test_each_of_a_crowd_gets_its_own_form(variant):
    """Whatever the first one wants."""
    app = Gated(**FRESH_JSON)
    variants = [variant, *VARIANTS * 3]
    tasks = asking(serial_of(app, cache_ttl="60s"), [wanting(one) for one in variants])
    await settled()
    app.gate.set()
    for (media_type, coding), task in zip(variants, tasks, strict=True):
        answer = understand(await task)
        assert (answer.media_type, answer.coding) == (media_type, coding)
        assert answer.document == VALUE
    assert app.calls == 1


@pytest.mark.parametrize(
    ("fields", "request_fields"),
    [
        ({**JSON, "cache_control": "no-store"}, {}),
        ({**FRESH_JSON, "set_cookie": "a=b"}, {}),
        (FRESH_JSON, {"cookie": "a=b"}),
        (FRESH_JSON, {"authorization": "Basic YTpi"}),
        (FRESH_JSON, {"cache_control": "no-store"}),
        (JSON, {}),
    ],
    ids=str,
)
@awaited
async def test_those_who_get_nothing_of_it_do_not_wait(fields, request_fields):
    """After the first crowd has shown that nothing is stored, all are inside at once."""
    app = Gated(**fields)
    middleware = serial_of(app)
    requests = [Request().having(**request_fields)] * 20
    app.gate.set()
    await ask(middleware, requests[0])
    app.gate.clear()
    tasks = asking(middleware, requests)
    await settled()
    assert app.inside == 20
    app.gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("fields", [JSON, FRESH_JSON], ids=["no freshness", "its own freshness"])
@awaited
async def test_nobody_waits_where_nothing_says_that_it_will_be_stored(fields):
    """By default three GETs of a handler that takes a second take a second each, and not three."""
    app = Gated(**fields)
    tasks = asking(serial_of(app), [Request()] * 20)
    await settled()
    assert app.inside == 20
    app.gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("path", "collapses"),
    [pytest.param("/", True, id="this resource"), pytest.param("/other", False, id="another")],
)
@awaited
async def test_what_was_stored_once_is_waited_for(path, collapses):
    """Also after a write has dropped it."""
    clock = Clock()
    app = Gated(**FRESH_JSON)
    middleware = serial_of(app, clock=clock)
    app.gate.set()
    await ask(middleware, Request())
    clock.now += 1
    await ask(middleware, Request("PUT"))
    clock.now += 1
    app.gate.clear()
    tasks = asking(middleware, [Request(path=path)] * 20)
    await settled()
    assert app.inside == (1 if collapses else 20)
    app.gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    ("settings", "collapses"),
    [
        pytest.param({"cache_ttl": "60s"}, True, id="a lifetime for all"),
        pytest.param({"routes": {"/": {"cache_ttl": "60s"}}}, True, id="a pattern's"),
        pytest.param({"routes": {"/x": {"cache_ttl": "60s"}}}, False, id="another pattern's"),
        pytest.param({"cache_heuristic": True}, True, id="guesses"),
        pytest.param({"cache_negative_ttl": "60s"}, False, id="a lifetime of errors"),
        pytest.param({}, False, id="none"),
    ],
)
@awaited
async def test_a_lifetime_of_ours_lets_the_first_crowd_wait(settings, collapses):
    app = Gated(**JSON)
    tasks = asking(serial_of(app, **settings), [Request()] * 20)
    await settled()
    assert app.inside == (1 if collapses else 20)
    app.gate.set()
    await asyncio.gather(*tasks)


@awaited
async def test_what_is_not_stored_any_more_is_not_waited_for():
    clock = Clock()
    app = Gated(**FRESH_JSON)
    middleware = serial_of(app, clock=clock)
    app.gate.set()
    await ask(middleware, Request())
    clock.now += 61
    app.fields = {**JSON, "cache_control": "no-store"}
    for _ in range(2):
        await ask(middleware, Request())
    clock.now += 60
    app.gate.clear()
    tasks = asking(middleware, [Request()] * 20)
    await settled()
    assert app.inside == 20
    app.gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    "client", [Request(), Request().having(accept_encoding="gzip")], ids=["plain", "gzip"]
)
@pytest.mark.parametrize("status", [404, 500])
@awaited
async def test_what_comes_after_errors_is_stored(client, status):
    """An error that is not stored says nothing of the next response."""
    answers = [start_of(status, **JSON)] * 3 + [start_of(**FRESH_JSON)] * 2

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(answers.pop(0))
        await send(body_of(DOCUMENT))

    middleware = serial_of(app)
    said = [(await ask(middleware, client)).cached for _ in range(5)]
    assert said == ["fwd=uri-miss"] * 3 + ["fwd=uri-miss, stored", "hit"]


@pytest.mark.parametrize(
    "client", [Request(), Request().having(accept_encoding="gzip")], ids=["plain", "gzip"]
)
@awaited
async def test_what_comes_after_others_that_were_not_stored_is_stored_at_once(client):
    answers = [start_of(**JSON)] * 3 + [start_of(**FRESH_JSON)] * 2

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(answers.pop(0))
        await send(body_of(b"[1]"))

    middleware = serial_of(app)
    said = [(await ask(middleware, client)).cached for _ in range(5)]
    assert said == ["fwd=uri-miss"] * 3 + ["fwd=uri-miss, stored", "hit"]


@awaited
async def test_the_failure_of_the_first_fails_nobody_else():
    app = Gated(**FRESH_JSON)
    app.fails = 1
    tasks = asking(serial_of(app, cache_ttl="60s"), [Request()] * 10)
    await settled()
    app.gate.set()
    recordings = await asyncio.gather(*tasks)
    assert isinstance(recordings[0].error, RuntimeError)
    assert all(understand(one).document == VALUE for one in recordings[1:])
    assert app.calls == 2


@awaited
async def test_the_cancellation_of_the_first_cancels_nobody_else():
    app = Gated(**FRESH_JSON)
    tasks = asking(serial_of(app, cache_ttl="60s"), [Request()] * 10)
    await settled()
    tasks[0].cancel()
    await settled()
    app.gate.set()
    recordings = await asyncio.gather(*tasks[1:])
    assert all(understand(one).document == VALUE for one in recordings)
    assert tasks[0].cancelled()
    assert app.calls == 1


@awaited
async def test_the_cancellation_of_one_who_waits_cancels_nobody_else():
    app = Gated(**FRESH_JSON)
    tasks = asking(serial_of(app, cache_ttl="60s"), [Request()] * 10)
    await settled()
    tasks[4].cancel()
    await settled()
    app.gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done.pop(4), asyncio.CancelledError)
    assert all(understand(one).document == VALUE for one in done)
    assert app.calls == 1


@awaited
async def test_nobody_waits_for_ever():
    app = Gated(**FRESH_JSON)
    middleware = serial_of(app, cache_ttl="60s", cache_wait="10ms")
    tasks = asking(middleware, [Request()] * 3)
    while app.inside < 3:
        await asyncio.sleep(0.005)
    app.gate.set()
    for task in tasks:
        assert understand(await task).document == VALUE


@awaited
async def test_a_conditional_first_holds_up_nobody():
    """It gets its 304, the others one response."""

    class Conditional(Gated):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if b"if-none-match" in dict(scope["headers"]):
                self.calls += 1
                await self.gate.wait()
                await send(start_of(304, **self.fields))
                await send(body_of())
            else:
                await super().__call__(scope, receive, send)

    app = Conditional(etag='"v1"', **FRESH_JSON)
    held = Request().having(if_none_match='"v1"')
    tasks = asking(serial_of(app, cache_ttl="60s"), [held, *[Request()] * 20])
    await settled()
    app.gate.set()
    first, *others = [understand(await task) for task in tasks]
    assert (first.status, first.one("etag")) == (304, '"v1"')
    assert all(answer.document == VALUE for answer in others)
    assert app.calls <= 2


@awaited
async def test_a_response_from_before_a_write_is_not_stored_after_it():
    app = Gated(**FRESH_JSON)
    middleware = serial_of(app, cache_ttl="60s")
    early = asking(middleware, [Request()] * 3)
    await settled()
    writing = asyncio.create_task(ask(middleware, Request("PUT")))
    await settled()
    assert app.calls == 2
    app.gate.set()
    await writing
    for task in early:
        assert understand(await task).document == VALUE
    before = app.calls
    await ask(middleware, Request())
    assert app.calls == before + 1
