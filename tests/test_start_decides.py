"""A response of which its start shows whether it passes, and what has been heard by then."""

import asyncio

import pytest

from asgi_serial.settings.policy import set_policy
from tests.engine.driver import Request, Whole, ask, awaited, drive, serial_of

BROWSER = Request().having(accept_encoding="gzip")
JSON = {"content_type": "application/json"}
LARGE = b'["%s"]' % (b"word " * 500)
NO_CACHE = {"cache": False, "timing": False}


def start(content=LARGE, **fields):
    pairs = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    pairs += [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return {"type": "http.response.start", "status": 200, "headers": pairs}


def body(content=LARGE, *, more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


@pytest.mark.parametrize(
    ("content", "coding"), [(LARGE, "gzip"), (b"[1]", "")], ids=["large", "small"]
)
@awaited
async def test_what_is_large_is_compressed_and_what_is_small_passes(content, coding):
    answer = await ask(serial_of(Whole(content, **JSON), **NO_CACHE), BROWSER)
    assert (answer.content, answer.coding) == (content, coding)
    assert answer.one("vary") == "accept, accept-encoding"


@pytest.mark.parametrize("said", ["before", "after"])
@pytest.mark.parametrize("content", [LARGE, b"[1]"], ids=["large", "small"])
@awaited
async def test_a_handler_has_its_say_before_its_response_starts(content, said):
    async def app(scope, receive, send):
        if said == "before":
            set_policy(compression=False)
        await send(start(content))
        if said == "after":
            set_policy(compression=False)
        await send(body(content))

    answer = await ask(serial_of(app, **NO_CACHE), BROWSER)
    assert answer.coding == ("gzip" if said == "after" and content is LARGE else "")
    assert answer.content == content


@pytest.mark.parametrize("client", [Request(), BROWSER], ids=["takes nothing", "takes gzip"])
@awaited
async def test_a_handler_may_have_stored_what_would_pass(client):
    calls = 0

    async def app(scope, receive, send):
        nonlocal calls
        calls += 1
        if calls > 2:
            set_policy(cache_ttl=60)
        await send(start(b"[1]"))
        await send(body(b"[1]"))

    serial = serial_of(app)
    said = [(await ask(serial, client)).one("cache-status") for _ in range(4)]
    assert [one.removeprefix("asgi_serial; ") for one in said] == [
        "fwd=uri-miss; detail=no-freshness",
        "fwd=uri-miss; detail=no-freshness",
        "fwd=uri-miss; stored",
        "hit; ttl=60",
    ]


@awaited
async def test_what_is_to_be_stored_of_a_request_with_a_body_is_not():
    """RFC 9110, 9.3.1: the content of a GET has no meaning, and may have made the answer."""
    calls = 0

    async def app(scope, receive, send):
        nonlocal calls
        calls += 1
        if calls > 2:
            await receive()
        await send(start(**({"cache_control": "max-age=60"} if calls > 2 else {})))
        await send(body())

    serial = serial_of(app)
    request = Request(body=(b"x",)).having(accept_encoding="gzip")
    for _ in range(3):
        answer = await ask(serial, request)
    assert "detail=request-has-body" in answer.one("cache-status")
    assert answer.content == LARGE


@awaited
async def test_an_app_that_listens_meanwhile_has_what_is_held_sent():
    """Its client may be waiting for the start before it says anything."""
    heard, sent = asyncio.Event(), []
    came = asyncio.Queue()
    came.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    async def app(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        listening = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await send(start())
        came.put_nowait({"type": "http.disconnect"})
        assert (await listening)["type"] == "http.disconnect"
        heard.set()
        came.put_nowait({"type": "http.disconnect"})
        assert (await receive())["type"] == "http.disconnect"
        await send(body())

    async def send(message):
        sent.append((message["type"], heard.is_set()))

    await serial_of(app, **NO_CACHE)(BROWSER.make_scope(), came.get, send)
    # For a client that has left nothing is held.
    assert sent == [("http.response.start", False), ("http.response.body", True)]


@awaited
async def test_an_app_that_knows_its_client_gone_begins_its_response_all_the_same():
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        await send(start())
        await send(body())

    request = Request(leaves=True).having(accept_encoding="gzip")
    recording = await drive(serial_of(app, **NO_CACHE), request)
    assert recording.start["status"] == 200


@pytest.mark.parametrize("content", [LARGE, b"[1]"], ids=["large", "small"])
@awaited
async def test_an_app_that_returns_early_has_what_it_made_sent(content):
    async def app(scope, receive, send):
        await send(start(content))
        await send(body(content[:3], more=True))

    recording = await drive(serial_of(app, **NO_CACHE), BROWSER)
    assert [message.get("body") for message in recording.messages] == [None, content[:3]]


@pytest.mark.parametrize("sends", [0, 1, 2], ids=["nothing", "the start", "all"])
@pytest.mark.parametrize("content", [LARGE, b"[1]"], ids=["large", "small"])
@awaited
async def test_an_exception_goes_on_after_what_was_sent(content, sends):
    async def app(scope, receive, send):
        for message in [start(content), body(content, more=True)][:sends]:
            await send(message)
        raise LookupError

    recording = await drive(serial_of(app, **NO_CACHE), BROWSER)
    assert isinstance(recording.error, LookupError)
    assert bool(recording.messages) is (sends > 0)
