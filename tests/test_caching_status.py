"""Each line and reason of Cache-Status in docs/explanation/caching*.md can be had."""

import asyncio
import re

import pytest

from asgi_serial import serial, set_policy
from tests.engine.driver import Clock, Request, ask, awaited, fields_of, serial_of
from tests.engine.making import EVENTS, JSON, TAG
from tests.pages import read_caching

PAGE = read_caching()
LINES = re.findall(r"^\| `(asgi_serial; .+?)` \| (.+) \|$", PAGE, re.M)
DETAILS = re.findall(r"^\| `([a-z-]+)(?::[a-z-]+)?` \| (.+) \| (.+) \|$", PAGE, re.M)


class Answers:
    """An app that gives what it was told to, one after the other, the last again and again.

    What comes as an exception is raised; a 304 answers those only who have the tag.
    """

    def __init__(self, *said, is_slow=False):
        self.said = list(said)
        self.gate = asyncio.Event()
        if not is_slow:
            self.gate.set()

    async def __call__(self, scope, receive, send):
        await self.gate.wait()
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        if scope["method"] == "POST":
            await receive()
        start, *bodies = said
        await send(start)
        for place, body in enumerate(bodies, 1):
            more = place < len(bodies)
            await send({"type": "http.response.body", "body": body, "more_body": more})


def says(*pairs, status=200, bodies=(b"[1]",), **fields):
    headers = [*([] if pairs else [JSON]), *pairs, *fields_of(**fields)]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    return (start, *bodies)


FRESH = says(cache_control="max-age=60")
WITH_TAG = says(JSON, TAG, cache_control="max-age=60")
CONFIRMED = says(TAG, cache_control="max-age=60", status=304, bodies=(b"",))
BUSY = says(status=503)
GET = Request()


async def turned_off(scope, receive, send):
    set_policy(cache=False)
    await Answers(FRESH)(scope, receive, send)


POST = Request("POST", body=(b"x",))
KEYED = {"routes": {"/": {"cache_body": True}}}

# What the app says, what is asked, and the settings.
WHY_NOT = {
    "no-freshness": (says(), GET, {}),
    "no-store": (says(cache_control="no-store"), GET, {}),
    "malformed-cache-control": (says(cache_control="private; max-age=0"), GET, {"cache_ttl": 60}),
    "private": (says(cache_control="private, max-age=60"), GET, {}),
    "no-cache": (says(cache_control="no-cache"), GET, {}),
    "sets-cookie": (says(cache_control="max-age=60", set_cookie="a=b"), GET, {}),
    "varies-on-everything": (says(cache_control="max-age=60", vary="*"), GET, {}),
    "varies-too-widely": (
        says(cache_control="max-age=60", vary=",".join(f"x-{place}" for place in range(17))),
        GET,
        {},
    ),
    "already-stale": (says(cache_control="max-age=60", age="70"), GET, {}),
    "status-not-cached": (says(status=302), GET, {"cache_ttl": 60}),
    "method-not-cached": (FRESH, Request("HEAD"), {}),
    "request-has-credentials": (FRESH, GET.having(x_api_key="k"), {}),
    "request-has-unknown-field": (says(), GET.having(x_token="t"), {"cache_ttl": 60}),
    "request-has-unkeyed-field": (FRESH, GET.having(x_forwarded_host="h"), {}),
    "request-has-body": (FRESH, Request(body=(b"x",)).having(content_length="1"), {}),
    "request-has-range": (FRESH, POST.having(range="bytes=0-0"), KEYED),
    "request-no-store": (FRESH, GET.having(cache_control="no-store"), {}),
    "request-too-large-to-key": (FRESH, POST, {"cache_max_key_body": 0, **KEYED}),
    "too-many-tags": (
        says(cache_control="max-age=60", cache_tag=",".join(map(str, range(129)))),
        GET,
        {},
    ),
    "object-too-large": (FRESH, GET, {"cache_max_object": 2}),
    "event-stream": (says(EVENTS, cache_control="max-age=60"), GET, {}),
}


NAMED = {
    "request-has-unkeyed-field": "x-forwarded-host",
    "request-has-unknown-field": "x-token",
}


@pytest.mark.parametrize(("said", "asked", "settings"), WHY_NOT.values(), ids=WHY_NOT)
@awaited
async def test_what_is_said_to_be_why_is_why(said, asked, settings, request):
    answer = await ask(serial_of(Answers(said), **settings), asked)
    why, _, field = answer.one("cache-status").split("; ")[2].partition(":")
    assert why == f"detail={request.node.callspec.id}"
    assert field == NAMED.get(request.node.callspec.id, "")


@awaited
async def test_what_follows_a_body_keeps_it_from_being_stored():
    start, body = FRESH
    app = Answers(({**start, "trailers": True}, body))

    async def with_trailers(scope, receive, send):
        await app(scope, receive, send)
        await send({"type": "http.response.trailers", "headers": []})

    answer = await ask(serial_of(with_trailers), GET)
    assert answer.one("cache-status").endswith("detail=has-trailers")


@awaited
async def test_a_route_that_is_turned_off_says_so():
    answer = await ask(serial_of(turned_off), GET)
    assert answer.one("cache-status").endswith("detail=cache-turned-off")


@awaited
async def test_a_function_that_is_not_known_to_be_the_handler_is_named():
    @serial(cache_ttl=60)
    async def helper():
        pass

    async def app(scope, receive, send):
        await helper()
        await Answers(says())(scope, receive, send)

    answer = await ask(serial_of(app), GET)
    assert answer.one("cache-status").endswith("detail=policy-not-heard")


