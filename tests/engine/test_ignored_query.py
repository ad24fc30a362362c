"""Ignored parameters of a query keep nobody out of the cache, and never show in what is stored."""

import asyncio
import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial import purge, set_policy
from asgi_serial.reasons import Reason

from .driver import Clock, Request, ask, awaited, drive, heard, serial_of, settled, told
from .making import JSON
from .shared_store import SharedStore

IGNORED = "utm_*, fbclid"
FRESH = (b"cache-control", b"max-age=60")
PUBLIC = (b"cache-control", b"public, max-age=60")


class Echo:
    """An app that answers with the query that it was shown, and counts its calls."""

    def __init__(self, *fields, status=200):
        self.fields, self.status = list(fields), status
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        body = json.dumps([scope.get("query_string", b"-").decode("latin-1")]).encode()
        headers = [JSON, *self.fields]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def visit(query, method="GET", **more):
    return Request(method, query=query, **more)


def echoing(*fields, clock=None, store=None, **options):
    app = Echo(*fields)
    options = {"cache": True, "cache_ignore_query": IGNORED, **options}
    return app, serial_of(app, clock=clock, store=store, **options)


@pytest.mark.parametrize("fields", [(), (FRESH,), ((b"vary", b"accept-language"),)])
@awaited
async def test_thirty_visitors_make_one_call(fields):
    app, serial_app = echoing(*fields, cache_ttl=60)
    for number in range(30):
        answer = await ask(serial_app, visit(b"page=2&utm_id=%d&fbclid=x%d" % (number, number)))
        assert answer.document == ["page=2"]
    answer = await ask(serial_app, visit(b"page=2"))
    assert (answer.document, answer.cached, app.calls) == (["page=2"], "hit", 1)
    assert (await ask(serial_app, visit(b"page=3&utm_id=1"))).document == ["page=3"]


@awaited
async def test_visitors_at_the_same_time_share_a_call():
    app, serial_app = echoing(cache_ttl=60)
    asked = [ask(serial_app, visit(b"utm_id=%d" % number)) for number in range(30)]
    answers = await asyncio.gather(*asked)
    assert [answer.document for answer in answers] == 30 * [[""]]
    assert app.calls == 1


@awaited
async def test_only_some_count():
    app = Echo()
    serial_app = serial_of(app, cache_ttl=60, cache_query="page, q")
    for query, seen in [
        (b"x=1&q=a&page=2&y=3", "q=a&page=2"),
        (b"q=a&p%61ge=2", "q=a&p%61ge=2"),
        (b"q=a&page=2", "q=a&page=2"),
        (b"x=1", ""),
        (b"", ""),
    ]:
        assert (await ask(serial_app, visit(query))).document == [seen]
    assert app.calls == 3


@pytest.mark.parametrize("query", [b"fb%63lid=1", b"utm%5Fid=1", b"%75tm_id", b"fbclid=%zz"])
@awaited
async def test_what_apps_read_as_the_same_name_is_ignored_alike(query):
    _, serial_app = echoing(cache_ttl=60)
    assert (await ask(serial_app, visit(query))).document == [""]
    assert (await ask(serial_app, visit(b""))).cached == "hit"


@pytest.mark.parametrize("query", [b"utm_id=1;page=2", b"FBCLID=1", b"+fbclid=1", b"fbclid%00=1"])
@awaited
async def test_what_apps_may_read_otherwise_has_an_entry_of_its_own(query):
    _, serial_app = echoing(cache_ttl=60)
    for asked in (query, b"", query):
        assert (await ask(serial_app, visit(asked))).document == [asked.decode()]


@awaited
async def test_without_the_setting_each_parameter_counts():
    _, serial_app = echoing(cache_ttl=60, cache_ignore_query="")
    for number in range(2):
        answer = await ask(serial_app, visit(b"utm_id=%d" % number))
        assert answer.document == [f"utm_id={number}"]


@awaited
async def test_the_order_may_be_ignored_as_well():
    app, serial_app = echoing(cache_ttl=60, cache_sort_query=True)
    for query in (b"b=1&utm_id=1&a=2", b"a=2&b=1&utm_id=2"):
        assert (await ask(serial_app, visit(query))).document == ["b=1&a=2"]
    assert app.calls == 1


WHOLE = b"a=1&utm_id=7"


