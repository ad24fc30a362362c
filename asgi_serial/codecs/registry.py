"""The content codings; add a new one to `CODINGS`, and nowhere else."""

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
        # RFC 9110, 8.4.1.3: "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"."
        aliases=("x-gzip",),
    ),
    # Not offered by default: some clients expect deflate data without the zlib format around it.
    Coding(
        "deflate",
        lambda level: ZlibCodec("deflate", level),
        GZIP_LEVELS,
        "gzip_level",
        is_offered=False,
    ),
)
"""All codings, the preferred ones first; all of them can be decoded."""

# Long enough to contain matches, and to fill more than one window of the decoder.
_PROBE = b'{"asgi_serial":[0.1,true,null,"\\u00e9"]}' * 30

_DEFAULT_LEVELS: Mapping[str, int | None] = MappingProxyType({})


def coding_names() -> tuple[str, ...]:
    """Return the names of all codings, the preferred ones first."""
    return tuple(coding.name for coding in CODINGS)


def default_codings() -> tuple[str, ...]:
    """Return the names of the codings that are offered by default."""
    return tuple(coding.name for coding in CODINGS if coding.is_offered)


def coding_aliases() -> dict[str, str]:
    """Return the names of codings by their aliases.

    >>> coding_aliases()
    {'x-gzip': 'gzip'}
    """
    return {alias: coding.name for coding in CODINGS for alias in coding.aliases}


def levels_of(setting: str) -> Levels:
    """Return the levels of the coding whose level a setting holds."""
    return next(coding.levels for coding in CODINGS if coding.level_setting == setting)


def level_settings() -> frozenset[str]:
    """Return the names of the settings that hold levels."""
    return frozenset(coding.level_setting for coding in CODINGS if coding.level_setting)


def build_codecs(
    names: Iterable[str], levels: Mapping[str, int | None] = _DEFAULT_LEVELS
) -> tuple[Codec, ...]:
    """Return the codecs with these names, in order; `levels` are by the names of their settings.

    >>> [codec.name for codec in build_codecs(["zstd", "br", "gzip"], {"gzip_level": 9})]
    ['zstd', 'br', 'gzip']

    Raises: ConfigurationError for an unknown name, an invalid level, or a codec that does not
        decode its own output.
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
    """Encode and decode a sample. Raises: ConfigurationError if the result differs."""
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
                "reinstall or replace its library."
            ) from error
        if decoded != _PROBE:
            raise ConfigurationError(
                f"The codec {codec.name} decodes to other bytes than it was given; "
                "reinstall or replace its library."
            )
