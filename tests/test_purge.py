"""What is purged is not answered with any more: here, and in every process that shares a store."""

import asyncio
import gc
import json

import pytest

from asgi_serial import ConfigurationError, SerialMiddleware, purge
from asgi_serial.cache.purges import Purge
from tests.cache.entries import DictStore, make_entry
from tests.engine.driver import Clock, Request, ask, awaited, drive, heard, serial_of, told
from tests.engine.making import JSON
from tests.engine.test_validation import Origin


class App:
    """Answers with the number of its calls, with the tags of the path."""

    def __init__(self, **tags):
        self.tags = tags
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        fields = [JSON, (b"cache-control", b"max-age=60")]
        tag = self.tags.get(scope["path"].strip("/"))
        if tag:
            fields.append(tag)
        number = self.calls
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"%d" % number})


TAGGED = {
    "news": (b"cache-tag", b"news, front page"),
    "sport": (b"surrogate-key", b"sport news"),
    "about": None,
}


class Ticking:
    """A clock that goes on by a millisecond each time that it is looked at."""

    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        self.now += 0.001
        return self.now


async def filled(**settings):
    """An app with three pages, all of them stored."""
    serial = serial_of(App(**TAGGED), clock=Ticking(), **settings)
    for path in TAGGED:
        await ask(serial, Request(path=f"/{path}"))
    return serial


async def stored(serial):
    """Which pages are still answered with out of the cache."""
    hits = []
    for path in TAGGED:
        answer = await ask(serial, Request(path=f"/{path}"))
        if "; hit;" in answer.one("cache-status"):
            hits.append(path)
    return hits


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        pytest.param({"tags": ["news"]}, ["about"], id="a tag of two pages"),
        pytest.param({"tags": ["front page"]}, ["sport", "about"], id="a tag with a blank"),
        pytest.param({"tags": ["News"]}, ["news", "sport", "about"], id="a tag in capitals"),
        pytest.param({"uris": ["/sport"]}, ["news", "about"], id="a path"),
        pytest.param({"uris": ["https://example.org/sport"]}, ["news", "about"], id="a URI"),
        pytest.param({"uris": ["https://other/sport"]}, list(TAGGED), id="a URI of another host"),
        pytest.param({"uris": ["/sport?x=1"]}, list(TAGGED), id="another query"),
        pytest.param({"prefixes": ["/s"]}, ["news", "about"], id="a prefix"),
        pytest.param({"everything": True}, [], id="everything"),
        pytest.param({"tags": ["x"], "uris": ["/news", "/about"]}, ["sport"], id="several"),
        pytest.param({}, list(TAGGED), id="nothing"),
    ],
)
@awaited
async def test_what_is_purged_is_asked_for_again(asked, left):
    serial = await filled()
    assert await purge(serial, **asked) is True
    assert await stored(serial) == left
    assert await stored(serial) == list(TAGGED)


@awaited
async def test_what_was_asked_for_before_is_not_kept():
    gate = asyncio.Event()
    app = App(news=TAGGED["news"])

    async def slow(scope, receive, send):
        await gate.wait()
        await app(scope, receive, send)

    serial = serial_of(slow)
    asking = asyncio.ensure_future(ask(serial, Request(path="/news")))
    await asyncio.sleep(0)
    await purge(serial, tags=["news"])
    gate.set()
    await asking
    await ask(serial, Request(path="/news"))
    assert app.calls == 2


@awaited
async def test_a_form_and_a_variant_go_with_their_response():
    serial = await filled()
    encoded = Request(path="/news").having(accept="application/vnd.msgpack")
    assert "; hit;" in (await ask(serial, encoded)).one("cache-status")
    await purge(serial, tags=["news"])
    assert "; hit;" not in (await ask(serial, encoded)).one("cache-status")


