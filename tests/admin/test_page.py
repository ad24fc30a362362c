"""The page of the report: its text and roles, its size, and that nothing gets into it as markup."""

import gzip
import re
from base64 import b64encode
from hashlib import sha256

import pytest

from asgi_serial.admin.page.document import (
    Rights,
    render_page,
    render_refusal,
    render_sign_in,
    render_signed_in,
)
from asgi_serial.admin.page.parts import PHASES
from asgi_serial.admin.page.style import _SHEET, POLICY, STYLE
from asgi_serial.admin.page.svg import LatencyScale, draw_bar, draw_columns, draw_share
from asgi_serial.admin.page.view import MESSAGES, SORTS, View, read_view
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.report import build_report

from .dom import parse
from .reports import NOW, full_report, row

MAY_DO_ALL = Rights(may_purge=True, purge_needs_token=True, has_session=True)
HOSTILE = (
    "\"'></title></style><script>alert(1)</script><img src=x onerror=alert(1)>\x00\x1b[2J\udcff"
)


def render(report=None, view=None, rights=MAY_DO_ALL):
    return render_page(report or full_report(), view or View(), NOW, rights)


def bare_report():
    return build_report(SeriesRecorder()).to_dict()


PAGES = {
    "full": lambda: render(),
    "bare": lambda: render(bare_report(), rights=Rights()),
    "signing in": lambda: render_sign_in("/-/timing", "This is not the token."),
    "signed in": lambda: render_signed_in("/-/timing"),
    "refused": lambda: render_refusal("Forbidden", "It is for others."),
}
each_page = pytest.mark.parametrize("make", PAGES.values(), ids=PAGES)


@each_page
def test_a_page_is_a_document_that_needs_nothing_from_elsewhere(make):
    page = make()
    tree = parse(page)
    assert page.startswith(b"<!doctype html>")
    assert tree.one("html")["lang"] == "en"
    assert tree.one("style").text == " ".join(STYLE.split())
    names = {element.name for element in tree.everything()}
    assert not names & {"script", "img", "iframe", "object", "embed", "base"}
    for element in tree.everything():
        assert not [name for name in element.attributes if name == "style" or name[:2] == "on"]
        for name in ("href", "action", "src"):
            assert not re.match(r"(?i)\s*(?:https?:|//|javascript:)", element[name] or "")
    assert not re.search(r"url\(|@import", STYLE)


@each_page
def test_a_page_can_be_walked_by_landmarks_headings_and_names(make):
    tree = parse(make())
    assert len(tree.all("main")) == 1
    assert all(each["aria-label"] for each in tree.all("nav"))
    ids = [element["id"] for element in tree.everything() if element["id"]]
    assert len(ids) == len(set(ids))
    for element in tree.everything():
        for name in ("aria-labelledby", "for"):
            assert element[name] is None or element[name] in ids
        href = element["href"] or ""
        assert href[:1] != "#" or href[1:] in ids
    labels = {label["for"] for label in tree.all("label")}
    fields = [*tree.all("input"), *tree.all("select")]
    assert {field["id"] for field in fields if "hidden" not in field.attributes} == labels


def test_the_page_has_its_landmarks_once():
    tree = parse(render())
    for name in ("h1", "header", "main", "footer"):
        assert len(tree.all(name)) == 1
    skip = tree.one("body").children[0]
    assert (skip.name, skip["href"]) == ("a", "#content")
    sections = tree.one("nav", aria_label="Sections")
    links = [link["href"][1:] for link in sections.all("a")]
    assert links == [one["id"] for one in tree.all("section") if one["id"] != "message"]


def test_tables_have_captions_and_headings_with_their_scope():
    for table in parse(render()).all("table"):
        assert table["role"] == "table"
        assert table.one("caption").text
        headings = table.one("thead").all("th")
        assert all(one["scope"] == "col" and one["role"] == "columnheader" for one in headings)
        for each in table.one("tbody").all("tr"):
            first, *others = each.children
            assert (each["role"], first["scope"], first["role"]) == ("row", "row", "rowheader")
            labels = [heading.text.removesuffix(" ▾") for heading in headings[1:]]
            assert [cell["data-label"] for cell in others] == labels
            assert all(cell["role"] == "cell" for cell in others)


