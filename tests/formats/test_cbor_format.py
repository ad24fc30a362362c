"""CBOR by the examples of its RFC, against cbor2, and in all the forms that a document can have."""

import datetime
import json
import math
import struct
import subprocess
import sys
from collections import deque
from contextlib import suppress

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats.cbor_format import CborTranscoder
from asgi_serial.formats.json_format import JsonFormat

CBOR = CborTranscoder()
read_for_models = CBOR.build_reader(bytes, lambda error: error)

# RFC 8949, appendix A: the examples whose values JSON has.
EXAMPLES = [
    ("00", "0"),
    ("01", "1"),
    ("0a", "10"),
    ("17", "23"),
    ("1818", "24"),
    ("1819", "25"),
    ("1864", "100"),
    ("1903e8", "1000"),
    ("1a000f4240", "1000000"),
    ("1b000000e8d4a51000", "1000000000000"),
    ("1bffffffffffffffff", "18446744073709551615"),
    ("20", "-1"),
    ("29", "-10"),
    ("3863", "-100"),
    ("3903e7", "-1000"),
    ("f90000", "0.0"),
    ("f98000", "-0.0"),
    ("f93c00", "1.0"),
    ("fb3ff199999999999a", "1.1"),
    ("f93e00", "1.5"),
    ("f97bff", "65504.0"),
    ("fa47c35000", "100000.0"),
    ("fa7f7fffff", "3.4028234663852886e+38"),
    ("fb7e37e43c8800759c", "1e+300"),
    ("f90001", "5.960464477539063e-8"),
    ("f90400", "0.00006103515625"),
    ("f9c400", "-4.0"),
    ("fbc010666666666666", "-4.1"),
    ("f4", "false"),
    ("f5", "true"),
    ("f6", "null"),
    ("60", '""'),
    ("6161", '"a"'),
    ("6449455446", '"IETF"'),
    ("62225c", r'"\"\\"'),
    ("62c3bc", '"\u00fc"'),
    ("63e6b0b4", '"\u6c34"'),
    ("64f0908591", '"\U00010151"'),
    ("80", "[]"),
    ("83010203", "[1,2,3]"),
    ("8301820203820405", "[1,[2,3],[4,5]]"),
    (
        "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
    ),
    ("a0", "{}"),
    ("a26161016162820203", '{"a":1,"b":[2,3]}'),
    ("826161a161626163", '["a",{"b":"c"}]'),
    ("a56161614161626142616361436164614461656145", '{"a":"A","b":"B","c":"C","d":"D","e":"E"}'),
    ("7f657374726561646d696e67ff", '"streaming"'),
    ("9fff", "[]"),
    ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
    ("9f01820203820405ff", "[1,[2,3],[4,5]]"),
    ("83018202039f0405ff", "[1,[2,3],[4,5]]"),
    ("83019f0203ff820405", "[1,[2,3],[4,5]]"),
    (
        "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25]",
    ),
    ("bf61610161629f0203ffff", '{"a":1,"b":[2,3]}'),
    ("826161bf61626163ff", '["a",{"b":"c"}]'),
    ("bf6346756ef563416d7421ff", '{"Fun":true,"Amt":-2}'),
    # Section 3.4.6.
    ("d9d9f7a0", "{}"),
    # Section 3: an argument may take more bytes than it needs.
    ("1b0000000000000001", "1"),
    ("3b7fffffffffffffff", "-9223372036854775808"),
    ("7b000000000000000161", '"a"'),
    ("7a0000000161", '"a"'),
    ("79000161", '"a"'),
    ("9b0000000000000001f6", "[null]"),
    ("ba00000001780161f6", '{"a":null}'),
]


@pytest.mark.parametrize(("data", "text"), EXAMPLES, ids=[data for data, _ in EXAMPLES])
def test_the_examples_of_the_rfc_are_read(data, text):
    assert CBOR.to_json(bytes.fromhex(data)).decode() == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param(b"1", "01", id="an integer stays one"),
        pytest.param(b"1.0", "fb3ff0000000000000", id="a float without fraction stays one"),
        pytest.param(b"-0.0", "fb8000000000000000", id="the sign of zero is kept"),
        pytest.param(b"18446744073709551615", "1bffffffffffffffff", id="the greatest integer"),
        pytest.param(b"-9223372036854775808", "3b7fffffffffffffff", id="the least integer"),
        pytest.param(b'{"b":[null,true],"a":""}', "a2616282f6f5616160", id="order"),
        pytest.param('"é\U0001f600"'.encode(), "66c3a9f09f9880", id="any character"),
        pytest.param(b'"' + b"x" * 24 + b'"', "7818" + "78" * 24, id="long text"),
    ],
)
def test_what_both_formats_have_goes_both_ways(text, written):
    assert CBOR.from_json(text).hex() == written
    assert CBOR.to_json(bytes.fromhex(written)) == text


