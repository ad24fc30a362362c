"""Stale responses: confirmed by the app, renewed, refreshed behind the answer, or in its stead."""

import asyncio
import json

import pytest

from asgi_serial import timing_report
from asgi_serial.caching.revalidation import (
    conditions_for,
    matches_stored_head,
    matches_stored_validator,
)

from .client import understand
from .driver import Clock, Request, ask, awaited, drive, serial_of, settled
from .making import body, make_engine, make_flow, run, start

LATER = 100
DOCUMENT = b"[1,2]"


class Origin:
    """An app with one document, which answers conditions by its tag and counts what it is asked."""

    def __init__(self, *fields, etag='"v1"', document=None):
        self.fields = list(fields) or [(b"cache-control", b"max-age=60")]
        self.etag = etag
        self.document = {"n": list(range(300))} if document is None else document
        self.status = 200
        self.more = []  # further fields of the next answers
        self.raises = False
        self.asked = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope, receive, send):
        headers = dict(scope["headers"])
        self.asked.append((scope["method"], headers))
        await self.gate.wait()
        if self.raises:
            raise RuntimeError("the app fails")
        held = self.etag and headers.get(b"if-none-match", b"").decode() == self.etag
        status = 304 if held and self.status == 200 else self.status
        fields = [(b"content-type", b"application/json"), *self.fields, *self.more]
        if self.etag:
            fields.append((b"etag", self.etag.encode()))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        content = json.dumps(self.document).encode() if status != 304 else b""
        await send({"type": "http.response.body", "body": content})

    @property
    def conditions(self):
        return [headers.get(b"if-none-match") for _, headers in self.asked]


def site(*fields, clock=None, **settings):
    origin = Origin(*fields)
    clock = clock or Clock()
    return origin, clock, serial_of(origin, clock=clock, **settings)


def said(answer):
    return answer.one("cache-status").removeprefix("asgi_serial; ")


@pytest.mark.parametrize("coding", ["", "gzip", "br"])
@pytest.mark.parametrize("accept", ["application/json", "application/vnd.msgpack"])
@awaited
async def test_each_form_is_served_again_once_the_app_has_confirmed_it(coding, accept):
    origin, clock, serial = site()
    request = Request().having(accept=accept, accept_encoding=coding or "identity")
    first = await ask(serial, request)
    clock.now += LATER
    second = await ask(serial, request)
    assert origin.conditions == [None, b'"v1"']
    assert said(second) == "fwd=stale; fwd-status=304; stored; ttl=60"
    assert (second.status, second.body, second.coding) == (200, first.body, coding)
    assert second.document == origin.document
    assert (await ask(serial, request)).one("age") == "0"
    assert len(origin.asked) == 2


@awaited
async def test_a_form_that_is_not_there_yet_is_made_before_the_app_is_asked():
    origin, clock, serial = site()
    await ask(serial, Request())
    clock.now += LATER
    answer = await ask(serial, Request().having(accept_encoding="gzip"))
    assert (answer.status, answer.coding) == (200, "gzip")
    assert answer.document == origin.document
    assert origin.conditions == [None, b'"v1"']


@awaited
async def test_a_form_that_can_not_be_made_leaves_the_request_as_it_is():
    origin, clock, serial = site(encodings_cache=False)
    await ask(serial, Request().having(accept_encoding="gzip"))
    (entry,) = [slot.value for slot in serial.engine.memory._slots.values()][:1]
    entry.all_forms[0].body = b"no gzip"
    clock.now += LATER
    answer = await ask(serial, Request().having(accept_encoding="br"))
    assert answer.document == origin.document
    assert origin.conditions == [None, None]


@awaited
async def test_a_client_that_holds_the_same_gets_its_304_of_us():
    origin, clock, serial = site()
    first = await ask(serial, Request())
    clock.now += LATER
    held = Request().having(if_none_match=first.one("etag"))
    answer = await ask(serial, held)
    assert (answer.status, answer.body) == (304, b"")
    assert origin.conditions == [None, b'"v1"']


