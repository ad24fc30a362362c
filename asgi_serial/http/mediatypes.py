"""Media types: what a Content-Type says, and whether compression pays for it."""

import re
from typing import NamedTuple

from asgi_serial.http.fields import is_token, split_parameters, unquote

_ESSENCE = re.compile(
    rb"[ \t]*+([!#$%&'*+\-.^_`|~0-9A-Za-z]++/[!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+(?:;|\Z)"
)

MAX_PARAMETERS = 16
"""A media type with more parameters is malformed here; those in use have one or two."""

# US-ASCII is a part of UTF-8; `utf8` is no registered name, but means nothing else.
_UTF8_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})


class MediaType(NamedTuple):
    """A media type; all is lower case but the values of parameters other than charset."""

    type: bytes
    subtype: bytes
    parameters: tuple[tuple[bytes, bytes], ...]


def parse_media_type(value: bytes) -> MediaType | None:
    """The media type of a Content-Type value, or a media range; None if malformed.

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
    """The lower-case type and subtype of a media type or range; None if malformed."""
    match = _ESSENCE.match(value)
    if match is None:
        return None
    main, _, sub = match[1].lower().partition(b"/")
    return main, sub


def parse_parameter(part: bytes) -> tuple[bytes, bytes] | None:
    """The lower-case name and the unquoted value of `name=value`; None if malformed.

    Source: RFC 9110, 5.6.6.
    """
    name, _, raw = part.partition(b"=")
    value = unquote(raw)
    if value is None or not is_token(name):
        return None
    name = name.lower()
    # RFC 9110, 8.3.2: charset names are matched in any case.
    return name, value.lower() if name == b"charset" else value


def essence(value: bytes) -> bytes:
    """The lower-case `type/subtype` of a Content-Type value; empty if there is none.

    >>> essence(b"Application/JSON; charset=utf-8")
    b'application/json'
    """
    match = _ESSENCE.match(value)
    return match[1].lower() if match is not None else b""


def has_utf8_charset(value: bytes) -> bool:
    """Whether text of this Content-Type may be read as UTF-8; a malformed one may not.

    True without a charset parameter, which JSON does not need (RFC 8259, 8.1 and 11).
    """
    media_type = parse_media_type(value)
    if media_type is None:
        return False
    return all(text in _UTF8_CHARSETS for name, text in media_type.parameters if name == b"charset")


# Types whose bytes are text, or values laid out plainly. Left out, since their content is mostly
# compressed already: images, audio, video, WOFF, archives, PDF, office documents, EPUB. Left out
# since nothing is known of the content: application/octet-stream. Left out since its messages
# have a compression of their own: application/grpc.
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
        b"application/protobuf",  # field values in plain: strings shrink as they do in JSON
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
    """Whether compression is likely to make a body of this lower-case media type smaller.

    True for text of every kind, for names in `extra`, and for the structured suffixes of text
    formats (RFC 6839), image/svg+xml among them.
    """
    if essence.startswith(b"text/") or essence in _COMPRESSIBLE or essence in extra:
        return True
    return essence.rpartition(b"+")[2] in _COMPRESSIBLE_SUFFIXES if b"+" in essence else False
