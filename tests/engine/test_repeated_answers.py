"""An answer is repeated within its second to equal requests, and to no others."""

import pytest

from asgi_serial.caching.serving import serve
from asgi_serial.request.plan import RequestPlan, plan_request

from .client import understand
from .driver import Clock, Recording, Request, awaited, serial_of
from .making import FRESH, JSON

PLAIN = Request()
CONDITIONAL = PLAIN.having(if_none_match='"v1"')


class App:
    """Counts its calls."""

    def __init__(self):
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        fields = [JSON, FRESH, (b"etag", b'"v1"')]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"{}"})


async def ask(app, request):
    recording = Recording()
    await app(request.make_scope(), request.make_receive(), recording.send)
    return understand(recording)


@pytest.mark.parametrize("said", ["max-age=5", "min-fresh=55"])
@awaited
async def test_a_request_that_bounds_the_age_is_held_against_it_within_the_second(said):
    clock, app = Clock(1_800_000_000.5), App()
    served = serial_of(app, clock=clock)
    await ask(served, PLAIN)
    for after, calls in ((4.9, 1), (4.95, 1), (5.1, 2)):
        clock.now = 1_800_000_000.5 + after
        await ask(served, PLAIN.having(cache_control=said))
        assert app.calls == calls


class Interrupted(RequestPlan):
    """A plan at which another thread answers in between."""

    __slots__ = ()

    @property
    def collapsed(self):
        answer_another()
        return False


def answer_another():
    """Is replaced by the tests."""


@pytest.mark.parametrize(
    ("own", "other", "status"),
    [
        pytest.param(PLAIN, CONDITIONAL, 200, id="a plain request, at a 304"),
        pytest.param(CONDITIONAL, PLAIN, 304, id="a conditional request, at a 200"),
    ],
)
@awaited
async def test_an_answer_of_another_thread_changes_nothing_in_one_that_is_repeated(
    own, other, status, monkeypatch
):
    served = serial_of(App())
    engine = served.engine
    for request in (PLAIN, own, own, own):
        await ask(served, request)

    def answer(plan):
        found = engine.responses.find(plan.key, plan)
        return serve(engine, plan, found, engine.clock())

    def answer_other():
        answer(plan_request(engine, other.make_scope()))

    monkeypatch.setitem(globals(), "answer_another", answer_other)
    plan = plan_request(engine, own.make_scope())
    plan.__class__ = Interrupted
    start, last, *_ = answer(plan)
    assert (start["status"], last["body"]) == (status, b"{}" if status == 200 else b"")


@awaited
async def test_what_is_done_to_the_fields_of_an_answer_is_not_repeated():
    served = serial_of(App())

    async def around(scope, receive, send):
        async def sending(message):
            message.get("headers", []).append((b"x-added", b"1"))
            await send(message)

        await served(scope, receive, sending)

    for _ in range(4):
        assert len((await ask(around, PLAIN)).all("x-added")) == 1
