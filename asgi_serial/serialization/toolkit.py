"""Parts of the library as plain functions, for separate use."""

from hashlib import blake2b

from asgi_serial.codecs.decoding import BodyDecoder, DecodeLimits
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.codecs.zstd_codec import ZstdCodec
from asgi_serial.serialization.compression import MAX_RATIO, build_codec, compression_of
from asgi_serial.serialization.config import CompressionLevel, SerializationFormat
from asgi_serial.serialization.model_serializer import detect_format


class SerializationUtils:
    """Compression, digests and format detection."""

    @staticmethod
    def compress(
        data: bytes,
        level: CompressionLevel | str = CompressionLevel.BALANCED,
        *,
        codec: str = "zstd",
    ) -> bytes:
        """Return `data` in a zstd or gzip frame, or unchanged if the frame is not smaller."""
        packed = build_codec(codec, CompressionLevel(level)).compress(data)
        return packed if len(packed) < len(data) else data

    @staticmethod
    def decompress(data: bytes, *, max_size: int = 50_000_000) -> bytes:
        """Return the content of a zstd or gzip frame; other data is returned unchanged.

        Raises: CodecError; OutputLimitExceeded beyond `max_size` or 200 times the frame's size.
        """
        coding = compression_of(data)
        if not coding:
            return data
        limits = DecodeLimits(len(data), max_size, MAX_RATIO, 1)
        decoder = BodyDecoder((coding,), {"zstd": ZstdCodec(), "gzip": ZlibCodec("gzip")}, limits)
        decoder.feed(data)
        return decoder.finish()

    @staticmethod
    def generate_hash(data: bytes) -> str:
        """Return a digest of 32 hexadecimal digits, to recognise equal bytes.

        >>> SerializationUtils.generate_hash(b"")
        'cae66941d9efbd404e4d88758ea67670'
        """
        return blake2b(data, digest_size=16).hexdigest()

    @staticmethod
    def detect_format(data: bytes) -> SerializationFormat | None:
        """Return the format of a payload; None if it is ambiguous.

        >>> SerializationUtils.detect_format(b'{"id":1}').name
        'JSON'

        Raises: CodecError.
        """
        return detect_format(SerializationUtils.decompress(data))
