import subprocess
import sys
from collections.abc import Iterator

import pytest

from asgi_serial.codecs.base import Decoder
from asgi_serial.codecs.registry import build_codecs, coding_names, probe_codec
from asgi_serial.codecs.zlib_codec import ZlibCodec, ZlibEncoder
from asgi_serial.errors import CodecError, ConfigurationError


class ChangingCodec:
    """gzip that loses the first byte of a whole body."""

    name = "changing"
    offload_bytes = 1000
    recall_bytes = 1000

    def compress(self, data: bytes) -> bytes:
        return ZlibCodec("gzip").compress(b"x" + data[1:])

    def encoder(self, *, event_stream: bool = False) -> ZlibEncoder:
        return ZlibCodec("gzip").encoder(event_stream=event_stream)

    def decoder(self) -> Decoder:
        return ZlibCodec("gzip").decoder()


class RaisingCodec(ChangingCodec):
    """gzip that can not decode."""

    name = "raising"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def decoder(self) -> Decoder:
        return RaisingDecoder(self._error)


class RaisingDecoder:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def decode_at_once(self, data: bytes) -> bytes | None:
        raise self._error

    def pieces(self, data: bytes) -> Iterator[bytes]:
        raise self._error

    def feed(self, data: bytes, *, limit: int) -> bytes:
        raise self._error

    def finish(self) -> None:
        raise self._error


def test_codecs_keep_the_order_of_their_names() -> None:
    assert [codec.name for codec in build_codecs(["gzip", "zstd", "gzip"])] == ["gzip", "zstd"]
    assert build_codecs([]) == ()


def test_levels_reach_their_codecs() -> None:
    body = b"".join(b"%d," % number for number in range(5000))
    least = build_codecs(coding_names(), {"gzip_level": 0, "brotli_level": 0, "zstd_level": -7})
    most = build_codecs(coding_names(), {"gzip_level": 9, "brotli_level": 11, "zstd_level": 19})
    for low, high in zip(least, most, strict=True):
        assert len(low.compress(body)) > 1.2 * len(high.compress(body))


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'lzma' is not .* zstd, br, gzip, deflate"):
        build_codecs(["gzip", "lzma"])


def test_a_wrong_level_is_told() -> None:
    with pytest.raises(ConfigurationError, match="level of zstd is 23; expected"):
        build_codecs(["zstd"], {"zstd_level": 23})


def test_a_codec_that_changes_bytes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="changing decodes to other bytes"):
        probe_codec(ChangingCodec())


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(CodecError("corrupt"), id="its own data is corrupt to it"),
        pytest.param(TypeError("unexpected keyword argument"), id="a library that is too old"),
    ],
)
def test_a_codec_that_does_not_decode_is_refused(error: Exception) -> None:
    with pytest.raises(ConfigurationError, match="raising does not decode what it encodes"):
        probe_codec(RaisingCodec(error))


def test_importing_the_codecs_imports_no_optional_library() -> None:
    program = (
        "import sys, asgi_serial.codecs.registry, asgi_serial.codecs.decoding\n"
        "print([name for name in ('isal', 'zlib_ng', 'zstandard') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"
