"""Analytics cookies keep nobody out of the cache, and never show in what is stored."""

import asyncio
import json

import pytest

from asgi_serial.engine.app_engines import share

from .driver import Clock, Request, ask, awaited, serial_of, settled
from .making import JSON


class Echo:
    """An app that answers with the Cookie field that it was shown, and counts its calls."""

    def __init__(self, *fields):
        self.fields = list(fields)
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        shown = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
        self.outside = scope["headers"]
        start = {"type": "http.response.start", "status": 200, "headers": [JSON, *self.fields]}
        await send(start)
        body = json.dumps([shown.decode("latin-1")]).encode()
        await send({"type": "http.response.body", "body": body})


def visitor(cookies, **more):
    return Request(**more).having(cookie=cookies) if cookies is not None else Request(**more)


VARYING = (b"vary", b"Cookie")


@pytest.mark.parametrize("fields", [(), (VARYING,), ((b"cache-control", b"max-age=60"),)])
@awaited
async def test_thirty_visitors_make_one_call(fields):
    app = Echo(*fields)
    serial_app = serial_of(app, cache_ttl=60)
    for number in range(30):
        answer = await ask(serial_app, visitor(f"_ga=GA1.1.{number}; _gid=GA1.1.{number}"))
        assert answer.document == [""]
    answer = await ask(serial_app, visitor(None))
    assert answer.document == [""]
    assert answer.cached == "hit"
    assert app.calls == 1


@pytest.mark.parametrize("order", ["_ga=1; session={}", "session={}; _ga=1", "session={}"])
@pytest.mark.parametrize("first", ["analytics", "session"])
@awaited
async def test_a_session_beside_still_keeps_the_request_out(order, first):
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60)
    if first == "analytics":
        assert (await ask(serial_app, visitor("_ga=1"))).document == [""]
        assert (await ask(serial_app, visitor("_ga=2"))).cached == "hit"
    for name in ("alice", "bob", "alice"):
        answer = await ask(serial_app, visitor(order.format(name)))
        assert answer.document == [f"session={name}"]
    answer = await ask(serial_app, visitor("_ga=3"))
    assert answer.document == [""]


@awaited
async def test_an_answer_within_its_second_is_repeated_to_no_session():
    """Both have a profile in common: the same names of fields, in the same order."""
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60)
    for cookies, seen in [
        ("_ga=1", ""),
        ("_ga=2", ""),
        ("_ga=3", ""),
        ("session=alice", "session=alice"),
        ("_ga=4", ""),
        ("_ga=1, session=2", "_ga=1, session=2"),
    ]:
        answer = await ask(serial_app, visitor(cookies))
        assert answer.document == [seen]


@awaited
async def test_by_vary_only_the_cookies_that_count_are_compared():
    app = Echo(VARYING, (b"cache-control", b"public, max-age=60"))
    serial_app = serial_of(app)
    seen = [
        (await ask(serial_app, visitor(cookies))).document
        for cookies in ("_ga=1; theme=a", "theme=a; _ga=2", "theme=a", "theme=b", "_ga=7")
    ]
    assert seen == [["theme=a"], ["theme=a"], ["theme=a"], ["theme=b"], [""]]
    assert app.calls == 3


@awaited
async def test_cookies_in_the_key_have_an_entry_each():
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60, cache_key_cookies="theme")
    for _ in range(2):
        for cookies, seen in [
            ("_ga=1; theme=dark", "theme=dark"),
            ("theme=light; _ga=2", "theme=light"),
            (None, ""),
            ("theme=dark; session=1", "theme=dark; session=1"),
        ]:
            answer = await ask(serial_app, visitor(cookies))
            assert answer.document == [seen]
    assert app.calls == 3 + 2  # the session's are not stored


@pytest.mark.parametrize(
    "cookies",
    ['theme="dark"', 'session="1"; theme=dark', "theme =dark", "\x0btheme=dark", "a=1 theme=dark"],
)
@awaited
async def test_a_cookie_of_the_key_in_an_odd_spelling_is_served_to_nobody_else(cookies):
    app = Echo((b"cache-control", b"public, max-age=60"))
    serial_app = serial_of(app, cache_key_cookies="theme")
    for asked, seen in [(cookies, cookies), (None, ""), ("session=2", ""), (cookies, cookies)]:
        answer = await ask(serial_app, visitor(asked))
        assert answer.document == [seen]


