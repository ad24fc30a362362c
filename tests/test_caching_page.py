"""The pages about the cache say what is so: their blocks run, and what they tell of can be seen."""

import asyncio
import json
import re

import pytest

from asgi_serial import RoutePolicy, Settings, purge, warm
from asgi_serial.admin.purge_request import MAX_BODY_BYTES, MAX_PURGES, read_purge
from asgi_serial.cache.in_flight import REMEMBERED_SECONDS
from asgi_serial.cache.memory import Memory
from asgi_serial.cache.purge_log import MAX_BEHIND
from asgi_serial.cache.purges import MAX_TAG_BYTES, MAX_TAGS
from asgi_serial.engine.learned import UNCONDITIONAL_SECONDS
from asgi_serial.http.freshness import HEURISTIC_STATUSES
from asgi_serial.http.reuse import ERROR_STATUSES
from asgi_serial.settings.model import PRESETS
from asgi_serial.settings.values import parse_duration
from tests.engine.driver import Clock, Request, Whole, ask, awaited, drive, serial_of
from tests.pages import blocks_of, read_caching, run_program

PAGE = read_caching()
TEXT = " ".join(PAGE.split())
NAMES = {*Settings.model_fields, *RoutePolicy._fields}
GET = Request()


def app_of(**fields):
    """An app that answers all requests by a document with these fields."""
    return Whole(b"[1]", content_type="application/json", **fields)


@awaited
async def test_the_blocks_run_one_after_the_other():
    module = await run_program("\n".join(blocks_of(PAGE)))
    # The functions that the blocks define are called on an app that has served somebody.
    serial = serial_of(app_of(), routes={"/me": {"cache_partition": "cookie:sid"}})
    for path in ("/articles/3", "/articles"):
        await ask(serial, Request(path=path))
    await module.save(serial, 3)
    await module.clean_up(serial)
    assert list((await module.warm_up(serial)).values()) == [200, 200]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\b(?:cache|purge)_[a-z_]+\b", PAGE))))
def test_every_option_that_is_named_is_there(name):
    assert name in NAMES


@pytest.mark.parametrize(("name", "value"), re.findall(r"`(cache_\w+)` \((\d+ \w+)\)", TEXT))
def test_a_default_is_what_it_says(name, value):
    assert parse_duration(value.replace(" ", "")) == getattr(Settings(), name)


def test_the_numbers_are_those_of_the_code():
    assert f"over {MAX_TAGS} tags, or one over {MAX_TAG_BYTES} bytes" in TEXT
    assert f"at most {MAX_PURGES} purges in {MAX_BODY_BYTES // 1000} kB" in TEXT
    assert f"it can read: {MAX_BEHIND} records" in TEXT
    assert f"more than {MAX_BEHIND} behind" in TEXT
    assert f"remembered for {REMEMBERED_SECONDS:.0f} s" in TEXT
    assert (UNCONDITIONAL_SECONDS, "for ten minutes" in TEXT) == (600, True)
    assert (Memory(1).owner_share, "at most a twentieth" in TEXT) == (0.05, True)
    *first, last = map(str, sorted(HEURISTIC_STATUSES - {206}))
    assert f"Only for {', '.join(first)} and {last}, or with" in TEXT
    assert f"answers {', '.join(map(str, sorted(ERROR_STATUSES)))}, or raises" in TEXT
    left_on = {
        *("cache_confirm", "cache_heuristic", "cache_parts", "cache_posted"),
        "cache_stale_if_error",
    }
    assert {name for name, value in PRESETS["conformance"].items() if value} == left_on


@pytest.mark.parametrize("body", re.findall(r"-d '(.+)'$", PAGE, re.M))
def test_a_curl_line_asks_for_what_can_be_purged(body):
    assert [purge.at for purge in read_purge(body.encode(), 7.0)] == [7.0]
    assert json.loads(body)


@pytest.mark.parametrize(
    ("fields", "ttl"),
    [
        pytest.param(
            {"asgi_serial_cache_control": "max-age=9", "cdn_cache_control": "max-age=8"}, 9
        ),
        pytest.param({"cdn_cache_control": "max-age=8", "cache_control": "no-store"}, 8),
        pytest.param({"cdn_cache_control": "Max-Age=8", "cache_control": "max-age=7"}, 7),
        pytest.param({"cache_control": "max-age=6, s-maxage=7"}, 7),
        pytest.param({"last_modified": "Fri, 01 Jan 2027 00:00:00 GMT"}, 5),
    ],
    ids=str,
)
@awaited
async def test_the_first_that_speaks_of_the_lifetime_wins(fields, ttl):
    serial = serial_of(app_of(**fields), cache_ttl=5, cache_heuristic=True)
    await ask(serial, GET)
    assert f"ttl={ttl}" in (await ask(serial, GET)).one("cache-status").split("; ")


@awaited
async def test_ada_and_bob_have_a_cart_each():
    routes = {"/me/*": {"cache_partition": "cookie:sid", "cache_ttl": "30s"}}
    serial = serial_of(app_of(), routes=routes)
    cart = Request(path="/me/cart")
    ada = await ask(serial, cart.having(cookie="sid=ada"))
    assert (ada.cached, ada.one("cache-control")) == ("fwd=uri-miss, stored", "private")
    assert (await ask(serial, cart.having(cookie="sid=ada"))).cached == "hit"
    other = await ask(serial, cart.having(cookie="theme=dark; sid=ada"))
    assert other.cached == "fwd=uri-miss, stored"
    assert (await ask(serial, cart.having(cookie="sid=bob"))).cached == "fwd=uri-miss, stored"


@awaited
async def test_a_warmed_page_is_found_behind_a_proxy_that_ends_tls():
    serial = serial_of(app_of(cache_control="max-age=60"))
    proxied = {"X-Forwarded-Proto": "https"}
    await warm(serial, ["http://example.org/"], headers=proxied)
    assert (await ask(serial, GET.having(x_forwarded_proto="https"))).cached == "hit"
    assert (await ask(serial, GET)).cached == "fwd=uri-miss, stored"


@awaited
async def test_a_write_says_nothing_of_another_query():
    clock = Clock()
    serial = serial_of(app_of(cache_control="max-age=60"), clock=clock)
    full = Request(path="/articles/3", query=b"full=1")
    for request in (full, Request(path="/articles/3")):
        await ask(serial, request)
    await drive(serial, Request("PUT", path="/articles/3"))
    clock.now += 1  # what is asked for in the very moment of the write is not stored
    assert (await ask(serial, Request(path="/articles/3"))).cached == "fwd=uri-miss, stored"
    assert (await ask(serial, full)).cached == "hit"
    await purge(serial, uris=["/articles/3?full=1"])
    clock.now += 1
    assert (await ask(serial, full)).cached == "fwd=uri-miss, stored"


@awaited
async def test_nobody_waits_where_that_is_turned_off():
    gate, app = asyncio.Event(), app_of(cache_control="max-age=60")

    async def slow(scope, receive, send):
        app.calls += 1
        await gate.wait()
        await app(scope, receive, send)

    serial = serial_of(slow, cache_wait=0)
    asking = [asyncio.ensure_future(ask(serial, GET)) for _ in range(3)]
    for _ in range(10):
        await asyncio.sleep(0)
    assert app.calls == 3
    gate.set()
    await asyncio.gather(*asking)
