"""The 304 that a client gets which has the representation already."""

import pytest

from tests.engine.making import (
    GZIP,
    HTML,
    PICTURE,
    TAG,
    as_list,
    body,
    content_of,
    fields_of,
    make_engine,
    make_flow,
    run,
    start,
)

LAST = body(b"<p>" * 200)

ENGINE = make_engine(encodings_cache=False)


@pytest.mark.parametrize(
    ("headers", "fields", "condition", "status"),
    [
        pytest.param((), [HTML, TAG], b'"1"', 304, id="the app's own tag"),
        pytest.param((), [HTML, TAG], b'W/"1"', 304, id="compared weakly"),
        pytest.param((), [HTML, TAG], b'"0", "1"', 304, id="one of several"),
        pytest.param((), [HTML, TAG], b"*", 304, id="any"),
        pytest.param((), [HTML, TAG], b'"2"', 200, id="another"),
        pytest.param((), [HTML, TAG], b'"1-gzip"', 200, id="another variant's"),
        pytest.param((GZIP,), [HTML, TAG], b'"1-gzip"', 304, id="this variant's"),
        pytest.param((GZIP,), [HTML, TAG], b'"1"', 200, id="the app's own, for another variant"),
        pytest.param((), [HTML], b'"1"', 200, id="no tag, and nothing to make one for"),
        pytest.param((), [PICTURE, (b"etag", b'"1-gzip"')], b'"1-gzip-identity"', 304),
        pytest.param((), [PICTURE, (b"etag", b'"1-gzip"')], b'"1-gzip"', 200),
    ],
)
def test_a_client_that_has_it_gets_a_304(headers, fields, condition, status):
    """RFC 9110, 13.1.2."""
    flow = make_flow(ENGINE, *headers, (b"if-none-match", condition))
    out = run(flow, start(*fields), body(b"<p>" * 600))
    assert out[0]["status"] == flow.status == status
    assert bool(content_of(out)) is (status == 200)
    assert b"vary" in fields_of(out) or fields[0] is PICTURE
    if status == 304:
        assert b"etag" in fields_of(out)
        assert not {b"content-length", b"content-type", b"content-encoding"} & fields_of(out).keys()
        assert flow.sizes()[2] == 0


@pytest.mark.parametrize("status", [201, 404, 500])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_only_a_read_that_succeeds_becomes_a_304(status, method):
    flow = make_flow(ENGINE, (b"if-none-match", b"*"), method=method)
    assert run(flow, start(HTML, TAG, status=status), LAST)[0]["status"] == status


@pytest.mark.parametrize("more", [True, False])
@pytest.mark.parametrize("kind", ["http.response.pathsend", "http.response.zerocopysend"])
def test_no_file_follows_a_304(kind, more):
    flow = make_flow(ENGINE, (b"if-none-match", b'"1"'))
    assert run(flow, start(HTML, TAG))[0]["status"] == 304
    message = {"type": kind, "path": "/a", "more_body": more}
    out = as_list(flow.feed(message))
    assert out == ([] if more else [body()])
    assert flow.is_over is not more


def test_a_file_in_parts_is_over_with_its_last():
    flow = make_flow(ENGINE)
    run(flow, start(HTML, TAG))
    part = {"type": "http.response.zerocopysend", "file": 3, "more_body": True}
    assert flow.feed(part) == [part]
    assert not flow.is_over
    last = {**part, "more_body": False}
    assert flow.feed(last) == [last]
    assert flow.is_over
    assert flow.feed(last) == [last]  # a server may refuse what comes after the end


@pytest.mark.parametrize(
    ("headers", "etag", "shown"),
    [
        pytest.param((), b'"1"', b'"1"', id="nothing asked"),
        pytest.param((GZIP, (b"if-none-match", b'"1-gzip"')), b'"1"', b'"1-gzip"', id="encoded"),
        pytest.param((GZIP, (b"if-none-match", b'W/"1-gzip"')), b'"1"', b'W/"1-gzip"', id="weak"),
        pytest.param((GZIP, (b"if-none-match", b'"1"')), b'"1"', b'"1"', id="as the app made it"),
        pytest.param((GZIP, (b"if-none-match", b'"2"')), b'"1"', b'"1"', id="by another condition"),
        pytest.param((), b'"1-gzip"', b'"1-gzip-identity"', id="protected"),
    ],
)
def test_a_304_of_the_app_shows_the_tag_that_the_client_has(headers, etag, shown):
    """RFC 9110, 15.4.5: it carries the ETag that the 200 would have had."""
    out = run(make_flow(ENGINE, *headers), start((b"etag", etag), status=304), body())
    assert (out[0]["status"], fields_of(out)[b"etag"]) == (304, shown)
    assert b"accept-encoding" in fields_of(out)[b"vary"]