@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("fields", [(), (VARYING,)], ids=["the key", "Vary"])
@pytest.mark.parametrize("lines", [["a=1", "theme=dark"], ["theme=dark", "a=1"]])
@awaited
async def test_an_app_that_reads_one_of_several_lines_answers_only_who_sends_the_same(
    lines, fields, place
):
    async def app(scope, receive, send):
        shown = [value for name, value in scope["headers"] if name == b"cookie"]
        fresh = (b"cache-control", b"public, max-age=60")
        start = {"type": "http.response.start", "status": 200, "headers": [JSON, fresh, *fields]}
        await send(start)
        body = json.dumps([shown[place].decode() if shown else ""]).encode()
        await send({"type": "http.response.body", "body": body})

    serial_app = serial_of(app, cache=True, cache_key_cookies="theme")
    several = Request(fields=tuple(("cookie", line) for line in lines))
    for request in (several, visitor("; ".join(lines)), visitor(None)):
        bare = await ask(app, request)
        for _ in range(2):
            assert (await ask(serial_app, request)).document == bare.document


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@awaited
async def test_cookies_are_in_the_key_of_a_body(method):
    app = Echo((b"cache-control", b"public, max-age=60"))
    routes = {"/": {"cache_body": True}}
    serial_app = serial_of(app, cache=True, cache_key_cookies="theme", routes=routes)
    for theme in ("dark", "light", "dark"):
        asked = visitor(f"theme={theme}", method=method, body=(b"{}",)).having(content_length="2")
        assert (await ask(serial_app, asked)).document == [f"theme={theme}"]
    assert app.calls == 2


@awaited
async def test_the_outside_keeps_its_fields():
    app = Echo()
    seen = []

    async def outer(scope, receive, send):
        given = scope["headers"]

        async def watch(message):
            seen.append(scope["headers"] is given)
            await send(message)

        await serial_app(scope, receive, watch)
        seen.append(scope["headers"] is given)

    serial_app = serial_of(app, cache_ttl=60)
    await ask(outer, visitor("_ga=1"))
    assert seen == [True, True, True]
    assert (b"cookie", b"_ga=1") not in app.outside
    seen.clear()
    app.fields = [(b"cache-control", b"no-store")]
    await ask(outer, visitor("_ga=1", path="/unstored"))
    assert seen == [True, True, True]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@awaited
async def test_a_write_shows_the_app_all_cookies(method):
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60)
    answer = await ask(serial_app, visitor("_ga=1; session=2", method=method))
    assert answer.document == ["_ga=1; session=2"]


@awaited
async def test_an_answer_to_a_post_is_not_stored_for_a_get_with_other_cookies():
    app = Echo((b"cache-control", b"max-age=60"), (b"content-location", b"/"))
    serial_app = serial_of(app)
    assert (await ask(serial_app, visitor("_ga=7", method="POST"))).document == ["_ga=7"]
    assert (await ask(serial_app, visitor("_ga=8"))).document == [""]


@pytest.mark.parametrize("more", ["", "; theme=a"])
@awaited
async def test_an_answer_to_a_post_that_has_seen_ignored_cookies_is_not_stored_by_vary(more):
    app = Echo(VARYING, (b"cache-control", b"public, max-age=60"), (b"content-location", b"/"))
    serial_app = serial_of(app, cache=True, cache_posted=True)
    seen = f"_ga=7{more}"
    assert (await ask(serial_app, visitor(seen, method="POST"))).document == [seen]
    others = more.removeprefix("; ")
    assert (await ask(serial_app, visitor(others or None))).document == [others]
    assert (await ask(serial_app, visitor("_ga=8" + more))).document == [others]


@awaited
async def test_without_the_setting_each_cookie_counts():
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60, cache_ignore_cookies="")
    for number in (1, 2):
        assert (await ask(serial_app, visitor(f"_ga={number}"))).document == [f"_ga={number}"]
    assert app.calls == 2


@awaited
async def test_a_user_has_one_entry_whatever_the_analytics():
    app = Echo()
    serial_app = serial_of(app, routes={"/": {"cache_partition": "cookie:sid", "cache_ttl": 60}})
    for cookies in ("sid=1; _ga=1", "sid=1; _ga=2", "sid=2; _ga=1", "_gid=4; sid=1"):
        answer = await ask(serial_app, visitor(cookies))
        sid = cookies.split("sid=")[1][0] if not cookies.startswith("_gid") else "1"
        assert answer.document == [f"sid={sid}"]
    assert app.calls == 2


