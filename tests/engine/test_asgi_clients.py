"""What the client says, when it leaves, and how long it waits."""

import asyncio
import json
from typing import Any

import pytest

from asgi_serial import timing_report

from .client import understand
from .driver import (
    Recording,
    Request,
    Whole,
    ask,
    awaited,
    drive,
    find_faults,
    serial_of,
)
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
@every_client
@awaited
async def test_an_app_gets_the_requests_body_as_it_comes(settings, client):
    pieces = (b"a", b"", b"bc")
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while not seen or seen[-1].get("more_body"):
            seen.append(await receive())
        await script(start_of(204), body_of())(scope, receive, send)

    request = Request("POST", fields=client.fields, body=pieces)
    await ask(serial_of(app, **settings), request)
    assert [one["body"] for one in seen] == list(pieces)


@every_setting
@every_client
@pytest.mark.parametrize("held", [0, 1], ids=["after start", "amid the body"])
@awaited
async def test_an_app_that_waits_for_the_client_is_not_held(settings, client, held):
    """A client may say the rest of its body only once it has the start."""
    started = asyncio.Event()
    recording = Recording()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start_of(content_type="application/json", content_length="4"))
        if held:
            await send(body_of(b"[", more=True))
        message = await receive()
        await send(body_of(message["body"] + (b" ]" if held else b"  ]")))

    async def receive() -> dict[str, Any]:
        await started.wait()
        return {"type": "http.request", "body": b"1" if held else b"[", "more_body": False}

    async def send(message: Any) -> None:
        await recording.send(message)
        started.set()

    request = Request("POST", fields=client.fields)
    await serial_of(app, **settings)(request.make_scope(), receive, send)
    assert find_faults(recording, request) == []
    assert understand(recording).document == ([1] if held else [])


@every_setting
@every_client
@awaited
async def test_a_disconnect_reaches_the_app_after_the_end(settings, client):
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Whole(DOCUMENT, **JSON)(scope, receive, send)
        seen.extend([(await receive())["type"], (await receive())["type"]])

    request = Request(fields=client.fields, leaves=True)
    await ask(serial_of(app, **settings), request)
    assert seen == ["http.request", "http.disconnect"]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [start_of(**FRESH_JSON)],
        [start_of(content_length="4000", **FRESH_JSON), body_of(b"[", more=True)],
        [start_of(cache_control="max-age=9", content_type="text/html"), body_of(b"a", more=True)],
    ],
    ids=["before the start", "while held", "while gathered", "while streamed"],
)
@every_client
@awaited
async def test_nothing_is_kept_for_a_client_that_has_left(client, messages):
    calls: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(1)
        await script(*messages)(scope, receive, send)
        while (await receive())["type"] != "http.disconnect":
            pass
        if not messages:
            await send(start_of(**FRESH_JSON))
        await send(body_of(b"x" * 10, more=True))
        await send(body_of(b""))

    serial = serial_of(app)
    request = Request(fields=client.fields, leaves=True)
    for number in (1, 2):
        recording = await drive(serial, request)
        assert recording.types[0] == "start"
        assert len(calls) == number
    assert len(serial.engine.memory) == 0


@every_setting
@every_client
@awaited
async def test_background_work_delays_nobody(settings, client):
    """The client has its last byte, others their hit, before the app has returned.

    A request is recorded once it has ended, with the time of its background work.
    """
    let_go = asyncio.Event()
    calls: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(1)
        await Whole(DOCUMENT, **FRESH_JSON)(scope, receive, send)
        await let_go.wait()

    serial = serial_of(app, **settings)
    recording = Recording()
    call = serial(client.make_scope(), client.make_receive(), recording.send)
    task = asyncio.create_task(call)
    while recording.types != ["start", "body"]:
        await asyncio.sleep(0)
    assert understand(recording).document == json.loads(DOCUMENT)
    if settings.get("cache", True) and settings.get("enabled", True):
        assert (await ask(serial, client)).cached == "hit"
        assert len(calls) == 1
    times = settings.get("timing", True) and settings.get("enabled", True)
    if times:
        assert timing_report(serial).in_flight == 1
    assert not task.done()
    let_go.set()
    await task
    if times:
        assert timing_report(serial).in_flight == 0


@awaited
async def test_a_stored_response_is_visible_before_the_last_message():
    """Its length says where it ends; of one without that the app has to return first."""
    app = Whole(DOCUMENT, pieces=3, content_length=str(len(DOCUMENT)), **FRESH_JSON)
    serial = serial_of(app)
    outcomes: list[str] = []

    async def send(message: Any) -> None:
        if not message.get("more_body", True):
            outcomes.append((await ask(serial, Request())).cached)

    await serial(Request().make_scope(), Request().make_receive(), send)
    assert outcomes == ["hit"]
    assert app.calls == 1
