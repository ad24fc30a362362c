"""One call of the app for several processes that share a second level."""

import asyncio

import pytest

from tests.cache.entries import AtOnceStore, DictStore

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


STORES = {"one by one": DictStore, "at once": AtOnceStore}


@pytest.fixture(params=STORES.values(), ids=STORES.keys())
def store(request):
    """A second level that reads and takes a lease by two calls, and one that does so by one."""
    return request.param()


def processes_of(app, store, count=4, **settings):
    return [serial_of(app, store=store, cache_ttl="60s", **settings) for _ in range(count)]


async def crowd(processes, *requests):
    asked = [asyncio.ensure_future(ask(one, r)) for one in processes for r in requests]
    await until(lambda: processes[0].app.calls)
    # Those of other processes look for the lease a few times, and come to where they wait.
    await asyncio.sleep(0.05)
    await settled()
    return asked


@awaited
async def test_a_cold_key_is_one_call_for_all_processes(store):
    app = App()
    processes = processes_of(app, store)
    asked = await crowd(processes, Request(), Request(), Request())
    assert app.calls == 1
    app.gate.set()
    answers = await asyncio.gather(*asked)
    assert {answer.document[0] for answer in answers} == {1}
    assert app.calls == 1
    assert sum("collapsed" in answer.cached for answer in answers) == 11


@awaited
async def test_each_process_gives_its_clients_the_form_that_they_want(store):
    app = App()
    first, second = processes_of(app, store, 2)
    asked = await crowd([first], Request())
    asked += await crowd([second], Request().having(accept_encoding="gzip"))
    app.gate.set()
    answers = await asyncio.gather(*asked)
    assert [answer.coding for answer in answers] == ["", "gzip"]
    assert app.calls == 1


@awaited
async def test_what_is_not_stored_ends_the_wait_of_the_others(store):
    app = App((b"cache-control", b"no-store"))
    processes = processes_of(app, store, 3)
    asked = await crowd(processes, Request())
    app.gate.set()
    await asyncio.gather(*asked)
    assert app.calls == 3


@awaited
async def test_nobody_waits_longer_than_for_others_in_its_own_process(monkeypatch, store):
    clock = Clock()
    monkeypatch.setattr("asgi_serial.asgi.lookup.monotonic", clock)
    app = App()
    processes = processes_of(app, store, 2, cache_wait="300ms")
    asked = await crowd(processes, Request())
    assert app.calls == 1
    clock.now += 0.4
    await until(lambda: app.calls == 2)
    app.gate.set()
    await asyncio.gather(*asked)


@awaited
async def test_a_lease_holds_for_as_long_as_the_call_takes(monkeypatch, store):
    monkeypatch.setattr("asgi_serial.asgi.lookup.LEASE_SECONDS", 0.04)
    app = App()
    asked = await crowd(processes_of(app, store, 2), Request())
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
    first, second = processes_of(app, store, 2)
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
    asked = await crowd(processes_of(app, store, 2), Request())
    assert app.calls == 2
    app.gate.set()
    await asyncio.gather(*asked)


CALLS = {
    DictStore: ["get", "add", "set", "delete_if"],
    AtOnceStore: ["get_or_add", "set", "delete_if"],
}


@awaited
async def test_a_lease_ends_after_what_was_stored_has_been_sent(store):
    app = App()
    app.gate.set()
    (process,) = processes_of(app, store, 1)
    await process.engine.responses.purge_sync.listen()
    store.log.clear()
    await ask(process, Request())
    await process.engine.responses.flush()
    assert [call for call, _ in store.log] == CALLS[type(store)]
    assert not tokens(store)


def tokens(store):
    return [value for value in store.values.values() if len(value) == 16]


@pytest.mark.parametrize("first", [0, 1], ids=["the first goes on first", "the second does"])
@awaited
async def test_requests_that_look_at_once_share_the_lease(first):
    """Whichever of them has its answer first: it calls the app, and no other process does."""
    store, app = AtOnceStore(), App()
    process, other = processes_of(app, store, 2)
    await process.engine.responses.purge_sync.listen()
    answers = [asyncio.Event(), asyncio.Event()]
    get_or_add, looks = store.get_or_add, []

    async def look(keys, claim):
        number = len(looks)
        looks.append(claim)
        found = await get_or_add(keys, claim)
        await answers[number].wait()
        return found

    store.get_or_add = look
    asked = [asyncio.ensure_future(ask(process, Request())) for _ in answers]
    await until(lambda: len(looks) == 2)
    store.get_or_add = get_or_add
    assert looks[0] == looks[1]
    answers[first].set()
    await until(lambda: app.calls == 1)
    answers[1 - first].set()
    asked += await crowd([process, other], Request())
    assert tokens(store) == [looks[0].token]
    app.gate.set()
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
    assert app.calls == 1
    await process.engine.responses.flush()
    assert not tokens(store)
    assert not process.engine.responses.leases._shared


