"""Each recommendation comes where the figures prove it, names them, and has a line that works."""

import re

import pytest

from asgi_serial import Settings
from asgi_serial.admin.state import engine_report
from asgi_serial.reasons import Reason
from asgi_serial.timing.advice.figures import ENOUGH, SETTINGS
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.report import build_report
from tests.engine.driver import Request, Whole, ask, awaited, serial_of
from tests.timing.recording import record

SLOW_NS, FAST_NS = 20_000_000, 1_000_000
DEFAULTS = {name: getattr(Settings(), name) for name in SETTINGS}


class Group:
    """Equal requests, `count` of them."""

    def __init__(
        self,
        count=60,
        *,
        route="/r",
        method="GET",
        status=200,
        outcome="completed",
        cache="miss",
        encodings="",
        coding="identity",
        reasons=(),
        total_ns=SLOW_NS,
        sizes=(1000, 1000, 1000),
        encode_ns=0,
    ):
        self.count = count
        self.key = route, method, status
        self.labels = {"outcome": outcome, "cache": cache, "encodings": encodings, "coding": coding}
        self.reasons = tuple(Reason[name] for name in reasons)
        self.total_ns, self.sizes, self.encode_ns = total_ns, sizes, encode_ns


def advise(*groups, engine=None, settings=None, overflowed=0, **options):
    recorder = SeriesRecorder()
    for group in groups or (Group(**options),):
        app, encoded, sent = group.sizes
        for _ in range(group.count):
            record(
                recorder,
                *group.key,
                **group.labels,
                reasons=group.reasons,
                first_byte_ns=1,
                total_ns=group.total_ns,
                app_bytes=app,
                encoded_bytes=encoded,
                sent_bytes=sent,
                phases=(0, 0, 0, 1, group.total_ns - 1, group.encode_ns, 0, 0),
            )
    recorder.overflowed = overflowed
    report = build_report(recorder, engine=engine, settings={**DEFAULTS, **(settings or {})})
    return report.recommendations


def only(found):
    (one,) = found
    return one


BR = {"coding": "br", "sizes": (10_000, 10_000, 5_000), "encode_ns": 40_000_000}
COSTLY = Group(**BR)
# Few bytes are saved of a body that fits into one packet.
TINY = Group(coding="gzip", sizes=(600, 600, 500), encode_ns=50_000)
LEFT = Group(outcome="disconnected", status=499, total_ns=2_000_000_000)
FULL = {
    "memory_evictions": 400,
    "responses_stored": 500,
    "memory_bytes": 63_000_000,
    "memory_max_bytes": 64_000_000,
}
FEW_HITS = (Group(100, cache="hit"), Group(300, cache="miss"))


