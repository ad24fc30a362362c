import math
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

import orjson
import pytest

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats.json_format import JsonFormat

JSON = JsonFormat()


class Limit(Enum):
    NONE = math.inf
    SOME = 1.0


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(b"18446744073709551615", 2**64 - 1, id="the greatest integer of 64 bits"),
        pytest.param(b"-9223372036854775808", -(2**63), id="the least integer of 64 bits"),
        pytest.param(b" 18446744073709551615\n", 2**64 - 1, id="the greatest with white space"),
        pytest.param(b"-0", 0, id="minus zero as an integer is zero"),
        pytest.param(b"-0.0", -0.0, id="minus zero as a float keeps its sign"),
        pytest.param(b"1.0", 1.0, id="a float without fraction stays a float"),
        pytest.param(b"1e2", 100.0, id="an exponent makes a float"),
        pytest.param(b"9007199254740993.0", 9007199254740992.0, id="a float is the nearest double"),
        pytest.param(b"0.12345678901234567890123", 0.12345678901234568, id="a long fraction"),
        pytest.param(b"123456789012345678901.5", 1.2345678901234568e20, id="a long mantissa"),
        pytest.param(b"100000000000000000000e0", 1e20, id="long, with an exponent"),
        pytest.param(b"1e-0000000000000000000000", 1.0, id="a long exponent"),
        pytest.param(b'[ "99999999999999999999" ]', ["9" * 20], id="digits in a string"),
        pytest.param(b'["n: 99999999999999999999, "]', [f"n: {'9' * 20}, "], id="a number inside"),
        pytest.param(rb'{"a":"\u0022","b":1}', {"a": '"', "b": 1}, id="an escaped quote"),
        pytest.param(rb'["\/"]', ["/"], id="an escaped solidus"),
        pytest.param(rb'["\ud83d\ude00"]', ["\U0001f600"], id="a pair of surrogates"),
        pytest.param(rb'["\u0000"]', ["\0"], id="the escaped null character"),
    ],
)
def test_a_document_is_read_as_it_says(data, value):
    assert repr(JSON.loads(data)) == repr(value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="an empty body"),
        pytest.param(b"[1,]", id="a comma too many"),
        pytest.param(b"1 2", id="two documents"),
        pytest.param(b"\xef\xbb\xbf1", id="a byte order mark"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"-Infinity", id="minus infinity"),
        pytest.param(b"[1e999]", id="a number beyond the doubles"),
        pytest.param(b"[" + b"1" * 400 + b"]", id="400 digits"),
        pytest.param(b"01", id="a leading zero"),
        pytest.param(rb'["\ud800"]', id="a lone surrogate"),
    ],
)
def test_what_is_not_json_is_refused_with_the_byte(data):
    with pytest.raises(FormatError, match=r"not JSON: .* at byte") as caught:
        JSON.loads(data)
    assert caught.value.position in range(len(data) + 1)


def test_positions_count_bytes_and_not_characters():
    with pytest.raises(FormatError, match="at byte 8") as caught:
        JSON.loads('["éé" x]'.encode())
    assert caught.value.position == 8


@pytest.mark.parametrize(
    ("data", "message", "position", "path"),
    [
        pytest.param(b'["a\xff"]', "not UTF-8", 3, None, id="a byte that is not UTF-8"),
        pytest.param(b'["\xed\xa0\x80"]', "not UTF-8", 2, None, id="a surrogate in UTF-8"),
        pytest.param(
            b"18446744073709551616", "integer beyond 64 bits", 0, "$", id="one integer too wide"
        ),
        pytest.param(
            b'{"items": [1, {"id": -9223372036854775809}]}',
            "integer beyond 64 bits",
            21,
            "$.items[1].id",
            id="an integer too wide, in depth",
        ),
        pytest.param(
            b'["0.00000000000000000001",18446744073709551616]',
            "integer beyond 64 bits",
            26,
            "$[1]",
            id="a harmless run ahead of the wide integer",
        ),
        pytest.param(b'{"a":1,"a":2}', "name 'a' repeated", 7, "$.a", id="a name twice"),
        pytest.param(
            rb'[{"a":1},{"b c":{"a":1,"\u0061":2}}]',
            "name 'a' repeated",
            23,
            "$[1]['b c'].a",
            id="a name twice, once escaped",
        ),
        pytest.param(
            rb'{"a":1,"a":"\u0022\u0022"}',
            "name 'a' repeated",
            7,
            "$.a",
            id="as many quotes as before",
        ),
        pytest.param(b'{"":1,"":1}', "name '' repeated", 6, "$['']", id="the empty name twice"),
        pytest.param(
            b"[" * 201 + b"]" * 201,
            "nesting beyond 200 levels",
            200,
            "$" + "[0]" * 99 + "[0...",
            id="one level too many",
        ),
        pytest.param(b'{"a":' * 2000, "nesting beyond 200", 1000, None, id="deep and cut off"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(data, message, position, path):
    with pytest.raises(FormatError, match=message) as caught:
        JSON.loads(data)
    assert caught.value.position == position
    assert path is None or caught.value.path == path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"b": None, "a": "é"}, '{"b":null,"a":"é"}', id="order and characters kept"),
        pytest.param((1, (None,)), "[1,[null]]", id="tuples as arrays"),
        pytest.param([Limit.SOME, None], "[1.0,null]", id="enum members as their values"),
        pytest.param(UUID(int=1), f'"{UUID(int=1)}"', id="a UUID as text"),
    ],
)
def test_a_value_is_written_compactly(value, text):
    assert JSON.dumps(value) == text.encode()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="NaN"),
        pytest.param({"a": [None, -math.inf]}, id="an infinity in depth"),
        pytest.param(Limit.NONE, id="an infinity as an enum's value"),
        pytest.param(b"x", id="bytes"),
        pytest.param(datetime(2024, 1, 1), id="a date"),
        pytest.param(Point(1), id="a dataclass"),
    ],
)
def test_what_json_has_no_form_for_is_not_written(value):
    with pytest.raises(FormatError, match="cannot be written as JSON"):
        JSON.dumps(value)


@pytest.mark.parametrize("max_depth", [1, 5, 254])
def test_depth_is_bounded_exactly_both_ways(max_depth):
    fmt = JsonFormat(max_depth=max_depth)
    deepest = b"[" * max_depth + b"]" * max_depth
    assert fmt.dumps(fmt.loads(deepest)) == deepest
    assert fmt.loads(b" " + deepest) == orjson.loads(deepest)
    with pytest.raises(FormatError, match=f"nesting beyond {max_depth} levels"):
        fmt.loads(b"[" + deepest + b"]")
    with pytest.raises(FormatError):
        fmt.dumps(orjson.loads(b"[" + deepest + b"]"))


@pytest.mark.parametrize("max_depth", [0, 255])
def test_a_depth_that_can_not_be_kept_is_refused_at_construction(max_depth):
    with pytest.raises(ConfigurationError, match="from 1 to 254"):
        JsonFormat(max_depth=max_depth)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        pytest.param(b'{"a":1,"a":2}', "repeats a name", id="a repeated name"),
        pytest.param(b"18446744073709551616", "beyond 64 bits", id="a wide integer"),
        pytest.param(b"[" * 200 + b"]" * 200, "too deeply", id="a level too many"),
    ],
)
def test_a_fault_far_down_a_long_document_is_refused_without_its_place(tail, message):
    data = b"[" + b"1," * 30_000 + tail + b"]"
    with pytest.raises(FormatError, match=message) as caught:
        JSON.loads(data)
    assert caught.value.position is None
