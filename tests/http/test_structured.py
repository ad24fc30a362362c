import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.structured import (
    Binary,
    Date,
    DisplayString,
    Member,
    Token,
    format_item,
    parse_dictionary,
)


@pytest.mark.parametrize(
    ("value", "members"),
    [
        pytest.param(b"", {}, id="4.2: nothing"),
        pytest.param(b"   ", {}, id="4.2: spaces only"),
        pytest.param(b"a", {"a": True}, id="3.2: a key alone is true"),
        pytest.param(b" a=1 ", {"a": 1}, id="4.2: spaces around all"),
        pytest.param(b"a=1,b=2", {"a": 1, "b": 2}, id="3.2: without white space"),
        pytest.param(b"a=1 \t,\t b", {"a": 1, "b": True}, id="4.2.2: white space round the comma"),
        pytest.param(b"a=1, b, a=2", {"a": 2, "b": True}, id="4.2.2: the last of one key"),
        pytest.param(b"a=1, a", {"a": True}, id="4.2.2: the last, though it has no value"),
        pytest.param(b"*a-_.*9=1", {"*a-_.*9": 1}, id="3.1.2: all that a key may hold"),
        pytest.param(b"a=0", {"a": 0}, id="3.3.1: zero"),
        pytest.param(b"a=-0", {"a": 0}, id="3.3.1: minus zero"),
        pytest.param(b"a=-42", {"a": -42}, id="3.3.1: a negative integer"),
        pytest.param(b"a=007", {"a": 7}, id="3.3.1: leading zeros"),
        pytest.param(b"a=999999999999999", {"a": 999_999_999_999_999}, id="3.3.1: 15 digits"),
        pytest.param(b"a=1.5", {"a": 1.5}, id="3.3.2: a decimal"),
        pytest.param(b"a=-0.125", {"a": -0.125}, id="3.3.2: three places"),
        pytest.param(b"a=123456789012.5", {"a": 123_456_789_012.5}, id="3.3.2: 12 digits"),
        pytest.param(b'a=""', {"a": ""}, id="3.3.3: an empty string"),
        pytest.param(b'a="b, c=1"', {"a": "b, c=1"}, id="3.3.3: a comma in a string"),
        pytest.param(b'a="\\"\\\\"', {"a": '"\\'}, id="3.3.3: escapes"),
        pytest.param(b"a=b", {"a": Token("b")}, id="3.3.4: a token"),
        pytest.param(b"a=*b:/c!~", {"a": Token("*b:/c!~")}, id="3.3.4: all that a token may hold"),
        pytest.param(b"a=::", {"a": Binary(b"")}, id="3.3.5: no bytes"),
        pytest.param(b"a=:aGk=:", {"a": Binary(b"aGk=")}, id="3.3.5: bytes"),
        pytest.param(b"a=:aA==:, b", {"a": Binary(b"aA=="), "b": True}, id="3.3.5: padded twice"),
        pytest.param(b"a=:aGk:", {"a": Binary(b"aGk")}, id="4.2.7: without padding"),
        pytest.param(b"a=?1", {"a": True}, id="3.3.6: true"),
        pytest.param(b"a=?0", {"a": False}, id="3.3.6: false"),
        pytest.param(b"a=@-5", {"a": Date(-5)}, id="3.3.7: a date"),
        pytest.param(b'a=%"f%c3%bc"', {"a": DisplayString("fü")}, id="3.3.8: a display string"),
        pytest.param(b"a=()", {"a": ()}, id="3.1.1: an empty inner list"),
        pytest.param(
            b'a=( 1  "b" c;x=1;y );z=2, d',
            {"a": (1, "b", Token("c")), "d": True},
            id="3.1.1: items",
        ),
        pytest.param(b"a;b;c=1;  d=?0, e", {"a": True, "e": True}, id="3.1.2: parameters dropped"),
        pytest.param(b'a=1;b="x, y"', {"a": 1}, id="3.1.2: a comma in a parameter"),
    ],
)
def test_dictionaries(value: bytes, members: dict[str, Member]) -> None:
    found = parse_dictionary(value)
    assert found == members
    assert [type(member) for member in found.values()] == [type(m) for m in members.values()]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"a,", id="4.2.2: a comma at the end"),
        pytest.param(b"a, ", id="4.2.2: and white space"),
        pytest.param(b",a", id="4.2.2: a comma at the beginning"),
        pytest.param(b"a,,b", id="4.2.2: nothing between two commas"),
        pytest.param(b"a b", id="4.2.2: no comma"),
        pytest.param(b"\ta", id="4.2: a tab before all"),
        pytest.param(b"A=1", id="4.2.3.3: an upper-case key"),
        pytest.param(b"1a", id="4.2.3.3: a digit first"),
        pytest.param(b"=1", id="4.2.3.3: no key"),
        pytest.param(b"a =1", id="4.2.2: white space before the equals sign"),
        pytest.param(b"a= 1", id="4.2.2: white space after the equals sign"),
        pytest.param(b"a=", id="4.2.3.1: no value"),
        pytest.param(b"a=1a", id="4.2.2: a unit"),
        pytest.param(b"a=+1", id="4.2.3.1: a plus sign"),
        pytest.param(b"a=-", id="4.2.4: a sign alone"),
        pytest.param(b"a=--1", id="4.2.4: two signs"),
        pytest.param(b"a=1000000000000000", id="4.2.4: 16 digits"),
        pytest.param(b"a=1.", id="4.2.4: no digit after the point"),
        pytest.param(b"a=.5", id="4.2.3.1: none before it"),
        pytest.param(b"a=1.5555", id="4.2.4: four places"),
        pytest.param(b"a=1234567890123.5", id="4.2.4: 13 digits before the point"),
        pytest.param(b"a=1.2.3", id="4.2.4: two points"),
        pytest.param(b"a=1e5", id="4.2.4: an exponent"),
        pytest.param(b'a="b', id="4.2.5: a string that never closes"),
        pytest.param(b'a="b\\c"', id="4.2.5: another escape"),
        pytest.param(b'a="b\\', id="4.2.5: an escape of nothing"),
        pytest.param(b'a="b\tc"', id="4.2.5: a tab in a string"),
        pytest.param('a="ü"'.encode(), id="4.2.5: what is not ASCII"),
        pytest.param(b"a='b'", id="4.2.3.1: single quotes"),
        pytest.param(b'a=b"c"', id="4.2.6: a quote in a token"),
        pytest.param(b"a=:aGk=", id="4.2.7: bytes that never end"),
        pytest.param(b"a=:a:", id="4.2.7: a single character"),
        pytest.param(b"a=:aG=k:", id="4.2.7: padding inside"),
        pytest.param(b"a=:a_-b:", id="4.2.7: another alphabet"),
        pytest.param(b"a=?", id="4.2.8: no boolean"),
        pytest.param(b"a=?2", id="4.2.8: another boolean"),
        pytest.param(b"a=?true", id="4.2.8: a word"),
        pytest.param(b"a=@1.5", id="4.2.9: a date with a fraction"),
        pytest.param(b"a=@", id="4.2.9: no date"),
        pytest.param(b'a=%"%C3%BC"', id="4.2.10: upper-case digits"),
        pytest.param(b'a=%"%c3"', id="4.2.10: half a character"),
        pytest.param(b'a=%"%ff"', id="4.2.10: no UTF-8"),
        pytest.param(b'a=%"%c"', id="4.2.10: half a byte"),
        pytest.param(b'a=%"b', id="4.2.10: a display string that never closes"),
        pytest.param(b"a=%b", id="4.2.10: no quote"),
        pytest.param(b"a=(1 2", id="4.2.1.2: a list that never closes"),
        pytest.param(b"a=(1,2)", id="4.2.1.2: commas inside"),
        pytest.param(b"a=(1 (2))", id="4.2.1.2: a list in a list"),
        pytest.param(b"a=(1\t2)", id="4.2.1.2: a tab inside"),
        pytest.param(b'a=("b""c")', id="4.2.1.2: no space between two"),
        pytest.param(b"a=(1)b", id="4.2.2: something after it"),
        pytest.param(b"a;", id="4.2.3.2: no parameter"),
        pytest.param(b"a;B=1", id="4.2.3.2: an upper-case parameter"),
        pytest.param(b"a ;b", id="4.2.2: a space before a parameter"),
        pytest.param(b"a;\tb", id="4.2.3.2: a tab before a parameter"),
        pytest.param(b"a;b=", id="4.2.3.2: a parameter without its value"),
        pytest.param(b"a;b=(1)", id="4.2.3.2: a list as a parameter"),
        pytest.param(b"a=1;b=%", id="4.2.3.2: a malformed parameter"),
        pytest.param(b"a\x00", id="a zero byte"),
        pytest.param(b"a\n", id="a line feed"),
    ],
)
def test_malformed_dictionaries(value: bytes) -> None:
    assert parse_dictionary(value) is None