@awaited
async def test_fields_of_a_304_replace_those_that_are_stored():
    origin, clock, serial = site((b"cache-control", b"max-age=60"), (b"x-a", b"old"))
    await ask(serial, Request())
    origin.fields = [(b"cache-control", b"max-age=30"), (b"x-a", b"new"), (b"x-b", b"more")]
    origin.more = [(b"content-length", b"5"), (b"connection", b"x-hop"), (b"x-hop", b"1")]
    clock.now += LATER
    for _ in range(2):
        answer = await ask(serial, Request())
        assert answer.document == origin.document
        assert (answer.one("x-a"), answer.one("x-b")) == ("new", "more")
        assert answer.one("cache-control") == "max-age=30"
        assert answer.one("x-hop") is None
        assert answer.one("content-length") is None
    assert len(origin.asked) == 2
    clock.now += 40
    await ask(serial, Request())
    assert len(origin.asked) == 3


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ((b"set-cookie", b"a=b"), "sets-cookie"),
        ((b"cache-control", b"no-store"), "no-store"),
        ((b"cache-control", b"private"), "private"),
    ],
)
@awaited
async def test_what_a_304_forbids_to_store_is_for_this_client_alone(line, detail):
    origin, clock, serial = site()
    await ask(serial, Request())
    origin.more = [line]
    clock.now += LATER
    answer = await ask(serial, Request())
    assert answer.document == origin.document
    assert line in answer.fields
    assert said(answer) == f"fwd=stale; fwd-status=304; ttl=0; detail={detail}"
    origin.more = []
    again = await ask(serial, Request())
    assert origin.conditions == [None, b'"v1"', None]
    assert line not in again.fields


@awaited
async def test_a_304_about_another_response_is_no_answer_and_the_app_is_asked_again():
    origin, clock, serial = site()
    await ask(serial, Request())

    async def confused(scope, receive, send):
        message = await receive()
        assert message["type"] == "http.request"
        if b"if-none-match" in dict(scope["headers"]):
            fields = [(b"etag", b'"other"')]
            await send({"type": "http.response.start", "status": 304, "headers": fields})
            await send({"type": "http.response.body", "body": b""})
        else:
            await origin(scope, receive, send)

    serial.app = confused
    clock.now += LATER
    origin.document = {"n": 2}
    answer = await ask(serial, Request())
    assert (answer.status, answer.document) == (200, {"n": 2})


@awaited
async def test_a_changed_response_takes_the_place_of_the_stale_one():
    origin, clock, serial = site()
    await ask(serial, Request())
    origin.etag, origin.document = '"v2"', {"n": 2}
    clock.now += LATER
    answers = [await ask(serial, Request()) for _ in range(2)]
    assert [answer.document for answer in answers] == [{"n": 2}] * 2
    assert len(origin.asked) == 2


@awaited
async def test_news_that_are_not_stored_drop_what_is():
    origin, clock, serial = site()
    await ask(serial, Request())
    origin.status = 404
    origin.fields = [(b"cache-control", b"no-store")]
    clock.now += LATER
    await ask(serial, Request())
    await ask(serial, Request())
    assert origin.conditions == [None, b'"v1"', None]


@awaited
async def test_the_client_s_own_precondition_is_the_app_s_to_judge():
    origin, clock, serial = site()
    await ask(serial, Request())
    clock.now += LATER
    await ask(serial, Request().having(if_match='"v1"'))
    assert origin.conditions == [None, None]
    assert origin.asked[1][1][b"if-match"] == b'"v1"'


@awaited
async def test_no_cache_is_confirmed_each_time():
    origin, _, serial = site((b"cache-control", b"no-cache"), cache_confirm=True)
    for _ in range(3):
        answer = await ask(serial, Request())
        assert answer.document == origin.document
    assert origin.conditions == [None, b'"v1"', b'"v1"']


@awaited
async def test_a_crowd_before_a_stale_response_asks_the_app_once():
    origin, clock, serial = site()
    await ask(serial, Request())
    clock.now += LATER
    origin.gate.clear()
    crowd = [asyncio.ensure_future(ask(serial, Request())) for _ in range(20)]
    for _ in range(20):
        await asyncio.sleep(0)
    origin.gate.set()
    answers = await asyncio.gather(*crowd)
    assert origin.conditions == [None, b'"v1"']
    assert all(answer.document == origin.document for answer in answers)