@awaited
async def test_one_users_entries_go_when_he_leaves():
    routes = {"/*": {"cache_partition": "cookie:sid"}}
    serial = serial_of(App(), routes=routes)
    users = [Request().having(cookie=f"sid={name}") for name in ("a", "b")]
    for request in users:
        await ask(serial, request)
    await purge(serial, users=[{"cookie:sid": "a"}])
    found = ["; hit;" in (await ask(serial, request)).one("cache-status") for request in users]
    assert found == [False, True]


@awaited
async def test_a_user_that_a_function_names_is_purged_by_that_name():
    def by_user(scope):
        return dict(scope["headers"]).get(b"x-user", b"").decode() or None

    serial = serial_of(App(), routes={"/*": {"cache_partition": by_user}})
    request = Request().having(x_user="7")
    await ask(serial, request)
    await purge(serial, users=["8"])
    assert "; hit;" in (await ask(serial, request)).one("cache-status")
    await purge(serial, users=["7"])
    assert "; hit;" not in (await ask(serial, request)).one("cache-status")


@pytest.mark.parametrize("asked", [{"uris": ["no path"]}, {"tags": [""]}, {"prefixes": ["x"]}])
@awaited
async def test_what_names_nothing_is_refused(asked):
    with pytest.raises(ValueError, match=r"."):
        await purge(await filled(), **asked)


@awaited
async def test_an_app_that_has_served_nobody_has_nothing_to_purge():
    with pytest.raises(LookupError, match="nothing to purge"):
        await purge(object(), everything=True)


@awaited
async def test_more_tags_than_are_kept_forbid_to_store():
    app = App(news=(b"cache-tag", b",".join(b"t%d" % number for number in range(129))))
    serial = serial_of(app)
    for _ in range(2):
        answer = await ask(serial, Request(path="/news"))
    assert answer.one("cache-status").endswith("detail=too-many-tags")


def processes_over(store, count=2):
    app = App(**TAGGED)
    return [serial_of(app, store=store, cache_poll="50ms") for _ in range(count)]


@pytest.mark.parametrize("asked", [{"tags": ["news"]}, {"uris": ["/news"]}, {"prefixes": ["/ne"]}])
@awaited
async def test_every_process_hears_of_it(asked):
    first, second = processes_over(DictStore())
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
    for process in (first, second):
        await ask(process, Request(path="/news"))
        await process.engine.responses.flush()
    assert await purge(first, **asked)
    await heard(second)
    answer = await ask(second, Request(path="/news"))
    assert answer.document == 2


@awaited
async def test_every_process_hears_of_a_write():
    first, second = processes_over(DictStore())
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
        await ask(process, Request(path="/news"))
        await process.engine.responses.flush()
    await drive(first, Request("PUT", path="/news"))
    await told(first)
    await heard(second)
    answer = await ask(second, Request(path="/news"))
    assert "; hit;" not in answer.one("cache-status")


SPELLINGS = {
    "a reserved character": ("/users/ann@x.org", b"/users/ann@x.org", b"/users/ann%40x.org"),
    "an apostrophe": ("/users/O'Hara", b"/users/O'Hara", b"/users/O%27Hara"),
    "hexadecimal digits": ("/users/caf\xe9", b"/users/caf%C3%A9", b"/users/caf%c3%a9"),
    "a tilde": ("/users/~bob", b"/users/~bob", b"/users/%7Ebob"),
    "a comma": ("/users/a,b", b"/users/a,b", b"/users/a%2Cb"),
    "parentheses": ("/users/(x)", b"/users/(x)", b"/users/%28x%29"),
}


@pytest.mark.parametrize(("path", "asked", "written"), SPELLINGS.values(), ids=SPELLINGS.keys())
@awaited
async def test_a_write_reaches_every_spelling_of_its_path_in_every_process(path, asked, written):
    """RFC 9111, 4.4: the target URI is invalidated: the app routes by the decoded path."""
    clock, store, app = Clock(), DictStore(), App()
    first, second = (serial_of(app, store=store, clock=clock, cache_poll="50ms") for _ in range(2))
    get = Request(path=path, scope={"raw_path": asked})
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
        await ask(process, get)
        await process.engine.responses.flush()
        assert "; hit;" in (await ask(process, get)).one("cache-status")
    clock.now += 1
    await drive(first, Request("PUT", path=path, scope={"raw_path": written}))
    await told(first)
    await heard(second)
    for process in (first, second):
        assert "; hit;" not in (await ask(process, get)).one("cache-status")


