"""A response that is stored in part, and the rest of it that the app is asked for."""

import asyncio

import pytest

from asgi_serial import purge

from .driver import Clock, Request, ask, awaited, drive, fields_of, serial_of
from .shared_store import SharedStore
from .test_parts import FRESH, PARTS, entries_of, get, seen, site

DIGITS = b"0123456789"
WHOLE = (200, DIGITS, "fwd=partial, stored")
REST = {b"range": b"bytes=4-9", b"if-range": b'"v0"'}


class Parts:
    """An app that answers the first part, and then by a script."""

    def __init__(self, *messages, status=206, **fields):
        self.status = status
        fields = {"content_range": "bytes 4-9/10", "content_length": "6", **fields}
        self.fields = fields_of(
            **{"cache_control": "max-age=60", "etag": '"v0"', **fields},
        )
        self.messages = messages or ({"type": "http.response.body", "body": b"456789"},)
        self.scopes = []
        self.errors = []

    async def __call__(self, scope, receive, send):
        self.scopes.append(scope)
        ranges = [value for name, value in scope["headers"] if name == b"range"]
        if len(self.scopes) == 1:
            headers = fields_of(
                cache_control="max-age=60", etag='"v0"', content_range="bytes 0-3/10"
            )
            await send({"type": "http.response.start", "status": 206, "headers": headers})
            await send({"type": "http.response.body", "body": b"0123"})
        elif not ranges:
            await send({"type": "http.response.start", "status": 200, "headers": [FRESH]})
            await send({"type": "http.response.body", "body": b"whole"})
        else:
            start = {"type": "http.response.start", "status": self.status}
            for message in ({**start, "headers": self.fields}, *self.messages):
                if isinstance(message, Exception):
                    raise message
                try:
                    await send(message)
                except RuntimeError as error:
                    self.errors.append(str(error))
                    raise


def piece(body, *, more=True):
    return {"type": "http.response.body", "body": body, "more_body": more}


async def begun(app, **options):
    """The middleware before an app whose first part is stored."""
    serial = serial_of(app, **PARTS, **options)
    await ask(serial, get("0-3"))
    return serial


@pytest.mark.parametrize("pieces", [1, 2, 6])
@pytest.mark.parametrize(("span", "rest"), [("0-3", b"bytes=4-9"), ("4-9", b"bytes=0-3")])
@awaited
async def test_the_rest_comes_in_any_pieces(span, rest, pieces):
    origin, app = site()
    await seen(app, get(span))
    origin.pieces = pieces
    assert (await seen(app, Request()))[0][:2] == (200, DIGITS)
    assert origin.asked[1:] == [{b"range": rest, b"if-range": b'"v0"'}]
    assert (await seen(app, Request()))[0] == (200, DIGITS, "hit")


@awaited
async def test_a_body_may_begin_and_end_with_nothing():
    messages = piece(b""), piece(b"456"), {"type": "http.response.body", "more_body": True}
    app = Parts(*messages, piece(bytearray(b"789")), piece(b"", more=False))
    serial = await begun(app)
    assert [(await ask(serial, Request())).body for _ in range(2)] == [DIGITS, DIGITS]
    assert len(app.scopes) == 2


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([piece(b"456"), RuntimeError("broken")], id="it fails"),
        pytest.param([piece(b"456")], id="it returns"),
        pytest.param([piece(b"456", more=False)], id="it ends too soon"),
        pytest.param([RuntimeError("broken")], id="it fails at once"),
    ],
)
@awaited
async def test_a_rest_that_is_not_whole_makes_no_whole(messages):
    app = Parts(*messages)
    serial = await begun(app)
    recording = await drive(serial, Request())
    sent = b"".join(message.get("body", b"") for message in recording.messages)
    assert DIGITS.startswith(sent)
    assert (len(sent) < 10, recording.lengths in ([b"10"], [])) == (True, True)
    assert [entry.status for entry in entries_of(serial)] == [206]


@awaited
async def test_a_rest_that_is_too_short_is_not_filled_up_by_the_end():
    _, app = site()
    await seen(app, get("4-9"))

    async def short(scope, receive, send):
        headers = fields_of(cache_control="max-age=60", etag='"v0"', content_length="4")
        headers.append((b"content-range", b"bytes 0-3/10"))
        await send({"type": "http.response.start", "status": 206, "headers": headers})
        await send({"type": "http.response.body", "body": b"012"})

    app.app = short
    recording = await drive(app, Request())
    assert [message.get("body", b"") for message in recording.messages[1:]] == [b"012"]
    assert [entry.status for entry in entries_of(app)] == [206]


