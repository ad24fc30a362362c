"""A list of kilobytes is not read element by element; each is taken for what is safe."""

import sys
from collections.abc import Callable

import pytest

from asgi_serial.cache.key import sorted_query
from asgi_serial.codecs.decoding import parse_content_encoding
from asgi_serial.http.cachecontrol import parse_cache_control
from asgi_serial.http.fields import MAX_LIST_BYTES, merge_vary, split_first
from asgi_serial.http.negotiation import choose_coding, choose_format, refuses_identity
from asgi_serial.http.ranges import parse_range
from asgi_serial.http.targeted import parse_targeted
from asgi_serial.http.users import find_cookie, make_private, other_cookies
from asgi_serial.http.validators import is_not_modified, parse_entity_tags, unmap_condition
from asgi_serial.http.vary import vary_names

FILL = b"x-filler, "
SUFFIXES = frozenset({b"gzip"})
MSGPACK = (("application/msgpack",),)


def filled(end: bytes, size: int = MAX_LIST_BYTES + 1, fill: bytes = FILL) -> bytes:
    """A list of this size that ends so."""
    return (fill * (size // len(fill) + 1))[: size - len(end) - 2] + b", " + end


def test_the_bound_is_exact():
    assert split_first(filled(b"end", MAX_LIST_BYTES), 10_000)[-1] == b"end"
    assert split_first(filled(b"end"), 10_000)[-1] == b"x-filler"


def test_the_first_elements_of_a_long_list_are_whole():
    assert split_first(b"a" * MAX_LIST_BYTES + b", b", 10) == []
    assert split_first(b"gzip, " + b"a" * MAX_LIST_BYTES, 10) == [b"gzip"]
    assert split_first(b"a, b, c", 2) == [b"a", b"b"]


@pytest.mark.parametrize("end", [b"max-age=60", b"public", b"private", b"no-cache", b"max-stale"])
def test_a_long_cache_control_forbids_to_store_and_to_use_what_is_stored(end):
    """RFC 9111, 5.2: what may hold a restriction that was not read is not stored."""
    cc = parse_cache_control(filled(end))
    assert (cc.malformed, cc.no_store, cc.no_cache) == (True, True, True)
    assert (cc.max_age, cc.public, cc.max_stale, cc.only_if_cached) == (None, False, None, False)
    assert not cc.no_transform
    assert not parse_cache_control(filled(end, MAX_LIST_BYTES)).no_store


def test_no_transform_is_heard_however_long_the_cache_control():
    """RFC 9111, 5.2.1.6 and 5.2.2.6."""
    assert parse_cache_control(filled(b"No-Transform")).no_transform


def test_a_long_targeted_field_forbids_to_store():
    cc = parse_targeted(filled(b"max-age=60"))
    assert cc is not None
    assert (cc.no_store, cc.targeted, cc.max_age) == (True, True, None)


def test_a_long_condition_names_no_tag_and_is_passed_as_it_is():
    """RFC 9110, 13.1.2: a GET whose condition is true gets the whole response."""
    value = filled(b'"v1-gzip"', fill=b'"other", ')
    assert parse_entity_tags(value) == ()
    assert unmap_condition(value, b"gzip", SUFFIXES) is value
    assert not is_not_modified({b"if-none-match": value}, b'"v1-gzip"', None, now=0.0)
    short = filled(b'"v1-gzip"', MAX_LIST_BYTES, fill=b'"other", ')
    assert is_not_modified({b"if-none-match": short}, b'"v1-gzip"', None, now=0.0)


def test_a_long_content_encoding_is_a_coding_that_nobody_knows():
    """Not one that is overlooked: what `identity` lets through would go to the app encoded."""
    (coding,) = parse_content_encoding(filled(b"gzip", fill=b"identity, "))
    assert coding == "identity, identity, identity, identity, ..."


def test_the_first_elements_of_a_long_negotiation_count():
    accept = b"application/msgpack, " + filled(b"*/*")
    assert choose_format(accept, "application/json", MSGPACK).media_type == "application/msgpack"
    assert choose_coding(b"br, " + filled(b"gzip"), ("gzip", "br")) == "br"
    assert refuses_identity(b"identity;q=0, " + filled(b"gzip"))


def test_a_long_range_is_ignored():
    """RFC 9110, 14.2: a server may ignore the Range field."""
    value = b"bytes=" + b"0-1," * MAX_LIST_BYTES
    assert parse_range(value, 10_000, most=100_000) is None


def test_a_long_vary_names_everything_and_is_sent_as_it_is():
    value = filled(b"cookie")
    assert vary_names(value) is None
    assert merge_vary([value, b"a"], b"accept") == value + b", a, accept"


def test_a_long_cookie_names_no_user():
    value = filled(b"a=1", fill=b"b=2; ") + b"; sid=x"
    assert find_cookie(value, b"sid") is None
    assert other_cookies(value, {b"sid"}) == value


def test_a_long_cache_control_of_a_users_response_becomes_a_short_one():
    assert make_private(filled(b"public")) == b"private, no-store"


def test_a_long_query_stays_in_its_order():
    query = b"&".join(b"%d=1" % number for number in reversed(range(2_000)))
    assert sorted_query(query) == query


PARSERS: dict[str, Callable[[bytes], object]] = {
    "Accept": lambda value: choose_format(value, "application/json", MSGPACK),
    "Accept-Encoding": lambda value: choose_coding(value, ("zstd", "br", "gzip")),
    "Accept-Encoding, identity": refuses_identity,
    "CDN-Cache-Control": parse_targeted,
    "Cache-Control": parse_cache_control,
    "Cache-Control of a user's": make_private,
    "Content-Encoding": parse_content_encoding,
    "Cookie": lambda value: (find_cookie(value, b"a"), other_cookies(value, {b"a"})),
    "If-None-Match": lambda value: (
        parse_entity_tags(value),
        unmap_condition(value, b"gzip", SUFFIXES),
        is_not_modified({b"if-none-match": value}, b'"a"', None, now=0.0),
    ),
    "Range": lambda value: parse_range(b"bytes=" + value, 2**40, most=100_000),
    "Vary": lambda value: (vary_names(value), merge_vary([value], b"accept")),
    "a query": sorted_query,
}


def calls_of(parse: Callable[[bytes], object], value: bytes) -> int:
    """How many functions are called, in Python and in C, to read a value."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        parse(value)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "piece",
    [b"a,", b'"a",', b'W/"a-gzip",', b"max-age=1,", b'private="a",', b"0-1,", b"a=1; ", b"&a"],
)
@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_a_megabyte_is_no_more_work_than_sixty_kilobytes(parse, piece):
    kilobytes, megabyte = (piece * (size // len(piece)) for size in (60_000, 1_000_000))
    assert calls_of(parse, megabyte) <= calls_of(parse, kilobytes) + 10
