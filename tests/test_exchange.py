"""One request through the shell: what it reads, what it waits for, what it counts and logs."""

import asyncio
import gzip
import logging
import re
from dataclasses import replace

import msgpack
import pytest

from asgi_serial.admin.report_endpoint import engine_report
from asgi_serial.cache.entry import Entry
from asgi_serial.engine.engine import Engine
from asgi_serial.middleware import SerialMiddleware
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import serial
from tests.cache.entries import DictStore
from tests.engine.client import understand
from tests.engine.driver import (
    Clock,
    Recording,
    Request,
    Whole,
    ask,
    awaited,
    document_of,
    drive,
    fields_of,
    serial_of,
    until,
)

BODY = "http.response.body"
PLAIN = {"content_type": "text/plain"}
JSON = {"content_type": "application/json"}
FRESH = {"cache_control": "max-age=60"}
GET = Request()


def over_store(app, store, **options):
    """`app` behind the middleware with a second level of its own kind."""
    engine = Engine(Settings.load(options, {}), store=store, clock=Clock())
    return SerialMiddleware(app, engine=engine)


def rows_of(serial_app):
    """The rows of the report, by method and status."""
    return {(row["method"], row["status"]): row for row in engine_report(serial_app.engine).routes}


class Gated(Whole):
    """An app that answers when it is told to."""

    def __init__(self, content=b"content", **fields):
        super().__init__(content, **(fields or {**PLAIN, **FRESH}))
        self.may_answer = asyncio.Event()
        self.gates: list[asyncio.Event] = []  # of the calls that wait
        self.fails = False

    async def __call__(self, scope, receive, send):
        if self.may_answer.is_set():
            await super().__call__(scope, receive, send)
            return
        self.may_answer = asyncio.Event()
        gate, fails = self.may_answer, self.fails
        self.gates.append(gate)
        await gate.wait()
        if fails:
            self.calls += 1
            raise ConnectionError("the app's own")
        await super().__call__(scope, receive, send)


