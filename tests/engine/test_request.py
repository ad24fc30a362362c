"""What the app is given in place of the request that came."""

import gzip
import random
import zlib

import brotli
import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.asgi.app_scope import scope_for_app
from asgi_serial.engine.app_engines import MARK
from asgi_serial.errors import CodecError, FormatError, OutputLimitExceeded
from asgi_serial.request.app_call import AppCall
from asgi_serial.request.body import RequestBody, why_refused
from tests.engine.making import MSGPACK, make_engine, make_plan, make_scope

ENGINE = make_engine()
ACCEPT_GZIP = (b"accept-encoding", b"gzip")
ACCEPT_DEFLATE = (b"accept-encoding", b"deflate")
IDENTITY = (b"accept-encoding", b"identity")
NO_TRANSFORM = (b"cache-control", b"no-transform")
ACCEPT_MSGPACK = (b"accept", MSGPACK.encode())
EITHER = MSGPACK.encode() + b", application/json;q=0.001"
PACKED = (b"content-type", MSGPACK.encode())
GZIPPED = (b"content-encoding", b"gzip")
LONG = (b"content-length", b"99")
X = (b"x-a", b"1")


def shown(*headers, method="GET", content=None, engine=ENGINE):
    """The fields that the app sees of a request with these, beside its Host."""
    scope = make_scope(method, headers=headers)
    plan = make_plan(engine, scope)
    given_scope, given_headers = dict(scope), list(scope["headers"])
    seen = scope_for_app(engine, plan, AppCall(), content)
    assert scope == given_scope
    assert scope["headers"] == given_headers
    assert seen is not scope
    assert seen[MARK] is engine
    return [pair for pair in seen["headers"] if pair[0] != b"host"]


@pytest.mark.parametrize(
    ("headers", "options", "expected"),
    [
        pytest.param([X], {}, [X], id="nothing of ours"),
        pytest.param([X, ACCEPT_GZIP, (b"x-b", b"2")], {}, [X, (b"x-b", b"2")], id="we encode"),
        pytest.param([ACCEPT_GZIP], {"compression": False}, [ACCEPT_GZIP], id="the app may encode"),
        pytest.param([ACCEPT_GZIP, X, ACCEPT_GZIP], {}, [X], id="in two lines"),
        pytest.param([ACCEPT_DEFLATE], {}, [ACCEPT_DEFLATE], id="we have no such coding"),
        pytest.param([ACCEPT_GZIP], {"codings": "zstd"}, [ACCEPT_GZIP], id="or not any more"),
        pytest.param([IDENTITY], {}, [IDENTITY], id="no coding is wanted"),
        pytest.param(
            [ACCEPT_GZIP, NO_TRANSFORM], {}, [ACCEPT_GZIP, NO_TRANSFORM], id="only the app may"
        ),
        pytest.param([ACCEPT_MSGPACK], {"formats": False}, [ACCEPT_MSGPACK]),
        pytest.param([(b"accept", b"application/json")], {}, [(b"accept", b"application/json")]),
        pytest.param([ACCEPT_MSGPACK], {}, [(b"accept", EITHER)], id="we translate"),
    ],
)
def test_what_the_app_sees_of_what_is_negotiated(headers, options, expected):
    assert shown(*headers, engine=make_engine(**options)) == expected


def test_a_request_without_anything_of_ours_keeps_its_list():
    scope = make_scope(headers=[(b"x-a", b"1")])
    assert scope_for_app(ENGINE, make_plan(ENGINE, scope), AppCall())["headers"] is scope["headers"]


def test_lists_of_pairs_are_taken_as_well():
    assert shown([b"x-a", b"1"], [b"accept-encoding", b"gzip"]) == [[b"x-a", b"1"]]


