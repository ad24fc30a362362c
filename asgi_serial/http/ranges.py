"""Parts of a representation: which are asked for, whether they may be sent, and how."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from asgi_serial.http.fields import MAX_LIST_BYTES, parse_http_date, split_list
from asgi_serial.http.validators import parse_entity_tag, strong_match

_BYTES_RANGES = re.compile(rb"bytes=(.*+)", re.IGNORECASE | re.DOTALL)
_RANGE = re.compile(rb"([0-9]*+)-([0-9]*+)")

# No representation is longer: greater positions are alike, and are never converted.
_MAX_DIGITS = 18

# RFC 9110, 8.8.2.2, asks for a second between Last-Modified and Date, and for enough more that
# their clocks may differ; RFC 7232, 2.2.2, put that at a minute.
_STRONG_AFTER_SECONDS = 60


class ByteRange(NamedTuple):
    """The positions of the first and the last byte of a part, counted from 0."""

    first: int
    last: int


def parse_range(value: bytes, length: int, *, most: int) -> tuple[ByteRange, ...] | None:
    """The parts to send of a representation of `length` bytes, for a Range value.

    Empty where none of the ranges can be satisfied, which is answered by 416; None where the
    field is ignored: another unit than bytes, anything invalid, more than `most` ranges, a
    representation without content. Ranges that overlap or touch come as one, in the place of the
    first of them: all parts together are never longer than the representation.

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
    """The bytes that one range is about; where there are none of them, `first` is after `last`."""
    match = _RANGE.fullmatch(element)
    if match is None:
        return None
    first, last = _position(match[1]), _position(match[2])
    if first is None:
        # RFC 9110, 14.1.1: a suffix that is longer than the representation is all of it.
        return None if last is None else ByteRange(max(0, length - last), length - 1)
    if last is None:
        return ByteRange(first, length - 1)
    # RFC 9110, 14.1.1: a range whose end is before its start is invalid.
    return None if last < first else ByteRange(first, min(last, length - 1))


def _position(digits: bytes) -> int | None:
    if len(digits) > _MAX_DIGITS and len(digits.lstrip(b"0")) > _MAX_DIGITS:
        return int(10**_MAX_DIGITS)
    return int(digits[-_MAX_DIGITS:]) if digits else None


def _coalesced(ranges: list[ByteRange]) -> tuple[ByteRange, ...]:
    # RFC 9110, 15.3.7.2: the parts come in the order in which they are asked for.
    parts: list[tuple[int, ByteRange]] = []
    for part, place in sorted((part, place) for place, part in enumerate(ranges)):
        if parts and part.first <= parts[-1][1].last + 1:
            first_place, (first, last) = parts.pop()
            place = min(place, first_place)
            part = ByteRange(first, max(part.last, last))
        parts.append((place, part))
    return tuple([part for _, part in sorted(parts)])


def content_range(part: ByteRange | None, length: int) -> bytes:
    """The Content-Range value of one part, or, without a part, that of a 416.

    >>> content_range(ByteRange(0, 499), 1234), content_range(None, 1234)
    (b'bytes 0-499/1234', b'bytes */1234')

    Source: RFC 9110, 14.4 and 15.5.17.
    """
    return b"bytes */%d" % length if part is None else b"bytes %d-%d/%d" % (*part, length)


def if_range_holds(
    value: bytes,
    etag: bytes | None,
    last_modified: bytes | None,
    date: bytes | None,
    *,
    now: float,
) -> bool:
    """Whether an If-Range value names the representation with these fields; if not, all is sent.

    A date holds only where Last-Modified is the same and, by Date, was over when the response was
    generated: what changes twice in a second has one Last-Modified. `now` is in epoch seconds.

    Source: RFC 9110, 13.1.5, 8.8.2.2 and 8.8.3.2.
    """
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
    """The Content-Type value of a 206 with several parts.

    >>> multipart_type(b"a1b2")
    b'multipart/byteranges; boundary=a1b2'

    Source: RFC 9110, 14.6.
    """
    return b"multipart/byteranges; boundary=" + boundary


def multipart_body(
    body: bytes, content_type: bytes | None, parts: Sequence[ByteRange], boundary: bytes
) -> bytes:
    """The body of a 206 with several parts of `body`.

    `content_type` is that of the whole, where it has one. The boundary is a token of at most 70
    characters that the body does not hold: one of 16 random bytes in hexadecimal is never there.

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
