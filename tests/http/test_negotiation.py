import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.http.mediatypes import MAX_PARAMETERS, parse_media_type
from asgi_serial.http.negotiation import (
    MAX_ELEMENTS,
    FormatChoice,
    MediaRange,
    choose_coding,
    choose_format,
    media_weight,
    parse_accept,
    parse_accept_encoding,
    parse_weight,
    prefers,
    refuses_identity,
)

JSON = "application/json"
MSGPACK = "application/vnd.msgpack"
CBOR = "application/cbor"
OFFERS = ((MSGPACK, "application/msgpack", "application/x-msgpack"),)
CODINGS = ("zstd", "br", "gzip")
ALIASES = {"x-gzip": "gzip", "x-compress": "compress"}


@pytest.mark.parametrize(
    ("value", "weight"),
    [
        (b"0", 0),
        (b"0.", 0),
        (b"0.0", 0),
        (b"0.000", 0),
        (b"0.001", 1),
        (b"0.01", 10),
        (b"0.5", 500),
        (b"0.25", 250),
        (b"0.999", 999),
        (b"1", 1000),
        (b"1.", 1000),
        (b"1.0", 1000),
        (b"1.000", 1000),
        (b"", None),
        (b"1.001", None),
        (b"1.5", None),
        (b"2", None),
        (b"0.1234", None),
        (b"1.0000", None),
        (b".5", None),
        (b"00.5", None),
        (b"-1", None),
        (b"+1", None),
        (b"1e0", None),
        (b"abc", None),
        (b" 1", None),
        (b"1\n", None),
        (b'"1"', None),
        (b"0,5", None),
        (b"0.5;", None),
        (b"9" * 65_536, None),
    ],
)
def test_parse_weight(value: bytes, weight: int | None) -> None:
    assert parse_weight(value) == weight


@given(st.integers(0, 1000))
def test_every_weight_is_read_back(weight: int) -> None:
    assert parse_weight(b"%d.%03d" % divmod(weight, 1000)) == weight


@pytest.mark.parametrize(
    ("value", "ranges"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"a/b", [(b"a", b"b", (), 1000)], id="the default weight"),
        pytest.param(b"A/*;Q=0.5", [(b"a", b"*", (), 500)], id="any case"),
        pytest.param(b"*/*; q=0", [(b"*", b"*", (), 0)], id="a refusal"),
        pytest.param(
            b'a/b; v="1,2" ;q=0.1, c/d',
            [(b"a", b"b", ((b"v", b"1,2"),), 100), (b"c", b"d", (), 1000)],
            id="a parameter with a quoted comma",
        ),
        pytest.param(
            b"a/b;q=0.1;level=1;x;;=",
            [(b"a", b"b", (), 100)],
            id="what follows the weight is nothing",
        ),
        pytest.param(b"a/b;q=0.1;q=0.2", [(b"a", b"b", (), 100)], id="the first weight counts"),
        pytest.param(b",, a/b ,,", [(b"a", b"b", (), 1000)], id="empty elements"),
        pytest.param(b"a/b;q=2, c/d", [(b"c", b"d", (), 1000)], id="a weight over one"),
        pytest.param(b"a/b;q=, c/d", [(b"c", b"d", (), 1000)], id="an empty weight"),
        pytest.param(b"a/b;q, c/d", [(b"c", b"d", (), 1000)], id="a weight without a value"),
        pytest.param(b"a/b;q =1, c/d", [(b"c", b"d", (), 1000)], id="white space in the weight"),
        pytest.param(b'a/b;q="1", c/d', [(b"c", b"d", (), 1000)], id="a quoted weight"),
        pytest.param(b"*/b, c/d", [(b"c", b"d", (), 1000)], id="a wildcard type alone"),
        pytest.param(b"a, /b, a/, c/d", [(b"c", b"d", (), 1000)], id="halves of types"),
        pytest.param(b"*, c/d", [(b"c", b"d", (), 1000)], id="a lone star"),
        pytest.param(b"a b/c, c/d", [(b"c", b"d", (), 1000)], id="white space in a type"),
        pytest.param(b"a/b;c, c/d", [(b"c", b"d", (), 1000)], id="a malformed parameter"),
        pytest.param(b"\xff\x00, c/d", [(b"c", b"d", (), 1000)], id="garbage"),
        pytest.param(b"a/b" + b";x=1" * (MAX_PARAMETERS + 1), [], id="too many parameters"),
    ],
)
def test_parse_accept(value: bytes, ranges: list[tuple[object, ...]]) -> None:
    assert list(parse_accept(value)) == ranges