@awaited
async def test_a_rest_that_is_too_long_is_an_error_of_the_app():
    app = Parts(piece(b"456"), piece(b"7890", more=False))
    serial = await begun(app)
    assert isinstance((await drive(serial, Request())).error, RuntimeError)
    assert app.errors == ["The app sends more content than its Content-Length says."]
    assert [entry.status for entry in entries_of(serial)] == [206]


FILES = ("http.response.pathsend", "http.response.zerocopysend")


@awaited
async def test_no_file_is_offered_to_be_sent_for_the_rest():
    extensions = {"http.response.pathsend": {}, "http.response.push": {}}
    app = Parts()
    serial = await begun(app)
    await ask(serial, Request(scope={"extensions": extensions}))
    offered = app.scopes[1]["extensions"]
    assert ("http.response.push" in offered, set(FILES) & set(offered)) == (True, set())
    assert "http.response.pathsend" in extensions


@pytest.mark.parametrize("kind", FILES)
@awaited
async def test_a_file_in_place_of_the_rest_is_an_error_of_the_app(kind):
    app = Parts({"type": kind, "path": "/a", "file": 1})
    serial = await begun(app)
    assert isinstance((await drive(serial, Request())).error, RuntimeError)
    assert app.errors == ["The app sends a file though none was offered to be sent."]


@awaited
async def test_extensions_may_be_none():
    app = Parts()
    serial = await begun(app)
    assert (await ask(serial, Request(scope={"extensions": None}))).body == DIGITS


@awaited
async def test_other_messages_pass():
    class Hints(Parts):
        async def __call__(self, scope, receive, send):
            if self.scopes:
                await send({"type": "http.response.early_hint", "links": []})
            await super().__call__(scope, receive, send)

    serial = await begun(
        Hints(piece(b"456"), {"type": "http.response.debug"}, piece(b"789", more=False))
    )
    recording = await drive(serial, Request())
    assert recording.types == ["early_hint", "start", "body", "debug", "body"]
    assert b"".join(message.get("body", b"") for message in recording.messages) == DIGITS


@awaited
async def test_where_trailers_follow_all_of_it_is_asked_for():
    class Trails(Parts):
        async def __call__(self, scope, receive, send):
            async def send_and_trail(message):
                is_start = message["type"] == "http.response.start" and self.scopes[1:]
                await send({**message, "trailers": True} if is_start else message)

            await super().__call__(scope, receive, send_and_trail)

    app = Trails()
    serial = await begun(app)
    await drive(serial, Request())
    assert len(app.scopes) == 3
    assert not any(name == b"range" for name, _ in app.scopes[2]["headers"])


@awaited
async def test_what_a_call_sends_that_was_given_up_is_heard_no_more():
    """A task of the first call may go on beside the second one."""
    sends = []

    class Keeps(Parts):
        async def __call__(self, scope, receive, send):
            sends.append(send)
            if len(sends) == 3:
                await sends[1]({"type": "http.response.body", "body": b"stray"})
            await super().__call__(scope, receive, send)

    app = Keeps(etag='"v1"')
    serial = await begun(app)
    assert (await ask(serial, Request())).body == b"whole"


@awaited
async def test_a_crowd_has_the_rest_asked_for_once():
    origin, app = site()
    await seen(app, get("0-3"))

    async def slow(scope, receive, send):
        await asyncio.sleep(0)
        await origin(scope, receive, send)

    app.app = slow
    answers = await asyncio.gather(*[ask(app, Request()) for _ in range(5)])
    assert [answer.body for answer in answers] == [DIGITS] * 5
    assert origin.asked[1:] == [REST]


@pytest.mark.parametrize("with_store", [False, True])
@awaited
async def test_a_purge_while_the_rest_comes_keeps_it_from_being_stored(with_store):
    store = SharedStore() if with_store else None
    origin, app = site(FRESH, (b"cache-tag", b"a"), store=store)
    await seen(app, get("0-3"))
    await app.engine.responses.flush()
    origin.lines = (FRESH,)  # the rest has not the tag of the beginning

    async def purged(scope, receive, send):
        await purge(app, tags=["a"])
        await origin(scope, receive, send)

    app.app = purged
    assert (await ask(app, Request())).body == DIGITS  # it is what it was
    assert [entry.status for entry in entries_of(app)] in ([206], [])
    app.app = origin
    origin.asked.clear()
    await ask(app, Request())
    assert origin.asked == [{}]


