"""Parts of a representation: which requests they answer, and how they join."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.parts import (
    Part,
    are_of_one,
    find_span,
    is_contrary,
    join_parts,
    missing_span,
    parse_content_range,
    read_part,
    why_not_a_part,
)
from asgi_serial.http.ranges import ByteRange
from asgi_serial.reasons import Reason

DIGITS = b"0123456789"
MIDDLE = Part(3, 10, b"3456")


def part_of(first, last, whole=DIGITS):
    return Part(first, len(whole), whole[first : last + 1])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param(b"bytes 0-3/10", ((0, 3), 10), id="a part"),
        pytest.param(b"bytes 9-9/10", ((9, 9), 10), id="the last byte"),
        pytest.param(b"BYTES 0-3/10", ((0, 3), 10), id="the unit in capitals"),
        pytest.param(b"bytes 00-03/010", ((0, 3), 10), id="zeros before"),
    ],
)
def test_what_content_range_says(value, found):
    assert parse_content_range(value) == found


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param(b"", id="an empty one"),
        pytest.param(b"bytes 0-3/*", id="no complete length"),
        pytest.param(b"bytes */10", id="that of a 416"),
        pytest.param(b"bytes 3-2/10", id="an end before the start"),
        pytest.param(b"bytes 0-10/10", id="an end beyond the length"),
        pytest.param(b"bytes 0-0/0", id="a part of nothing"),
        pytest.param(b"lines 0-3/10", id="another unit"),
        pytest.param(b"bytes=0-3/10", id="as in a request"),
        pytest.param(b"bytes 0-3/10, bytes 4-5/10", id="two of them"),
        pytest.param(b"bytes -3/10", id="no start"),
        pytest.param(b"bytes +0-3/10", id="a sign"),
        pytest.param(b"bytes 0-3/1" + b"0" * 18, id="more than there can be"),
        pytest.param(b" bytes 0-3/10", id="a blank before"),
    ],
)
def test_what_is_no_content_range(value):
    """RFC 9110, 14.4."""
    assert parse_content_range(value) is None


@given(st.binary(max_size=30))
def test_any_bytes_are_a_content_range_or_none(value):
    found = parse_content_range(value)
    assert found is None or 0 <= found[0].first <= found[0].last < found[1]


@pytest.mark.parametrize(
    ("value", "body", "found"),
    [
        pytest.param(b"bytes 3-6/10", b"3456", MIDDLE, id="as long as it says"),
        pytest.param(b"bytes 3-6/10", b"345", None, id="shorter"),
        pytest.param(b"bytes 3-6/10", b"34567", None, id="longer"),
        pytest.param(None, b"3456", None, id="nothing said"),
    ],
)
def test_a_part_has_the_length_that_it_says(value, body, found):
    """RFC 9111, 3.3."""
    assert read_part(value, body) == found


@pytest.mark.parametrize(
    ("value", "content"),
    [
        pytest.param(b"bytes=3-6", b"3456", id="all of it"),
        pytest.param(b"bytes=4-5", b"45", id="bytes within it"),
        pytest.param(b"bytes=6-6", b"6", id="its last byte"),
        pytest.param(b"bytes=2-4", None, id="a byte before it"),
        pytest.param(b"bytes=5-7", None, id="a byte after it"),
        pytest.param(b"bytes=0-9", None, id="all there is"),
        pytest.param(b"bytes=5-", None, id="to the end, which it lacks"),
        pytest.param(b"bytes=-4", None, id="the last bytes, which it lacks"),
        pytest.param(b"bytes=20-", None, id="from after the end"),
        pytest.param(b"bytes=3-4, 5-6", None, id="two ranges"),
        pytest.param(b"lines=3-6", None, id="another unit"),
        pytest.param(b"bytes=6-3", None, id="no range"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_a_range_within_a_part(value, content):
    """RFC 9111, 3.3: wholly within the incomplete response."""
    span = find_span(value, MIDDLE, most=16)
    assert (None if span is None else MIDDLE.cut(span)) == content


@pytest.mark.parametrize(
    ("value", "content"),
    [
        pytest.param(b"bytes=8-", b"89", id="to the end"),
        pytest.param(b"bytes=-2", b"89", id="the last bytes"),
        pytest.param(b"bytes=8-100", b"89", id="beyond the end"),
        pytest.param(b"bytes=-9", None, id="more last bytes than it has"),
        pytest.param(b"bytes=-100", None, id="more last bytes than there are"),
    ],
)
def test_a_range_that_is_resolved_by_the_complete_length(value, content):
    end = part_of(5, 9)
    span = find_span(value, end, most=16)
    assert (None if span is None else end.cut(span)) == content


def test_where_no_range_is_served_no_part_is():
    assert find_span(b"bytes=3-6", MIDDLE, most=0) is None


@pytest.mark.parametrize(
    ("held", "lacks"),
    [
        pytest.param((0, 3), (4, 9), id="the end"),
        pytest.param((4, 9), (0, 3), id="the start"),
        pytest.param((0, 8), (9, 9), id="the last byte"),
        pytest.param((1, 9), (0, 0), id="the first byte"),
        pytest.param((3, 5), None, id="bytes on both sides"),
        pytest.param((0, 9), None, id="nothing"),
    ],
)
def test_the_one_range_that_a_part_lacks(held, lacks):
    assert missing_span(part_of(*held)) == lacks


@pytest.mark.parametrize(
    ("one", "other", "are"),
    [
        pytest.param(b'"a"', b'"a"', True, id="one tag"),
        pytest.param(b'"a"', b'"b"', False, id="two tags"),
        pytest.param(b'W/"a"', b'W/"a"', False, id="weak tags"),
        pytest.param(b'"a"', b'W/"a"', False, id="a weak tag"),
        pytest.param(b"a", b"a", False, id="no tags"),
        pytest.param(None, b'"a"', False, id="no tag of the first"),
        pytest.param(b'"a"', None, False, id="no tag of the second"),
        pytest.param(None, None, False, id="nothing"),
    ],
)
def test_parts_of_one_representation_share_a_strong_tag(one, other, are):
    """RFC 9110, 15.3.7.3."""
    assert are_of_one(one, other) is are


@pytest.mark.parametrize(
    ("old", "new", "joined"),
    [
        pytest.param((0, 3), (4, 6), (0, 6), id="the next bytes"),
        pytest.param((4, 6), (0, 3), (0, 6), id="the bytes before"),
        pytest.param((0, 5), (3, 9), (0, 9), id="some that are there and more"),
        pytest.param((3, 9), (0, 5), (0, 9), id="some before, and some that are there"),
        pytest.param((0, 9), (3, 5), (0, 9), id="what is there"),
        pytest.param((3, 5), (0, 9), (0, 9), id="all around what is there"),
        pytest.param((0, 3), (0, 5), (0, 5), id="more from the same start"),
        pytest.param((0, 3), (0, 3), (0, 3), id="the same"),
        pytest.param((0, 3), (5, 6), None, id="bytes after a gap"),
        pytest.param((5, 6), (0, 3), None, id="bytes before a gap"),
    ],
)
def test_what_two_parts_are_together(old, new, joined):
    expected = None if joined is None else part_of(*joined)
    assert join_parts(part_of(*old), part_of(*new)) == expected


@given(st.binary(min_size=1, max_size=30), st.data())
def test_any_two_parts_join_to_a_part_or_do_not_touch(whole, data):
    places = st.integers(0, len(whole) - 1)
    spans = [sorted((data.draw(places), data.draw(places))) for _ in range(2)]
    old, new = (part_of(*span, whole) for span in spans)
    assert not is_contrary(old, new)
    joined = join_parts(old, new)
    first, last = min(old.first, new.first), max(old.last, new.last)
    touch = len(set(range(old.first, old.last + 1)) | set(range(new.first, new.last + 1)))
    if joined is None:
        assert touch < last - first + 1
    else:
        assert joined == part_of(first, last, whole)
        assert joined.is_whole == (joined.body == whole)


@pytest.mark.parametrize(
    ("old", "new", "is_so"),
    [
        pytest.param(MIDDLE, Part(3, 11, b"3456"), True, id="another complete length"),
        pytest.param(MIDDLE, Part(5, 10, b"x6"), True, id="another byte at one place"),
        pytest.param(MIDDLE, Part(5, 10, b"5678"), False, id="the same bytes"),
        pytest.param(MIDDLE, Part(8, 10, b"x"), False, id="bytes elsewhere"),
    ],
)
def test_parts_that_can_not_be_of_one_representation(old, new, is_so):
    assert is_contrary(old, new) is is_so


def test_cutting_gives_the_bytes_at_these_positions():
    assert MIDDLE.cut(ByteRange(4, 5)) == b"45"


WITH_RANGE = {b"range": b"bytes=0-1"}
FIRST_TWO = {b"content-range": b"bytes 0-1/9"}


@pytest.mark.parametrize(
    ("method", "request_fields", "response", "validates", "why"),
    [
        pytest.param("GET", WITH_RANGE, FIRST_TWO, False, None, id="a part"),
        pytest.param(
            *("GET", WITH_RANGE, FIRST_TWO | {b"content-length": b"2"}, False, None),
            id="a part with its length",
        ),
        pytest.param(
            *("GET", WITH_RANGE, FIRST_TWO | {b"content-length": b"9"}, False, Reason.INCOMPLETE),
            id="a length that is not the part's",
        ),
        pytest.param(
            "HEAD", WITH_RANGE, FIRST_TWO, False, Reason.STATUS_NOT_CACHED, id="an answer to HEAD"
        ),
        pytest.param(
            "GET", {}, FIRST_TWO, False, Reason.STATUS_NOT_CACHED, id="a part nobody asked for"
        ),
        pytest.param(
            *("GET", WITH_RANGE, FIRST_TWO, True, Reason.STATUS_NOT_CACHED),
            id="an answer to our own condition",
        ),
        pytest.param(
            *("GET", WITH_RANGE, {}, False, Reason.STATUS_NOT_CACHED), id="no Content-Range"
        ),
        pytest.param(
            "GET",
            WITH_RANGE,
            FIRST_TWO | {b"content-type": b"Multipart/Byteranges; boundary=a"},
            False,
            Reason.STATUS_NOT_CACHED,
            id="several parts",
        ),
    ],
)
def test_a_206_is_stored_as_one_part_only(method, request_fields, response, validates, why):
    """RFC 9111, 3.3; RFC 9110, 15.3.7.1."""
    assert why_not_a_part(method, request_fields, response, validates=validates) is why
