"""At DEBUG each request of every kind has one line, whoever answers it."""

import asyncio
import logging

import pytest

from asgi_serial import SerialMiddleware
from tests.engine.driver import Clock, Request, Whole, ask, awaited, drive, fields_of, serial_of

GET = Request()
STALE = "max-age=60, stale-while-revalidate=100, stale-if-error=1000"
OFF = {"cache": False, "compression": False, "formats": False, "decoding": False}
DOCUMENT = b"[" + b"1, " * 900 + b"1]"


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.DEBUG, logger="asgi_serial")

    def read():
        found = [one.getMessage() for one in caplog.records if one.levelno == logging.DEBUG]
        caplog.clear()
        return found

    return read


class Site:
    """An app whose responses go stale, and that can be told to fail."""

    fails = False

    async def __call__(self, scope, receive, send):
        if self.fails:
            raise RuntimeError("of the app")
        asked = b"if-none-match" in dict(scope["headers"])
        status, body = (304, b"") if asked else (200, b"page")
        fields = fields_of(content_type="text/html", etag='"1"', cache_control=STALE)
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})


@awaited
async def test_stale_responses_have_one_line_and_their_refresh_another(lines):
    clock, site = Clock(), Site()
    serial_app = serial_of(site, clock=clock)
    await ask(serial_app, GET)
    assert lines() == ["GET '/': 200, cache miss, client-takes-none"]
    clock.now += 100
    await ask(serial_app, GET)
    for _ in range(10):
        await asyncio.sleep(0)
    assert lines() == [
        "GET '/': 200, cache stale, client-takes-none, stale-while-revalidate",
        "GET '/': 200, cache validated, client-takes-none, stale",
    ]
    clock.now += 500
    site.fails = True
    await ask(serial_app, GET)
    (line,) = lines()
    assert line.startswith("GET '/': 200, cache stale, ")
    assert line.endswith("stale-if-error")


@awaited
async def test_who_waits_for_the_call_of_another_has_a_line_of_its_own(lines):
    released = asyncio.Event()

    async def app(scope, receive, send):
        await released.wait()
        await Whole(b"page", content_type="text/html", cache_control="max-age=60")(
            scope, receive, send
        )

    serial_app = serial_of(app, cache_ttl=60)
    asking = [asyncio.ensure_future(ask(serial_app, GET)) for _ in range(2)]
    for _ in range(10):
        await asyncio.sleep(0)
    released.set()
    await asyncio.gather(*asking)
    assert lines() == [
        "GET '/': 200, cache miss, client-takes-none",
        "GET '/': 200, cache collapsed, client-takes-none",
    ]


@pytest.mark.parametrize(
    ("options", "request_", "expected"),
    [
        pytest.param(
            {},
            GET.having(content_encoding="compress", content_length="1"),
            ["GET '/': 415, unsupported-coding"],
            id="a refusal of a body",
        ),
        pytest.param(
            {"format_strict": True},
            GET.having(accept="text/csv"),
            ["GET '/': 406, cache miss, client-takes-none, not-acceptable, no-freshness"],
            id="a refusal of a format",
        ),
        pytest.param(
            {},
            GET.having(accept_encoding="br"),
            ["GET '/': 200, cache miss, no-freshness"],
            id="what is compressed",
        ),
        pytest.param(
            {},
            Request("HEAD").having(accept_encoding="br"),
            ["HEAD '/': 200, cache miss, no-freshness"],
            id="a HEAD",
        ),
        pytest.param(OFF, GET, ["GET '/': 200, nothing left undone"], id="timing alone"),
        pytest.param(
            {**OFF, "timing": False, "decoding": True},
            GET,
            ["GET '/': 200, nothing left undone"],
            id="decoding alone",
        ),
        pytest.param(
            {"report_path": "/report", "report_token": "a-long-random-token"},
            Request(path="/report"),
            ["GET '/report': 401, answered by asgi_serial itself"],
            id="a path of our own",
        ),
    ],
)
@awaited
async def test_each_kind_of_answer_has_one_line(options, request_, expected, lines):
    await ask(serial_of(Whole(DOCUMENT, content_type="application/json"), **options), request_)
    assert lines() == expected


@awaited
async def test_a_form_that_is_derived_is_a_hit_in_the_log(lines):
    app = Whole(DOCUMENT, content_type="application/json", cache_control="max-age=60")
    serial_app = serial_of(app)
    await ask(serial_app, GET)
    lines()
    await ask(serial_app, GET.having(accept_encoding="gzip"))
    assert lines() == ["GET '/': 200, cache hit, nothing left undone"]


@awaited
async def test_an_instance_within_another_writes_no_second_line(lines):
    inner = serial_of(Whole(b"page", content_type="text/html"))
    await ask(SerialMiddleware(inner, cache=False), GET)
    assert len(lines()) == 1


@awaited
async def test_a_client_that_leaves_has_a_line(lines):
    async def app(scope, receive, send):
        start = {"type": "http.response.start", "status": 200, "headers": fields_of()}
        await send(start)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"

    await drive(serial_of(app), Request(leaves=True))
    (line,) = lines()
    assert line.startswith("GET '/': 200")
    assert "incomplete" in line


@pytest.mark.parametrize("path", ["/", "/-/timing"], ids=["of the app", "of our own"])
@awaited
async def test_a_method_cannot_forge_a_line(path, lines):
    """Of HTTP/2, a server may hand over a method that is no token."""
    serial_app = serial_of(Whole(b"page"), report_path="/-/timing", report_token="secret-token")
    await drive(serial_app, Request("GET\nERROR", path=path))
    (line,) = lines()
    assert line.startswith(f"GET?ERROR {path!r}: ")