@awaited
async def test_a_crowd_before_what_is_stale_at_once_does_not_queue():
    origin, _, serial = site((b"cache-control", b"max-age=0"), cache_confirm=True)
    await ask(serial, Request())
    origin.gate.clear()
    crowd = [asyncio.ensure_future(ask(serial, Request())) for _ in range(10)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(origin.asked) == 2
    origin.gate.set()
    await asyncio.sleep(0)
    origin.gate.clear()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(origin.asked) == 11
    origin.gate.set()
    assert {(await task).status for task in crowd} == {200}


STALE_IF_ERROR = (b"cache-control", b"max-age=60, stale-if-error=600")


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@awaited
async def test_a_stale_response_in_place_of_an_error(status):
    origin, clock, serial = site(STALE_IF_ERROR)
    await ask(serial, Request())
    clock.now += LATER
    origin.status = status
    answer = await ask(serial, Request())
    assert (answer.status, answer.document) == (200, origin.document)
    assert said(answer) == f"fwd=stale; fwd-status={status}; ttl=-40; detail=stale-if-error"
    clock.now += 600
    assert (await ask(serial, Request())).status == status


@awaited
async def test_a_stale_response_in_place_of_an_exception():
    origin, clock, serial = site(STALE_IF_ERROR)
    await ask(serial, Request())
    clock.now += LATER
    origin.raises = True
    recording = await drive(serial, Request())
    assert recording.error is None
    answer = understand(recording)
    assert said(answer) == "fwd=stale; ttl=-40; detail=stale-if-error"
    clock.now += 600
    assert isinstance((await drive(serial, Request())).error, RuntimeError)


@awaited
async def test_a_crowd_gets_what_stands_in_for_an_error_by_one_call():
    origin, clock, serial = site(STALE_IF_ERROR)
    await ask(serial, Request())
    clock.now += LATER
    origin.status = 503
    origin.gate.clear()
    crowd = [asyncio.ensure_future(ask(serial, Request())) for _ in range(10)]
    for _ in range(20):
        await asyncio.sleep(0)
    origin.gate.set()
    assert {answer.status for answer in await asyncio.gather(*crowd)} == {200}
    assert len(origin.asked) == 2
    (row,) = timing_report(serial).routes
    assert (row["count"], row["cache"]["stale"]) == (11, 10)


@awaited
async def test_an_error_that_nothing_may_stand_in_for_goes_out():
    origin, clock, serial = site((b"cache-control", b"max-age=60, must-revalidate"))
    await ask(serial, Request())
    clock.now += LATER
    origin.status = 503
    assert (await ask(serial, Request())).status == 503


@awaited
async def test_a_form_that_is_not_kept_any_more_stands_in_all_the_same():
    origin, clock, serial = site(STALE_IF_ERROR)
    await ask(serial, Request())
    clock.now += LATER
    origin.status = 503
    origin.gate.clear()
    asking = asyncio.ensure_future(ask(serial, Request()))
    await settled()
    (entry,) = [slot.value for slot in serial.engine.memory._slots.values()][:1]
    entry.hold({})
    origin.gate.set()
    assert (await asking).status == 200


@awaited
async def test_who_waits_gets_no_error_answered_in_a_form_that_there_is_not():
    origin, clock, serial = site(STALE_IF_ERROR)
    await ask(serial, Request())
    clock.now += LATER
    origin.status = 503
    origin.gate.clear()
    first = asyncio.ensure_future(ask(serial, Request()))
    await settled()
    second = asyncio.ensure_future(ask(serial, Request().having(accept_encoding="gzip")))
    await settled()
    origin.gate.set()
    assert (await first).status == 200
    answer = await second
    assert (answer.status, answer.document) == (200, origin.document)


@pytest.mark.parametrize("control", [b"max-age=60, stale-while-revalidate=600", b"max-age=60"])
@awaited
async def test_a_form_that_there_is_no_room_for_is_made_each_time(control):
    origin, clock, serial = site(
        (b"cache-control", control), cache_memory=3000, cache_max_object=3000, encodings_cache=False
    )
    origin.document = None
    await ask(serial, Request())
    request = Request().having(accept="application/vnd.msgpack")
    clock.now += LATER
    for _ in range(2):
        answer = await ask(serial, request)
        assert (answer.status, answer.document) == (200, None)
        assert answer.media_type == "application/vnd.msgpack"
        await refreshed(serial)


WHILE_REVALIDATE = (b"cache-control", b"max-age=60, stale-while-revalidate=600")


async def refreshed(serial):
    while serial.engine.workers.tasks:
        await asyncio.sleep(0.001)


@awaited
async def test_a_stale_response_is_refreshed_behind_the_answer():
    origin, clock, serial = site(WHILE_REVALIDATE)
    await ask(serial, Request())
    origin.etag, origin.document = '"v2"', {"n": 2}
    clock.now += LATER
    held = Request().having(if_none_match='"other"', cache_control="max-stale")
    answer = await ask(serial, held)
    assert said(answer) == "hit; ttl=-40; detail=stale-while-revalidate"
    assert answer.document != origin.document
    await refreshed(serial)
    assert origin.conditions == [None, b'"v1"']
    assert b"cache-control" not in origin.asked[1][1]
    answer = await ask(serial, Request())
    assert answer.document == {"n": 2}
    assert said(answer) == "hit; ttl=60"


@awaited
async def test_head_has_the_stored_response_refreshed_by_a_get():
    origin, clock, serial = site(WHILE_REVALIDATE)
    await ask(serial, Request())
    clock.now += LATER
    await ask(serial, Request(method="HEAD"))
    await refreshed(serial)
    assert [method for method, _ in origin.asked] == ["GET", "GET"]


@awaited
async def test_a_crowd_has_it_refreshed_once():
    origin, clock, serial = site(WHILE_REVALIDATE)
    await ask(serial, Request())
    clock.now += LATER
    origin.gate.clear()
    answers = [await ask(serial, Request()) for _ in range(20)]
    assert {answer.status for answer in answers} == {200}
    assert len(serial.engine.workers.tasks) == 1
    origin.gate.set()
    await refreshed(serial)
    assert len(origin.asked) == 2


@awaited
async def test_a_refresh_outlives_its_client_and_its_failure_is_logged(caplog):
    origin, clock, serial = site(WHILE_REVALIDATE)
    await ask(serial, Request())
    clock.now += LATER
    origin.raises = True
    origin.gate.clear()
    asking = asyncio.ensure_future(ask(serial, Request()))
    await asking
    asking.cancel()
    origin.gate.set()
    await refreshed(serial)
    assert len(origin.asked) == 2
    assert "while a stale response was refreshed" in caplog.text


@awaited
async def test_only_so_many_refreshes_run_at_once():
    origin, clock, serial = site(WHILE_REVALIDATE, cache_max_refreshes=2)
    for path in "abc":
        await ask(serial, Request(path="/" + path))
    clock.now += LATER
    origin.gate.clear()
    for path in "abc":
        assert (await ask(serial, Request(path="/" + path))).status == 200
    assert len(serial.engine.workers.tasks) == 2
    origin.gate.set()
    await refreshed(serial)


@awaited
async def test_the_client_that_is_not_there_leaves_when_the_refresh_is_over():
    origin, clock, serial = site(WHILE_REVALIDATE)
    heard = []

    async def listening(scope, receive, send):
        await receive()
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0.001)
        heard.append(waiting.done())
        await origin(scope, receive, send)
        if len(origin.asked) == 2:
            heard.append((await waiting)["type"])
        waiting.cancel()

    serial.app = listening
    await ask(serial, Request())
    clock.now += LATER
    heard.clear()
    await ask(serial, Request())
    await refreshed(serial)
    assert heard == [False, "http.disconnect"]
    assert len(origin.asked) == 2


