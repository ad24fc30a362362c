"""What is decided about a response by its head."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.reasons import Reason
from asgi_serial.representation.variant import UNTRANSFORMED, plan_response
from tests.engine.making import MSGPACK, make_engine

ENGINE = make_engine()
PLAIN = (None, None)
BROWSER = (b"text/html, */*;q=0.8", b"gzip, br")
PACKED = (MSGPACK.encode(), b"gzip")
BOTH, BY_CODING, BY_NONE = (True, True), (False, True), (False, False)


def planned(client, fields, status=200, trailers=False, engine=ENGINE):
    named = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return plan_response(engine, engine.negotiator.wants[client], status, named, trailers)


def what(plan):
    return plan.media_type, plan.codec.name if plan.codec is not None else ""


# What a plain client, a browser and a client of MessagePack get.
ANY = ("", ""), ("", "br"), (MSGPACK, "gzip")
ENCODED = ("", ""), ("", "br"), ("", "gzip")
AS_IT_IS = ("", ""), ("", ""), ("", "")


@pytest.mark.parametrize(
    ("content_type", "negotiates", "expected"),
    [
        (b"application/json", BOTH, ANY),
        (b"application/json; charset=utf-8", BOTH, ANY),
        (b"application/json; charset=latin-1", BY_CODING, ENCODED),
        (b"application/problem+json", BY_CODING, ENCODED),
        (b"text/html", BY_CODING, ENCODED),
        (b"image/png", BY_NONE, AS_IT_IS),
        pytest.param(b"", BY_NONE, AS_IT_IS, id="no type"),
    ],
)
def test_what_becomes_of_a_type(content_type, negotiates, expected):
    fields = {"content_type": content_type} if content_type else {}
    plans = [planned(client, fields) for client in (PLAIN, BROWSER, PACKED)]
    assert tuple(map(what, plans)) == expected
    assert {plan.negotiates for plan in plans} == {negotiates}
    assert [plan.passes for plan in plans] == [made == ("", "") for made in expected]


OBSTACLES = [
    pytest.param(200, {"content_encoding": b"br"}, Reason.ALREADY_ENCODED),
    pytest.param(200, {"cache_control": b"no-transform"}, Reason.NO_TRANSFORM),
    pytest.param(200, {"content_range": b"bytes 0-1/9"}, Reason.STATUS_NOT_TRANSFORMABLE),
    pytest.param(103, {}, Reason.STATUS_NOT_TRANSFORMABLE),
    pytest.param(204, {}, Reason.STATUS_NOT_TRANSFORMABLE),
    pytest.param(205, {}, Reason.STATUS_NOT_TRANSFORMABLE),
]


@pytest.mark.parametrize(("status", "fields", "why"), OBSTACLES)
@pytest.mark.parametrize("client", [PLAIN, BROWSER, PACKED], ids=["plain", "browser", "packed"])
def test_what_must_stay_stays_and_varies_on_nothing(status, fields, why, client):
    plan = planned(client, {"content_type": b"application/json", **fields}, status)
    assert plan.passes
    assert plan.reasons == (why,)
    assert (plan.negotiates, plan.vary, plan.added) == (BY_NONE, None, [])


def test_trailers_keep_a_body_as_it_is():
    plan = planned(BROWSER, {"content_type": b"text/html"}, trailers=True)
    assert (plan.passes, plan.reasons) == (True, (Reason.HAS_TRAILERS,))
    assert not planned(BROWSER, {"content_type": b"text/html"}).passes


@pytest.mark.parametrize("status", [206, 304])
@pytest.mark.parametrize(
    ("fields", "vary"),
    [
        ({"content_type": b"application/json"}, b"accept, accept-encoding"),
        ({"content_type": b"text/html"}, b"accept-encoding"),
        ({"content_type": b"image/png"}, None),
        pytest.param({}, b"accept, accept-encoding", id="a type that is not told"),
    ],
)
def test_a_304_and_a_part_vary_as_the_whole_would(status, fields, vary):
    """RFC 9110, 15.4.5 and 15.3.7."""
    plan = planned(BROWSER, fields, status)
    assert (plan.passes, plan.vary) == (True, vary)


@pytest.mark.parametrize("status", [200, 201, 301, 404, 500, 599])
def test_a_response_of_any_other_status_is_encoded(status):
    assert what(planned(PACKED, {"content_type": b"application/json"}, status)) == (MSGPACK, "gzip")


def test_the_statuses_that_are_not_touched():
    assert {100, 101, 103, 199, 204, 205, 206, 304} <= UNTRANSFORMED
    assert UNTRANSFORMED.isdisjoint({200, 201, 203, 300, 301, 400, 404, 500})


@pytest.mark.parametrize(
    ("length", "coding", "weak", "why"),
    [
        pytest.param(None, "br", True, (), id="unknown: it may be streamed"),
        pytest.param(b"499", "", False, (Reason.TOO_SMALL,), id="under the least size"),
        pytest.param(b"500", "br", False, (), id="the least size"),
        pytest.param(b"1000000", "br", False, (), id="the most that is gathered"),
        pytest.param(b"1000001", "br", True, (), id="more than is gathered"),
        pytest.param(b"many", "br", True, (), id="no number: unknown"),
        pytest.param(b"0", "", False, (Reason.TOO_SMALL,), id="none"),
    ],
)
def test_what_a_length_says(length, coding, weak, why):
    fields = {"content_type": b"text/html"} | ({"content_length": length} if length else {})
    plan = planned(BROWSER, fields)
    assert (what(plan)[1], plan.weak, plan.reasons) == (coding, weak, why)
    # Another client might have got a coding, had it been larger: the size is the same for all.
    assert plan.vary == (b"accept-encoding" if coding else None)


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 2000))
def test_plans_are_kept_for_their_equals_only(min_size, whole_limit, length):
    """A plan that was made for another length is not taken for this one."""
    engine = make_engine(min_size=min_size, whole_limit=whole_limit)
    for other in (0, min_size, min_size + 1, whole_limit, whole_limit + 1, length):
        plan = planned(
            BROWSER,
            {"content_type": b"text/html", "content_length": b"%d" % other},
            engine=engine,
        )
        assert bool(what(plan)[1]) is (other >= min_size)
        assert plan.weak is (other > whole_limit)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"vary": b"a"}, {"vary": b"b"}),
        ({}, {"content_encoding": b"gzip"}),
        ({}, {"content_range": b"bytes 0-1/9"}),
        ({}, {"cache_control": b"no-transform"}),
        ({"content_type": b"image/png"}, {"content_type": b"text/html"}),
    ],
)
def test_a_field_that_decides_tells_plans_apart(one, other):
    plans = [planned(BROWSER, {"content_type": b"text/html", **fields}) for fields in (one, other)]
    assert plans[0] != plans[1]
    assert plans[0] is planned(BROWSER, {"content_type": b"text/html", **one})


@pytest.mark.parametrize(
    ("client", "content_type", "why"),
    [
        (PLAIN, b"text/html", (Reason.CLIENT_TAKES_NONE,)),
        ((None, b"identity"), b"text/html", (Reason.CLIENT_TAKES_NONE,)),
        (BROWSER, b"image/png", (Reason.TYPE_NOT_COMPRESSIBLE,)),
        (BROWSER, b"text/html", ()),
    ],
)
def test_why_a_response_is_not_compressed(client, content_type, why):
    assert planned(client, {"content_type": content_type}).reasons == why


@pytest.mark.parametrize(
    ("options", "negotiates", "made", "why"),
    [
        ({"compression": False}, (True, False), (MSGPACK, ""), (Reason.TURNED_OFF,)),
        ({"formats": False}, (False, True), ("", "gzip"), (Reason.FORMATS_TURNED_OFF,)),
        (
            {"compression": False, "formats": False},
            (False, False),
            ("", ""),
            (Reason.TURNED_OFF, Reason.FORMATS_TURNED_OFF),
        ),
    ],
)
def test_what_is_switched_off_is_not_done_and_not_varied_on(options, negotiates, made, why):
    plan = planned(PACKED, {"content_type": b"application/json"}, engine=make_engine(**options))
    assert (plan.negotiates, what(plan), plan.reasons) == (negotiates, made, why)


@pytest.mark.parametrize(
    ("accept", "content_type", "why"),
    [
        (None, b"application/json", ()),
        (b"*/*", b"text/html", ()),
        (b"text/html, */*;q=0.8", b"application/json", ()),
        (MSGPACK.encode(), b"application/json", ()),
        (MSGPACK.encode(), MSGPACK.encode(), ()),
        (b"application/json", MSGPACK.encode(), ()),
        (MSGPACK.encode(), b"text/html", (Reason.TYPE_NOT_TRANSLATABLE,)),
        (MSGPACK.encode(), b"application/problem+json", (Reason.TYPE_NOT_TRANSLATABLE,)),
        (b"text/csv", b"application/json", (Reason.CLIENT_TAKES_NO_FORMAT,)),
        (b"text/csv", b"text/csv", ()),
    ],
)
def test_why_a_document_is_not_translated(accept, content_type, why):
    assert planned((accept, b"br"), {"content_type": content_type}).reasons == why


@pytest.mark.parametrize(
    ("accept", "content_type", "why"),
    [
        (MSGPACK.encode(), b"application/json", (Reason.FORMATS_TURNED_OFF,)),
        (b"application/json", MSGPACK.encode(), (Reason.FORMATS_TURNED_OFF,)),
        (b"application/json", b"application/json", ()),
        (b"text/csv", b"application/json", ()),
    ],
)
def test_that_formats_are_off_is_a_reason_where_they_would_have_been_used(
    accept, content_type, why
):
    engine = make_engine(formats=False)
    reasons = planned((accept, b"br"), {"content_type": content_type}, engine=engine).reasons
    assert tuple(one for one in reasons if one.about == "format") == why


def test_a_client_that_asks_for_no_transformation_is_given_as_the_reason():
    """RFC 9111, 5.2.1.6."""
    wants = ENGINE.negotiator.untransformed_wants
    fields = {b"content-type": b"text/html"}
    assert plan_response(ENGINE, wants, 200, fields).reasons == (Reason.REQUEST_NO_TRANSFORM,)
    image = {b"content-type": b"image/png"}
    assert plan_response(ENGINE, wants, 200, image).reasons == (Reason.TYPE_NOT_COMPRESSIBLE,)


@pytest.mark.parametrize(
    ("present", "vary"),
    [
        (b"Origin", b"Origin, accept, accept-encoding"),
        (b"Accept", b"Accept, accept-encoding"),
        (b"ACCEPT-ENCODING, accept", b"ACCEPT-ENCODING, accept"),
        (b"*", b"*"),
        (b"", b"accept, accept-encoding"),
    ],
)
def test_the_apps_vary_is_kept_and_nothing_stands_in_it_twice(present, vary):
    plan = planned(BROWSER, {"content_type": b"application/json", "vary": present})
    assert plan.vary == vary
    assert plan.added == [(b"vary", vary)]


@pytest.mark.parametrize(
    ("accept", "status", "content_type", "refused"),
    [
        (b"text/html", 200, b"application/json", True),
        (b"text/html", 404, b"application/json", False),
        (b"text/html", 201, b"application/json", False),
        (b"text/html", 200, b"text/csv", False),
        (b"text/html", 200, b"application/problem+json", False),
        (b"*/*", 200, b"application/json", False),
        (b"application/json;q=0", 200, b"application/json", True),
        (MSGPACK.encode(), 200, b"application/json", False),
    ],
)
def test_who_is_refused_by_a_strict_engine(accept, status, content_type, refused):
    fields = {"content_type": content_type}
    plan = planned((accept, None), fields, status, engine=make_engine(format_strict=True))
    assert plan.refused is refused
    assert not planned((accept, None), fields, status).refused


def test_an_event_stream_is_known_by_its_type():
    assert planned(BROWSER, {"content_type": b"Text/Event-Stream; charset=utf-8"}).event_stream
    assert not planned(BROWSER, {"content_type": b"text/plain"}).event_stream


def test_further_types_are_compressed_where_it_is_set():
    engine = make_engine(compressible_types="application/x-mine")
    assert what(planned(BROWSER, {"content_type": b"application/x-mine"}, engine=engine))[1] == "br"
    assert planned(BROWSER, {"content_type": b"application/x-mine"}).passes


_names = st.sampled_from(
    ["content_type", "content_length", "content_encoding", "cache_control", "vary", "content_range"]
)


@given(st.dictionaries(_names, st.binary(max_size=30)), st.integers(100, 599), st.booleans())
def test_any_head_is_planned(fields, status, trailers):
    plan = planned(PACKED, fields, status, trailers)
    assert plan.passes is (what(plan) == ("", ""))
    assert (plan.vary is None) is (plan.negotiates == BY_NONE)
