from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.fields import (
    MAX_DELTA_SECONDS,
    is_token,
    merge_vary,
    parse_delta_seconds,
    parse_http_date,
    split_list,
    split_parameters,
    unquote,
)

NOW = datetime(2024, 6, 1, tzinfo=UTC).timestamp()


def epoch(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        pytest.param(b"", [], id="an empty value has no elements"),
        pytest.param(b" \t ", [], id="white space has no elements"),
        pytest.param(b"a", [b"a"], id="one element"),
        pytest.param(b"a,b", [b"a", b"b"], id="two elements"),
        pytest.param(b" a \t,\tb ", [b"a", b"b"], id="white space around is dropped"),
        pytest.param(b"a b, c", [b"a b", b"c"], id="white space inside is kept"),
        pytest.param(b",a,,b, ,", [b"a", b"b"], id="empty elements are dropped"),
        pytest.param(b'a="x,y",b', [b'a="x,y"', b"b"], id="a quoted comma does not separate"),
        pytest.param(b'"x\\",y",b', [b'"x\\",y"', b"b"], id="an escaped quote does not close"),
        pytest.param(b'"x\\\\",b', [b'"x\\\\"', b"b"], id="an escaped backslash escapes nothing"),
        pytest.param(b'"a""b,c",d', [b'"a""b,c"', b"d"], id="two quoted strings side by side"),
        pytest.param(b'a="x, b', [b'a="x', b"b"], id="a quote that never closes hides nothing"),
        pytest.param(b'a, "b\\', [b"a", b'"b\\'], id="a backslash at the end"),
        pytest.param(b'"a,b", "c, d', [b'"a,b"', b'"c', b"d"], id="closed, then never closed"),
        pytest.param(b'"\n,\xff",b', [b'"\n,\xff"', b"b"], id="any byte between quotes"),
    ],
)
def test_lists(value: bytes, elements: list[bytes]) -> None:
    assert split_list(value) == elements
    swapped = value.translate(bytes.maketrans(b",;", b";,"))
    assert split_parameters(swapped) == [
        element.translate(bytes.maketrans(b",;", b";,")) for element in elements
    ]


@given(st.binary())
def test_no_byte_of_a_list_is_lost_but_commas_and_white_space(value: bytes) -> None:
    kept = b"".join(split_list(value)).translate(None, b", \t")
    assert kept == value.translate(None, b", \t")


@given(st.lists(st.text('ab,;\\" ', min_size=1)))
def test_quoted_elements_come_back_whole(texts: list[str]) -> None:
    elements = [
        b'"' + text.encode().replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"' for text in texts
    ]
    assert split_list(b" , ".join(elements)) == elements
    assert [unquote(element) for element in elements] == [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("value", "content"),
    [
        pytest.param(b"token", b"token", id="a token is its own content"),
        pytest.param(b'"a b"', b"a b", id="the quotes are taken off"),
        pytest.param(b'""', b"", id="an empty string"),
        pytest.param(b'"a\\"\\\\\\b"', b'a"\\b', id="each escape stands for one byte"),
        pytest.param(b'"\xc3\xa9\t"', b"\xc3\xa9\t", id="obs-text and tab"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"a b", None, id="two words"),
        pytest.param(b'"a', None, id="no closing quote"),
        pytest.param(b'a"', None, id="no opening quote"),
        pytest.param(b'"a"b', None, id="bytes after the closing quote"),
        pytest.param(b'"a"b"', None, id="a bare quote inside"),
        pytest.param(b'"a\\"', None, id="the closing quote is escaped"),
        pytest.param(b'"\x00"', None, id="a control byte"),
        pytest.param(b'"\\\n"', None, id="an escaped control byte"),
        pytest.param(b"'a'", b"'a'", id="single quotes are token characters"),
        pytest.param(b"a\n", None, id="a line feed after a token"),
        pytest.param(b'"a"\n', None, id="a line feed after a string"),
    ],
)
def test_unquote(value: bytes, content: bytes | None) -> None:
    assert unquote(value) == content


@pytest.mark.parametrize("value", [b"a", b"gzip", b"!#$%&'*+-.^_`|~09AZ", b"x" * 1000])
def test_tokens(value: bytes) -> None:
    assert is_token(value)


@pytest.mark.parametrize(
    "value", [b"", b" a", b"a ", b"a b", b'"a"', b"a/b", b"a=b", b"\xe9", b"a\n"]
)
def test_no_tokens(value: bytes) -> None:
    assert not is_token(value)