@pytest.mark.parametrize(
    ("groups", "more", "counter", "line"),
    [
        pytest.param(
            [Group(reasons=["NO_FRESHNESS"])],
            {},
            {"reasons.no-freshness": 60, "count": 60, "last_byte_ms.p50": 20.4},
            'routes={"GET /r": {"cache_ttl": "60s"}}',
            id="slow, and no lifetime",
        ),
        pytest.param(
            [Group(reasons=["NO_FRESHNESS"], route="(unmatched)")],
            {},
            {"reasons.no-freshness": 60},
            'cache_ttl="60s"',
            id="the same for routes without a name",
        ),
        pytest.param(
            [Group(reasons=["NO_FRESHNESS"], method="HEAD")],
            {},
            {"reasons.no-freshness": 60},
            'routes={"GET /r": {"cache_ttl": "60s"}}',
            id="the same for HEAD",
        ),
        pytest.param(
            [Group(reasons=["REQUEST_HAS_CREDENTIALS", "NO_FRESHNESS"])],
            {},
            {"reasons.request-has-credentials": 60},
            "Cache-Control: public, max-age=60",
            id="slow, with credentials",
        ),
        pytest.param(
            [Group(reasons=["PRIVATE"])],
            {},
            {"reasons.private": 60},
            'routes={"GET /r": {"cache_partition": "cookie:session"}}',
            id="slow, for one user each",
        ),
        pytest.param(
            [Group(reasons=["POLICY_NOT_HEARD"])],
            {},
            {"reasons.policy-not-heard": 60},
            'routes={"GET /r": {"cache_ttl": "60s"}}',
            id="a decorator in the wrong place",
        ),
        pytest.param(
            [Group(reasons=["REQUEST_HAS_UNKNOWN_FIELD"])],
            {},
            {"reasons.request-has-unknown-field": 60},
            'cache_ignore_fields="X-Client-Version"',
            id="an unknown field",
        ),
        pytest.param(
            [Group(reasons=["REQUEST_HAS_UNKEYED_FIELD"], cache="bypass")],
            {},
            {"reasons.request-has-unkeyed-field": 60},
            'cache_key_fields="X-Forwarded-Host"',
            id="a field that is not in the key",
        ),
        pytest.param(
            [Group(reasons=["SETS_COOKIE"])],
            {},
            {"reasons.sets-cookie": 60},
            "if is_new_session: response.set_cookie(...)",
            id="slow, with a new cookie",
        ),
        pytest.param(
            [Group(reasons=["VARIES_ON_EVERYTHING"])],
            {},
            {"reasons.varies-on-everything": 60},
            "Vary: Accept-Language",
            id="slow, with Vary: *",
        ),
        pytest.param(
            [Group(reasons=["MALFORMED_CACHE_CONTROL"], total_ns=FAST_NS)],
            {},
            {"reasons.malformed-cache-control": 60},
            "Cache-Control: private, max-age=0",
            id="a malformed Cache-Control",
        ),
        pytest.param(
            [Group(reasons=["OBJECT_TOO_LARGE"], sizes=(7_000_000,) * 3)],
            {},
            {"reasons.object-too-large": 60},
            'cache_max_object="14MB"',
            id="slow, and large",
        ),
        pytest.param(
            [Group(reasons=["EVENT_STREAM"])],
            {},
            {"reasons.event-stream": 60},
            'routes={"GET /r": {"cache": False}}',
            id="an event stream",
        ),
        pytest.param(
            [Group(reasons=["BODY_NOT_WHOLE"])],
            {},
            {"reasons.body-not-whole": 60},
            'format_max_size="4MB"',
            id="too large to be translated",
        ),
        pytest.param(
            [Group(reasons=["WOULD_NOT_SHRINK"], total_ns=FAST_NS)],
            {},
            {"reasons.would-not-shrink": 60},
            'routes={"GET /r": {"compression": False}}',
            id="it does not shrink",
        ),
        pytest.param(
            [Group(reasons=["ALREADY_ENCODED"])],
            {},
            {"reasons.already-encoded": 60},
            "# remove: app.add_middleware(GZipMiddleware)",
            id="encoded twice",
        ),
        pytest.param(
            [Group(6, reasons=["VALUE_NOT_CARRIED"]), Group(54)],
            {},
            {"reasons.value-not-carried": 6, "count": 60},
            '"id": str(id)',
            id="large integers",
        ),
        pytest.param(
            [Group(70, reasons=["STALE"]), Group(10, cache="hit"), Group(20, cache="miss")],
            {},
            {"cache.hit": 10, "cache.miss": 90, "reasons.stale": 70},
            "Asgi-Serial-Cache-Control: max-age=600",
            id="a lifetime that is too short",
        ),
        pytest.param(
            [Group(70, reasons=["VARY_MISS"]), Group(10, cache="hit")],
            {},
            {"cache.hit": 10, "cache.miss": 70, "reasons.vary-miss": 70},
            "Vary: Accept-Language",
            id="a Vary that is too wide",
        ),
        pytest.param(
            [COSTLY],
            {},
            {"codings.br.count": 60, "codings.br.encode_ms": 2400.0},
            "brotli_level=1",
            id="compression that costs more than it saves",
        ),
        pytest.param(
            [COSTLY],
            {"settings": {"brotli_level": 1}},
            {"codings.br.sent_bytes": 300_000},
            'routes={"GET /r": {"compression": False}}',
            id="the same at the lowest level",
        ),
        pytest.param(
            [TINY],
            {},
            {"codings.gzip.encoded_bytes": 36_000},
            "min_size=1100",
            id="compression of what fits into a packet",
        ),
        pytest.param(
            [LEFT, Group(540)],
            {},
            {"outcome.disconnected": 60, "count": 600},
            "slow_request_ms=2000",
            id="clients that leave",
        ),
        pytest.param(
            FEW_HITS,
            {"engine": FULL},
            {"engine.memory_evictions": 400, "totals.cache.hit": 100},
            'cache_memory="128MB"',
            id="a memory that is too small",
        ),
        pytest.param(
            [Group()],
            {"overflowed": 5000},
            {"recorder.overflowed": 5000},
            "max_series=2000",
            id="more series than are kept",
        ),
        *(
            pytest.param(
                [Group(route="(refused)", status=status, cache="", reasons=[reason]), Group(900)],
                {},
                {f"totals.reasons.{Reason[reason].token}": 60, "totals.count": 960},
                line,
                id=f"many refusals with {status}",
            )
            for status, reason, line in (
                (406, "NOT_ACCEPTABLE", "format_strict=False"),
                (415, "UNSUPPORTED_CODING", "decoding=False"),
                (413, "BODY_TOO_LARGE", 'max_decoded="100MB"'),
                (408, "BODY_TOO_SLOW", "body_timeout=120"),
                (503, "NO_ROOM_FOR_BODY", 'max_gathered="200MB"'),
            )
        ),
    ],
)
def test_it_comes_where_the_figures_prove_it(groups, more, counter, line):
    one = only(advise(*groups, **more))
    assert one["line"] == line
    assert one["counters"].items() >= counter.items()
    for name, value in counter.items():
        if isinstance(value, int):
            assert f"{value:,}" in one["text"] or name.startswith(("codings", "engine", "cache"))
    assert one["text"].endswith(".")
    assert set(one) == {"text", "route", "counters", "line"}
    setting = re.fullmatch(r"([a-z_]+)=(?!=).+", line)
    if setting is not None and setting[1] != "slow_request_ms":
        Settings.load(eval(f"dict({line})"), {})


