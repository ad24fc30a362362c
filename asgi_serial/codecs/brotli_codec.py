"""The coding br, by Google's brotli."""

import brotli  # type: ignore[import-untyped]

from asgi_serial.codecs.bounded import BoundedDecoder, Member
from asgi_serial.codecs.levels import Levels

BROTLI_LEVELS = Levels(0, 11, default=None)

# JSON of 32 KB takes 0.59 ms at level 5 and 0.33 ms at level 4; JSON of 100 KB takes 2.0 and 1.2
# ms. Level 5 saves 4 % in both.
_LARGE_BYTES = 32 << 10
_SMALL_LEVEL = 5
_LARGE_LEVEL = 4

# With 16 bits, level 5 uses a simpler search: 8 % less time at 10 KB, and a quarter of the memory.
# More than 22 bits (4 MB) would cost every client memory, and hardly shrink the bodies of an API.
_LEAST_WINDOW_BITS = 16
_MOST_WINDOW_BITS = 22

# For events of 350 bytes, each flushed, time, memory and ratio are at level 2: 5 us, 0.3 MB, 0.58;
# 3: 12 us, 0.3 MB, 0.52; 4: 16 us, 0.55 MB, 0.51; 5: 20 us, 0.37 MB, 0.47. There may be one such
# encoder for every client, so their windows are small.
_EVENT_LEVEL = 3
_EVENT_WINDOW_BITS = 16

# The size of JSON that takes 1 ms, by level.
_OFFLOAD_KB = (294, 224, 130, 111, 108, 46, 41, 35, 33, 33, 1, 1)


class BrotliCodec:
    """br (RFC 7932), levels 0 to 11; by default 5 for bodies up to 32 KB and 4 above."""

    name = "br"
    recall_bytes = 1_000

    def __init__(self, level: int | None = None) -> None:
        if level is not None:
            BROTLI_LEVELS.choose(self.name, level)
        self._small_level = _SMALL_LEVEL if level is None else level
        self._large_level = _LARGE_LEVEL if level is None else level
        # The size from which encoding a whole body takes over 1 ms.
        self.offload_bytes = _OFFLOAD_KB[self._large_level] << 10

    def compress(self, data: bytes) -> bytes:
        """Encode one whole body, with a window no larger than it needs."""
        size = len(data)
        encoded: bytes = brotli.compress(
            data,
            quality=self._small_level if size <= _LARGE_BYTES else self._large_level,
            lgwin=min(max(size.bit_length(), _LEAST_WINDOW_BITS), _MOST_WINDOW_BITS),
        )
        return encoded

    def encoder(self, *, event_stream: bool = False) -> "BrotliEncoder":
        """Return a new encoder; for an event stream at level 3 at most."""
        if event_stream:
            return BrotliEncoder(min(self._large_level, _EVENT_LEVEL), _EVENT_WINDOW_BITS)
        return BrotliEncoder(self._large_level, _MOST_WINDOW_BITS)

    def decoder(self) -> BoundedDecoder:
        """Return a new decoder."""
        return BoundedDecoder(self.name, _begin_stream, many=False, errors=brotli.error)


class BrotliEncoder:
    """An Encoder of one brotli stream."""

    __slots__ = ("_compressor",)

    def __init__(self, level: int, window_bits: int) -> None:
        self._compressor = brotli.Compressor(quality=level, lgwin=window_bits)

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        """Encode `data`; with `flush`, the output so far can be decoded to all input so far."""
        encoded: bytes = self._compressor.process(data)
        return encoded + self._compressor.flush() if flush else encoded

    def finish(self) -> bytes:
        """Return the last bytes; the encoder cannot be used again."""
        encoded: bytes = self._compressor.finish()
        return encoded


class _BrotliMember:
    """A Member by brotli's decompressor, which itself refuses data after the end."""

    __slots__ = ("_decompressor", "eof", "needs_input")

    unused_data = b""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self.eof = False
        self.needs_input = True

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        decompressor = self._decompressor
        decoded: bytes = decompressor.process(data, output_buffer_limit=max_length)
        self.eof = decompressor.is_finished()
        # `can_accept_more_data` considers only the input that brotli holds, not its output.
        self.needs_input = len(decoded) < max_length and decompressor.can_accept_more_data()
        return decoded


def _begin_stream(first_byte: int) -> Member:
    return _BrotliMember()