def test_pictures_have_a_title_or_are_hidden():
    pictures = parse(render()).all("svg")
    assert len(pictures) > 50
    for picture in pictures:
        if picture["aria-hidden"] == "true":
            assert picture["role"] is None
        else:
            assert picture["role"] == "img"
            assert picture.children[0].name == "title"
            assert picture.children[0].text


def test_the_page_says_what_the_report_says():
    tree = parse(render())
    text = tree.text
    assert "all workers (4)" in text
    assert "15 January 2027, 08:00:00 UTC" in tree.one("time").text
    for part in (
        *("3 in flight, 2 WebSockets", "Our work a request 420 µs 4 % of their time"),
        *("21.4 MB of 64.0 MB", "Second level redis://cache:6379/0 in use"),
        *("Last failure 5 min ago: TimeoutError()", "decode 20.0 ms look-up 100 ms encode 300 ms"),
        *("too-small cache the body is too small to be compressed; lower min_size 5,210",),
        *('NO_FRESHNESS 120, count 130 @serial(cache_ttl="60s")',),
        *("cache_ttl 60s argument", "report_token (secret) ASGI_SERIAL_REPORT_TOKEN"),
        *("60 settings with their defaults", "asgi_serial 0.1.0 Python 3.11.7"),
        *("/search/1 GET 200 · /search/{term} 1.05 s 900 ms", "1 min ago"),
    ):
        assert part in text


def test_every_number_of_a_route_has_its_unit():
    tree = parse(render())
    (table,) = (one for one in tree.all("table") if one.one("caption").text.startswith("Requests"))
    for each in table.one("tbody").all("tr"):
        cells = {cell["data-label"]: cell.text for cell in each.all("td")}
        for name in ("Total time", "p50", "p95", "p99"):
            assert re.fullmatch(r"[\d.]+ (?:µs|ms|s|min|h)", cells[name])
        assert re.fullmatch(r"[\d.]+ (?:B|kB|MB|GB) 80 % saved", cells["Sent"])
        assert re.fullmatch(r"p50 .+s, p95 .+s, p99 .+", cells["Latency"])
        words = {words for _, words in PHASES.values()}
        shares = re.findall(r"([a-z -]+?(?:, to its \w+ byte)?) (\d+) %", cells["Phases"])
        assert {name.strip() for name, _ in shares} <= words
        assert 90 <= sum(int(share) for _, share in shares) <= 104


def test_errors_stand_out_and_are_counted():
    report = full_report()
    tree = parse(render(report))
    failed = sum(one["count"] for one in report["routes"] if one["route"] == "/pay")
    (tile,) = (one for one in tree.all("div", class_="tile") if one.text.startswith("Errors"))
    assert tile.text.endswith(f"{failed:,} failed or 5xx")
    assert tile.one("a")["href"] == "?sort=errors#routes"
    assert [one.text for one in tree.all("span", class_="badge bad")] == ["500", "failed"]
    assert [one.text for one in tree.all("span", class_="badge warn")] == ["disconnected"]


@pytest.mark.parametrize("sort", SORTS)
def test_routes_are_sorted_by_a_link(sort):
    tree = parse(render(view=View(sort=sort, refresh=5)))
    (table,) = (one for one in tree.all("table") if one.one("caption").text.startswith("Requests"))
    sorted_by = [one for one in table.all("th") if one["aria-sort"]]
    assert [one.text.split()[0].lower() for one in sorted_by] == {
        "time": ["total"],
        "count": ["requests"],
        "errors": [],
    }.get(sort, [sort])
    links = {link.text.split(" ▾")[0]: link["href"] for link in table.one("thead").all("a")}
    assert links["p95"] == "?sort=p95&refresh=5"
    assert links["Total time"] == "?refresh=5"
    if sort == "count":
        counts = [
            int(cell.text.replace(",", "")) for cell in table.all("td", data_label="Requests")
        ]
        assert counts == sorted(counts, reverse=True)
    if sort == "route":
        routes = [one.one("span", class_="route").text for one in table.one("tbody").all("tr")]
        assert routes == sorted(routes)
    if sort == "errors":
        assert table.one("tbody").all("tr")[0].text.startswith("/pay POST 500 failed")


