import json
from textwrap import dedent

import pytest

from asgi_serial.reasons import Reason
from asgi_serial.timing.base import PHASES
from asgi_serial.timing.gauges import Gauges
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.report import build_report
from tests.timing.recording import record as record_any

DURATIONS = {"p50", "p95", "p99", "mean", "max"}
TOTALS = {
    "count",
    "time_ms",
    "first_byte_ms",
    "last_byte_ms",
    "app_bytes",
    "encoded_bytes",
    "sent_bytes",
    "saved_percent",
    "cache",
    "codings",
    "encodings",
    "phases_ms",
    "reasons",
}


def record(recorder, labels, figures) -> None:
    *key, cache, encodings, reasons = labels
    first_ns, total_ns, app, encoded, sent = figures
    record_any(
        recorder,
        *key,
        cache=cache,
        encodings=encodings,
        reasons=reasons,
        first_byte_ns=first_ns,
        total_ns=total_ns,
        app_bytes=app,
        encoded_bytes=encoded,
        sent_bytes=sent,
        phases=(0, 0, 0, first_ns, total_ns - first_ns, 0, 0, 0),
    )


def filled() -> SeriesRecorder:
    recorder = SeriesRecorder()
    reasons = (Reason.NO_FRESHNESS, Reason.CLIENT_TAKES_NONE)
    for number in range(100):
        encodings, why = "hit" if number else "miss", reasons[: 1 + (number < 3)]
        record(
            recorder,
            ("/items/{id}", "GET", 200, "miss", encodings, why),
            (6_000_000, 8_000_000, 10_000, 8_000, 2_500),
        )
    record(recorder, ("(unmatched)", "GET", 404, "bypass", "", ()), (50_000, 50_000, 9, 9, 9))
    record(recorder, ("/odd\x1b[2J", "PURGE", 999, "", "", ()), (1_000, 1_000, 0, 0, 0))
    record(recorder, ("/", "GET", 200, "unknown", "", ()), (1, 1, 1, 1, 1))
    return recorder


def test_the_text_is_a_table_by_time_spent_with_its_reasons():
    expected = """\
        102 requests took 800 ms together
        bodies of 1.00 MB, 800 kB in their format, 250 kB sent: 75 % saved

        route        method  status  count    total  first p50  last p50      p95      p99
        /items/{id}  GET        200    100   800 ms    5.90 ms   7.99 ms  7.99 ms  7.99 ms
        (unmatched)  GET        404      1  50.0 µs    50.2 µs   50.2 µs  50.2 µs  50.2 µs
        /odd?[2J     OTHER    other      1  1.00 µs    1.01 µs   1.01 µs  1.01 µs  1.01 µs

        route        method  status     made  formatted    sent  saved  reused  cache
        /items/{id}  GET        200  1.00 MB     800 kB  250 kB   75 %    99 %  miss 100
        (unmatched)  GET        404      9 B        9 B     9 B    0 %       -  bypass 1
        /odd?[2J     OTHER    other      0 B        0 B     0 B    0 %       -

        Where the time went
          /items/{id} GET 200: app-first-byte 75 %, app-last-byte 25 %
          (unmatched) GET 404: app-first-byte 100 %
          /odd?[2J OTHER other: app-first-byte 100 %

        Codings
          none: 102 bodies of 250 kB

        Reasons
          /items/{id} GET 200: 100 x neither the response nor a policy states a freshness lifetime; send
            max-age, or set cache_ttl
          /items/{id} GET 200: 3 x the client accepts none of the codings on offer

        Recommendations
          GET /items/{id} 200: 100 of 100 times neither the response nor a policy states a freshness
            lifetime (p50 8.0 ms); set cache_ttl for the route, or send max-age, to answer repeats from the
            cache. (reasons.no-freshness 100, count 100, last_byte_ms.p50 8.0)
            > routes={"GET /items/{id}": {"cache_ttl": "60s"}}

        Recorder
          failures: 1

        Engine
          store: closed
    """  # noqa: E501
    assert build_report(filled(), engine={"store": "closed"}).to_text() == dedent(expected)


def test_before_the_first_request_all_is_zero():
    report = build_report(SeriesRecorder())
    assert report.totals["count"] == report.totals["saved_percent"] == 0
    assert report.to_text().startswith("0 requests took 0 ms together\n")
    assert json.loads(report.to_json())["routes"] == []


def test_the_json_has_the_keys_that_its_readers_know():
    document = json.loads(build_report(filled(), engine={"hits": 3, "by": object}).to_json())
    assert document["schema"] == 2
    assert set(document) == {
        *("schema", "routes", "totals", "recommendations", "recorder", "engine"),
        *("in_flight", "websockets", "processes"),
    }
    assert set(document["totals"]) == TOTALS
    assert document["recorder"] == {"failures": 1, "overflowed": 0}
    assert document["engine"]["hits"] == 3
    row = document["routes"][0]
    assert set(row) == TOTALS | {"route", "method", "status", "outcome"}
    assert set(row["first_byte_ms"]) == set(row["last_byte_ms"]) == DURATIONS
    assert row["cache"] == {
        **{"hit": 0, "stale": 0, "validated": 0, "collapsed": 0, "miss": 100},
        **{"refresh": 0, "bypass": 0, "off": 0},
    }
    assert row["encodings"] == {"hit": 99, "miss": 1}
    assert list(row["phases_ms"]) == [*PHASES]
    assert (row["phases_ms"]["app-first-byte"], row["phases_ms"]["app-last-byte"]) == (600, 200)
    assert row["codings"] == {
        "identity": {
            "count": 100,
            "encoded_bytes": 800_000,
            "sent_bytes": 250_000,
            "encode_ms": 0,
        }
    }
    assert row["reasons"][1] == {
        "name": "client-takes-none",
        "about": "coding",
        "count": 3,
        "sentence": Reason.CLIENT_TAKES_NONE.value,
    }


def test_the_totals_are_those_of_all_routes():
    totals = build_report(filled()).totals
    assert totals["count"] == 102
    assert totals["sent_bytes"] == 250_009
    assert totals["time_ms"] == pytest.approx(800.051)
    assert totals["cache"]["miss"] == 100


def test_an_outcome_stands_behind_the_route_if_it_is_not_the_usual_one():
    recorder = SeriesRecorder()
    record_any(recorder, "/", "GET", 499, outcome="disconnected")
    assert "\n/ (disconnected)  GET        499      1 " in build_report(recorder).to_text()


def test_the_gauges_are_those_of_the_moment():
    recorder, gauges = filled(), Gauges()
    gauges.started = 110
    gauges.websockets_accepted, gauges.websockets_open = 7, 3
    document = build_report(recorder, gauges=gauges).to_dict()
    assert document["in_flight"] == 110 - 103
    assert document["websockets"] == {"accepted": 7, "open": 3}


def test_a_long_table_ends_at_its_limit():
    recorder = SeriesRecorder()
    for number in range(60):
        record(recorder, (f"/{number}", "GET", 200, "", "", ()), (1, number, 0, 0, 0))
    text = build_report(recorder).to_text(limit=10)
    assert "and 50 rows more" in text
    assert "/59 " in text
    assert "/49 " not in text


def test_a_label_that_is_no_unicode_is_still_json():
    recorder = SeriesRecorder()
    record(recorder, ("/\udcff", "GET", 200, "", "", ()), (1, 1, 0, 0, 0))
    assert json.loads(build_report(recorder).to_json())["routes"][0]["route"] == "/?"
