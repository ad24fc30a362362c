"""Several tasks of one app send and receive at once, while messages are held or threads encode."""

import asyncio
import gzip
import json
from typing import Any

import anyio
import pytest

from .client import understand
from .driver import Recording, Request, ask, awaited, drive, find_faults, serial_of, settled
from .scripts import COMPRESSING, DOCUMENT, JSON, LARGE, body_of, every_client, script, start_of

every_coding = pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])


@every_coding
@pytest.mark.parametrize("pieces", [1, 2], ids=["whole", "streamed"])
@awaited
async def test_a_client_leaves_while_a_thread_encodes(coding, pieces):
    """An app that listens meanwhile, as streaming responses do, starts nothing a second time."""
    half = len(LARGE) // pieces

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start_of(**JSON))
        sending = asyncio.create_task(send(body_of(LARGE[:half], more=pieces > 1)))
        await asyncio.sleep(0)
        while (await receive())["type"] != "http.disconnect":
            pass
        await sending
        if pieces > 1:
            await send(body_of(LARGE[half:]))

    request = Request(fields=(("accept-encoding", coding),), leaves=True)
    recording = await drive(serial_of(app), request)
    assert recording.error is None
    assert find_faults(recording, request) == []
    assert understand(recording).content == LARGE


@every_coding
@pytest.mark.parametrize(
    "cuts",
    [(300_000, 600_000), (700_000, 700_001), (10, 890_000), (1, 2)],
    ids=["large pieces", "one byte after a large one", "large in the middle", "large at the end"],
)
@awaited
async def test_sends_that_are_not_awaited_keep_their_order(coding, cuts):
    pieces = [LARGE[: cuts[0]], LARGE[cuts[0] : cuts[1]], LARGE[cuts[1] :]]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        messages = [start_of(**JSON)]
        messages += [body_of(piece, more=place < 3) for place, piece in enumerate(pieces, 1)]
        await asyncio.gather(*[asyncio.create_task(send(message)) for message in messages])

    answer = await ask(serial_of(app), Request(fields=(("accept-encoding", coding),)))
    assert (answer.coding, answer.content == LARGE) == (coding, True)


@every_client
@pytest.mark.parametrize("number", [1, 2], ids=["while the start is held", "amid the body"])
@awaited
async def test_a_look_whether_the_client_is_there_loses_nothing(client, number):
    """It is a `receive` in a scope that is cancelled, before a server that takes a while."""
    half = len(DOCUMENT) // 2
    messages = [start_of(**JSON), body_of(DOCUMENT[:half], more=True), body_of(DOCUMENT[half:])]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await script(*messages[:number])(scope, receive, send)
        with anyio.CancelScope() as looking:
            looking.cancel()
            await receive()
        await script(*messages[number:])(scope, receive, send)

    recording = Recording()

    async def slow(message: Any) -> None:
        await asyncio.sleep(0.001)
        await recording.send(message)

    await serial_of(app)(client.make_scope(), client.make_receive(), slow)
    assert find_faults(recording, client) == []
    assert understand(recording).document == json.loads(DOCUMENT)


@awaited
async def test_a_task_that_listens_all_along_changes_nothing():
    """Streaming responses listen for a disconnect from before the start until after the end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        await script(start_of(**JSON), body_of(DOCUMENT))(scope, receive, send)
        listening.cancel()

    answer = await ask(serial_of(app), COMPRESSING)
    assert (answer.coding, answer.content) == ("gzip", DOCUMENT)


TEXT, PLENTY = {"content_type": "text/plain"}, b"the same words again " * 100
SIZED = {**TEXT, "content_length": str(len(PLENTY))}
LONG = {**TEXT, "content_length": "100000000"}
DOCUMENT_LENGTH = {**JSON, "content_length": str(len(DOCUMENT))}
MSGPACK = Request(fields=(("accept", "application/vnd.msgpack"),))
UPLOADING = Request("POST", fields=COMPRESSING.fields)
UPLOADING_FOR_MSGPACK = Request("POST", fields=MSGPACK.fields)
ANNOUNCING = COMPRESSING.having(transfer_encoding="chunked")
READ, UNREAD = True, False


CACHED, UNCACHED = {"cache_ttl": "60s"}, {"cache": False}


@pytest.mark.parametrize(
    ("client", "has_read", "fields", "settings", "at_once", "coding"),
    [
        pytest.param(COMPRESSING, READ, TEXT, {}, True, "gzip", id="lines"),
        pytest.param(COMPRESSING, READ, TEXT, UNCACHED, True, "gzip", id="lines, uncached"),
        pytest.param(COMPRESSING, READ, TEXT, CACHED, True, "gzip", id="lines to be stored"),
        pytest.param(UPLOADING, UNREAD, TEXT, {}, True, "gzip", id="an echo"),
        pytest.param(UPLOADING, UNREAD, TEXT, UNCACHED, True, "gzip", id="an echo, uncached"),
        pytest.param(COMPRESSING, READ, SIZED, {}, False, "", id="length known"),
        pytest.param(COMPRESSING, READ, SIZED, UNCACHED, False, "", id="length known, uncached"),
        pytest.param(ANNOUNCING, UNREAD, SIZED, {}, True, "", id="an echo of known length"),
        pytest.param(
            UPLOADING, UNREAD, SIZED, UNCACHED, True, "", id="an echo of known length, uncached"
        ),
        pytest.param(COMPRESSING, UNREAD, SIZED, {}, False, "", id="no body announced"),
        pytest.param(COMPRESSING, READ, LONG, {}, True, "gzip", id="long"),
        pytest.param(Request(), READ, TEXT, CACHED, True, "", id="to be stored"),
        pytest.param(Request(), READ, SIZED, CACHED, False, "", id="to be tagged"),
        pytest.param(MSGPACK, READ, JSON, {}, False, "", id="to be translated"),
        pytest.param(
            UPLOADING_FOR_MSGPACK, UNREAD, JSON, {}, True, "", id="an echo to be translated"
        ),
    ],
)
@awaited
async def test_a_response_begins_at_once_where_the_app_already_waits(
    client, has_read, fields, settings, at_once, coding
):
    """Its client may be waiting for the head before it says what the app waits for."""
    recording = Recording()
    begun: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        listening = asyncio.create_task(listen())
        await settled(5)
        await send(start_of(**fields))
        begun.append(bool(recording.messages))
        listening.cancel()

    async def say_nothing() -> Any:
        await asyncio.Event().wait()

    receive = client.make_receive() if has_read else say_nothing
    await serial_of(app, **settings)(client.make_scope(), receive, recording.send)
    assert begun == [at_once]
    sent = dict(recording.start["headers"])
    assert sent.get(b"content-encoding", b"").decode() == coding


@pytest.mark.parametrize("upload", [(), (("content-encoding", "gzip"),)], ids=["plain", "decoded"])
@awaited
async def test_a_client_that_has_said_all_is_waited_for_no_more(upload):
    """A body of known length is encoded as a whole, however the request was read."""
    content = gzip.compress(b"[]") if upload else b"[]"
    client = Request("POST", body=(content,), fields=(*COMPRESSING.fields, *upload))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["body"] == b"[]"
        listening = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await script(start_of(**DOCUMENT_LENGTH), body_of(DOCUMENT))(scope, receive, send)
        listening.cancel()

    answer = await ask(serial_of(app), client)
    assert (answer.coding, answer.content) == ("gzip", DOCUMENT)
    assert answer.one("content-length") == str(len(answer.body))