@given(st.binary() | st.text('a/b*;q=0.5,"\\ x').map(str.encode))
def test_any_accept_is_parsed(value: bytes) -> None:
    for one in parse_accept(value):
        assert isinstance(one, MediaRange)
        assert 0 <= one.weight <= 1000
    assert choose_format(value, JSON, OFFERS).media_type in (JSON, *OFFERS[0])


def test_the_number_of_elements_read_is_bounded() -> None:
    value = b"a/b," * MAX_ELEMENTS + b"c/d"
    assert len(parse_accept(value)) == MAX_ELEMENTS
    value = b"br," * MAX_ELEMENTS + b"gzip"
    assert parse_accept_encoding(value) == {b"br": 1000}


@pytest.mark.parametrize(
    ("media_type", "weight"),
    [
        (b"text/plain;format=flowed", 1000),
        (b"text/plain", 700),
        (b"text/html", 300),
        (b"image/jpeg", 500),
        (b"text/plain;format=fixed", 400),
        (b"text/html;level=3", 300),
    ],
)
def test_the_example_of_the_standard(media_type: bytes, weight: int) -> None:
    """RFC 9110, 12.5.1: the table of precedence."""
    accept = (
        b"text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed,"
        b" text/plain;format=fixed;q=0.4, */*;q=0.5"
    )
    parsed = parse_media_type(media_type)
    assert parsed is not None
    assert media_weight(parse_accept(accept), parsed) == weight


@pytest.mark.parametrize(
    ("accept", "media_type", "weight"),
    [
        pytest.param(b"text/html", b"application/json", 0, id="no range matches"),
        pytest.param(b"text/*, a/b", b"application/json", 0, id="a wildcard of another type"),
        pytest.param(b"a/b;q=0.5, */*", b"a/b", 500, id="the closer range is lower"),
        pytest.param(b"*/*, a/*;q=0.4, a/b;q=0", b"a/b", 0, id="the closest range refuses"),
        pytest.param(
            b"a/b;q=0.2, a/b;q=0.9", b"a/b", 200, id="the lower weight of a repeated range"
        ),
        pytest.param(b"a/b;q=0.9, a/b;q=0.2", b"a/b", 200, id="in whichever order"),
        pytest.param(b"a/b;x=1;q=0.1, a/b;x=1;y=2", b"a/b;x=1;y=2", 1000, id="two parameters"),
        pytest.param(b"a/b;x=1", b"a/b", 0, id="a parameter that is not offered"),
        pytest.param(b"a/b;x=A", b"a/b;x=a", 0, id="values differ in case"),
        pytest.param(b"*/*;x=1;q=0.4", b"a/b;x=1", 400, id="a wildcard with a parameter"),
        pytest.param(
            b"application/json;charset=UTF-8", b"application/json", 1000, id="JSON is UTF-8"
        ),
        pytest.param(
            b"application/json;charset=utf8", b"application/json", 1000, id="JSON is utf8"
        ),
        pytest.param(b"a/x+json;charset=utf-8", b"a/x+json", 1000, id="JSON under another name"),
        pytest.param(
            b"a/json;charset=utf-8", b"a/json;charset=utf8", 1000, id="two names of UTF-8"
        ),
        pytest.param(b"a/json;charset=utf-8", b"a/json;charset=latin-1", 0, id="another charset"),
        pytest.param(b"a/json;charset=latin-1", b"a/json", 0, id="JSON is not Latin-1"),
        pytest.param(b"text/html;charset=utf-8", b"text/html", 0, id="HTML need not be UTF-8"),
    ],
)
def test_media_weight(accept: bytes, media_type: bytes, weight: int) -> None:
    parsed = parse_media_type(media_type)
    assert parsed is not None
    assert media_weight(parse_accept(accept), parsed) == weight


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        pytest.param(None, JSON, id="no field"),
        pytest.param(b"", JSON, id="an empty field"),
        pytest.param(b" , ", JSON, id="a field without elements"),
        pytest.param(b"json, text", JSON, id="nothing can be parsed"),
        pytest.param(b"*/*", JSON, id="anything"),
        pytest.param(b"application/*", JSON, id="any application type"),
        pytest.param(b"application/json", JSON, id="what was sent"),
        pytest.param(b"text/html, */*;q=0.8", JSON, id="a browser"),
        pytest.param(b"application/vnd.msgpack", MSGPACK, id="the canonical name"),
        pytest.param(b"application/msgpack", "application/msgpack", id="an alias"),
        pytest.param(b"APPLICATION/X-MSGPACK", "application/x-msgpack", id="an alias in capitals"),
        pytest.param(b"application/msgpack, */*", JSON, id="a wildcard of equal weight is a tie"),
        pytest.param(
            b"application/msgpack, */*;q=0.9", "application/msgpack", id="named above the wildcard"
        ),
        pytest.param(
            b"application/json, application/msgpack", JSON, id="a tie goes to the sent one"
        ),
        pytest.param(
            b"application/json;q=0.5, application/msgpack",
            "application/msgpack",
            id="the higher weight",
        ),
        pytest.param(
            b"application/json;q=0, application/msgpack;q=0.001",
            "application/msgpack",
            id="JSON is refused",
        ),
        pytest.param(
            b"application/json;q=0, */*;q=0.1", MSGPACK, id="the canonical name by wildcard"
        ),
        pytest.param(
            b"application/x-msgpack, application/msgpack",
            "application/x-msgpack",
            id="the first of two names",
        ),
        pytest.param(
            b"application/x-msgpack;q=0.8, application/msgpack",
            "application/msgpack",
            id="the preferred of two names",
        ),
        pytest.param(
            b"application/json;q=0.1, application/msgpack;q=0.5, */*;q=0.8",
            "application/msgpack",
            id="a named alias before one by wildcard",
        ),
        pytest.param(
            b"application/json;q=0.1, application/msgpack;q=0, */*",
            JSON,
            id="refused by one name is refused",
        ),
        pytest.param(
            b"application/msgpack;q=abc, */*", JSON, id="an unparsable element is skipped"
        ),
        pytest.param(
            b"application/msgpack;x=1, application/json;q=0.1", JSON, id="a parameter nobody has"
        ),
        pytest.param(
            b"application/json;charset=utf-8, application/msgpack;q=0.9", JSON, id="with a charset"
        ),
    ],
)
def test_choose_format(accept: bytes | None, chosen: str) -> None:
    assert choose_format(accept, JSON, OFFERS) == FormatChoice(chosen, True)


