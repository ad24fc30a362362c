from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.cachecontrol import CacheControl, parse_cache_control
from asgi_serial.http.fields import MAX_DELTA_SECONDS
from asgi_serial.http.freshness import (
    HEURISTIC_STATUSES,
    freshness_lifetime,
    heuristic_lifetime,
    initial_age,
    parse_age,
)

NOW = 1_700_000_000.0


def at(seconds: float) -> bytes:
    """The HTTP date of so many seconds after now."""
    return formatdate(int(NOW + seconds), usegmt=True).encode()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0),
        (b"60", 60),
        (b" 60 ", 60),
        (b"60, 10", 60),
        (b"60,x", 60),
        (b",, 60", 60),
        (b", ", 0),
        (b"60;a=b", 0),
        (b"99999999999", MAX_DELTA_SECONDS),
        (b"", 0),
        (b"-60", 0),
        (b"60.5", 0),
        (b"x, 60", 0),
        (b"60s", 0),
        (b'"60"', 0),
    ],
)
def test_parse_age(value: bytes, seconds: int) -> None:
    assert parse_age(value) == seconds


@pytest.mark.parametrize(
    ("age", "date", "delay", "expected"),
    [
        pytest.param(None, None, 0, 0, id="no fields: generated now"),
        pytest.param(None, at(0), 0, 0, id="generated now"),
        pytest.param(None, at(-30), 0, 30, id="the apparent age"),
        pytest.param(None, at(+30), 0, 0, id="a date in the future"),
        pytest.param(b"60", None, 0, 60, id="the age given"),
        pytest.param(b"60", at(-30), 0, 60, id="the greater one: age"),
        pytest.param(b"20", at(-30), 0, 30, id="the greater one: apparent age"),
        pytest.param(b"60", at(0), 5, 65, id="the delay counts to the age"),
        pytest.param(None, None, 5, 5, id="the delay alone"),
        pytest.param(b"60, 20", at(-30), 0, 60, id="of several ages the first"),
        pytest.param(b"x, 60", at(-30), 0, 30, id="an invalid age beside a date"),
        pytest.param(None, at(-30) + b", " + at(-90), 0, 0, id="two dates are none"),
        pytest.param(None, at(-30), 5, 30, id="the delay does not count to the apparent age"),
        pytest.param(b"x", b"yesterday", 0, 0, id="invalid fields say nothing"),
        pytest.param(None, None, -5, 0, id="a clock that was set back"),
    ],
)
def test_initial_age(age: bytes | None, date: bytes | None, delay: float, expected: float) -> None:
    assert initial_age(age, date, request_time=NOW - delay, response_time=NOW) == expected


def test_the_part_of_a_second_that_a_date_lacks_is_no_age() -> None:
    assert initial_age(None, at(0), request_time=NOW + 0.9, response_time=NOW + 0.9) == 0


@pytest.mark.parametrize(
    ("cache_control", "fields", "seconds"),
    [
        pytest.param(b"", {}, None, id="nothing is said"),
        pytest.param(b"public", {"date": at(0)}, None, id="no time is said"),
        pytest.param(b"max-age=60", {}, 60, id="max-age"),
        pytest.param(b"max-age=60, s-maxage=10", {}, 10, id="s-maxage before max-age"),
        pytest.param(b"max-age=0, s-maxage=10", {}, 10, id="though it is longer"),
        pytest.param(b"s-maxage=x, max-age=60", {}, 0, id="even an invalid one"),
        pytest.param(b"max-age=60", {"expires": at(-5)}, 60, id="max-age before Expires"),
        pytest.param(b"max-age=x", {"expires": at(60)}, 0, id="even an invalid one before Expires"),
        pytest.param(b"", {"expires": at(60), "date": at(0)}, 60, id="Expires"),
        pytest.param(b"", {"expires": at(60), "date": at(-30)}, 90, id="Expires less Date"),
        pytest.param(b"", {"expires": at(60)}, 60, id="Expires without Date"),
        pytest.param(b"", {"expires": at(60), "date": b"x"}, 60, id="Expires with an invalid Date"),
        pytest.param(b"", {"expires": at(-60), "date": at(0)}, 0, id="Expires in the past"),
        pytest.param(b"", {"expires": at(0), "date": at(0)}, 0, id="Expires at once"),
        pytest.param(b"", {"expires": b"0"}, 0, id="Expires: 0"),
        pytest.param(b"", {"expires": b"-1"}, 0, id="Expires: -1"),
        pytest.param(b"", {"expires": b""}, 0, id="an empty Expires"),
        pytest.param(b"", {"expires": at(60) + b", " + at(60)}, 0, id="two Expires"),
    ],
)
def test_freshness_lifetime(
    cache_control: bytes, fields: dict[str, bytes], seconds: float | None
) -> None:
    response = {name.encode(): value for name, value in fields.items()}
    cc = parse_cache_control(cache_control)
    assert freshness_lifetime(cc, response, now=NOW) == seconds


