"""The parts of the library as plain functions, for those who need one of them alone."""

from hashlib import blake2b

from asgi_serial.codecs.decoding import BodyDecoder, DecodeLimits
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.codecs.zstd_codec import ZstdCodec
from asgi_serial.serialization.compression import MAX_RATIO, build_codec, compression_of
from asgi_serial.serialization.config import CompressionLevel, SerializationFormat
from asgi_serial.serialization.model_serializer import detect_format


class SerializationUtils:
    """Compression, digests and the recognition of formats."""

    @staticmethod
    def compress(
        data: bytes,
        level: CompressionLevel | str = CompressionLevel.BALANCED,
        *,
        codec: str = "zstd",
    ) -> bytes:
        """`data` in a zstd or gzip frame; or as it is, where that is not smaller."""
        packed = build_codec(codec, CompressionLevel(level)).compress(data)
        return packed if len(packed) < len(data) else data

    @staticmethod
    def decompress(data: bytes, *, max_size: int = 50_000_000) -> bytes:
        """What is in a zstd or gzip frame; data without one as it is.

        Raises: CodecError; OutputLimitExceeded past `max_size`, or past 200 times the size.
        """
        coding = compression_of(data)
        if not coding:
            return data
        limits = DecodeLimits(len(data), max_size, MAX_RATIO, 1)
        decoder = BodyDecoder((coding,), (ZstdCodec(), ZlibCodec("gzip")), limits)
        decoder.feed(data)
        return decoder.finish()

    @staticmethod
    def generate_hash(data: bytes) -> str:
        """A digest by which equal bytes are known, of 32 hexadecimal digits.

        >>> SerializationUtils.generate_hash(b"")
        'cae66941d9efbd404e4d88758ea67670'
        """
        return blake2b(data, digest_size=16).hexdigest()

    @staticmethod
    def detect_format(data: bytes) -> SerializationFormat | None:
        """The format of a payload; None where it may be two of them. Raises: CodecError.

        >>> SerializationUtils.detect_format(b'{"id":1}').name
        'JSON'
        """
        return detect_format(SerializationUtils.decompress(data))
