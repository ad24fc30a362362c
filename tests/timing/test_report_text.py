"""The report as text: at most 100 columns, whatever is in it, and a unit for every number."""

import random
import re

import pytest

from asgi_serial.timing.report_text import write_text
from asgi_serial.timing.table import WIDTH, format_columns, format_table
from tests.admin.reports import full_report

HOSTILE = "/<script>\x1b[2J\x00\udcff" + "x" * 10_000


def widest(text):
    return max(map(len, text.splitlines()))


def test_a_full_report_fits_and_has_all_parts():
    text = write_text(full_report(routes=12), 50)
    assert widest(text) <= WIDTH
    for line in (
        "227,089 requests took 3.57 h together; 3 more are in flight",
        "counted: all workers, pid 4711, 4712, 4713, 4714",
        "our own stages took 420 µs of each request, 4 % of its time",
        "last hour: 32,115 requests, 27 errors, at most 740 requests a minute",
        '    > @serial(cache_ttl="60s")',
        "   1.05 s  GET /search/1 200, 1 min ago",
        "  redis://cache:6379/0: its breaker is closed",
        "  last failure 5 min ago: TimeoutError()",
        "  memory_bytes: 21.4 MB",
        "  cache_ttl = 60s (argument)",
        "  Python: 3.11.7",
    ):
        assert line in text.splitlines()
    for pattern in (
        r"^/export \(disconnected\) +GET +200 +[\d,]+ +[\d.]+ min",
        r"^  br: [\d,]+ bodies of [\d.]+ .B sent in [\d.]+ .B: 80 % saved for [\d.]+ m?s of enc",
    ):
        assert re.search(pattern, text, re.MULTILINE)
    assert "setting_1" not in text


def test_one_of_a_kind_is_in_the_singular():
    report = full_report(routes=1)
    report["totals"]["count"] = report["in_flight"] = 1
    report["history"] = [{"start": 0, "requests": 1, "errors": 1}]
    text = write_text(report, 50)
    assert text.startswith("1 request took ")
    assert "; 1 more is in flight\n" in text
    assert "last hour: 1 request, 1 error, at most 1 request a minute\n" in text


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_in_it_fits(seed):
    rng = random.Random(seed)
    report = full_report(routes=9, seed=seed)
    for each in report["routes"]:
        factor = 10 ** rng.randint(0, 5)
        each["route"] = rng.choice((HOSTILE, "/a/b", "/" + "long/" * 30))
        each["method"] = rng.choice(("GET", "OPTIONS"))
        for name in ("count", "time_ms", "app_bytes", "encoded_bytes", "sent_bytes"):
            each[name] *= factor
        each["saved_percent"] = rng.choice((-900.0, 0.0, 99.0))
        for times in (each["first_byte_ms"], each["last_byte_ms"]):
            for name in times:
                times[name] *= rng.choice((1e-3, 1, 1e6))
        each["reasons"] = [{"name": "x", "count": factor, "sentence": "word " * 50}]
    report["slowest"][0]["path"] = report["slowest"][0]["route"] = HOSTILE
    report["store"]["last_failure"]["error"] = HOSTILE
    report["versions"] = {HOSTILE: HOSTILE}
    report["processes"]["note"] = HOSTILE
    text = write_text(report, 50)
    assert widest(text) <= WIDTH
    assert "\x1b" not in text
    assert "\x00" not in text


def test_a_table_of_short_cells_is_as_wide_as_they_are():
    rows = [["x", "y", "10"], ["long", "y", "1"]]
    table = format_table(["a", "b", "n"], rows, ends_in_text=False)
    assert table == "a     b   n\nx     y  10\nlong  y   1"


def test_the_text_of_the_last_column_goes_on_below():
    table = format_table(["route", "m", "n", "cache"], [["/" * 80, "GET", "1", "hit 1, " * 9]])
    lines = table.splitlines()
    assert widest(table) <= WIDTH
    assert lines[1].startswith("///")
    assert "…" in lines[1]
    assert all(line.strip().startswith(("hit", "1")) for line in lines[2:])


@pytest.mark.parametrize("values", [[], [0, 0]])
def test_columns_of_nothing_are_blank(values):
    assert format_columns(values) == " " * len(values)