@pytest.mark.parametrize(
    ("groups", "more"),
    [
        pytest.param([Group(cache="")], {}, id="nothing to say"),
        pytest.param([Group(ENOUGH - 1, reasons=["NO_FRESHNESS"])], {}, id="too few requests"),
        pytest.param([Group(reasons=["NO_FRESHNESS"], total_ns=FAST_NS)], {}, id="a fast route"),
        pytest.param([Group(reasons=["NO_FRESHNESS"], method="POST")], {}, id="not a read"),
        pytest.param([Group(reasons=["NO_FRESHNESS"], status=404)], {}, id="not a success"),
        pytest.param([Group(reasons=["NO_FRESHNESS"], outcome="failed")], {}, id="a failure"),
        pytest.param(
            [Group(29, reasons=["NO_FRESHNESS"]), Group(31)], {}, id="less than half of them"
        ),
        pytest.param(
            [Group(59, reasons=["SETS_COOKIE"]), Group(1, cache="hit")], {}, id="there are hits"
        ),
        pytest.param(
            [
                Group(20, reasons=["WOULD_NOT_SHRINK"]),
                Group(90, cache="hit", reasons=["WOULD_NOT_SHRINK"]),
            ],
            {},
            id="it was tried once for many hits",
        ),
        pytest.param(
            [Group(reasons=["WOULD_NOT_SHRINK"], encodings="hit")],
            {},
            id="it is remembered that it does not shrink",
        ),
        pytest.param([Group(4, reasons=["VALUE_NOT_CARRIED"]), Group(56)], {}, id="rare values"),
        pytest.param(
            [Group(200, reasons=["REQUEST_HAS_CREDENTIALS"], total_ns=FAST_NS)],
            {},
            id="misses for credentials: no longer lifetime",
        ),
        pytest.param([Group(200)], {}, id="misses without another reason: each for another URL"),
        pytest.param(
            [Group(60, reasons=["STALE"]), Group(40, cache="hit")], {}, id="stale, but enough hits"
        ),
        pytest.param(
            [Group(coding="br", sizes=(10_000, 10_000, 2_000), encode_ns=400_000)],
            {},
            id="compression that pays",
        ),
        pytest.param([Group(**{**BR, "encode_ns": 10_000_000})], {}, id="costly, but not in all"),
        pytest.param(
            [Group(**BR), Group(3000, cache="hit", coding="br", sizes=BR["sizes"])],
            {},
            id="costly once, and sent often from the cache",
        ),
        pytest.param(
            [Group(coding="gzip", sizes=(600, 600, 300), encode_ns=50_000)],
            {},
            id="small, but it saves",
        ),
        pytest.param(
            [Group(coding="gzip", sizes=(6000, 6000, 5900), encode_ns=50_000)],
            {},
            id="it saves little of more than a packet",
        ),
        pytest.param([LEFT, Group(6000)], {}, id="few clients leave"),
        pytest.param([Group(ENOUGH - 1, outcome="disconnected")], {}, id="too few leave"),
        pytest.param(
            FEW_HITS, {"engine": {**FULL, "memory_bytes": 10_000_000}}, id="a memory with room"
        ),
        pytest.param(FEW_HITS, {"engine": {**FULL, "memory_evictions": 49}}, id="few evictions"),
        pytest.param(
            FEW_HITS,
            {"engine": {**FULL, "responses_stored": 10_000}},
            id="evictions of a few in many",
        ),
        pytest.param(
            [Group(300, cache="hit"), Group(100)],
            {"engine": FULL},
            id="evictions of what nobody asks for",
        ),
        pytest.param([Group(300)], {"engine": FULL}, id="a full memory without any hit"),
        pytest.param([Group()], {"overflowed": ENOUGH - 1}, id="a few more series than are kept"),
        pytest.param(
            [Group(route="(refused)", status=415, reasons=["UNSUPPORTED_CODING"]), Group(6000)],
            {},
            id="few refusals among many requests",
        ),
        pytest.param(
            [Group(ENOUGH - 1, route="(refused)", status=415, reasons=["UNSUPPORTED_CODING"])],
            {},
            id="too few refusals",
        ),
    ],
)
def test_it_does_not_come_where_they_do_not(groups, more):
    assert advise(*groups, **more) == []


