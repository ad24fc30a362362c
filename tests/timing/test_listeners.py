"""A callback of the user's, and the log of slow requests, hear of each request and break none."""

import logging
from functools import partial

import pytest

from asgi_serial import ConfigurationError, Sample, SerialMiddleware, timing_report
from asgi_serial.reasons import Reason
from asgi_serial.timing.base import PHASES
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.relay import RelayRecorder, find_listeners
from asgi_serial.timing.slow_log import log_slow
from tests.engine.driver import Request, Whole, ask, awaited
from tests.timing.recording import record

JSON = {"content_type": "application/json", "cache_control": "max-age=60"}
OFF = {"cache": False, "compression": False, "formats": False, "decoding": False}
GET = Request(path="/items")
SAMPLE = Sample(
    *("/items/{id}", "GET", 200, "completed", 1_000_000, 1_234_500_000, 10, 10, 10),
    *("miss", "", "br", "", (0, 0, 500_000, 900_000_000, 0, 12_000_000, 322_000_000, 0)),
    (Reason.NO_FRESHNESS,),
)


def served(app=None, **options):
    app = app or Whole(b'{"a": 1}' * 100, **JSON)
    return SerialMiddleware(app, route_resolver=lambda _: "/{id}", **options)


@pytest.mark.parametrize("options", [{}, OFF, {**OFF, "timing": False}], ids=str)
@awaited
async def test_the_callback_hears_of_each_request(options):
    samples = []
    app = served(on_response=samples.append, **options)
    for _ in range(2):
        await ask(app, GET)
    assert [(one.route, one.method, one.status, one.outcome) for one in samples] == [
        ("/{id}", "GET", 200, "completed")
    ] * 2
    assert all(isinstance(one, Sample) for one in samples)


@awaited
async def test_a_callback_and_a_recorder_hear_the_same():
    heard, told = [], []

    class Telling:
        def record(self, sample):
            told.append(sample)

    app = served(on_response=heard.append, recorder=Telling())
    await ask(app, GET)
    assert heard == told
    assert heard


def fail(sample, why):
    raise RuntimeError(why)


@awaited
async def test_a_callback_that_fails_breaks_no_request_and_keeps_others_from_nothing(caplog):
    heard = []

    class Telling:
        def record(self, sample):
            heard.append(sample)
            raise RuntimeError("nor does this")

    app = served(on_response=partial(fail, why="it does not work"), recorder=Telling())
    with caplog.at_level(logging.WARNING, "asgi_serial"):
        for _ in range(3):
            answer = await ask(app, GET)
            assert (answer.status, answer.is_whole) == (200, True)
    assert len(heard) == 3
    engine = timing_report(app).engine
    assert (engine["on_response_failures"], engine["recorder_failures"]) == (3, 3)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" fails")[0] for line in lines] == [
        *("The recorder", "The callback on_response")
    ]


class Asynchronous:
    async def __call__(self, sample):
        raise NotImplementedError


async def coroutine(sample):
    raise NotImplementedError


@pytest.mark.parametrize(
    "callback",
    ["print", 1, coroutine, Asynchronous()],
    ids=["text", "a number", "a coroutine", "an object that is called as one"],
)
def test_what_cannot_be_called_with_a_sample_is_refused_at_once(callback):
    with pytest.raises(ConfigurationError, match=r"on_response is .*; expected a function"):
        served(on_response=callback)


def relay_of(limit_ms):
    return RelayRecorder(find_listeners(None, None, limit_ms).values(), SeriesRecorder())


@pytest.mark.parametrize(
    ("total_ns", "is_logged"),
    [(0, False), (99_999_999, False), (100_000_000, True), (10**12, True)],
)
def test_a_request_is_logged_from_the_limit_on(total_ns, is_logged, caplog):
    relay = relay_of(100)
    with caplog.at_level(logging.DEBUG, "asgi_serial.slow"):
        record(relay, "/r", total_ns=total_ns)
    assert len(caplog.records) == is_logged


def test_the_line_of_a_slow_request_has_its_labels_and_phases_as_attributes(caplog):
    log_slow(SAMPLE)
    (line,) = caplog.records
    assert (line.name, line.levelno) == ("asgi_serial.slow", logging.WARNING)
    assert line.getMessage() == (
        "GET /items/{id} took 1234 ms: 200 completed,"
        " app-first-byte 900 ms, send 322 ms, encode 12 ms"
    )
    assert (line.route, line.method, line.status) == ("/items/{id}", "GET", 200)
    assert (line.outcome, line.cache, line.coding) == ("completed", "miss", "br")
    assert line.total_ms == 1234.5
    assert list(line.phases) == list(PHASES)
    assert (line.phases["look-up"], line.phases["app-first-byte"]) == (0.5, 900.0)
    assert line.reasons == ["no-freshness"]


def test_a_route_cannot_forge_a_line_nor_speak_to_the_terminal(caplog):
    log_slow(SAMPLE._replace(route="/a\nCRITICAL a line\x1b[31m", phases=(0,) * 8))
    (line,) = caplog.records
    assert line.getMessage() == "GET /a?CRITICAL a line?[31m took 1234 ms: 200 completed"
    assert line.route == "/a\nCRITICAL a line\x1b[31m"


def test_phases_that_took_no_time_are_not_in_the_line(caplog):
    log_slow(SAMPLE._replace(phases=(0, 0, 400_000, 2_000_000, 0, 0, 0, 0), total_ns=2_400_000))
    assert caplog.messages == ["GET /items/{id} took 2 ms: 200 completed, app-first-byte 2 ms"]


@awaited
async def test_slow_requests_are_logged_where_it_is_set_and_nowhere_else(caplog):
    with caplog.at_level(logging.WARNING, "asgi_serial.slow"):
        await ask(served(), GET)
        await ask(served(slow_request_ms=86_400_000), GET)
        assert caplog.records == []
        slow = served(app=Slow(), slow_request_ms=1, **OFF, timing=False)
        await ask(slow, GET)
    (line,) = caplog.records
    assert line.phases["app-first-byte"] >= 1


class Slow:
    """An app that computes for some milliseconds."""

    async def __call__(self, scope, receive, send):
        numbers = range(300_000)
        body = str(sum(number * number for number in numbers)).encode()
        await Whole(body, **JSON)(scope, receive, send)


class Refusing(logging.Filter):
    def filter(self, line):
        raise RuntimeError("a filter that is wrong")


@awaited
async def test_a_log_that_fails_breaks_no_request():
    logger, refusing = logging.getLogger("asgi_serial.slow"), Refusing()
    logger.addFilter(refusing)
    try:
        app = served(app=Slow(), slow_request_ms=1)
        answer = await ask(app, GET)
    finally:
        logger.removeFilter(refusing)
    assert (answer.status, answer.is_whole) == (200, True)
    assert timing_report(app).engine["slow_log_failures"] == 1
