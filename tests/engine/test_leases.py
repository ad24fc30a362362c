"""One call of the app for several processes that share a second level."""

import asyncio

import pytest

from tests.cache.entries import DictStore

from .driver import Clock, Request, ask, awaited, serial_of, settled, until
from .making import FRESH, JSON


class App:
    """Answers when it may, and counts its calls over all processes."""

    def __init__(self, *fields):
        self.fields = fields or (FRESH,)
        self.calls = 0
        self.gate = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.calls += 1
        await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [JSON, *self.fields]})
        await send({"type": "http.response.body", "body": b"[1,2,3]" + b" " * 2000})


def processes_of(app, count=4, store=None, **settings):
    store = store or DictStore()
    return [serial_of(app, store=store, cache_ttl="60s", **settings) for _ in range(count)]


async def crowd(processes, *requests):
    asked = [asyncio.ensure_future(ask(one, r)) for one in processes for r in requests]
    await until(lambda: processes[0].app.calls)
    # Those of other processes look for the lease a few times, and come to where they wait.
    await asyncio.sleep(0.05)
    await settled()
    return asked


@awaited
async def test_a_cold_key_is_one_call_for_all_processes():
    app = App()
    processes = processes_of(app)
    asked = await crowd(processes, Request(), Request(), Request())
    assert app.calls == 1
    app.gate.set()
    answers = await asyncio.gather(*asked)
    assert {answer.document[0] for answer in answers} == {1}
    assert app.calls == 1
    assert sum("collapsed" in answer.cached for answer in answers) == 11


@awaited
async def test_each_process_gives_its_clients_the_form_that_they_want():
    app = App()
    first, second = processes_of(app, 2)
    asked = await crowd([first], Request())
    asked += await crowd([second], Request().having(accept_encoding="gzip"))
    app.gate.set()
    answers = await asyncio.gather(*asked)
    assert [answer.coding for answer in answers] == ["", "gzip"]
    assert app.calls == 1


@awaited
async def test_what_is_not_stored_ends_the_wait_of_the_others():
    app = App((b"cache-control", b"no-store"))
    processes = processes_of(app, 3)
    asked = await crowd(processes, Request())
    app.gate.set()
    await asyncio.gather(*asked)
    assert app.calls == 3


@awaited
async def test_nobody_waits_longer_than_for_others_in_its_own_process(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("asgi_serial.asgi.lookup.monotonic", clock)
    app = App()
    store = DictStore()
    processes = processes_of(app, 2, store, cache_wait="300ms")
    asked = await crowd(processes, Request())
    assert app.calls == 1
    clock.now += 0.4
    await until(lambda: app.calls == 2)
    app.gate.set()
    await asyncio.gather(*asked)


@awaited
async def test_a_lease_holds_for_as_long_as_the_call_takes(monkeypatch):
    monkeypatch.setattr("asgi_serial.asgi.lookup.LEASE_SECONDS", 0.04)
    store, app = DictStore(), App()
    asked = await crowd(processes_of(app, 2, store), Request())
    (name,) = [name for name, value in store.values.items() if len(value) == 16]
    token = store.values.pop(name)
    # The other process may take it before.
    await until(lambda: store.values.get(name) == token)
    app.gate.set()
    await asyncio.gather(*asked)
    assert app.calls <= 2


@awaited
async def test_what_was_stored_just_before_the_lease_was_taken_is_not_made_again():
    store, app = DictStore(), App()
    first, second = processes_of(app, 2, store)
    (leading,) = await crowd([first], Request())
    add, tries = store.add, []

    async def add_late(key, value, *, ttl):
        tries.append(key)
        if len(tries) == 2:  # the first process ends after the look of the second one
            app.gate.set()
            await leading
            await first.engine.responses.flush()
        return await add(key, value, ttl=ttl)

    store.add = add_late
    answer = await ask(second, Request())
    await second.engine.responses.flush()
    assert (app.calls, len(tries)) == (1, 2)
    assert "collapsed" in answer.cached
    assert not [value for value in store.values.values() if len(value) == 16]  # a token


@pytest.mark.parametrize("known", [None, True])
@awaited
async def test_a_store_that_knows_nothing_forbids_nothing(known):
    store = DictStore()

    async def add(key, value, *, ttl):
        return known

    store.add = add
    app = App()
    asked = await crowd(processes_of(app, 2, store), Request())
    assert app.calls == 2
    app.gate.set()
    await asyncio.gather(*asked)


@awaited
async def test_a_lease_ends_after_what_was_stored_has_been_sent():
    store = DictStore()
    app = App()
    app.gate.set()
    (process,) = processes_of(app, 1, store)
    await process.engine.responses.purge_sync.listen()
    store.log.clear()
    await ask(process, Request())
    await process.engine.responses.flush()
    assert [call for call, _ in store.log] == ["get", "add", "set", "delete_if"]
    assert not [value for value in store.values.values() if len(value) == 16]  # a token
