import random
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.codecs.bounded import MAX_MEMBERS
from asgi_serial.codecs.decoding import (
    LOOP_WORK,
    RATIO_FREE_BYTES,
    BodyDecoder,
    DecodeLimits,
    UnsupportedCoding,
    parse_content_encoding,
)
from asgi_serial.codecs.registry import build_codecs, coding_names
from asgi_serial.errors import CodecError, OutputLimitExceeded

CODECS = {codec.name: codec for codec in build_codecs(coding_names())}
LIMITS = DecodeLimits(encoded_bytes=1_000_000, decoded_bytes=4_000_000, ratio=200, codings=3)
BODY = b'{"id": 1, "name": "a body"}' * 200


def encode(body: bytes, *codings: str) -> bytes:
    for coding in codings:
        body = CODECS[coding].compress(body)
    return body


def decode(data: bytes, codings: tuple[str, ...], limits: DecodeLimits, size: int) -> bytes:
    decoder = BodyDecoder(codings, CODECS, limits)
    for start in range(0, len(data), size):
        decoder.feed(data[start : start + size])
    return decoder.finish()


@pytest.mark.parametrize(
    ("value", "codings"),
    [
        pytest.param(b"gzip", ("gzip",), id="one coding"),
        pytest.param(b"gzip, br", ("gzip", "br"), id="two in the order they were applied"),
        pytest.param(b"GZip", ("gzip",), id="any case"),
        pytest.param(b"x-gzip,X-GZIP", ("gzip", "gzip"), id="x-gzip is gzip"),
        pytest.param(b"identity", (), id="identity is none"),
        pytest.param(b"br, identity , zstd", ("br", "zstd"), id="identity between others"),
        pytest.param(b" , ,gzip,", ("gzip",), id="empty elements"),
        pytest.param(b"", (), id="an empty value"),
        pytest.param(b"lzma;q=1", ("lzma;q=1",), id="what is no token stays, to be refused"),
        pytest.param(b"\xff\xfe", ("\xff\xfe",), id="bytes that are no text"),
    ],
)
def test_parse_content_encoding(value: bytes, codings: tuple[str, ...]) -> None:
    assert parse_content_encoding(value) == codings


@given(st.binary(max_size=200))
def test_any_value_is_parsed(value: bytes) -> None:
    assert "identity" not in parse_content_encoding(value)


@pytest.mark.parametrize("size", [1, 100, 1 << 20], ids="chunks of {} bytes".format)
@pytest.mark.parametrize(
    "codings",
    [
        ("gzip",),
        ("deflate",),
        ("br",),
        ("zstd",),
        ("gzip", "br"),
        ("zstd", "zstd"),
        ("deflate", "gzip", "zstd"),
    ],
    ids=" then ".join,
)
def test_codings_come_off_from_the_last(codings: tuple[str, ...], size: int) -> None:
    assert decode(encode(BODY, *codings), codings, LIMITS, size) == BODY


def test_a_body_without_codings_stays_as_it_is() -> None:
    assert decode(BODY, (), LIMITS, 10) == BODY
    assert decode(b"", (), LIMITS, 10) == b""


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="an empty body"),
        pytest.param(encode(BODY, "gzip", "br")[:-1], id="the outer coding cut short"),
        pytest.param(encode(encode(BODY, "gzip")[:-1], "br"), id="the inner coding cut short"),
        pytest.param(encode(encode(BODY, "gzip") + b"x", "br"), id="bytes after the inner one"),
        pytest.param(encode(BODY, "br", "gzip"), id="the codings in the wrong order"),
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20], ids="chunks of {} bytes".format)
def test_a_broken_body_is_refused(data: bytes, size: int) -> None:
    with pytest.raises(CodecError) as caught:
        decode(data, ("gzip", "br"), LIMITS, size)
    assert not isinstance(caught.value, OutputLimitExceeded)


@pytest.mark.parametrize("coding", ["lzma", "compress", "gzip;q=1", ""])
def test_an_unknown_coding_is_named(coding: str) -> None:
    with pytest.raises(UnsupportedCoding) as caught:
        BodyDecoder(("gzip", coding), CODECS, LIMITS)
    assert caught.value.coding == coding


