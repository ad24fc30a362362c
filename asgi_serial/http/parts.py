"""Stored parts of a representation: the requests they answer, and how they are combined."""

import re
from collections.abc import Container, Mapping
from typing import NamedTuple

from asgi_serial.http.headers import content_length
from asgi_serial.http.ranges import ByteRange, parse_range
from asgi_serial.http.validators import parse_entity_tag, strong_match
from asgi_serial.reasons import Reason

# RFC 9110, 14.4: range-resp. No representation is longer than 18 digits can say.
_CONTENT_RANGE = re.compile(rb"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.IGNORECASE)
_MULTIPART = b"multipart/byteranges"


class Part(NamedTuple):
    """The bytes of `body`, which begin at `first` in a representation of `length` bytes."""

    first: int
    length: int
    body: bytes

    @property
    def last(self) -> int:
        """The position of its last byte."""
        return self.first + len(self.body) - 1

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the representation."""
        return len(self.body) == self.length

    def cut(self, span: ByteRange) -> bytes:
        """Return its bytes between these positions, both of which it holds."""
        return self.body[span.first - self.first : span.last + 1 - self.first]


def parse_content_range(value: bytes | None) -> tuple[ByteRange, int] | None:
    """Return the positions and the complete length in a Content-Range value.

    None if it is missing or invalid, has another unit than bytes, or gives no complete length.

    >>> parse_content_range(b"bytes 0-499/1234")
    (ByteRange(first=0, last=499), 1234)

    Source: RFC 9110, 14.4: invalid if the last position is less than the first, or if the complete
    length is not greater than the last.
    """
    match = None if value is None else _CONTENT_RANGE.fullmatch(value)
    if match is None:
        return None
    first, last, length = (int(digits) for digits in match.groups())
    return (ByteRange(first, last), length) if first <= last < length else None


def why_not_a_part(
    method: str,
    request: Container[bytes],
    response: Mapping[bytes, bytes],
    *,
    validates: bool,
) -> Reason | None:
    """Why a 206 with these fields is not one part of a response; None if it is.

    `validates` says that the app was asked to confirm a stored response, and not for a part.

    Source: RFC 9111, 3.3; RFC 9110, 15.3.7.1: the part that Content-Range names.
    """
    found = parse_content_range(response.get(b"content-range"))
    media_type = response.get(b"content-type", b"").lower()
    was_asked_for = method == "GET" and b"range" in request and not validates
    if found is None or not was_asked_for or media_type.startswith(_MULTIPART):
        return Reason.STATUS_NOT_CACHED
    (first, last), _ = found
    # RFC 9110, 15.3.7.1: a single part's Content-Length is that of the part.
    if content_length(response) not in (None, last - first + 1):
        return Reason.INCOMPLETE
    return None


def read_part(content_range: bytes | None, body: bytes) -> Part | None:
    """Return `body` as the part that Content-Range names; None if it is not exactly that."""
    found = parse_content_range(content_range)
    if found is None:
        return None
    (first, last), length = found
    # RFC 9111, 3.3: a body that was cut off is not the part that Content-Range names.
    return Part(first, length, body) if len(body) == last - first + 1 else None


def find_span(range_value: bytes, part: Part, *, most: int) -> ByteRange | None:
    """Return the range that a Range value asks for, if it is a single one within the part.

    `most` is how many ranges are served at all.

    Source: RFC 9111, 3.3: an incomplete response answers a request only for "a range wholly within
    the incomplete response".
    """
    spans = parse_range(range_value, part.length, most=min(most, 1))
    if not spans:
        return None
    (span,) = spans
    return span if part.first <= span.first and span.last <= part.last else None


def missing_span(part: Part) -> ByteRange | None:
    """Return the range that a part lacks; None if it lacks nothing, or something on both sides."""
    if part.is_whole or (part.first > 0 and part.last < part.length - 1):
        return None
    if part.first == 0:
        return ByteRange(part.last + 1, part.length - 1)
    return ByteRange(0, part.first - 1)


def are_of_one(etag: bytes | None, other: bytes | None) -> bool:
    """Whether parts with these ETag values are of the same representation.

    Source: RFC 9110, 15.3.7.3, and RFC 9111, 3.4: they share the same strong validator.
    """
    if etag is None or other is None:
        return False
    one, another = parse_entity_tag(etag), parse_entity_tag(other)
    return one is not None and another is not None and strong_match(one, another)


def is_contrary(old: Part, new: Part) -> bool:
    """Whether two parts contradict each other, so that they cannot be of one representation."""
    if old.length != new.length:
        return True
    first, last = max(old.first, new.first), min(old.last, new.last)
    if first > last:
        return False
    common = ByteRange(first, last)
    return old.cut(common) != new.cut(common)


def join_parts(old: Part, new: Part) -> Part | None:
    """Combine two parts of one representation; None if there is a gap between them.

    Source: RFC 9110, 15.3.7.3.
    """
    if new.first > old.last + 1 or old.first > new.last + 1:
        return None
    before = old.body[: max(0, new.first - old.first)]
    after = old.body[new.last + 1 - old.first :]
    return Part(min(old.first, new.first), old.length, before + new.body + after)