@awaited
async def test_a_write_while_the_rest_comes_keeps_it_from_being_stored():
    origin, app = site()
    await seen(app, get("0-3"))

    async def written(scope, receive, send):
        if scope["method"] == "GET":
            await drive(app, Request("PUT"))
        await origin(scope, receive, send)

    app.app = written
    assert (await ask(app, Request())).body == DIGITS
    app.app = origin
    origin.asked.clear()
    await ask(app, Request())
    assert origin.asked == [{}]


@awaited
async def test_the_rest_of_a_part_of_the_second_level():
    store, clock = SharedStore(), Clock()
    origin, one = site(store=store, clock=clock)
    other = serial_of(origin, clock=clock, store=store, **PARTS)
    await seen(one, get("0-3"))
    await one.engine.responses.flush()
    assert await seen(other, Request(), Request()) == [WHOLE, (200, DIGITS, "hit")]
    assert origin.asked[1:] == [REST]


@awaited
async def test_what_is_too_large_as_a_whole_is_not_completed():
    origin, app = site(cache_max_object=9)
    await seen(app, get("0-3"), Request())
    assert origin.asked[1:] == [{}]


@awaited
async def test_a_client_that_wants_a_coding_gets_the_whole_in_it():
    text = b"the same words again " * 100
    origin, app = site(FRESH, (b"content-type", b"text/plain"))
    origin.change(text)
    await seen(app, get("0-999"))
    for cached in ("fwd=partial, stored", "hit"):
        answer = await ask(app, Request().having(accept_encoding="gzip"))
        assert (answer.coding, answer.content, answer.cached) == ("gzip", text, cached)
    assert origin.asked[1:] == [{b"range": b"bytes=1000-2099", b"if-range": b'"v1"'}]


@awaited
async def test_the_rest_of_a_users_part_is_that_users():
    origin, app = site(routes={"/": {"cache_partition": "cookie:sid"}})
    ada, bob = (Request().having(cookie=f"sid={name}") for name in ("ada", "bob"))
    await seen(app, get("0-3", cookie="sid=ada"))
    assert (await seen(app, bob))[0][1:] == (DIGITS, "fwd=uri-miss, stored")
    answer = await ask(app, ada)
    assert (answer.body, answer.one("cache-control")) == (DIGITS, "private, max-age=60")
    assert origin.asked[1:] == [{}, REST]


@pytest.mark.parametrize(
    ("status", "etag", "credentials", "is_kept"),
    [
        pytest.param(404, None, {}, False, id="it is gone"),
        pytest.param(200, '"v9"', {}, False, id="it is another"),
        pytest.param(200, None, {}, False, id="it has no tag any more"),
        pytest.param(200, '"v0"', {}, True, id="it is the same"),
        pytest.param(503, None, {}, True, id="the app is busy"),
        pytest.param(404, None, {"cookie": "a=b"}, True, id="it is hidden from a user"),
    ],
)
@awaited
async def test_what_the_app_says_in_place_of_the_rest_may_drop_the_part(
    status, etag, credentials, is_kept
):
    _, app = site((b"cache-control", b"public, max-age=60"))
    await seen(app, get("0-3"))

    async def other(scope, receive, send):
        headers = [(b"cache-control", b"no-store")]
        headers += [(b"etag", etag.encode())] if etag else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"other"})

    app.app = other
    answer = await ask(app, Request().having(**credentials))
    assert (answer.status, answer.body) == (status, b"other")
    assert [entry.status for entry in entries_of(app)] == ([206] if is_kept else [])


@awaited
async def test_a_rest_for_a_request_with_an_unannounced_body_is_not_stored():
    """RFC 9110, 9.3.1: the content of a GET has no meaning for others. HTTP/2 does not announce it.

    The app reads it before it answers, so that what it sends may depend on it.
    """

    class Reading(Parts):
        async def __call__(self, scope, receive, send):
            self.received = await receive()
            await super().__call__(scope, receive, send)

    app = Reading()
    serial = await begun(app)
    asked = Request(body=(b"mine",), scope={"http_version": "2"})
    assert (await ask(serial, asked)).body == DIGITS
    assert app.received["body"] == b"mine"
    assert [entry.status for entry in entries_of(serial)] == [206]