def test_a_coding_that_is_not_offered_is_unknown() -> None:
    with pytest.raises(UnsupportedCoding, match="'br'"):
        BodyDecoder(("br",), {"gzip": CODECS["gzip"]}, LIMITS)


def test_too_many_codings_are_refused_before_any_is_looked_at() -> None:
    with pytest.raises(CodecError, match="has 4 content codings; expected at most 3"):
        BodyDecoder(("unknown",) * 4, CODECS, LIMITS)


@pytest.mark.parametrize("size", [7, 1 << 20], ids="chunks of {} bytes".format)
def test_the_encoded_size_is_limited_to_the_byte(size: int) -> None:
    data = encode(BODY, "gzip")
    exact = LIMITS._replace(encoded_bytes=len(data))
    assert decode(data, ("gzip",), exact, size) == BODY
    with pytest.raises(OutputLimitExceeded, match=f"more than {len(data) - 1} bytes"):
        decode(data, ("gzip",), exact._replace(encoded_bytes=len(data) - 1), size)


@pytest.mark.parametrize("codings", [("gzip",), ("br",), ("zstd",), ("gzip", "zstd")], ids=repr)
def test_the_decoded_size_is_limited_to_the_byte(codings: tuple[str, ...]) -> None:
    data = encode(BODY, *codings)
    exact = LIMITS._replace(decoded_bytes=len(BODY))
    assert decode(data, codings, exact, 100) == BODY
    with pytest.raises(OutputLimitExceeded, match=f"more than {len(BODY) - 1} bytes"):
        decode(data, codings, exact._replace(decoded_bytes=len(BODY) - 1), 100)


def test_the_limit_holds_between_two_codings() -> None:
    """The inner one ends at once, and what the outer one decodes to is too large for it."""
    inner = b"".join(b"\x50\x2a\x4d\x18\xff\xff\x00\x00" + bytes(0xFFFF) for _ in range(100))
    data = encode(inner + encode(BODY, "zstd"), "br")
    with pytest.raises(OutputLimitExceeded):
        decode(data, ("zstd", "br"), LIMITS._replace(ratio=1e9), 1000)


def test_small_bodies_may_have_any_ratio() -> None:
    data = encode(bytes(RATIO_FREE_BYTES), "br")
    assert decode(data, ("br",), LIMITS._replace(ratio=1), 10) == bytes(RATIO_FREE_BYTES)


@pytest.mark.parametrize("size", [1, 100, 1 << 20], ids="chunks of {} bytes".format)
@pytest.mark.parametrize("zeros_first", [True, False], ids=["dense start", "dense end"])
def test_the_ratio_is_that_of_the_whole_body(zeros_first: bool, size: int) -> None:
    """A dense start would be refused in small chunks, were the ratio judged as they arrive."""
    noise = bytes((number * number * 2654435761 >> 13) & 0xFF for number in range(20_000))
    body = bytes(3_000_000) + noise if zeros_first else noise + bytes(3_000_000)
    data = encode(body, "zstd")
    ratio = len(body) / len(data)
    assert decode(data, ("zstd",), LIMITS._replace(ratio=ratio + 1), size) == body
    with pytest.raises(OutputLimitExceeded):
        decode(data, ("zstd",), LIMITS._replace(ratio=ratio - 1), size)


@given(data=st.binary(max_size=100), size=st.integers(1, 20))
def test_any_body_decodes_or_is_refused_alike_however_it_is_cut(data: bytes, size: int) -> None:
    def outcome(chunk_bytes: int) -> bytes | type[CodecError]:
        try:
            return decode(data, ("deflate",), LIMITS, chunk_bytes)
        except CodecError as error:
            return type(error)

    assert outcome(size) == outcome(1000)


def test_the_encoded_size_is_known_before_decoding() -> None:
    decoder = BodyDecoder(("gzip",), CODECS, LIMITS)
    decoder.feed(b"abc")
    decoder.feed(b"de")
    assert decoder.encoded_bytes == 5


