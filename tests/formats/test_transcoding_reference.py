"""Both engines against each other, and against a slow transcoder that does one thing at a time."""

import json
import math
import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asgi_serial.errors import FormatError
from asgi_serial.formats.transcoding import build_transcoder

MAX_DEPTH = 4
ENGINES = [build_transcoder(engine, max_depth=MAX_DEPTH) for engine in ("msgspec", "msgpack")]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.sampled_from([2**63, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**19, 10**18])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.text(alphabet='"\\:/\u0022{}[],1e+-. ', max_size=30)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
JSON_NAMES = ['"a"', r'"\u0061"', '"b"', r'"\u0022"', r'"\""', r'"\\"', r'"\\u0022"', '""', '":"']
JSON_SCALARS = [
    *JSON_NAMES,
    *("1", "-1", "0", "-0", "1.0", "1e5", "-0.0", "1e999", "NaN", "01", "null", "true", "\x00"),
    *("18446744073709551615", "18446744073709551616", "-9223372036854775808"),
    *("-9223372036854775809", "99999999999999999999", "0.00000000000000000000001"),
    *("1e-0000000000000000000001", "99999999999999999999.5", "99999999999999999999e1"),
    *('"99999999999999999999"', '"n: 99999999999999999999, "', '"é[{"', r'"\ud800"', "\ufeff1"),
]
JSON_TEXTS = st.recursive(
    st.sampled_from(JSON_SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(
            st.tuples(st.sampled_from(JSON_NAMES), st.sampled_from([":", " :", ": "]), inner).map(
                "".join
            ),
            max_size=3,
        ).map(lambda members: f"{{{','.join(members)}}}")
    ),
    max_leaves=10,
)
MSGPACK_NAMES = [b"\xa1a", b"\xd9\x01a", b"\xdb\x00\x00\x00\x01a", b"\xa1b", b"\xa0"]
MSGPACK_SCALARS = [
    *MSGPACK_NAMES,
    *(b"\x00", b"\xff", b"\x7f", b"\xc0", b"\xc1", b"\xc2", b"\xc3", b"\xa1\xff", b"\xcd\xcb\x7f"),
    *(b"\xcb\x7f\xf8" + b"\x00" * 6, b"\xca\x7f\x80\x00\x00", b"\xca\x3f\x80\x00\x00"),
    *(b"\xcb\xff\xf0" + b"\x00" * 6, b"\xca\xff\x80\x00\x00", b"\xca\xff\x7f\x00\x00"),
    *(b"\xcb\x7f\xef" + b"\xff" * 6, b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\x00" * 7),
    *(b"\xcb\x80" + b"\x00" * 7, b"\xd6\xff\x00\x00\x00\x00", b"\xc7\x00\x01", b"\xc4\x01a"),
    *(b"\xd2\xff\xff\xff\xff", b"\xd1\x00\x01", b"\xcc\x01"),
]


def _as_array(drawn):
    is_wide, items = drawn
    head = struct.pack(">BH", 0xDC, len(items)) if is_wide else bytes([0x90 + len(items)])
    return head + b"".join(items)


def _as_map(drawn):
    is_wide, members = drawn
    head = struct.pack(">BH", 0xDE, len(members)) if is_wide else bytes([0x80 + len(members)])
    return head + b"".join(name + value for name, value in members)


MSGPACK_DOCUMENTS = st.recursive(
    st.sampled_from(MSGPACK_SCALARS),
    lambda inner: (
        st.tuples(st.booleans(), st.lists(inner, max_size=3)).map(_as_array)
        | st.tuples(
            st.booleans(),
            st.lists(st.tuples(st.sampled_from(MSGPACK_NAMES) | inner, inner), max_size=3),
        ).map(_as_map)
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=300)
@given(value=VALUES, as_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_any_json_value_is_carried_over_or_refused(value, as_ascii, indent):
    data = json.dumps(value, ensure_ascii=as_ascii, indent=indent).encode(errors="surrogatepass")
    packed = _agreed(data, "from_json", _reference_json_to_msgpack)
    if packed is not None:
        back = _agreed(packed, "to_json", _reference_msgpack_to_json)
        assert repr(json.loads(back)) == repr(value)


@settings(deadline=None, max_examples=500)
@given(data=JSON_TEXTS)
@example(data=r'{"a":1,"a":"\u0022\u0022"}')
@example(data='{"a":1,"a" :"\\\\u0022"}')
@example(data='{"":"x, 99999999999999999999 "}')
def test_json_written_in_any_way_is_carried_over_or_refused(data):
    _agreed(data.encode(), "from_json", _reference_json_to_msgpack)


@settings(deadline=None, max_examples=500)
@given(data=MSGPACK_DOCUMENTS)
@example(data=b"\x92\xc0\xcb\xcb\x7f\xf8" + b"\x00" * 6)
def test_messagepack_written_in_any_way_is_carried_over_or_refused(data):
    _agreed(data, "to_json", _reference_msgpack_to_json)


@settings(deadline=None, max_examples=300)
@given(value=VALUES, flips=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=3))
def test_damaged_messagepack_is_carried_over_or_refused(value, flips):
    data = bytearray(_written(value, clamp=True))
    for position, byte in flips:
        data[position % len(data)] = byte
    _agreed(bytes(data), "to_json", _reference_msgpack_to_json)


def _agreed(data, direction, reference):
    """What both engines and the reference make of the data; None where all of them refuse it."""
    outcomes = [_outcome(getattr(engine, direction), data) for engine in ENGINES]
    assert outcomes[0] == outcomes[1]
    try:
        expected = reference(data)
    except ValueError:
        assert isinstance(outcomes[0], tuple), "the reference refuses it"
        return None
    if direction == "from_json":
        assert outcomes[0] == expected
    else:
        assert repr(json.loads(outcomes[0])) == repr(expected)
    return outcomes[0]


def _outcome(transcode, data):
    try:
        return transcode(data)
    except FormatError as error:
        return str(error), error.position, error.path


def _reference_json_to_msgpack(data):
    value = json.loads(
        data.decode(),
        object_pairs_hook=_unique,
        parse_constant=_refuse,
        parse_float=_finite,
    )
    return _written(value)


def _unique(members):
    if len({name for name, _ in members}) != len(members):
        raise ValueError("repeated name")
    return dict(members)


def _refuse(text):
    raise ValueError(text)


def _finite(text):
    if math.isinf(float(text)):
        raise ValueError(text)
    return float(text)


def _written(value, depth=0, clamp=False):
    match value:
        case None | False | True:
            return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
        case int():
            return _written_integer(min(max(value, -(2**63)), 2**64 - 1) if clamp else value)
        case float():
            return struct.pack(">Bd", 0xCB, value)
        case str():
            data = value.encode()
            return _head(len(data), 0xA0, 32, [(0xD9, "B"), (0xDA, "H"), (0xDB, "I")]) + data
    if depth == MAX_DEPTH and not clamp:
        raise ValueError("too deep")
    if isinstance(value, list):
        head = _head(len(value), 0x90, 16, [(0xDC, "H"), (0xDD, "I")])
        return head + b"".join(_written(item, depth + 1, clamp) for item in value)
    head = _head(len(value), 0x80, 16, [(0xDE, "H"), (0xDF, "I")])
    return head + b"".join(
        _written(name) + _written(item, depth + 1, clamp) for name, item in value.items()
    )


def _head(size, short, limit, wide):
    if size < limit:
        return bytes([short + size])
    return _first_that_fits(size, wide)


def _written_integer(value):
    if -32 <= value < 128:
        return struct.pack("b", value)
    if value > 0:
        return _first_that_fits(value, [(0xCC, "B"), (0xCD, "H"), (0xCE, "I"), (0xCF, "Q")])
    return _first_that_fits(value, [(0xD0, "b"), (0xD1, "h"), (0xD2, "i"), (0xD3, "q")])


def _first_that_fits(value, forms):
    for first, code in forms:
        try:
            return struct.pack(f">B{code}", first, value)
        except struct.error:
            continue
    raise ValueError("beyond 64 bits")


def _reference_msgpack_to_json(data):
    value, end = _read(data, 0, 0)
    if end != len(data):
        raise ValueError("trailing bytes")
    return value


def _read(data, at, depth):
    first, at = _unpacked(">B", data, at)
    if first < 0x80:
        return first, at
    if first >= 0xE0:
        return first - 256, at
    numbers = dict(zip(range(0xCA, 0xD4), "fdBHIQbhiq", strict=True))
    if first in numbers:
        number, at = _unpacked(f">{numbers[first]}", data, at)
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError("not finite")
        return number, at
    if first in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[first], at
    if 0xA0 <= first < 0xC0:
        return _read_text(data, at, first & 31)
    if 0xD9 <= first <= 0xDB:
        size, at = _unpacked(">" + "BHI"[first - 0xD9], data, at)
        return _read_text(data, at, size)
    if depth == MAX_DEPTH:
        raise ValueError("too deep")
    if 0x80 <= first < 0xA0:
        return _read_members(data, at, first & 15, depth, is_map=first < 0x90)
    if 0xDC <= first <= 0xDF:
        size, at = _unpacked(">" + "HI"[first % 2], data, at)
        return _read_members(data, at, size, depth, is_map=first >= 0xDE)
    raise ValueError("no JSON for it")


def _read_text(data, at, size):
    if at + size > len(data):
        raise ValueError("truncated")
    return data[at : at + size].decode(), at + size


def _read_members(data, at, size, depth, *, is_map):
    items = []
    for _ in range(size):
        if is_map:
            name, at = _read(data, at, depth + 1)
            if not isinstance(name, str):
                raise ValueError("name")
        item, at = _read(data, at, depth + 1)
        items.append((name, item) if is_map else item)
    return (_unique(items) if is_map else items), at


def _unpacked(form, data, at):
    end = at + struct.calcsize(form)
    if end > len(data):
        raise ValueError("truncated")
    return struct.unpack(form, data[at:end])[0], end


@pytest.mark.parametrize("value", [[], {}, [1, "a", None], {"a": [1.5, -1, 300, 2**63]}], ids=repr)
def test_the_reference_reads_what_it_writes(value):
    assert _reference_msgpack_to_json(_written(value)) == value
