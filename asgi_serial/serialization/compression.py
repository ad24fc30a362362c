"""Payloads: plain documents, or documents in a zstd or gzip frame.

A frame is recognised by its magic number. No JSON document and no signed pickle begins with one,
and a MessagePack document that begins with the same byte consists of that byte only.
"""

from asgi_serial.codecs.base import Codec
from asgi_serial.codecs.decoding import RATIO_FREE_BYTES, BodyDecoder, DecodeLimits
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.codecs.zstd_codec import ZstdCodec
from asgi_serial.errors import FormatError, OutputLimitExceeded
from asgi_serial.serialization.config import CompressionLevel, SerializationConfig

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
GZIP_MAGIC = b"\x1f\x8b"

# Measured with JSON records of 10 and 100 KB: zstd 1, 3 and 12 compress 346, 212 and 35 KB per
# millisecond, gzip 1, 6 and 9 about 100, 41 and 30. Beyond these levels each further percent of
# size costs 50 % more time.
LEVELS = {
    CompressionLevel.FAST: {"zstd": 1, "gzip": 1},
    CompressionLevel.BALANCED: {"zstd": 3, "gzip": 6},
    CompressionLevel.MAX: {"zstd": 12, "gzip": 9},
}
"""The levels of the codecs."""

# The highest ratio of decompressed to compressed size; the same as the default for request bodies.
MAX_RATIO = 200


def compression_of(data: bytes) -> str:
    """Return the codec of a payload, by its first bytes; empty if it is not compressed.

    >>> compression_of(b'{"id":1}')
    ''
    """
    if data.startswith(ZSTD_MAGIC):
        return "zstd"
    return "gzip" if data.startswith(GZIP_MAGIC) else ""


def build_codec(name: str, level: CompressionLevel) -> Codec:
    """Return a codec at a level."""
    number = LEVELS[level][name]
    return ZstdCodec(number) if name == "zstd" else ZlibCodec("gzip", number)


class Packer:
    """Compresses documents if that makes them smaller, and decompresses payloads; thread-safe."""

    def __init__(self, config: SerializationConfig) -> None:
        self.codec = build_codec(config.compression_codec, config.compression_level)
        self.level = LEVELS[config.compression_level][config.compression_codec]
        self.threshold_bytes = config.compression_threshold
        self.max_bytes = config.max_decoded_size
        self._codecs: dict[str, Codec] = {"zstd": ZstdCodec(), "gzip": ZlibCodec("gzip")}
        self._limits = DecodeLimits(self.max_bytes, self.max_bytes, MAX_RATIO, 1)

    def pack(self, document: bytes) -> bytes:
        """Return the payload of a document, never longer than the document. Raises: FormatError."""
        self.check_size(document)
        packed = self.codec.compress(document)
        if len(packed) >= len(document):
            return document
        # `unpack` refuses a higher ratio, so such a document is better left uncompressed.
        is_readable = len(document) <= max(RATIO_FREE_BYTES, MAX_RATIO * len(packed))
        return packed if is_readable else document

    def check_size(self, document: bytes) -> None:
        """Refuse a document that would be too large to be read. Raises: FormatError."""
        if len(document) > self.max_bytes:
            raise FormatError(
                f"the document has {len(document)} bytes; max_decoded_size is {self.max_bytes}, "
                "and would have to be raised"
            )

    def unpack(self, payload: bytes) -> bytes:
        """Return the document in a payload. Raises: CodecError; OutputLimitExceeded."""
        coding = compression_of(payload)
        if not coding:
            if len(payload) > self.max_bytes:
                raise OutputLimitExceeded(f"the document has more than {self.max_bytes} bytes")
            return payload
        decoder = BodyDecoder((coding,), self._codecs, self._limits)
        decoder.feed(payload)
        return decoder.finish()