@pytest.mark.parametrize(
    "asked",
    [
        *(visit(WHOLE, method) for method in ("POST", "PUT", "PATCH", "DELETE", "QUERY")),
        visit(WHOLE).having(authorization="Basic YTpi"),
        visit(WHOLE).having(cookie="session=1"),
        visit(WHOLE).having(cache_control="no-store"),
        visit(WHOLE).having(x_forwarded_host="a.example"),
        visit(WHOLE).having(content_length="2"),
        visit(WHOLE, path="/off"),
    ],
    ids=lambda asked: " ".join([asked.method, asked.path, *map(str, asked.fields)]),
)
@pytest.mark.parametrize("stored", [True, False])
@awaited
async def test_who_bypasses_the_cache_shows_the_app_everything(asked, stored):
    app, serial_app = echoing(cache_ttl=60, routes={"/off": {"cache": False}})
    if stored:
        await ask(serial_app, visit(b"a=1&utm_id=6"))
    app.fields = [PUBLIC]
    assert (await ask(serial_app, asked)).document == [WHOLE.decode()]
    assert serial_app.engine.responses.stored == stored
    # Whatever that was, the next visitor is told nothing of it.
    app.fields = []
    assert (await ask(serial_app, visit(b"a=1&utm_id=8"))).document == ["a=1"]


@awaited
async def test_a_request_with_credentials_says_why_it_is_not_stored():
    _, serial_app = echoing(PUBLIC)
    asked = visit(WHOLE).having(cookie="session=1")
    answer = await ask(serial_app, asked)
    detail = f"detail={Reason.REQUEST_HAS_CREDENTIALS.token}"
    assert answer.one("cache-status") == f"asgi_serial; fwd=bypass; {detail}"
    # Without such parameters it is stored, and then answers them.
    assert (await ask(serial_app, visit(b"a=1").having(cookie="session=2"))).document == ["a=1"]
    answer = await ask(serial_app, asked)
    assert (answer.document, answer.cached) == (["a=1"], "hit")


@awaited
async def test_a_shared_route_hides_them_from_everybody():
    app, serial_app = echoing(cache_ttl=60, routes={"/": {"cache_shared": True}})
    for number in range(3):
        asked = visit(b"a=1&utm_id=%d" % number).having(cookie=f"session={number}")
        assert (await ask(serial_app, asked)).document == ["a=1"]
    assert app.calls == 1


@pytest.mark.parametrize("tagged", [True, False])
@awaited
async def test_a_stale_response_is_asked_for_as_it_was(tagged):
    clock = Clock()
    app, serial_app = echoing(PUBLIC, clock=clock)
    app.fields += [(b"etag", b'"1"')] if tagged else []
    asked = visit(WHOLE).having(cookie="session=1")
    assert (await ask(serial_app, visit(b"a=1"))).document == ["a=1"]
    clock.now += 90
    answer = await ask(serial_app, asked)
    assert answer.document == ["a=1"]
    assert (await ask(serial_app, visit(b"a=1"))).document == ["a=1"]


@awaited
async def test_a_stored_response_is_confirmed_by_the_query_that_counts():
    clock, seen = Clock(), []

    async def app(scope, receive, send):
        seen.append(scope["query_string"])
        conditions = dict(scope["headers"])
        status = 304 if b"if-none-match" in conditions else 200
        fields = [JSON, FRESH, (b"etag", b'"%d"' % len(scope["query_string"]))]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b"[]" if status == 200 else b""})

    serial_app = serial_of(app, clock=clock, cache_ignore_query=IGNORED)
    await ask(serial_app, visit(b"a=1&utm_id=1"))
    clock.now += 90
    answer = await ask(serial_app, visit(b"a=1&utm_id=2&fbclid=3"))
    assert "fwd-status=304" in answer.one("cache-status")
    assert seen == [b"a=1", b"a=1"]


@awaited
async def test_a_refresh_in_the_background_asks_for_what_counts():
    clock = Clock()
    app, serial_app = echoing(clock=clock)
    app.fields = [(b"cache-control", b"public, max-age=60, stale-while-revalidate=60")]
    await ask(serial_app, visit(b"utm_id=1"))
    clock.now += 90
    assert (await ask(serial_app, visit(b"utm_id=2").having(cookie="a=1"))).document == [""]
    await settled()
    answer = await ask(serial_app, visit(b"utm_id=3"))
    assert (answer.document, answer.cached, answer.one("age"), app.calls) == ([""], "hit", "0", 2)


@awaited
async def test_the_cache_is_warmed_by_any_of_them():
    app, serial_app = echoing(cache_ttl=60)
    await serial_app.warm(["http://example.org/?a=1&utm_id=1"])
    answer = await ask(serial_app, visit(b"a=1&fbclid=2"))
    assert (answer.document, answer.cached, app.calls) == (["a=1"], "hit", 1)


