from threading import Thread

import pytest

from asgi_serial.reasons import Reason
from asgi_serial.timing.base import OUTCOMES, PHASES
from asgi_serial.timing.figures import USUAL, WIDTH
from asgi_serial.timing.recorder import (
    FULL,
    MAX_KINDS_WAITING,
    OTHER_METHOD,
    OTHER_ROUTE,
    OTHER_STATUS,
    SeriesKey,
    SeriesRecorder,
)
from asgi_serial.timing.workers.packing import pack_history, pack_series
from tests.timing.recording import record as record_any
from tests.timing.recording import times_of

OTHER = (OTHER_ROUTE, OTHER_METHOD, OTHER_STATUS, "completed")
MISS = ("completed", "miss", "", "identity", "", ())
HIT = ("completed", "hit", "", "identity", "", ())
TIMES = times_of(1)


def record(recorder: SeriesRecorder, *labels, **values) -> None:
    """Record a request that has a value for everything."""
    usual = {
        "cache": "miss",
        "first_byte_ns": 2_000_000,
        "total_ns": 3_000_000,
        "app_bytes": 100,
        "encoded_bytes": 80,
        "sent_bytes": 50,
        "phases": (0, 0, 0, 2_000_000, 0, 1_000_000, 0, 0),
    }
    record_any(recorder, *labels, **(usual | values))


def count_of(recorder: SeriesRecorder) -> int:
    return sum(series.total.count for series in recorder.snapshot().values())


def test_one_series_holds_the_totals_of_its_requests():
    recorder = SeriesRecorder()
    record(recorder, reasons=(Reason.MISS, Reason.TOO_SMALL), encodings="miss")
    record(recorder, reasons=(Reason.TOO_SMALL,), cache="hit", encodings="hit")
    series = recorder.snapshot()["/", "GET", 200, "completed"]
    assert series.total.count == series.first_byte.count == 2
    assert (series.first_byte.sum_ns, series.total.sum_ns) == (4_000_000, 6_000_000)
    assert (series.app_bytes, series.encoded_bytes, series.sent_bytes) == (200, 160, 100)
    assert series.cache["hit"] == series.cache["miss"] == 1
    assert series.encodings == {"hit": 1, "miss": 1, "": 0}
    assert series.reasons == {"MISS": 1, "TOO_SMALL": 2}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(("/", "PURGE", 200), ("/", "OTHER", 200), id="an unknown method"),
        pytest.param(("/", "get", 200), ("/", "OTHER", 200), id="a method in lower case"),
        pytest.param(("/", "QUERY", 200), ("/", "QUERY", 200), id="a newer method"),
        pytest.param(("/", "GET", 99), ("/", "GET", 0), id="a status below all"),
        pytest.param(("/", "GET", 600), ("/", "GET", 0), id="a status above all"),
        pytest.param(("/", "GET", 418), ("/", "GET", 418), id="a rare status"),
        pytest.param(("/" + "x" * 999, "GET", 200), ("/" + "x" * 199, "GET", 200), id="a long one"),
    ],
)
def test_labels_are_bounded(given, expected):
    recorder = SeriesRecorder()
    record(recorder, *given)
    record(recorder, *given)
    expected = (*expected, "completed")
    assert list(recorder.snapshot()) == [expected]
    assert recorder.snapshot()[expected].total.count == 2


def test_a_hundred_thousand_labels_share_the_series_of_the_rest():
    recorder = SeriesRecorder(max_series=100)
    for number in range(100_000):
        record(recorder, f"/{number}")
    series = recorder.snapshot()
    assert len(series) == 101
    assert series[OTHER].total.count == recorder.overflowed == 99_900
    record(recorder, "/7")
    assert recorder.snapshot()["/7", "GET", 200, "completed"].total.count == 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"route": None}, id="no route"),
        pytest.param({"route": 42}, id="a route that is a number"),
        pytest.param({"status": "200"}, id="a status in words"),
        pytest.param({"outcome": "hit"}, id="an outcome that is none"),
        pytest.param({"cache": "hti"}, id="a part of the cache that is none"),
        pytest.param({"encodings": "stale"}, id="a part of the encodings that is none"),
        pytest.param({"coding": "x" * 101}, id="a coding that is too long"),
        pytest.param({"format": None}, id="no format"),
        pytest.param({"total_ns": float("nan")}, id="a duration that is no number"),
        pytest.param({"first_byte_ns": "1"}, id="a duration in words"),
        pytest.param({"sent_bytes": None}, id="no size"),
        pytest.param({"reasons": None}, id="no reasons"),
        pytest.param({"reasons": ("HIT",)}, id="a reason in words"),
    ],
)
def test_a_faulty_sample_is_counted_and_never_raises_nor_harms_others(fault):
    recorder = SeriesRecorder()
    record(recorder)
    record(recorder, **fault)
    record(recorder)
    (series,) = recorder.snapshot().values()
    assert recorder.failures == 1
    assert series.total.count == series.first_byte.count == series.cache["miss"] == 2
    assert series.total.sum_ns == 6_000_000
    assert (series.app_bytes, series.encoded_bytes, series.sent_bytes) == (200, 160, 100)


