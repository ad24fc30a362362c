"""Long stored bodies, which go out as fast as their clients take them."""

import asyncio

import pytest

from asgi_serial.caching.serving import PIECE_BYTES, in_pieces

from .driver import Clock, Recording, Request, awaited, drive, serial_of, settled
from .making import FRESH

TAG = (b"etag", b'"v1"')
LONG = bytes(range(256)) * (PIECE_BYTES // 100)


def origin(control=FRESH, body=LONG, fails=False):
    """An app whose response is long, and that confirms it, or fails, once it was asked."""
    asked = []

    async def app(scope, receive, send):
        asked.append(scope)
        if fails and len(asked) > 1:
            raise RuntimeError("the app fails")
        fields, status, content = [(b"content-type", b"image/png"), control, TAG], 200, body
        if (b"if-none-match", TAG[1]) in scope["headers"]:
            status, content = 304, b""
        else:
            fields.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": content})

    return app


def bodies(recording):
    return [one["body"] for one in recording.messages if one["type"] == "http.response.body"]


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES])
def test_the_pieces_are_the_body_and_the_last_one_says_so(size):
    whole = {"type": "http.response.body", "body": b"a" * size, "more_body": False}
    pieces = list(in_pieces([whole]))
    assert b"".join(one["body"] for one in pieces) == whole["body"]
    assert max(len(one["body"]) for one in pieces) <= PIECE_BYTES
    assert [one["more_body"] for one in pieces] == [True] * (len(pieces) - 1) + [False]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(Request(), b"hit", id="a hit"),
        pytest.param(Request().having(x_new="a"), b"hit", id="a hit on the longer way"),
        pytest.param(Request().having(cache_control="no-cache"), b"fwd-status=304", id="confirmed"),
    ],
)
@awaited
async def test_what_is_stored_comes_in_pieces(asked, said):
    serial = serial_of(origin())
    await drive(serial, Request())
    again = await drive(serial, asked)
    assert said in dict(again.start["headers"])[b"cache-status"]
    assert b"".join(bodies(again)) == LONG
    assert max(map(len, bodies(again))) <= PIECE_BYTES
    assert again.lengths == [b"%d" % len(LONG)]


@awaited
async def test_what_stands_in_for_a_failure_comes_in_pieces():
    clock = Clock()
    control = (b"cache-control", b"max-age=1, stale-if-error=60")
    serial = serial_of(origin(control, fails=True), clock=clock)
    await drive(serial, Request())
    clock.now += 9
    again = await drive(serial, Request())
    assert b"".join(bodies(again)) == LONG
    assert max(map(len, bodies(again))) <= PIECE_BYTES


@awaited
async def test_a_client_that_takes_nothing_is_sent_no_more_than_a_piece():
    serial = serial_of(origin())
    await drive(serial, Request())
    recording, request = Recording(), Request()

    async def send(message):
        await recording.send(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    task = asyncio.ensure_future(serial(request.make_scope(), request.make_receive(), send))
    await settled()
    assert list(map(len, bodies(recording))) == [PIECE_BYTES]
    task.cancel()
    await asyncio.wait([task])
