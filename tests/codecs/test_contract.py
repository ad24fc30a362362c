"""What every codec promises; a new one gets these tests by joining the table in conftest."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asgi_serial.codecs.base import Codec, Decoder
from asgi_serial.codecs.bounded import PIECE_BYTES
from asgi_serial.errors import CodecError, OutputLimitExceeded

ROWS = [{"id": n, "name": f"row {n}", "price": n * 1.1, "tags": ["a", "é"]} for n in range(3000)]
JSON = json.dumps(ROWS).encode()
NO_LIMIT = 1 << 30

per_codec = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
bodies = st.one_of(
    st.binary(max_size=2000),
    st.builds(lambda unit, count: unit * count, st.binary(max_size=40), st.integers(0, 5000)),
)


def decode(decoder: Decoder, *chunks: bytes) -> bytes:
    decoded = b"".join(decoder.feed(chunk, limit=NO_LIMIT) for chunk in chunks)
    decoder.finish()
    return decoded


def cut(data: bytes, seed: int) -> list[bytes]:
    generator = random.Random(seed)
    chunks = []
    while data:
        size = generator.choice([0, 1, 2, 7, 100, 511, 5000, 70_000])
        chunks.append(data[:size])
        data = data[size:]
    return chunks


@pytest.mark.parametrize(
    "size", [0, 1, 200, 8192, 8193, 16_384, 16_385, 32_769, len(JSON)], ids="{} bytes".format
)
def test_a_whole_body_comes_back(codec: Codec, size: int) -> None:
    body = JSON[:size]
    assert decode(codec.decoder(), codec.compress(body)) == body


@per_codec
@given(body=bodies)
def test_any_body_comes_back(codec: Codec, body: bytes) -> None:
    assert decode(codec.decoder(), codec.compress(body)) == body


@pytest.mark.parametrize("event_stream", [False, True], ids=["a stream", "an event stream"])
@per_codec
@given(chunks=st.lists(st.tuples(st.binary(max_size=3000), st.booleans()), max_size=8))
def test_a_flush_lets_all_that_was_fed_be_decoded(
    codec: Codec, event_stream: bool, chunks: list[tuple[bytes, bool]]
) -> None:
    encoder, decoder = codec.encoder(event_stream=event_stream), codec.decoder()
    fed = decoded = b""
    for chunk, flush in chunks:
        fed += chunk
        decoded += decoder.feed(encoder.feed(chunk, flush=flush), limit=NO_LIMIT)
        assert decoded == fed or not flush
    decoded += decoder.feed(encoder.finish(), limit=NO_LIMIT)
    decoder.finish()
    assert decoded == fed


def test_a_stream_may_flush_before_its_first_byte(codec: Codec) -> None:
    encoder = codec.encoder()
    start = encoder.feed(b"", flush=True) + encoder.feed(b"", flush=True)
    rest = encoder.feed(b"event", flush=True)
    assert decode(codec.decoder(), start, rest, encoder.finish()) == b"event"


def test_an_empty_stream_is_a_valid_one(codec: Codec) -> None:
    encoded = codec.encoder().finish()
    assert encoded
    assert decode(codec.decoder(), encoded) == b""


def test_equal_bodies_give_equal_bytes(codec: Codec) -> None:
    first = codec.compress(JSON), codec.compress(JSON[:1000])
    codec.compress(b"something else" * 100)
    assert (codec.compress(JSON), codec.compress(JSON[:1000])) == first


def test_equal_streams_give_equal_bytes(codec: Codec) -> None:
    def stream() -> bytes:
        encoder = codec.encoder()
        return encoder.feed(JSON[:5000], flush=True) + encoder.feed(JSON, flush=False)

    assert stream() == stream()


def test_bytes_decode_one_by_one(codec: Codec) -> None:
    encoded = codec.compress(JSON[:3000])
    assert decode(codec.decoder(), *(bytes([byte]) for byte in encoded)) == JSON[:3000]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("body", [JSON, bytes(2_000_000)], ids=["JSON", "zeros"])
def test_random_chunks_decode_as_the_whole(codec: Codec, body: bytes, seed: int) -> None:
    encoded = codec.compress(body)
    assert decode(codec.decoder(), *cut(encoded, seed)) == body


def test_a_body_cut_short_anywhere_is_refused(codec: Codec) -> None:
    encoded = codec.compress(JSON[:300])
    for size in range(len(encoded)):
        with pytest.raises(CodecError):
            decode(codec.decoder(), encoded[:size])


@pytest.mark.parametrize(
    "garbage", [b"\0", b"\0\0\0\0\0\0\0\0", b"x", b"\x1f\x8b", JSON[:100_000]], ids=repr
)
@pytest.mark.parametrize("apart", [False, True], ids=["in the same chunk", "in the next chunk"])
def test_what_follows_the_end_is_refused(codec: Codec, garbage: bytes, apart: bool) -> None:
    encoded = codec.compress(JSON[:300])
    chunks = [encoded, garbage] if apart else [encoded + garbage]
    with pytest.raises(CodecError):
        decode(codec.decoder(), *chunks)


def test_an_empty_chunk_after_the_end_is_nothing(codec: Codec) -> None:
    assert decode(codec.decoder(), codec.compress(b"x"), b"") == b"x"


@per_codec
@given(data=st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(codec: Codec, data: bytes) -> None:
    try:
        decode(codec.decoder(), data)
    except CodecError:
        pass


@per_codec
@given(position=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_changed_bytes_decode_or_are_refused(codec: Codec, position: int, flip: int) -> None:
    encoded = bytearray(codec.compress(JSON[:3000]))
    encoded[position % len(encoded)] ^= flip
    try:
        decode(codec.decoder(), bytes(encoded))
    except CodecError:
        pass


@pytest.mark.parametrize("size", [1000, 1_000_000], ids=["small", "large"])
def test_the_limit_is_the_last_size_that_decodes(codec: Codec, size: int) -> None:
    encoded = codec.compress(bytes(size))
    assert codec.decoder().feed(encoded, limit=size) == bytes(size)
    with pytest.raises(OutputLimitExceeded, match=f"more than {size - 1} bytes"):
        codec.decoder().feed(encoded, limit=size - 1)


@per_codec
@given(body=bodies)
def test_a_body_of_one_piece_is_decoded_at_once(codec: Codec, body: bytes) -> None:
    at_once = codec.decoder().decode_at_once(codec.compress(body))
    assert at_once == (body if len(body) < PIECE_BYTES else None)


@pytest.mark.parametrize("size", [PIECE_BYTES, 2 * PIECE_BYTES, 3_000_000], ids="{} bytes".format)
def test_pieces_go_on_where_one_step_was_not_enough(codec: Codec, size: int) -> None:
    encoded, decoder = codec.compress(bytes(size)), codec.decoder()
    at_once = decoder.decode_at_once(encoded)
    assert at_once in (None, bytes(PIECE_BYTES))
    if at_once is None:
        assert b"".join(decoder.pieces(encoded)) == bytes(size)
    decoder.finish()


@per_codec
@given(
    position=st.integers(0, 10_000),
    flip=st.integers(0, 255),
    cut_off=st.integers(0, 20),
    added=st.binary(max_size=3),
)
def test_what_is_decoded_at_once_is_what_a_decoder_gives(
    codec: Codec, position: int, flip: int, cut_off: int, added: bytes
) -> None:
    encoded = bytearray(codec.compress(JSON[:3000]))
    encoded[position % len(encoded)] ^= flip
    data = bytes(encoded[: len(encoded) - cut_off]) + added

    def outcome(decoder: Decoder, *, at_once: bool) -> bytes | str:
        try:
            decoded = decoder.decode_at_once(data) if at_once else None
            if decoded is None:
                decoded = b"".join(decoder.pieces(data))
            decoder.finish()
        except CodecError as error:
            return str(error)
        return decoded

    assert outcome(codec.decoder(), at_once=True) == outcome(codec.decoder(), at_once=False)


def test_pieces_are_bounded(codec: Codec) -> None:
    pieces = list(codec.decoder().pieces(codec.compress(bytes(4_000_000))))
    assert sum(map(len, pieces)) == 4_000_000
    assert max(map(len, pieces)) <= 256 << 10


def test_threads_may_share_a_codec(codec: Codec) -> None:
    bodies = [JSON[start : start + 5000] for start in range(0, 100_000, 5000)]
    expected = [codec.compress(body) for body in bodies]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(codec.compress, bodies * 4)) == expected * 4


def test_offloading_starts_at_a_size_that_suits_the_cost(codec: Codec) -> None:
    assert 1 << 10 <= codec.offload_bytes <= 1 << 20
