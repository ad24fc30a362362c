"""What each coding's own format allows and forbids."""

import gzip
import sys
import time
import zlib
from collections.abc import Callable
from types import SimpleNamespace

import brotli
import pytest

from asgi_serial.codecs.base import Codec
from asgi_serial.codecs.bounded import MAX_MEMBERS
from asgi_serial.codecs.brotli_codec import BrotliCodec
from asgi_serial.codecs.zlib_codec import ZlibCodec, find_isal
from asgi_serial.codecs.zstd_codec import ZstdCodec, zstd
from asgi_serial.errors import CodecError, ConfigurationError, OutputLimitExceeded

GZIP, DEFLATE, BROTLI, ZSTD = ZlibCodec("gzip"), ZlibCodec("deflate"), BrotliCodec(), ZstdCodec()
BODY = b"a body, and a body, and a body"
SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00abcde"


def decode(codec: Codec, data: bytes, chunk_bytes: int = 1 << 30) -> bytes:
    decoder = codec.decoder()
    chunks = [data[start : start + chunk_bytes] for start in range(0, len(data), chunk_bytes)]
    decoded = b"".join(decoder.feed(chunk, limit=1 << 30) for chunk in chunks)
    decoder.finish()
    return decoded


def raw_deflate(body: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(body) + deflater.flush()


def zstd_frame(body: bytes, options: dict[int, int]) -> bytes:
    return zstd.ZstdCompressor(options=options).compress(body, zstd.ZstdCompressor.FLUSH_FRAME)


def zstd_window(bits: int) -> bytes:
    compressor = zstd.ZstdCompressor(options={100: 1, 101: bits})
    return compressor.compress(BODY, zstd.ZstdCompressor.FLUSH_BLOCK) + compressor.flush()


def dictionary_frame() -> bytes:
    samples = [b"sample %d of what repeats itself" % number for number in range(2000)]
    dictionary = zstd.train_dict(samples, 1000)
    return zstd.compress(BODY, zstd_dict=dictionary)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1 << 20], ids="chunks of {} bytes".format)
@pytest.mark.parametrize(
    ("codec", "data", "body"),
    [
        pytest.param(GZIP, GZIP.compress(b"a") + GZIP.compress(b"b"), b"ab", id="gzip members"),
        pytest.param(GZIP, GZIP.compress(b"") * 3, b"", id="empty gzip members"),
        pytest.param(DEFLATE, zlib.compress(BODY), BODY, id="deflate as zlib data"),
        pytest.param(DEFLATE, raw_deflate(BODY), BODY, id="deflate without zlib's frame"),
        pytest.param(DEFLATE, raw_deflate(b""), b"", id="nothing, without zlib's frame"),
        pytest.param(ZSTD, ZSTD.compress(b"a") + ZSTD.compress(b"b"), b"ab", id="zstd frames"),
        pytest.param(ZSTD, SKIPPABLE + ZSTD.compress(BODY), BODY, id="a skippable frame first"),
        pytest.param(ZSTD, ZSTD.compress(BODY) + SKIPPABLE, BODY, id="a skippable frame last"),
        pytest.param(ZSTD, zstd_frame(BODY, {201: 1}), BODY, id="a zstd frame with a checksum"),
        pytest.param(ZSTD, zstd_frame(BODY, {200: 0}), BODY, id="a zstd frame without its size"),
        pytest.param(ZSTD, zstd_window(23), BODY, id="a window of 8 MB"),
    ],
)
def test_is_decoded(codec: Codec, data: bytes, body: bytes, chunk_bytes: int) -> None:
    assert decode(codec, data, chunk_bytes) == body


