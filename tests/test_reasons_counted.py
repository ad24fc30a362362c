"""Whatever is not done to a response has a reason, which is counted and logged."""

import logging

import msgpack
import pytest

from asgi_serial.admin.report_endpoint import engine_report
from tests.engine.driver import Request, Whole, ask, awaited, serial_of

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
