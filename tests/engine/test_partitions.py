"""Entries for each user: found by him alone, and by no other cache."""

import asyncio
import logging
from dataclasses import replace
from uuid import UUID

import pytest

from asgi_serial import ConfigurationError, SerialMiddleware, serial, set_policy

from .driver import Clock, Request, ask, awaited, serial_of, settled
from .making import JSON

PARTITIONED = {"/": {"cache_partition": "authorization", "cache_ttl": "60s"}}
COOKIES = {"/": {"cache_partition": "cookie:sid", "cache_ttl": "60s"}}


class Personal:
    """An app that tells each what it knows of him, and counts its calls."""

    def __init__(self, *fields, policy=None):
        self.fields = list(fields)
        self.policy = policy or {}
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        if self.policy:
            set_policy(**self.policy)
        # What was not read can not be keyed on.
        while (await receive()).get("more_body"):
            pass
        known = {name.decode(): value.decode() for name, value in scope["headers"]}
        who = known.get("authorization") or known.get("cookie") or known.get("x-user") or "nobody"
        start = {"type": "http.response.start", "status": 200, "headers": [JSON, *self.fields]}
        await send(start)
        await send({"type": "http.response.body", "body": b'["%s"]' % who.encode()})


def user(name):
    return Request().having(authorization=name)


def said(answer):
    return answer.one("cache-status").removeprefix("asgi_serial; ").partition(";")[0]


@pytest.mark.parametrize("control", ["", "private", "private, max-age=60", "max-age=60"])
@awaited
async def test_each_user_has_his_own(control):
    fields = [(b"cache-control", control.encode())] if control else []
    app = Personal(*fields)
    serial_app = serial_of(app, routes=PARTITIONED)
    for _ in range(3):
        for name in ("alice", "bob"):
            answer = await ask(serial_app, user(name))
            assert answer.document == [name]
            assert "private" in answer.one("cache-control")
    assert app.calls == 2


@pytest.mark.parametrize("line", [(b"cache-control", b"no-store"), (b"set-cookie", b"a=b")])
@awaited
async def test_what_forbids_a_private_cache_to_store_is_kept_to(line):
    app = Personal(line)
    serial_app = serial_of(app, routes=PARTITIONED)
    for _ in range(2):
        await ask(serial_app, user("alice"))
    assert app.calls == 2


@awaited
async def test_who_says_nothing_of_himself_is_nobody():
    app = Personal()
    serial_app = serial_of(app, routes=PARTITIONED)
    answers = [await ask(serial_app, request) for request in (Request(), user("alice"), Request())]
    assert [answer.document for answer in answers] == [["nobody"], ["alice"], ["nobody"]]
    assert [said(answer) for answer in answers] == ["fwd=uri-miss", "fwd=uri-miss", "hit"]
    assert answers[0].one("cache-control") is None


@pytest.mark.parametrize("others", ["{}", "{}; theme=dark", "lang=en; {}; theme=dark"])
@awaited
async def test_a_cookie_tells_users_apart_with_the_cookies_that_they_have(others):
    app = Personal()
    serial_app = serial_of(app, routes=COOKIES)
    for _ in range(2):
        for sid in ("sid=1", "sid=2"):
            cookie = others.format(sid)
            assert (await ask(serial_app, Request().having(cookie=cookie))).document == [cookie]
    assert app.calls == 2


@pytest.mark.parametrize(
    ("partition", "first", "second"),
    [
        ("cookie:sid", "sid=1; role=user", "sid=1; role=admin"),
        ("cookie:sid", "sid=1", "sid=1; role=admin"),
        ("cookie:sid", "sid=1; role=admin", "sid=1"),
        (["cookie:sid", "cookie:role"], "sid=1; role=user; org=1", "sid=1; role=user; org=2"),
        (["cookie:sid", "x-user"], "sid=1; role=user", "sid=1; role=admin"),
        (["cookie:cookie"], "cookie=1; role=user", "cookie=1; role=admin"),
    ],
)
@awaited
async def test_a_named_cookie_speaks_for_itself_alone(partition, first, second):
    """An answer may differ by the others as well: nobody has what was made for another of them."""
    app = Personal()
    routes = {"/": {"cache_partition": partition, "cache_ttl": "60s"}}
    serial_app = serial_of(app, routes=routes)
    for _ in range(2):
        for cookie in (first, second):
            got = await ask(serial_app, Request().having(cookie=cookie, x_user="alice"))
            assert got.document == [cookie]


