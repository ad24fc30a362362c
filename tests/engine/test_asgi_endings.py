"""How a response ends is the app's to say: whole, early, by an exception, by cancellation."""

import asyncio
from typing import Any

import pytest

from .driver import Recording, awaited, drive, serial_of
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


class Broken(Exception):
    pass


@every_setting
@every_client
@pytest.mark.parametrize(
    ("messages", "types"),
    [
        ([], []),
        ([start_of(**JSON)], ["start"]),
        ([start_of(**JSON), body_of(DOCUMENT, more=True)], ["start", "body"]),
        ([start_of(content_type="text/html"), body_of(DOCUMENT, more=True)], ["start", "body"]),
        ([start_of(**JSON), body_of(DOCUMENT)], ["start", "body"]),
    ],
    ids=["before the start", "after it", "amid JSON", "amid text", "after the end"],
)
@awaited
async def test_an_exception_goes_on_unchanged(settings, client, messages, types):
    error = Broken("of the app")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await script(*messages)(scope, receive, send)
        raise error

    recording = await drive(serial_of(app, **settings), client)
    assert recording.error is error
    assert recording.types == types


@every_client
@awaited
async def test_nothing_of_a_failed_response_is_stored(client):
    calls: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(1)
        await send(start_of(**FRESH_JSON))
        await send(body_of(b"[1", more=True))
        raise Broken

    serial = serial_of(app)
    for number in (1, 2):
        assert isinstance((await drive(serial, client)).error, Broken)
        assert len(calls) == number


@every_setting
@every_client
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [start_of(**JSON)],
        [start_of(**FRESH_JSON), body_of(DOCUMENT, more=True)],
    ],
    ids=["before the start", "after it", "amid the body"],
)
@awaited
async def test_an_app_that_returns_early_is_not_finished_for_it(settings, client, messages):
    calls: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(1)
        await script(*messages)(scope, receive, send)

    serial = serial_of(app, **settings)
    for number in (1, 2):
        recording = await drive(serial, client)
        assert recording.error is None
        last = [one for one in recording.messages if one["type"] == "http.response.body"]
        assert all(one["more_body"] for one in last)
        assert recording.types[:1] == (["start"] if messages else [])
        assert len(calls) == number


@every_setting
@every_client
@pytest.mark.parametrize("number", [0, 1, 2], ids=["before start", "after it", "amid the body"])
@awaited
async def test_cancellation_goes_on_unchanged(settings, client, number):
    reached = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        messages = [start_of(**FRESH_JSON), body_of(DOCUMENT, more=True)]
        await script(*messages[:number])(scope, receive, send)
        reached.set()
        await asyncio.Event().wait()

    serial = serial_of(app, **settings)
    call = serial(client.make_scope(), client.make_receive(), Recording().send)
    task = asyncio.create_task(call)
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@every_setting
@every_client
@awaited
async def test_a_send_that_fails_fails_in_the_app(settings, client):
    error = OSError("the client is gone")
    caught: list[Exception] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(start_of(**FRESH_JSON))
            await send(body_of(DOCUMENT))
        except OSError as one:
            caught.append(one)
            raise

    async def failing(message: Any) -> None:
        raise error

    with pytest.raises(OSError, match="gone") as raised:
        await serial_of(app, **settings)(client.make_scope(), client.make_receive(), failing)
    assert raised.value is error
    assert caught == [error]


@every_client
@awaited
async def test_messages_after_the_end_are_the_servers_to_refuse(client):
    serial = serial_of(script(start_of(**JSON), body_of(DOCUMENT), body_of(b"more")))
    recording = await drive(serial, client)
    assert recording.types == ["start", "body", "body"]
    assert recording.messages[2]["body"] == b"more"


@every_client
@awaited
async def test_a_second_start_is_the_servers_to_refuse(client):
    serial = serial_of(script(start_of(**JSON), start_of(500), body_of(b"[]")))
    recording = await drive(serial, client)
    assert recording.types == ["start", "start", "body"]
    assert [one.get("status") for one in recording.messages[:2]] == [200, 500]
