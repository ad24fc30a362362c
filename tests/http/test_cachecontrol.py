import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.cachecontrol import CacheControl, parse_cache_control
from asgi_serial.http.fields import MAX_DELTA_SECONDS


def present(value: bytes) -> dict[str, object]:
    """The attributes that differ from those of no Cache-Control at all."""
    cc, none = parse_cache_control(value), CacheControl()
    return {
        name: getattr(cc, name)
        for name in CacheControl.__slots__
        if getattr(cc, name) != getattr(none, name)
    }


@pytest.mark.parametrize(
    ("value", "directives"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b", ,", {}, id="empty elements"),
        pytest.param(b"no-store", {"no_store": True}, id="a flag"),
        pytest.param(b"No-STORE", {"no_store": True}, id="any case"),
        pytest.param(
            b"no-transform,public, must-revalidate ,proxy-revalidate",
            {
                "no_transform": True,
                "public": True,
                "must_revalidate": True,
                "proxy_revalidate": True,
            },
            id="several flags",
        ),
        pytest.param(
            b"must-understand, immutable, only-if-cached",
            {"must_understand": True, "immutable": True, "only_if_cached": True},
            id="more flags",
        ),
        pytest.param(b"no-store=foo", {"no_store": True}, id="a restriction with an argument"),
        pytest.param(b"public=false", {}, id="a permission with an argument is none"),
        pytest.param(b"public=", {"malformed": True}, id="nor is one with an empty argument"),
        pytest.param(
            b"must-understand=1, no-store", {"no_store": True}, id="it does not lift no-store"
        ),
        pytest.param(b"immutable=1, public", {"public": True}, id="a permission beside such"),
        pytest.param(
            b"no-store =1",
            {"no_store": True, "malformed": True},
            id="a restriction with white space",
        ),
        pytest.param(b'x="a, b", no-store', {"no_store": True}, id="after a quoted string"),
        pytest.param(
            b'x="a, no-store',
            {"no_store": True, "malformed": True},
            id="after a quote that never closes",
        ),
        pytest.param(b'x="no-store, max-age=1"', {}, id="a directive inside quotes is none"),
        pytest.param(b"foo, bar=baz, no-storex", {}, id="unknown directives"),
        pytest.param(
            b"max-age=1, s-maxage=2, min-fresh=3, max-stale=4,"
            b" stale-while-revalidate=5, stale-if-error=6",
            {
                "max_age": 1,
                "s_maxage": 2,
                "min_fresh": 3,
                "max_stale": 4,
                "stale_while_revalidate": 5,
                "stale_if_error": 6,
            },
            id="times",
        ),
        pytest.param(b'max-age="60"', {"max_age": 60}, id="a quoted time"),
        pytest.param(b"max-age=0060", {"max_age": 60}, id="leading zeros"),
        pytest.param(b"max-age=99999999999", {"max_age": MAX_DELTA_SECONDS}, id="too great a time"),
        pytest.param(
            b"max-age=" + b"9" * 8_000, {"max_age": MAX_DELTA_SECONDS}, id="far too great"
        ),
        pytest.param(b"max-age", {"max_age": 0}, id="a time without its argument"),
        pytest.param(b"max-age=", {"max_age": 0, "malformed": True}, id="an empty time"),
        pytest.param(b"max-age=-1", {"max_age": 0}, id="a negative time"),
        pytest.param(b"max-age=1.5", {"max_age": 0}, id="a fraction"),
        pytest.param(b"max-age=60s", {"max_age": 0}, id="a unit"),
        pytest.param(b"max-age='60'", {"max_age": 0}, id="single quotes"),
        pytest.param(
            b'max-age="60', {"max_age": 0, "malformed": True}, id="a quote that never closes"
        ),
        pytest.param(
            b"max-age= 60",
            {"max_age": 0, "malformed": True},
            id="white space after the equals sign",
        ),
        pytest.param(
            b"max-age =60",
            {"max_age": 0, "malformed": True},
            id="white space before the equals sign",
        ),
        pytest.param(b"max-age=60, max-age=60", {"max_age": 60}, id="the same time twice"),
        pytest.param(b"max-age=60, max-age=90", {"max_age": 0}, id="two different times"),
        pytest.param(b"max-age=60, max-age=x", {"max_age": 0}, id="a valid and an invalid time"),
        pytest.param(b"max-age=0, max-age=60", {"max_age": 0}, id="zero, then a time"),
        pytest.param(b"max-age=6, max-age=9, max-age=6", {"max_age": 0}, id="three times"),
        pytest.param(b"min-fresh=6, min-fresh=9", {"min_fresh": 9}, id="the greatest min-fresh"),
        pytest.param(b"min-fresh=9, min-fresh=x", {"min_fresh": 9}, id="and not an invalid one"),
        pytest.param(b"max-stale=9, max-stale", {"max_stale": 0}, id="two stalenesses are none"),
        pytest.param(b"max-stale=9, max-stale=9", {"max_stale": 9}, id="the same staleness twice"),
        pytest.param(
            b"max-stale=", {"max_stale": 0, "malformed": True}, id="an empty staleness is none"
        ),
        pytest.param(
            b"stale-while-revalidate, stale-if-error=x",
            {"stale_while_revalidate": 0, "stale_if_error": 0},
            id="RFC 5861: no time, no staleness",
        ),
        pytest.param(b"max-stale", {"max_stale": MAX_DELTA_SECONDS}, id="any staleness"),
        pytest.param(b"max-stale=x", {"max_stale": 0}, id="an invalid staleness is none"),
        pytest.param(b"private", {"private": True}, id="private"),
        pytest.param(
            b'private="Set-Cookie, x-a"',
            {"private": True, "private_fields": frozenset({b"set-cookie", b"x-a"})},
            id="private fields",
        ),
        pytest.param(b"private=x-a", {"private": True}, id="5.2.2.7: a field name without quotes"),
        pytest.param(b"private=true", {"private": True}, id="what is meant for a truth value"),
        pytest.param(b"private='x-a'", {"private": True}, id="private, in single quotes"),
        pytest.param(
            b'private="a,b", private="b,c"',
            {"private": True, "private_fields": frozenset({b"a", b"b", b"c"})},
            id="private fields add up",
        ),
        pytest.param(b'private, private="a"', {"private": True}, id="all, then a field"),
        pytest.param(b'private="a", private', {"private": True}, id="a field, then all"),
        pytest.param(b'private="a", private, private="b"', {"private": True}, id="all in between"),
        pytest.param(b'private=""', {"private": True}, id="no field"),
        pytest.param(b"private=", {"private": True, "malformed": True}, id="no argument"),
        pytest.param(
            b'private="a', {"private": True, "malformed": True}, id="private, never closed"
        ),
        pytest.param(b'private="a, b c"', {"private": True}, id="not all of them field names"),
        pytest.param(
            b'private ="a"', {"private": True, "malformed": True}, id="private, with white space"
        ),
        pytest.param(b"no-cache", {"no_cache": True}, id="no-cache"),
        pytest.param(
            b'no-cache="A"',
            {"no_cache": True, "no_cache_fields": frozenset({b"a"})},
            id="no-cache fields",
        ),
        pytest.param(b'no-cache="a", no-cache', {"no_cache": True}, id="a field, then no-cache"),
    ],
)
def test_directives(value: bytes, directives: dict[str, object]) -> None:
    assert present(value) == directives


