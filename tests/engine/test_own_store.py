"""A second level of the user's own: it is used, and whatever it does wrong is a miss."""

import asyncio
import re
import time

import pytest

from asgi_serial import SerialMiddleware
from asgi_serial.cache.purges import Purge
from asgi_serial.errors import ConfigurationError
from asgi_serial.store.base import STORE_METHODS
from tests.engine.driver import Request, ask, awaited
from tests.pages import read_caching

PAGE = read_caching()
(SOURCE,) = re.findall(r"```python\n(import time\n[^`]*class DictStore:.*?)```", PAGE, re.DOTALL)


def dict_store():
    """The store that the documents show."""
    names = {}
    exec(SOURCE, names)
    return names["DictStore"]()


class App:
    def __init__(self, *fields):
        self.calls = 0
        self.fields = fields

    async def __call__(self, scope, receive, send):
        self.calls += 1
        fields = [(b"content-type", b"text/plain"), (b"cache-control", b"max-age=60")]
        await send(
            {"type": "http.response.start", "status": 200, "headers": [*fields, *self.fields]}
        )
        await send({"type": "http.response.body", "body": b"answer"})


def processes_of(app, store, **settings):
    return [SerialMiddleware(app, store=store, **settings) for _ in range(2)]


async def ask_in_turn(processes, *requests):
    answers = []
    for process in processes:
        for request in requests:
            answers.append(await ask(process, request))
            await process.engine.responses.flush()
    return answers


@pytest.mark.parametrize(
    "request_", [Request(), Request().having(origin="https://a.example")], ids=["plain", "a fork"]
)
@pytest.mark.parametrize("fields", [(), ((b"vary", b"accept-language"),)], ids=["one", "varying"])
@awaited
async def test_what_one_process_stores_another_finds(request_, fields):
    app = App(*fields)
    answers = await ask_in_turn(processes_of(app, dict_store()), request_)
    assert app.calls == 1
    assert [answer.content for answer in answers] == [b"answer"] * 2
    assert "hit" in answers[1].cached


@awaited
async def test_a_lease_is_taken_and_given_back():
    app, store = App(), dict_store()
    await ask_in_turn(processes_of(app, store, cache_ttl="60s"), Request())
    assert app.calls == 1
    assert not [value for value, _ in store.values.values() if len(value) == 16]


@awaited
async def test_a_purge_in_one_process_is_heard_in_another():
    app, store = App(), dict_store()
    one, other = processes_of(app, store)
    await ask_in_turn([one, other], Request())
    assert app.calls == 1
    assert await one.engine.responses.purge([Purge("all", "", None, time.time())])
    await other.engine.responses.purge_sync.poll()
    await ask_in_turn([other], Request())
    assert app.calls == 2


async def hang(*arguments, **options):
    await asyncio.Event().wait()


async def fail(*arguments, **options):
    raise RuntimeError("down")


def lie_by(value):
    async def lie(*arguments, **options):
        return value

    return lie


FAULTS = {
    "hangs": hang,
    "raises": fail,
    "returns None": lie_by(None),
    "returns text": lie_by("text"),
    "returns bytes of its own": lie_by(b"junk"),
    "returns too many bytes": lie_by(bytes(5_000_000)),
    "returns True": lie_by(True),
    "returns a number": lie_by(2**70),
    "returns a list": lie_by(["a", 1, None]),
}


@pytest.mark.parametrize("names", [*[(name,) for name in STORE_METHODS], STORE_METHODS], ids=str)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
@awaited
async def test_a_store_that_does_wrong_is_a_miss(fault, names):
    app, store = App(), dict_store()
    for name in names:
        setattr(store, name, fault)
    settings = {"cache_store_timeout": "20ms", "cache_ttl": "60s", "cache_wait": "20ms"}
    processes = processes_of(app, store, **settings)
    requests = (Request(), Request().having(origin="https://a.example"))
    answers = await ask_in_turn(processes, *requests, *requests)
    assert {(answer.status, answer.content) for answer in answers} == {(200, b"answer")}
    assert 2 <= app.calls <= 8
    for process in processes:
        await process.engine.responses.flush()


@pytest.mark.parametrize("missing", STORE_METHODS)
def test_an_object_without_one_of_the_methods_is_refused(missing):
    methods = {name: lie_by(None) if name != missing else None for name in STORE_METHODS}
    store = type("Incomplete", (), methods)()
    with pytest.raises(ConfigurationError, match=r"asgi_serial\.Store: get, get_many"):
        SerialMiddleware(App(), store=store)


def test_a_class_in_place_of_a_store_is_refused():
    with pytest.raises(ConfigurationError, match="the store is of"):
        SerialMiddleware(App(), store=type(dict_store()))
