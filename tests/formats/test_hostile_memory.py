import json
import tracemalloc

import pytest

from asgi_serial.errors import FormatError
from asgi_serial.formats.base import MAX_CONTAINERS
from asgi_serial.formats.cbor_format import CborTranscoder
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import SHALLOW_LEVELS
from asgi_serial.formats.transcoding import build_transcoder

BODY_BYTES = 1_000_000
# orjson's parser reserves twelve bytes for each byte that it is given.
ALLOWED_BYTES = 16 * BODY_BYTES

ENGINES = [build_transcoder("msgspec"), build_transcoder("msgpack")]
JSON_READERS = [*(engine.from_json for engine in ENGINES), JsonFormat().loads]
MSGPACK_READERS = [engine.to_json for engine in ENGINES]


@pytest.mark.parametrize(
    ("readers", "start", "filler"),
    [
        pytest.param(MSGPACK_READERS, b"", b"\xdc\xff\xff", id="long arrays that nest"),
        pytest.param(MSGPACK_READERS, b"\xdd\0\x0e\0\0" * 190, b"\xc0", id="arrays of its length"),
        pytest.param(
            MSGPACK_READERS, b"\xdd\0\x0f\x42\x40", b"\xc0", id="an array that is cut off"
        ),
        pytest.param(MSGPACK_READERS, b"", b"\xdd\xff\xff\xff\xff", id="arrays of four billion"),
        pytest.param(MSGPACK_READERS, b"", b"\xdf\xff\xff\xff\xff\xa1a", id="maps of four billion"),
        pytest.param(MSGPACK_READERS, b"\xdb\xff\xff\xff\xff", b"a", id="a string of four billion"),
        pytest.param(MSGPACK_READERS, b"", b"\x91", id="a depth bomb of MessagePack"),
        pytest.param(JSON_READERS, b"", b"[", id="a depth bomb of arrays"),
        pytest.param(JSON_READERS, b"", b'{"a":', id="a depth bomb of objects"),
        pytest.param(JSON_READERS, b"", b"1", id="a number of a million digits"),
        pytest.param(JSON_READERS, b'"', b"a", id="a string that does not end"),
    ],
)
def test_a_hostile_body_takes_no_more_memory_than_a_multiple_of_itself(readers, start, filler):
    data = (start + filler * (BODY_BYTES // len(filler)))[:BODY_BYTES]
    for read in readers:
        assert _peak_of_refusing(read, data) < ALLOWED_BYTES


def _peak_of_refusing(read, data):
    """What is allocated at most, also where the system would not yet back it by memory."""
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(b"\x80", id="empty maps"),
        pytest.param(b"\x90", id="empty arrays"),
        pytest.param(b"\x91" * 159 + b"\x01", id="chains of arrays"),
        pytest.param(b"\x81\xa0" * 79 + b"\x01", id="chains of maps"),
    ],
)
@pytest.mark.parametrize("transcoder", ENGINES, ids=["msgspec", "msgpack"])
def test_a_document_of_little_but_containers_is_refused_before_it_is_built(transcoder, unit):
    count = 2 * BODY_BYTES // len(unit)
    data = b"\xdd" + count.to_bytes(4, "big") + unit * count
    with pytest.raises(FormatError, match="more than 100000 arrays and maps"):
        transcoder.to_json(data)
    assert _peak_of_refusing(transcoder.to_json, data) < 3 * len(data)


@pytest.mark.parametrize("transcoder", ENGINES, ids=["msgspec", "msgpack"])
def test_text_that_looks_like_containers_is_no_reason_to_refuse(transcoder):
    text = "\u0900" * 60_000
    data = b"\xdb" + (len(text.encode())).to_bytes(4, "big") + text.encode()
    assert transcoder.to_json(data) == b'"' + text.encode() + b'"'


@pytest.mark.parametrize(
    ("head", "width"),
    [
        pytest.param(b"\x92\x01\xce", 4, id="arrays"),
        pytest.param(b"\x91\x91\xce", 4, id="arrays of arrays"),
        pytest.param(b"\xcf\0\0", 6, id="integers"),
        pytest.param(b"\xd3\xff\xff", 6, id="negative integers"),
        pytest.param(b"\xcb\x40\0", 6, id="floats"),
        pytest.param(b"\xd6\x05", 4, id="extension types"),
        pytest.param(b"\xd6\xff", 4, id="timestamps"),
    ],
)
@pytest.mark.parametrize("levels", [0, SHALLOW_LEVELS - 1, SHALLOW_LEVELS], ids="{} around".format)
@pytest.mark.parametrize("read", MSGPACK_READERS)
def test_keys_whose_hashes_can_be_chosen_are_refused_before_a_map_is_made(
    read, levels, head, width
):
    """A map of keys of one hash takes time by the square of their number: none may be built."""
    count = 45_000
    keys = [head + number.to_bytes(width, "big") for number in range(count)]
    members = b"".join(key + b"\0" for key in keys)
    data = b"\x91" * levels + b"\xdf" + count.to_bytes(4, "big") + members
    with pytest.raises(FormatError, match="map key that is not a string"):
        read(data)
    # The map alone would take 2.6 MB.
    assert _peak_of_refusing(read, data) < 3 * len(data)


