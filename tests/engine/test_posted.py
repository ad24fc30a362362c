"""The answer to a POST that is kept for those who GET its URI (RFC 9110, 9.3.3)."""

import asyncio

import pytest

from asgi_serial import purge, set_policy
from asgi_serial.caching.storing import StoreDecision, decide_storing
from asgi_serial.reasons import Reason

from .driver import Clock, Request, ask, awaited, drive, fields_of, serial_of
from .making import NOW_DATE, make_engine, make_plan, make_scope
from .making import Clock as StandingClock
from .shared_store import SharedStore

HERE = {b"content-location": b"/", b"cache-control": b"max-age=60"}
KEPT = {"content_location": "/", "cache_control": "max-age=60"}
ON = {"cache_posted": True}
POST = Request("POST", body=(b"x",))


def planned(fields, *lines, status=200, method="POST", clock=None, since=0.0, **options):
    engine = make_engine(clock, **{"cache_posted": True, "compression": False, **options})
    plan = make_plan(engine, make_scope(method, headers=lines))
    plan.asked -= since
    return decide_storing(engine, plan, status, {**HERE, **fields}, invalidates=True)


@pytest.mark.parametrize(
    ("fields", "lines", "more"),
    [
        pytest.param({}, [], {}, id="a lifetime and the location"),
        pytest.param({b"cache-control": b"s-maxage=60"}, [], {}, id="a lifetime in shared caches"),
        pytest.param(
            {b"cache-control": b"public", b"expires": b"Tue, 14 Nov 2023 22:14:20 GMT"},
            [],
            {},
            id="a date to expire at",
        ),
        pytest.param(
            {b"cache-control": b"no-store", b"cdn-cache-control": b"max-age=60"},
            [],
            {},
            id="a lifetime for this cache",
        ),
        pytest.param({}, [], {"status": 203}, id="203"),
        pytest.param({}, [(b"content-type", b"text/plain")], {}, id="content of any type"),
        pytest.param({}, [(b"content-length", b"999999")], {}, id="content of any size"),
        pytest.param({}, [(b"if-match", b'"1"')], {}, id="a POST on a condition"),
        pytest.param(
            {b"cache-control": b"public, max-age=60"},
            [(b"cookie", b"a=b")],
            {},
            id="public to one with a cookie",
        ),
    ],
)
def test_an_answer_to_post_is_kept(fields, lines, more):
    assert isinstance(planned(fields, *lines, **more), StoreDecision)


