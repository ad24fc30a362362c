"""The lifetime of a response to POST: only the response or its own route gives one."""

import asyncio

import pytest

from asgi_serial import serial

from .driver import Request, Whole, ask, awaited, serial_of, settled

KEYED = {"routes": {"/": {"cache_body": True}}}
BUMP = Request("POST", fields=(("content-type", "application/json"),), body=(b'"bump"',))
QUERY = Request("QUERY", fields=BUMP.fields, body=BUMP.body)
MODIFIED = {"last_modified": "Tue, 14 Nov 2000 22:13:20 GMT"}
GRANTED = {"routes": {"/": {"cache_body": True, "cache_ttl": 60}}}


@pytest.mark.parametrize(
    ("request_", "settings", "response", "calls"),
    [
        pytest.param(BUMP, {"cache_ttl": 60}, {}, 2, id="POST, a lifetime for all"),
        pytest.param(BUMP, {"cache_heuristic": True}, MODIFIED, 2, id="POST, a guess"),
        pytest.param(
            BUMP, {"cache_negative_ttl": 60}, {"status": 404}, 2, id="POST, a lifetime for errors"
        ),
        pytest.param(BUMP, {"cache_ttl": 60}, {"cache_control": "public"}, 2, id="POST, public"),
        pytest.param(BUMP, GRANTED, {}, 1, id="POST, a lifetime of its route"),
        pytest.param(BUMP, {}, {"cache_control": "max-age=60"}, 1, id="POST, a lifetime stated"),
        pytest.param(
            BUMP,
            {**GRANTED, "cache_negative_ttl": 60},
            {"status": 404},
            1,
            id="POST, a lifetime for errors, and of its route",
        ),
        pytest.param(QUERY, {"cache_ttl": 60}, {}, 1, id="QUERY, a lifetime for all"),
        pytest.param(QUERY, {"cache_heuristic": True}, MODIFIED, 1, id="QUERY, a guess"),
    ],
)
@awaited
async def test_a_post_that_may_write_is_run_each_time(request_, settings, response, calls):
    """RFC 9110, 9.3.3: only explicit freshness information lets a response to POST be cached."""
    app = Whole(b"{}", content_type="application/json", **response)
    site = serial_of(app, **{**KEYED, **settings})
    await ask(site, request_)
    await ask(site, request_)
    assert app.calls == calls


@pytest.mark.parametrize("settings", [{}, {"cache_ttl": 9, "cache_heuristic": True}], ids=str)
@awaited
async def test_a_handler_may_give_its_post_a_lifetime(settings):
    calls = []

    @serial(cache_ttl=60, cache_body=True)
    async def app(scope, receive, send):
        calls.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    site = serial_of(app, **settings)
    await ask(site, BUMP)
    answer = await ask(site, BUMP)
    assert len(calls) == 1
    assert b"hit; ttl=60" in dict(answer.fields)[b"cache-status"]


@awaited
async def test_a_lifetime_that_only_restricts_gives_a_post_none():
    """Whoever is called may shorten the lifetime of all routes, but that permits nothing."""
    calls = []

    @serial(cache_ttl=5)
    def check():
        pass

    async def app(scope, receive, send):
        calls.append(await receive())
        check()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    site = serial_of(app, **KEYED, cache_ttl=60)
    await ask(site, BUMP)
    answer = await ask(site, BUMP)
    assert b"policy-not-heard" in dict(answer.fields)[b"cache-status"]
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("settings", "called_at_once"),
    [({**KEYED, "cache_ttl": 60}, 2), (GRANTED, 1)],
    ids=["a lifetime for all", "a lifetime of its route"],
)
@awaited
async def test_posts_wait_for_one_another_only_if_their_route_gives_a_lifetime(
    settings, called_at_once
):
    calls, may_answer = [], asyncio.Event()

    async def app(scope, receive, send):
        calls.append(await receive())
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    site = serial_of(app, **settings)
    asked = [asyncio.create_task(ask(site, BUMP)) for _ in range(2)]
    await settled()
    count = len(calls)
    may_answer.set()
    await asyncio.gather(*asked)
    assert count == called_at_once
