"""What is done to a body, and what its client is told of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.cache.in_flight import CallResult
from asgi_serial.reasons import Reason
from asgi_serial.response.flow import Done
from tests.engine.making import (
    FRESH,
    GZIP,
    HTML,
    JSON,
    TAG,
    WANTS_MSGPACK,
    body,
    content_of,
    decoded,
    fields_of,
    length_of,
    make_document,
    make_engine,
    make_flow,
    run,
    start,
)

ENGINE = make_engine(encodings_cache=False)
LAST = body(b"<p>" * 200)


def test_what_is_too_small_to_pay_is_sent_as_it_is():
    document = make_document(100)
    flow = make_flow(ENGINE, GZIP)
    out = run(flow, start(HTML), body(document))
    assert content_of(out) == document
    assert b"content-encoding" not in fields_of(out)
    assert b"accept-encoding" in fields_of(out)[b"vary"]
    assert Reason.TOO_SMALL in flow.reasons()


@given(st.binary(min_size=500, max_size=600))
def test_an_encoded_body_is_smaller_than_the_apps(data):
    flow = make_flow(ENGINE, GZIP)
    out = run(flow, start(HTML, length_of(data)), body(data))
    assert decoded(ENGINE, out) == data
    is_encoded = b"content-encoding" in fields_of(out)
    assert (len(content_of(out)) < len(data)) is is_encoded
    assert (Reason.WOULD_NOT_SHRINK in flow.reasons()) is not is_encoded


@pytest.mark.parametrize("headers", [(), (GZIP,), (WANTS_MSGPACK,)])
def test_a_head_is_told_what_a_get_would_be_and_gets_no_content(headers):
    """RFC 9110, 9.3.2."""
    document = make_document(3000)
    first = start(JSON, length_of(document), TAG)
    got = run(make_flow(ENGINE, *headers), first, body(document))
    flow = make_flow(ENGINE, *headers, method="HEAD")
    told = run(flow, first, body(document if headers == (GZIP,) else b""))
    assert flow.state is Done
    assert content_of(told) == b""
    assert fields_of(told).items() <= fields_of(got).items()
    assert fields_of(told)[b"vary"] == fields_of(got)[b"vary"]
    # Which form GET gives depends on the content, and so do the fields that describe it.
    assert (b"etag" in fields_of(told)) is (headers == ())
    assert flow.sizes()[2] == 0


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("headers", [(), (GZIP,), (WANTS_MSGPACK,)])
def test_a_body_of_any_bytes_like_object(kind, headers):
    document = make_document(3000)
    flow = make_flow(ENGINE, *headers)
    out = run(flow, start(JSON, FRESH), body(kind(document[:9]), True), body(kind(document[9:])))
    content = b"".join(bytes(message["body"]) for message in out[1:])
    assert flow.entry.all_forms[0].body == content
    assert type(flow.entry.all_forms[0].body) is bytes


def test_the_label_of_a_route_is_asked_for_once():
    asked = []
    engine = make_engine()
    engine.label = lambda scope: asked.append(scope["path"]) or "/{id}"
    flow = make_flow(engine, path="/7")
    flow.begin(start(HTML))
    assert [flow.route(), flow.route()] == ["/{id}", "/{id}"]
    assert asked == ["/7"]


@pytest.mark.parametrize(
    ("first", "result"),
    [
        pytest.param(start(HTML), CallResult.UNCACHEABLE, id="not one to store"),
        pytest.param(
            start(HTML, status=304), CallResult.FAILED, id="a 304 says nothing of the others"
        ),
    ],
)
def test_how_a_call_ends_for_those_who_wait(first, result):
    flow = make_flow(ENGINE)
    run(flow, first, LAST)
    assert flow.call_result is result
