"""`bench` measures what it says, and draws it."""

import os
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.cli.bench_plot import draw
from asgi_serial.cli.bench_variants import (
    Figures,
    Measured,
    Variant,
    make_variants,
    sum_up,
    without_repeats,
)
from asgi_serial.cli.main import run as run_here
from asgi_serial.settings.model import Settings
from tests.cli.commands import run, serving

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    file = tmp_path_factory.mktemp("bench") / "plot.svg"
    paths = ("/items", "private", "/tiny")
    ended = run("bench", "tests.apps.shop:app", *paths, "--rounds", 3, "--svg", file, "--json")
    assert ended.code == 0, ended.err
    return ended, file


def variants_of(ended, path):
    (found,) = (one["variants"] for one in ended.document["paths"] if one["path"] == path)
    return {one["name"]: one for one in found}


def test_codings_levels_and_the_cache_are_compared(measured):
    variants = variants_of(measured[0], "/items")
    assert [name for name in variants if "zstd" in name] == [
        "zstd 1",
        "zstd 3 (as set)",
        "zstd 6",
        "zstd 12",
        "zstd, body seen before",
        "zstd, cache hit",
    ]
    bare = variants["app alone"]["bytes"]
    assert variants["not compressed"]["bytes"] == bare
    for name, one in variants.items():
        assert one["note"] == ""
        assert one["rounds"] == 3
        assert one["seconds"] > 0
        assert one["cpu_seconds"] > 0
        assert (one["coding"] == "identity") == (one["bytes"] == bare), name
    assert variants["app alone"]["added_cpu_seconds"] is None


def test_a_hit_spares_the_app(measured):
    """The handler makes 20 kB of JSON, which a hit does not."""
    variants = variants_of(measured[0], "/items")
    assert variants["zstd, cache hit"]["added_cpu_seconds"] < 0


def test_a_variant_that_was_not_to_be_had_says_so(measured):
    private = variants_of(measured[0], "/private")
    assert private["zstd, cache hit"]["note"] == "not from the cache: no-store"
    tiny = variants_of(measured[0], "/tiny")
    assert tiny["br 9"]["note"].startswith("not compressed: too small")


def test_the_plot_shows_each_path_and_its_figures(measured):
    ended, file = measured
    drawn = ElementTree.fromstring(file.read_text())
    texts = ["".join(text.itertext()) for text in drawn.iter(f"{SVG}text")]
    assert {"/items", "/private", "/tiny"} <= set(texts)
    assert "CPU time of a request, the app's included" in texts
    assert "not from the cache: no-store" in texts
    assert (
        drawn.find(f"{SVG}title").text
        == "Bytes and time of 3 paths: asgi-serial bench tests.apps.shop:app"
    )
    assert "prefers-color-scheme: dark" in drawn.find(f"{SVG}style").text
    assert len(file.read_bytes()) < 60_000
    assert ended.err == "" or "Measuring" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("tests.apps.shop:app", "/items", "--rounds", "0"), 2, "--rounds is 0; expected at"),
        (("tests.apps.shop:app", "/items", "--header", "x"), 2, "--header 'x' has no ':'"),
        (
            ("tests.apps.shop:app", "/tiny", "--rounds", "1", "--svg", "/nowhere/plot.svg"),
            2,
            "--svg /nowhere/plot.svg cannot be written",
        ),
        (("tests.apps.strange:alone",), 2, "has no routes without parameters that are known"),
        (("tests.apps.strange:odd", "/"), 2, "The app cannot be measured: the app raised"),
        (("tests.apps.elsewhere:stuck", "/"), 2, "The app refuses to start: no database"),
        (("http://127.0.0.1:9", "/"), 2, "127.0.0.1:9 cannot be measured"),
    ],
)
def test_what_cannot_be_measured_is_said(arguments, code, says):
    ended = run("bench", *arguments)
    assert (ended.code, says in ended.err) == (code, True), ended.err


def test_a_path_that_fails_is_a_finding():
    ended = run("bench", "tests.apps.shop:app", "/gone", "--rounds", 1)
    assert ended.code == 1
    assert "answered 410" in ended.out


def test_fields_are_sent_with_each_request():
    options = ("--header", "Authorization: Bearer right", "--rounds", "1", "--json")
    # The variables of a server, which no variant is to be told.
    variables = {
        "ASGI_SERIAL_CACHE_TTL": "60s",
        "ASGI_SERIAL_GZIP_LEVEL": "9",
        "ASGI_SERIAL_REPORT_TOKEN": "secret",
    }
    ended = run("bench", "tests.apps.shop:app", "/mine", *options, **variables)
    variants = variants_of(ended, "/mine")
    assert "gzip 9 (as set)" in variants
    assert variants["gzip 9 (as set)"]["note"] == ""
    assert variants["zstd, cache hit"]["note"] == "not from the cache: request-has-credentials"


def test_routes_are_measured_if_no_path_is_named():
    ended = run("bench", "examples.caching:app", "--rounds", 1, "--json")
    assert 0 < len(ended.document["paths"]) <= 5


@pytest.mark.parametrize("before", [None, "on"])
def test_the_environment_is_left_as_it_was(monkeypatch, capsys, before):
    monkeypatch.delenv("ASGI_SERIAL_ENABLED", raising=False)
    if before:
        monkeypatch.setenv("ASGI_SERIAL_ENABLED", before)
    assert run_here(["bench", "tests.apps.shop:app", "/tiny", "--rounds", "1"]) == 0
    assert os.environ.get("ASGI_SERIAL_ENABLED") == before
    assert "app alone" in capsys.readouterr().out