@pytest.mark.parametrize("width", [USUAL, WIDTH], ids=["usual ones", "others"])
def test_samples_are_counted_in_batches_and_none_is_lost(width):
    recorder = SeriesRecorder()
    kind = recorder.kinds["/", "GET", 200, *MISS]
    batch = -(-FULL // width)
    for number in range(4 * batch):  # four full batches, after which none waits
        recorder.record(kind, (number, number, *[1] * (width - 2)))
        assert len(kind.samples) + len(kind.usual_samples) < FULL
    assert kind.samples == kind.usual_samples == []
    for _ in range(2):
        assert recorder.snapshot()["/", "GET", 200, "completed"].total.count == 4 * batch


def test_a_usual_sample_counts_as_one_whose_other_figures_are_zero():
    short, long = SeriesRecorder(), SeriesRecorder()
    usual = (2_000_000.5, 3_000_000.25, 100, 80, 50, 1_000_000, 900_000, 5_000_000, 7e9)
    for recorder, figures in ((short, usual), (long, (*usual, *[0.0] * (WIDTH - USUAL)))):
        kind = recorder.kinds["/", "GET", 503, *MISS]
        for _ in range(3):
            recorder.record(kind, figures)
    (one,), (other,) = (recorder.snapshot().values() for recorder in (short, long))
    assert pack_series(SeriesKey("/", "GET", 503, "completed"), one) == pack_series(
        SeriesKey("/", "GET", 503, "completed"), other
    )
    assert dict(zip(PHASES, one.phases_ns, strict=True)) == {
        **dict.fromkeys(PHASES, 0),
        **{"look-up": 3_000_000, "app-first-byte": 3_000_002, "app-last-byte": 299_999},
        **{"send": 2_700_000, "background": 15_000_000},
    }
    assert pack_history(short.history) == pack_history(long.history)


def test_usual_samples_and_others_of_a_kind_are_counted_together():
    recorder = SeriesRecorder()
    for number in range(1000):
        record(recorder, first_byte_ns=number, phases=(number % 3, 0, 0, number, 0, 0, 0, 0))
    (series,) = recorder.snapshot().values()
    assert series.total.count == series.first_byte.count == series.cache["miss"] == 1000
    assert series.phases_ns[:2] == [sum(n % 3 for n in range(1000)), 0]
    assert recorder.recorded == 1000


def test_snapshots_in_a_thread_lose_and_double_nothing():
    recorder = SeriesRecorder()
    counts = []

    def read() -> None:
        while not counts or counts[-1] < 20_000:
            counts.append(count_of(recorder))

    reader = Thread(target=read)
    reader.start()
    for number in range(20_000):
        record(recorder, f"/{number % 7}", total_ns=number, reasons=tuple(Reason)[: number % 9])
    reader.join(timeout=60)
    assert counts[-1] == 20_000
    assert counts == sorted(counts)
    assert recorder.failures == 0


@pytest.mark.parametrize("is_at_once", [True, False], ids=["sent at once", "sent in time"])
def test_samples_of_a_kind_are_counted_as_one_by_one(is_at_once):
    batched, each = SeriesRecorder(), SeriesRecorder()
    for number in range(1000):
        first_byte = number if is_at_once else number // 2
        record(batched, first_byte_ns=first_byte, total_ns=number, reasons=(Reason.HIT,))
        record(each, first_byte_ns=first_byte, total_ns=number, reasons=(Reason.HIT,))
        each.snapshot()
    (one,), (other,) = batched.snapshot().values(), each.snapshot().values()
    for histogram in ("first_byte", "total"):
        some, others = getattr(one, histogram), getattr(other, histogram)
        assert some.percentiles([1, 50, 99]) == others.percentiles([1, 50, 99])
        assert (some.count, some.sum_ns) == (others.count, others.sum_ns)
    for totals in ("app_bytes", "encoded_bytes", "sent_bytes", "cache", "encodings", "reasons"):
        assert getattr(one, totals) == getattr(other, totals)


def test_samples_of_many_kinds_wait_in_bounded_memory():
    recorder = SeriesRecorder(max_series=100)
    for number in range(10_000):
        record(recorder, f"/{number}")
        assert len(recorder._waiting) <= MAX_KINDS_WAITING
        assert len(recorder.kinds) <= 4096
    series = recorder.snapshot()
    assert series[OTHER].total.count == recorder.overflowed == 9900


def test_a_kind_that_is_kept_counts_after_the_recorder_has_forgotten_it():
    recorder = SeriesRecorder()
    kind = recorder.kinds["/", "GET", 200, *HIT]
    recorder.record(kind, (1, 1, 1, 1, 1, *TIMES))
    recorder.kinds.clear()
    recorder.record(kind, (1, 1, 1, 1, 1, *TIMES))
    record(recorder, cache="hit")
    assert recorder.snapshot()["/", "GET", 200, "completed"].cache["hit"] == 3
    recorder.record(kind, (1, 1, 1, 1, 1, *TIMES))
    assert count_of(recorder) == 4


def test_samples_that_are_malformed_are_failures_and_harm_no_others():
    recorder = SeriesRecorder()
    for number in range(1000):
        record(recorder, total_ns="1" if number % 2 else 1)
    assert count_of(recorder) == recorder.failures == 500


def test_samples_of_kinds_in_threads_are_neither_lost_nor_doubled():
    recorder = SeriesRecorder()
    kinds = [recorder.kinds[f"/{number}", "GET", 200, *HIT] for number in range(3)]
    threads = [
        Thread(
            target=lambda: [
                recorder.record(kinds[n % 3], (n, n // 2, 1, 1, 1, *TIMES)) for n in range(20_000)
            ]
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    counts = []
    while any(thread.is_alive() for thread in threads):
        counts.append(count_of(recorder))
    assert counts == sorted(counts)
    assert count_of(recorder) == 60_000


def test_while_a_report_is_made_samples_wait():
    recorder = SeriesRecorder()
    with recorder._lock:
        for number in range(FULL + MAX_KINDS_WAITING):
            record(recorder)
            record(recorder, f"/{number}")
    assert count_of(recorder) == 2 * (FULL + MAX_KINDS_WAITING)


def test_a_series_that_took_no_sample_is_not_shown():
    recorder = SeriesRecorder()
    record(recorder, cache="none")
    record(recorder, sent_bytes=None)
    assert recorder.snapshot() == {}
    assert recorder.failures == 2


def test_merging_adds_all_totals():
    one, other = SeriesRecorder(), SeriesRecorder()
    record(one, reasons=(Reason.HIT,), cache="hit")
    record(other, reasons=(Reason.HIT, Reason.WOULD_NOT_SHRINK), cache="hit")
    merged = one.snapshot()["/", "GET", 200, "completed"]
    merged.merge(other.snapshot()["/", "GET", 200, "completed"])
    assert merged.total.count == merged.first_byte.count == merged.cache["hit"] == 2
    assert merged.reasons == {"HIT": 2, "WOULD_NOT_SHRINK": 1}
    assert (merged.app_bytes, merged.encoded_bytes, merged.sent_bytes) == (200, 160, 100)


def test_clearing_forgets_all():
    recorder = SeriesRecorder(max_series=0)
    record(recorder)
    record(recorder, cache="none")
    recorder.clear()
    assert (recorder.snapshot(), recorder.failures, recorder.overflowed) == ({}, 0, 0)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_each_outcome_has_a_series_of_its_own(outcome):
    recorder = SeriesRecorder(max_series=0)
    for each in OUTCOMES:
        record(recorder, outcome=each)
    record(recorder, outcome=outcome)
    series = recorder.snapshot()
    assert {key.outcome: one.total.count for key, one in series.items()} == {
        **dict.fromkeys(OUTCOMES, 1),
        outcome: 2,
    }


def test_the_phases_and_the_codings_are_summed_up():
    recorder = SeriesRecorder()
    for _ in range(300):
        record(recorder, coding="br")
        phases = (0, 0, 0, 2_000_000, 0, 3_000_000, 0, 0)
        record(recorder, coding="gzip", total_ns=5_000_000, phases=phases)
    record(recorder)
    for _ in range(2):
        (series,) = recorder.snapshot().values()
        assert dict(zip(PHASES, series.phases_ns, strict=True)) == {
            **dict.fromkeys(PHASES, 0),
            "app-first-byte": 601 * 2_000_000,
            "encode": 300 * 4_000_000 + 1_000_000,
        }
        codings = {
            name: (one.count, one.encoded_bytes, one.sent_bytes, one.encode_ns)
            for name, one in series.codings.items()
        }
        assert codings == {
            "br": (300, 24_000, 15_000, 300_000_000),
            "gzip": (300, 24_000, 15_000, 900_000_000),
            "identity": (1, 80, 50, 1_000_000),
        }


def test_what_was_recorded_is_counted_whatever_it_was():
    recorder = SeriesRecorder()
    for number in range(600):
        record(recorder, total_ns=number if number % 3 else "1")
    recorder.snapshot()
    assert (recorder.recorded, recorder.failures) == (600, 200)