@pytest.mark.parametrize("partition", ["cookie", ["cookie", "cookie:sid"], lambda _: "alice"])
@awaited
async def test_who_names_the_whole_field_or_gives_a_function_answers_for_all_cookies(partition):
    app = Personal()
    routes = {"/": {"cache_partition": partition, "cache_ttl": "60s"}}
    serial_app = serial_of(app, routes=routes)
    for _ in range(2):
        await ask(serial_app, Request().having(cookie="sid=1; role=user"))
    assert app.calls == 1


@pytest.mark.parametrize("more", [{"authorization": "x"}, {"x_api_key": "x"}])
@awaited
async def test_credentials_that_tell_nobody_apart_are_still_some(more):
    app = Personal()
    serial_app = serial_of(app, routes=COOKIES)
    for _ in range(2):
        await ask(serial_app, Request().having(cookie="sid=1", **more))
    assert app.calls == 2


@awaited
async def test_what_is_shared_before_is_not_answered_to_a_user():
    """Nor what is a user's to those who are nobody."""
    app = Personal((b"cache-control", b"public, max-age=60"))
    serial_app = serial_of(app, routes=PARTITIONED)
    assert (await ask(serial_app, Request())).document == ["nobody"]
    assert (await ask(serial_app, user("alice"))).document == ["alice"]
    assert (await ask(serial_app, Request())).document == ["nobody"]


def by_user(scope):
    return dict(scope["headers"]).get(b"x-user", b"").decode() or None


@awaited
async def test_a_handler_may_say_what_tells_users_apart():
    app = Personal(policy={"cache_partition": by_user, "cache_ttl": 60})
    serial_app = serial_of(app)
    asked = ["", "alice", "", "bob", "alice", "", "bob"]
    answers = [
        await ask(serial_app, Request().having(x_user=name) if name else Request())
        for name in asked
    ]
    assert [answer.document[0] for answer in answers] == [name or "nobody" for name in asked]
    assert app.calls == 3
    assert "private" in answers[1].one("cache-control")


@awaited
async def test_those_who_wait_for_what_turns_out_to_be_anothers_call_themselves():
    app = Personal(policy={"cache_partition": by_user, "cache_ttl": 60})
    inner = app.__call__
    gate = asyncio.Event()

    async def gated(scope, receive, send):
        await gate.wait()
        await inner(scope, receive, send)

    serial_app = serial_of(gated)
    crowd = [
        asyncio.ensure_future(ask(serial_app, Request().having(x_user=name)))
        for name in ("alice", "bob", "carol") * 2
    ]
    await settled()
    gate.set()
    answers = await asyncio.gather(*crowd)
    assert [answer.document[0] for answer in answers] == ["alice", "bob", "carol"] * 2


@awaited
async def test_a_function_that_fails_keeps_the_cache_out(caplog):
    def fails(scope):
        raise KeyError("user")

    app = Personal()
    routes = {"/": {"cache_partition": fails, "cache_ttl": 60}}
    serial_app = serial_of(app, routes=routes)
    with caplog.at_level(logging.ERROR):
        answers = [await ask(serial_app, Request()) for _ in range(2)]
    assert app.calls == 2
    assert said(answers[1]) == "fwd=bypass"
    assert "cache_partition failed" in caplog.text


def first_of(scope):
    return dict(scope["headers"]).get(b"x-user-id", b"").decode()


async def find_user_late(scope):
    return first_of(scope)


class FindsUserLate:
    async def __call__(self, scope):
        return first_of(scope)


class User:
    """A user as an app has him: its string names the class and an address in memory."""

    def __init__(self, name):
        self.name = name