@pytest.mark.parametrize(
    ("fields", "lines", "more", "why"),
    [
        pytest.param({b"content-location": b"/b"}, [], {}, "METHOD_NOT_CACHED", id="another URI"),
        pytest.param(
            {}, [], {"status": 201}, "METHOD_NOT_CACHED", id="what tells of something made"
        ),
        pytest.param({}, [], {"status": 404}, "METHOD_NOT_CACHED", id="an error"),
        pytest.param(
            {},
            [(b"cookie", b"theme=dark")],
            {"cache_key_cookies": "theme"},
            "METHOD_NOT_CACHED",
            id="cookies that are credentials in a POST alone",
        ),
        pytest.param({}, [], {"method": "PUT"}, "METHOD_NOT_CACHED", id="an answer to PUT"),
        pytest.param({}, [], {"method": "QUERY"}, "METHOD_NOT_CACHED", id="an answer to QUERY"),
        pytest.param(
            {b"cache-control": b"public"},
            [],
            {"cache_ttl": 60},
            "NO_FRESHNESS",
            id="a setting's ttl",
        ),
        pytest.param(
            {b"cache-control": b"public", b"last-modified": NOW_DATE},
            [],
            {"cache_heuristic": True},
            "NO_FRESHNESS",
            id="a guess",
        ),
        pytest.param({b"cache-control": b"max-age=0"}, [], {}, "ALREADY_STALE", id="no lifetime"),
        pytest.param({b"set-cookie": b"a=b"}, [], {}, "SETS_COOKIE", id="a cookie"),
        pytest.param({b"vary": b"*"}, [], {}, "VARIES_ON_EVERYTHING", id="Vary: *"),
        pytest.param(
            {b"cache-control": b"private, max-age=60"}, [], {}, "PRIVATE", id="one user's answer"
        ),
        pytest.param(
            {b"cache-control": b"no-store, max-age=60"}, [], {}, "NO_STORE", id="no-store"
        ),
        pytest.param(
            {}, [(b"cookie", b"a=b")], {}, "REQUEST_HAS_CREDENTIALS", id="one with a cookie"
        ),
        pytest.param(
            {}, [(b"cache-control", b"no-store")], {}, "REQUEST_NO_STORE", id="a client's no-store"
        ),
        pytest.param(
            {},
            [(b"x-http-method-override", b"PUT")],
            {},
            "REQUEST_HAS_UNKEYED_FIELD",
            id="another method than it says",
        ),
        pytest.param(
            {}, [(b"range", b"bytes=0-1")], {}, "REQUEST_HAS_RANGE", id="a range that means nothing"
        ),
        pytest.param(
            {}, [], {"routes": {"GET /": {"cache": False}}}, "METHOD_NOT_CACHED", id="no GET of it"
        ),
        pytest.param(
            {},
            [],
            {"routes": {"POST /": {"cache": False}}, "cache_ttl": 60},
            "METHOD_NOT_CACHED",
            id="a POST that is turned off",
        ),
        pytest.param(
            {},
            [(b"x-tenant", b"a")],
            {"routes": {"GET /": {"cache_partition": "x-tenant"}}},
            "METHOD_NOT_CACHED",
            id="GET is of a user, and POST is not",
        ),
        pytest.param(
            {},
            [(b"x-tenant", b"a")],
            {"routes": {"POST /": {"cache_partition": "x-tenant"}}},
            "METHOD_NOT_CACHED",
            id="POST is of a user, and GET is not",
        ),
        pytest.param(
            {},
            [],
            {"routes": {"/": {"cache_partition": "x-tenant"}}},
            "METHOD_NOT_CACHED",
            id="of nobody, where it would be a user's",
        ),
        pytest.param(
            {},
            [(b"accept-encoding", b"gzip")],
            {"routes": {"GET /": {"compression": True}}},
            "METHOD_NOT_CACHED",
            id="a GET would be compressed, and the POST is not",
        ),
    ],
)
def test_an_answer_to_post_is_not_kept(fields, lines, more, why):
    assert planned(fields, *lines, **more) is Reason[why]


def test_a_post_that_is_keyed_on_its_body_is_not_for_get():
    assert planned({}, routes={"/": {"cache_body": True}}) is Reason.METHOD_NOT_CACHED


def test_it_is_as_old_as_what_the_app_took():
    kept = planned({}, since=5.0)
    assert kept.expires - StandingClock()() == 55


class Notes:
    """An app whose resource is what was last posted; it commits where it is told to."""

    def __init__(self, *, commits_late=False, **fields):
        self.text = b"0"
        self.fields = fields_of(**{**KEPT, **fields})
        self.commits_late = commits_late
        self.calls = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    async def __call__(self, scope, receive, send):
        text = self.text
        self.calls.append(scope["method"])
        if scope["method"] == "POST":
            text = (await receive())["body"]
            if not self.commits_late:
                self.text = text
        await send({"type": "http.response.start", "status": 200, "headers": list(self.fields)})
        await send({"type": "http.response.body", "body": text})
        if scope["method"] == "POST":
            await self.gate.wait()
            if self.fails:
                raise RuntimeError("the commit has failed")
            self.text = text


async def text_of(app, request=Request()):  # noqa: B008
    return (await ask(app, request)).body


@awaited
async def test_get_and_head_are_answered_by_what_post_has_answered():
    notes = Notes()
    app = serial_of(notes, **ON)
    assert (await ask(app, POST)).one("cache-status") == "asgi_serial; fwd=method; stored"
    answer = await ask(app, Request())
    assert (answer.body, answer.status) == (b"x", 200)
    assert answer.one("cache-status").startswith("asgi_serial; hit")
    assert (await ask(app, Request("HEAD"))).status == 200
    assert notes.calls == ["POST"]


@awaited
async def test_no_post_is_answered_by_it():
    notes = Notes()
    app = serial_of(notes, **ON)
    assert [await text_of(app, POST), await text_of(app, POST)] == [b"x", b"x"]
    assert notes.calls == ["POST", "POST"]


@awaited
async def test_off_by_default_nothing_of_a_post_is_kept():
    notes = Notes()
    app = serial_of(notes)
    assert [await text_of(app, POST), await text_of(app)] == [b"x", b"x"]
    assert notes.calls == ["POST", "GET"]