@pytest.mark.parametrize(
    "value",
    [
        b"private; max-age=0",
        b"no-store; no-cache",
        b"no-cache; no-store; must-revalidate",
        b"max-age=0; private",
        b"max-age=60; public",
        b"max-age=60 private",
        b"no-store no-cache",
        b"no-store;",
        b"no-store:",
        b"no-store\x0b",
        b"no store",
        b"no_store",
        b"NO_CACHE",
        b'"no-store"',
        b"'no-store'",
        b"`private`",
        b"private.",
        b"cache=private",
        b"max-age=no-store",
        b"public=private",
        b'private-"no-store"',
        b"=no-store",
        b"=",
        b"max-age=60, {}",
        b"max-age=6\xb2",
    ],
)
def test_what_may_be_a_restriction_that_was_written_wrong_is_malformed(value: bytes) -> None:
    assert parse_cache_control(value).malformed
    assert parse_cache_control(b"max-age=60, " + value).malformed
    assert parse_cache_control(value + b", public").malformed


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"no-store, no-cache, private, max-age=0",
        b'private="set-cookie", no-cache="x-private"',
        b'no-cache="private"',
        b"immutable, public, max-age=60",
        b"stale-while-revalidate=x",
        b"community=UCI",
        b'group="private; c, no-store"',
        b"foo, x-no-store, no-storex, privately, max-age=-1",
        b"foo=!#$%&*+.^_`|~",
    ],
)
def test_a_directive_that_is_unknown_or_in_vain_is_not_malformed(value: bytes) -> None:
    assert not parse_cache_control(value).malformed


def test_no_transform_is_heard_in_what_is_malformed() -> None:
    assert parse_cache_control(b"no-store; no-transform").no_transform
    assert not parse_cache_control(b"no-store; max-age=0").no_transform


@given(st.binary())
def test_any_bytes_give_times_within_bounds(value: bytes) -> None:
    cc = parse_cache_control(value)
    for seconds in (cc.max_age, cc.s_maxage, cc.max_stale, cc.min_fresh, cc.stale_if_error):
        assert seconds is None or 0 <= seconds <= MAX_DELTA_SECONDS


DIRECTIVES = [
    *(b"no-store", b"private", b'private="a"', b"no-cache", b'no-cache="b"', b"public"),
    *(b"max-age=60", b"max-age=0", b"s-maxage=5", b"must-revalidate", b'x="a,b"', b"max-age=x"),
]


orders = st.lists(st.sampled_from(DIRECTIVES)).flatmap(
    lambda directives: st.tuples(st.just(directives), st.permutations(directives))
)


@given(orders)
def test_their_order_does_not_matter(order: tuple[list[bytes], list[bytes]]) -> None:
    written, shuffled = order
    assert present(b",".join(written)) == present(b" , ".join(shuffled))


@given(st.binary(), st.sampled_from([b"no-store", b"private", b"no-cache"]))
def test_no_restriction_is_lost_beside_anything(other: bytes, restriction: bytes) -> None:
    name = restriction.decode().replace("-", "_")
    assert getattr(parse_cache_control(restriction + b"," + other), name)
    assert getattr(parse_cache_control(other + b"," + restriction), name)


@given(
    st.sampled_from([b"no-store", b"private", b"no-cache"]),
    st.text(" \t;:.'\"/()[]{}=_", max_size=4),
    st.text(" \t;:.'\"/()[]{}=_", max_size=4),
    st.sampled_from([b"", b"max-age=60", b"public", b"no-transform"]),
)
def test_a_restriction_is_heard_between_any_delimiters(
    restriction: bytes, before: str, after: str, other: bytes
) -> None:
    cc = parse_cache_control(other + before.encode() + restriction + after.encode() + other)
    restricts = getattr(cc, restriction.decode().replace("-", "_"))
    is_other_word = (other and not before) or (other and not after)
    assert cc.malformed or restricts or is_other_word
