"""What becomes of a body that the app makes again and again."""

import pytest

from tests.engine.making import (
    GZIP,
    JSON,
    PICTURE,
    WANTS_MSGPACK,
    body,
    content_of,
    fields_of,
    length_of,
    make_document,
    make_engine,
    make_flow,
    run,
    start,
)

LONG = body(make_document(900_000))


class TestEncodings:
    """A body that the app makes again is not encoded again."""

    @pytest.mark.parametrize(
        ("headers", "document"),
        [
            pytest.param((GZIP,), make_document(3000), id="compressed"),
            pytest.param((WANTS_MSGPACK,), make_document(3000), id="translated"),
            pytest.param((GZIP, WANTS_MSGPACK), make_document(3000), id="both"),
            pytest.param((WANTS_MSGPACK,), b"[18446744073709551616,%s0]" % (b"0," * 999)),
        ],
    )
    def test_the_second_is_as_the_first(self, headers, document):
        engine = make_engine()
        flows = [make_flow(engine, *headers) for _ in range(2)]
        one, two = [run(flow, start(JSON), body(document)) for flow in flows]
        assert one == two
        assert [flow.encoding_outcome for flow in flows] == ["miss", "hit"]
        assert flows[0].sizes() == flows[1].sizes()
        assert (engine.encodings.misses, engine.encodings.hits) == (1, 1)

    def test_another_variant_is_encoded_by_itself(self):
        engine = make_engine()
        for coding in (b"gzip", b"br"):
            flow = make_flow(engine, (b"accept-encoding", coding))
            run(flow, start(JSON), body(make_document(3000)))
            assert flow.encoding_outcome == "miss"
            assert flow.coding == coding.decode()

    def test_the_tag_is_of_the_bytes_though_the_app_gives_one(self):
        engine = make_engine()
        for tag in (b'"1"', b'"2"'):
            flow = make_flow(engine, GZIP)
            out = run(flow, start(JSON, (b"etag", tag)), body(make_document(3000)))
            assert fields_of(out)[b"etag"] == b'W/"%s-gzip"' % tag.strip(b'"')
        assert flow.encoding_outcome == "hit"

    @pytest.mark.parametrize(
        ("headers", "first", "content"),
        [
            pytest.param((), start(JSON), make_document(3000), id="nothing to encode"),
            pytest.param((GZIP,), start(JSON), make_document(600), id="too small to pay"),
            pytest.param((GZIP,), start(PICTURE), bytes(3000), id="not compressible"),
        ],
    )
    def test_what_is_not_looked_up(self, headers, first, content):
        flow = make_flow(make_engine(), *headers)
        run(flow, first, body(content))
        assert flow.encoding_outcome == ""

    def test_a_whole_body_gets_a_tag_and_its_304_out_of_it(self):
        engine = make_engine()
        first = start(JSON, length_of(make_document(3000)))
        out = run(make_flow(engine, GZIP), first, body(make_document(3000)))
        condition = (b"if-none-match", fields_of(out)[b"etag"])
        again = run(make_flow(engine, GZIP, condition), first, body(make_document(3000)))
        assert (again[0]["status"], content_of(again)) == (304, b"")

    def test_only_a_200_gets_a_tag(self):
        out = run(make_flow(make_engine(), GZIP), start(JSON, status=404), LONG)
        assert b"etag" not in fields_of(out)