@pytest.mark.parametrize(
    ("data", "message", "position", "path"),
    [
        ("a1656974656d738201a164626c6f624178", "byte string", 15, "$.items[1].blob"),
        ("5f42010243030405ff", "byte string", 0, "$"),
        ("c249010000000000000000", "tag 2", 0, "$"),
        ("81c11a514b67b0", "tag 1", 1, "$[0]"),
        ("c074323031332d30332d32315432303a30343a30305a", "tag 0", 0, "$"),
        ("d9d9f7d9d9f700", "tag 55799", 3, "$"),
        ("81d9d9f700", "tag 55799", 1, "$[0]"),
        ("dbffffffffffffffff00", "tag 18446744073709551615", 0, "$"),
        ("81d81c81d81d00", "tag 28", 1, "$[0]"),
        ("d9010063616161", "tag 256", 0, "$"),
        ("d8236161", "tag 35", 0, "$"),
        ("c48221196ab3", "tag 4", 0, "$"),
        ("f7", "undefined", 0, "$"),
        ("f0", "simple value 16", 0, "$"),
        ("f8ff", "simple value 255", 0, "$"),
        ("e0", "simple value 0", 0, "$"),
        ("f818", "simple value 24", 0, "$"),
        ("f97e00", "number nan", 0, "$"),
        ("81f97c00", "number inf", 1, "$[0]"),
        ("f9fc00", "number -inf", 0, "$"),
        ("fa7fc00000", "number nan", 0, "$"),
        ("faff800000", "number -inf", 0, "$"),
        ("fb7ff8000000000000", "number nan", 0, "$"),
        ("a16161fb7ff0000000000000", "number inf", 3, "$.a"),
        ("3b8000000000000000", "integer beyond 64 bits", 0, "$"),
        ("3bffffffffffffffff", "integer beyond 64 bits", 0, "$"),
        ("a10102", "not a string", 1, "$"),
        ("a1416102", "not a string", 1, "$"),
        ("a18002", "not a string", 1, "$"),
        ("a1a002", "not a string", 1, "$"),
        ("a1f602", "not a string", 1, "$"),
        ("a1c2410102", "not a string", 1, "$"),
        ("a2616101616101", "'a' repeated", 4, "$.a"),
        ("81a26161017801" + "6101", "'a' repeated", 5, "$[0].a"),
        ("bf6161017f6161ff01ff", "'a' repeated", 4, "$.a"),
        ("8161ff", "not UTF-8", 1, "$[0]"),
        ("63eda080", "not UTF-8", 0, "$"),
        ("a161ff00", "not UTF-8", 1, "$"),
        ("7f61c361bcff", "not UTF-8", 0, "$"),
        ("7f4161ff", "chunk that is not text", 0, "$"),
        ("7f7fffff", "chunk of undeclared length", 0, "$"),
        ("7f00ff", "chunk that is not text", 0, "$"),
        ("81" * 201 + "f6", "beyond 200 levels", 200, None),
        ("9f" * 100_000, "beyond 200 levels", 200, None),
        ("99ffff" * 9, "document ends", 0, "$"),
        ("9bffffffffffffffff", "document ends", 0, "$"),
        ("bb8000000000000000", "document ends", 0, "$"),
        ("a26161", "document ends", 0, "$"),
        ("a1616100" + "00", "bytes follow", 4, None),
        ("0101", "bytes follow", 1, None),
        ("", "document ends", 0, "$"),
        ("d9d9f7", "document ends", 3, "$"),
        ("18", "document ends", 0, "$"),
        ("1903", "document ends", 0, "$"),
        ("1b00", "document ends", 0, "$"),
        ("6261", "document ends", 0, "$"),
        ("78ff61", "document ends", 0, "$"),
        ("7f6161", "document ends", 0, "$"),
        ("fb00", "document ends", 0, "$"),
        ("f900", "document ends", 0, "$"),
        ("9f01", "document ends", 2, "$[1]"),
        ("bf", "document ends", 1, "$"),
        ("bf616101", "document ends", 4, "$"),
        ("ff", "break", 0, "$"),
        ("81ff", "break", 1, "$[0]"),
        ("bf6161ff", "break", 3, "$.a"),
        ("a1ff00", "not a string", 1, "$"),
        ("1c", "first byte 0x1c", 0, "$"),
        ("1f", "first byte 0x1f", 0, "$"),
        ("3d", "first byte 0x3d", 0, "$"),
        ("3f", "first byte 0x3f", 0, "$"),
        ("7e", "first byte 0x7e", 0, "$"),
        ("9c", "first byte 0x9c", 0, "$"),
        ("be", "first byte 0xbe", 0, "$"),
        ("df", "first byte 0xdf", 0, "$"),
        ("dc", "first byte 0xdc", 0, "$"),
        ("fc", "first byte 0xfc", 0, "$"),
        ("f818" + "00", "simple value 24", 0, "$"),
    ],
)
def test_what_json_can_not_carry_is_refused_with_its_place(data, message, position, path):
    with pytest.raises(FormatError, match=message) as caught:
        CBOR.to_json(bytes.fromhex(data))
    assert caught.value.position == position
    assert path is None or caught.value.path == path