async def settle_down():
    """Let all that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


@awaited
async def test_many_first_requests_are_one_call_of_the_app():
    app = Gated()
    serial_app = serial_of(app, cache_ttl="60s")
    waiting = [asyncio.ensure_future(ask(serial_app, GET)) for _ in range(10)]
    await settle_down()
    app.may_answer.set()
    answers = await asyncio.gather(*waiting)
    assert app.calls == 1
    assert {answer.content for answer in answers} == {b"content"}
    shared = ["fwd=uri-miss, collapsed"] * 9
    assert sorted(answer.cached for answer in answers) == [*shared, "fwd=uri-miss, stored"]
    row = rows_of(serial_app)["GET", 200]
    assert {name: count for name, count in row["cache"].items() if count} == {
        "collapsed": 9,
        "miss": 1,
    }


@awaited
async def test_where_the_first_call_fails_the_next_in_line_makes_one():
    app = Gated()
    app.fails = True
    serial_app = serial_of(app, cache_ttl="60s")
    waiting = [asyncio.ensure_future(drive(serial_app, GET)) for _ in range(3)]
    await settle_down()
    gate, app.fails = app.may_answer, False
    gate.set()
    app.may_answer = asyncio.Event()
    await settle_down()
    app.may_answer.set()
    first, *others = await asyncio.gather(*waiting)
    assert isinstance(first.error, ConnectionError)
    assert [one.error for one in others] == [None, None]
    assert app.calls == 2


@awaited
async def test_who_waits_too_long_calls_the_app_and_spares_the_next_ones_the_wait():
    app = Gated()
    serial_app = serial_of(app, cache_wait=0.01)
    leading = asyncio.ensure_future(ask(serial_app, GET))
    await settle_down()
    gate = app.may_answer
    following = asyncio.ensure_future(ask(serial_app, GET))
    await until(lambda: len(app.gates) == 2)
    app.gates[1].set()
    assert (await following).content == b"content"
    assert not leading.done()
    gate.set()
    await leading
    assert app.calls == 2


@awaited
async def test_who_waited_for_what_is_not_stored_calls_the_app():
    app = Gated(**PLAIN, cache_control="no-store")
    serial_app = serial_of(app, cache_ttl="60s")
    waiting = [asyncio.ensure_future(ask(serial_app, GET)) for _ in range(3)]
    await settle_down()
    app.may_answer.set()
    assert [answer.content for answer in await asyncio.gather(*waiting)] == [b"content"] * 3
    assert app.calls == 3


@awaited
async def test_who_waited_for_another_form_gets_one_that_is_made_of_it():
    document = document_of(2_000)
    app = Gated(document, **JSON, **FRESH)
    serial_app = serial_of(app, cache_ttl="60s")
    waiting = [
        asyncio.ensure_future(ask(serial_app, GET.having(accept_encoding=coding)))
        for coding in ("gzip", "br", "zstd", "identity")
    ]
    await settle_down()
    app.may_answer.set()
    answers = await asyncio.gather(*waiting)
    assert [answer.coding for answer in answers] == ["gzip", "br", "zstd", ""]
    assert {answer.content for answer in answers} == {document}
    assert app.calls == 1


@awaited
async def test_a_hit_comes_out_of_the_second_level_of_another_process():
    store = DictStore()
    first = over_store(Whole(b"content", **PLAIN, **FRESH), store)
    await ask(first, GET)
    await first.engine.responses.flush()
    app = Whole(b"never")
    second = over_store(app, store)
    answer = await ask(second, GET)
    assert (answer.content, answer.cached, app.calls) == (b"content", "hit", 0)
    store.log.clear()
    assert (await ask(second, GET)).cached == "hit"
    assert store.log == []  # the first level has it now


@awaited
async def test_another_form_is_made_of_what_the_second_level_has():
    store = DictStore()
    document = document_of(40_000)  # large enough for a thread
    first = over_store(Whole(document, **JSON, **FRESH), store)
    await ask(first, GET.having(accept_encoding="br"))
    await first.engine.responses.flush()
    app = Whole(b"never")
    answer = await ask(over_store(app, store), GET.having(accept_encoding="gzip"))
    assert (answer.content, answer.coding, answer.cached) == (document, "gzip", "hit")
    assert app.calls == 0


@awaited
async def test_where_no_form_can_be_made_the_app_is_called():
    """What is stored is damaged: nothing can be made of it."""
    document = document_of(2_000)
    app = Whole(document, **JSON, **FRESH)
    serial_app = serial_of(app)
    await ask(serial_app, GET.having(accept_encoding="gzip"))
    (entry,) = [
        slot.value
        for slot in serial_app.engine.memory._slots.values()
        if isinstance(slot.value, Entry)
    ]
    entry.all_forms[0].body = entry.all_forms[0].body[:-1]
    answer = await ask(serial_app, GET.having(accept_encoding="br"))
    assert (answer.content, answer.coding) == (document, "br")
    assert app.calls == 2


@pytest.mark.parametrize(
    ("request_fields", "status", "detail"),
    [
        pytest.param({}, 504, "Nothing is stored under this key.", id="nothing is stored"),
        pytest.param({"content_length": "3"}, 504, "The request has a body", id="not looked up"),
    ],
)
@awaited
async def test_a_client_that_wants_stored_responses_only_is_refused(request_fields, status, detail):
    """RFC 9111, 5.2.1.7."""
    app = Whole(b"content", **PLAIN, **FRESH)
    serial_app = serial_of(app)
    request = GET.having(cache_control="only-if-cached", **request_fields)
    answer = await ask(serial_app, request)
    assert (answer.status, app.calls) == (status, 0)
    assert answer.document["detail"].startswith(detail)


class Echo:
    """Answers with the body that it gets, and notes how it came."""

    def __init__(self, **fields):
        self.fields = fields_of(**(fields or JSON))
        self.calls = 0
        self.received = []

    async def __call__(self, scope, receive, send):
        self.calls += 1
        body, more = b"", True
        while more:
            message = await receive()
            self.received.append(message)
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": list(self.fields)})
        await send({"type": "http.response.body", "body": body})


KEYED = {"routes": {"POST /": {"cache_body": True, "cache_ttl": "60s"}}, "cache_max_key_body": 20}


def post(*pieces, **fields):
    return Request(method="POST", body=pieces).having(content_type="text/plain", **fields)


@awaited
async def test_a_post_is_answered_by_its_body_and_the_app_gets_it_as_it_came():
    app = Echo(**PLAIN)
    serial_app = serial_of(app, **KEYED)
    answers = [
        await ask(serial_app, post(*pieces))
        for pieces in ((b"a", b"b"), (b"ab",), (b"", b"a", b"b"), (b"abc",), (b"",))
    ]
    assert [answer.content for answer in answers] == [b"ab", b"ab", b"ab", b"abc", b""]
    assert [answer.cached == "hit" for answer in answers] == [False, True, True, False, False]
    assert [message["body"] for message in app.received] == [b"a", b"b", b"abc", b""]


@awaited
async def test_a_body_too_large_for_the_key_reaches_the_app_whole():
    app = Echo(**PLAIN)
    serial_app = serial_of(app, **KEYED)
    for _ in range(2):
        answer = await ask(serial_app, post(b"a" * 15, b"b" * 15, b"c" * 15))
        assert answer.content == b"a" * 15 + b"b" * 15 + b"c" * 15
        assert "request-too-large-to-key" in answer.one("cache-status")
    assert app.calls == 2


@awaited
async def test_a_compressed_body_is_keyed_by_what_it_decodes_to():
    app = Echo(**PLAIN)
    serial_app = serial_of(app, **KEYED)
    plain = await ask(serial_app, post(b"content"))
    encoded = await ask(serial_app, post(gzip.compress(b"content"), content_encoding="gzip"))
    assert plain.content == encoded.content == b"content"
    assert encoded.cached == "hit"
    large = await ask(serial_app, post(gzip.compress(b"a" * 30), content_encoding="gzip"))
    assert large.content == b"a" * 30
    assert "request-too-large-to-key" in large.one("cache-status")


def leaving_after(*bodies):
    """A client's `receive` that gives these parts of a body, and then is gone."""
    waiting = [{"type": "http.request", "body": body, "more_body": True} for body in bodies]

    async def receive():
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    return receive


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"content_encoding": "gzip"}, id="while its body is decoded"),
        pytest.param({}, id="while its body is read for the key"),
    ],
)
@awaited
async def test_a_client_that_leaves_before_its_body_is_whole_is_seen_to_leave(fields):
    seen = []

    async def app(scope, receive, send):
        while (message := await receive())["type"] == "http.request":
            seen.append(message["body"])
        seen.append(message["type"])

    serial_app = serial_of(app, **KEYED)
    await serial_app(post(**fields).make_scope(), leaving_after(b"a", b"b"), Recording().send)
    assert seen[-1] == "http.disconnect"


