"""Profiles are found by the names of fields, whatever bytes, lines and buffers come."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial import SerialMiddleware
from asgi_serial.request.plan import plan_request

from .making import make_engine

NAMES = (b"host", b"accept", b"origin", b"x\ny", b"x", b"y", b"", b"\n", b"content-length")


def scope_with(headers, **more):
    return {"type": "http", "method": "GET", "path": "/", "headers": headers, **more}


def facts_of(profile):
    """All that a profile says, for comparison with another engine's."""
    wants = profile.wants.accepts
    return {
        name: getattr(profile, name)
        for name in type(profile).__slots__
        if name not in ("wants", "strange")
    } | {"accepts": wants, "users": profile.strange.users, "unknown": profile.strange.unknown}


@given(st.lists(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([b"", b"0", b"a"])))))
def test_a_remembered_profile_is_the_one_computed_anew(requests):
    engine = make_engine()
    for headers in itertools.chain(requests, requests):
        lines, profile = engine.profiles.read(scope_with(list(headers)))
        fresh_lines, fresh = make_engine().profiles.read(scope_with(list(headers)))
        assert lines == fresh_lines
        assert facts_of(profile) | {"is_repeatable": 0} == facts_of(fresh) | {"is_repeatable": 0}
        assert dict(lines).keys() == dict(headers).keys()


def test_a_separator_in_a_name_is_not_taken_for_two_names():
    profiles = make_engine().profiles
    _, two = profiles.read(scope_with([(b"x-token", b"1"), (b"cookie", b"a")]))
    _, one = profiles.read(scope_with([(b"x-token\ncookie", b"1")]))
    assert two.anybody.credentials == {b"cookie"}
    assert one.anybody.credentials == frozenset()
    _, other = profiles.read(scope_with([(b"x\ncookie", b"1"), (b"y", b"a")]))
    _, moved = profiles.read(scope_with([(b"x", b"1"), (b"cookie\ny", b"a")]))
    assert other.places.keys() == {b"x\ncookie", b"y"}
    assert moved.places.keys() == {b"x", b"cookie\ny"}


@pytest.mark.parametrize("kind", [bytearray, memoryview])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_buffers_in_place_of_names_are_read(kind, place):
    """ASGI wants byte strings, and an app may be called with what is like them."""
    engine = make_engine()
    usual = [(b"host", b"a"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip")]
    plain = plan_request(engine, scope_with(usual))
    headers = list(usual)
    name, value = headers[place]
    headers[place] = (kind(name), value)
    plan = plan_request(engine, scope_with(headers))
    assert dict(plan.fields) == dict(usual)
    assert plan.key == plain.key
    assert plan.wants is plain.wants


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_buffers_in_place_of_values_are_read(kind):
    """The profile is known from an equal request that has come with bytes."""
    engine = make_engine()
    usual = [(b"host", b"a"), (b"origin", b"b"), (b"content-length", b"0"), (b"range", b"x")]
    plain = plan_request(engine, scope_with(usual))
    plan = plan_request(engine, scope_with([(name, kind(value)) for name, value in usual]))
    assert plan.lines == plain.lines
    assert plan.key == plain.key
    assert all(type(value) is bytes for _, value in plan.lines)


@pytest.mark.parametrize("headers", [[[b"host", b"a"], [b"accept", b"*/*"]], [], ()])
def test_lists_in_place_of_tuples_are_read(headers):
    plan = plan_request(make_engine(), scope_with(headers))
    assert plan.fields == dict(headers)
    mixed = [(b"host", b"a"), [b"accept-encoding", b"gzip"]]
    engine = make_engine()
    assert plan_request(engine, scope_with(mixed)).key is not None
    assert plan_request(engine, scope_with(mixed)).fields[b"accept-encoding"] == b"gzip"


def test_the_plan_keeps_the_lines_that_the_app_removes():
    async def app(scope, receive, send):
        scope["headers"].clear()

    scope = scope_with([(b"host", b"a"), (b"range", b"bytes=0-1")])
    plan = plan_request(SerialMiddleware(app, cache=True).engine, scope)
    scope["headers"].clear()
    assert plan.fields == {b"host": b"a", b"range": b"bytes=0-1"}
