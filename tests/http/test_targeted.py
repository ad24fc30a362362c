import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.cachecontrol import CacheControl, parse_cache_control
from asgi_serial.http.fields import MAX_DELTA_SECONDS
from asgi_serial.http.freshness import freshness_lifetime
from asgi_serial.http.targeted import find_targeted, forbid_storing, parse_targeted

TARGETS = (b"asgi-serial-cache-control", b"cdn-cache-control")


def present(cc: CacheControl) -> dict[str, object]:
    """The attributes that differ from those of no directives at all, `targeted` apart."""
    none = CacheControl()
    none.targeted = True
    return {
        name: getattr(cc, name)
        for name in CacheControl.__slots__
        if getattr(cc, name) != getattr(none, name)
    }


@pytest.mark.parametrize(
    ("value", "directives"),
    [
        pytest.param(b"max-age=60", {"max_age": 60}, id="2.1: an integer"),
        pytest.param(b"max-age=60, max-age=90", {"max_age": 90}, id="RFC 9651: the last of two"),
        pytest.param(b"max-age=60;a=b", {"max_age": 60}, id="2.1: parameters are ignored"),
        pytest.param(
            b"max-age=999999999999999",
            {"max_age": MAX_DELTA_SECONDS},
            id="RFC 9111, 1.2.2: too great a time",
        ),
        pytest.param(b"max-age=-1", {"max_age": 0}, id="a negative time is none"),
        pytest.param(b"max-age=60.0", {"max_age": 0}, id="2.1: a decimal is not coerced"),
        pytest.param(b'max-age="60"', {"max_age": 0}, id="2.1: nor is a string"),
        pytest.param(b"max-age=a60", {"max_age": 0}, id="2.1: nor is a token"),
        pytest.param(b"max-age=@60", {"max_age": 0}, id="2.1: nor is a date"),
        pytest.param(b"max-age=(60)", {"max_age": 0}, id="2.1: nor is a list"),
        pytest.param(b"max-age", {"max_age": 0}, id="2.1: true is no time"),
        pytest.param(
            b"s-maxage=1, stale-while-revalidate=2, stale-if-error=3",
            {"s_maxage": 1, "stale_while_revalidate": 2, "stale_if_error": 3},
            id="2.2: the other times",
        ),
        pytest.param(
            b"no-store, no-transform, must-revalidate, proxy-revalidate",
            {
                "no_store": True,
                "no_transform": True,
                "must_revalidate": True,
                "proxy_revalidate": True,
            },
            id="2.2: restrictions",
        ),
        pytest.param(
            b"public, immutable, must-understand",
            {"public": True, "immutable": True, "must_understand": True},
            id="2.2: permissions",
        ),
        pytest.param(b"no-store=1", {"no_store": True}, id="a restriction of another type holds"),
        pytest.param(b"no-store=?0, public=?0", {}, id="what is false is not said"),
        pytest.param(b"private=?0, no-cache=?0", {}, id="nor is it there"),
        pytest.param(
            b"public=1, immutable=a, must-understand=()", {}, id="a permission of another type"
        ),
        pytest.param(b"no-cache", {"no_cache": True}, id="2.1: no-cache, alone"),
        pytest.param(
            b'no-cache="A, b"',
            {"no_cache": True, "no_cache_fields": frozenset({b"a", b"b"})},
            id="2.1: no-cache, of fields",
        ),
        pytest.param(
            b'private="a"',
            {"private": True, "private_fields": frozenset({b"a"})},
            id="2.1: private, of fields",
        ),
        pytest.param(b'private=""', {"private": True}, id="private, of no field"),
        pytest.param(b'private="a b"', {"private": True}, id="private, of what is no field name"),
        pytest.param(b'private="a\\""', {"private": True}, id="private, of a quote"),
        pytest.param(b"private=a", {"private": True}, id="private, of a token"),
        pytest.param(b'private="a", private', {"private": True}, id="private, alone in the end"),
        pytest.param(b"none", {}, id="3.1: what nobody knows, lest the field is empty"),
        pytest.param(
            b"max-stale, min-fresh=9, only-if-cached", {}, id="2.1: directives of requests"
        ),
    ],
)
def test_directives(value: bytes, directives: dict[str, object]) -> None:
    cc = parse_targeted(value)
    assert cc is not None
    assert cc.targeted
    assert present(cc) == directives


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="2.1: empty"),
        pytest.param(b"  ", id="2.1: white space"),
        pytest.param(b"max-age=60,", id="2.1: a comma at the end"),
        pytest.param(b"max-age=60 no-store", id="2.1: no comma"),
        pytest.param(b"max-age =60", id="2.1: white space before the equals sign"),
        pytest.param(b"max-age= 60", id="2.1: white space after the equals sign"),
        pytest.param(b"Max-Age=60", id="RFC 9651: an upper-case key"),
        pytest.param(b"max-age=60s", id="2.1: a unit"),
        pytest.param(b"max-age='60'", id="2.1: single quotes"),
        pytest.param(b"no-store, &", id="2.1: even where it restricts"),
        pytest.param(b"max-age=1000000000000000", id="RFC 9651: 16 digits"),
    ],
)
def test_what_is_ignored_altogether(value: bytes) -> None:
    assert parse_targeted(value) is None


