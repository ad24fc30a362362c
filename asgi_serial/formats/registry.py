"""The formats that can be negotiated; add a new one to `FORMATS`, and nowhere else.

Every other format is translated to and from JSON, which apps write and read.
"""

from asgi_serial.formats.base import Format, Translation
from asgi_serial.formats.cbor_format import CborTranscoder, is_cbor_installed
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.transcoding import MsgPackTranscoder, build_transcoder

JSON = JsonFormat.name
JSON_TYPE = JsonFormat.media_types[0]

_MSGPACK = Format(
    MsgPackTranscoder.name,
    MsgPackTranscoder.media_types,
    lambda max_depth: build_transcoder(max_depth=max_depth),
    losses=(
        "binaries, timestamps and other extension types",
        "map keys that are not strings, and repeated keys",
        "NaN and infinities",
        "integers beyond 64 bits",
    ),
)
_CBOR = Format(
    CborTranscoder.name,
    CborTranscoder.media_types,
    lambda max_depth: CborTranscoder(max_depth=max_depth),
    losses=(
        "byte strings, tags, `undefined` and other simple values",
        "map keys that are not strings, and repeated keys",
        "NaN and infinities",
        "integers beyond 64 bits",
    ),
)

FORMATS: tuple[Format, ...] = (_MSGPACK, *([_CBOR] if is_cbor_installed() else []))
"""All that are installed but JSON, the preferred ones first."""


def find_format(media_type: str) -> Format | None:
    """Return the format, other than JSON, of a lower-case media type without parameters."""
    return next((one for one in FORMATS if media_type in one.media_types), None)


def format_name(media_type: str) -> str:
    """Return the name of the format of a lower-case media type without parameters.

    Empty for other media types: `application/problem+json`, for example, is a type of its own.

    >>> format_name("application/x-msgpack"), format_name("application/json"), format_name("a/b")
    ('msgpack', 'json', '')
    """
    if media_type == JSON_TYPE:
        return JSON
    found = find_format(media_type)
    return found.name if found else ""


def build_translations(max_depth: int) -> dict[tuple[str, str], Translation]:
    """Return every translation, by the name of the app's format and the wanted media type."""
    translations = {}
    for one in FORMATS:
        transcoder = one.build(max_depth)
        to_json = Translation(transcoder.to_json, transcoder.to_json_offload_bytes)
        translations[one.name, JSON_TYPE] = to_json
        for media_type in one.media_types:
            translations[JSON, media_type] = Translation(
                transcoder.from_json, transcoder.from_json_offload_bytes
            )
    return translations