@pytest.mark.parametrize(
    ("stored", "purged"),
    [
        pytest.param(b"x=a+b", "/news?x=a%20b", id="a blank as a plus"),
        pytest.param(b"x=a%20b", "/news?x=a+b", id="a plus for a blank"),
        pytest.param(b"x=%c3%a9", "/news?x=%C3%A9", id="hexadecimal digits"),
        pytest.param(b"y=%7e&x=%0A", "/news?x=%0a&y=~", id="another order"),
    ],
)
@awaited
async def test_a_purge_reaches_every_spelling_of_a_query(stored, purged):
    serial = serial_of(App(**TAGGED))
    get = Request(path="/news", query=stored)
    for _ in range(2):
        answer = await ask(serial, get)
    assert "; hit;" in answer.one("cache-status")
    await purge(serial, uris=[purged])
    assert "; hit;" not in (await ask(serial, get)).one("cache-status")


@awaited
async def test_writes_of_others_drop_only_what_they_name():
    """However many come: an attacker needs no more than a redirect to his POST."""
    (process,) = processes_over(DictStore(), 1)
    await process.engine.responses.purge_sync.listen()
    await ask(process, Request(path="/news"))
    now = process.engine.clock()
    for number in range(16_000):
        digest = f"{number:032x}"
        process.engine.purges.add(Purge("digest", digest, None, now + 1))
    assert "; hit;" in (await ask(process, Request(path="/news"))).one("cache-status")


@awaited
async def test_a_process_that_begins_later_believes_what_was_stored_after_the_purge():
    store = DictStore()
    (first,) = processes_over(store, 1)
    await first.engine.responses.purge_sync.listen()
    await ask(first, Request(path="/about"))
    await first.engine.responses.flush()
    (second,) = processes_over(store, 1)
    assert "; hit;" in (await ask(second, Request(path="/about"))).one("cache-status")


@awaited
async def test_what_was_stored_before_a_log_that_was_lost_is_not_believed():
    store, clock = DictStore(), Clock()
    first, second = (
        serial_of(App(), store=store, clock=clock, cache_poll="50ms") for _ in range(2)
    )
    await first.engine.responses.purge_sync.listen()
    await ask(first, Request(path="/about"))
    await first.engine.responses.flush()
    del first
    gc.collect()  # nobody else begins another log
    (kept,) = [key for key, value in store.values.items() if b"application/json" in value]
    store.values = {kept: store.values[kept]}
    clock.now += 1
    assert "; hit;" not in (await ask(second, Request(path="/about"))).one("cache-status")


@awaited
async def test_a_store_that_does_not_take_it_is_told():
    store = DictStore()
    (process,) = processes_over(store, 1)
    await ask(process, Request(path="/news"))
    await process.engine.responses.flush()

    async def fails(key, **more):
        return None

    store.increment = fails
    assert await purge(process, everything=True) is False
    answer = await ask(process, Request(path="/news"))
    assert "; hit;" not in answer.one("cache-status")


@awaited
async def test_entries_made_before_the_store_could_be_heard_may_have_been_purged():
    store = DictStore()
    (process,) = processes_over(store, 1)
    increment = store.increment

    async def fails(key, **more):
        return None

    store.increment = fails
    await ask(process, Request(path="/news"))
    assert "; hit;" in (await ask(process, Request(path="/news"))).one("cache-status")
    store.increment = increment
    await heard(process)
    assert "; hit;" not in (await ask(process, Request(path="/news"))).one("cache-status")


TOKEN = {"purge_path": "/-/purge", "purge_token": "secret"}


async def asked_over_http(serial, content, method="POST", token="Bearer secret", **more):
    request = Request(method, path="/-/purge", body=(content,), **more)
    return await ask(serial, request.having(authorization=token) if token else request)