EMPTY_GZIP, EMPTY_ZSTD = encode(b"", "gzip"), encode(b"", "zstd")
SKIPPABLE = b"\x50\x2a\x4d\x18\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("codings", "data"),
    [
        pytest.param(("zstd",), EMPTY_ZSTD * MAX_MEMBERS, id="frames"),
        pytest.param(("zstd",), SKIPPABLE * MAX_MEMBERS, id="skippable frames"),
        pytest.param(("gzip",), EMPTY_GZIP * MAX_MEMBERS, id="members"),
        pytest.param(
            ("zstd", "gzip"),
            encode(EMPTY_ZSTD * (MAX_MEMBERS // 2), "gzip") + EMPTY_GZIP * (MAX_MEMBERS // 2 - 1),
            id="half of them in each of two codings",
        ),
        pytest.param(
            ("zstd", "gzip", "gzip"),
            encode(EMPTY_GZIP * (MAX_MEMBERS - 2) + encode(EMPTY_ZSTD, "gzip"), "gzip"),
            id="in the coding between two others",
        ),
    ],
)
def test_members_are_counted_over_all_codings(codings: tuple[str, ...], data: bytes) -> None:
    """RFC 1952, 2.2 and RFC 8878, 3: a body may consist of any number of members or frames."""
    one_more = EMPTY_ZSTD if codings == ("zstd",) else EMPTY_GZIP
    if len(codings) < 3:
        assert decode(data, codings, LIMITS, len(data)) == b""
    with pytest.raises(OutputLimitExceeded, match=f"more than {MAX_MEMBERS} members"):
        decode(data + one_more, codings, LIMITS, len(data))


@pytest.mark.parametrize(
    ("codings", "data", "body"),
    [
        pytest.param(
            ("zstd", "gzip"),
            encode(EMPTY_ZSTD * 900 + encode(BODY, "zstd"), "gzip"),
            BODY,
            id="hundreds of frames that decode to nothing",
        ),
        pytest.param(
            ("zstd",), encode(bytes(1_000_000), "zstd"), bytes(1_000_000), id="a dense body"
        ),
        pytest.param(
            ("zstd", "br"),
            encode(SKIPPABLE[:-4] + b"\0\0\x0c\0" + bytes(786_432) + encode(BODY, "zstd"), "br"),
            BODY,
            id="a long frame to skip under another coding",
        ),
    ],
)
def test_decoding_stops_where_the_work_is_done_that_is_allowed(
    codings: tuple[str, ...], data: bytes, body: bytes
) -> None:
    """The few bytes that arrive say nothing of the work; another thread may go on with the rest."""
    assert len(data) < 8_000
    decoder = BodyDecoder(codings, CODECS, LIMITS)
    decoder.feed(data)
    assert not decoder.decode(LOOP_WORK)
    assert decoder.decoded_bytes <= LOOP_WORK + (128 << 10)
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(decoder.finish).result() == body


def test_a_usual_body_is_decoded_within_the_work_that_is_allowed() -> None:
    decoder = BodyDecoder(("gzip",), CODECS, LIMITS)
    decoder.feed(encode(BODY * 20, "gzip"))
    assert decoder.decode(LOOP_WORK)
    assert decoder.decoded_bytes == 20 * len(BODY)
    assert decoder.finish() == BODY * 20


def test_a_body_in_tiny_pieces_takes_no_more_memory_than_in_one() -> None:
    decoder = BodyDecoder((), CODECS, LIMITS)
    tracemalloc.start()
    try:
        for number in range(50_000):
            decoder.feed(number.to_bytes(3, "big"))
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codings", [(), ("gzip",)], ids=["no coding", "gzip"])
def test_a_body_in_pieces_is_held_once(codings: tuple[str, ...]) -> None:
    body = random.Random(1).randbytes(900_000)
    data = encode(body, *codings)
    decoder = BodyDecoder(codings, CODECS, LIMITS)
    tracemalloc.start()
    try:
        for start in range(0, len(data), 1000):
            decoder.feed(data[start : start + 1000])
        assert decoder.finish() == body
        # The encoded one, the decoded one, and an eighth of both.
        assert tracemalloc.get_traced_memory()[1] < (1 + len(codings)) * 1.2 * len(body)
    finally:
        tracemalloc.stop()