@pytest.mark.parametrize(("refresh", "content"), [(0, []), (5, ["5"])])
def test_the_page_refreshes_on_demand_only(refresh, content):
    tree = parse(render(view=View(refresh=refresh)))
    assert [one["content"] for one in tree.all("meta", http_equiv="refresh")] == content
    (current,) = tree.one("nav", aria_label="Refresh").all("a", aria_current="true")
    assert current.text == (f"{refresh} s" if refresh else "off")


@pytest.mark.parametrize("query", [b"sort=%3Cscript%3E&refresh=1&done=x", b"sort=" + b"x" * 10**6])
def test_a_query_chooses_what_there_is_and_nothing_else(query):
    assert read_view(query) == View()


@pytest.mark.parametrize("done", MESSAGES)
def test_the_page_says_what_an_action_has_come_to(done):
    tree = parse(render(view=View(done=done)))
    assert tree.one("section", role="status").text == MESSAGES[done][1]


class TestHostileInput:
    def test_no_text_becomes_markup(self):
        report = full_report(routes=7)
        for each in report["routes"]:
            each["route"] = HOSTILE
        report["slowest"][0] |= {"path": HOSTILE, "route": HOSTILE}
        report["recommendations"] = [
            HOSTILE,
            {"text": HOSTILE, "counters": {HOSTILE: HOSTILE}, "line": HOSTILE},
        ]
        report["settings"][0] |= {"text": HOSTILE, "source": HOSTILE}
        report["store"] |= {"target": HOSTILE, "state": HOSTILE}
        report["store"]["last_failure"]["error"] = HOSTILE
        report["versions"] = {HOSTILE: HOSTILE}
        report["engine"]["odd"] = HOSTILE
        report["processes"] = {"counted": HOSTILE, "pids": [1], "note": HOSTILE}
        report["totals"]["codings"][HOSTILE] = report["totals"]["codings"]["gzip"]
        page = render(report)
        assert page.count(b"<script") == page.count(b"<img") == 0
        assert b"\x1b" not in page
        assert b"\x00" not in page
        tree = parse(page)
        assert {one.name for one in tree.everything()} == {
            one.name for one in parse(render()).everything()
        }
        assert tree.text.count("alert(1)") > 20

    def test_a_route_of_10000_characters_is_cut(self):
        report = full_report(routes=7)
        for each in report["routes"]:
            each["route"] = "/" + "x" * 10_000
        assert len(render(report)) < len(render(full_report(routes=7))) + 7 * 400

    def test_of_100000_routes_the_first_are_shown(self):
        report = full_report(routes=7)
        report["routes"] = [{**report["routes"][n % 7], "route": f"/{n}"} for n in range(100_000)]
        page = render(report)
        assert "and 99,950 more" in parse(page).text
        assert len(gzip.compress(page, 6)) <= 20_000


def test_a_page_of_50_routes_has_at_most_20_kb_in_gzip():
    assert len(gzip.compress(render(full_report(routes=50)), 6)) <= 20_000


def test_the_policy_allows_this_style_and_no_more():
    (style,) = re.findall(rb"<style>(.*?)</style>", render(), re.DOTALL)
    digest = b64encode(sha256(style).digest()).decode()
    assert POLICY.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert "unsafe" not in POLICY
    assert "script-src" not in POLICY