OWN, CDN, ALL = b"asgi-serial-cache-control", b"cdn-cache-control", b"cache-control"


@pytest.mark.parametrize(
    ("fields", "lifetime"),
    [
        pytest.param({ALL: b"max-age=1"}, 1, id="2.2: no targeted field"),
        pytest.param({CDN: b"max-age=2", ALL: b"max-age=1"}, 2, id="2.2: before Cache-Control"),
        pytest.param({CDN: b"max-age=2", ALL: b"no-store"}, 2, id="3.1: even before no-store"),
        pytest.param({CDN: b"max-age=2", OWN: b"max-age=3"}, 3, id="2.2: the first of the list"),
        pytest.param({CDN: b"max-age=2", OWN: b"max-age=x,"}, 2, id="2.2: the first valid one"),
        pytest.param({CDN: b"max-age=2", OWN: b""}, 2, id="2.2: the first that is not empty"),
        pytest.param({CDN: b"?", OWN: b"?", ALL: b"max-age=1"}, 1, id="2.2: none is valid"),
        pytest.param({b"other-cache-control": b"max-age=9", ALL: b"max-age=1"}, 1, id="2.2: other"),
        pytest.param({CDN: b"none", ALL: b"max-age=1"}, None, id="2.2: Cache-Control is ignored"),
        pytest.param({CDN: b"none", b"expires": b"0"}, None, id="2.2: Expires is ignored"),
        pytest.param({CDN: b"?", b"expires": b"0"}, 0, id="2.2: Expires, where none is valid"),
        pytest.param({CDN: b"max-age=1.5", ALL: b"max-age=1"}, 0, id="2.1: valid, of another type"),
    ],
)
def test_the_field_that_is_used(fields: dict[bytes, bytes], lifetime: float | None) -> None:
    cc = find_targeted(fields, TARGETS) or parse_cache_control(fields.get(ALL, b""))
    assert freshness_lifetime(cc, fields, now=0.0) == lifetime


def test_no_targets_are_no_fields() -> None:
    assert find_targeted({CDN: b"max-age=2"}, ()) is None


def test_what_was_parsed_before_can_be_remembered() -> None:
    cc = CacheControl()
    assert find_targeted({CDN: b"max-age=2"}, TARGETS, {b"max-age=2": cc}.__getitem__) is cc


@given(
    st.binary()
    | st.sampled_from([b"max-age=", b"private=", b"no-cache"]).flatmap(
        lambda start: st.binary().map(start.__add__)
    )
)
def test_any_bytes_are_directives_or_ignored(value: bytes) -> None:
    cc = parse_targeted(value)
    assert cc is None or cc.max_age is None or 0 <= cc.max_age <= MAX_DELTA_SECONDS


NO_STORE = (b"cache-control", b"no-store")


@pytest.mark.parametrize(
    ("pair", "left"),
    [
        pytest.param((b"cache-control", b"max-age=1"), (b"cache-control", b"max-age=1"), id="own"),
        pytest.param((b"Cache-Control", b"must-understand, max-age=1"), None, id="must-understand"),
        pytest.param((b"CDN-Cache-Control", b"a"), (b"CDN-Cache-Control", b"no-store"), id="CDN"),
        pytest.param((b"x-cache-control", b""), (b"x-cache-control", b"no-store"), id="another"),
        pytest.param(
            (b"surrogate-control", b"max-age=1"), (b"surrogate-control", b"no-store"), id="Fastly"
        ),
        pytest.param((b"edge-control", b"max-age=1"), (b"edge-control", b"no-store"), id="Akamai"),
        pytest.param((b"X-Accel-Expires", b"600"), (b"X-Accel-Expires", b"0"), id="nginx"),
        pytest.param((b"expires", b"600"), (b"expires", b"600"), id="Expires, which is ignored"),
    ],
)
def test_no_field_lets_a_cache_store_what_is_forbidden(
    pair: tuple[bytes, bytes], left: tuple[bytes, bytes] | None
) -> None:
    assert forbid_storing([pair]) == [*([left] if left else []), NO_STORE]