@awaited
async def test_it_takes_the_place_of_what_was_stored():
    app = serial_of(Notes(), **ON)
    assert [await text_of(app), await text_of(app, POST), await text_of(app)] == [b"0", b"x", b"x"]
    await text_of(app, Request("POST", body=(b"y",)))
    assert await text_of(app) == b"y"


@awaited
async def test_another_write_drops_it():
    notes = Notes()
    app = serial_of(notes, **ON)
    await text_of(app, POST)
    notes.fields = []
    await ask(app, Request("DELETE"))
    await text_of(app)
    assert notes.calls == ["POST", "DELETE", "GET"]


@awaited
async def test_it_stays_when_the_app_commits_after_its_answer():
    notes = Notes(commits_late=True)
    clock = Clock()
    app = serial_of(notes, clock=clock, **ON)
    notes.gate.clear()
    posting = asyncio.create_task(drive(app, POST))
    await asyncio.sleep(0)
    assert await text_of(app) == b"x"  # as the app has said
    clock.now += 1
    notes.gate.set()
    await posting
    assert [await text_of(app), notes.calls] == [b"x", ["POST"]]


@awaited
async def test_it_goes_when_the_app_fails_after_its_answer():
    notes = Notes(commits_late=True)
    notes.fails = True
    clock = Clock()
    app = serial_of(notes, clock=clock, **ON)
    assert isinstance((await drive(app, POST)).error, RuntimeError)
    clock.now += 1
    assert [await text_of(app), notes.calls] == [b"0", ["POST", "GET"]]


@awaited
async def test_what_was_asked_for_before_the_write_does_not_take_its_place():
    """A slow GET that has read the old state ends after the POST."""
    notes = Notes()
    reading, reads = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        if scope["method"] == "GET":
            text = notes.text
            reading.set()
            await reads.wait()
            await send({"type": "http.response.start", "status": 200, "headers": notes.fields})
            await send({"type": "http.response.body", "body": text})
        else:
            await notes(scope, receive, send)

    clock = Clock()
    app = serial_of(slow, clock=clock, **ON)
    getting = asyncio.create_task(text_of(app))
    await reading.wait()
    clock.now += 1
    await text_of(app, POST)
    clock.now += 1
    reads.set()
    assert [await getting, await text_of(app)] == [b"0", b"x"]


@awaited
async def test_another_write_between_its_start_and_its_end_leaves_nothing_of_it():
    """The other may have come after the app has read what it answers."""
    notes = Notes()
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        if scope["method"] != "POST":
            notes.fields = fields_of(**KEPT)
            await notes(scope, receive, send)
            return
        headers = fields_of(**KEPT)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        begun.set()
        await goes_on.wait()
        await send({"type": "http.response.body", "body": b"ld"})

    app = serial_of(slow, **ON)
    posting = asyncio.create_task(drive(app, POST))
    await begun.wait()
    await ask(app, Request("PUT"))
    goes_on.set()
    await posting
    assert await text_of(app) == b"0"


@awaited
async def test_another_write_before_its_start_leaves_nothing_of_it():
    notes = Notes()

    async def late(scope, receive, send):
        if scope["method"] == "POST":
            await ask(app, Request("PUT"))
        await notes(scope, receive, send)

    app = serial_of(late, **ON)
    answer = await ask(app, POST)
    assert answer.one("cache-status") == "asgi_serial; fwd=method; detail=already-stale"


@awaited
async def test_another_write_while_the_app_commits_leaves_nothing_of_it():
    notes = Notes()
    app = serial_of(notes, **ON)
    notes.gate.clear()
    posting = asyncio.create_task(drive(app, POST))
    await asyncio.sleep(0)
    notes.calls.append("(PUT)")
    await ask(app, Request("DELETE"))
    notes.gate.set()
    await posting
    await text_of(app)
    assert notes.calls[-1] == "GET"


@awaited
async def test_it_can_be_purged_by_its_tag():
    notes = Notes(cache_tag="a")
    clock = Clock()
    app = serial_of(notes, clock=clock, **ON)
    await text_of(app, POST)
    clock.now += 1
    await purge(app, tags=["a"])
    await text_of(app)
    assert notes.calls == ["POST", "GET"]