@awaited
async def test_a_large_body_is_decoded_in_a_thread():
    document = document_of(300_000)
    app = Echo()
    request = Request(method="POST", body=(gzip.compress(document, 1),))
    request = request.having(content_type="application/json", content_encoding="gzip")
    answer = await ask(serial_of(app), request)
    assert answer.content == document


@awaited
async def test_a_body_that_does_not_decode_is_refused_and_counted():
    app = Echo()
    serial_app = serial_of(app)
    request = Request(method="POST", body=(b"\xc1",))
    answer = await ask(serial_app, request.having(content_encoding="gzip"))
    assert (answer.status, app.calls) == (400, 0)
    row = rows_of(serial_app)["POST", 400]
    (reason,) = row["reasons"]
    assert (row["route"], reason["name"], reason["count"]) == ("(refused)", "bad-encoded-body", 1)


@awaited
async def test_a_translated_body_is_there_once_and_then_the_client():
    received = []

    async def app(scope, receive, send):
        received.append(await receive())
        received.append(await receive())

    request = Request(method="POST", body=(msgpack.packb({"a": 1}),), leaves=True)
    serial_app = serial_of(app, format_uploads=True)
    await drive(serial_app, request.having(content_type="application/vnd.msgpack"))
    assert received == [
        {"type": "http.request", "body": b'{"a":1}', "more_body": False},
        {"type": "http.disconnect"},
    ]