@awaited
async def test_head_and_ranges_are_answered_from_what_a_get_has_stored():
    app, serial_app = echoing(cache_ttl=60)
    whole = await ask(serial_app, visit(b"a=1&utm_id=1"))
    head = await ask(serial_app, visit(b"utm_id=2&a=1", "HEAD"))
    part = await ask(serial_app, visit(b"a=1&utm_id=3").having(range="bytes=0-2"))
    held = await ask(serial_app, visit(b"a=1&utm_id=4").having(if_none_match=whole.one("etag")))
    assert [head.status, part.status, held.status, app.calls] == [200, 206, 304, 1]
    assert part.body == whole.body[:3]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@awaited
async def test_the_app_sees_them_in_no_request_for_the_resource(method):
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["query_string"])
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"[]"})

    serial_app = serial_of(app, cache_ttl=60, cache_ignore_query=IGNORED)
    await ask(serial_app, visit(b"utm_id=1", method).having(range="bytes=0-0"))
    await ask(serial_app, visit(b"utm_id=1", method).having(cache_control="no-cache"))
    assert set(seen) == {b""}


@pytest.mark.parametrize("written", [b"a=1&utm_id=9", b"utm%5Fid=9&a=%31", b"a=1"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@awaited
async def test_a_write_drops_what_is_stored_without_them(method, written):
    app, serial_app = echoing(cache_ttl=60)
    await ask(serial_app, visit(b"a=1&utm_id=1"))
    await ask(serial_app, visit(written, method))
    await ask(serial_app, visit(b"a=1&utm_id=2"))
    assert app.calls == 3


@pytest.mark.parametrize("name", [b"location", b"content-location"])
@awaited
async def test_a_write_drops_the_uris_that_its_response_names(name):
    app, serial_app = echoing(cache_ttl=60)
    await ask(serial_app, visit(b"a=1&utm_id=1"))
    app.fields = [(name, b"/?utm_id=5&a=1")]
    await ask(serial_app, visit(b"", "POST", path="/others"))
    await ask(serial_app, visit(b"a=1"))
    assert app.calls == 3


@awaited
async def test_a_write_that_a_handler_makes_drops_them_too():
    inner = Echo()

    async def app(scope, receive, send):
        if scope["path"] == "/writing":
            within = {**scope, "path": "/", "raw_path": b"/", "query_string": b"a=1&utm_id=3"}
            await nested(within, receive, send)
        else:
            await inner(scope, receive, send)

    nested = serial_of(inner, cache_ttl=60, cache_ignore_query=IGNORED)
    serial_app = serial_of(app, cache_ttl=60, cache_ignore_query=IGNORED)
    await ask(serial_app, visit(b"a=1&utm_id=1"))
    assert (await ask(serial_app, visit(b"a=1"))).cached == "hit"
    await ask(serial_app, visit(b"", "POST", path="/writing"))
    assert (await ask(serial_app, visit(b"a=1"))).cached != "hit"


@pytest.mark.parametrize(
    "uri", ["/?a=1", "/?utm_id=9&a=1", "http://example.org/?a=%31&utm%5Fid=x", "/?a=1&fbclid"]
)
@awaited
async def test_a_purge_names_the_uri_with_or_without_them(uri):
    _, serial_app = echoing(cache_ttl=60)
    await ask(serial_app, visit(b"a=1&utm_id=1"))
    await ask(serial_app, visit(b"a=2&utm_id=1"))
    assert await purge(serial_app, uris=[uri])
    assert (await ask(serial_app, visit(b"a=1&utm_id=2"))).cached != "hit"
    assert (await ask(serial_app, visit(b"a=2&utm_id=2"))).cached == "hit"


@awaited
async def test_a_purge_over_http_does_so_too():
    options = {"purge_path": "/-/purge", "purge_token": "secret"}
    _, serial_app = echoing(cache_ttl=60, **options)
    await ask(serial_app, visit(b"utm_id=1"))
    body = b'{"uris": ["/?fbclid=2"]}'
    fields = (("authorization", "Bearer secret"),)
    answer = await ask(serial_app, Request("POST", "/-/purge", fields, (body,)))
    assert answer.status == 204
    assert (await ask(serial_app, visit(b"utm_id=1"))).cached != "hit"


@awaited
async def test_other_processes_know_them_by_the_same_key():
    store, clock = SharedStore(), Clock()
    app, one = echoing(cache_ttl=60, clock=clock, store=store)
    _, other = echoing(cache_ttl=60, clock=clock, store=store)
    await ask(one, visit(b"a=1&utm_id=1"))
    await one.engine.responses.flush()
    clock.now += 5
    answer = await ask(other, visit(b"fbclid=2&a=1"))
    assert (answer.document, answer.cached) == (["a=1"], "hit")
    await ask(one, visit(b"a=1&utm_id=3", "PUT"))
    await told(one)
    await heard(other)
    assert (await ask(other, visit(b"a=1"))).cached != "hit"
    assert app.calls == 2


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@awaited
async def test_a_body_in_the_key_hides_them_as_well(method):
    app, serial_app = echoing(routes={"/": {"cache_body": True, "cache_ttl": 60}})
    for number in range(3):
        asked = visit(b"a=1&utm_id=%d" % number, method, body=(b"{}",)).having(content_length="2")
        assert (await ask(serial_app, asked)).document == ["a=1"]
    assert app.calls == 1


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@awaited
async def test_a_handler_that_keys_on_the_body_has_seen_them_only_at_first(method):
    calls = []

    async def app(scope, receive, send):
        calls.append(scope["query_string"])
        await receive()
        set_policy(cache_body=True, cache_ttl=60)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b'["%s"]' % scope["query_string"]})

    serial_app = serial_of(app, cache=True, cache_ignore_query=IGNORED)
    answers = [
        await ask(
            serial_app,
            visit(b"utm_id=%d" % number, method, body=(b"{}",)).having(content_length="2"),
        )
        for number in range(4)
    ]
    assert [answer.document for answer in answers] == [["utm_id=0"], [""], [""], [""]]
    assert calls == [b"utm_id=0", b""]