@awaited
async def test_a_request_with_a_body_is_neither_made_conditional_nor_sent_again():
    routes = {"POST /": {"cache_body": True}}
    origin, clock, serial = site(WHILE_REVALIDATE, routes=routes)
    request = Request(method="POST", body=(b"a",))
    await ask(serial, request)
    clock.now += LATER
    answer = await ask(serial, request)
    assert said(answer) == "fwd=stale; stored"
    assert origin.conditions == [None, None]
    assert not serial.engine.workers.tasks


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([(b"etag", b'"v1"')], "renewed", id="the same tag"),
        pytest.param([(b"etag", b'"v2"')], "dropped", id="another tag"),
        pytest.param([(b"content-length", b"1")], "dropped", id="another length"),
        pytest.param([], "kept", id="nothing said"),
    ],
)
@awaited
async def test_head_says_whether_what_is_stored_still_holds(fields, expected):
    """RFC 9111, 4.3.5."""
    origin, clock, serial = site()
    await ask(serial, Request())
    clock.now += LATER
    origin.etag = None
    origin.fields = [(b"cache-control", b"max-age=60"), *fields]
    await ask(serial, Request(method="HEAD").having(if_match="*"))
    origin.fields, origin.etag = [(b"cache-control", b"max-age=60")], '"v1"'
    answer = await ask(serial, Request())
    if expected == "renewed":
        assert said(answer) == "hit; ttl=60"
    else:
        assert len(origin.asked) == 3
        assert origin.conditions[2] == (b'"v1"' if expected == "kept" else None)


@awaited
async def test_a_head_replaces_nothing_that_was_stored_before_its_end():
    """RFC 9111, 4: of several stored responses the most recent is used."""
    origin, clock, serial = site()
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        async def send_slowly(message):
            if scope["method"] == "HEAD" and message["type"] == "http.response.body":
                has_begun.set()
                await may_end.wait()
            await send(message)

        await origin(scope, receive, send_slowly)

    serial.app = app
    await ask(serial, Request())
    clock.now += LATER
    head = asyncio.create_task(ask(serial, Request(method="HEAD").having(if_match="*")))
    await has_begun.wait()
    clock.now += 1
    origin.etag, origin.document = '"v2"', {"n": "the newer"}
    await ask(serial, Request())
    may_end.set()
    await head
    answer = await ask(serial, Request())
    assert said(answer) == "hit; ttl=60"
    assert answer.document == origin.document