@serial(cache_ttl=60, cache_body=True)
async def answer_search(scope, receive, send):
    """An app that says itself, while it runs, that its answers are kept by the body."""
    await Echo(**PLAIN)(scope, receive, send)


@awaited
async def test_a_handler_may_ask_for_the_body_in_the_key_while_it_runs():
    serial_app = serial_of(answer_search)
    found = [(await ask(serial_app, post(b"a"))).cached for _ in range(2)]
    found.append((await ask(serial_app, post(b"b"))).cached)
    assert [one == "hit" for one in found] == [False, True, False]


@awaited
async def test_a_request_is_logged_with_its_reasons_where_debugging_is_on(caplog):
    caplog.set_level(logging.DEBUG, logger="asgi_serial")
    serial_app = serial_of(Whole(b"content", **PLAIN, **FRESH, content_length="7"))
    await ask(serial_app, Request(path="/a\nb").having(accept_encoding="gzip"))
    (record,) = caplog.records
    assert record.getMessage() == r"GET '/a\nb': 200, cache miss, too-small"


@awaited
async def test_a_request_with_nothing_left_undone_says_so(caplog):
    caplog.set_level(logging.DEBUG, logger="asgi_serial")
    serial_app = serial_of(Whole(document_of(2_000), **JSON, **FRESH))
    await ask(serial_app, GET.having(accept_encoding="gzip"))
    assert caplog.records[-1].getMessage().endswith("cache miss, nothing left undone")


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        pytest.param(GET, "GET '/': 200, cache hit, turned-off", id="a hit"),
        pytest.param(
            GET.having(if_none_match='"v1"'),
            "GET '/': 304, cache hit, turned-off",
            id="a 304 out of the cache",
        ),
        pytest.param(
            GET.having(range="bytes=0-1"),
            "GET '/': 206, cache hit, turned-off",
            id="a part out of the cache",
        ),
        pytest.param(
            GET.having(cache_control="max-stale, only-if-cached", host="other.example"),
            "GET '/': 504, miss",
            id="a refusal",
        ),
        pytest.param(
            Request(path="/passes"),
            "GET '/passes': 200, cache miss, turned-off, no-freshness",
            id="what passes",
        ),
        pytest.param(Request(path="/fails"), "GET '/fails': 500 failed, cache miss, incomplete"),
        pytest.param(
            Request(path="/breaks"),
            "GET '/breaks': 200 failed, cache miss, turned-off, no-freshness, incomplete",
        ),
        pytest.param(Request("POST"), "POST '/': 200, cache bypass, turned-off, method-not-cached"),
    ],
)
@pytest.mark.parametrize("timing", [True, False], ids=["with timing", "without timing"])
@awaited
async def test_every_answer_has_one_line_in_the_log(request_, line, timing, caplog):
    fresh = fields_of(**PLAIN, **FRESH, etag='"v1"', content_length="7")

    async def app(scope, receive, send):
        if scope["path"] == "/fails":
            raise RuntimeError("the app's own")
        fields = fresh if scope["path"] == "/" else fields_of(**PLAIN)
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        more = scope["path"] == "/breaks"
        await send({"type": BODY, "body": b"content", "more_body": more})

    serial_app = serial_of(app, compression=False, timing=timing)
    await ask(serial_app, GET)
    caplog.set_level(logging.DEBUG, logger="asgi_serial")
    await drive(serial_app, request_)
    assert [record.getMessage() for record in caplog.records] == [line]


@awaited
async def test_nothing_is_logged_in_the_way_of_requests_otherwise(caplog):
    caplog.set_level(logging.INFO, logger="asgi_serial")
    serial_app = serial_of(Whole(b"content", **PLAIN, **FRESH))
    for _ in range(2):
        await ask(serial_app, GET.having(accept_encoding="gzip"))
    assert caplog.records == []


TIMED = {"server_timing": True}


