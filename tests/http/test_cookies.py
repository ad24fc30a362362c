"""Which cookies count, which are ignored, and which are in the key."""

import re
from http.cookies import CookieError, SimpleCookie
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import cookie_parser

from asgi_serial.http.cookies import ANALYTICS_COOKIES, CookieRules

RULES = CookieRules(["_ga", "_ga_*", "__utm*"], ["theme", "lang*"])
KEYED = ("theme", "lang")

# A value; whether none of its cookies counts; what the app sees; what is in the key.
CASES = {
    "none": (b"", True, b"", b""),
    "an ignored one": (b"_ga=GA1.1.7", True, b"", b""),
    "several": (b"_ga=1; _ga_X9=2; __utma=3", True, b"", b""),
    "an empty value": (b"_ga=", True, b"", b""),
    "one that counts": (b"session=1", False, b"session=1", b""),
    "one beside": (b"_ga=1; session=2", False, b"session=2", b""),
    "one between": (b"a=1; _ga=2; b=3", False, b"a=1; b=3", b""),
    "one in the key": (b"theme=dark", True, b"theme=dark", b"theme=dark"),
    "the key and the rest": (
        b"_ga=1; lang=de; session=2; theme=dark",
        False,
        b"lang=de; session=2; theme=dark",
        b"lang=de; theme=dark",
    ),
    "a key given twice": (b"theme=a; theme=b", True, b"theme=a; theme=b", b"theme=a; theme=b"),
    "a longer name": (b"_gax=1", False, b"_gax=1", b""),
    "another case": (b"_GA=1", False, b"_GA=1", b""),
    "no value": (b"_ga", False, b"_ga", b""),
    "no name": (b"=_ga", False, b"=_ga", b""),
    # RFC 6265, 4.2.1 has a space behind the semicolon; what differs is divided, but counts.
    "no space": (b"_ga=1;session=2", False, b"session=2", b""),
    "no space, all ignored": (b"_ga=1;_ga_X=2", False, b"", b""),
    # Parsers read these differently: all of it counts, and nothing is hidden.
    "a quoted semicolon": (b'_ga="1; session=2"', False, b'_ga="1; session=2"', b""),
    "fields joined by a comma": (b"_ga=1, session=2", False, b"_ga=1, session=2", b""),
    "a comma before a key": (
        b"theme=1, session=2",
        False,
        b"theme=1, session=2",
        b"theme=1, session=2",
    ),
    # An app may find a cookie of the key here, so all that it sees is in the key.
    "a quoted key": (b'theme="a"', False, b'theme="a"', b'theme="a"'),
    "a key beside a quoted one": (
        b'session="2"; theme=a',
        False,
        b'session="2"; theme=a',
        b'session="2"; theme=a',
    ),
    "a space before =": (b"theme =a; b=2", False, b"theme =a; b=2", b"theme =a; b=2"),
    "a control before a key": (b"\x0btheme=a", False, b"\x0btheme=a", b"\x0btheme=a"),
    "a no-break space behind a key": (b"theme\xa0=a", False, b"theme\xa0=a", b"theme\xa0=a"),
    "a key behind a space": (b"b=2 theme=a", False, b"b=2 theme=a", b"b=2 theme=a"),
    "a key in a key": (b"_ga=1; theme=lang=2", True, b"theme=lang=2", b"theme=lang=2"),
    "a beginning alone": (b"langx", True, b"langx", b"langx"),
    "a key without a value": (b"b=2; theme", False, b"b=2; theme", b"b=2; theme"),
    "a key spelt otherwise": (b"th%65me=a", False, b"th%65me=a", b"th%65me=a"),
    "a key spelt twice": (b"theme=a; %6cang=b", False, b"theme=a; %6cang=b", b"theme=a; %6cang=b"),
    "a key for one host": (b"__Host-theme=a", False, b"__Host-theme=a", b"__Host-theme=a"),
    "a key for TLS": (b"__Secure-lang=a", False, b"__Secure-lang=a", b"__Secure-lang=a"),
    "a key before a semicolon alone": (b"theme=a;b=2", False, b"theme=a;b=2", b"theme=a;b=2"),
    "a key before a tab": (b"theme=a\t; lang=b", True, b"theme=a\t; lang=b", b"theme=a\t; lang=b"),
    "a key behind two spaces": (b"b=2;  theme=a", False, b"b=2;  theme=a", b"b=2;  theme=a"),
    "a key beside no cookie": (b"theme=a; x", False, b"theme=a; x", b"theme=a; x"),
    "a key behind an attribute": (b"Path=/; lang=a", False, b"Path=/; lang=a", b"Path=/; lang=a"),
    # These are no cookie of the key for any parser.
    "the end of a longer name": (b"my-theme=a; x_lang=1", False, b"my-theme=a; x_lang=1", b""),
    "a quoted one without a key": (b'session="a, b"', False, b'session="a, b"', b""),
}


@pytest.mark.parametrize(("value", "harmless", "seen", "keyed"), CASES.values(), ids=CASES)
def test_cookies_are_divided(value, harmless, seen, keyed):
    assert (RULES.are_harmless(value) is not None) is harmless
    assert RULES.without_ignored(value) == seen
    assert RULES.keyed_in(value) == keyed


