"""What the app changes at the top of its scope is there for those outside, as without us."""

from __future__ import annotations

import asyncio
import gc
from typing import Any
from weakref import ref

import pytest

from asgi_serial import set_policy
from asgi_serial.asgi.scope_changes import AppScope
from asgi_serial.engine.app_engines import MARK
from asgi_serial.settings.routed_handler import REQUEST

from .driver import Request, ask, awaited, serial_of, settled, until
from .making import FRESH, JSON

# What stands in the scope for the time of the call, by which we know a request again.
MARKS = {MARK, REQUEST}

TEXT = b'{"a":1}'
LONG = b'{"a":"' + b"b" * 5000 + b'"}'
TAKES_GZIP = Request().having(accept_encoding="gzip")
TAKES_MSGPACK = Request().having(accept="application/msgpack")
CONFIRMS = Request().having(if_none_match='"v1"')
WRITES = Request("POST", body=(b"x",))


class Unlike:
    """A value that cannot be compared, as an array's."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("compare the elements")

    __hash__ = None  # type: ignore[assignment]


class Same:
    """A value that is equal to all of its kind, as a row's by its key."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same)

    __hash__ = None  # type: ignore[assignment]


class Framework:
    """An app that leaves things in its scope, as frameworks do, before and between messages."""

    def __init__(self, *pieces: bytes, fails: bool = False, hints: bool = False) -> None:
        self.pieces = pieces
        self.fails = fails
        self.hints = hints

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = "/shelf/{number}"
        scope["user"] = "ada"
        scope["path"] = "/rest"
        scope["array"] = Unlike()
        scope["row"] = Same()
        del scope["tenant"]
        scope.setdefault("opened", []).append("session")
        if self.hints:
            await send({"type": "http.response.debug", "info": {}})
        scope["late"] = 1
        fields = [JSON, FRESH, (b"etag", b'"v1"')]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for place, piece in enumerate(self.pieces, 1):
            scope["piece"] = piece
            scope["opened"] = ["piece", place]
            more = place < len(self.pieces)
            await send({"type": "http.response.body", "body": piece, "more_body": more})
        scope["after"] = True
        scope["user"] = None
        if self.fails:
            raise RuntimeError("the app fails")


class Outside:
    """A server, or a middleware around: notes what is in its scope at each message."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.scope = {
            **request.make_scope(),
            "user": None,
            "tenant": 7,
            "array": Unlike(),
            "row": Same(),
            "extensions": {"http.response.zerocopysend": {}},
        }
        self.given = dict(self.scope)
        self.states: list[dict[str, Any]] = []  # at each message, and at the end

    async def send(self, message: Any) -> None:
        self.states.append(self.state())

    def state(self) -> dict[str, Any]:
        """What is in the scope, but for values that do not compare."""
        left = {key: value for key, value in self.scope.items() if key not in MARKS}
        array, row = left.pop("array"), left.pop("row")
        return {
            **left,
            "array is the first": array is self.given["array"],
            "row is the first": row is self.given["row"],
        }

    async def call(self, app: Any) -> list[dict[str, Any]]:
        try:
            await app(self.scope, self.request.make_receive(), self.send)
        except RuntimeError:
            pass
        assert MARKS.isdisjoint(self.scope)
        self.states.append(self.state())
        return self.states


WAYS = [
    pytest.param({"cache": False}, Request(), id="nothing is wanted"),
    pytest.param(
        {"cache": False, "compression": False, "formats": False}, Request(), id="only timed"
    ),
    pytest.param({"cache": False}, TAKES_GZIP, id="a coding may be wanted"),
    pytest.param({"cache": False}, TAKES_MSGPACK, id="another format is wanted"),
    pytest.param({}, Request(), id="led for others"),
    pytest.param({}, TAKES_GZIP, id="led for others, and compressed"),
    pytest.param({}, CONFIRMS, id="with a condition"),
    pytest.param({}, WRITES, id="a write"),
    pytest.param({"routes": {"/": {"cache_body": True}}}, WRITES, id="keyed by its body"),
]
APPS = [
    pytest.param(Framework(TEXT), id="small"),
    pytest.param(Framework(LONG), id="to be compressed"),
    pytest.param(Framework(LONG, LONG, TEXT), id="streamed"),
    pytest.param(Framework(TEXT, hints=True), id="with an early message"),
    pytest.param(Framework(LONG, hints=True), id="to be compressed, with an early message"),
    pytest.param(Framework(TEXT, fails=True), id="fails at the end"),
]


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize(("settings", "request_"), WAYS)
@awaited
async def test_those_outside_see_what_they_see_of_a_bare_app(app, settings, request_):
    bare = await Outside(request_).call(app)
    ours = await Outside(request_).call(serial_of(app, **settings))
    # A message may be held until the next is there, and leaves with what came with that.
    assert all(state in bare for state in ours)
    assert ours[-2:] == bare[-2:]


@awaited
async def test_our_changes_stay_with_the_app():
    """Fields, extensions and the mark of the app's scope are not those outside."""
    seen = []

    async def app(scope, receive, send):
        seen.append((dict(scope["headers"]), scope["extensions"], MARK in scope))
        await Framework(LONG)(scope, receive, send)

    for settings in ({}, {"cache": False}):
        outside = Outside(TAKES_GZIP)
        headers, extensions = outside.scope["headers"], outside.scope["extensions"]
        await outside.call(serial_of(app, **settings))
        assert seen.pop() == ({b"host": b"example.org"}, {}, True)
        assert outside.scope["headers"] is headers
        assert outside.scope["extensions"] is extensions