@awaited
async def test_a_head_that_forbids_storing_renews_nothing():
    origin, clock, serial = site()
    await ask(serial, Request())
    clock.now += LATER
    origin.fields = [(b"cache-control", b"no-store")]
    await ask(serial, Request(method="HEAD").having(if_match="*"))
    origin.fields = [(b"cache-control", b"max-age=60")]
    await ask(serial, Request())
    assert origin.conditions == [None, None, b'"v1"']


def entry_of(*fields):
    engine = make_engine()
    flow = make_flow(engine)
    run(flow, start((b"cache-control", b"max-age=60"), *fields), body(DOCUMENT))
    return flow.entry


DATE, OTHER = b"Tue, 14 Nov 2023 22:13:20 GMT", b"Wed, 15 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("stored", "given", "expected"),
    [
        pytest.param([(b"etag", b'"1"')], {}, True, id="no validator in it"),
        pytest.param([(b"etag", b'"1"')], {b"etag": b'W/"1"'}, True, id="tags alike"),
        pytest.param([(b"etag", b'"1"')], {b"etag": b'"2"'}, False, id="another tag"),
        pytest.param([(b"etag", b'"1"')], {b"etag": b"1"}, False, id="no tag at all"),
        pytest.param([], {b"etag": b'"1"'}, False, id="a tag where none is stored"),
        pytest.param([(b"last-modified", DATE)], {b"last-modified": DATE}, True, id="one date"),
        pytest.param([(b"last-modified", DATE)], {b"last-modified": OTHER}, False, id="two dates"),
    ],
)
def test_which_304_is_about_what_is_stored(stored, given, expected):
    """RFC 9111, 4.3.4."""
    assert matches_stored_validator(entry_of(*stored), given) is expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({b"content-length": b"%d" % len(DOCUMENT)}, None, id="the length alone"),
        pytest.param({b"content-length": b"1"}, False, id="another length"),
        pytest.param({b"etag": b'"1"', b"last-modified": DATE}, True, id="both validators"),
        pytest.param({b"etag": b'"1"', b"last-modified": OTHER}, False, id="one of them"),
    ],
)
def test_which_head_agrees_with_what_is_stored(given, expected):
    """RFC 9111, 4.3.5."""
    entry = entry_of((b"etag", b'"1"'), (b"last-modified", DATE))
    assert matches_stored_head(entry, given) is expected


def test_a_tag_that_was_made_here_is_no_condition_for_the_app():
    entry = entry_of((b"last-modified", DATE))
    assert any(name == b"etag" for name, _ in entry.fields)
    assert conditions_for(entry) == [(b"if-modified-since", DATE)]


@pytest.mark.parametrize("fields", [{"accept_encoding": "gzip"}, {"accept": "application/msgpack"}])
@awaited
async def test_a_form_that_was_made_here_is_given_whole(fields):
    origin, _, serial = site()
    request = Request().having(**fields)
    whole = await ask(serial, request)
    again = await ask(serial, request.having(range="bytes=2-9"))
    assert (again.status, again.body) == (200, whole.body)
    assert again.document == origin.document


@awaited
async def test_a_part_of_what_the_app_has_made():
    origin, _, serial = site()
    whole = await ask(serial, Request())
    part = await ask(serial, Request().having(range="bytes=2-9"))
    assert (part.status, part.body) == (206, whole.body[2:10])
    assert part.one("content-range") == f"bytes 2-9/{len(whole.body)}"
    assert len(origin.asked) == 1


@awaited
async def test_a_field_that_a_304_names_as_private_is_for_its_own_client_only():
    """RFC 9111, 5.2.2.7; RFC 9110, 7.6.1: nor is one of the connection passed on."""
    origin, clock, serial = site((b"cache-control", b"max-age=60"))
    await ask(serial, Request())
    origin.fields = [(b"cache-control", b'max-age=60, private="x-user, x-hop"')]
    origin.more = [(b"x-user", b"ada"), (b"x-hop", b"1"), (b"connection", b"x-hop"), (b"age", b"3")]
    clock.now += LATER
    confirmed, hit = await ask(serial, Request()), await ask(serial, Request())
    assert (confirmed.one("x-user"), confirmed.one("age")) == ("ada", "3")
    assert said(hit).startswith("hit")
    assert (confirmed.all("x-hop"), hit.all("x-hop"), hit.all("x-user")) == ([], [], [])
