import json
import math
import sys
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats.msgpack_format import (
    SHALLOW_LEVELS,
    _build_shallow_reader,
    choose_packer,
    choose_shallow_reader,
)
from asgi_serial.formats.transcoding import build_transcoder

every_engine = pytest.mark.parametrize(
    "transcoder",
    [build_transcoder("msgspec"), build_transcoder("msgpack")],
    ids=["msgspec", "msgpack"],
)


@every_engine
@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(b"\xd3" + b"\0" * 8, 0, id="an integer wider than it needs"),
        pytest.param(b"\xdd\0\0\0\x01\xc0", [None], id="an array with a wide length"),
        pytest.param(b"\xca\x3f\x80\0\0", 1.0, id="a float of 32 bits"),
        pytest.param(b"\xdb\0\0\0\x01a", "a", id="a string with a wide length"),
    ],
)
def test_forms_longer_than_needed_are_read(transcoder, data, value):
    assert repr(json.loads(transcoder.to_json(data))) == repr(value)


@every_engine
@pytest.mark.parametrize(
    ("data", "message", "position"),
    [
        pytest.param(b"", "the document ends", 0, id="an empty body"),
        pytest.param(b"\x92\x01", "the document ends", 0, id="an array cut off"),
        pytest.param(b"\x82\xa1a\x01\xa1b", "the document ends", 6, id="a map cut off"),
        pytest.param(b"\x92\xa1a\xa2b", "the document ends", 3, id="a string cut off"),
        pytest.param(b"\x91\xcb\0", "the document ends", 1, id="a float cut off"),
        pytest.param(b"\x91\xda\0", "the document ends", 1, id="a length cut off"),
        pytest.param(b"\xdd\xff\xff\xff\xff\x01", "the document ends", 0, id="a hostile array"),
        pytest.param(b"\xdf\xff\xff\xff\xff\xa1a", "the document ends", 0, id="a hostile map"),
        pytest.param(b"\xdb\xff\xff\xff\xff", "the document ends", 0, id="a hostile string"),
        pytest.param(b"\xc9\xff\xff\xff\xff\x01", "the document ends", 0, id="a hostile extension"),
        pytest.param(b"\x01\x02", "bytes follow", 1, id="two documents"),
        pytest.param(b"\x80\xc1", "bytes follow", 1, id="a byte behind an empty map"),
        pytest.param(b"\x92\x01\xc1", "0xc1", 2, id="the byte that starts nothing"),
        pytest.param(b"\x92\x01\xa2a\xff", "not UTF-8", 2, id="a string that is not UTF-8"),
        pytest.param(b"\x81\x01\x02", "not a string", 1, id="an integer as a key"),
        pytest.param(b"\x81\x90\x02", "not a string", 1, id="an array as a key"),
        pytest.param(b"\x81\xa1a\xa1\xff", "not UTF-8", 3, id="a fault behind a key"),
        pytest.param(b"\x82\xa1a\x01\xa1a\x02", "name 'a' repeated", 4, id="a key twice"),
        pytest.param(b"\x91" * 201 + b"\xc0", "beyond 200 levels", 200, id="too many levels"),
        pytest.param(b"\xc7\x05\xff12345", "extension type -1", 0, id="a timestamp of 5 bytes"),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(transcoder, data, message, position):
    with pytest.raises(FormatError, match=message) as caught:
        transcoder.to_json(data)
    assert caught.value.position == position


@every_engine
@settings(deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from(
            [b"\x91", b"\x81\xa1a", b"\x82\xa1a\x01", b"\xc4\x01a", b"\xd4\x05x", b"\xc0", b"\xca"]
        )
        | st.binary(max_size=3)
    )
)
def test_any_pieces_are_a_value_or_a_format_error(transcoder, pieces):
    data = b"".join(pieces)
    with suppress(FormatError):
        text = transcoder.to_json(data)
        assert transcoder.to_json(transcoder.from_json(text)) == text


@pytest.mark.parametrize("engine", ["auto", "msgspec", "msgpack"])
def test_every_engine_writes_the_shortest_forms(engine):
    pack = choose_packer(engine)
    value = {"a": [1, 200, 70_000, 2**40, -1, -200, 1.5, None, True, "x" * 300]}
    assert pack(value) == msgpack.packb(value)
    assert msgpack.unpackb(pack(value)) == value


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigurationError, match="'msgpak'; expected 'auto'"):
        choose_packer("msgpak")


