"""Media types: parse Content-Type, and tell which types are worth compressing."""

import re
from typing import NamedTuple

from asgi_serial.http.fields import is_token, split_parameters, unquote

_ESSENCE = re.compile(
    rb"[ \t]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++/[!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+(?:;|\Z)"
)

MAX_PARAMETERS = 16
"""A media type with more parameters is treated as malformed; common ones have one or two."""

# US-ASCII is a subset of UTF-8. `utf8` is not a registered name, but can mean nothing else.
_UTF8_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})


class MediaType(NamedTuple):
    """A media type in lower case, except for the values of parameters other than charset."""

    type: bytes
    subtype: bytes
    parameters: tuple[tuple[bytes, bytes], ...]


def parse_media_type(value: bytes) -> MediaType | None:
    """Return the media type of a Content-Type value, or a media range; None if it is malformed.

    >>> parse_media_type(b'Text/HTML; charset="UTF-8"')
    MediaType(type=b'text', subtype=b'html', parameters=((b'charset', b'utf-8'),))

    Source: RFC 9110, 8.3.1 and 5.6.6.
    """
    names = split_essence(value)
    if names is None:
        return None
    parts = split_parameters(value)[1:]
    if len(parts) > MAX_PARAMETERS:
        return None
    parameters = []
    for part in parts:
        parameter = parse_parameter(part)
        if parameter is None:
            return None
        parameters.append(parameter)
    return MediaType(*names, tuple(parameters))


def split_essence(value: bytes) -> tuple[bytes, bytes] | None:
    """Return the lower-case type and subtype of a media type or range; None if it is malformed."""
    match = _ESSENCE.match(value)
    if match is None:
        return None
    main, _, sub = match[1].lower().partition(b"/")
    return main, sub


def parse_parameter(part: bytes) -> tuple[bytes, bytes] | None:
    """Return the lower-case name and the unquoted value of `name=value`; None if it is malformed.

    Source: RFC 9110, 5.6.6.
    """
    name, _, raw = part.partition(b"=")
    value = unquote(raw)
    if value is None or not is_token(name):
        return None
    name = name.lower()
    # RFC 9110, 8.3.2: charset names are matched case-insensitively.
    return name, value.lower() if name == b"charset" else value


def essence(value: bytes) -> bytes:
    """Return the lower-case `type/subtype` of a Content-Type value; empty if it is malformed.

    >>> essence(b"Application/JSON; charset=utf-8")
    b'application/json'
    """
    match = _ESSENCE.match(value)
    return match[1].lower() if match is not None else b""


def has_utf8_charset(value: bytes) -> bool:
    """Whether text of this Content-Type may be read as UTF-8; false if the value is malformed.

    True without a charset parameter, which JSON does not define (RFC 8259, 8.1 and 11).
    """
    media_type = parse_media_type(value)
    if media_type is None:
        return False
    return all(text in _UTF8_CHARSETS for name, text in media_type.parameters if name == b"charset")


# Types that hold text or uncompressed values. Not included: images, audio, video, WOFF, archives,
# PDF, office documents and EPUB, which are mostly compressed already; application/octet-stream,
# whose content is unknown; application/grpc, which compresses its own messages.
_COMPRESSIBLE = frozenset(
    {
        b"application/cbor",
        b"application/cbor-seq",
        b"application/ecmascript",
        b"application/graphql",
        b"application/javascript",
        b"application/json",
        b"application/json-seq",
        b"application/json5",
        b"application/jsonl",
        b"application/jsonlines",
        b"application/msgpack",
        b"application/n-quads",
        b"application/n-triples",
        b"application/ndjson",
        b"application/protobuf",  # values are stored uncompressed: strings shrink as in JSON
        b"application/rtf",
        b"application/sparql-query",
        b"application/sql",
        b"application/toml",
        b"application/trig",
        b"application/vnd.apple.mpegurl",
        b"application/vnd.google.protobuf",
        b"application/vnd.mapbox-vector-tile",
        b"application/vnd.ms-fontobject",
        b"application/vnd.msgpack",
        b"application/vnd.oai.openapi",  # YAML, as Litestar serves its schema
        b"application/wasm",
        b"application/x-javascript",
        b"application/x-json-stream",
        b"application/x-mpegurl",
        b"application/x-msgpack",
        b"application/x-ndjson",
        b"application/x-protobuf",
        b"application/x-sh",
        b"application/x-sql",
        b"application/x-www-form-urlencoded",
        b"application/x-yaml",
        b"application/xml",
        b"application/xml-dtd",
        b"application/yaml",
        b"font/collection",
        b"font/otf",
        b"font/sfnt",
        b"font/ttf",
        b"message/rfc822",
        b"model/obj",
    }
)
_COMPRESSIBLE_SUFFIXES = frozenset(
    {b"cbor", b"cbor-seq", b"json", b"json-seq", b"jsonl", b"msgpack", b"xml", b"yaml"}
)


def is_compressible(essence: bytes, extra: frozenset[bytes] = frozenset()) -> bool:
    """Whether compression is likely to shrink a body of this lower-case media type.

    True for `text/*`, for names in `extra`, and for structured suffixes (RFC 6839) of formats that
    shrink, such as `+xml` in image/svg+xml.
    """
    if essence.startswith(b"text/") or essence in _COMPRESSIBLE or essence in extra:
        return True
    return essence.rpartition(b"+")[2] in _COMPRESSIBLE_SUFFIXES if b"+" in essence else False