def test_a_value_that_is_nested_too_deeply_is_refused_before_cbor2_sees_it():
    """Releases of cbor2 have overflown the stack of the process."""
    value: object = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TypeError):
        CBOR.pack(value)
    while value:
        [value] = value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_for_models_numbers_that_are_not_finite_go_both_ways(value):
    written = CBOR.pack({"a": [value, 1.5]})
    assert CBOR.may_hold_nonfinite(written)
    assert not CBOR.may_hold_nonfinite(CBOR.pack({"a": [1.5, "text", -7]}))
    assert repr(json.loads(read_for_models(written))) == repr({"a": [value, 1.5]})
    with pytest.raises(FormatError, match=r"number -?(nan|inf)"):
        CBOR.to_json(written)


@pytest.mark.parametrize(
    "data",
    [
        *("f97e00", "f97c01", "f9fc00", "fa7f800000", "faffc00000", "fb7ff0000000000000"),
        *("fbffffffffffffffff", "81fb7ff8000000000000"),
    ],
)
def test_every_form_of_a_number_that_is_not_finite_is_found(data):
    document = bytes.fromhex(data)
    assert CBOR.may_hold_nonfinite(document)
    assert read_for_models(document).strip(b"[]-") in (b"NaN", b"Infinity")


@pytest.mark.parametrize(
    "value", [1 << 64, 1 << 70, b"bytes", {1: 2}, {1}, 1j, object(), datetime.date.max, deque()]
)
def test_only_values_of_json_are_packed(value):
    for document in (value, [value], {"a": value}):
        with pytest.raises((TypeError, ValueError)):
            CBOR.pack(document)


@pytest.mark.parametrize("max_depth", [1, 200, 254])
def test_depth_is_bounded_exactly_both_ways(max_depth):
    cbor = CborTranscoder(max_depth=max_depth)
    text = b"[" * max_depth + b"]" * max_depth
    written = b"\x81" * (max_depth - 1) + b"\x80"
    assert cbor.from_json(text) == written
    assert cbor.to_json(written) == text
    with pytest.raises(FormatError, match=f"beyond {max_depth} levels"):
        cbor.from_json(b"[" + text + b"]")
    with pytest.raises(FormatError, match=f"beyond {max_depth} levels"):
        cbor.to_json(b"\x81" + written)


def test_a_nearly_exhausted_stack_is_no_fault_of_a_document():
    text = b" " + b"[" * 190 + b"]" * 190
    written = b"\x99\x00\x01" * 189 + b"\x80"

    def descend(levels):
        if levels:
            return descend(levels - 1)
        read = CBOR.to_json(written)
        # What cannot be written in another format stays JSON.
        try:
            return read, type(CBOR.from_json(text))
        except FormatError as error:
            return read, type(error)

    frame, depth = sys._getframe(), 0
    while frame:
        frame, depth = frame.f_back, depth + 1
    for left in range(20, 60):
        read, outcome = descend(sys.getrecursionlimit() - depth - left)
        assert read == text.lstrip()
        assert outcome in (bytes, FormatError)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(), inner, max_size=30),
    max_leaves=60,
)


