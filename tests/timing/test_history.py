"""The last hour by the minute, counted by the batch."""

import random

import pytest

from asgi_serial.timing.figures import USUAL
from asgi_serial.timing.history import MINUTES, History
from asgi_serial.timing.recorder import FULL, SeriesRecorder
from tests.timing.recording import record

MINUTE = 60_000_000_000
NOW_NS, NOW = 500 * MINUTE + 30_000_000_000, 1_800_000_000.0


def counts(history, now_ns=NOW_NS):
    """The requests and errors of the minutes that have any, by how long ago these were."""
    minutes = history.to_list(now_ns, NOW)
    assert len(minutes) == MINUTES
    return {
        MINUTES - 1 - place: (one["requests"], one["errors"])
        for place, one in enumerate(minutes)
        if one["requests"]
    }


def test_requests_are_counted_in_the_minute_of_their_end():
    history = History()
    history.add([NOW_NS - MINUTE, NOW_NS - MINUTE, NOW_NS], are_errors=False)
    history.add([NOW_NS - 59 * MINUTE], are_errors=True)
    assert counts(history) == {0: (1, 0), 1: (2, 0), 59: (1, 1)}


def test_a_minute_has_the_time_at_which_it_began():
    first, *_, current = History().to_list(NOW_NS, NOW)
    assert current == {"start": NOW - 30, "requests": 0, "errors": 0}
    assert first["start"] == NOW - 30 - 59 * 60


def test_an_hour_later_they_are_gone_and_take_no_memory():
    history = History()
    for minute in range(400, 5000):
        history.add([minute * MINUTE], are_errors=minute % 2 == 0)
    assert len(history._requests) == MINUTES
    assert len(history._errors) == MINUTES // 2
    assert counts(history, 5030 * MINUTE) == {n: (1, 1 - n % 2) for n in range(31, 60)}


def test_a_batch_that_waited_for_more_than_an_hour_counts_what_is_not_too_old():
    history = History()
    history.add([n * MINUTE for n in range(300, 501)], are_errors=False)
    assert counts(history) == dict.fromkeys(range(MINUTES), (1, 0))


def test_those_of_other_processes_can_be_added():
    history, other = History(), History()
    history.add([NOW_NS], are_errors=True)
    other.add([NOW_NS - MINUTE, NOW_NS], are_errors=False)
    history.merge(other)
    assert counts(history) == {0: (2, 1), 1: (1, 0)}


@pytest.mark.parametrize("seed", range(3))
def test_the_recorder_counts_every_request_in_its_minute_whenever_it_is_folded(seed):
    rng, recorder = random.Random(seed), SeriesRecorder()
    expected = {}
    for number in range(3 * FULL // USUAL):
        ago = 59 - number * 60 * USUAL // (3 * FULL) if seed else 0
        status, outcome = rng.choice(((200, "completed"), (503, "completed"), (200, "failed")))
        ended = NOW_NS - ago * MINUTE
        record(recorder, "/", status=status, outcome=outcome, ended_ns=ended)
        requests, errors = expected.get(ago, (0, 0))
        expected[ago] = (requests + 1, errors + (status == 503 or outcome == "failed"))
        if number % 500 == 0:
            recorder.snapshot()
    recorder.snapshot()
    assert counts(recorder.history) == expected
    recorder.clear()
    assert counts(recorder.history) == {}


def test_a_malformed_sample_leaves_the_others_of_its_batch():
    recorder = SeriesRecorder()
    record(recorder, ended_ns=NOW_NS)
    record(recorder, ended_ns=NOW_NS, total_ns="1")
    record(recorder, ended_ns=NOW_NS)
    recorder.snapshot()
    assert counts(recorder.history) == {0: (2, 0)}
    assert recorder.failures == 1
