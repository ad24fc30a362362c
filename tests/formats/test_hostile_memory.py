import tracemalloc

import pytest

from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import MsgPackFormat
from asgi_serial.formats.transcoding import build_transcoder

BODY_BYTES = 1_000_000
# orjson's parser reserves twelve bytes for each byte that it is given.
ALLOWED_BYTES = 16 * BODY_BYTES

ENGINES = [build_transcoder("msgspec"), build_transcoder("msgpack")]
JSON_READERS = [*(engine.json_to_msgpack for engine in ENGINES), JsonFormat().loads]
MSGPACK_READERS = [*(engine.msgpack_to_json for engine in ENGINES), MsgPackFormat().loads]


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