def test_a_line_for_a_hostile_route_is_one_printable_line():
    one = only(advise(route='/a"}\n\x1b[2J' + "x" * 300, reasons=["NO_FRESHNESS"]))
    assert one["line"].isprintable()
    assert one["text"].isprintable()
    assert len(one["line"]) < 200


def test_figures_of_an_unknown_kind_are_none():
    assert advise(*FEW_HITS, engine={"memory_evictions": "many", "responses_stored": None}) == []


@awaited
async def test_the_report_of_an_engine_advises_by_its_settings():
    """What the requests carry credentials for is not advised a lifetime of its own."""
    serial_app = serial_of(Whole(b"page", content_type="text/html"))
    for _ in range(ENOUGH):
        await ask(serial_app, Request().having(cookie="a=1"))
    (row,) = engine_report(serial_app.engine).routes
    assert {one["name"]: one["count"] for one in row["reasons"]} == {
        **{"client-takes-none": 50, "no-freshness": 50, "request-has-credentials": 50}
    }
    for _ in range(ENOUGH):
        await ask(serial_app, Request())
    (row,) = engine_report(serial_app.engine).routes
    assert {one["name"]: one["count"] for one in row["reasons"]} == {
        **{"client-takes-none": 100, "no-freshness": 100, "request-has-credentials": 50}
    }
