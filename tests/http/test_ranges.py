from email import message_from_bytes
from email.message import Message
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.ranges import (
    ByteRange,
    content_range,
    if_range_holds,
    multipart_body,
    multipart_type,
    parse_range,
)

NOW = 1_700_000_000
BODY = bytes(range(256)) * 4
LENGTH = len(BODY)


def at(seconds: int) -> bytes:
    """The HTTP date of so many seconds after now."""
    return formatdate(NOW + seconds, usegmt=True).encode()


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        pytest.param(b"bytes=0-0", [(0, 0)], id="14.1.2: the first byte"),
        pytest.param(b"bytes=0-499", [(0, 499)], id="14.1.2: the first 500 bytes"),
        pytest.param(b"bytes=500-", [(500, 1023)], id="14.1.2: from a position to the end"),
        pytest.param(b"bytes=0-", [(0, 1023)], id="14.1.2: all, as a range"),
        pytest.param(b"bytes=1000-9999", [(1000, 1023)], id="14.1.2: past the end, up to it"),
        pytest.param(b"bytes=1023-1023", [(1023, 1023)], id="14.1.2: the last byte"),
        pytest.param(b"bytes=-1", [(1023, 1023)], id="14.1.2: a suffix of one byte"),
        pytest.param(b"bytes=-24", [(1000, 1023)], id="14.1.2: a suffix"),
        pytest.param(b"bytes=-5000", [(0, 1023)], id="14.1.1: a suffix longer than all is all"),
        pytest.param(b"BYTES=0-1", [(0, 1)], id="14.1: the unit in any case"),
        pytest.param(b"bytes=000-0001", [(0, 1)], id="14.1.1: leading zeros"),
        pytest.param(b"bytes=%s1-2" % (b"0" * 5000), [(1, 2)], id="14.1.1: very many of them"),
        pytest.param(b"bytes=0-%s" % (b"9" * 5000), [(0, 1023)], id="14.1.1: a huge end"),
        pytest.param(b"bytes=-%s" % (b"9" * 5000), [(0, 1023)], id="14.1.1: a huge suffix"),
        pytest.param(b"bytes=0-1, 5-6", [(0, 1), (5, 6)], id="14.1.2: several"),
        pytest.param(b"bytes=0-0,-1", [(0, 0), (1023, 1023)], id="14.1.2: the first and the last"),
        pytest.param(b"bytes=0-1 \t, \t5-6", [(0, 1), (5, 6)], id="5.6.1: white space in a list"),
        pytest.param(b"bytes=,0-1,,5-6,", [(0, 1), (5, 6)], id="5.6.1: empty elements"),
        pytest.param(b"bytes=5-6,0-1", [(5, 6), (0, 1)], id="15.3.7.2: in the order asked for"),
        pytest.param(b"bytes=0-1,5000-", [(0, 1)], id="15.3.7.2: those that can be satisfied"),
        pytest.param(b"bytes=-0,0-1", [(0, 1)], id="14.1.2: an empty suffix can not be"),
        pytest.param(b"bytes=0-5,3-9", [(0, 9)], id="15.3.7.2: overlapping ones as one"),
        pytest.param(b"bytes=0-5,6-9", [(0, 9)], id="15.3.7.2: touching ones as one"),
        pytest.param(b"bytes=0-5,7-9", [(0, 5), (7, 9)], id="a byte between two"),
        pytest.param(b"bytes=0-9,2-3", [(0, 9)], id="15.3.7.2: one inside another"),
        pytest.param(b"bytes=0-1,0-1,0-1", [(0, 1)], id="17.15: the same again and again"),
        pytest.param(b"bytes=0-,0-,0-,0-", [(0, 1023)], id="17.15: all, again and again"),
        pytest.param(
            b"bytes=50-60,0-1,55-70,20-30",
            [(50, 70), (0, 1), (20, 30)],
            id="15.3.7.2: one is in the place of the first of its parts",
        ),
        pytest.param(
            b"bytes=20-30,50-60,0-1,25-55", [(20, 60), (0, 1)], id="15.3.7.2: a chain of overlaps"
        ),
    ],
)
def test_ranges_that_are_satisfied(value: bytes, parts: list[tuple[int, int]]) -> None:
    assert parse_range(value, LENGTH, most=5) == tuple(parts)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"bytes=1024-", id="from the end"),
        pytest.param(b"bytes=1024-2000", id="after the end"),
        pytest.param(b"bytes=%s-" % (b"9" * 5000), id="far after the end"),
        pytest.param(b"bytes=-0", id="a suffix of nothing"),
        pytest.param(b"bytes=-000", id="a suffix of nothing, with leading zeros"),
        pytest.param(b"bytes=1024-,-0,5000-6000", id="none of several"),
    ],
)
def test_ranges_that_can_not_be_satisfied(value: bytes) -> None:
    """RFC 9110, 14.1.2 and 15.5.17."""
    assert parse_range(value, LENGTH, most=5) == ()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="14.2: nothing"),
        pytest.param(b"bytes", id="14.2: a unit alone"),
        pytest.param(b"bytes=", id="14.1.1: no range"),
        pytest.param(b"bytes=, ,", id="14.1.1: empty elements only"),
        pytest.param(b"items=0-1", id="14.2: an unknown unit"),
        pytest.param(b"bytesx=0-1", id="14.2: a unit that begins as a known one"),
        pytest.param(b"none", id="14.2: none"),
        pytest.param(b"0-1", id="14.1.1: no unit"),
        pytest.param(b"bytes=-", id="14.1.1: neither start nor end"),
        pytest.param(b"bytes=5", id="14.1.1: no hyphen"),
        pytest.param(b"bytes=5-4", id="14.1.1: the end before the start"),
        pytest.param(b"bytes=5000-4999", id="14.1.1: and after the end of all"),
        pytest.param(b"bytes=0-1,5-4", id="14.1.1: one of several is invalid"),
        pytest.param(b"bytes=0-1,x", id="14.1.1: another kind of range"),
        pytest.param(b"bytes=--1", id="14.1.1: two hyphens"),
        pytest.param(b"bytes=0-1-2", id="14.1.1: three positions"),
        pytest.param(b"bytes=+0-1", id="14.1.1: a sign"),
        pytest.param(b"bytes=0x0-0x1", id="14.1.1: hexadecimal"),
        pytest.param(b"bytes=0.0-1", id="14.1.1: a fraction"),
        pytest.param(b"bytes=0 - 1", id="14.1.1: white space in a range"),
        pytest.param(b"bytes =0-1", id="14.1.1: white space after the unit"),
        pytest.param(b" bytes=0-1", id="14.1.1: white space before the unit"),
        pytest.param(b'bytes="0-1"', id="14.1.1: in quotes"),
        pytest.param(b"bytes=0-1\n", id="14.1.1: a line feed"),
        pytest.param("bytes=0-\u0661".encode(), id="14.1.1: digits of another script"),
        pytest.param(b"bytes=0-1, bytes=5-6", id="5.3: two lines"),
        pytest.param(b"bytes=0-1,3-4,6-7,9-10,12-13,15-16", id="17.15: more than are answered"),
        pytest.param(b"bytes=" + b"0-," * 20_000, id="17.15: very many"),
    ],
)
def test_ranges_that_are_ignored(value: bytes) -> None:
    assert parse_range(value, LENGTH, most=5) is None


