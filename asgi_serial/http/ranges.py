"""Range requests: parse Range, evaluate If-Range, and build the parts of a 206."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from asgi_serial.http.fields import MAX_LIST_BYTES, parse_http_date, split_list
from asgi_serial.http.headers import read_fields, without
from asgi_serial.http.validators import parse_entity_tag, strong_match
from asgi_serial.types import Fields

_BYTES_RANGES = re.compile(rb"bytes=(.*+)", re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(rb"([0-9]*+)-([0-9]*+)")

# No representation is longer than 18 digits can say. Greater positions are clamped, and never
# converted: int() takes quadratic time.
_MAX_DIGITS = 18

# RFC 9110, 8.8.2.2: Last-Modified is a strong validator if it is at least one second before Date,
# and more if their clocks may differ. RFC 7232, 2.2.2 asked for 60 seconds.
_STRONG_AFTER_SECONDS = 60

# These describe the bytes of one message, not those of others of the same representation.
# Repr-Digest is that of the representation (RFC 9530, 3).
OF_THE_CONTENT = frozenset({b"content-digest", b"content-length", b"content-md5", b"content-range"})
_OF_ONE_PART = OF_THE_CONTENT | {b"content-type"}
_READ = frozenset({b"content-type", b"date", b"last-modified"})


class ByteRange(NamedTuple):
    """The positions of the first and the last byte of a part, counted from 0."""

    first: int
    last: int


def parse_range(value: bytes, length: int, *, most: int) -> tuple[ByteRange, ...] | None:
    """Return the parts that a Range value selects in a representation of `length` bytes.

    Empty if no range is satisfiable, which is answered with 416. None if the field is ignored: the
    unit is not bytes, a range is invalid, there are more than `most`, or the representation is
    empty. Overlapping or adjacent ranges are merged at the place of the first of them, so the
    parts are never longer in total than the representation.

    >>> parse_range(b"bytes=0-1, -500", 10_000, most=10)
    (ByteRange(first=0, last=1), ByteRange(first=9500, last=9999))

    Source: RFC 9110, 14.1.1, 14.1.2, 14.2, 15.3.7.2 and 17.15.
    """
    match = _BYTES_RANGES.fullmatch(value)
    is_read = match is not None and length and len(value) <= MAX_LIST_BYTES
    elements = split_list(match[1]) if match is not None and is_read else []
    if not 0 < len(elements) <= most:
        return None
    found: list[ByteRange] = []
    for element in elements:
        part = _parse_one(element, length)
        if part is None:
            return None
        if part.first <= part.last:
            found.append(part)
    return tuple(found) if len(found) < 2 else _coalesced(found)


def _parse_one(element: bytes, length: int) -> ByteRange | None:
    """Return the bytes of one range; `first` is after `last` if it is unsatisfiable."""
    match = _RANGE.fullmatch(element)
    if match is None:
        return None
    first, last = _position(match[1]), _position(match[2])
    if first is None:
        # RFC 9110, 14.1.2: "If the selected representation is shorter than the specified
        # suffix-length, the entire representation is used."
        return None if last is None else ByteRange(max(0, length - last), length - 1)
    if last is None:
        return ByteRange(first, length - 1)
    # RFC 9110, 14.1.1: "An int-range is invalid if the last-pos value is present and less than
    # first-pos."
    return None if last < first else ByteRange(first, min(last, length - 1))


def _position(digits: bytes) -> int | None:
    if len(digits) > _MAX_DIGITS and len(digits.lstrip(b"0")) > _MAX_DIGITS:
        return int(10**_MAX_DIGITS)
    return int(digits[-_MAX_DIGITS:]) if digits else None


def _coalesced(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    # RFC 9110, 15.3.7.2: the server should send the parts in the order of the request, except for
    # ranges that are unsatisfiable or were coalesced into others.
    parts: list[tuple[int, ByteRange]] = []
    for part, place in sorted((part, place) for place, part in enumerate(ranges)):
        if parts and part.first <= parts[-1][1].last + 1:
            first_place, (first, last) = parts.pop()
            place = min(place, first_place)
            part = ByteRange(first, max(part.last, last))
        parts.append((place, part))
    return tuple([part for _, part in sorted(parts)])


def content_range(part: ByteRange | None, length: int) -> bytes:
    """Return the Content-Range value of a part, or that of a 416 if `part` is None.

    >>> content_range(ByteRange(0, 499), 1234), content_range(None, 1234)
    (b'bytes 0-499/1234', b'bytes */1234')

    Source: RFC 9110, 14.4 and 15.5.17.
    """
    return b"bytes */%d" % length if part is None else b"bytes %d-%d/%d" % (*part, length)


def if_range_holds(
    value: bytes | None,
    etag: bytes | None,
    last_modified: bytes | None,
    date: bytes | None,
    *,
    now: float,
) -> bool:
    """Whether an If-Range value matches the representation; if not, all of it is sent.

    True without one. A date matches only if it equals Last-Modified, and Last-Modified is old
    enough, compared with Date, to be a strong validator: a resource may change twice within a
    second. `now` is in epoch seconds.

    Source: RFC 9110, 13.1.5, 8.8.2.2 and 8.8.3.2.
    """
    if value is None:
        return True
    tag = parse_entity_tag(value)
    if tag is not None:
        own = parse_entity_tag(etag) if etag is not None else None
        return own is not None and strong_match(tag, own)
    if last_modified is None or date is None:
        return False
    modified = parse_http_date(last_modified, now)
    generated = parse_http_date(date, now)
    if modified is None or generated is None or generated - modified < _STRONG_AFTER_SECONDS:
        return False
    return parse_http_date(value, now) == modified


def multipart_type(boundary: bytes) -> bytes:
    """Return the Content-Type value of a 206 with several parts.

    >>> multipart_type(b"a1b2")
    b'multipart/byteranges; boundary=a1b2'

    Source: RFC 9110, 14.6.
    """
    return b"multipart/byteranges; boundary=" + boundary


def multipart_body(
    body: bytes, content_type: bytes | None, parts: Sequence[ByteRange], boundary: bytes
) -> bytes:
    """Return the body of a 206 with several parts of `body`.

    `content_type` is that of the whole representation, if any. `boundary` is a token of at most 70
    characters that does not occur in the body; 16 random bytes in hexadecimal are safe.

    Source: RFC 9110, 14.6 and 15.3.7.2; RFC 2046, 5.1.
    """
    whole = memoryview(body)
    type_line = b"" if content_type is None else b"Content-Type: %s\r\n" % content_type
    pieces: list[bytes | memoryview] = []
    for part in parts:
        head = b"--%s\r\n%sContent-Range: %s\r\n\r\n"
        pieces += (
            head % (boundary, type_line, content_range(part, len(body))),
            whole[part.first : part.last + 1],
            b"\r\n",
        )
    pieces.append(b"--%s--\r\n" % boundary)
    return b"".join(pieces)


def serve_ranges(
    request: Mapping[bytes, bytes],
    fields: Fields,
    body: bytes,
    etag: bytes | None,
    *,
    most: int,
    now: float,
    boundary: bytes,
) -> tuple[int, Fields, bytes]:
    """Return the status, the fields and the body of the response to a GET with Range.

    `fields`, `body` and `etag` are those of the 200, which it gets if Range is ignored; `most` is
    how many ranges are served, and `boundary` goes between them.

    Source: RFC 9110, 14.2, 15.3.7 and 15.5.17.
    """
    read, length = read_fields(fields, _READ), len(body)
    parts = parse_range(request[b"range"], length, most=most)
    # RFC 9110, 13.1.5: if the condition is false, the recipient MUST ignore the Range field.
    if parts is None or not if_range_holds(
        request.get(b"if-range"), etag, read.get(b"last-modified"), read.get(b"date"), now=now
    ):
        return 200, fields, body
    if not parts:
        made = without(fields, _OF_ONE_PART | {b"content-encoding"})
        return 416, _insert(made, (b"content-range", content_range(None, length)), b""), b""
    if len(parts) == 1:
        (part,) = parts
        return 206, part_fields(fields, part, length), body[part.first : part.last + 1]
    content = multipart_body(body, read.get(b"content-type"), parts, boundary)
    made = without(fields, _OF_ONE_PART)
    return 206, _insert(made, (b"content-type", multipart_type(boundary)), content), content


def part_fields(fields: Fields, part: ByteRange, length: int) -> Fields:
    """Return the fields of a 206 with one part of a representation of `length` bytes.

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