@pytest.mark.parametrize(
    "find_user",
    [
        pytest.param(lambda scope: User(first_of(scope)), id="an object"),
        pytest.param(lambda scope: find_user_late(scope), id="a coroutine"),
        pytest.param(lambda scope: (one for one in first_of(scope)), id="a generator"),
        pytest.param(lambda scope: True, id="a truth"),
        pytest.param(lambda scope: [first_of(scope)], id="a list"),
    ],
)
@awaited
async def test_what_is_no_name_of_a_user_keeps_the_cache_out(find_user, caplog):
    """Two users whose objects have one address, one after the other, have one string."""
    app = Personal()
    serial_app = serial_of(app, routes={"/": {"cache_partition": find_user, "cache_ttl": 60}})
    with caplog.at_level(logging.ERROR):
        answers = [
            await ask(serial_app, Request().having(x_user_id=f"user-{number}"))
            for number in range(20)
        ]
    assert app.calls == 20
    assert {said(answer) for answer in answers} == {"fwd=bypass"}
    assert all("private" in answer.one("cache-control") for answer in answers)
    assert "expected the user's name or number" in caplog.text


@pytest.mark.parametrize("numbers", [(0, 7), (UUID(int=0), UUID(int=7))], ids=["int", "UUID"])
@awaited
async def test_a_function_may_give_a_number(numbers):
    """The number 0 is a user as any other."""
    app = Personal()

    def find_user(scope):
        return numbers[int(first_of(scope))]

    serial_app = serial_of(app, routes={"/": {"cache_partition": find_user, "cache_ttl": 60}})
    users = [Request().having(x_user_id=user) for user in ("0", "1", "0", "1")]
    answers = [await ask(serial_app, user) for user in users]
    assert [answer.cached for answer in answers[2:]] == ["hit", "hit"]
    assert app.calls == 2


@awaited
async def test_a_write_drops_what_is_stored_for_each_user():
    app = Personal()
    serial_app = serial_of(app, routes=PARTITIONED)
    await ask(serial_app, user("alice"))
    await ask(serial_app, replace(user("bob"), method="PUT"))
    await ask(serial_app, user("alice"))
    assert app.calls == 3


@awaited
async def test_a_stale_response_is_confirmed_for_its_user():
    clock = Clock()
    app = Personal((b"etag", b'"1"'), (b"cache-control", b"private, max-age=60"))
    serial_app = serial_of(app, routes=PARTITIONED, clock=clock)
    await ask(serial_app, user("alice"))
    clock.now += 100
    answer = await ask(serial_app, user("alice"))
    assert said(answer) == "fwd=stale"
    assert "private" in answer.one("cache-control")


@awaited
async def test_the_lifetime_is_that_of_a_private_cache():
    clock = Clock()
    app = Personal((b"cache-control", b"s-maxage=9, max-age=60"))
    serial_app = serial_of(app, routes=PARTITIONED, clock=clock)
    await ask(serial_app, user("alice"))
    clock.now += 30
    assert said(await ask(serial_app, user("alice"))) == "hit"


@awaited
async def test_nothing_says_to_caches_of_a_kind_that_it_is_for_them():
    app = Personal((b"cdn-cache-control", b"max-age=600"))
    answer = await ask(serial_of(app, routes=PARTITIONED), user("alice"))
    assert answer.one("cdn-cache-control") is None
    assert answer.one("cache-control") == "private"


@awaited
async def test_one_user_does_not_crowd_out_the_others():
    app = Personal()
    routes = {"/*": {"cache_partition": "authorization", "cache_ttl": "60s"}}
    serial_app = serial_of(
        app, routes=routes, cache_memory="100kB", cache_max_object="100kB", encodings_cache=False
    )
    await ask(serial_app, user("alice"))
    for number in range(200):
        await ask(serial_app, replace(user("bob"), path=f"/{number}"))
    assert said(await ask(serial_app, user("alice"))) == "hit"