@pytest.mark.parametrize("value", [b"bytes=0-", b"bytes=-5", b"bytes=0-0", b"bytes=-0"])
def test_without_content_a_range_is_ignored(value: bytes) -> None:
    """RFC 9110, 14.2."""
    assert parse_range(value, 0, most=5) is None


specs = st.one_of(
    st.tuples(st.integers(0, 80), st.integers(0, 80)).map(lambda pair: b"%d-%d" % pair),
    st.integers(0, 80).map(lambda first: b"%d-" % first),
    st.integers(0, 80).map(lambda last: b"-%d" % last),
)


@given(st.lists(specs, min_size=1, max_size=8), st.integers(1, 60))
def test_the_parts_hold_every_byte_that_is_asked_for_once(specs: list[bytes], length: int) -> None:
    parts = parse_range(b"bytes=" + b",".join(specs), length, most=8)
    if parts is not None:
        sent = [at for part in parts for at in range(part.first, part.last + 1)]
        each = [parse_range(b"bytes=" + spec, length, most=1) or () for spec in specs]
        wanted = {at for alone in each for part in alone for at in range(part[0], part[1] + 1)}
        assert len(sent) == len(set(sent))
        assert set(sent) == wanted


@given(st.binary() | st.binary().map(b"bytes=".__add__), st.integers(0, 2**40))
def test_any_bytes_give_parts_or_nothing(value: bytes, length: int) -> None:
    for part in parse_range(value, length, most=10) or ():
        assert 0 <= part.first <= part.last < length