@given(value=VALUES)
def test_json_becomes_cbor_and_the_same_json_again(value):
    text = JsonFormat().dumps(value)
    written = CBOR.from_json(text)
    assert repr(cbor2.loads(written)) == repr(value)
    assert CBOR.to_json(written) == text


@st.composite
def heads(draw, major, argument):
    """An initial byte and its argument, in any width that holds it."""
    widths = [width for width in range(4) if argument < 1 << (8 << width)]
    if argument < 24 and draw(st.booleans()):
        return bytes([major << 5 | argument])
    width = draw(st.sampled_from(widths))
    return bytes([major << 5 | 24 + width]) + argument.to_bytes(1 << width, "big")


@st.composite
def documents(draw, value):
    """A value in any form that CBOR has for it."""
    match value:
        case None | False | True:
            return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[value]
        case int():
            return draw(heads(0, value) if value >= 0 else heads(1, -1 - value))
        case float():
            forms = [struct.pack(">Bd", 0xFB, value)]
            for first, code in ((0xFA, "f"), (0xF9, "e")):
                with suppress(OverflowError):
                    packed = struct.pack(">" + code, value)
                    if struct.unpack(">" + code, packed) == (value,):
                        forms.append(bytes([first]) + packed)
            return draw(st.sampled_from(forms))
        case str():
            return draw(texts(value))
    if isinstance(value, dict):
        major = 5
        items = [draw(texts(name)) + draw(documents(item)) for name, item in value.items()]
    else:
        major = 4
        items = [draw(documents(item)) for item in value]
    content = b"".join(items)
    if draw(st.booleans()):
        return bytes([major << 5 | 31]) + content + b"\xff"
    return draw(heads(major, len(items))) + content


@st.composite
def texts(draw, value):
    data = value.encode()
    if draw(st.integers(0, 3)):
        return draw(heads(3, len(data))) + data
    cut = draw(st.integers(0, len(value)))
    chunks = [value[:cut].encode(), value[cut:].encode()]
    return b"\x7f" + b"".join(draw(heads(3, len(chunk))) + chunk for chunk in chunks) + b"\xff"


@given(drawn=VALUES.flatmap(lambda value: st.tuples(st.just(value), documents(value))))
def test_every_form_of_a_document_is_read_as_cbor2_reads_it(drawn):
    value, data = drawn
    assert repr(value) == repr(cbor2.loads(data)) == repr(json.loads(CBOR.to_json(data)))


@given(
    drawn=VALUES.flatmap(lambda value: documents(value)),
    flips=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3),
    cut=st.integers(0, 3),
)
def test_what_is_read_of_a_damaged_document_is_what_cbor2_reads(drawn, flips, cut):
    data = bytearray(drawn)
    for position, byte in flips:
        data[position % len(data)] = byte
    _agrees_with_cbor2(bytes(data[: len(data) - cut]))


@given(data=st.binary(max_size=40))
def test_what_is_read_of_any_bytes_is_what_cbor2_reads(data):
    _agrees_with_cbor2(data)


def _agrees_with_cbor2(data):
    with suppress(FormatError):
        value = json.loads(CBOR.to_json(data))
        assert repr(value) == repr(cbor2.loads(data))


WITHOUT_CBOR2 = """
import sys
sys.modules["cbor2"] = None
from asgi_serial.errors import ConfigurationError
from asgi_serial.formats.cbor_format import CborTranscoder
from asgi_serial.formats.registry import format_name, FORMATS
from asgi_serial.engine.negotiator import Negotiator
from asgi_serial.settings.model import Settings

print([one.name for one in FORMATS], repr(format_name("application/cbor")))
print(Negotiator(Settings.load({}, {})).wants[b"application/cbor", None].media_type)
try:
    CborTranscoder()
except ConfigurationError as error:
    print(error)
"""


def test_without_the_extra_it_is_not_offered():
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_CBOR2], capture_output=True, text=True, timeout=300
    )
    assert run.stdout.splitlines() == [
        "['msgpack'] ''",
        "",
        "CBOR needs cbor2, which is not installed; install asgi-serial[cbor].",
    ], run.stderr


def test_wrong_settings_are_refused_at_construction():
    with pytest.raises(ConfigurationError, match="max_depth is 1000"):
        CborTranscoder(max_depth=1000)