@pytest.mark.parametrize("secret", ["0123456789abcdef", None])
def test_the_user_is_not_to_be_read_from_a_key(secret):
    async def main():
        serial_app = serial_of(Personal(), routes=PARTITIONED, cache_secret=secret)
        await ask(serial_app, user("alice"))
        slots = serial_app.engine.memory._slots.values()
        return {str(getattr(slot.value, "key", slot.key)) for slot in slots}

    first, second = asyncio.run(main()), asyncio.run(main())
    assert "alice" not in str(first)
    # Forks of one URI have a random part as well.
    assert first != second


@awaited
async def test_processes_name_users_alike_by_a_secret():
    engines = [
        serial_of(Personal(), routes=PARTITIONED, cache_secret="0123456789abcdef").engine
        for _ in range(2)
    ]
    from asgi_serial.request.partition import digest_partition

    one, other = (digest_partition(engine, "alice") for engine in engines)
    assert one == other != digest_partition(engines[0], "bob")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a b", "names of fields and cookies"),
        ("", "names of fields and cookies"),
        (["cookie:"], "names of fields and cookies"),
        ([1], "names of fields and cookies"),
        (7, "names of fields and cookies"),
        (find_user_late, "a synchronous function"),
        (FindsUserLate(), "a synchronous function"),
    ],
)
def test_a_wrong_partition_is_told(given, message):
    with pytest.raises(ConfigurationError, match=message):
        serial(cache_partition=given)
    with pytest.raises(ConfigurationError, match=message):
        SerialMiddleware(None, routes={"/": {"cache_partition": given}})


@awaited
async def test_a_304_to_what_is_everybodys_is_no_answer_to_a_user():
    clock, calls = Clock(), []

    async def app(scope, receive, send):
        headers = dict(scope["headers"])
        calls.append(headers.get(b"if-none-match"))
        set_policy(cache_partition=by_user)
        await receive()
        fields = [JSON, (b"cache-control", b"max-age=60"), (b"etag", b'"1"')]
        held = headers.get(b"if-none-match") == b'"1"'
        await send(
            {"type": "http.response.start", "status": 304 if held else 200, "headers": fields}
        )
        who = headers.get(b"x-user", b"nobody")
        await send({"type": "http.response.body", "body": b"" if held else b'"%s"' % who})

    serial_app = serial_of(app, clock=clock)
    assert (await ask(serial_app, Request(path="/" + "x" * 10_000))).document == "nobody"
    clock.now += 100
    answer = await ask(serial_app, Request(path="/" + "x" * 10_000).having(x_user="alice"))
    assert (answer.status, answer.document) == (200, "alice")
    assert calls == [None, b'"1"', None]


@pytest.mark.parametrize("user_first", [True, False])
@awaited
async def test_what_is_keyed_on_a_body_by_the_same_word_is_its_users(user_first):
    """The first answer of a path, too: nobody else is given it, with the same body."""
    app = Personal(policy={"cache_partition": by_user, "cache_body": True, "cache_ttl": 60})
    serial_app = serial_of(app)
    posted = Request("POST", body=(b"q",))
    asked = [posted.having(x_user="alice"), posted, posted.having(x_user="bob")]
    if not user_first:
        asked.insert(0, posted)
    names = ["alice", "nobody", "bob"] if user_first else ["nobody", "alice", "nobody", "bob"]
    for _ in range(2):
        assert [(await ask(serial_app, one)).document for one in asked] == [[n] for n in names]
    assert app.calls == 3


@awaited
async def test_a_body_that_was_keyed_on_stays_in_the_key_of_its_user():
    app = Personal(policy={"cache_partition": by_user, "cache_ttl": 60})
    serial_app = serial_of(app, routes={"POST /": {"cache_body": True}})
    for content in (b"a", b"b", b"a"):
        await ask(serial_app, Request("POST", body=(content,)).having(x_user="alice"))
    assert app.calls == 2


@awaited
async def test_a_function_that_fails_keeps_a_keyed_body_out_as_well():
    def fails(scope):
        raise KeyError("user")

    app = Personal(policy={"cache_partition": fails, "cache_body": True, "cache_ttl": 60})
    serial_app = serial_of(app)
    for _ in range(2):
        await ask(serial_app, Request("POST", body=(b"q",)).having(x_user="alice"))
    assert app.calls == 2
    assert serial_app.engine.responses.stored == 0