@awaited
async def test_a_purge_while_the_app_commits_leaves_nothing_of_it():
    notes = Notes(cache_tag="a")
    app = serial_of(notes, **ON)
    notes.gate.clear()
    posting = asyncio.create_task(drive(app, POST))
    await asyncio.sleep(0)
    await purge(app, tags=["a"])
    notes.gate.set()
    await posting
    await text_of(app)
    assert notes.calls == ["POST", "GET"]


@awaited
async def test_it_is_selected_by_what_the_post_had_for_the_varying_fields():
    notes = Notes(vary="x-a, content-type")
    app = serial_of(notes, **ON)
    await text_of(app, POST.having(x_a="1"))
    assert await text_of(app, Request().having(x_a="1")) == b"x"
    assert notes.calls == ["POST"]
    await text_of(app, Request().having(x_a="2"))
    assert notes.calls == ["POST", "GET"]


@awaited
async def test_what_varies_on_the_type_of_the_post_is_for_no_get_without_one():
    notes = Notes(vary="content-type")
    app = serial_of(notes, **ON)
    await text_of(app, POST.having(content_type="text/plain"))
    await text_of(app)
    assert notes.calls == ["POST", "GET"]


@awaited
async def test_a_users_answer_is_for_that_user():
    routes = {"/": {"cache_partition": "cookie:sid"}}
    notes = Notes()
    app = serial_of(notes, routes=routes, **ON)
    await text_of(app, POST.having(cookie="sid=ada"))
    assert await text_of(app, Request().having(cookie="sid=ada")) == b"x"
    assert notes.calls == ["POST"]
    await text_of(app, Request().having(cookie="sid=bob"))
    await text_of(app)
    assert notes.calls == ["POST", "GET", "GET"]


@awaited
async def test_where_only_the_handler_says_that_it_is_a_users_it_is_for_nobody():
    notes = Notes()

    async def says(scope, receive, send):
        if scope["method"] == "POST":
            set_policy(cache_partition="x-tenant")
        await notes(scope, receive, send)

    app = serial_of(says, **ON)
    for _ in range(2):
        await text_of(app, POST.having(x_tenant="a"))
        await text_of(app)
    assert notes.calls == ["POST", "GET"] * 2


@awaited
async def test_a_handler_may_turn_it_off():
    notes = Notes()

    async def says(scope, receive, send):
        set_policy(cache=scope["method"] == "GET")
        await notes(scope, receive, send)

    app = serial_of(says, **ON)
    answer = await ask(app, POST)
    assert answer.one("cache-status") == "asgi_serial; fwd=method; detail=cache-turned-off"


@awaited
async def test_each_form_of_it_is_made_for_those_who_want_it():
    """The tags of forms are those that GET would give."""
    text = b"the same words again " * 100
    notes = Notes(content_type="text/plain", etag='"1"')
    app = serial_of(notes, **ON)
    coded = await ask(app, Request("POST", body=(text,)).having(accept_encoding="gzip"))
    assert coded.one("etag") == 'W/"1-gzip"'
    again = await ask(app, Request().having(accept_encoding="gzip"))
    assert (again.one("etag"), again.body) == ('W/"1-gzip"', coded.body)
    own = await ask(app, Request())
    assert (own.one("etag"), own.body) == ('"1"', text)
    assert notes.calls == ["POST"]


@awaited
async def test_other_processes_do_not_believe_it_for_the_second_around_the_write():
    store, clock = SharedStore(), Clock()
    notes = Notes()
    one, other = (serial_of(notes, clock=clock, store=store, **ON) for _ in range(2))
    await one.engine.responses.purge_sync.listen()  # on an empty store it begins with nothing
    await text_of(one, POST)
    await one.engine.responses.flush()
    assert [await text_of(one), notes.calls] == [b"x", ["POST"]]
    await text_of(other)
    assert notes.text == b"x"


@awaited
async def test_what_breaks_off_is_not_kept():
    class BreaksOff(Notes):
        async def __call__(self, scope, receive, send):
            self.calls.append(scope["method"])
            headers = [*self.fields, (b"content-length", b"9")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] == "POST":
                await send({"type": "http.response.body", "body": b"123", "more_body": True})
                raise RuntimeError
            await send({"type": "http.response.body", "body": b"123456789"})

    notes = BreaksOff()
    app = serial_of(notes, **ON)
    await drive(app, POST)
    assert await text_of(app) == b"123456789"
    assert notes.calls == ["POST", "GET"]