@pytest.mark.parametrize(
    ("lines", "keyed"),
    [
        ([], b""),
        ([b"a=1"], b""),
        ([b"theme=1"], b"theme=1"),
        ([b"a=1", b"b=2"], b""),
        ([b"a=1", b"theme=1"], b"\ntheme=1"),
        ([b"theme=1", b"a=1"], b"theme=1\n"),
        ([b'a="1', b'"; theme=1'], b'a="1\n"; theme=1'),
        ([b"a=1, 2", b"theme=1"], b"a=1, 2\ntheme=1"),
        ([b"a b", b"theme=1"], b"a b\ntheme=1"),
    ],
)
def test_each_line_has_its_place_in_the_key(lines, keyed):
    assert RULES.keyed_in_lines(lines) == keyed


PAIRS = st.tuples(
    st.sampled_from(["_ga", "_ga_1", "__utmz", "theme", "lang-x", "session", "", "_", "g_ga"]),
    st.text(st.sampled_from('ab=_"; ,\t'), max_size=4),
)


@given(st.lists(PAIRS), st.sampled_from(["; ", ";", " ;\t", ", "]))
def test_what_counts_stays_and_what_does_not_goes(pairs, between):
    value = between.join(f"{name}={content}" for name, content in pairs).encode()
    seen = RULES.without_ignored(value)
    if RULES.are_harmless(value):
        # The app sees what is in the key, and nothing else.
        assert seen == RULES.keyed_in(value)
    # Nothing is hidden but whole pairs, and whatever is left keeps its order.
    left = iter(re.split(rb"; ?", seen)) if seen else iter(())
    for pair in left:
        assert pair.strip(b" \t") in value
    assert RULES.without_ignored(seen) == seen


def read_by_library(value):
    """Read cookies as `http.cookies` does, which drops all of them at the first malformed one."""
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(value).items()}
    except CookieError:
        return {}


def read_as_blacksheep(value):
    pairs = [pair.partition("=") for pair in value.split("; ") if "=" in pair]
    return {unquote(name): unquote(content.rstrip("; ")) for name, _, content in pairs}


def read_as_werkzeug(value):
    """Read cookies as Werkzeug and Falcon do: a name without `=` has an empty value."""
    pairs = [pair.partition("=") for pair in value.split(";")]
    return {name.strip(): content.strip() for name, _, content in pairs}


def read_as_sanic(value):
    read = read_as_werkzeug(value)
    prefixed = {
        name.removeprefix(prefix): content
        for prefix in ("__Secure-", "__Host-")
        for name, content in read.items()
        if name.startswith(prefix)
    }
    return read | prefixed


PIECES = st.sampled_from(
    [
        *("theme", "theme=a", "lang=b", "lang", "session=1", "th%65me", "_ga=2", "%", "Path", "$x"),
        *("__Host-", "__Secure-", "=", ";", "; ", "; ", " ", "\t", ",", '"', "\\", "\xa0", "\x00"),
    ]
)


@pytest.mark.parametrize(
    "read",
    [read_by_library, read_as_blacksheep, read_as_werkzeug, read_as_sanic, cookie_parser],
)
@given(st.lists(PIECES, max_size=6).map("".join), st.sampled_from(["", "theme=a", "lang=b"]))
def test_no_parser_finds_a_cookie_that_is_not_in_the_key(read, value, usual):
    seen = RULES.without_ignored(value.encode("latin-1"))
    if RULES.keyed_in(seen) == usual.encode():
        found = {name: one for name, one in read(seen.decode("latin-1")).items() if name in KEYED}
        assert found == ({name: one for name, _, one in [usual.partition("=")] if one})


NAMES = st.text(st.sampled_from("ab_.-"), min_size=1, max_size=4)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["", "*"])), max_size=8), NAMES)
def test_a_cookie_is_ignored_whose_name_is_listed_or_begins_so(listed, name):
    rules = CookieRules([f"{one}{star}" for one, star in listed])
    ignored = any(name.startswith(one) if star else name == one for one, star in listed)
    assert rules.without_ignored(f"{name}=1".encode()) == (
        b"" if ignored else b"%b=1" % name.encode()
    )


def test_names_may_share_a_long_beginning():
    rules = CookieRules(["x" * 5000 + "a", "x" * 5000 + "b", *("x" * n for n in range(1, 200))])
    assert rules.without_ignored(b"x" * 5000 + b"b=1; " + b"x" * 199 + b"=2; xy=3") == b"xy=3"


def test_the_known_cookies_are_those_of_analytics():
    rules = CookieRules(ANALYTICS_COOKIES)
    value = b"; ".join(name.replace("*", "x").encode() + b"=1" for name in ANALYTICS_COOKIES)
    assert rules.are_harmless(value)
    for name in ("session", "sessionid", "csrftoken", "_session", "auth", "_gh_sess", "PHPSESSID"):
        assert not rules.are_harmless(f"{name}=1".encode())


def test_without_rules_every_cookie_counts():
    rules = CookieRules([])
    assert rules.are_harmless(b"")
    assert not rules.are_harmless(b"_ga=1")
    assert rules.without_ignored(b"_ga=1; a=2") == b"_ga=1; a=2"


def test_a_long_value_is_read_in_one_pass():
    value = b"; ".join([b"__utm" + b"x" * 50 + b"=1"] * 2000)
    assert RULES.are_harmless(value)
    assert not RULES.are_harmless(value + b'"')