@awaited
async def test_it_may_be_asked_for_over_http():
    serial = await filled(**TOKEN)
    answer = await asked_over_http(serial, json.dumps({"tags": ["news"]}).encode())
    assert (answer.status, answer.body) == (204, b"")
    assert await stored(serial) == ["about"]


@pytest.mark.parametrize(
    ("content", "more", "status"),
    [
        pytest.param(b"{}", {}, 400, id="nothing asked for"),
        pytest.param(b"x", {}, 400, id="no JSON"),
        pytest.param(b" " * 70_000, {}, 413, id="too long"),
        pytest.param(b"", {"method": "GET"}, 405, id="another method"),
        pytest.param(b'{"everything":true}', {"token": ""}, 401, id="no token"),
        pytest.param(b'{"everything":true}', {"token": "Bearer x"}, 401, id="another token"),
    ],
)
@awaited
async def test_what_is_refused_over_http(content, more, status):
    serial = await filled(**TOKEN)
    answer = await asked_over_http(serial, content, **more)
    assert answer.status == status
    assert answer.media_type == "application/problem+json"
    # The reasons are those of requests to the app: none of them explains this.
    assert "reason" not in json.loads(answer.body or "{}")
    assert await stored(serial) == list(TAGGED)


@awaited
async def test_a_client_that_leaves_has_asked_for_nothing():
    serial = await filled(**TOKEN)
    received = [{"type": "http.disconnect"}]
    sent = []

    async def receive():
        return received.pop()

    async def send(message):
        sent.append(message)

    request = Request("POST", path="/-/purge").having(authorization="Bearer secret")
    await serial(request.make_scope(), receive, send)
    assert sent[0]["status"] == 400


@awaited
async def test_over_http_it_is_said_that_others_were_not_told():
    store = DictStore()
    serial = serial_of(App(), store=store, **TOKEN)
    await serial.engine.responses.purge_sync.listen()

    async def fails(key, **more):
        return None

    store.increment = fails
    answer = await asked_over_http(serial, b'{"everything":true}')
    assert answer.status == 503


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"purge_path": "/x"}, "purge_token"),
        ({}, "ASGI_SERIAL_PURGE_TOKEN"),
    ],
)
def test_a_path_needs_a_token(given, missing, monkeypatch):
    if not given:
        monkeypatch.setenv("ASGI_SERIAL_PURGE_PATH", "/x")
    with pytest.raises(ConfigurationError, match=f"without a token; set {missing} as well"):
        SerialMiddleware(App(), **given)


@awaited
async def test_what_the_store_did_not_take_is_told_again():
    store = DictStore()
    first, second = processes_over(store)
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
        for path in ("/news", "/about"):
            await ask(process, Request(path=path))
        await process.engine.responses.flush()
    increment, attempts = store.increment, []

    async def fails_once(key, **more):
        attempts.append(key)
        return None if len(attempts) == 1 else await increment(key, **more)

    store.increment = fails_once
    await drive(first, Request("PUT", path="/news"))
    await told(first)
    await heard(second)
    answer = await ask(second, Request(path="/news"))
    assert "; hit;" not in answer.one("cache-status")
    assert "; hit;" in (await ask(second, Request(path="/about"))).one("cache-status")
    assert len(attempts) == 2


@awaited
async def test_a_flood_of_writes_is_told_whole_and_drops_elsewhere_only_what_it_names():
    store = DictStore()
    first, second = processes_over(store)
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
        for path in ("/news", "/about"):
            await ask(process, Request(path=path))
        await process.engine.responses.flush()
    before = len(store.values)
    now = first.engine.clock()
    for number in range(16_000):
        first.engine.responses.purge_sync.announce(b"%016d" % number, now)
    await drive(first, Request("PUT", path="/news"))
    await told(first)
    assert len(store.values) - before < 12  # records
    await heard(second)
    assert "; hit;" in (await ask(second, Request(path="/about"))).one("cache-status")
    assert "; hit;" not in (await ask(second, Request(path="/news"))).one("cache-status")