def read_themes():
    """The colours of both themes, by the names of their variables."""
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w+);", block))
        for block in re.findall(r":root \{(.*?)\}", _SHEET, re.DOTALL)
    )
    return {"light": light, "dark": {**light, **dark}}


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TEXT_ON = [
    *[(text, back) for text in ("text", "muted", "accent") for back in ("page", "card")],
    *[("text", "track"), ("good", "goodsoft"), ("warn", "warnsoft"), ("bad", "badsoft")],
    *[("card", "accent"), ("card", "bad")],
]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "back"), TEXT_ON)
def test_text_has_a_contrast_of_4_and_a_half_at_least(theme, text, back):
    colours = read_themes()[theme]
    assert contrast(colours[text], colours[back]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["fill", "bad", *(f"c{number}" for number in range(1, 9))])
def test_pictures_have_a_contrast_of_2_at_least(theme, name):
    colours = read_themes()[theme]
    assert contrast(colours[name], colours["card"]) >= 2.2


class TestPictures:
    def test_columns_are_as_high_as_their_share(self):
        shown = draw_columns([0, 5, 10], 10, "in words", "")
        assert 'd="M11 48V24h8V48zM21 48V0h8V48z"' in shown
        assert "<title>in words</title>" in shown
        assert draw_columns([], 1, "nothing", "")

    def test_a_bar_has_parts_that_add_up(self):
        shown = draw_bar([("a", 1.0), ("b", 0.0), ("c", 3.0)], "in words")
        rects = re.findall(r'x="(\S+)" width="(\S+)"', shown)
        assert rects == [("0", "25"), ("25", "75")]
        assert "rect" not in draw_bar([("a", 0.0)], "nothing")

    @pytest.mark.parametrize(("share", "width"), [(0.5, "50"), (7.0, "100"), (-1.0, None)])
    def test_a_share_stays_within_its_bar(self, share, width):
        found = re.findall(r'width="(\S+)"', draw_share(share))
        assert found == ([width] if width else [])

    def test_a_scale_has_room_for_all_durations(self):
        scale = LatencyScale([0.0, 0.02, 3.0])
        assert scale.ends == (0.01, 10.0)
        assert [scale.place(one) for one in (0.0, 0.01, 10.0, 99.0)] == [0, 0, 100, 100]
        assert LatencyScale([]).ends == (1.0, 10.0)


def test_a_row_without_phases_has_none():
    report = full_report(routes=7)
    report["routes"][0]["phases_ms"] = {}
    report["slowest"] = []
    text = parse(render(report)).text
    assert "None in the last hour." in text
    for each in report["routes"]:
        del each["phases_ms"], each["outcome"]
        each["cache"] = {"off": 4}
        each["saved_percent"] = -3.0
    text = parse(render(report)).text
    assert "3 % more" in text
    assert "Phases" not in text.split("Bodies")[1]


def test_rows_of_one_kind_of_time_are_drawn_too():
    import random

    report = full_report(routes=7)
    one = row(random.Random(1), "/x")
    one |= {"time_ms": 0.0, "last_byte_ms": dict.fromkeys(("p50", "p95", "p99"), 0.0)}
    report["routes"] = [one]
    assert "0 ms" in parse(render(report)).text


def test_a_route_that_the_cache_does_not_answer_says_why():
    report = full_report(routes=7)
    report["routes"] = report["routes"][:1]
    report["routes"][0]["cache"] = {"hit": 0, "miss": 9, "bypass": 1, "off": 0}
    report["routes"][0]["reasons"] = [
        {"name": "too-small", "about": "compression", "count": 9, "sentence": "It is small."},
        {"name": "no-freshness", "about": "storage", "count": 9, "sentence": "It states none."},
    ]
    (cell,) = parse(render(report)).all("td", data_label="From cache")
    assert cell.text == "miss no-freshness"
    assert cell.all("span")[-1]["title"] == "It states none."
    report["routes"][0]["reasons"] = []
    (cell,) = parse(render(report)).all("td", data_label="From cache")
    assert cell.text == "miss"


def test_many_recommendations_leave_room_for_the_routes():
    report = full_report(routes=7)
    report["recommendations"] = [{"text": f"Advice {number}."} for number in range(30)]
    section = parse(render(report)).one("section", id="recommendations")
    assert len(section.all("ul")[0].all("li")) == 3
    assert section.one("summary").text == "17 further recommendations"
    assert "and 10 more" in section.text
