"""Whoever cancels a call gets it back when the app has cleaned up, as from a bare app."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import anyio
import pytest

from asgi_serial.concurrency.cancellation import cancel_and_wait

from .engine.driver import Request, awaited, drive, serial_of, settled, until
from .engine.making import FRESH, JSON

GET = Request()
LED: dict[str, Any] = {"cache_ttl": 60}  # others would wait for the call: it is a task of its own
BODY = b'{"a":"' + b"b" * 300_000 + b'"}'


class App:
    """Waits for ever, and cleans up in a few turns of the event loop when it is cancelled."""

    def __init__(self, way: str) -> None:
        self.way = way
        self.log: list[str] = []
        self.running = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.log.append("begins")
        try:
            self.running.set()
            await anyio.sleep_forever()
        except asyncio.CancelledError:
            if self.way == "makes an error of it":
                raise RuntimeError("the app fails") from None
            if self.way == "goes on":
                return
            raise
        finally:
            if self.way == "cleans up in a shield":
                with anyio.CancelScope(shield=True):
                    await self.clean_up()
            elif self.way == "cleans up":
                await self.clean_up()

    async def clean_up(self) -> None:
        try:
            for _ in range(20):
                await asyncio.sleep(0)
            self.log.append("has cleaned up")
        except asyncio.CancelledError:
            self.log.append("is cancelled again")
            raise


async def by_move_on(app: App, call: Any) -> None:
    with anyio.CancelScope() as scope:
        asyncio.get_running_loop().call_soon(scope.cancel)
        await call()
    app.log.append(f"caught {scope.cancelled_caught}")


async def by_anyio_group(app: App, call: Any) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await app.running.wait()
        group.cancel_scope.cancel()


async def by_anyio_deadline(app: App, call: Any) -> None:
    with anyio.fail_after(0):
        await call()


async def by_asyncio_timeout(app: App, call: Any) -> None:
    async with asyncio.timeout(0):
        await call()


async def by_wait_for(app: App, call: Any) -> None:
    await asyncio.wait_for(call(), 0.001)


async def by_task_group(app: App, call: Any) -> None:
    async def fail() -> None:
        await app.running.wait()
        raise ValueError("a sibling fails")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(call())
            group.create_task(fail())
    except* ValueError:
        app.log.append("the group has ended")


async def by_cancel(app: App, call: Any) -> None:
    task = asyncio.ensure_future(call())
    await app.running.wait()
    task.cancel()
    await task


async def by_cancelling_twice(app: App, call: Any) -> None:
    task = asyncio.ensure_future(call())
    await app.running.wait()
    task.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await task


async def outcome(cancel: Any, app: App, serial: Any) -> tuple[Any, ...]:
    """What has come of the call by the time at which whoever has cancelled it goes on."""

    async def call() -> None:
        try:
            await serial(GET.make_scope(), GET.make_receive(), None)
        finally:
            app.log.append("the call has ended")

    task = asyncio.current_task()
    assert task is not None
    before = task.cancelling()
    error: BaseException | None = None
    try:
        await cancel(app, call)
    except BaseException as raised:
        error = raised
    return [*app.log], type(error), str(error), task.cancelling() - before


ANYIO = [by_move_on, by_anyio_group, by_anyio_deadline]
ASYNCIO = [by_asyncio_timeout, by_wait_for, by_task_group, by_cancel, by_cancelling_twice]
WAYS = ["cleans up in a shield", "cleans up", "makes an error of it", "goes on", "just ends"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cancel", [*ANYIO, *ASYNCIO])
@awaited
async def test_a_call_that_is_cancelled_ends_as_that_of_a_bare_app(cancel, way):
    if cancel in ANYIO and way == "cleans up":
        # anyio would cancel it again at each turn; in a task of its own it is let finish.
        app = App(way)
        assert (await outcome(cancel, app, serial_of(app, **LED)))[0][:2] == [
            "begins",
            "has cleaned up",
        ]
        return
    outcomes = []
    for wrap in (lambda app: app, serial_of, lambda app: serial_of(app, **LED)):
        app = App(way)
        outcomes.append(await outcome(cancel, app, wrap(app)))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@pytest.mark.parametrize("is_anyio", [True, False], ids=["a scope", "a task"])
@awaited
async def test_a_cancelled_call_goes_on_for_those_who_wait_for_it(is_anyio):
    gate, calls = asyncio.Event(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope)
        await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": b"[1]"})

    serial = serial_of(app, **LED)
    scope = anyio.CancelScope()

    async def lead() -> None:
        with scope:
            await drive(serial, GET)

    leading = asyncio.ensure_future(lead())
    await settled()
    following = asyncio.ensure_future(drive(serial, GET))
    await settled()
    (scope if is_anyio else leading).cancel()
    await asyncio.wait((leading,))
    assert leading.cancelled() is not is_anyio
    gate.set()
    assert (await following).messages[1]["body"] == b"[1]"
    assert len(calls) == 1


@awaited
async def test_nothing_is_sent_any_more_when_a_cancelled_call_has_ended():
    """What takes a while is done in tasks of ours, which end with the call."""
    entered, sending, ended = asyncio.Event(), [], []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, FRESH]})
        await send({"type": "http.response.body", "body": BODY})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sending.append(message)
            entered.set()
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(5):
                    await asyncio.sleep(0)
                ended.append(message)

    for settings in ({}, LED, {"cache": False}):
        entered.clear()
        request = GET.having(accept_encoding="gzip")
        serial = serial_of(app, **settings)
        task = asyncio.ensure_future(serial(request.make_scope(), request.make_receive(), send))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(ended) == len(sending)


@awaited
async def test_a_task_that_has_ended_is_not_waited_for():
    async def work() -> str:
        return "done"

    task = asyncio.ensure_future(work())
    await settled()
    await cancel_and_wait(task)
    assert task.result() == "done"


@awaited
async def test_where_nobody_has_imported_anyio_there_is_nothing_to_be_shielded_from(monkeypatch):
    monkeypatch.delitem(sys.modules, "anyio")
    task = asyncio.ensure_future(asyncio.Event().wait())
    await settled()
    await cancel_and_wait(task)
    assert task.cancelled()
    await until(lambda: task.done())