@pytest.mark.parametrize(
    ("fields", "pieces", "size"),
    [
        pytest.param({}, 1, 10, id="passed"),
        pytest.param({"accept_encoding": "gzip"}, 1, 2_000, id="encoded whole"),
        pytest.param({"accept_encoding": "gzip"}, 3, 2_000, id="streamed"),
        pytest.param({"accept_encoding": "gzip"}, 1, 400_000, id="encoded in a thread"),
    ],
)
@pytest.mark.parametrize("cache", [True, False], ids=["cache on", "cache off"])
@awaited
async def test_server_timing_says_what_the_app_took_and_what_came_after(
    fields, pieces, size, cache
):
    app = Whole(document_of(size) or b"content", pieces=pieces, **JSON, **FRESH)
    serial_app = serial_of(app, cache=cache, **TIMED)
    answer = await ask(serial_app, GET.having(**fields))
    names = [metric.partition(";")[0] for metric in answer.one("server-timing").split(", ")]
    assert names == [
        *(["look-up"] if cache else []),
        "app-first-byte",
        *(["encode"] if fields or cache else []),
        *(["cache"] if cache else []),
    ]
    if cache and pieces == 1:
        hit = await ask(serial_app, GET.having(**fields))
        assert re.fullmatch(r"look-up;dur=[0-9.]+, cache;desc=hit", hit.one("server-timing"))
        assert hit.content == answer.content


@pytest.mark.parametrize("timing", [True, False], ids=["counted too", "not counted"])
@awaited
async def test_server_timing_alone_is_added_to_the_start_of_each_response(timing):
    app = Whole(b"content", pieces=3, **JSON)
    off = dict.fromkeys(("cache", "compression", "formats", "decoding"), False)
    serial_app = serial_of(app, timing=timing, **off, **TIMED)
    for method in ("GET", "HEAD"):
        answer = await ask(serial_app, replace(GET, method=method))
        assert re.fullmatch(r"app-first-byte;dur=[0-9.]+", answer.one("server-timing"))
        assert answer.is_whole
    counts = {key: row["count"] for key, row in rows_of(serial_app).items()}
    assert counts == ({("GET", 200): 1, ("HEAD", 200): 1} if timing else {})


@awaited
async def test_without_timing_there_is_nothing_to_report_and_all_works():
    app = Whole(document_of(2_000), **JSON, **FRESH)
    serial_app = serial_of(app, timing=False)
    request = GET.having(accept_encoding="gzip", authorization="Basic eA==")
    for one in (request, request, GET.having(cache_control="only-if-cached"), GET, GET):
        await ask(serial_app, one)
    assert engine_report(serial_app.engine).routes == []


@pytest.mark.parametrize("timing", [True, False], ids=["timed", "not timed"])
@awaited
async def test_an_app_that_fails_before_it_answers_is_counted_and_nobody_waits_for_it(timing):
    async def app(scope, receive, send):
        raise LookupError("the app's own")

    serial_app = serial_of(app, timing=timing)
    for _ in range(2):
        recording = await drive(serial_app, GET.having(accept_encoding="gzip"))
        assert isinstance(recording.error, LookupError)
        assert recording.messages == []
    counts = {key: row["count"] for key, row in rows_of(serial_app).items()}
    assert counts == ({("GET", 500): 2} if timing else {})


@awaited
async def test_a_server_that_fails_while_a_failed_app_is_settled_does_not_hide_its_error():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": fields_of(**JSON)})
        raise LookupError("the app's own")

    async def send(message):
        raise OSError("the connection is gone")

    serial_app = serial_of(app)
    scope = GET.having(accept_encoding="gzip").make_scope()
    with pytest.raises(LookupError):
        await serial_app(scope, GET.make_receive(), send)


@awaited
async def test_a_look_up_that_ends_after_the_leader_has_landed_finds_what_is_stored():
    """With a second level that answers each request in its own time, too, the app runs once."""
    store = DictStore()
    app = Whole(b"content", **PLAIN, **FRESH)
    serial_app = over_store(app, store)
    await serial_app.engine.responses.purge_sync.listen()
    store.may_go_on.clear()
    slow = asyncio.ensure_future(ask(serial_app, GET))
    await settle_down()
    store.may_go_on, held = asyncio.Event(), store.may_go_on
    store.may_go_on.set()
    assert (await ask(serial_app, GET)).cached == "fwd=uri-miss, stored"
    held.set()
    assert (await slow).cached == "hit"
    assert app.calls == 1