@pytest.mark.parametrize(
    ("current", "names", "merged"),
    [
        pytest.param([], [], b"", id="nothing"),
        pytest.param([], [b"Accept"], b"Accept", id="a name where there was none"),
        pytest.param([b"Origin"], [], b"Origin", id="no name to add"),
        pytest.param([b"Origin"], [b"Accept"], b"Origin, Accept", id="names go to the end"),
        pytest.param([b"accept"], [b"Accept"], b"accept", id="the first spelling stays"),
        pytest.param([b"A, b", b"B,c"], [b"C", b"d"], b"A, b, c, d", id="several lines"),
        pytest.param([b"a, A ,a"], [], b"a", id="duplicates are removed"),
        pytest.param([b"*"], [b"Accept"], b"*", id="a star stands alone"),
        pytest.param([b"a", b"b, *"], [b"c"], b"*", id="a star in a list says all"),
        pytest.param([b"a"], [b"*"], b"*", id="a star may be added"),
        pytest.param([b",", b""], [b"a"], b"a", id="empty lines"),
    ],
)
def test_merge_vary(current: list[bytes], names: list[bytes], merged: bytes) -> None:
    assert merge_vary(iter(current), *names) == merged


@given(st.lists(st.binary()), st.lists(st.sampled_from([b"Accept", b"accept", b"Origin"])))
def test_merging_vary_again_changes_nothing(current: list[bytes], names: list[bytes]) -> None:
    merged = merge_vary(current, *names)
    assert merge_vary([merged], *names) == merged


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(b"0", 0, id="zero"),
        pytest.param(b"60", 60, id="a number"),
        pytest.param(b"0060", 60, id="leading zeros"),
        pytest.param(b"2147483647", MAX_DELTA_SECONDS - 1, id="the greatest that is told apart"),
        pytest.param(b"2147483648", MAX_DELTA_SECONDS, id="the limit"),
        pytest.param(b"2147483649", MAX_DELTA_SECONDS, id="above the limit"),
        pytest.param(b"99999999999", MAX_DELTA_SECONDS, id="more digits than the limit"),
        pytest.param(b"9" * 65_536, MAX_DELTA_SECONDS, id="more digits than int takes"),
        pytest.param(b"0" * 65_536, 0, id="nothing but zeros"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"-1", None, id="a negative number"),
        pytest.param(b"+1", None, id="a sign"),
        pytest.param(b"1.5", None, id="a fraction"),
        pytest.param(b"1_0", None, id="an underscore"),
        pytest.param(b" 1", None, id="white space"),
        pytest.param("١".encode(), None, id="digits of another script"),
    ],
)
def test_delta_seconds(value: bytes, seconds: int | None) -> None:
    assert parse_delta_seconds(value) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777, id="IMF-fixdate"),
        pytest.param(b"Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777, id="RFC 850"),
        pytest.param(b"Sun Nov  6 08:49:37 1994", 784_111_777, id="asctime"),
        pytest.param(b"Wed Nov 16 08:49:37 1994", 784_975_777, id="asctime, two-digit day"),
        pytest.param(b"Thu, 01 Jan 1970 00:00:00 GMT", 0, id="the epoch"),
        pytest.param(b"Mon, 01 Jan 0001 00:00:00 GMT", -62_135_596_800, id="long before the epoch"),
        pytest.param(b"Thu, 29 Feb 2024 00:00:00 GMT", epoch(2024, 2, 29), id="a leap day"),
        pytest.param(
            b"Sat, 31 Dec 2016 23:59:60 GMT", epoch(2016, 12, 31, 23, 59, 59), id="leap second"
        ),
        pytest.param(b"sUN, 06 nOV 1994 08:49:37 gmt", 784_111_777, id="any case"),
        pytest.param(b"Mon, 06 Nov 1994 08:49:37 GMT", 784_111_777, id="the wrong day's name"),
        pytest.param(b"Friday, 01-Jun-74 00:00:00 GMT", epoch(2074, 6, 1), id="50 years ahead"),
        pytest.param(
            b"Friday, 31-May-74 00:00:00 GMT", epoch(2074, 5, 31), id="not quite 50 years ahead"
        ),
        pytest.param(
            b"Sunday, 03-Jun-74 00:00:00 GMT", epoch(1974, 6, 3), id="over 50 years ahead"
        ),
        pytest.param(b"Tuesday, 01-Jan-75 00:00:00 GMT", epoch(1975, 1, 1), id="51 years ahead"),
        pytest.param(b"Tuesday, 01-Jan-30 00:00:00 GMT", epoch(2030, 1, 1), id="six years ahead"),
        pytest.param(b"Saturday, 01-Jan-00 00:00:00 GMT", epoch(2000, 1, 1), id="the year 00"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"0", None, id="zero"),
        pytest.param(b"-1", None, id="minus one"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 UTC", None, id="UTC"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 EST", None, id="another zone"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 +0000", None, id="a numeric zone"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37", None, id="no zone"),
        pytest.param(b"Sun, 6 Nov 1994 08:49:37 GMT", None, id="a one-digit day"),
        pytest.param(b"Sun, 06 Nov 94 08:49:37 GMT", None, id="a two-digit year"),
        pytest.param(b"Sun, 06-Nov-1994 08:49:37 GMT", None, id="the dashes of cookies"),
        pytest.param(b"Sun, 06-Nov-94 08:49:37 GMT", None, id="RFC 850 with a short day's name"),
        pytest.param(b"Sunday, 06 Nov 1994 08:49:37 GMT", None, id="a long day's name"),
        pytest.param(b"Sun 06 Nov 1994 08:49:37 GMT", None, id="no comma"),
        pytest.param(b"Sun,  06 Nov 1994 08:49:37 GMT", None, id="two spaces"),
        pytest.param(b"Sun, 06 Nov 1994 8:49:37 GMT", None, id="a one-digit hour"),
        pytest.param(b"Sun, 06 Nov 1994 08.49.37 GMT", None, id="full stops in the time"),
        pytest.param(b"Sun, 06 Nov 1994 08:49 GMT", None, id="no seconds"),
        pytest.param(b"06 Nov 1994 08:49:37 GMT", None, id="no day's name"),
        pytest.param(b"Son, 06 Nov 1994 08:49:37 GMT", None, id="a day's name of another language"),
        pytest.param(b"Sun, 06 Okt 1994 08:49:37 GMT", None, id="a month of another language"),
        pytest.param(b"Sun Nov 06 08:49:37 94", None, id="asctime with a two-digit year"),
        pytest.param(b"Sun Nov 6 08:49:37 1994", None, id="asctime with one space"),
        pytest.param(b"Sun Nov  6 08:49:37 1994 GMT", None, id="asctime with a zone"),
        pytest.param(b" Sun, 06 Nov 1994 08:49:37 GMT", None, id="a leading space"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT\n", None, id="a line feed at the end"),
        pytest.param(b"1994-11-06T08:49:37Z", None, id="ISO 8601"),
        pytest.param(b"Sun, 31 Feb 1994 08:49:37 GMT", None, id="no such day"),
        pytest.param(b"Wed, 29 Feb 2023 00:00:00 GMT", None, id="no such leap day"),
        pytest.param(b"Sun, 00 Nov 1994 08:49:37 GMT", None, id="day zero"),
        pytest.param(b"Sun, 06 Nov 0000 08:49:37 GMT", None, id="year zero"),
        pytest.param(b"Sun, 06 Nov 1994 24:00:00 GMT", None, id="hour 24"),
        pytest.param(b"Sun, 06 Nov 1994 08:60:00 GMT", None, id="minute 60"),
        pytest.param(b"Sun, 06 Nov 1994 08:00:61 GMT", None, id="second 61"),
        pytest.param(
            b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", None, id="two dates"
        ),
        pytest.param("Sun, ٠٦ Nov 1994 08:49:37 GMT".encode(), None, id="digits of another script"),
    ],
)
def test_http_dates(value: bytes, seconds: int | None) -> None:
    assert parse_http_date(value, NOW) == seconds


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59)))
def test_a_written_date_is_read_back_in_each_format(at: datetime) -> None:
    seconds = int(
        (at.replace(microsecond=0, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    )
    written = format_datetime(at.replace(microsecond=0, tzinfo=UTC), usegmt=True).encode()
    assert parse_http_date(written, NOW) == seconds
    day, number, month, year, clock, _ = written.decode().split(" ")
    asctime = f"{day[:3]} {month} {int(number):2d} {clock} {year}"
    assert parse_http_date(asctime.encode(), NOW) == seconds


@given(st.integers(0, 3_000_000_000), st.integers(-1_570_000_000, 1_570_000_000))
def test_a_two_digit_year_within_fifty_years_is_completed(now: int, offset: int) -> None:
    at = datetime.fromtimestamp(0, UTC).timestamp() + now + offset
    moment = datetime.fromtimestamp(at, UTC)
    written = moment.strftime("%A, %d-%b-%y %H:%M:%S GMT").encode()
    assert parse_http_date(written, now) == int(at)


@given(st.binary() | st.from_regex(rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"))
def test_any_bytes_are_a_date_or_none(value: bytes) -> None:
    seconds = parse_http_date(value, NOW)
    assert seconds is None or isinstance(seconds, int)