@awaited
async def test_cookies_in_several_fields_are_one_list():
    """RFC 9113, 8.2.3: HTTP/2 may split them."""
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60)
    split = Request(fields=(("cookie", "_ga=1"), ("cookie", "session=a")))
    assert (await ask(serial_app, visitor("_ga=1"))).document == [""]
    assert (await ask(serial_app, split)).document == ["session=a"]
    harmless = Request(fields=(("cookie", "_ga=1"), ("cookie", "_gid=2")))
    assert (await ask(serial_app, harmless)).cached == "hit"


@awaited
async def test_a_stale_response_is_refreshed_by_a_visitor_with_such_cookies():
    clock = Clock()
    app = Echo((b"cache-control", b"max-age=60, stale-while-revalidate=60"))
    serial_app = serial_of(app, clock=clock)
    assert (await ask(serial_app, visitor("_ga=1"))).document == [""]
    clock.now += 90
    assert (await ask(serial_app, visitor("_ga=2"))).document == [""]
    await settled()
    assert app.calls == 2
    answer = await ask(serial_app, visitor("_ga=3"))
    assert (answer.cached, answer.one("age"), app.calls) == ("hit", "0", 2)


@awaited
async def test_visitors_at_the_same_time_share_a_call():
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60)
    asked = [ask(serial_app, visitor(f"_ga={number}")) for number in range(30)]
    answers = await asyncio.gather(*asked)
    assert [answer.document for answer in answers] == 30 * [[""]]
    assert app.calls == 1


@pytest.mark.parametrize("name", ["cookie", "accept-encoding"])
@pytest.mark.parametrize("is_alone", [True, False])
@awaited
async def test_an_app_that_reads_late_sees_no_more(name, is_alone):
    """A generator may read the fields of the request after the start of its response."""
    calls = []

    async def app(scope, receive, send):
        calls.append(scope)
        start = {"type": "http.response.start", "status": 200, "headers": [JSON]}
        await send(start)
        shown = dict(scope["headers"]).get(name.encode(), b"")
        await send({"type": "http.response.body", "body": b'["%s"' % shown, "more_body": True})
        shown = dict(scope["headers"]).get(name.encode(), b"")
        await send({"type": "http.response.body", "body": b',"%s"]' % shown})

    serial_app = serial_of(app, cache_ttl=60)
    first = visitor("_ga=1").having(accept_encoding="gzip, br")
    if not is_alone:  # a request for a part leads no call that others wait for
        first = first.having(range="bytes=0-99")
    await ask(serial_app, first)
    answer = await ask(serial_app, visitor("_ga=2").having(accept_encoding="gzip"))
    assert answer.document == ["", ""]


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("lines", [1, 2])
@awaited
async def test_nothing_else_is_hidden_from_the_app(known, lines):
    """A known client counts as a field of its own, and lines of one name as one."""
    shown = []

    async def app(scope, receive, send):
        shown.append(list(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"[]"})

    fields = (
        *(("x-one", "1"), ("accept-encoding", "gzip"), ("x-two", "2"), ("cookie", "_ga=1")),
        *((("accept-encoding", "br"), ("cookie", "theme=a")) if lines == 2 else ()),
        ("x-three", "3"),
    )
    extensions = {"tls": {"client_cert_name": "CN=a"}} if known else {}
    request = Request(fields=fields, scope={"extensions": extensions})
    await ask(serial_of(app, cache_ttl=60), request)
    [pairs] = shown
    assert [pair for pair in pairs if pair[0].startswith(b"x-")] == [
        (b"x-one", b"1"),
        (b"x-two", b"2"),
        (b"x-three", b"3"),
    ]
    others = {name for name, _ in pairs} - {b"host", b"x-one", b"x-two", b"x-three"}
    assert others == ({b"cookie"} if lines == 2 else set())
    assert dict(pairs).get(b"cookie", b"theme=a") == b"theme=a"


@awaited
async def test_beside_a_partition_such_cookies_keep_nobody_out():
    app = Echo()
    routes = {"/": {"cache_partition": "authorization", "cache_ttl": 60}}
    serial_app = serial_of(app, routes=routes)
    for number in range(3):
        assert (await ask(serial_app, visitor(f"_ga={number}"))).document == [""]
    assert app.calls == 1


def test_an_engine_without_timing_is_found_in_litestar_too():
    engine = serial_of(Echo(), timing=False).engine
    scope = {"type": "http", "app": Echo(), "litestar_app": Echo()}
    assert share(engine, scope) is engine