# It is read by Python, which takes a second for each 100 kB while every allocation is traced.
CBOR_BYTES = 100_000


@pytest.mark.parametrize(
    ("start", "filler"),
    [
        pytest.param(b"", b"\x99\xff\xff", id="long arrays that nest"),
        pytest.param(b"\x99\x90\0" * 190, b"\xf6", id="arrays of its length"),
        pytest.param(b"\x9a\0\x01\x86\xa0", b"\xf6", id="an array that is cut off"),
        pytest.param(b"\x9f", b"\xf6", id="an array that does not end"),
        pytest.param(b"", b"\x9b" + b"\xff" * 8, id="arrays of 2**64"),
        pytest.param(b"", b"\xbb" + b"\xff" * 8 + b"\x61a", id="maps of 2**64"),
        pytest.param(b"\x7b" + b"\xff" * 8, b"a", id="text of 2**64"),
        pytest.param(b"\x5b" + b"\xff" * 8, b"a", id="a byte string of 2**64"),
        pytest.param(b"\x7f", b"\x60", id="text of empty chunks"),
        pytest.param(b"", b"\x81", id="a depth bomb"),
        pytest.param(b"", b"\x9f", id="a depth bomb of undeclared lengths"),
        pytest.param(b"", b"\xc1", id="a depth bomb of tags"),
        pytest.param(b"\xc2\x5a\0\x01\x86\x9a", b"\xff", id="a huge integer"),
        pytest.param(b"\xc4\x82\x1b" + b"\x7f" * 8, b"\1", id="a huge exponent"),
        pytest.param(b"\xd8\x1c", b"\x81\xd8\x1d\0", id="an array of itself"),
    ],
)
def test_hostile_cbor_takes_no_more_memory_than_a_multiple_of_itself(start, filler):
    data = (start + filler * (CBOR_BYTES // len(filler)))[:CBOR_BYTES]
    assert _peak_of_refusing(CborTranscoder().to_json, data) < 16 * len(data)


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(b"\xa0", id="empty maps"),
        pytest.param(b"\x9f\xff", id="empty arrays of undeclared length"),
        pytest.param(b"\x81" * 159 + b"\x01", id="chains of arrays"),
    ],
)
def test_cbor_of_little_but_containers_is_read_up_to_their_limit(unit):
    containers = len(unit.translate(None, b"\x01\xff"))
    most = (MAX_CONTAINERS - 1) // containers
    read = CborTranscoder().to_json

    def array(count):
        return b"\x9a" + count.to_bytes(4, "big") + unit * count

    assert len(json.loads(read(array(most)))) == most
    with pytest.raises(FormatError, match="more than 100000 arrays and maps"):
        read(array(most + 1))
    # The document is refused for a part of it.
    assert _peak_of_refusing(read, array(10 * most)) < 100 * MAX_CONTAINERS


@pytest.mark.parametrize("levels", [0, 1, 190], ids="{} around".format)
@pytest.mark.parametrize(
    ("head", "width"),
    [
        pytest.param(b"\x1b\0\0", 6, id="integers"),
        pytest.param(b"\x3b\0\0", 6, id="negative integers"),
        pytest.param(b"\xfb\x40\0", 6, id="floats"),
        pytest.param(b"\x82\x01\x1a", 4, id="arrays"),
        pytest.param(b"\xc2\x48\0\0\0\0", 4, id="big integers"),
        pytest.param(b"\x44", 4, id="byte strings"),
    ],
)
def test_keys_of_cbor_whose_hashes_can_be_chosen_are_refused_before_a_map_is_made(
    levels, head, width
):
    count = 45_000
    members = b"".join(head + number.to_bytes(width, "big") + b"\0" for number in range(count))
    data = b"\x81" * levels + b"\xba" + count.to_bytes(4, "big") + members
    with pytest.raises(FormatError, match="map key that is not a string"):
        CborTranscoder().to_json(data)
    assert _peak_of_refusing(CborTranscoder().to_json, data) < len(data)