@awaited
async def test_what_is_done_with_a_response_is_decided_by_the_request_that_came():
    """An app that writes another path into its scope is still the one of the first path."""
    calls = []

    async def app(scope, receive, send):
        calls.append(scope["path"])
        scope["path"] = scope["raw_path"] = "/elsewhere"
        await send({"type": "http.response.debug", "info": {}})
        fields = [JSON, FRESH]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": LONG})

    serial = serial_of(app)
    for _ in range(2):
        await Outside(Request(path="/a")).call(serial)
        await Outside(Request(path="/elsewhere")).call(serial)
    assert calls == ["/a", "/elsewhere"]
    await Outside(Request("DELETE", path="/a")).call(serial)
    await Outside(Request(path="/a")).call(serial)
    await Outside(Request(path="/elsewhere")).call(serial)
    assert calls == ["/a", "/elsewhere", "/a", "/a"]


@awaited
async def test_a_call_that_goes_on_for_others_leaves_the_scope_of_a_cancelled_request_alone():
    gate = asyncio.Event()

    async def app(scope, receive, send):
        scope["before"] = True
        await gate.wait()
        await Framework(TEXT)(scope, receive, send)

    serial = serial_of(app, cache_ttl="60s")
    leaving, staying = Outside(Request()), Outside(Request())
    first = asyncio.create_task(leaving.call(serial))
    await settled()
    second = asyncio.create_task(staying.call(serial))
    await settled()
    first.cancel()
    await asyncio.wait((first,))
    left = leaving.state()
    gate.set()
    seen = await second
    await until(lambda: not serial.engine.workers.led)
    assert leaving.state() == left
    assert "route" not in left
    assert "route" not in seen[-1]  # a hit: no app has filled this one


def make_pair() -> tuple[dict[str, Any], AppScope]:
    async def send(message: Any) -> None: ...

    given: dict[str, Any] = {"headers": [], "a": 1, "b": 2}
    return given, AppScope(given, {**given, MARK: object(), "headers": [1]}, send)


def test_a_key_that_the_outside_deletes_stays_deleted():
    """SQLAlchemyPlugin's before_send takes the session out when it has committed it."""
    given, app = make_pair()
    app.scope["session"] = "s"
    app.carry_out()
    del given["session"]
    app.scope["other"] = 1
    app.carry_out()
    assert given == {"headers": [], "a": 1, "b": 2, "other": 1}
    app.scope["session"] = "t"
    app.carry_out()
    assert given["session"] == "t"


def test_fields_that_we_have_changed_are_ours_and_others_are_the_apps():
    given, app = make_pair()
    app.scope["headers"] = [2]
    app.scope["extensions"] = {"a": {}}
    app.carry_out()
    assert given == {"headers": [], "a": 1, "b": 2, "extensions": {"a": {}}}
    del app.scope["headers"], app.scope["a"], app.scope[MARK], app.scope["extensions"]
    app.carry_out()
    assert given == {"headers": [], "b": 2}


def test_values_that_cannot_be_compared_are_carried():
    given, app = make_pair()
    app.scope["a"] = Unlike()
    app.carry_out()
    app.scope["a"] = second = Unlike()
    app.carry_out()
    assert given["a"] is second