@awaited
async def test_a_body_that_is_to_be_a_key_and_was_not_read_is_said():
    async def app(scope, receive, send):
        set_policy(cache_body=True)
        start, content = FRESH
        await send(start)
        await send({"type": "http.response.body", "body": content})

    answer = await ask(serial_of(app), POST)
    assert answer.one("cache-status").endswith("detail=request-not-read")


@awaited
async def test_a_304_that_varies_otherwise_says_so():
    clock = Clock()
    other = says(TAG, cache_control="max-age=60", vary="x-a", status=304, bodies=(b"",))
    serial = serial_of(Answers(WITH_TAG, other), clock=clock)
    await ask(serial, GET)
    clock.now += 70
    assert (await ask(serial, GET)).one("cache-status").endswith("detail=vary-changed")


def test_the_table_of_reasons_is_whole():
    found = [name for name, _, _ in DETAILS]
    others = [
        *(
            "has-trailers",
            "invalidated",
            "newer-stored",
            "policy-not-heard",
            "request-not-read",
        ),
        *("cache-turned-off", "skip-failed", "skipped", "vary-changed"),
    ]
    assert sorted(found) == sorted([*WHY_NOT, *others])


REVALIDATED = says(cache_control="max-age=60, stale-while-revalidate=30")
ON_ERROR = says(cache_control="max-age=60, stale-if-error=300")
VARYING = says(cache_control="max-age=60", vary="accept-language")
PIECES = says(
    (b"content-type", b"text/html"), cache_control="max-age=60", bodies=(b"1" * 600, b"2")
)

A_PART, ANOTHER_PART = (
    says(TAG, status=206, bodies=(b"12",), cache_control="max-age=60", content_range=span)
    for span in ("bytes 0-1/9", "bytes 1-2/9")
)

# What the app says in turn, and what is asked, after so many seconds.
HAPPENED = {
    "asgi_serial; hit; ttl=57": ([FRESH], [(0, GET), (3, GET)]),
    "asgi_serial; hit; ttl=-10; detail=stale-while-revalidate": (
        [REVALIDATED],
        [(0, GET), (70, GET)],
    ),
    "asgi_serial; hit; ttl=-10; detail=stale-accepted": (
        [WITH_TAG],
        [(0, GET), (70, GET.having(cache_control="max-stale"))],
    ),
    "asgi_serial; fwd=uri-miss; stored": ([FRESH], [(0, GET)]),
    "asgi_serial; fwd=uri-miss": ([PIECES], [(0, GET)]),
    "asgi_serial; fwd=uri-miss; detail=no-freshness": ([says()], [(0, GET)]),
    "asgi_serial; fwd=vary-miss; stored": (
        [VARYING],
        [(0, GET.having(accept_language="en")), (0, GET.having(accept_language="de"))],
    ),
    "asgi_serial; fwd=partial; stored": (
        [A_PART, ANOTHER_PART],
        [(0, GET.having(range="bytes=0-1")), (0, GET.having(range="bytes=1-2"))],
    ),
    "asgi_serial; fwd=stale; stored": ([WITH_TAG], [(0, GET), (70, GET)]),
    "asgi_serial; fwd=stale; fwd-status=304; stored; ttl=60": (
        [WITH_TAG, CONFIRMED],
        [(0, GET), (70, GET)],
    ),
    "asgi_serial; fwd=stale; fwd-status=503; ttl=-10; detail=stale-if-error": (
        [ON_ERROR, BUSY],
        [(0, GET), (70, GET)],
    ),
    "asgi_serial; fwd=stale; ttl=-10; detail=stale-if-error": (
        [ON_ERROR, RuntimeError("the app is broken")],
        [(0, GET), (70, GET)],
    ),
    "asgi_serial; fwd=request; stored": (
        [FRESH],
        [(0, GET), (1, GET.having(cache_control="no-cache"))],
    ),
    "asgi_serial; fwd=method; detail=method-not-cached": ([FRESH], [(0, Request("POST"))]),
    "asgi_serial; fwd=bypass; detail=request-has-credentials": (
        [FRESH],
        [(0, GET), (1, GET.having(cookie="sid=a"))],
    ),
}
TOGETHER = {
    "asgi_serial; fwd=uri-miss; collapsed; ttl=60": FRESH,
    "asgi_serial; fwd=uri-miss; collapsed=?0; detail=no-store": says(cache_control="no-store"),
}


@pytest.mark.parametrize(("said", "steps"), HAPPENED.values(), ids=HAPPENED)
@awaited
async def test_what_is_said_to_have_happened_gives_the_line(said, steps, request):
    clock = Clock()
    serial = serial_of(Answers(*said), clock=clock, cache_parts=True)
    for seconds, asked in steps:
        clock.now += seconds
        answer = await ask(serial, asked)
    assert answer.one("cache-status") == request.node.callspec.id


@pytest.mark.parametrize("said", TOGETHER.values(), ids=TOGETHER)
@awaited
async def test_who_has_waited_gets_the_line(said, request):
    app = Answers(said, is_slow=True)
    serial = serial_of(app, cache_ttl="60s")
    asking = [asyncio.ensure_future(ask(serial, GET)) for _ in range(2)]
    await asyncio.sleep(0)
    app.gate.set()
    _, waited = [await each for each in asking]
    assert waited.one("cache-status") == request.node.callspec.id


def test_the_table_of_lines_is_whole():
    assert sorted(line for line, _ in LINES) == sorted([*HAPPENED, *TOGETHER])