def test_the_middleware_of_the_app_itself_is_off():
    ended = run("bench", "examples.fastapi_app:app", "/books", "--rounds", 1, "--json")
    variants = variants_of(ended, "/books")
    assert variants["app alone"]["coding"] == "identity"
    assert variants["zstd, cache hit"]["note"] == ""


def test_a_running_server_is_measured(tmp_path):
    options = ("--set", "cache_ttl=60s", "--log-level", "warning")
    with serving(tmp_path, "tests.apps.shop:app", *options) as server:
        ended = run("bench", f"{server.url}/items", "--rounds", 3, "--json")
        also = run("bench", server.url, "/items", "/tiny", "--rounds", 1)
    assert ended.code == also.code == 0
    variants = variants_of(ended, "/items")
    assert list(variants) == [
        *("identity", "zstd", "br", "gzip"),
        *("identity, cached", "zstd, cached", "br, cached", "gzip, cached"),
    ]
    for name, one in variants.items():
        assert one["coding"] == name.partition(",")[0]
        assert one["cpu_seconds"] is one["added_cpu_seconds"] is None
        assert one["note"] == ""
    assert "CPU" not in also.out
    assert re.search(r"^/tiny: medians of 1 round$", also.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"ASGI_SERIAL_CODINGS": "gzip"}, ["gzip 1", "gzip 4", "gzip 6 (as set)", "gzip 9"]),
        (
            {"ASGI_SERIAL_CODINGS": "br", "ASGI_SERIAL_BROTLI_LEVEL": "11"},
            ["br 1", "br 4", "br 6", "br 9", "br 11 (as set)"],
        ),
        ({"ASGI_SERIAL_CODINGS": "br"}, ["br (as set)", "br 1", "br 4", "br 6", "br 9"]),
        ({"ASGI_SERIAL_CODINGS": "deflate"}, ["deflate 6 (as set)"]),
    ],
)
def test_the_levels_of_the_settings_are_among_them(environ, names):
    variants = make_variants(Settings.load({}, environ))
    assert [one.name for one in variants if one.coding == names[0].partition(" ")[0]][
        : len(names)
    ] == names
    for one in variants:
        if one.settings is not None:
            Settings.load(dict(one.settings), {})


def measure(seconds, cpu, size=100, coding="gzip", cache="", status=200):
    return Measured(seconds, cpu, size, coding, cache, status)


VARIANTS = [
    Variant("app alone", "identity", None),
    Variant("gzip 6", "gzip", {}),
    Variant("gzip, cache hit", "gzip", {}, is_hit=True),
]


def test_figures_are_medians_and_differences_those_of_a_round():
    rounds = [
        [measure(1, 1, 500, "identity"), measure(2, 2), measure(0.1, 0.1, cache="a; hit; ttl=5")],
        [measure(9, 9, 500, "identity"), measure(11, 12), measure(0.2, 0.2, cache="a; hit")],
        [measure(2, 2, 500, "identity"), measure(4, 4), measure(0.3, 0.3, cache="a; hit")],
    ]
    bare, coded, hit = sum_up(VARIANTS, rounds)
    assert (bare.seconds, bare.cpu_seconds, bare.added_cpu_seconds) == (2, 2, None)
    assert (coded.seconds, coded.cpu_seconds, coded.added_cpu_seconds) == (4, 4, 2)
    assert (hit.seconds, hit.note, hit.size, bare.size) == (0.2, "", 100, 500)


@pytest.mark.parametrize(
    ("place", "last", "note"),
    [
        (1, measure(1, 1, coding="br"), "in br already"),
        (1, measure(1, 1, coding="identity"), "not compressed: too small, or of a type that "),
        (1, measure(1, 1, status=503), "answered 503"),
        (2, measure(1, 1, cache="a; fwd=bypass; detail=no-store"), "not from the cache: no-store"),
        (2, measure(1, 1, cache="a; fwd=uri-miss"), "not from the cache: uri-miss"),
        (2, measure(1, 1), "not from the cache"),
        (2, measure(1, 1, cache="a; hit"), ""),
    ],
)
def test_a_note_says_what_a_variant_did_instead(place, last, note):
    row = [measure(1, 1, coding="identity"), measure(1, 1), measure(1, 1, cache="a; hit")]
    row[place] = last
    found = sum_up(VARIANTS, [row])[place].note
    assert found.startswith(note)
    assert bool(found) == bool(note)


def test_codings_that_were_not_applied_share_a_row():
    plain = measure(1, 1, coding="identity")
    figures = sum_up([VARIANTS[0], *[VARIANTS[1]] * 3], [[plain] * 4])
    assert [one.name for one in without_repeats(figures)] == ["app alone", "with a coding"]


any_figures = st.builds(
    Figures,
    name=st.text(max_size=20),
    coding=st.sampled_from(["identity", "gzip", '"><script>']),
    size=st.integers(0, 10**9),
    seconds=st.floats(0, 1e4),
    cpu_seconds=st.none() | st.floats(0, 1e4),
    added_cpu_seconds=st.none() | st.floats(-1e4, 1e4),
    rounds=st.integers(1, 100),
    note=st.text(max_size=20),
)


@given(
    st.lists(
        st.tuples(st.text(max_size=30), st.lists(any_figures, min_size=1, max_size=4)),
        min_size=1,
        max_size=3,
    )
)
def test_any_figures_can_be_drawn(panels):
    drawn = draw(panels, title="<&>")
    clean = re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", drawn)
    assert clean == drawn
    root = ElementTree.fromstring(drawn)
    for bar in root.iter(f"{SVG}rect"):
        assert 0 < float(bar.get("width")) <= 960
    assert root.find(f"{SVG}script") is None