class TakesOut:
    """An app with a middleware that takes a field out of the list that came, and answers by it."""

    def __init__(self, *, confirms: bool = False, **policy: Any) -> None:
        self.confirms = confirms
        self.policy = policy

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        tenants = [pair for pair in scope["headers"] if pair[0] == b"x-tenant"]
        for pair in tenants:
            scope["headers"].remove(pair)
        if self.policy:
            set_policy(**self.policy)
        named = tenants[0][1] if tenants else b"nobody"
        fields = [JSON, FRESH, (b"vary", b"X-Tenant")]
        status = 200
        if self.confirms:
            # A 304 about another response than the one that is stored: the app is asked again.
            asked = any(name == b"if-none-match" for name, _ in scope["headers"])
            status = 304 if asked else 200
            fields.append((b"etag", b'"2"' if asked else b'"1"'))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        body = b'["%s"]' % named if status == 200 else b""
        await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize(
    "asks", [Request(), TAKES_GZIP, TAKES_MSGPACK], ids=["as it is", "gzip", "MessagePack"]
)
@pytest.mark.parametrize("policy", [{}, {"cache_ttl": 60}, {"cache_partition": "x-tenant"}])
@awaited
async def test_fields_that_the_app_takes_out_in_place_still_select(asks: Request, policy: Any):
    """RFC 9111, 4.1: they are compared with those of the request that came."""
    serial = serial_of(TakesOut(**policy))
    ada, bob = asks.having(x_tenant="ada"), asks.having(x_tenant="bob")
    answers = [await ask(serial, request) for request in (ada, asks, bob, ada, asks, bob)]
    assert [answer.document for answer in answers] == [["ada"], ["nobody"], ["bob"]] * 2


@awaited
async def test_fields_that_the_app_takes_out_in_place_are_there_when_it_is_asked_again():
    serial = serial_of(TakesOut(confirms=True))
    ada = Request().having(x_tenant="ada")
    renewed = ada.having(cache_control="no-cache")
    answers = [await ask(serial, one) for one in (ada, renewed, ada, Request())]
    assert [answer.document for answer in answers] == [["ada"], ["ada"], ["ada"], ["nobody"]]


class Held:
    """A value that the app leaves in its scope."""


PLACED = {
    "in a new list": lambda scope: scope.update(headers=[(b"x-user", b"ada")]),
    "in a new tuple": lambda scope: scope.update(headers=((b"x-user", b"ada"),)),
    "in place": lambda scope: scope["headers"].append((b"x-user", b"ada")),
    "with codings of its own": lambda scope: scope.update(
        headers=[(b"x-user", b"ada"), (b"accept-encoding", b"gzip")]
    ),
    "with cookies of its own": lambda scope: scope.update(headers=[(b"cookie", b"a=1")]),
    "without cookies": lambda scope: scope.update(
        headers=[pair for pair in scope["headers"] if pair[0] != b"cookie"]
    ),
    "by an equal list": lambda scope: scope.update(headers=list(scope["headers"])),
}


@pytest.mark.parametrize("cookies", ["", "_ga=1", "b=2; _ga=1"])
@pytest.mark.parametrize("is_stored", [True, False])
@pytest.mark.parametrize("place", PLACED.values(), ids=PLACED)
@awaited
async def test_fields_that_the_app_has_changed_stay_so_behind_the_start(
    place: Any, cookies: str, *, is_stored: bool
) -> None:
    """A generator, or a task in the background, may read them once the response has begun."""
    seen: list[list[dict[bytes, bytes]]] = [[], []]

    async def run(middleware: Any, seen: list[dict[bytes, bytes]]) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            place(scope)
            fields = [JSON, FRESH] if is_stored else [JSON]
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            seen.append(dict(scope["headers"]))
            await send({"type": "http.response.body", "body": TEXT})
            seen.append(dict(scope["headers"]))

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            await middleware(app)(scope, receive, send)
            seen.append(dict(scope["headers"]))

        asked = TAKES_GZIP.having(range="bytes=0-99")  # leads no call for others
        await ask(outer, asked.having(cookie=cookies) if cookies else asked)

    await run(lambda app: app, seen[0])
    await run(lambda app: serial_of(app, cache=True), seen[1])
    hidden = {b"accept-encoding", b"cookie"}
    for without_us, with_us in zip(seen[0], seen[1], strict=True):
        for name in (with_us.keys() | without_us.keys()) - hidden:
            assert with_us.get(name) == without_us.get(name)
        if b"b=2" in with_us.get(b"cookie", b""):
            assert without_us[b"cookie"] == cookies.encode()
    without_us, with_us = seen[0][-1], seen[1][-1]
    assert with_us[b"accept-encoding"] == b"gzip"
    if b"cookie" in without_us:
        assert with_us[b"cookie"] == without_us[b"cookie"]


@pytest.mark.parametrize("request_", [Request(), TAKES_GZIP, TAKES_MSGPACK, WRITES])
@awaited
async def test_the_scope_of_an_answered_request_is_freed_at_once(request_):
    """Nothing refers back to it, so that it does not wait for the garbage collector."""
    held = []

    async def app(scope, receive, send):
        value = scope["held"] = Held()
        held.append(ref(value))
        await Framework(LONG)(scope, receive, send)

    serial = serial_of(app, cache=False)
    gc.disable()
    try:
        await Outside(request_).call(serial)
        assert [one() for one in held] == [None]
    finally:
        gc.enable()
