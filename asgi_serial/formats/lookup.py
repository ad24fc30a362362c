"""Which format a media type means."""

from collections.abc import Iterable

from asgi_serial.formats.base import Format
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import MsgPackFormat


def wire_formats() -> tuple[Format, ...]:
    """The formats that are negotiated unless the settings say otherwise, preferred ones first."""
    return JsonFormat(), MsgPackFormat()


def format_of(media_type: str, formats: Iterable[Format]) -> Format | None:
    """The first of `formats` that is named by a media type, whose parameters do not count.

    Only a whole name counts: `application/problem+json` is a type of its own.
    Source: RFC 9110, 8.3.1 (type and subtype are compared without regard to case).

    >>> format_of("Application/X-MsgPack", wire_formats()).name
    'msgpack'
    """
    name = media_type.partition(";")[0].strip(" \t").lower()
    return next((one for one in formats if name in one.media_types), None)