def test_without_msgspec_auto_takes_msgpack_and_msgspec_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "msgspec.msgpack", None)
    assert choose_packer("auto") == msgpack.packb
    with pytest.raises(ConfigurationError, match=r"asgi-serial\[speed\]"):
        choose_packer("msgspec")


READER = choose_shallow_reader("msgspec")
UNREAD = object()


def read_shallow(data):
    """The value, or UNREAD for what is left to msgpack."""
    try:
        READER.skip(data)
        return READER.decode(data)
    except READER.unread:
        return UNREAD


@pytest.mark.parametrize(
    "value",
    [
        pytest.param([True, 1, 1.0, 0, False, -0.0, None], id="numbers and booleans"),
        pytest.param([2**64 - 1, -(2**63), 2.0**70], id="the integers at the ends"),
        pytest.param({"": "", "\u00fc": ["\U0001f600", "\0"]}, id="text"),
        pytest.param([[[[[[[{}]]]]]]], id="as many levels as it reads"),
        pytest.param([math.inf, -math.inf], id="infinities, which JSON is asked about later"),
    ],
)
def test_a_shallow_document_is_read_by_msgspec_as_by_msgpack(value):
    assert repr(read_shallow(msgpack.packb(value))) == repr(value)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x91" * SHALLOW_LEVELS + b"\x90", id="a level more"),
        pytest.param(b"\x91" * 100_000, id="a depth bomb"),
        pytest.param(msgpack.packb({b"key": 1}), id="a binary as a key"),
        pytest.param(b"\x81\x01\x02", id="an integer as a key"),
        pytest.param(b"\x81\xc3\x02", id="a boolean as a key"),
        pytest.param(b"\x81\xc0\x02", id="nil as a key"),
        pytest.param(b"\x81\x90\x02", id="an array as a key"),
        pytest.param(msgpack.packb(b"binary"), id="a binary"),
        pytest.param(msgpack.packb(msgpack.Timestamp(1)), id="a timestamp"),
        pytest.param(msgpack.packb(msgpack.ExtType(5, b"data")), id="an extension type"),
        pytest.param(b"\xa1\xff", id="a string that is not UTF-8"),
        pytest.param(b"\x81\xa1\xff\x01", id="a key that is not UTF-8"),
        pytest.param(b"\xa3\xed\xa0\x80", id="a surrogate"),
        pytest.param(b"\xc1", id="the byte that starts nothing"),
        pytest.param(b"\x01\x01", id="two documents"),
        pytest.param(b"\x92\x01", id="an array cut off"),
        pytest.param(b"\xdd\xff\xff\xff\xff", id="an array of four billion"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_what_a_shallow_reader_does_not_read_is_left_to_msgpack(data):
    assert read_shallow(data) is UNREAD


@settings(deadline=None, max_examples=500)
@given(data=st.binary(max_size=40))
def test_what_msgspec_reads_is_what_msgpack_reads(data):
    value = read_shallow(data)
    if value is not UNREAD:
        assert repr(value) == repr(msgpack.unpackb(data))


def test_without_msgspec_all_is_left_to_msgpack(monkeypatch):
    assert choose_shallow_reader("msgpack") is None
    monkeypatch.setitem(sys.modules, "msgspec.msgpack", None)
    _build_shallow_reader.cache_clear()
    assert choose_shallow_reader("auto") is None
