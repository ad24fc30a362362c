"""A POST drops the stored 404s and 410s below its path: they may have come to be there."""

import asyncio

import pytest

from asgi_serial.cache.key import MAX_LEVELS, path_digests

from .driver import Clock, Request, ask, awaited, heard, serial_of, settled, told
from .making import JSON, make_engine, make_plan, make_scope
from .shared_store import SharedStore


class Collection:
    """An app whose items are made by POST; what is not there is a 404, or a 410."""

    def __init__(self, *fields, missing=404, made=201):
        self.fields = list(fields)
        self.missing, self.made = missing, made
        self.items = set()
        self.calls = 0

    async def __call__(self, scope, receive, send):
        self.calls += 1
        if scope["method"] == "GET":
            found = scope["path"] in self.items
            status = 200 if found else self.missing
        else:
            status = self.made
            if status < 400:
                self.items.add(b"".join([(await receive())["body"]]).decode())
        fields = [JSON, *self.fields] if scope["method"] == "GET" else [JSON]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b'"%d"' % status})


def post(path, item, method="POST"):
    return Request(method, path, body=(item.encode(),)).having(content_length=str(len(item)))


async def cached(serial_app, path, **more):
    """The status that a path has, and whether it came from the cache."""
    answer = await ask(serial_app, Request(path=path, **more))
    return answer.status, answer.cached == "hit"


@pytest.mark.parametrize("missing", [404, 410])
@pytest.mark.parametrize("fields", [(), ((b"cache-control", b"max-age=60"),)], ids=["ttl", "own"])
@pytest.mark.parametrize(
    ("written", "item"),
    [
        ("/items", "/items/7"),
        ("/items/", "/items/7"),
        ("//items", "/items/7"),
        ("/items", "/items/7/"),
        ("/items", "/items/7/comments/1"),
        ("/items/7", "/items/7/comments"),
        ("/", "/items/7"),
        ("/", "/"),
        ("/items", "/items"),
        ("/café au lait", "/café au lait/7"),
    ],
)
@awaited
async def test_what_is_made_below_is_found_at_once(written, item, fields, missing):
    clock = Clock()
    serial_app = serial_of(Collection(*fields, missing=missing), cache_ttl=60, clock=clock)
    assert await cached(serial_app, item) == (missing, False)
    assert await cached(serial_app, item) == (missing, True)
    await ask(serial_app, post(written, item))
    clock.now += 1
    assert await cached(serial_app, item) == (200, False)
    assert await cached(serial_app, item) == (200, True)


@pytest.mark.parametrize(
    ("written", "item"),
    [
        ("/items", "/itemsets/7"),
        ("/items/7", "/items/8"),
        ("/items/7", "/items"),
        ("/others", "/items/7"),
    ],
)
@awaited
async def test_what_is_elsewhere_stays(written, item):
    serial_app = serial_of(Collection(), cache_ttl=60)
    await cached(serial_app, item)
    await ask(serial_app, post(written, "/another"))
    assert await cached(serial_app, item) == (404, True)


@awaited
async def test_what_is_found_stays():
    app = Collection()
    app.items.add("/items/7")
    serial_app = serial_of(app, cache_ttl=60)
    await cached(serial_app, "/items/7")
    await ask(serial_app, post("/items", "/items/8"))
    assert await cached(serial_app, "/items/7") == (200, True)


@pytest.mark.parametrize("query", [b"", b"full=1"])
@pytest.mark.parametrize("written", [b"", b"as=draft"])
@awaited
async def test_queries_make_no_difference(query, written):
    serial_app = serial_of(Collection(), cache_ttl=60)
    for path in ("/items/7", "/items"):
        await cached(serial_app, path, query=query)
    made = post("/items", "/items/7")
    await ask(serial_app, Request(made.method, made.path, made.fields, made.body, query=written))
    assert await cached(serial_app, "/items/7", query=query) == (200, False)
    assert await cached(serial_app, "/items", query=query) == (404, False)  # its next page


@pytest.mark.parametrize("status", [400, 404, 409, 500])
@awaited
async def test_a_post_that_fails_drops_nothing(status):
    serial_app = serial_of(Collection(made=status), cache_ttl=60)
    await cached(serial_app, "/items/7")
    await ask(serial_app, post("/items", "/items/7"))
    assert await cached(serial_app, "/items/7") == (404, True)


@pytest.mark.parametrize("status", [200, 201, 202, 303])
@awaited
async def test_any_post_that_succeeds_counts(status):
    serial_app = serial_of(Collection(made=status), cache_ttl=60)
    await cached(serial_app, "/items/7")
    await ask(serial_app, post("/items", "/items/7"))
    assert await cached(serial_app, "/items/7") == (200, False)


@awaited
async def test_a_put_makes_its_own_uri():
    serial_app = serial_of(Collection(), cache_ttl=60)
    for path in ("/items/7", "/items/8"):
        await cached(serial_app, path)
    await ask(serial_app, post("/items/7", "/items/7", method="PUT"))
    assert await cached(serial_app, "/items/7") == (200, False)
    assert await cached(serial_app, "/items/8") == (404, True)


@awaited
async def test_a_404_that_was_asked_for_before_the_post_is_not_stored_after_it():
    class Slow(Collection):
        async def __call__(self, scope, receive, send):
            async def send_late(message):
                if scope["method"] == "GET" and message["type"] == "http.response.start":
                    await settled(50)
                await send(message)

            await super().__call__(scope, receive, send_late)

    serial_app = serial_of(Slow(), cache_ttl=60)
    early = asyncio.create_task(cached(serial_app, "/items/7"))
    await settled(10)
    await ask(serial_app, post("/items", "/items/7"))
    assert await early == (404, False)
    assert await cached(serial_app, "/items/7") == (200, False)


@awaited
async def test_a_404_of_another_process_is_dropped_in_all():
    """It is in the second level, and in the first one of each."""
    store, clock, app = SharedStore(), Clock(), Collection()
    options = {"store": store, "clock": clock, "cache_ttl": 600, "cache_poll": "10ms"}
    first, second, third = (serial_of(app, **options) for _ in range(3))
    assert await cached(first, "/items/7") == (404, False)
    await first.engine.responses.flush()
    clock.now += 2
    assert await cached(second, "/items/7") == (404, True)
    await ask(first, post("/items", "/items/7"))
    await first.engine.responses.flush()
    await told(first)
    await heard(second)
    assert await cached(first, "/items/7") == (200, False)
    assert (await cached(second, "/items/7"))[0] == 200
    clock.now += 2
    assert (await cached(third, "/items/7"))[0] == 200


@awaited
async def test_after_each_post_a_404_is_checked_once():
    serial_app = serial_of(Collection(), cache_ttl=60)
    await cached(serial_app, "/items/7")
    await ask(serial_app, post("/others", "/others/1"))
    responses, checked = serial_app.engine.responses, []
    purged_at = responses._purged_at

    def watched(entry):
        checked.append(entry)
        return purged_at(entry)

    responses._purged_at = watched
    for _ in range(3):
        assert await cached(serial_app, "/items/7") == (404, True)
    assert len(checked) == 1


def digests_of(path, **scope):
    engine = make_engine()
    return path_digests(make_plan(engine, make_scope(path=path, **scope)).key)


def test_the_levels_of_a_path_are_bounded():
    assert len(digests_of("/x" * 10_000)) == MAX_LEVELS + 1
    assert len(digests_of("/")) == 1
    assert digests_of("/a/b")[1:] == digests_of("/a")


def test_a_mounted_path_is_that_of_the_client():
    assert digests_of("/b", root_path="/a") == digests_of("/a/b")
