"""Fields that go to the client whose request called the app, and to nobody else."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial import set_policy
from asgi_serial.reasons import Reason

from .driver import Clock, Request, ask, awaited, serial_of, settled
from .making import JSON
from .shared_store import SharedStore

STRIP = "x-request-id, x-ratelimit-*"
SHARED = {"cache_shared": True}


class Numbered:
    """An app that numbers its responses, in fields that are about one of them."""

    def __init__(self, *fields, tag=None, once=("x-request-id", "x-ratelimit-left"), pieces=1):
        self.fields = list(fields)
        self.tag, self.once, self.pieces = tag, once, pieces
        self.calls = 0
        self.trouble = 0
        self.policy = {}

    async def __call__(self, scope, receive, send):
        self.calls += 1
        if self.policy:
            set_policy(**self.policy)
        number = str(self.calls).encode()
        pairs = [JSON, (b"x-kept", number), *self.fields]
        pairs += [(name.encode(), number) for name in self.once]
        status = self.trouble or 200
        if self.tag is not None:
            pairs.append((b"etag", self.tag))
            status = 304 if (b"if-none-match", self.tag) in scope["headers"] else status
        if scope["method"] == "HEAD":
            pairs.append((b"content-length", b"3"))
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        body = json.dumps([self.calls]).encode() * (status != 304)
        for place in range(self.pieces):
            more = place + 1 < self.pieces
            piece = body[place:] if not more else body[place : place + 1]
            await send({"type": "http.response.body", "body": piece, "more_body": more})


def say(control):
    return b"cache-control", control.encode()


def once_of(answer):
    return [answer.one(name) for name in ("x-request-id", "x-ratelimit-left", "x-kept")]


def cookies_of(answer):
    return [value.decode() for value in answer.all("set-cookie")]


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    "fields",
    [{}, {"accept": "application/vnd.msgpack"}, {"accept_encoding": "gzip"}],
    ids=["plain", "as MessagePack", "compressed"],
)
@awaited
async def test_fields_are_sent_once(fields, pieces):
    app = Numbered(pieces=pieces)
    serial_app = serial_of(app, cache_ttl=60, cache_strip_fields=STRIP, min_size=0)
    asked = Request().having(**fields)
    assert once_of(await ask(serial_app, asked)) == ["1", "1", "1"]
    for request in (asked, Request(), asked.having(accept_encoding="br")):
        answer = await ask(serial_app, request)
        assert (once_of(answer), answer.cached) == ([None, None, "1"], "hit")


@awaited
async def test_without_the_setting_they_are_stored():
    serial_app = serial_of(Numbered(), cache_ttl=60)
    await ask(serial_app, Request())
    assert once_of(await ask(serial_app, Request())) == ["1", "1", "1"]


@awaited
async def test_who_waits_for_anothers_call_gets_none():
    app = Numbered()
    serial_app = serial_of(app, cache_ttl=60, cache_strip_fields=STRIP)
    answers = await asyncio.gather(*[ask(serial_app, Request()) for _ in range(3)])
    assert [once_of(answer) for answer in answers] == [["1", "1", "1"], *2 * [[None, None, "1"]]]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@awaited
async def test_a_304_brings_them_back_for_its_own_client_only(method):
    clock = Clock()
    app = Numbered(say("max-age=60"), tag=b'"1"')
    serial_app = serial_of(app, clock=clock, cache_strip_fields=STRIP)
    await ask(serial_app, Request())
    clock.now += 90
    answer = await ask(serial_app, Request(method))
    assert (once_of(answer), app.calls) == (["2", "2", "2"], 2)
    answer = await ask(serial_app, Request())
    assert (once_of(answer), answer.cached, answer.document) == ([None, None, "2"], "hit", [1])


@awaited
async def test_a_304_that_is_not_stored_reaches_its_client_whole():
    clock = Clock()
    app = Numbered(say("max-age=60"), tag=b'"1"')
    serial_app = serial_of(app, clock=clock, cache_strip_fields=STRIP)
    await ask(serial_app, Request())
    clock.now += 90
    app.fields = [say("no-store")]
    assert once_of(await ask(serial_app, Request())) == ["2", "2", "2"]


@awaited
async def test_a_304_that_a_write_overtakes_reaches_its_client_whole():
    clock = Clock()

    origin = Numbered(say("max-age=60"), tag=b'"1"')

    async def app(scope, receive, send):
        if scope["method"] == "PUT":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})
            return
        if origin.calls:
            await ask(serial_app, Request("PUT"))
        await origin(scope, receive, send)

    serial_app = serial_of(app, clock=clock, cache_strip_fields=STRIP)
    await ask(serial_app, Request())
    clock.now += 90
    answer = await ask(serial_app, Request())
    assert once_of(answer) == ["2", "2", "2"]
    assert Reason.INVALIDATED.token in answer.one("cache-status")


@awaited
async def test_a_stale_response_has_none_and_its_refresh_stores_none():
    clock = Clock()
    app = Numbered(say("max-age=60, stale-while-revalidate=60, stale-if-error=600"))
    serial_app = serial_of(app, clock=clock, cache_strip_fields=STRIP)
    await ask(serial_app, Request())
    clock.now += 90
    assert once_of(await ask(serial_app, Request())) == [None, None, "1"]
    await settled()
    assert once_of(await ask(serial_app, Request())) == [None, None, "2"]
    clock.now += 300
    app.trouble = 503
    assert once_of(await ask(serial_app, Request())) == [None, None, "2"]


@awaited
async def test_the_second_level_has_none():
    store, clock = SharedStore(), Clock()
    app = Numbered()
    one, other = (
        serial_of(app, clock=clock, store=store, cache_ttl=60, cache_strip_fields=STRIP)
        for _ in range(2)
    )
    await ask(one, Request())
    await one.engine.responses.flush()
    clock.now += 5
    answer = await ask(other, Request())
    assert (once_of(answer), answer.cached) == ([None, None, "1"], "hit")


@awaited
async def test_parts_have_none_and_are_completed_without():
    content = b"0123456789"
    calls = 0

    async def app(scope, receive, send):
        nonlocal calls
        calls += 1
        fields = dict(scope["headers"])
        asked = fields.get(b"range")
        first, last = (map(int, asked[6:].split(b"-"))) if asked else (0, 9)
        pairs = [say("max-age=60"), (b"etag", b'"1"'), (b"x-request-id", b"%d" % calls)]
        if asked:
            pairs.append((b"content-range", b"bytes %d-%d/10" % (first, last)))
        pairs.append((b"content-length", b"%d" % (last + 1 - first)))
        status = 206 if asked else 200
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": content[first : last + 1]})

    serial_app = serial_of(app, cache_parts=True, cache_strip_fields=STRIP)
    part = Request().having(range="bytes=0-4")
    answers = [await ask(serial_app, one) for one in (part, part, Request(), Request())]
    assert [answer.one("x-request-id") for answer in answers] == ["1", None, "2", None]
    assert [answer.body for answer in answers] == [content[:5], content[:5], content, content]
    assert calls == 2


@awaited
async def test_names_are_stripped_in_any_case_and_on_every_line():
    app = Numbered((b"X-Request-ID", b"a"), (b"x-request-id", b"b"), once=())
    serial_app = serial_of(app, cache_ttl=60, cache_strip_fields="X-REQUEST-ID")
    assert (await ask(serial_app, Request())).all("x-request-id") == [b"a", b"b"]
    assert (await ask(serial_app, Request())).all("x-request-id") == []


COOKIE = (b"set-cookie", b"a=1")
PUBLIC = say("public, max-age=60")


def cookies_app(*fields, **options):
    app = Numbered(*fields, (b"set-cookie", b"b=2; HttpOnly"), COOKIE)
    return app, serial_of(app, **{"cache": True, "cache_set_cookie": "strip", **options})


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ((say("max-age=60"),), {}),
        ((PUBLIC,), {}),
        ((say("public"),), {"cache_ttl": 60}),
        (((b"expires", b"Fri, 15 Jan 2099 00:00:00 GMT"),), {}),
        (((b"cdn-cache-control", b"max-age=60"),), {}),
        ((), {"routes": {"/": {"cache_ttl": 60}}}),
        ((), {"cache_ttl": 60, "routes": {"/": SHARED}}),
        ((say('max-age=60, no-cache="set-cookie"'),), {}),
        ((say('max-age=60, private="set-cookie"'),), {}),
        ((say("max-age=60"), (b"vary", b"cookie")), {}),
    ],
    ids=str,
)
@awaited
async def test_cookies_are_set_for_the_first_client_only(fields, options):
    app, serial_app = cookies_app(*fields, **options)
    assert cookies_of(await ask(serial_app, Request())) == ["b=2; HttpOnly", "a=1"]
    for request in (Request(), Request("HEAD"), Request().having(accept_encoding="gzip")):
        answer = await ask(serial_app, request)
        assert (cookies_of(answer), app.calls) == ([], 1)


@awaited
async def test_a_handler_may_give_the_lifetime():
    app, serial_app = cookies_app()
    app.policy = {"cache_ttl": 60}
    assert len(cookies_of(await ask(serial_app, Request()))) == 2
    assert cookies_of(await ask(serial_app, Request())) == []


@pytest.mark.parametrize(
    ("fields", "options", "asked"),
    [
        ((PUBLIC,), {"cache_set_cookie": "refuse"}, {}),
        ((), {"cache_ttl": 60}, {}),
        (((b"last-modified", b"Fri, 15 Jan 2016 00:00:00 GMT"),), {"cache_heuristic": True}, {}),
        ((say("max-age=60, private"),), {}, {}),
        ((say("max-age=60, no-store"),), {}, {}),
        ((say("max-age=60, no-cache"),), {}, {}),
        ((say("max-age=60"), (b"vary", b"*")), {}, {}),
        ((PUBLIC,), {}, {"cookie": "session=1"}),
        ((say("s-maxage=60"),), {}, {"authorization": "Basic YTpi"}),
        ((PUBLIC,), {}, {"x_api_key": "1"}),
        ((PUBLIC,), {"routes": {"/": {"cache_partition": "cookie:sid"}}}, {"cookie": "sid=1"}),
    ],
    ids=str,
)
@awaited
async def test_what_is_not_meant_for_others_is_not_stored(fields, options, asked):
    app, serial_app = cookies_app(*fields, **options)
    for _ in range(2):
        answer = await ask(serial_app, Request().having(**asked))
        assert cookies_of(answer) == ["b=2; HttpOnly", "a=1"]
    assert (app.calls, serial_app.engine.responses.stored) == (2, 0)


@awaited
async def test_a_route_may_be_shared_by_those_who_have_credentials():
    app, serial_app = cookies_app(PUBLIC, routes={"/": SHARED})
    for number in range(2):
        answer = await ask(serial_app, Request().having(cookie=f"session={number}"))
        assert len(cookies_of(answer)) == 2 * (number == 0)
    assert app.calls == 1


@pytest.mark.parametrize("options", [{}, {"routes": {"/": {"cache_body": True}}}])
@awaited
async def test_a_post_that_sets_a_cookie_is_stored_for_nobody(options):
    app, serial_app = cookies_app(PUBLIC, (b"content-location", b"/"), cache_posted=True, **options)
    for method in ("POST", "GET", "POST"):
        answer = await ask(serial_app, Request(method, body=(b"{}",) * (method == "POST")))
        assert len(cookies_of(answer)) == 2
    assert app.calls == 3


@pytest.mark.parametrize(("credentials", "stored"), [({}, True), ({"cookie": "session=1"}, False)])
@awaited
async def test_a_304_sets_cookies_for_its_own_client_only(credentials, stored):
    clock = Clock()
    app = Numbered(PUBLIC, tag=b'"1"')
    serial_app = serial_of(app, clock=clock, cache_set_cookie="strip")
    await ask(serial_app, Request())
    clock.now += 90
    app.fields.append(COOKIE)
    assert cookies_of(await ask(serial_app, Request().having(**credentials))) == ["a=1"]
    answer = await ask(serial_app, Request())
    assert cookies_of(answer) == ([] if stored else ["a=1"])
    assert app.calls == (2 if stored else 3)


@awaited
async def test_who_waits_for_anothers_call_is_set_no_cookie():
    app, serial_app = cookies_app(PUBLIC)
    answers = await asyncio.gather(*[ask(serial_app, Request()) for _ in range(3)])
    assert [len(cookies_of(answer)) for answer in answers] == [2, 0, 0] or app.calls == 3
    assert sum(len(cookies_of(answer)) for answer in answers) == 2 * app.calls


NAMES = ["x-request-id", "x-ratelimit-left", "x-ratelimit-", "set-cookie", "x-kept", "x-requests"]


@given(
    st.lists(st.sampled_from(NAMES), max_size=6),
    st.lists(
        st.tuples(
            st.sampled_from(["GET", "GET", "HEAD"]),
            st.sampled_from([{}, {}, {"cookie": "a=1"}, {"accept_encoding": "gzip"}]),
            st.sampled_from([0, 1, 90]),
        ),
        max_size=8,
    ),
    st.sampled_from([(), (PUBLIC,), (say("max-age=60"),)]),
    st.sampled_from([None, b'"1"']),
)
def test_nobody_gets_what_was_sent_to_another(once, asked, fields, tag):
    asyncio.run(_get_only_own(once, asked, fields, tag))


async def _get_only_own(once, asked, fields, tag):
    clock = Clock()
    app = Numbered(*fields, tag=tag, once=tuple(once))
    options = {"cache_strip_fields": STRIP, "cache_set_cookie": "strip"}
    serial_app = serial_of(app, clock=clock, cache_ttl=60, cache_stale_if_error=600, **options)
    for method, more, seconds in asked:
        clock.now += seconds
        calls = app.calls
        answer = await ask(serial_app, Request(method).having(**more))
        own = [b"%d" % app.calls] if app.calls > calls else []
        for name in ("x-request-id", "x-ratelimit-left", "x-ratelimit-", "set-cookie"):
            assert answer.all(name) == once.count(name) * own
