"""A middleware inside another one is not silenced: what it forbids and keys on, the outer heeds."""

import logging

import pytest

from asgi_serial import set_policy
from asgi_serial.settings.policy import RoutePolicy, within

from .driver import Request, ask, awaited, serial_of

TTL = {"cache_ttl": 60}
NAMED = {"cache_ignore_fields": "x-acme-token"}


def make_site(inner, outer, policy=None, control=""):
    """An app that tells who asks, behind an inner and an outer middleware."""

    async def app(scope, receive, send):
        if policy:
            set_policy(**policy)
        known = dict(scope["headers"])
        who = known.get(b"x-acme-token") or known.get(b"cookie") or scope["query_string"] or b"-"
        fields = [(b"content-type", b"text/plain")]
        fields += [(b"cache-control", control.encode())] if control else []
        if scope["method"] == "POST":
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": who * 400})

    return serial_of(serial_of(app, **inner), **outer)


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({"cache_key_fields": "x-acme-token", **TTL}, {**TTL, **NAMED}),
        ({"routes": {"/": {"cache": False}}, **TTL}, {**TTL, **NAMED}),
        ({"cache": False}, {**TTL, **NAMED}),
        (dict.fromkeys(["cache", "compression", "formats", "decoding", "timing"], False), TTL),
        (TTL, {**TTL, **NAMED}),
        ({}, TTL),
        ({}, {"routes": {"/": TTL}}),
        ({}, {**TTL, "cache_grace": 60}),
        ({"cache_negative_ttl": 1, **TTL}, {"cache_negative_ttl": 9, **TTL}),
        ({"cache_negative_ttl": 1, **TTL}, TTL),
        (TTL, {"cache_vary_normalize": "accept-language=en|de", **TTL, **NAMED}),
        (TTL, {"cache_sort_query": True, **TTL}),
        ({"cache_ignore_query": "b", **TTL}, {"cache_ignore_query": "a", **TTL}),
        ({"cache_strip_fields": "x-a", **TTL}, {"cache_strip_fields": "x-b", **TTL}),
        (TTL, {"cache_set_cookie": "strip", **TTL}),
        ({"cache_query": "a, b", **TTL}, {"cache_query": "a", **TTL}),
    ],
    ids=[
        *("key fields", "the route is off", "the cache is off", "all is off", "not ignored"),
        *("no lifetime", "no lifetime of a route", "no lifetime, and grace", "errors"),
        *("errors by default", "few values", "sorted", "ignored parameters", "stripped fields"),
        *("stripped cookies", "counted parameters"),
    ],
)
@awaited
async def test_what_the_inner_one_forbids_is_not_stored(inner, outer):
    site = make_site(inner, outer)
    for _ in range(2):
        for user in ("alice", "bob"):
            got = await ask(site, Request().having(x_acme_token=user))
            assert got.content == user.encode() * 400
            assert "stored" not in got.one("cache-status").split("; ")
    assert site.engine.responses.stored == 0


@pytest.mark.parametrize(
    ("inner", "outer", "policy", "line"),
    [
        (TTL, TTL, None, "hit; ttl=60"),
        ({"cache_ttl": 5}, TTL, None, "hit; ttl=5"),
        (TTL, {"cache_ttl": 5}, None, "hit; ttl=5"),
        ({}, TTL, {"cache_ttl": 7}, "hit; ttl=7"),
        ({"enabled": False}, TTL, None, "hit; ttl=60"),
        (
            {"cache_ttl": 5, "cache_key_fields": "x-a"},
            {"cache_key_fields": "x-a", **TTL},
            None,
            "hit; ttl=5",
        ),
    ],
)
@awaited
async def test_what_both_permit_is_stored(inner, outer, policy, line):
    site = make_site(inner, outer, policy)
    await ask(site, Request())
    assert (await ask(site, Request())).one("cache-status") == f"asgi_serial; {line}"


@awaited
async def test_the_partition_of_the_inner_one_is_that_of_the_outer():
    routes = {"/": {"cache_partition": "cookie:sid"}}
    site = make_site({"routes": routes, **TTL}, TTL, control="private, max-age=60")
    for turn in range(2):
        for user in ("sid=alice", "sid=bob"):
            got = await ask(site, Request().having(cookie=user))
            assert got.content == user.encode() * 400
            assert got.one("cache-control").startswith("private")
            assert ("hit" in got.one("cache-status")) is (turn > 0)


@awaited
async def test_who_may_share_is_said_by_both():
    outer = {"routes": {"/": {"cache_shared": True, **TTL}}}
    for inner, is_shared in ((TTL, False), (outer, True)):
        site = make_site(inner, outer)
        await ask(site, Request().having(cookie="sid=alice"))
        got = await ask(site, Request().having(cookie="sid=bob"))
        assert (got.content == b"sid=alice" * 400) is is_shared


@awaited
async def test_the_inner_one_may_forbid_compression():
    site = make_site({"compression": False}, {})
    assert (await ask(site, Request().having(accept_encoding="gzip"))).coding == ""


@awaited
async def test_it_is_logged_once(caplog):
    with caplog.at_level(logging.WARNING, "asgi_serial"):
        site = make_site({"cache_key_fields": "x-a"}, {})
        for _ in range(3):
            await ask(site, Request())
    assert len(caplog.records) == 1
    assert "cache_key_fields" in caplog.text


@awaited
async def test_one_engine_in_two_places_restricts_nothing(caplog):
    site = make_site(TTL, TTL)
    site.app.engine, site.app._is_shared = site.engine, True
    with caplog.at_level(logging.WARNING, "asgi_serial"):
        await ask(site, Request())
    assert "hit" in (await ask(site, Request())).one("cache-status")
    assert not caplog.records


@awaited
async def test_a_response_that_passes_is_restricted_from_the_next_on():
    """Nothing is stored of one that passes, and the engine inside has not been seen before."""
    site = make_site({}, {"cache": False})
    for _ in range(2):
        assert (await ask(site, Request())).status == 200


@pytest.mark.parametrize(
    ("inner", "outer", "default", "policy"),
    [
        (RoutePolicy(cache_ttl=5), RoutePolicy(), None, RoutePolicy(None)),
        (RoutePolicy(cache_ttl=5), RoutePolicy(), 60, RoutePolicy(cache_ttl=5)),
        (RoutePolicy(cache_ttl=0), RoutePolicy(cache_ttl=9), 60, RoutePolicy(cache_ttl=0)),
        (RoutePolicy(), RoutePolicy(cache_ttl=9), 60, RoutePolicy(cache_ttl=9)),
        (
            RoutePolicy(cache_partition=("a",)),
            RoutePolicy(cache_partition=("b",)),
            None,
            RoutePolicy(cache_partition=("a",)),
        ),
    ],
)
def test_an_outer_policy_within_an_inner_one(inner, outer, default, policy):
    expected = policy._replace(cache_shared=False, cache_body=False)
    assert within(inner, outer, default) == expected
