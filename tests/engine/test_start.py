"""The start of a response is decided alike whether or not one of its kind has passed before."""

from itertools import product

import pytest

from asgi_serial.request.app_call import AppCall
from asgi_serial.response.start import start_response
from asgi_serial.settings.policy import RoutePolicy
from tests.engine.making import (
    EVENTS,
    FRESH,
    GZIP,
    HTML,
    JSON,
    PICTURE,
    TAG,
    WANTS_MSGPACK,
    make_engine,
    make_plan,
    make_scope,
    start,
)

SHORT, LONG = (b"content-length", b"20"), (b"content-length", b"20000")
STARTS = {
    "nothing": start(),
    "no headers": {"type": "http.response.start", "status": 200},
    "trailers alone": {"type": "http.response.start", "status": 200, "trailers": True},
    "trailers": start(JSON, SHORT, trailers=True),
    "short": start(JSON, SHORT),
    "long": start(JSON, LONG),
    "no length": start(JSON),
    "no number": start(JSON, (b"content-length", b"many")),
    "picture": start(PICTURE, LONG),
    "upper case": start((b"Content-Type", b"image/png"), (b"X-Of-App", b"1")),
    "buffers": start((memoryview(b"content-type"), bytearray(b"image/png"))),
    "two lengths": start(PICTURE, SHORT, SHORT),
    "no number, then a length": start(PICTURE, (b"content-length", b"many"), SHORT),
    "a buffer as a type": start((b"content-type", memoryview(b"image/png")), LONG),
    "a buffer as a length": start(PICTURE, (b"content-length", memoryview(b"20000"))),
    "events": start(EVENTS),
    "other fields": start(HTML, SHORT, (b"x-of-app", b"1"), (b"x-other", b"2")),
    "tag": start(PICTURE, TAG),
    "vary": start(HTML, SHORT, (b"vary", b"origin")),
    "fresh": start(JSON, SHORT, FRESH),
    "not to be stored": start(JSON, SHORT, (b"cache-control", b"no-store")),
    "error": start(JSON, SHORT, status=500),
    "part": start(JSON, SHORT, status=206),
    "not modified": start(status=304),
}
COOKIE = (b"cookie", b"a=1")
REQUESTS = {
    "plain": make_scope(),
    "gzip": make_scope(headers=[GZIP]),
    "msgpack": make_scope(headers=[WANTS_MSGPACK]),
    "head": make_scope("HEAD"),
    "write": make_scope("POST"),
    "cookie": make_scope(headers=[COOKIE]),
    "unknown field": make_scope(headers=[(b"x-strange", b"1")]),
    "routed": make_scope(headers=[(b"x-forwarded-prefix", b"/a")]),
    "routed elsewise": make_scope(headers=[(b"x-forwarded-path", b"/a")]),
    "no cache": make_scope(headers=[(b"cache-control", b"no-store")]),
    "range": make_scope(headers=[(b"range", b"bytes=0-1")]),
}
OPTIONS = {
    "default": {},
    "no cache": {"cache": False},
    "a lifetime": {"cache_ttl": 60},
    "for errors": {"cache_negative_ttl": 5},
    "heuristic": {"cache_heuristic": True},
    "parts": {"cache_parts": True, "cache_ttl": 60},
    "the key": {"cache_status_key": True},
    "no status": {"cache_status": False},
}


def decide(engine, scope, message, policy=None):
    """What is decided, in a form that can be compared."""
    plan = make_plan(engine, scope)
    call = AppCall()
    if policy is not None:
        call.add_policy(policy, may_permit=True)
    sent, first = start_response(engine, plan, call, message)
    said = (first.status, first.passes, first.unstored, first.plan.reasons, first.has_effects)
    stores = first.collector is not None
    result = first.call_result
    return said, first.plan.vary, result, stores, first.invalid, first.passes and sent, first


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_what_has_passed_before_decides_nothing_else(options):
    engine, forgetful = make_engine(**options), make_engine(**options)
    for _ in range(3):
        for scope, message in product(REQUESTS.values(), STARTS.values()):
            make_plan(forgetful, scope).wants.passing.clear()
            *alone, _ = decide(forgetful, scope, message)
            assert decide(engine, scope, message)[:-1] == tuple(alone)


@pytest.mark.parametrize("message", ["short", "picture", "nothing", "other fields", "error"])
@pytest.mark.parametrize("request_name", ["plain", "head", "cookie", "no cache", "range"])
@pytest.mark.parametrize("options", ["default", "no cache", "no status"])
def test_one_verdict_serves_all_of_its_kind(options, request_name, message):
    engine = make_engine(**OPTIONS[options])
    *_, first = decide(engine, REQUESTS[request_name], STARTS[message])
    *_, second = decide(engine, REQUESTS[request_name], STARTS[message])
    assert second is first
    # Nothing of the first response is left in it.
    assert (first.message, first.pairs, first.fields) == ({}, [], {})


def test_a_verdict_holds_for_no_response_that_a_handler_has_its_say_in():
    engine = make_engine()
    scope, message = REQUESTS["plain"], STARTS["short"]
    for _ in range(2):
        assert not decide(engine, scope, message)[3]
    assert decide(engine, scope, message, RoutePolicy(cache_ttl=60))[3]


def test_the_fields_of_a_verdict_are_nobodys_to_change():
    engine = make_engine()
    for _ in range(3):
        sent = decide(engine, REQUESTS["plain"], start(JSON, SHORT))[5]
        names = [name for name, _ in sent["headers"]]
        assert names == [b"content-type", b"content-length", b"vary", b"cache-status"]
        sent["headers"].append((b"x-outer", b"1"))
