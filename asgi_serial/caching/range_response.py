"""The parts of a stored representation that a request with Range gets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from asgi_serial.http.headers import read_fields, without
from asgi_serial.http.ranges import (
    content_range,
    if_range_holds,
    multipart_body,
    multipart_type,
    parse_range,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Representation
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.ranges import ByteRange
    from asgi_serial.types import Fields

_READ = frozenset({b"content-type", b"date", b"last-modified"})

# What describes the bytes of one message, and is not true of others of the same representation;
# Repr-Digest stays true (RFC 9530, 3).
OF_THE_CONTENT = frozenset({b"content-digest", b"content-length", b"content-md5", b"content-range"})
_OF_ONE_PART = OF_THE_CONTENT | {b"content-type"}


def serve_ranges(
    engine: Engine,
    conditions: Mapping[bytes, bytes],
    fields: Fields,
    kept: Representation,
    now: float,
) -> tuple[int, Fields, bytes]:
    """The status, the fields and the body for a GET with Range; those of a 200 where it is ignored.

    `fields` are those of the 200.

    Source: RFC 9110, 14.2, 15.3.7 and 15.5.17.
    """
    read = read_fields(kept.fields, _READ)
    length = len(kept.body)
    parts = parse_range(conditions[b"range"], length, most=engine.settings.cache_max_ranges)
    condition = conditions.get(b"if-range")
    # RFC 9110, 13.1.5: if the condition is false, the recipient MUST ignore the Range field.
    if parts is None or (
        condition is not None
        and not if_range_holds(
            condition, kept.etag, read.get(b"last-modified"), read.get(b"date"), now=now
        )
    ):
        return 200, fields, kept.body
    if not parts:
        made = without(fields, _OF_ONE_PART | {b"content-encoding"})
        return 416, _insert(made, (b"content-range", content_range(None, length)), b""), b""
    if len(parts) == 1:
        (part,) = parts
        body = kept.body[part.first : part.last + 1]
        return 206, part_fields(fields, part, length), body
    boundary = os.urandom(16).hex().encode()
    body = multipart_body(kept.body, read.get(b"content-type"), parts, boundary)
    made = without(fields, _OF_ONE_PART)
    return 206, _insert(made, (b"content-type", multipart_type(boundary)), body), body


def part_fields(fields: Fields, part: ByteRange, length: int) -> Fields:
    """The fields of a 206 with one part of a representation of `length` bytes.

    `fields` are those of the whole, or of another part.
    """
    size = part.last - part.first + 1
    return [
        (b"content-range", content_range(part, length)),
        (b"content-length", b"%d" % size),
        *without(fields, OF_THE_CONTENT),
    ]


def _insert(fields: Fields, line: tuple[bytes, bytes], body: bytes) -> Fields:
    return [line, (b"content-length", b"%d" % len(body)), *fields]
