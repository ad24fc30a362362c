"""Whatever is not done to a response has a reason, which is counted and logged."""

import hashlib
import logging

import msgpack
import pytest

from asgi_serial.admin.report_endpoint import engine_report
from tests.engine.driver import Clock, Request, Whole, ask, awaited, fields_of, serial_of

HTML = {"content_type": "text/html", "cache_control": "max-age=60"}
LARGE, SMALL = b"<p>the same words</p>" * 100, b"<p>few</p>"
GET = Request().having(accept_encoding="br")
PACKED = "application/vnd.msgpack"


def reasons_of(serial_app):
    (row,) = engine_report(serial_app.engine).routes
    return {one["name"]: one["count"] for one in row["reasons"]}


@pytest.mark.parametrize(
    ("options", "app", "request_", "expected"),
    [
        pytest.param({}, Whole(LARGE, **HTML), GET, set(), id="compressed and stored"),
        pytest.param({}, Whole(SMALL, **HTML), GET, {"too-small"}, id="small"),
        pytest.param({}, Whole(LARGE, **HTML), Request(), {"client-takes-none"}, id="no coding"),
        pytest.param(
            {},
            Whole(LARGE, **HTML),
            GET.having(cache_control="no-transform"),
            {"request-no-transform"},
            id="the client forbids it",
        ),
        pytest.param(
            {"compression": False}, Whole(LARGE, **HTML), GET, {"turned-off"}, id="compression off"
        ),
        pytest.param(
            {"routes": {"/": {"compression": False}}},
            Whole(LARGE, **HTML),
            GET,
            {"turned-off"},
            id="off for the route",
        ),
        pytest.param(
            {"cache": False}, Whole(LARGE, **HTML), GET, {"cache-turned-off"}, id="cache off"
        ),
        pytest.param(
            {"routes": {"/": {"cache": False}}},
            Whole(SMALL, **HTML),
            GET,
            {"too-small", "cache-turned-off"},
            id="cache off for the route",
        ),
        pytest.param(
            {},
            Whole(LARGE, **HTML),
            GET.having(accept=PACKED),
            {"type-not-translatable"},
            id="a format for a page",
        ),
        pytest.param(
            {"decoding": False},
            Whole(LARGE, **HTML),
            Request("PUT", body=(b"x",)).having(accept_encoding="br", content_encoding="gzip"),
            {"decoding-turned-off", "method-not-cached"},
            id="an encoded body that is passed on",
        ),
        pytest.param(
            {},
            Whole(SMALL, **HTML),
            Request("PUT", body=(msgpack.packb([1]),)).having(
                accept_encoding="br", content_type=PACKED
            ),
            {"upload-not-translated", "too-small", "method-not-cached"},
            id="a document that is passed on",
        ),
    ],
)
@awaited
async def test_what_is_not_done_is_counted_with_its_reason(
    options, app, request_, expected, caplog
):
    caplog.set_level(logging.DEBUG, logger="asgi_serial")
    serial_app = serial_of(app, **options)
    await ask(serial_app, request_)
    assert reasons_of(serial_app) == dict.fromkeys(expected, 1)
    (line,) = [record.getMessage() for record in caplog.records]
    assert {one for one in expected if one in line} == expected
    # The second of a kind that passes is decided by memory, and counted alike.
    await ask(serial_app, request_.having(host="other.example"))
    assert reasons_of(serial_app) == dict.fromkeys(expected, 2)


@awaited
async def test_hits_are_counted_with_the_reasons_of_the_form_that_they_get():
    page = {"content_type": "text/html", "cache_control": "max-age=60"}
    serial_app = serial_of(Whole(SMALL, **page))
    for _ in range(5):
        await ask(serial_app, GET)
    assert reasons_of(serial_app) == {"too-small": 5}
    serial_app = serial_of(Whole(LARGE, **page))
    for coding in ("br", "gzip", "identity", "identity", "br"):
        await ask(serial_app, Request().having(accept_encoding=coding))
    assert reasons_of(serial_app) == {"client-takes-none": 2}
    (row,) = engine_report(serial_app.engine).routes
    assert row["cache"]["hit"] == 4
    assert {name: one["count"] for name, one in row["codings"].items()} == {
        **{"br": 2, "gzip": 1, "identity": 2}
    }


@awaited
async def test_hits_of_a_document_that_is_not_translated_tell_formats_apart():
    document = b'{"number": 123456789012345678901234567890}'
    serial_app = serial_of(
        Whole(document, content_type="application/json", cache_control="max-age=60")
    )
    for accept in (PACKED, PACKED, "application/json"):
        await ask(serial_app, GET.having(accept=accept))
    assert reasons_of(serial_app) == {"too-small": 3, "value-not-carried": 2}


@pytest.mark.parametrize("kind", ["client-takes-no-format", "request-no-transform"])
@awaited
async def test_the_reasons_of_one_client_are_not_counted_for_the_hits_of_others(kind):
    fields = {"accept": "text/csv"} if "format" in kind else {"cache_control": "no-transform"}
    serial_app = serial_of(
        Whole(
            b"[" + b"1," * 600 + b"1]", content_type="application/json", cache_control="max-age=9"
        )
    )
    await ask(serial_app, Request().having(accept_encoding="identity", **fields))
    await ask(serial_app, Request())
    assert reasons_of(serial_app)[kind] == 1


@awaited
async def test_a_body_that_did_not_shrink_is_counted_when_that_is_remembered():
    noise = hashlib.shake_256(b"seed").digest(3000)
    serial_app = serial_of(Whole(noise, content_type="text/plain"), cache=False)
    for _ in range(3):
        await ask(serial_app, GET)
    counted = reasons_of(serial_app)
    assert counted["would-not-shrink"] == 3


@awaited
async def test_a_validated_response_has_the_reasons_of_the_stored_form():
    """Those of the app's 304 are not about what the client is sent."""

    async def app(scope, receive, send):
        asked = b"if-none-match" in dict(scope["headers"])
        fields = fields_of(**HTML, etag='"1"')
        status, body = (304, b"") if asked else (200, SMALL)
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    clock = Clock()
    serial_app = serial_of(app, clock=clock)
    await ask(serial_app, GET)
    clock.now += 100
    await ask(serial_app, GET)
    assert reasons_of(serial_app) == {"too-small": 2, "stale": 1}


@awaited
async def test_why_the_cache_did_not_answer_is_counted_too():
    serial_app = serial_of(Whole(LARGE, **HTML, vary="accept-language"))
    await ask(serial_app, GET.having(accept_language="en"))
    assert reasons_of(serial_app) == {}
    await ask(serial_app, GET.having(accept_language="de"))
    assert reasons_of(serial_app) == {"vary-miss": 1}
    await ask(serial_app, GET.having(accept_language="de", cache_control="no-cache"))
    assert reasons_of(serial_app) == {"vary-miss": 1, "request-no-cache": 1}


@awaited
async def test_one_reason_for_two_decisions_is_counted_once():
    serial_app = serial_of(Whole(LARGE, content_type="text/html", cache_control="max-age=60"))
    await ask(serial_app, GET)
    for _ in range(2):
        await ask(serial_app, GET.having(cookie="a=1"))
    assert reasons_of(serial_app) == {"request-has-credentials": 2}