@pytest.mark.parametrize("by", ["a purge", "a write"])
@awaited
async def test_what_is_made_after_a_purge_was_heard_is_stored_at_once(by):
    """Else each request in the next second would call the app, in all processes but one."""
    app, store, clock = App(**TAGGED), DictStore(), Ticking()
    first, second = (serial_of(app, store=store, clock=clock, cache_poll="50ms") for _ in range(2))
    get = Request(path="/news")
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
        await ask(process, get)
        await process.engine.responses.flush()
    if by == "a purge":
        await purge(first, tags=["news"])
    else:
        await drive(first, Request("PUT", path="/news"))
        await told(first)
    await heard(second)
    assert "; stored" in (await ask(second, get)).one("cache-status")
    assert "; hit;" in (await ask(second, get)).one("cache-status")


@pytest.mark.parametrize("by", ["a purge", "a write"])
@awaited
async def test_what_was_being_made_when_a_purge_was_heard_is_not_stored(by):
    class Slow(App):
        async def __call__(self, scope, receive, send):
            if scope["path"] == "/news" and self.is_slow:
                arrived.set()
                await may_answer.wait()
            await super().__call__(scope, receive, send)

    app, arrived, may_answer = Slow(**TAGGED), asyncio.Event(), asyncio.Event()
    store = DictStore()
    first, second = (serial_of(app, store=store, cache_poll="50ms") for _ in range(2))
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
    get, app.is_slow = Request(path="/news"), True
    asking = asyncio.ensure_future(ask(second, get))
    await arrived.wait()
    app.is_slow = False
    if by == "a purge":
        await purge(first, tags=["news"])
    else:
        await drive(first, Request("PUT", path="/news"))
        await told(first)
    await heard(second)
    may_answer.set()
    assert "detail=invalidated" in (await asking).one("cache-status")
    assert "; hit;" not in (await ask(second, get)).one("cache-status")


@awaited
async def test_more_writes_than_can_wait_are_told_as_everything(monkeypatch):
    monkeypatch.setattr("asgi_serial.cache.purge_sync.MAX_UNPUBLISHED", 3)
    first, second = processes_over(DictStore())
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
        await ask(process, Request(path="/news"))
        await process.engine.responses.flush()
    for number in range(5):
        await drive(first, Request("PUT", path=f"/{number}"))
    await told(first)
    await heard(second)
    answer = await ask(second, Request(path="/news"))
    assert "; hit;" not in answer.one("cache-status")


@awaited
async def test_what_is_purged_is_not_loaded_from_the_store():
    store = DictStore()
    first, second = processes_over(store)
    for process in (first, second):
        await process.engine.responses.purge_sync.listen()
    await ask(first, Request(path="/news"))
    await first.engine.responses.flush()
    second.engine.purges.add(Purge("tag", "news", None, second.engine.clock()))
    answer = await ask(second, Request(path="/news"))
    assert "; hit;" not in answer.one("cache-status")


@awaited
async def test_nobody_listens_for_a_cache_that_is_gone():
    (process,) = processes_over(DictStore(), 1)
    await process.engine.responses.purge_sync.listen()
    listener = process.engine.responses.purge_sync._listener
    del process
    gc.collect()
    await asyncio.wait([listener])
    assert listener.exception() is None


@awaited
async def test_news_forget_one_entry_in_both_levels():
    store, clock = DictStore(), Clock()
    app = Origin()
    serial = serial_of(app, store=store, clock=clock)
    await serial.engine.responses.purge_sync.listen()
    await ask(serial, Request())
    await serial.engine.responses.flush()
    entries = [value for value in store.values.values() if b"v1" in value]
    clock.now += 100
    app.fields = [(b"cache-control", b"no-store")]
    app.status = 404
    await ask(serial, Request())
    await serial.engine.responses.flush()
    assert len(entries) == 1
    assert not [value for value in store.values.values() if b"v1" in value]
    serial.engine.responses.forget(make_entry())  # one that is not there