@pytest.mark.parametrize(
    ("method", "headers", "value", "seen"),
    [
        pytest.param("GET", [ACCEPT_GZIP], b'"1-gzip"', b'"1"', id="the variant that it would get"),
        pytest.param("GET", [ACCEPT_GZIP], b'"1"', b'"1"', id="the app's own"),
        pytest.param("GET", [ACCEPT_GZIP], b'"1-br"', b'"1-br"', id="another variant: no match"),
        pytest.param("GET", [], b'"1-gzip"', b'"1-gzip"', id="none that this client would get"),
        pytest.param("HEAD", [ACCEPT_GZIP], b'W/"1-gzip"', b'W/"1"', id="HEAD as GET"),
        pytest.param("GET", [ACCEPT_GZIP], b'"1-gzip-identity"', b'"1-gzip"', id="a protected one"),
        pytest.param("GET", [ACCEPT_GZIP], b'"0", "1-gzip"', b'"0", "1"', id="in a list"),
        pytest.param("GET", [ACCEPT_GZIP], b"*", b"*", id="any"),
        pytest.param("PUT", [], b'"1-gzip"', b'"1"', id="a write: any variant names the state"),
        pytest.param("PUT", [ACCEPT_GZIP], b'"1-msgpack-br"', b'"1"'),
        pytest.param("PUT", [], b'"1-x"', b'"1-x"', id="a write: what is not ours"),
    ],
)
@pytest.mark.parametrize("name", [b"if-none-match", b"if-match"])
def test_a_condition_is_shown_by_the_apps_own_tags(name, method, headers, value, seen):
    """RFC 9110, 13.1.1 and 13.1.2."""
    assert (name, seen) in shown(*headers, (name, value), method=method)


BODY_FIELDS = [
    (b"content-type", b"text/csv"),
    GZIPPED,
    LONG,
    (b"transfer-encoding", b"chunked"),
    (b"content-digest", b"sha-256=:x:"),
    (b"repr-digest", b"sha-256=:x:"),
    (b"content-md5", b"x"),
    (b"x-a", b"1"),
]


def test_a_decoded_body_is_described_as_it_is():
    seen = shown(*BODY_FIELDS, method="POST", content=b"abc")
    assert seen == [
        (b"content-type", b"text/csv"),
        (b"x-a", b"1"),
        (b"content-length", b"3"),
    ]


def test_a_translated_body_is_json():
    seen = shown(PACKED, (b"content-length", b"1"), method="POST", content=b"{}")
    assert seen == [(b"content-length", b"2"), (b"content-type", b"application/json")]


def test_a_body_as_it_came_is_described_as_it_came():
    assert shown(*BODY_FIELDS, method="POST", engine=make_engine(decoding=False)) == BODY_FIELDS


def body_of(*headers, engine=ENGINE):
    return RequestBody(engine, make_plan(engine, make_scope("POST", headers=headers)))


def take(reader, data, size=0):
    for place in range(0, len(data), size or len(data) or 1):
        reader.feed(data[place : place + (size or len(data))])
    return reader.finish()


ENCODE = {
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": brotli.compress,
    b"zstd": ENGINE.negotiator.codecs["zstd"].compress,
}


@given(
    st.binary(max_size=2000),
    st.lists(st.sampled_from(sorted(ENCODE)), min_size=1, max_size=3),
    st.integers(1, 50),
)
def test_a_body_is_decoded_in_reverse_order_however_it_is_cut(data, codings, size):
    """RFC 9110, 8.4: codings stand in the order in which they were applied."""
    encoded = data
    for coding in codings:
        encoded = ENCODE[coding](encoded)
    reader = body_of((b"content-encoding", b", ".join(codings)))
    assert take(reader, encoded, size) == data
    assert reader.encoded_bytes == len(encoded)


@given(st.recursive(st.none() | st.booleans() | st.integers(-9, 2**64 - 1) | st.text(max_size=9),
                    lambda inner: st.lists(inner, max_size=4)
                    | st.dictionaries(st.text(max_size=9), inner, max_size=4)))  # fmt: skip
