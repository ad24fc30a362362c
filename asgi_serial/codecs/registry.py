"""The content codings by name, made and tried out once."""

from collections.abc import Callable, Iterable

from asgi_serial.codecs.base import Codec
from asgi_serial.codecs.brotli_codec import BrotliCodec
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.codecs.zstd_codec import ZstdCodec
from asgi_serial.errors import CodecError, ConfigurationError

# Enough for matches and for more than one window of the decoder.
_PROBE = b'{"asgi_serial":[0.1,true,null,"\\u00e9"]}' * 30


def build_codecs(
    names: Iterable[str],
    *,
    gzip_level: int = 6,
    brotli_level: int | None = None,
    zstd_level: int = 3,
) -> tuple[Codec, ...]:
    """The codecs of these names, in their order; `gzip_level` is deflate's, too.

    Raises: ConfigurationError for an unknown name, a wrong level, or a codec that does not give
    back what it was given.

    >>> [codec.name for codec in build_codecs(["zstd", "br", "gzip"])]
    ['zstd', 'br', 'gzip']
    """
    makers: dict[str, Callable[[], Codec]] = {
        "zstd": lambda: ZstdCodec(zstd_level),
        "br": lambda: BrotliCodec(brotli_level),
        "gzip": lambda: ZlibCodec("gzip", gzip_level),
        "deflate": lambda: ZlibCodec("deflate", gzip_level),
    }
    codecs = []
    for name in dict.fromkeys(names):
        if name not in makers:
            raise ConfigurationError(
                f"{name!r} is not a content coding; expected one of {', '.join(makers)}."
            )
        codec = makers[name]()
        probe_codec(codec)
        codecs.append(codec)
    return tuple(codecs)


def probe_codec(codec: Codec) -> None:
    """Let a codec encode and decode a sample. Raises: ConfigurationError where it differs."""
    encoder = codec.encoder(event_stream=True)
    streamed = encoder.feed(_PROBE, flush=True) + encoder.finish()
    for encoded in (codec.compress(_PROBE), streamed):
        decoder = codec.decoder()
        try:
            decoded = decoder.feed(encoded, limit=len(_PROBE))
            decoder.finish()
        except (CodecError, TypeError) as error:
            raise ConfigurationError(
                f"The codec {codec.name} does not decode what it encodes ({error}); "
                "expected a library that works, mend or replace its installation."
            ) from error
        if decoded != _PROBE:
            raise ConfigurationError(
                f"The codec {codec.name} decodes to other bytes than it was given; "
                "expected the same, mend or replace its library."
            )
