import subprocess
import sys

import pytest

ALLOWED_BYTES = 24_000_000

# Fresh processes, since the peak of a process's memory never falls.
SCRIPT = """
import resource, sys
from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import MsgPackFormat
from asgi_serial.formats.transcoding import build_transcoder

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

data = {expression}
readers = [
    build_transcoder("msgspec").{direction},
    build_transcoder("msgpack").{direction},
    {fmt}().loads,
]
before = peak()
for read in readers:
    try:
        read(data)
    except FormatError:
        continue
    raise SystemExit("it was not refused")
print(peak() - before)
"""


@pytest.mark.parametrize(
    ("direction", "expression"),
    [
        pytest.param("msgpack_to_json", expression, id=name)
        for name, expression in {
            "long arrays that nest": r"b'\xdc\xff\xff' * 333_333",
            "arrays as long as the body": r"(b'\xdd\0\x0e\0\0' * 190).ljust(1_000_000, b'\xc0')",
            "arrays that end too early": r"(b'\xdd\0\x0f\x42\x3b').ljust(1_000_000, b'\xc0')[:-1]",
            "arrays of four billion": r"b'\xdd\xff\xff\xff\xff' * 200_000",
            "maps of four billion": r"b'\xdf\xff\xff\xff\xff\xa1a' * 140_000",
            "a string of four billion bytes": r"b'\xdb\xff\xff\xff\xff'.ljust(1_000_000, b'a')",
            "a depth bomb": r"b'\x91' * 1_000_000",
        }.items()
    ]
    + [
        pytest.param("json_to_msgpack", expression, id=name)
        for name, expression in {
            "a depth bomb of JSON": r"b'[' * 1_000_000",
            "a depth bomb of objects": r"""b'{"a":' * 200_000""",
            "a number of a million digits": r"b'1' * 1_000_000",
            "a string that does not end": r"""b'"'.ljust(1_000_000, b'a')""",
        }.items()
    ],
)
def test_a_hostile_body_takes_no_more_memory_than_a_multiple_of_itself(direction, expression):
    fmt = "JsonFormat" if direction == "json_to_msgpack" else "MsgPackFormat"
    script = SCRIPT.format(expression=expression, direction=direction, fmt=fmt)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < ALLOWED_BYTES