LEAVES = {
    "a condition": Request().having(if_none_match='"1"'),
    "HEAD": Request("HEAD"),
    "only from the cache": Request().having(cache_control="only-if-cached"),
    "a part": Request().having(range="bytes=0-1"),
    "credentials": Request().having(authorization="Bearer 1"),
}


@pytest.mark.parametrize("request_", LEAVES.values(), ids=LEAVES.keys())
@awaited
async def test_a_request_for_which_nobody_waits_takes_no_lease(request_):
    store, app = AtOnceStore(), App()
    app.gate.set()
    (process,) = processes_of(app, store, 1)
    await ask(process, request_)
    assert "get_or_add" not in [call for call, _ in store.log]
    assert not process.engine.responses.leases._shared


@awaited
async def test_a_client_that_leaves_while_it_looks_leaves_no_lease():
    store, app = AtOnceStore(), App()
    process, other = processes_of(app, store, 2)
    for each in (process, other):
        await each.engine.responses.purge_sync.listen()
    store.may_go_on.clear()
    asked = asyncio.ensure_future(ask(process, Request()))
    await until(lambda: tokens(store))
    asked.cancel()
    await asyncio.wait((asked,))
    store.may_go_on.set()
    await process.engine.responses.flush()
    assert not tokens(store)
    assert not process.engine.responses.leases._shared
    app.gate.set()
    await ask(other, Request())
    assert app.calls == 1


@awaited
async def test_of_those_who_share_a_lease_the_last_ends_it():
    store, app = AtOnceStore(), App()
    (process,) = processes_of(app, store, 1)
    await process.engine.responses.purge_sync.listen()
    store.may_go_on.clear()
    asked = [asyncio.ensure_future(ask(process, Request())) for _ in range(2)]
    await until(lambda: len([1 for call, _ in store.log if call == "get_or_add"]) == 2)
    asked[0].cancel()
    await asyncio.wait((asked[0],))
    store.may_go_on.set()
    await until(lambda: app.calls == 1)
    await process.engine.responses.flush()
    assert len(tokens(store)) == 1
    app.gate.set()
    await asked[1]
    await process.engine.responses.flush()
    assert not tokens(store)


@pytest.mark.parametrize("origin", [None, "https://a.example"])
@awaited
async def test_a_stale_response_is_renewed_by_one_process(store, origin):
    """Something is stored, so that the lease is taken by a call of its own."""
    app, clock = App((b"cache-control", b"max-age=60"), (b"etag", b'"1"')), Clock()
    app.gate.set()
    processes = processes_of(app, store, 3, clock=clock)
    request = Request() if origin is None else Request().having(origin=origin)
    await ask(processes[0], request)
    await processes[0].engine.responses.flush()
    for process in processes[1:]:
        assert "hit" in (await ask(process, request)).cached
    clock.now += 61
    app.gate.clear()
    app.calls = 0
    asked = await crowd(processes, request, request)
    assert app.calls == 1
    app.gate.set()
    await asyncio.gather(*asked)
    assert app.calls == 1
    for process in processes:
        await process.engine.responses.flush()
    assert not tokens(store)


@awaited
async def test_who_waits_in_another_process_asks_once_each_time():
    store, app = AtOnceStore(), App()
    first, second = processes_of(app, store, 2)
    asked = await crowd([first], Request())
    store.log.clear()
    asked += await crowd([second], Request())
    await until(lambda: len(store.log) > 3)
    app.gate.set()
    await asyncio.gather(*asked)
    assert app.calls == 1
    assert {call for call, _ in store.log} <= {"get", "get_or_add", "set", "delete_if"}


@awaited
async def test_a_lease_for_what_turns_out_to_vary_is_that_of_the_variant():
    """The look finds the index of the variants, and then nothing for this one."""
    store = AtOnceStore()
    app = App((b"cache-control", b"max-age=60"), (b"vary", b"accept-language"))
    app.gate.set()
    processes = processes_of(app, store, 3)
    await ask(processes[0], Request().having(accept_language="de"))
    await processes[0].engine.responses.flush()
    app.gate.clear()
    app.calls = 0
    asked = await crowd(processes[1:], Request().having(accept_language="fr"))
    assert app.calls == 1
    assert len(tokens(store)) == 1
    app.gate.set()
    await asyncio.gather(*asked)
    for process in processes:
        await process.engine.responses.flush()
        assert not process.engine.responses.leases._shared
    assert app.calls == 1
    assert not tokens(store)
