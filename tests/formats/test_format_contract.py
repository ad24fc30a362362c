"""What every format on the wire promises, whichever it is."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_serial.errors import FormatError
from asgi_serial.formats.cbor_format import CborTranscoder
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.registry import FORMATS, find_format, format_name
from asgi_serial.formats.transcoding import MsgPackTranscoder

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
JSON = JsonFormat()


class Translated:
    """A format, over the JSON that apps write and read."""

    def __init__(self, transcoder):
        self.transcoder = transcoder
        self.name, self.media_types = transcoder.name, transcoder.media_types

    def dumps(self, value):
        return self.transcoder.from_json(JSON.dumps(value))

    def loads(self, data):
        return json.loads(self.transcoder.to_json(data))


TRANSLATED = [Translated(MsgPackTranscoder()), Translated(CborTranscoder())]
every_format = pytest.mark.parametrize("fmt", [JSON, *TRANSLATED], ids=lambda fmt: fmt.name)


@every_format
def test_the_registry_knows_it_by_its_media_types(fmt):
    assert fmt.media_types
    assert {format_name(name) for name in fmt.media_types} == {fmt.name}
    assert all(name == name.lower() for name in fmt.media_types)


def test_the_registry_has_no_other_formats():
    assert {one.name for one in FORMATS} == {one.name for one in TRANSLATED}
    for one in TRANSLATED:
        built = find_format(one.media_types[0]).build(200)
        assert type(built) is type(one.transcoder)


@every_format
@settings(deadline=None)
@given(value=VALUES)
def test_plain_data_comes_back_as_it_was(fmt, value):
    assert repr(fmt.loads(fmt.dumps(value))) == repr(value)


@every_format
@settings(deadline=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_value_or_a_format_error(fmt, data):
    with suppress(FormatError):
        value = fmt.loads(data)
        assert repr(fmt.loads(fmt.dumps(value))) == repr(value)


UNKEPT = [
    pytest.param(2**64, id="an integer beyond 64 bits"),
    pytest.param(-(2**63) - 1, id="a negative integer beyond 64 bits"),
    pytest.param("\ud800", id="a lone surrogate"),
    pytest.param(object(), id="any object"),
    pytest.param(1j, id="a complex number"),
]


@pytest.mark.parametrize(
    "value",
    [
        *UNKEPT,
        pytest.param({1, 2}, id="a set"),
        pytest.param({1: "one"}, id="a name that is an integer"),
        pytest.param({(1, 2): "pair"}, id="a name that is a tuple"),
    ],
)
def test_a_value_that_json_can_not_keep_is_refused(value):
    with pytest.raises(FormatError):
        JSON.dumps(value)


@pytest.mark.parametrize("fmt", TRANSLATED, ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("value", UNKEPT)
def test_a_value_it_can_not_keep_is_not_packed(fmt, value):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        fmt.transcoder.pack([value])


def test_a_circle_is_refused():
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(FormatError):
        JSON.dumps(circle)
    for fmt in TRANSLATED:
        with pytest.raises((ValueError, TypeError, RecursionError)):
            fmt.transcoder.pack(circle)


@every_format
@pytest.mark.parametrize(
    "opener",
    [b"[", b'{"a":', b"\x91", b"\x81\xa1a", b"\x81", b"\xa1\x61a", b"\x9f"],
    ids=repr,
)
def test_a_depth_bomb_is_refused(fmt, opener):
    with pytest.raises(FormatError):
        fmt.loads(opener * 100_000)
