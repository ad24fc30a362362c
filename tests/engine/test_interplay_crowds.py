"""Many clients at once: one call of the app where it serves all, no wait where it can not."""

import asyncio
from typing import Any

import pytest

from .client import understand
from .driver import Recording, Request, ask, awaited, drive, serial_of, settled
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
    tasks = asking(serial_of(app), [Request()] * 100)
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
    tasks = asking(serial_of(app), [wanting(one) for one in variants])
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


@awaited
async def test_the_failure_of_the_first_fails_nobody_else():
    app = Gated(**FRESH_JSON)
    app.fails = 1
    tasks = asking(serial_of(app), [Request()] * 10)
    await settled()
    app.gate.set()
    recordings = await asyncio.gather(*tasks)
    assert isinstance(recordings[0].error, RuntimeError)
    assert all(understand(one).document == VALUE for one in recordings[1:])
    assert app.calls == 2


@awaited
async def test_the_cancellation_of_the_first_cancels_nobody_else():
    app = Gated(**FRESH_JSON)
    tasks = asking(serial_of(app), [Request()] * 10)
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
    tasks = asking(serial_of(app), [Request()] * 10)
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
    middleware = serial_of(app, cache_wait="10ms")
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
    tasks = asking(serial_of(app), [held, *[Request()] * 20])
    await settled()
    app.gate.set()
    first, *others = [understand(await task) for task in tasks]
    assert (first.status, first.one("etag")) == (304, '"v1"')
    assert all(answer.document == VALUE for answer in others)
    assert app.calls <= 2


@awaited
async def test_a_response_from_before_a_write_is_not_stored_after_it():
    app = Gated(**FRESH_JSON)
    middleware = serial_of(app)
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
