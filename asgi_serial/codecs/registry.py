"""The content codings; a new one is added to `CODINGS`, and nowhere else."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from asgi_serial.codecs.base import Codec, Coding
from asgi_serial.codecs.brotli_codec import BROTLI_LEVELS, BrotliCodec
from asgi_serial.codecs.levels import Levels
from asgi_serial.codecs.zlib_codec import GZIP_LEVELS, ZlibCodec
from asgi_serial.codecs.zstd_codec import ZSTD_LEVELS, ZstdCodec
from asgi_serial.errors import CodecError, ConfigurationError

CODINGS: tuple[Coding, ...] = (
    Coding("zstd", ZstdCodec, ZSTD_LEVELS, "zstd_level"),
    Coding("br", BrotliCodec, BROTLI_LEVELS, "brotli_level"),
    Coding(
        "gzip",
        lambda level: ZlibCodec("gzip", level),
        GZIP_LEVELS,
        "gzip_level",
        # "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"" (RFC 9110, 8.4.1.3).
        aliases=("x-gzip",),
    ),
    # Some clients mean the deflate format without zlib's frame by it.
    Coding(
        "deflate",
        lambda level: ZlibCodec("deflate", level),
        GZIP_LEVELS,
        "gzip_level",
        is_offered=False,
    ),
)
"""All that can be offered, the preferred ones first. All are decoded."""

# Enough for matches and for more than one window of the decoder.
_PROBE = b'{"asgi_serial":[0.1,true,null,"\\u00e9"]}' * 30

_DEFAULT_LEVELS: Mapping[str, int | None] = MappingProxyType({})


def coding_names() -> tuple[str, ...]:
    """The names of all codings, the preferred ones first."""
    return tuple(coding.name for coding in CODINGS)


def default_codings() -> tuple[str, ...]:
    """The codings that are offered unless the settings say otherwise."""
    return tuple(coding.name for coding in CODINGS if coding.is_offered)


def coding_aliases() -> dict[str, str]:
    """The codings by their other names.

    >>> coding_aliases()
    {'x-gzip': 'gzip'}
    """
    return {alias: coding.name for coding in CODINGS for alias in coding.aliases}


def levels_of(setting: str) -> Levels:
    """The levels of the coding whose level is held by `setting`."""
    return next(coding.levels for coding in CODINGS if coding.level_setting == setting)


def level_settings() -> frozenset[str]:
    """The names of the settings that hold levels."""
    return frozenset(coding.level_setting for coding in CODINGS if coding.level_setting)


def build_codecs(
    names: Iterable[str], levels: Mapping[str, int | None] = _DEFAULT_LEVELS
) -> tuple[Codec, ...]:
    """The codecs of these names, in their order; `levels` by the names of their settings.

    Raises: ConfigurationError for an unknown name, a wrong level, or a codec that does not give
    back what it was given.

    >>> [codec.name for codec in build_codecs(["zstd", "br", "gzip"], {"gzip_level": 9})]
    ['zstd', 'br', 'gzip']
    """
    by_name = {coding.name: coding for coding in CODINGS}
    codecs = []
    for name in dict.fromkeys(names):
        coding = by_name.get(name)
        if coding is None:
            raise ConfigurationError(
                f"{name!r} is not a content coding; expected one of {', '.join(by_name)}."
            )
        codec = coding.build(levels.get(coding.level_setting, coding.levels.default))
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
