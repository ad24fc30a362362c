"""Messages that are not of the start and the body pass, and keep their place."""

import gzip
import json
import random
from typing import Any

import pytest

from .client import understand
from .driver import Recording, Request, ask, awaited, drive, find_faults, serial_of
from .scripts import (
    DOCUMENT,
    FRESH_JSON,
    JSON,
    body_of,
    every_client,
    every_setting,
    script,
    start_of,
)


@every_setting
@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
@awaited
async def test_websocket_and_lifespan_are_untouched(settings, kind):
    seen: list[Any] = []
    sent: list[Any] = []
    # The acceptance of a WebSocket connection is counted, and passes like every other message.
    messages = [{"type": f"{kind}.accept"}, {"type": f"{kind}.accept"}, {"type": f"{kind}.close"}]

    async def app(*given: Any) -> None:
        seen.extend(given)
        for message in messages:
            await given[2](message)

    async def nothing(*_: Any) -> None: ...

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind}
    await serial_of(app, **settings)(scope, nothing, send)
    assert seen[0] is scope
    assert seen[1] is nothing
    assert seen[2] is send or kind == "websocket"
    assert list(map(id, sent)) == list(map(id, messages))


HINT = {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]}
DEBUG = {"type": "http.response.debug", "info": {"template": "page.html"}}
UNKNOWN = {"type": "http.response.of.tomorrow", "value": 1}


@every_setting
@every_client
@pytest.mark.parametrize("message", [HINT, DEBUG, UNKNOWN], ids=["hint", "debug", "unknown"])
@awaited
async def test_messages_before_the_start_pass_at_once(settings, client, message):
    recording = Recording()
    sent: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(message)
        sent.append(len(recording.messages))
        await send(start_of(**JSON))
        await send(body_of(DOCUMENT))

    await serial_of(app, **settings)(client.make_scope(), client.make_receive(), recording.send)
    assert sent == [1]
    assert recording.messages[0] == message
    assert understand(recording).document == json.loads(DOCUMENT)


@every_setting
@every_client
@pytest.mark.parametrize("place", [1, 2, 3], ids=["after start", "amid the body", "at its end"])
@pytest.mark.parametrize("message", [UNKNOWN, DEBUG], ids=["unknown", "debug"])
@awaited
async def test_unknown_messages_keep_their_place(settings, client, place, message):
    """Before them stands what stood before them, bytes included."""
    half = len(DOCUMENT) // 2
    messages = [start_of(**JSON), body_of(DOCUMENT[:half], more=True), body_of(DOCUMENT[half:])]
    messages.insert(place, message)
    recording = await drive(serial_of(script(*messages), **settings), client)
    assert recording.error is None
    assert recording.messages.count(message) == 1
    assert understand(recording).document == json.loads(DOCUMENT)
    before = recording.types[: recording.messages.index(message)]
    assert before[:1] == ["start"]
    assert ("body" in before) == (place > 1)


TRAILERS = {
    "type": "http.response.trailers",
    "headers": [(b"x-checksum", b"1"), (b"x-checksum", b"2")],
    "more_trailers": False,
}