def test_content_range() -> None:
    """RFC 9110, 14.4 and 15.5.17."""
    assert content_range(ByteRange(0, 0), 1) == b"bytes 0-0/1"
    assert content_range(None, 0) == b"bytes */0"


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        pytest.param(b'"v1"', True, id="8.8.3.2: the same strong tag"),
        pytest.param(b'"v2"', False, id="another tag"),
        pytest.param(b'W/"v1"', False, id="13.1.5: a weak tag"),
        pytest.param(b"v1", False, id="a tag without quotes"),
        pytest.param(b'"v1", "v2"', False, id="13.1.5: a list of tags"),
        pytest.param(b"*", False, id="13.1.5: no asterisk"),
        pytest.param(b"", False, id="nothing"),
        pytest.param(at(-60), True, id="13.1.5: the very date"),
        pytest.param(at(-59), False, id="13.1.5: a later date"),
        pytest.param(at(-61), False, id="13.1.5: an earlier date"),
        pytest.param(b"yesterday", False, id="an invalid date"),
    ],
)
def test_if_range(value: bytes, holds: bool) -> None:
    assert if_range_holds(value, b'"v1"', at(-60), at(0), now=NOW) == holds


def test_a_date_of_another_form_is_the_same_date() -> None:
    modified, date = b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 18:49:37 GMT"
    assert if_range_holds(b"Sun Nov  6 08:49:37 1994", None, modified, date, now=NOW)


@pytest.mark.parametrize(
    ("value", "etag", "modified", "date"),
    [
        pytest.param(b'"v1"', None, at(-60), at(0), id="no tag is stored"),
        pytest.param(b'"v1"', b'W/"v1"', at(-60), at(0), id="8.8.3.2: the stored tag is weak"),
        pytest.param(b'"v1"', b"v1", at(-60), at(0), id="the stored tag is malformed"),
        pytest.param(at(-60), b'"v1"', None, at(0), id="no Last-Modified is stored"),
        pytest.param(at(-60), b'"v1"', at(-60), None, id="8.8.2.2: no Date is stored"),
        pytest.param(at(0), b'"v1"', at(0), at(0), id="8.8.2.2: modified in that second"),
        pytest.param(at(-59), b'"v1"', at(-59), at(0), id="8.8.2.2: modified just before"),
        pytest.param(at(60), b'"v1"', at(60), at(0), id="8.8.2.2: modified later"),
        pytest.param(at(-60), b'"v1"', b"x", at(0), id="the stored Last-Modified is invalid"),
        pytest.param(at(-60), b'"v1"', at(-60), b"x", id="the stored Date is invalid"),
        pytest.param(b"x", b'"v1"', b"x", at(0), id="an invalid date is no date"),
    ],
)
def test_if_range_does_not_hold(
    value: bytes, etag: bytes | None, modified: bytes | None, date: bytes | None
) -> None:
    assert not if_range_holds(value, etag, modified, date, now=NOW)


@given(st.binary(), st.binary(), st.binary(), st.binary())
def test_if_range_of_any_bytes(value: bytes, etag: bytes, modified: bytes, date: bytes) -> None:
    holds = if_range_holds(value, etag, modified, date, now=NOW)
    assert holds <= (value == etag or len(value) > 20)


def parsed(content_type: bytes, body: bytes) -> list[Message]:
    """The parts as another library reads them."""
    message = message_from_bytes(b"Content-Type: " + content_type + b"\r\n\r\n" + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    assert all(isinstance(part, Message) for part in parts)
    return parts


def test_the_parts_of_a_multipart_body() -> None:
    """RFC 9110, 14.6 and 15.3.7.2."""
    body = b"abcdefghijklmnopqrstuvwxyz"
    made = multipart_body(body, b"text/plain", [ByteRange(0, 2), ByteRange(23, 25)], b"a1b2")
    assert made == (
        b"--a1b2\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-2/26\r\n\r\nabc\r\n"
        b"--a1b2\r\nContent-Type: text/plain\r\nContent-Range: bytes 23-25/26\r\n\r\nxyz\r\n"
        b"--a1b2--\r\n"
    )


def test_another_library_reads_the_parts() -> None:
    parts = [ByteRange(0, 9), ByteRange(97, 122), ByteRange(1023, 1023)]
    made = multipart_body(BODY, b"application/octet-stream", parts, b"3d6b6a416f9b5")
    read = parsed(multipart_type(b"3d6b6a416f9b5"), made)
    assert [part["Content-Range"].encode() for part in read] == [
        content_range(part, LENGTH) for part in parts
    ]
    assert read[1].get_payload() == BODY[97:123].decode()


def test_without_a_type_the_parts_have_none() -> None:
    made = multipart_body(b"ab", None, [ByteRange(0, 0), ByteRange(1, 1)], b"x")
    assert b"Content-Type" not in made
    assert [part.get_payload() for part in parsed(multipart_type(b"x"), made)] == ["a", "b"]
