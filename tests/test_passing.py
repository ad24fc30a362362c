"""A response that passes as the app makes it: Vary is written, it is counted, nothing else."""

import pytest

from asgi_serial import SerialMiddleware
from asgi_serial.admin.report_endpoint import engine_report
from tests.engine.driver import Recording, Request, Whole, awaited, drive, fields_of, serial_of

TIMING_ONLY = {"cache": False, "compression": False, "formats": False, "decoding": False}
NO_CACHE = {"cache": False}
JSON = {"content_type": "application/json"}
START = {"type": "http.response.start", "status": 200, "headers": []}


def body(content=b"", **more):
    return {"type": "http.response.body", "body": content, **more}


def saying(*messages):
    """An app that sends these messages."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


def rows_of(serial_app):
    return engine_report(serial_app.engine).routes


@awaited
async def test_an_app_that_is_timed_only_has_the_servers_scope_with_a_mark():
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, dict(scope), await receive()))
        await send(START)
        await send(body(b"content"))

    request = Request()
    scope, receive = request.make_scope(), request.make_receive()
    before = {**scope, "headers": list(scope["headers"])}
    recording = Recording()
    await serial_of(app, **TIMING_ONLY)(scope, receive, recording.send)
    given, held, heard = seen[0]
    assert given is scope
    assert {name: held[name] for name in scope} == scope
    assert held.keys() - scope.keys() == {"asgi_serial"}
    assert heard == await request.make_receive()()
    assert scope == before
    assert recording.messages == [START, body(b"content")]


@pytest.mark.parametrize("options", [TIMING_ONLY, NO_CACHE], ids=["timing alone", "no cache"])
@pytest.mark.parametrize(
    ("messages", "size"),
    [
        pytest.param([START, body(b"content")], 7, id="whole"),
        pytest.param([START, {"type": "http.response.body"}], 0, id="a body without a body"),
        pytest.param(
            [START, body(b"con", more_body=True), body(b"tent", more_body=False)], 7, id="pieces"
        ),
        pytest.param(
            [
                {**START, "trailers": True},
                body(b"content"),
                {"type": "http.response.trailers", "headers": []},
            ],
            7,
            id="trailers",
        ),
        pytest.param(
            [START, {"type": "http.response.pathsend", "path": "/a"}], 0, id="a file by its path"
        ),
        pytest.param(
            [START, body(b"con", more_body=True), {"type": "http.response.debug"}, body(b"tent")],
            7,
            id="an unknown message in between",
        ),
        pytest.param(
            [{"type": "http.response.early_hint", "links": [b"x"]}, START, body(b"content")],
            7,
            id="an early hint first",
        ),
    ],
)
@awaited
async def test_messages_pass_as_they_are_and_are_counted_once(options, messages, size):
    serial_app = serial_of(saying(*messages), **options)
    recording = await drive(serial_app, Request())
    bodies = [one for one in messages if one["type"] != "http.response.start"]
    passed = [one for one in recording.messages if one["type"] != "http.response.start"]
    assert passed == bodies
    assert len(recording.messages) == len(messages)
    (row,) = rows_of(serial_app)
    assert (row["status"], row["count"], row["app_bytes"], row["sent_bytes"]) == (
        200,
        1,
        size,
        size,
    )
    assert "incomplete" not in str(row["reasons"])


@awaited
async def test_of_a_response_to_head_no_bytes_are_counted_as_sent():
    serial_app = serial_of(Whole(b"content"), **TIMING_ONLY)
    await drive(serial_app, Request(method="HEAD"))
    (row,) = rows_of(serial_app)
    assert (row["method"], row["app_bytes"], row["sent_bytes"]) == ("HEAD", 7, 0)


@pytest.mark.parametrize(
    ("messages", "status", "size"),
    [
        pytest.param([], 500, 0, id="nothing"),
        pytest.param([START], 200, 0, id="the start alone"),
        pytest.param([START, body(b"con", more_body=True)], 200, 3, id="a part of the body"),
    ],
)
@pytest.mark.parametrize("fails", [True, False], ids=["an exception", "a return"])
@awaited
async def test_a_response_that_is_not_finished_is_counted_as_such(messages, status, size, fails):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        if fails:
            raise LookupError("the app's own")

    serial_app = serial_of(app, **TIMING_ONLY)
    recording = await drive(serial_app, Request())
    assert isinstance(recording.error, LookupError) is fails
    assert recording.messages == messages
    (row,) = rows_of(serial_app)
    assert (row["status"], row["count"], row["app_bytes"]) == (status, 1, size)
    assert [reason["name"] for reason in row["reasons"]] == ["incomplete"]


@pytest.mark.parametrize("messages", [[], [START], [START, body(b"content")]], ids=len)
@awaited
async def test_without_timing_nothing_is_counted(messages):
    serial_app = serial_of(saying(*messages), cache=False, timing=False)
    recording = await drive(serial_app, Request())
    assert len(recording.messages) == len(messages)
    assert rows_of(serial_app) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, "accept, accept-encoding", id="none before"),
        pytest.param({"vary": "Origin"}, "Origin, accept, accept-encoding", id="another before"),
        pytest.param({"vary": "*"}, "*", id="everything"),
    ],
)
@awaited
async def test_other_clients_may_get_other_forms_and_vary_says_so(given, expected):
    app = Whole(b"[1, 2]" * 200, content_length="1200", **JSON, **given)
    recording = await drive(serial_of(app, **NO_CACHE), Request())
    fields = dict(recording.start["headers"])
    assert fields[b"vary"].decode().lower() == expected.lower()
    assert fields[b"content-length"] == b"1200"


@awaited
async def test_the_fields_of_the_app_stay_its_own():
    given = fields_of(content_type="application/json", vary="origin")
    start = {**START, "headers": given}
    await drive(serial_of(saying(start, body(b"[]")), **NO_CACHE), Request())
    assert given == fields_of(content_type="application/json", vary="origin")


@awaited
async def test_a_resource_that_was_not_stored_passes_until_it_may_be_stored():
    """From the third response on nothing is looked for, but what may be stored is."""
    app = Whole(b"content", content_type="text/plain")
    serial_app = serial_of(app)
    for _ in range(3):
        recording = await drive(serial_app, Request())
        status = dict(recording.start["headers"])[b"cache-status"]
        assert status == b"asgi_serial; fwd=uri-miss; detail=no-freshness"
    app.fields = fields_of(content_type="text/plain", cache_control="max-age=60")
    outcomes = []
    for _ in range(3):
        recording = await drive(serial_app, Request())
        outcomes.append(dict(recording.start["headers"])[b"cache-status"])
    assert outcomes[0].endswith(b"; stored")
    assert all(b"; hit" in outcome for outcome in outcomes[1:])
    row = rows_of(serial_app)[0]
    assert (row["cache"]["miss"], row["cache"]["hit"]) == (4, 2)


@awaited
async def test_without_cache_status_nothing_is_said_of_the_cache():
    serial_app = serial_of(Whole(b"content", content_type="text/plain"), cache_status=False)
    for _ in range(2):
        recording = await drive(serial_app, Request())
        assert b"cache-status" not in dict(recording.start["headers"])


@pytest.mark.parametrize("coding", [None, "gzip"])
@awaited
async def test_an_engine_further_in_is_refused_whatever_the_client_takes(coding):
    async def app(scope, receive, send):
        await send(START)
        await send(body(b"content"))

    accepted = {} if coding is None else {"accept-encoding": coding}
    fields = {"accept": "application/vnd.msgpack", **accepted}
    request = Request(fields=tuple(fields.items()))
    inner = SerialMiddleware(app)
    recording = Recording()
    outer = SerialMiddleware(inner, formats=False, cache=False)
    await outer(request.make_scope(), request.make_receive(), recording.send)
    assert inner.engine.recorder.snapshot() == {}


@pytest.mark.parametrize("coding", ["identity", "gzip"])
@awaited
async def test_a_start_that_can_not_be_read_is_counted_as_one_that_was_not_whole(coding):
    serial = serial_of(saying({**START, "headers": [(b"a",)]}), **NO_CACHE)
    recording = await drive(serial, Request().having(accept_encoding=coding))
    assert isinstance(recording.error, ValueError)
    (row,) = rows_of(serial)
    assert (row["status"], row["outcome"], row["count"]) == (500, "failed", 1)
