"""Whose response may answer whom: what is never shared, what selects, what a write undoes."""

import pytest

from .driver import Clock, Request, Whole, ask, awaited, fields_of, serial_of
from .personal import Personal, calls_of
from .scripts import COMPRESSING, DOCUMENT, FRESH_JSON
from .variants import variants_as, wanting


@pytest.mark.parametrize(
    "fields",
    [
        {"cache_control": "max-age=60, private"},
        {"cache_control": "max-age=60, private=x-a"},
        {"cache_control": "max-age=60, no-store"},
        {"cache_control": "max-age=60, no-cache"},
        {"cache_control": "max-age=60", "set_cookie": "session=1"},
        {"cache_control": "max-age=60", "vary": "*"},
        {"cache_control": "max-age=60", "vary": "accept, *"},
        {"cache_control": "max-age=60, s-maxage=0"},
        {"cache_control": "max-age=0"},
        {"cache_control": "max-age=60", "age": "60"},
        {"expires": "0"},
        {},
    ],
    ids=lambda fields: ", ".join(f"{name}: {value}" for name, value in fields.items()) or "nothing",
)
@variants_as("variant")
@awaited
async def test_what_is_never_shared(fields, variant):
    app = serial_of(Personal(**fields))
    request = wanting(variant)
    assert await calls_of(app, request, request, Request(), request) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("control", "name", "shared"),
    [
        ("max-age=60", "authorization", False),
        ("max-age=60", "cookie", False),
        ("max-age=60, public", "authorization", True),
        ("max-age=60, public", "cookie", True),
        ("s-maxage=60", "authorization", True),
        ("s-maxage=60", "cookie", False),
        ("max-age=60, must-revalidate", "authorization", True),
        ("max-age=60, must-revalidate", "cookie", False),
    ],
)
@variants_as("variant")
@awaited
async def test_requests_with_credentials(control, name, shared, variant):
    """RFC 9111, 3.5: only where the response allows it; a cookie asks for `public`."""
    plain = wanting(variant)
    known = plain.having(**{name: "secret"})
    first = serial_of(Personal(cache_control=control))
    assert await calls_of(first, known, known, plain) == ([1, 1, 1] if shared else [1, 2, 3])
    second = serial_of(Personal(cache_control=control))
    assert await calls_of(second, plain, known, plain) == ([1, 1, 1] if shared else [1, 2, 1])


@variants_as("variant")
@awaited
async def test_both_credentials_need_leave_for_both(variant):
    app = serial_of(Personal(cache_control="s-maxage=60"))
    both = wanting(variant).having(authorization="a", cookie="b")
    assert await calls_of(app, both, both, wanting(variant), both) == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["authorization", "cookie"])
@awaited
async def test_a_route_may_be_set_to_be_shared(name):
    """One response for everybody, by the word of who configures it."""
    routes = {"/shared": {"cache_shared": True}}
    app = serial_of(Personal(cache_control="max-age=60"), routes=routes)
    known = Request(path="/shared").having(**{name: "secret"})
    assert await calls_of(app, known, Request(path="/shared"), known) == [1, 1, 1]


@pytest.mark.parametrize(
    ("said", "calls"),
    [
        ({"cache_control": "no-cache"}, [1, 2, 2]),
        ({"cache_control": "max-age=0"}, [1, 2, 2]),
        ({"pragma": "no-cache"}, [1, 2, 2]),
        ({"pragma": "no-cache", "cache_control": "max-age=9"}, [1, 1, 1]),
        ({"cache_control": "no-store"}, [1, 2, 1]),
        ({"range": "bytes=0-1, x"}, [1, 1, 1]),
        ({"content_length": "3"}, [1, 2, 1]),
        ({"x_forwarded_host": "evil.example"}, [1, 2, 1]),
        ({"x_original_url": "/admin"}, [1, 2, 1]),
        ({"cache_control": "max-stale=60"}, [1, 1, 1]),
        ({"cache_control": "only-if-cached"}, [1, 1, 1]),
        ({"cache_control": "min-fresh=61"}, [1, 2, 2]),
    ],
    ids=str,
)
@awaited
async def test_what_a_request_says_of_the_cache(said, calls):
    """The first and the last request say nothing."""
    app = serial_of(Personal(cache_control="max-age=60"))
    assert await calls_of(app, Request(), Request().having(**said), Request()) == calls


@pytest.mark.parametrize("more", [{}, {"range": "bytes=0-9"}, {"x_forwarded_host": "b.example"}])
@awaited
async def test_only_if_cached_calls_nobody(more):
    """RFC 9111, 5.2.1.7: 504 where nothing stored may be used."""
    app = Personal(cache_control="max-age=60")
    request = Request().having(cache_control="only-if-cached", **more)
    answer = await ask(serial_of(app), request)
    assert (answer.status, app.calls, answer.media_type) == (504, 0, "application/problem+json")


@awaited
async def test_a_stale_response_is_not_served():
    clock = Clock()
    app = serial_of(Personal(cache_control="max-age=60", age="10"), clock=clock)
    assert await calls_of(app, Request()) == [1]
    clock.now += 49
    answer = await ask(app, Request())
    assert (answer.one("age"), answer.document["call"]) == ("59", 1)
    clock.now += 1
    assert await calls_of(app, Request()) == [2]


@variants_as("variant")
@awaited
async def test_varying_fields_select(variant):
    """RFC 9111, 4.1: each value its own response, whatever its variant."""
    app = serial_of(Personal(cache_control="max-age=60", vary="Accept-Language, X-A"))
    german = wanting(variant).having(accept_language="de")
    english = wanting(variant).having(accept_language="en")
    other = german.having(x_a="1")
    none = wanting(variant)
    requests = (german, english, other, none)
    assert await calls_of(app, *requests, *requests) == [1, 2, 3, 4, 1, 2, 3, 4]
    assert await calls_of(app, Request().having(accept_language="DE")) == [1]


@variants_as("variant")
@awaited
async def test_strict_clients_get_406_from_the_cache_too(variant):
    """A client that accepts no format gets the same answer, whether or not one is stored."""
    app = serial_of(Personal(cache_control="max-age=60"), format_strict=True)
    refused = Request().having(accept="text/html")
    assert (await ask(app, refused)).status == 406
    assert (await ask(app, wanting(variant))).status == 200
    answer = await ask(app, refused)
    assert (answer.status, answer.vary) == (406, ["accept", "accept-encoding"])


@awaited
async def test_hop_by_hop_fields_and_ages_are_of_one_answer():
    app = Whole(DOCUMENT, connection="x-hop, close", age="5", **FRESH_JSON)
    app.fields += fields_of(x_hop="1", keep_alive="timeout=5", x_kept="1", server_timing="a;dur=1")
    middleware = serial_of(app)
    await ask(middleware, COMPRESSING)
    hit = await ask(middleware, COMPRESSING)
    assert hit.cached == "hit"
    assert hit.one("age") == "5"
    for name in ("connection", "x-hop", "keep-alive", "server-timing"):
        assert hit.all(name) == []
    assert hit.one("x-kept") == "1"