@pytest.mark.parametrize(("query", "stored"), [(b"a=1&utm_id=1", False), (b"a=1", True)])
@awaited
async def test_the_response_to_a_post_that_shows_them_is_not_stored_for_get(query, stored):
    location = (b"content-location", b"/?" + query)
    _, serial_app = echoing(FRESH, location, cache_posted=True)
    assert (await ask(serial_app, visit(query, "POST"))).document == [query.decode()]
    answer = await ask(serial_app, visit(b"a=1"))
    assert (answer.document, answer.cached == "hit") == (["a=1"], stored)


@awaited
async def test_a_partition_is_found_by_all_of_the_query_and_has_them_hidden():
    def find_user(scope):
        return dict(parse_qsl(scope["query_string"].decode())).get("utm_user")

    app, serial_app = echoing(routes={"/": {"cache_partition": find_user, "cache_ttl": 60}})
    for query in (b"utm_user=ada&utm_id=1", b"utm_user=ada&utm_id=2", b"utm_user=bob"):
        assert (await ask(serial_app, visit(query))).document == [""]
    assert app.calls == 2


@awaited
async def test_a_user_whom_the_handler_names_has_shown_them_and_is_not_stored():
    async def app(scope, receive, send):
        set_policy(cache_partition="cookie:sid", cache_ttl=60)
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b'["%s"]' % scope["query_string"]})

    serial_app = serial_of(app, cache=True, cache_ignore_query=IGNORED)
    seen = [
        (await ask(serial_app, visit(b"utm_id=%d" % number).having(cookie="sid=1"))).document
        for number in range(3)
    ]
    assert seen == [["utm_id=0"], [""], [""]]  # its route's policy is known from then on


@pytest.mark.parametrize("leads", [True, False])
@awaited
async def test_an_app_that_reads_late_sees_no_more(leads):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        first = b'["%s"' % scope["query_string"]
        await send({"type": "http.response.body", "body": first, "more_body": True})
        await send({"type": "http.response.body", "body": b',"%s"]' % scope["query_string"]})

    serial_app = serial_of(app, cache_ttl=60, cache_ignore_query=IGNORED)
    first = visit(b"a&utm_id=1")
    if not leads:  # a request for a part leads no call that others wait for
        first = first.having(range="bytes=0-99")
    await ask(serial_app, first)
    answer = await ask(serial_app, visit(b"a&utm_id=2"))
    assert (answer.document, answer.cached) == (["a", "a"], "hit")


@pytest.mark.parametrize("fields", [{}, {"range": "bytes=0-9"}, {"cookie": "_ga=1"}])
@pytest.mark.parametrize("said", [(), ((b"cache-control", b"no-store"),)])
@awaited
async def test_the_outside_sees_the_whole_query(fields, said):
    app = Echo(*said)
    serial_app = serial_of(app, cache_ttl=60, cache_ignore_query=IGNORED)
    seen = []

    async def outer(scope, receive, send):
        given = scope["headers"]

        async def watch(message):
            seen.append((scope["query_string"], scope["headers"] is given))
            await send(message)

        await serial_app(scope, receive, watch)
        seen.append((scope["query_string"], scope["headers"] is given))

    await drive(outer, visit(WHOLE).having(**fields))
    assert seen[-1] == (WHOLE, True)
    if said:
        assert set(seen) == {(WHOLE, True)}