@every_setting
@every_client
@pytest.mark.parametrize("pieces", [1, 2], ids=["whole", "streamed"])
@awaited
async def test_trailers_pass_with_the_body_they_describe(settings, client, pieces):
    size = -(-len(DOCUMENT) // pieces)
    bodies = [
        body_of(DOCUMENT[place * size : (place + 1) * size], more=place + 1 < pieces)
        for place in range(pieces)
    ]
    start = start_of(cache_control="max-age=60", trailer="x-checksum", **JSON)
    serial = serial_of(script({**start, "trailers": True}, *bodies, TRAILERS), **settings)
    for _ in range(2):
        answer = await ask(serial, client)
        assert answer.trailers == tuple(TRAILERS["headers"])
        assert answer.body == DOCUMENT


@every_setting
@every_client
@awaited
async def test_a_file_that_the_server_sends_passes(settings, client):
    """`pathsend` stands in place of the body: its start goes out before it, and describes it."""
    pathsend = {"type": "http.response.pathsend", "path": "/tmp/document"}
    start = start_of(content_length="4000", **FRESH_JSON)
    serial = serial_of(script(start, pathsend), **settings)
    for _ in range(2):
        recording = await drive(serial, client)
        assert recording.messages[1:] == [pathsend]
        assert find_faults(recording, client) == []
        assert (b"content-length", b"4000") in recording.start["headers"]
        assert b"content-encoding" not in dict(recording.start["headers"])


@pytest.mark.parametrize("size", [0, 1 << 20, 3_000_000])
@awaited
async def test_a_file_behind_a_coded_start_is_sent_in_parts(tmp_path, size):
    """It may be larger than the memory."""
    path, events = tmp_path / "events", bytes(size)
    path.write_bytes(events)
    client = Request(scope={"extensions": {"http.response.pathsend": {}}}).having(
        accept_encoding="gzip"
    )
    pathsend = {"type": "http.response.pathsend", "path": str(path)}
    serial = serial_of(script(start_of(content_type="text/event-stream"), pathsend))
    recording = await drive(serial, client)
    assert find_faults(recording, client) == []
    assert len(recording.messages) == 2 + size // (1 << 20)
    assert gzip.decompress(understand(recording).body) == events


@pytest.mark.parametrize("is_number", [True, False])
@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        ({}, slice(3, None)),
        ({"offset": 0}, slice(0, None)),
        ({"offset": 7, "count": 2 << 20}, slice(7, (2 << 20) + 7)),
        ({"count": 9}, slice(3, 12)),
    ],
)
@awaited
async def test_a_part_of_an_open_file_behind_a_coded_start_is_encoded(
    tmp_path, is_number, limits, sent
):
    """RFC 9110, 8.4: Content-Encoding says what has been applied to the content."""
    path, events = tmp_path / "events", random.Random(0).randbytes(3_000_000)
    path.write_bytes(events)
    client = Request(scope={"extensions": {"http.response.zerocopysend": {}}}).having(
        accept_encoding="gzip"
    )
    with path.open("rb", buffering=0) as file:
        file.seek(3)
        given = file.fileno() if is_number else file
        zerocopysend = {"type": "http.response.zerocopysend", "file": given, **limits}
        serial = serial_of(
            script(
                start_of(content_type="text/event-stream"),
                body_of(b"before", more=True),
                {**zerocopysend, "more_body": True},
                body_of(b"after"),
            )
        )
        recording = await drive(serial, client)
    assert recording.error is None
    assert find_faults(recording, client) == []
    content = gzip.decompress(understand(recording).body)
    assert content == b"before" + events[sent] + b"after"


@every_setting
@every_client
@awaited
async def test_zerocopysend_passes_piece_by_piece(settings, client):
    pieces = [
        {"type": "http.response.zerocopysend", "file": 7, "count": 10, "more_body": True},
        {"type": "http.response.zerocopysend", "file": 7, "count": 20, "more_body": False},
    ]
    start = start_of(content_length="30", **FRESH_JSON)
    serial = serial_of(script(start, *pieces), **settings)
    for _ in range(2):
        recording = await drive(serial, client)
        assert recording.messages[1:] == pieces
        assert b"content-encoding" not in dict(recording.start["headers"])


HELD_TAG = Request(fields=(("if-none-match", '"v1"'),))


@every_setting
@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend"])
@awaited
async def test_no_file_follows_a_304(settings, kind):
    """A client that holds the tag of a file gets either a 304 without, or the whole of it."""
    message = {"type": f"http.response.{kind}", "path": "/tmp/a", "file": 7, "more_body": False}
    serial = serial_of(script(start_of(etag='"v1"', content_type="text/css"), message), **settings)
    recording = await drive(serial, HELD_TAG)
    assert find_faults(recording, HELD_TAG) == []
    assert (recording.start["status"] == 200) == (kind in recording.types)