def corrupt(data: bytes, position: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("codec", "data"),
    [
        pytest.param(GZIP, corrupt(gzip.compress(BODY), -8), id="a wrong CRC"),
        pytest.param(GZIP, corrupt(gzip.compress(BODY), -1), id="a wrong size"),
        pytest.param(GZIP, GZIP.compress(BODY) + b"\0" * 512, id="zeros after the last member"),
        pytest.param(GZIP, zlib.compress(BODY), id="zlib data as gzip"),
        pytest.param(DEFLATE, gzip.compress(BODY), id="gzip as deflate"),
        pytest.param(DEFLATE, zlib.compress(BODY) * 2, id="two zlib streams"),
        pytest.param(DEFLATE, corrupt(zlib.compress(BODY), -1), id="a wrong Adler checksum"),
        pytest.param(BROTLI, brotli.compress(BODY) * 2, id="two brotli streams"),
        pytest.param(ZSTD, corrupt(zstd_frame(BODY, {201: 1}), -1), id="a wrong zstd checksum"),
        pytest.param(ZSTD, zstd_window(24), id="a window over 8 MB"),
        pytest.param(ZSTD, dictionary_frame(), id="a dictionary"),
        pytest.param(ZSTD, SKIPPABLE[:-1], id="a skippable frame cut short"),
    ],
)
def test_is_refused(codec: Codec, data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(codec, data)


def seconds_to_decode(codec: Codec, data: bytes) -> float:
    start = time.process_time()
    decode(codec, data)
    return time.process_time() - start


@pytest.mark.parametrize(
    "codec", [pytest.param(GZIP, id="gzip members"), pytest.param(ZSTD, id="zstd frames")]
)
def test_many_members_cost_no_more_each(codec: Codec) -> None:
    """Copying the rest for each of them would make ten times as many cost a hundred times."""
    member = codec.compress(b"x" * 100)
    few = min(seconds_to_decode(codec, member * (MAX_MEMBERS // 10)) for _ in range(5))
    assert min(seconds_to_decode(codec, member * MAX_MEMBERS) for _ in range(5)) < 30 * few


def test_the_number_of_members_is_limited() -> None:
    member = GZIP.compress(b"")
    assert decode(GZIP, member * MAX_MEMBERS) == b""
    with pytest.raises(OutputLimitExceeded, match=f"more than {MAX_MEMBERS} members"):
        decode(GZIP, member * (MAX_MEMBERS + 1))


@pytest.mark.parametrize("level", [-7, 1, 3, 17, 19])
def test_zstd_never_asks_for_a_window_over_8_mb(level: int) -> None:
    """The decoder refuses such a frame (RFC 9659, 3)."""
    codec = ZstdCodec(level)
    encoder = codec.encoder()
    encoded = encoder.feed(BODY, flush=True) + encoder.finish()
    assert decode(codec, encoded) == BODY


def test_zstd_says_the_size_of_a_whole_body() -> None:
    for size in (0, 1, 1000, 300_000, 9_000_000):
        encoded = ZstdCodec(1).compress(bytes(size))
        assert zstd.get_frame_info(encoded).decompressed_size == size
        assert decode(ZSTD, encoded) == bytes(size)


def test_gzip_has_no_time_in_its_header() -> None:
    for codec in (GZIP, ZlibCodec("gzip", accelerate=False)):
        for size in (10, 10_000):
            assert codec.compress(bytes(size))[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_gzip_does_without_isal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    assert find_isal() is None
    plain = ZlibCodec("gzip", accelerate=False).compress(BODY * 1000)
    assert ZlibCodec("gzip").compress(BODY * 1000) == plain
    assert decode(GZIP, plain) == BODY * 1000


@pytest.mark.parametrize(("level", "isal_level"), [(1, 1), (3, 2), (6, 3)])
def test_isal_takes_the_levels_that_it_has(
    monkeypatch: pytest.MonkeyPatch, level: int, isal_level: int
) -> None:
    calls = []

    def compress(data: bytes, level: int, wbits: int) -> bytes:
        calls.append((level, wbits))
        return b"encoded"

    monkeypatch.setitem(sys.modules, "isal.isal_zlib", SimpleNamespace(compress=compress))
    for size in (4096, 4097):
        assert ZlibCodec("gzip", level).compress(bytes(size)) == b"encoded"
        assert ZlibCodec("deflate", level).compress(bytes(size)) == b"encoded"
    assert calls == [(1, 31), (1, 15), (isal_level, 31), (isal_level, 15)]


@pytest.mark.parametrize("level", [0, 7, 9])
def test_zlib_keeps_the_levels_that_isal_does_not_have(
    monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", SimpleNamespace())
    assert decode(GZIP, ZlibCodec("gzip", level).compress(BODY * 1000)) == BODY * 1000


@pytest.mark.parametrize(
    ("make", "level"),
    [
        pytest.param(lambda level: ZlibCodec("gzip", level), 10, id="gzip 10"),
        pytest.param(lambda level: ZlibCodec("deflate", level), -1, id="deflate -1"),
        pytest.param(BrotliCodec, 12, id="br 12"),
        pytest.param(ZstdCodec, 20, id="zstd 20, whose window is over 8 MB"),
        pytest.param(ZstdCodec, -8, id="zstd -8"),
    ],
)
def test_a_level_that_a_coding_does_not_have_is_named(
    make: Callable[[int], Codec], level: int
) -> None:
    with pytest.raises(ConfigurationError, match=rf"is {level}; expected an integer from"):
        make(level)


def test_brotli_chooses_its_level_by_the_size() -> None:
    small, large = b"".join(b"%d," % number for number in range(5000)), BODY * 2000
    assert BrotliCodec().compress(small) == BrotliCodec(5).compress(small)
    assert BrotliCodec().compress(large) == BrotliCodec(4).compress(large)