@pytest.mark.parametrize("fields", [{}, {"range": "bytes=0-9"}])
@awaited
async def test_a_query_that_the_app_itself_has_replaced_stays(fields):
    async def app(scope, receive, send):
        scope["query_string"] = b"own=1"
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b"[]"})

    serial_app = serial_of(app, cache_ttl=60, cache_ignore_query=IGNORED)
    request = visit(WHOLE).having(**fields)
    scope = request.make_scope()

    async def send(message):
        pass

    await serial_app(scope, request.make_receive(), send)
    assert scope["query_string"] == (b"own=1" if fields else WHOLE)


@pytest.mark.parametrize("fields", [{}, {"range": "bytes=0-99"}])
@awaited
async def test_a_server_may_leave_the_query_in_the_raw_path(fields):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        await send({"type": "http.response.body", "body": b'["%s"]' % scope["raw_path"]})

    serial_app = serial_of(app, cache_ttl=60, cache_ignore_query=IGNORED)
    for query, shown in [(b"utm_id=1", b"/"), (b"utm_id=2", b"/"), (b"a&fbclid", b"/?a")]:
        asked = visit(query, scope={"raw_path": b"/?" + query}).having(**fields)
        assert (await ask(serial_app, asked)).body == b'["%s"]' % shown
    assert serial_app.engine.responses.stored == 2
    asked = visit(b"utm_id=4", "POST", scope={"raw_path": b"/?utm_id=4"})
    assert (await ask(serial_app, asked)).document == ["/?utm_id=4"]


@pytest.mark.parametrize("query", [None, "utm_id=1"])
@awaited
async def test_a_query_that_is_no_bytes_is_left_alone(query):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
        body = json.dumps([scope["query_string"]]).encode()
        await send({"type": "http.response.body", "body": body})

    serial_app = serial_of(app, cache_ttl=60, cache_ignore_query=IGNORED)
    for _ in range(2):
        assert (await ask(serial_app, visit(b"", scope={"query_string": query}))).document == [
            query
        ]


@awaited
async def test_a_scope_without_a_query_has_none_afterwards():
    app, serial_app = echoing(cache_ttl=60)
    request = visit(b"")
    scope = request.make_scope()
    del scope["query_string"]

    async def send(message):
        pass

    await serial_app(scope, request.make_receive(), send)
    assert "query_string" not in scope
    assert app.calls == 1


QUERIES = st.lists(
    st.sampled_from(
        [*("utm_id", "utm%5Fid", "fbclid", "%66bclid", "page", "p%61ge"), "utm_a;page", "", "x"]
    ),
    max_size=4,
)
ASKED = st.tuples(
    QUERIES,
    st.sampled_from(["GET"] * 6 + ["HEAD", "POST", "QUERY"]),
    st.sampled_from([*[{}] * 4, *({name: "a=1"} for name in ("cookie", "authorization", "x-a"))]),
    st.sampled_from(["/", "/body", "/user", "/shared"]),
)


@given(
    st.lists(ASKED, min_size=2, max_size=8),
    st.sampled_from([(), (FRESH,), (PUBLIC,), ((b"cache-control", b"public, max-age=1"),)]),
    st.sampled_from([{"cache_ignore_query": IGNORED}, {"cache_query": "page"}]),
)
def test_nobody_sees_the_parameters_of_another(asked, fields, setting):
    asyncio.run(_see_own_parameters(asked, fields, setting))


async def _see_own_parameters(asked, fields, setting):
    clock = Clock()
    routes = {
        "/body": {"cache_body": True},
        "/user": {"cache_partition": ["cookie", "authorization"]},
        "/shared": {"cache_shared": True},
    }
    app = Echo(*fields)
    serial_app = serial_of(app, clock=clock, cache_ttl=60, routes=routes, **setting)
    for number, (names, method, more, path) in enumerate(asked):
        clock.now += 1
        query = "&".join(f"{name}={name and number}" for name in names)
        request = visit(query.encode(), method, path=path, body=(b"{}",) * (method == "POST"))
        calls = app.calls
        answer = await ask(serial_app, request.having(**more))
        if method == "HEAD":
            continue
        [seen] = answer.document
        shown = serial_app.engine.fields.shown_query(query.encode()).decode()
        # The app has seen the query of this request, or all see what counts of it.
        assert seen in ((query, shown) if app.calls > calls else (shown,))