@pytest.mark.parametrize(
    "expires",
    [
        pytest.param(b"Sunday, 06-Nov-94 08:49:37 GMT", id="of RFC 850"),
        pytest.param(b"Sun Nov  6 08:49:37 1994", id="of asctime"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 GMT", id="as it is sent today"),
        pytest.param(b"sun, 06 nov 1994 08:49:37 gmt", id="4.2: in any case"),
    ],
)
def test_each_form_of_a_date_is_read(expires: bytes) -> None:
    response = {b"expires": expires, b"date": b"Sun, 06 Nov 1994 08:48:37 GMT"}
    assert freshness_lifetime(CacheControl(), response, now=784_111_777.0) == 60


@pytest.mark.parametrize(
    "expires",
    [
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 UTC", id="another zone"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37 +0000", id="an offset"),
        pytest.param(b"Sun, 06 Nov 1994 08:49:37", id="no zone"),
        pytest.param(b"Sun, 6 Nov 1994 08:49:37 GMT", id="one digit for the day"),
        pytest.param(b"Sun, 06-Nov-1994 08:49:37 GMT", id="hyphens"),
        pytest.param(b"Sun,  06 Nov 1994 08:49:37 GMT", id="two spaces"),
        pytest.param(b"Sun, 06 Nov 1994 08.49.37 GMT", id="points in the time"),
        pytest.param(b"1994-11-06T08:49:37Z", id="ISO 8601"),
        pytest.param(b"784111777", id="epoch seconds"),
        pytest.param(b'"Sun, 06 Nov 1994 08:49:37 GMT"', id="in quotes"),
    ],
)
def test_no_other_form_of_a_date_is_read(expires: bytes) -> None:
    response = {b"expires": expires, b"date": b"Sun, 06 Nov 1994 08:48:37 GMT"}
    assert freshness_lifetime(CacheControl(), response, now=784_111_717.0) == 0


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        pytest.param(b"s-maxage=10, max-age=60", 60, id="max-age beside it"),
        pytest.param(b"s-maxage=10", 90, id="Expires beside it"),
        pytest.param(b"s-maxage=x", 90, id="not even an invalid one"),
    ],
)
def test_a_cache_of_one_user_reads_no_s_maxage(cache_control: bytes, seconds: float) -> None:
    response = {b"expires": at(90), b"date": at(0)}
    cc = parse_cache_control(cache_control)
    assert freshness_lifetime(cc, response, now=NOW, shared=False) == seconds


def test_expires_says_nothing_beside_a_targeted_field() -> None:
    cc = CacheControl()
    cc.targeted = True
    assert freshness_lifetime(cc, {b"expires": at(60)}, now=NOW) is None


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        pytest.param({}, None, id="nothing to guess from"),
        pytest.param({"last-modified": at(-1000)}, 100, id="a tenth"),
        pytest.param({"last-modified": at(-1000), "date": at(-500)}, 50, id="up to Date"),
        pytest.param({"last-modified": at(-1000), "date": b"x"}, 100, id="an invalid Date"),
        pytest.param({"last-modified": at(-100_000_000)}, 86_400, id="at most a day"),
        pytest.param({"last-modified": at(0)}, None, id="modified just now"),
        pytest.param({"last-modified": at(+10)}, None, id="modified in the future"),
        pytest.param({"last-modified": b"yesterday"}, None, id="an invalid date"),
    ],
)
def test_heuristic_lifetime(fields: dict[str, bytes], seconds: float | None) -> None:
    response = {name.encode(): value for name, value in fields.items()}
    assert heuristic_lifetime(response, 200, CacheControl(), now=NOW) == seconds


@pytest.mark.parametrize(
    ("status", "cache_control", "may_guess"),
    [
        *((status, b"", True) for status in sorted(HEURISTIC_STATUSES)),
        *((status, b"", False) for status in (201, 202, 302, 303, 307, 400, 403, 500, 503, 599)),
        pytest.param(201, b"public", True, id="4.2.2: explicitly cacheable"),
        pytest.param(599, b"public", True, id="4.2.2: an unknown status, explicitly cacheable"),
        pytest.param(201, b"must-revalidate", False, id="which no other directive makes it"),
    ],
)
def test_the_statuses_that_allow_a_guess(
    status: int, cache_control: bytes, may_guess: bool
) -> None:
    response, cc = {b"last-modified": at(-1000)}, parse_cache_control(cache_control)
    assert (heuristic_lifetime(response, status, cc, now=NOW) is not None) == may_guess


def test_the_fraction_and_the_limit_of_the_guess_can_be_set() -> None:
    response, cc = {b"last-modified": at(-1000)}, CacheControl()
    assert heuristic_lifetime(response, 200, cc, now=NOW, fraction=0.5) == 500
    assert heuristic_lifetime(response, 200, cc, now=NOW, most_seconds=30) == 30


@given(st.binary(), st.binary(), st.binary())
def test_any_bytes_give_an_age_and_a_lifetime(age: bytes, date: bytes, expires: bytes) -> None:
    assert initial_age(age, date, request_time=NOW, response_time=NOW) >= 0
    lifetime = freshness_lifetime(
        parse_cache_control(age), {b"date": date, b"expires": expires}, now=NOW
    )
    assert lifetime is not None
    assert lifetime >= 0