@awaited
async def test_a_small_body_of_unknown_length_is_said_to_be_small(caplog):
    caplog.set_level(logging.DEBUG, logger="asgi_serial")
    await ask(serial_of(Whole(b"content", **PLAIN)), GET.having(accept_encoding="gzip"))
    assert "too-small" in caplog.text


@awaited
async def test_an_app_that_leaves_while_its_last_piece_is_encoded_is_waited_for():
    document = document_of(400_000)
    tasks = []

    async def app(scope, receive, send):
        fields = fields_of(**JSON, **FRESH)
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        tasks.append(asyncio.ensure_future(send({"type": BODY, "body": document})))
        await asyncio.sleep(0)

    serial_app = serial_of(app)
    answer = await ask(serial_app, GET.having(accept_encoding="gzip"))
    assert (answer.coding, answer.content) == ("gzip", document)
    assert tasks[0].done()
    assert rows_of(serial_app)["GET", 200]["reasons"] == []


def test_what_is_held_is_sent_where_no_loop_of_asyncio_runs_and_the_app_listens():
    """As under trio: here nothing suspends, so that one step is all."""
    document = document_of(2_000)

    async def app(scope, receive, send):
        fields = fields_of(**JSON, content_length=str(len(document)))
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await receive()
        await send({"type": BODY, "body": document})

    recording = Recording()
    request = GET.having(accept_encoding="gzip")
    serving = serial_of(app)(request.make_scope(), request.make_receive(), recording.send)
    with pytest.raises(StopIteration):
        serving.send(None)
    assert recording.types == ["start", "body"]
    assert understand(recording).content == document


@awaited
async def test_a_hit_that_is_found_the_longer_way_is_counted_where_there_is_timing():
    app = Whole(b"content", **PLAIN, **FRESH)
    for timing in (True, False):
        serial_app = serial_of(app, timing=timing)
        await ask(serial_app, GET)
        answer = await ask(serial_app, GET.having(cache_control="max-age=60"))
        assert answer.cached == "hit"
        hits = [row["cache"]["hit"] for row in engine_report(serial_app.engine).routes]
        assert hits == [1] * timing


@awaited
async def test_variants_are_made_side_by_side_and_each_once():
    """Those who ask for another variant than the first do not stand in line behind it."""
    app = Gated(**PLAIN, **FRESH, vary="accept-language")
    serial_app = serial_of(app, cache_ttl="60s")
    languages = ("de", "fr", "it", "de", "fr", "it", "de")
    waiting = [
        asyncio.ensure_future(ask(serial_app, GET.having(accept_language=language)))
        for language in languages
    ]
    await settle_down()
    running = []
    for _ in range(2):  # the first alone, and then one for each of the others
        gates, app.gates, app.may_answer = app.gates, [], asyncio.Event()
        running.append(len(gates))
        for gate in gates:
            gate.set()
        await settle_down()
    await asyncio.gather(*waiting)
    assert running == [1, 2]
    assert app.calls == 3


@pytest.mark.parametrize("switches", [[], ["compression"]], ids=["no handler", "some handler"])
@awaited
async def test_a_write_names_the_tag_of_the_app_where_no_variants_are_made(switches, monkeypatch):
    """RFC 9110, 13.1.1: If-Match lets a write through whose tag is the current one."""
    for module in ("asgi.app_scope", "asgi.exchange", "request.plan"):
        monkeypatch.setattr(f"asgi_serial.{module}.HANDLER_SWITCHES", set(switches))
    seen = []

    async def app(scope, receive, send):
        seen.append(dict(scope["headers"]).get(b"if-match"))
        fields = fields_of(**PLAIN, etag='"page-gzip"')
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": BODY, "body": b"content"})

    serial_app = serial_of(app, cache=False, compression=False, formats=False)
    tag = (await ask(serial_app, GET)).one("etag")
    await ask(serial_app, Request("PUT").having(if_match=tag))
    assert seen[-1] == b'"page-gzip"'