keys = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,5}", fullmatch=True)
items = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1).map(lambda n: (str(n), n)),
    st.integers(-(10**6), 10**6).map(lambda n: (f"{n / 8:.3f}", n / 8)),
    st.booleans().map(lambda value: (f"?{value:d}", value)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(
        lambda text: ('"' + text.replace("\\", r"\\").replace('"', r"\"") + '"', text)
    ),
    st.from_regex(r"[A-Za-z*][A-Za-z0-9:/*]{0,5}", fullmatch=True).map(lambda t: (t, Token(t))),
    st.integers(0, 10**10).map(lambda n: (f"@{n}", Date(n))),
    st.text(min_size=0, max_size=5).map(
        lambda text: (
            '%"' + "".join(f"%{byte:02x}" for byte in text.encode()) + '"',
            DisplayString(text),
        )
    ),
)
lists = st.lists(items, max_size=3).map(
    lambda pairs: (f"({' '.join(p[0] for p in pairs)})", tuple(p[1] for p in pairs))
)


@given(
    st.dictionaries(keys, st.tuples(items | lists, st.lists(st.tuples(keys, items), max_size=2)))
)
def test_what_is_written_is_read(
    written: dict[str, tuple[tuple[str, Member], list[tuple[str, tuple[str, Member]]]]],
) -> None:
    value = ", ".join(
        f"{key}={text}" + "".join(f";{name}={argument}" for name, (argument, _) in parameters)
        for key, ((text, _), parameters) in written.items()
    )
    assert parse_dictionary(value.encode("ascii")) == {
        key: member for key, ((_, member), _) in written.items()
    }


@given(st.binary() | st.text('ab=;,() \t"\\%:?@-*.019').map(str.encode))
def test_any_bytes_are_a_dictionary_or_malformed(value: bytes) -> None:
    found = parse_dictionary(value)
    assert found is None or all(isinstance(key, str) for key in found)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "coding"),
        ({"did": Token("br")}, "coding;did=br"),
        ({"of": 'a "b" \\'}, r'coding;of="a \"b\" \\"'),
        ({"of": "a\r\nb\u00e9"}, 'coding;of="ab"'),
        ({"bytes": -3}, "coding;bytes=-3"),
        ({"whole": True, "n": 1}, "coding;whole;n=1"),
    ],
)
def test_an_item_is_written_as_it_is_read(parameters, expected):
    """RFC 9651, 4.1.1.2 and 4.1.3; a value of True is written by its key alone."""
    assert format_item("coding", parameters) == expected
    assert parse_dictionary(f"a={expected}".encode()) == {"a": Token("coding")}