@pytest.mark.parametrize(
    "accept",
    [b"text/html", b"application/json;q=0", b"*/*;q=0", b"text/*, */*;q=0", b"application/cbor"],
)
def test_nothing_is_acceptable(accept: bytes) -> None:
    assert choose_format(accept, JSON, OFFERS) == FormatChoice(JSON, False)


def test_several_formats_are_offered() -> None:
    offers = (*OFFERS, (CBOR,))
    accept = b"application/cbor, application/msgpack, application/json;q=0.1"
    assert choose_format(accept, JSON, offers).media_type == "application/msgpack"
    assert choose_format(b"application/cbor", JSON, offers).media_type == CBOR
    assert choose_format(b"application/cbor", JSON, ()) == FormatChoice(JSON, False)


def test_parameters_of_the_sent_type_count() -> None:
    sent = "application/json; charset=utf-8"
    assert choose_format(b"application/json", sent, OFFERS) == FormatChoice(sent, True)
    assert choose_format(b"application/json;charset=latin-1", sent, OFFERS) == FormatChoice(
        sent, False
    )


def test_what_is_no_media_type_is_left_alone() -> None:
    assert choose_format(b"application/msgpack", "json", OFFERS) == FormatChoice("json", True)
    assert choose_format(b"text/html", JSON, (("msgpack",),)) == FormatChoice(JSON, False)


@pytest.mark.parametrize(
    ("value", "weights"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"gzip", {b"gzip": 1000}, id="the default weight"),
        pytest.param(
            b"GZip ; Q=0.5,br", {b"gzip": 500, b"br": 1000}, id="any case and white space"
        ),
        pytest.param(b"x-gzip, X-Compress;q=0.1", {b"gzip": 1000, b"compress": 100}, id="aliases"),
        pytest.param(b"*;q=0, identity", {b"*": 0, b"identity": 1000}, id="star and identity"),
        pytest.param(b"gzip, gzip;q=0", {b"gzip": 0}, id="a refusal is not overheard"),
        pytest.param(b"x-gzip;q=0, gzip", {b"gzip": 0}, id="nor by its alias"),
        pytest.param(b"gzip;q=1.5, br", {b"br": 1000}, id="a weight over one"),
        pytest.param(b"gzip;q=, br", {b"br": 1000}, id="an empty weight"),
        pytest.param(b"gzip;x=1, br", {b"br": 1000}, id="another parameter"),
        pytest.param(b"gzip;q=1;x=1, br", {b"br": 1000}, id="a parameter too many"),
        pytest.param(b"g zip, ;q=1, ;, =, br;", {b"br": 1000}, id="no token"),
        pytest.param(b'"gzip", br', {b"br": 1000}, id="a quoted coding"),
    ],
)
def test_parse_accept_encoding(value: bytes, weights: dict[bytes, int]) -> None:
    assert parse_accept_encoding(value, ALIASES) == weights


