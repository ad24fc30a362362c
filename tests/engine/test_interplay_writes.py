"""What a write makes invalid, and what it leaves."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from asgi_serial import set_policy

from .driver import Clock, Request, Whole, ask, awaited, heard, serial_of, told
from .personal import Personal, calls_of
from .scripts import DOCUMENT, FRESH_JSON
from .shared_store import SharedStore
from .variants import variants_as, wanting


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "UNKNOWN"])
@variants_as("variant")
@awaited
async def test_a_write_makes_what_is_stored_invalid(method, variant):
    """RFC 9111, 4.4: every variant of it, and what was selected by varying fields."""
    clock = Clock()
    app = serial_of(Personal(cache_control="max-age=60", vary="x-a"), clock=clock)
    request = wanting(variant)
    assert await calls_of(app, request, request, Request(), Request(method)) == [1, 1, 1, 2]
    clock.now += 1  # what is asked for in the very moment of the write is not kept
    assert await calls_of(app, request, Request()) == [3, 3]
    assert await calls_of(app, Request(method, path="/other"), Request()) == [4, 3]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "policy", [{"cache": False}, {"cache_body": False}, {"compression": False}], ids=str
)
@awaited
async def test_a_write_is_one_whatever_its_policy(method, policy):
    clock = Clock()
    routes = {f"{method} /": policy}
    app = serial_of(Personal(cache_control="max-age=60"), clock=clock, routes=routes)
    assert await calls_of(app, Request(), Request(), Request(method)) == [1, 1, 2]
    clock.now += 1
    assert await calls_of(app, Request()) == [3]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@awaited
async def test_a_write_to_a_route_that_is_keyed_by_bodies(method):
    clock = Clock()
    routes = {"/": {"cache_body": True}}
    app = serial_of(Personal(cache_control="max-age=60"), clock=clock, routes=routes)
    assert await calls_of(app, Request(), Request(), Request(method)) == [1, 1, 2]
    clock.now += 1
    assert await calls_of(app, Request()) == [3]


class Failing(SharedStore):
    """Is down from some moment on, as its guard makes that look."""

    is_down = False

    async def get(self, key: str) -> bytes | None:
        """What is there."""
        return None if self.is_down else await super().get(key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is there under each."""
        return [await self.get(key) for key in keys]

    async def increment(
        self, key: str, *, ttl: float, delta: int = 1, start: int = 0
    ) -> int | None:
        """Count."""
        return (
            None
            if self.is_down
            else await super().increment(key, ttl=ttl, delta=delta, start=start)
        )


POSTED = Request("POST", body=(b"x",)).having(content_length="1")


@pytest.mark.parametrize(
    ("options", "cache_body", "reading"),
    [
        pytest.param({}, True, POSTED, id="of a POST that its handler caches by its body"),
        pytest.param({"cache_posted": True}, None, Request(), id="of a POST, stored for GET"),
    ],
)
@awaited
async def test_a_process_that_has_loaded_nothing_hears_of_the_writes_of_others(
    options, cache_body, reading
):
    """Its first response is stored without a look into the second level, and answers the next."""
    app = Whole(DOCUMENT, cache_control="max-age=600", content_location="/")

    async def handler(scope, receive, send):
        await receive()
        set_policy(cache_body=cache_body)
        await app(scope, receive, send)

    options = {"store": SharedStore(), "clock": Clock(), "cache_poll": "10ms", **options}
    first, second = (serial_of(handler, **options) for _ in range(2))
    await ask(first, POSTED)
    assert (await ask(first, reading)).cached == "hit"
    await ask(second, Request("PUT"))
    await told(second)
    await heard(first)
    assert (await ask(first, reading)).cached != "hit"


@pytest.mark.parametrize("is_written", [True, False])
@awaited
async def test_a_process_that_was_suspended_asks_first_what_it_has_missed(is_written):
    """As in a container that is frozen between two requests: its polls are overdue."""
    app, store, clock = Whole(DOCUMENT, cache_control="max-age=86400"), SharedStore(), Clock()
    first = serial_of(app, store=store, clock=clock, cache_poll="1h")
    second = serial_of(app, store=store, clock=clock, cache_poll="10ms")
    await ask(first, Request())
    assert (await ask(first, Request())).cached == "hit"
    if is_written:
        await ask(second, Request("PUT"))
        await told(second)
    clock.now += 3 * 3600
    answers = await asyncio.gather(*[ask(first, Request()) for _ in range(3)])
    assert ("hit" in [answer.cached for answer in answers]) is not is_written


@awaited
async def test_a_process_that_was_suspended_keeps_what_it_has_if_the_store_is_down():
    app, store, clock = Whole(DOCUMENT, cache_control="max-age=86400"), Failing(), Clock()
    process = serial_of(app, store=store, clock=clock, cache_poll="1h")
    await ask(process, Request())
    store.is_down = True
    clock.now += 3 * 3600
    assert [(await ask(process, Request())).cached for _ in range(2)] == ["hit", "hit"]


@pytest.mark.parametrize("method", ["OPTIONS", "HEAD", "TRACE", "QUERY"])
@awaited
async def test_a_safe_method_leaves_what_is_stored(method):
    app = Personal(cache_control="max-age=60")
    middleware = serial_of(app)
    await ask(middleware, Request())
    await ask(middleware, Request(method))
    assert (await ask(middleware, Request())).document["call"] == 1


@awaited
async def test_a_write_that_fails_leaves_what_is_stored():
    """Of a 4xx or 5xx nothing is known."""
    status = 200

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await Whole(DOCUMENT, status=status, **FRESH_JSON)(scope, receive, send)

    middleware = serial_of(app)
    await ask(middleware, Request())
    status = 409
    await ask(middleware, Request("PUT"))
    assert (await ask(middleware, Request())).cached == "hit"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@variants_as("variant")
@awaited
async def test_a_response_to_a_write_has_the_apps_validators_only(method, variant):
    """RFC 9110, 8.8.3 and 9.3.4: its ETag is of what the resource has become, not of its body."""
    plain = serial_of(Whole(DOCUMENT, **FRESH_JSON))
    tagged = serial_of(Whole(DOCUMENT, etag='"v1"', **FRESH_JSON))
    for _ in range(2):
        answer = await ask(plain, wanting(variant, method))
        assert (answer.media_type, answer.coding, answer.all("etag")) == (*variant, [])
        assert (await ask(tagged, wanting(variant, method))).one("etag") == '"v1"'
