"""The coding zstd, by the standard library or its backport."""

import sys
import threading
from collections.abc import Mapping
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from asgi_serial.codecs.bounded import BoundedDecoder, Member
from asgi_serial.codecs.levels import Levels

# RFC 9659, 3: "decoders MUST support a Window_Size of up to and including 8 MB, and encoders MUST
# NOT generate frames requiring a Window_Size larger than 8 MB". Levels above 19 would.
_WINDOW_BITS = 23
ZSTD_LEVELS = Levels(-7, 19, default=3)

# A new context costs 8 us, as much as compressing 1 KB of JSON. Above this size the cost does not
# matter, and a context that is kept for each thread would hold megabytes.
_REUSE_BYTES = 256 << 10

# For events of 350 bytes, each flushed, time, memory and ratio are at level 1: 4 us, 0.13 MB, 0.55;
# 3: 4.3 us, 0.8 MB, 0.53. There may be one such encoder for every client, so their windows are
# small.
_EVENT_LEVEL = 1
_EVENT_WINDOW_BITS = 17

# The size of JSON that takes 1 ms, by level from 1 on.
_OFFLOAD_KB = (346, 264, 212, 123, 72, 84, 72, 64, 58, 49, 37, 35, 12, 12, 12, 7, 7, 7, 7)

_DECODER_OPTIONS: Final[Mapping[int, int]] = {
    zstd.DecompressionParameter.window_log_max: _WINDOW_BITS
}

_CONTINUE: Final = zstd.ZstdCompressor.CONTINUE
_FLUSH_BLOCK: Final = zstd.ZstdCompressor.FLUSH_BLOCK
_FLUSH_FRAME: Final = zstd.ZstdCompressor.FLUSH_FRAME


class ZstdCodec:
    """zstd (RFC 8878, RFC 9659), levels -7 to 19."""

    name = "zstd"
    recall_bytes = 2_000

    def __init__(self, level: int | None = None) -> None:
        self._level = ZSTD_LEVELS.choose(self.name, level)
        self._local = threading.local()
        # The size from which encoding a whole body takes over 1 ms.
        self.offload_bytes = _OFFLOAD_KB[max(self._level, 1) - 1] << 10

    def compress(self, data: bytes) -> bytes:
        """Encode one whole body; the frame states its size, so decoders allocate no more."""
        if len(data) > _REUSE_BYTES:
            return zstd.ZstdCompressor(self._level).compress(data, _FLUSH_FRAME)
        # A context per thread: threads that share one wait for each other or crash, depending on
        # the version of the library.
        try:
            compressor: zstd.ZstdCompressor = self._local.compressor
        except AttributeError:
            compressor = self._local.compressor = zstd.ZstdCompressor(self._level)
        return compressor.compress(data, _FLUSH_FRAME)

    def encoder(self, *, event_stream: bool = False) -> "ZstdEncoder":
        """Return a new encoder; for an event stream at level 1 at most."""
        parameter = zstd.CompressionParameter
        if event_stream:
            return ZstdEncoder(
                {
                    parameter.compression_level: min(self._level, _EVENT_LEVEL),
                    parameter.window_log: _EVENT_WINDOW_BITS,
                }
            )
        return ZstdEncoder({parameter.compression_level: self._level})

    def decoder(self) -> BoundedDecoder:
        """Return a new decoder, which accepts several frames and refuses windows over 8 MB."""
        return BoundedDecoder(self.name, _begin_frame, many=True, errors=zstd.ZstdError)


class ZstdEncoder:
    """An Encoder of one zstd frame."""

    __slots__ = ("_compressor",)

    def __init__(self, options: Mapping[int, int]) -> None:
        self._compressor = zstd.ZstdCompressor(options=options)

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        """Encode `data`; with `flush`, the output so far can be decoded to all input so far."""
        return self._compressor.compress(data, _FLUSH_BLOCK if flush else _CONTINUE)

    def finish(self) -> bytes:
        """Return the last bytes; the encoder cannot be used again."""
        return self._compressor.flush(_FLUSH_FRAME)


def _begin_frame(first_byte: int) -> Member:
    # No dictionary is given, so a frame that requires one counts as corrupt.
    return zstd.ZstdDecompressor(options=_DECODER_OPTIONS)