@pytest.mark.parametrize(
    ("value", "coding"),
    [
        pytest.param(None, "", id="no field: no coding was asked for"),
        pytest.param(b"", "", id="an empty field: only identity"),
        pytest.param(b"gzip", "gzip", id="one coding"),
        pytest.param(b"gzip, deflate, br, zstd", "zstd", id="the server's order among equals"),
        pytest.param(b"gzip, deflate, br", "br", id="the first that is accepted"),
        pytest.param(b"gzip;q=1.0, br;q=0.9", "gzip", id="the client's preference"),
        pytest.param(b"deflate, compress", "", id="none that is here"),
        pytest.param(b"*", "zstd", id="any"),
        pytest.param(b"*;q=0.5, gzip", "gzip", id="a named one above any"),
        pytest.param(b"*, zstd;q=0", "br", id="any but one"),
        pytest.param(b"*;q=0", "", id="none at all"),
        pytest.param(b"gzip;q=0", "", id="a refusal"),
        pytest.param(b"identity", "", id="identity alone"),
        pytest.param(b"identity;q=0", "", id="identity refused, and nothing else allowed"),
        pytest.param(b"identity;q=1, gzip;q=0.5", "", id="identity is preferred"),
        pytest.param(b"identity;q=0.5, gzip;q=0.5", "gzip", id="identity is no better"),
        pytest.param(b"identity, gzip", "gzip", id="identity has no priority among equals"),
        pytest.param(b"identity;q=0.5, *;q=0.4", "", id="identity above any"),
        pytest.param(
            b"*;q=0.9, zstd;q=0.5, br;q=0.5, gzip;q=0.5", "zstd", id="any is not identity"
        ),
        pytest.param(b"x-gzip", "gzip", id="an alias"),
        pytest.param(b"gzip;q=abc, br;q=0.1", "br", id="an unparsable element is skipped"),
        pytest.param(b"gzip;q=0.001", "gzip", id="the least weight"),
        pytest.param(b"\xff\xfe", "", id="garbage"),
        pytest.param(b"compress, gzip", "gzip", id="RFC 9110, 12.5.3, first example"),
        pytest.param(b"compress;q=0.5, gzip;q=1.0", "gzip", id="RFC 9110, 12.5.3, fourth example"),
        pytest.param(
            b"gzip;q=1.0, identity; q=0.5, *;q=0", "gzip", id="RFC 9110, 12.5.3, fifth example"
        ),
    ],
)
def test_choose_coding(value: bytes | None, coding: str) -> None:
    assert choose_coding(value, CODINGS, ALIASES) == coding
    assert choose_coding(value, ()) == ""


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        pytest.param(b"application/json", True, id="only the wanted one"),
        pytest.param(b"application/vnd.msgpack", False, id="only the sent one"),
        pytest.param(b"application/msgpack", False, id="the sent one by another name"),
        pytest.param(b"application/json, application/msgpack;q=0.9", True, id="by weight"),
        pytest.param(b"application/json;q=0.8, application/msgpack;q=0.9", False),
        pytest.param(b"application/json, application/msgpack", False, id="a tie"),
        pytest.param(b"*/*", False, id="anything is a tie"),
        pytest.param(b"application/json, */*;q=0.1", True, id="named above the wildcard"),
        pytest.param(b"application/*, application/x-msgpack;q=0", True, id="a refusal"),
        pytest.param(b"text/html", False, id="neither"),
        pytest.param(b"", False, id="an empty field"),
        pytest.param(b"json", False, id="nothing can be parsed"),
    ],
)
def test_what_a_client_prefers_to_what_is_sent(accept: bytes, preferred: bool) -> None:
    assert prefers(accept, (JSON,), OFFERS[0]) is preferred


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        pytest.param(b"", False, id="an empty field"),
        pytest.param(b"gzip", False, id="not named"),
        pytest.param(b"identity;q=0, gzip", True, id="named"),
        pytest.param(b"Identity;Q=0.000, gzip", True, id="named in capitals"),
        pytest.param(b"*;q=0, gzip", True, id="by any"),
        pytest.param(b"*;q=0, identity;q=0.001, gzip", False, id="a more specific entry"),
        pytest.param(b"identity;q=0, *", True, id="any is less specific"),
        pytest.param(b"identity, identity;q=0", True, id="no refusal is overheard"),
        pytest.param(b"identity;q=no, gzip", False, id="an unparsable element is skipped"),
        pytest.param(b"gzip;q=0", False, id="another coding"),
    ],
)
def test_who_refuses_identity(value: bytes, refused: bool) -> None:
    """RFC 9110, 12.5.3."""
    assert refuses_identity(value) is refused


@given(st.binary() | st.text("gzipbr*;q=0.15, ").map(str.encode))
def test_a_coding_is_used_only_where_it_is_accepted(value: bytes) -> None:
    coding = choose_coding(value, CODINGS, ALIASES)
    weights = parse_accept_encoding(value, ALIASES)
    assert coding == "" or weights.get(coding.encode(), weights.get(b"*", 0)) > 0
