"""A recorder of the user's own hears of each answer of every kind, and may fail."""

import logging

import pytest

from asgi_serial import ConfigurationError, Reason, Sample, SerialMiddleware, timing_report
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.relay import RelayRecorder, find_listeners
from tests.engine.driver import Request, Whole, ask, awaited

JSON = {"content_type": "application/json", "cache_control": "max-age=60", "etag": '"1"'}
GET = Request(path="/items")


class Keeping:
    def __init__(self, error=None):
        self.samples = []
        self.error = error

    def record(self, sample):
        self.samples.append(sample)
        if self.error is not None:
            raise self.error


def served(recorder, app=None, **options):
    app = app or Whole(b'{"a": 1}' * 100, **JSON)
    return SerialMiddleware(app, recorder=recorder, route_resolver=lambda _: "/{id}", **options)


@awaited
async def test_each_kind_of_answer_is_told_once():
    recorder = Keeping()
    app = served(recorder)
    tag = (await ask(app, GET)).one("etag")
    await ask(app, GET)
    await ask(app, GET.having(if_none_match=tag))
    await ask(app, GET.having(range="bytes=0-9"))
    await ask(app, Request(path="/items", method="PURGE"))
    await ask(app, GET.having(content_encoding="compress", content_length="3"))
    told = [(one.route, one.method, one.status, one.cache) for one in recorder.samples]
    assert told == [
        ("/{id}", "GET", 200, "miss"),
        ("/{id}", "GET", 200, "hit"),
        ("/{id}", "GET", 304, "hit"),
        ("/{id}", "GET", 206, "hit"),
        ("/{id}", "OTHER", 200, "bypass"),
        ("(refused)", "GET", 415, ""),
    ]
    assert [one.sent_bytes for one in recorder.samples[:4]] == [800, 800, 0, 10]
    assert all(0 <= one.first_byte_ns <= one.total_ns for one in recorder.samples)
    assert recorder.samples[-1].reasons == (Reason.UNSUPPORTED_CODING,)
    assert timing_report(app).totals["count"] == len(told)


@awaited
async def test_an_app_that_fails_is_told_as_well():
    async def failing(scope, receive, send):
        raise ValueError("of the app")

    recorder = Keeping()
    with pytest.raises(ValueError, match="of the app"):
        await ask(served(recorder, failing), GET)
    (sample,) = recorder.samples
    assert (sample.status, sample.reasons[-1]) == (500, Reason.INCOMPLETE)


@pytest.mark.parametrize("cache", [True, False], ids=["cached", "not cached"])
@awaited
async def test_a_recorder_that_fails_harms_no_request_and_is_counted(cache, caplog):
    recorder = Keeping(RuntimeError("no metrics today"))
    app = served(recorder, cache=cache)
    with caplog.at_level(logging.WARNING, "asgi_serial"):
        answers = [await ask(app, GET) for _ in range(3)]
    assert [(answer.status, answer.is_whole) for answer in answers] == [(200, True)] * 3
    assert len(recorder.samples) == 3
    report = timing_report(app)
    assert report.totals["count"] == report.engine["recorder_failures"] == 3
    (record,) = caplog.records
    assert "no metrics today" in record.getMessage()


@awaited
async def test_without_timing_the_recorder_is_told_all_the_same():
    recorder = Keeping()
    off = {"cache": False, "compression": False, "formats": False, "decoding": False}
    app = served(recorder, timing=False, **off)
    await ask(app, GET)
    (sample,) = recorder.samples
    first_ns, total_ns = sample.first_byte_ns, sample.total_ns
    assert sample == Sample(
        *("/{id}", "GET", 200, "completed", first_ns, total_ns, 800, 800, 800),
        *("", "", "identity", "", sample.phases, ()),
    )
    with pytest.raises(LookupError, match="timing is off"):
        timing_report(app)


@awaited
async def test_without_a_recorder_the_report_has_no_failures_of_one():
    app = served(None)
    await ask(app, GET)
    assert "recorder_failures" not in timing_report(app).engine


def test_labels_that_are_malformed_are_not_told():
    recorder = Keeping()
    relay = RelayRecorder(find_listeners(recorder, None, None).values(), SeriesRecorder())
    for route in ("/", None):
        labels = (route, "GET", 200, "failed", "miss", "hit", "br", "application/msgpack", ())
        relay.record(relay.kinds[labels], (20, 30, 3, 4, 5, 9, 6, 1, 99, 2, 3, 8, 4, 10))
    assert recorder.samples == [
        Sample(
            *("/", "GET", 200, "failed", 20, 30, 3, 4, 5, "miss", "hit", "br"),
            *("application/msgpack", (8, 3, 4, 3, 2, 4, 6, 1), ()),
        )
    ]


class Waiting:
    async def record(self, sample):
        raise NotImplementedError


@pytest.mark.parametrize(
    "recorder",
    [object(), Waiting(), print, type("X", (), {"record": 1})()],
    ids=["no method", "a coroutine function", "a function", "an attribute"],
)
def test_what_is_no_recorder_is_refused_at_once(recorder):
    with pytest.raises(
        ConfigurationError, match=r"expected an object with a method record\(sample\)"
    ):
        served(recorder)
