"""The common syntax of HTTP fields: lists, parameters, quoted strings, numbers and dates."""

import re
import time
from collections.abc import Iterable
from datetime import date

# Delimiters within quotes do not separate. Every repetition is possessive, so the expressions
# never backtrack and read a hostile field in linear time.
_QUOTED = rb'"(?:[^"\\]++|\\.)*+"'
_CLOSED = re.compile(rb'(?:[^"]++|' + _QUOTED + rb")*+", re.DOTALL)
_PARTS = {
    delimiter: re.compile(rb'(?:[^"' + delimiter + rb"]++|" + _QUOTED + rb")++", re.DOTALL)
    for delimiter in (b",", b";")
}
_QUOTED_STRING = re.compile(
    rb'"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]++|\\[\t \x21-\x7e\x80-\xff])*+)"'
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")

MAX_LIST_BYTES = 8192
"""The longest list that is parsed; the worst case takes 1 to 2 ms.

Common servers and proxies limit a field line to this length. Each parser documents how it treats
a longer list. The app always gets the whole field.
"""

MAX_DELTA_SECONDS = 2**31
"""The largest delta-seconds value; greater ones are clamped to it (RFC 9111, 1.2.2)."""


def split_list(value: bytes) -> list[bytes]:
    """Return the elements of a comma-separated field, stripped of surrounding white space.

    Empty elements are dropped. Commas within quoted strings do not separate. A quote that is never
    closed is an ordinary character, so that no restriction after it is overlooked.

    >>> split_list(b'gzip,, private="set-cookie, etag" ,br')
    [b'gzip', b'private="set-cookie, etag"', b'br']

    Source: RFC 9110, 5.6.1 and 5.6.4.
    """
    return _split(value, b",")


def split_first(value: bytes, most: int) -> list[bytes]:
    """Return the first elements of a list, at most `most`, from its first MAX_LIST_BYTES.

    >>> split_first(b"gzip, br, zstd", 2)
    [b'gzip', b'br']
    """
    if len(value) <= MAX_LIST_BYTES:
        return split_list(value)[:most]
    # The last element may have been cut.
    return split_list(value[:MAX_LIST_BYTES])[:-1][:most]


def split_parameters(value: bytes) -> list[bytes]:
    """Return the parts of a value between semicolons; quotes work as in `split_list`.

    Source: RFC 9110, 5.6.6.
    """
    return _split(value, b";")


def _split(value: bytes, delimiter: bytes) -> list[bytes]:
    parts = _split_quoted(value, delimiter) if b'"' in value else value.split(delimiter)
    return [part for raw in parts if (part := raw.strip(b" \t"))]


def _split_quoted(value: bytes, delimiter: bytes) -> list[bytes]:
    closed = _CLOSED.match(value)
    end = closed.end() if closed is not None else 0
    parts: list[bytes] = _PARTS[delimiter].findall(value, 0, end)
    if end < len(value):
        # The quote at `end` is never closed. The part that it stands in may have begun before it.
        begun = parts.pop() if parts and value[end - 1 : end] != delimiter else b""
        first, *others = value[end:].split(delimiter)
        parts += (begun + first, *others)
    return parts


def is_token(value: bytes) -> bool:
    """Whether the value is a token (RFC 9110, 5.6.2)."""
    return _TOKEN.fullmatch(value) is not None


def unquote(value: bytes) -> bytes | None:
    """Return the content of a token or quoted string; None if the value is neither.

    Source: RFC 9110, 5.6.2 and 5.6.4.
    """
    if is_token(value):
        return value
    quoted = _QUOTED_STRING.fullmatch(value)
    if quoted is None:
        return None
    content: bytes = quoted[1]
    return _QUOTED_PAIR.sub(rb"\1", content) if b"\\" in content else content


def merge_vary(current: Iterable[bytes], *names: bytes) -> bytes:
    """Return one Vary value with the members of the current lines, followed by the names.

    Duplicates are dropped, and the first spelling is kept. `*` replaces all other members. Lines
    longer than MAX_LIST_BYTES in total are not parsed; the names are appended to them.

    Source: RFC 9110, 12.5.5.
    """
    lines, members = tuple(current), dict[bytes, bytes]()
    if sum(map(len, lines)) > MAX_LIST_BYTES:
        return b", ".join([*lines, *names])
    for line in lines:
        for member in split_list(line):
            members.setdefault(member.lower(), member)
    for name in names:
        members.setdefault(name.lower(), name)
    return b"*" if b"*" in members else b", ".join(members.values())


def parse_delta_seconds(value: bytes) -> int | None:
    """Return a number of seconds, at most MAX_DELTA_SECONDS; None if there are not only digits.

    Source: RFC 9111, 1.2.2.
    """
    if not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    # Ten digits hold the limit. Longer numbers are never converted: int() takes quadratic time.
    if len(digits) > 10:
        return MAX_DELTA_SECONDS
    return min(int(digits or b"0"), MAX_DELTA_SECONDS)


_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = (
    *(b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun"),
    *(b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"),
)
_MONTH_NUMBERS = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_MONTH = rb"(?P<month>" + b"|".join(_MONTHS) + rb")"
_DAY = rb"(?:" + b"|".join(_DAYS) + rb")"
_LONG_DAY = rb"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)"
_CLOCK = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"

# RFC 9111, 4.2: "Although all date formats are specified to be case-sensitive, a cache recipient
# SHOULD match the field value case-insensitively."
_DATE_FORMATS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        _DAY + rb", (?P<day>\d\d) " + _MONTH + rb" (?P<year>\d{4}) " + _CLOCK + rb" GMT",
        _LONG_DAY + rb", (?P<day>\d\d)-" + _MONTH + rb"-(?P<year>\d\d) " + _CLOCK + rb" GMT",
        _DAY + rb" " + _MONTH + rb" (?P<day>\d\d| \d) " + _CLOCK + rb" (?P<year>\d{4})",
    )
)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FIFTY_YEARS = 50 * 31_556_952  # the mean Gregorian year, in seconds


def parse_http_date(value: bytes, now: float) -> int | None:
    """Return the epoch seconds of an HTTP date in one of its three formats; None if malformed.

    Letters may have any case, and the name of the day need not fit the date. `now`, in epoch
    seconds, decides the century of an RFC 850 date.

    Source: RFC 9110, 5.6.7; RFC 9111, 4.2.
    """
    for pattern in _DATE_FORMATS:
        match = pattern.fullmatch(value)
        if match is not None:
            return _epoch_seconds(match, now)
    return None


def _epoch_seconds(match: re.Match[bytes], now: float) -> int | None:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if hour > 23 or minute > 59 or second > 60:
        return None
    # RFC 9111, 4.2: "If a cache recipient's internal implementation of time has less resolution
    # than the value of an HTTP-date, the recipient MUST internally represent a parsed Expires date
    # as the nearest time equal to or earlier than the received value." A leap second becomes :59.
    clock = hour * 3600 + minute * 60 + min(second, 59)
    year, month, day = match["year"], _MONTH_NUMBERS[match["month"].lower()], int(match["day"])
    try:
        if len(year) == 4:
            return _midnight(int(year), month, day) + clock
        return _recent_midnight(int(year), month, day, clock, now) + clock
    except ValueError:
        return None


def _midnight(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH_ORDINAL) * 86_400


def _recent_midnight(two_digits: int, month: int, day: int, clock: int, now: float) -> int:
    # RFC 9110, 5.6.7: "Recipients of a timestamp value in rfc850-date format, which uses a
    # two-digit year, MUST interpret a timestamp that appears to be more than 50 years in the future
    # as representing the most recent year in the past that had the same last two digits."
    latest = time.gmtime(now).tm_year + 50
    year = latest - (latest - two_digits) % 100
    midnight = _midnight(year, month, day)
    if midnight + clock > now + _FIFTY_YEARS:
        return _midnight(year - 100, month, day)
    return midnight