def test_a_document_is_translated(value):
    encoded = gzip.compress(msgpack.packb(value))
    content = take(body_of(PACKED, GZIPPED), encoded)
    assert orjson.loads(content) == value


@given(st.binary(max_size=300), st.sampled_from([(), *sorted(ENCODE)]), st.booleans())
def test_any_bytes_are_a_body_or_an_error_of_ours(data, coding, is_packed):
    headers = [(b"content-encoding", coding)] if coding else []
    try:
        content = take(body_of(*headers, *[PACKED] * is_packed), data)
    except (CodecError, FormatError):
        return
    if is_packed and content:
        orjson.loads(content)
    elif not coding:
        assert content == data


@pytest.mark.parametrize(
    ("options", "data"),
    [
        pytest.param({"max_encoded": 100}, bytes(101), id="more than may arrive"),
        pytest.param(
            {"max_decoded": 999}, gzip.compress(b"ab" * 500), id="more than it may become"
        ),
        pytest.param({"max_ratio": 5}, gzip.compress(bytes(2_000_000)), id="more times its size"),
    ],
)
def test_a_body_beyond_a_limit_is_refused(options, data):
    reader = body_of(GZIPPED, engine=make_engine(**options))
    with pytest.raises(OutputLimitExceeded):
        take(reader, data)


@pytest.mark.parametrize(
    ("headers", "options", "status", "said"),
    [
        pytest.param([GZIPPED], {}, None, "", id="nothing against it"),
        pytest.param([(b"content-encoding", b"lzma")], {}, 415, "lzma"),
        pytest.param(
            [(b"content-encoding", b"gzip, br, gzip, br")], {}, 400, "4 codings; at most 3"
        ),
        pytest.param([GZIPPED, LONG], {"max_encoded": 98}, 413, "99 bytes; at most 98"),
        pytest.param([GZIPPED, LONG], {"max_encoded": 99}, None, ""),
        pytest.param([PACKED, LONG], {"format_max_size": 98}, 413, "at most 98"),
        pytest.param([PACKED, LONG, GZIPPED], {"format_max_size": 98}, None, ""),
    ],
)
def test_what_the_head_says_against_a_body(headers, options, status, said):
    engine = make_engine(**options)
    problem = why_refused(engine, make_plan(engine, make_scope("POST", headers=headers)))
    assert (problem and problem.status) == status
    assert problem is None or said in problem.detail


def test_a_coding_that_is_not_known_is_told_which_ones_are():
    """RFC 7694, 3."""
    plan = make_plan(ENGINE, make_scope("POST", headers=[(b"content-encoding", b"lzma")]))
    assert dict(why_refused(ENGINE, plan).fields) == {
        b"accept-encoding": b"zstd, br, gzip, deflate"
    }


@pytest.mark.parametrize(
    ("headers", "data", "is_slow"),
    [
        pytest.param((GZIPPED,), gzip.compress(b"[1]"), False, id="a short body"),
        pytest.param((GZIPPED,), b"", False, id="no body"),
        pytest.param((GZIPPED,), gzip.compress(bytes(1_000_000)), True, id="a dense body"),
        pytest.param((GZIPPED,), gzip.compress(b"", mtime=0) * 900, True, id="many members"),
        pytest.param(
            (GZIPPED,), gzip.compress(random.Random(1).randbytes(40_000)), True, id="much"
        ),
        pytest.param((PACKED,), msgpack.packb([1]), False, id="a short document"),
        pytest.param((PACKED,), msgpack.packb([1] * 200_000), False, id="one of usual length"),
        pytest.param((PACKED,), msgpack.packb([1] * 300_000), True, id="a long document"),
        pytest.param(
            (PACKED, GZIPPED), gzip.compress(msgpack.packb([1] * 300_000)), True, id="a dense one"
        ),
    ],
)
def test_what_takes_long_is_left_to_a_thread(headers, data, is_slow):
    reader = body_of(*headers)
    reader.feed(data)
    assert reader.is_slow() is is_slow
    reader.finish()
