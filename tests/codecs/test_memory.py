"""Decompression bombs, each in a process of its own that reports how far its memory has grown."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from asgi_serial.codecs.brotli_codec import BrotliCodec
from asgi_serial.codecs.zlib_codec import ZlibCodec
from asgi_serial.codecs.zstd_codec import ZstdCodec

GZIP, DEFLATE, BROTLI, ZSTD = ZlibCodec("gzip"), ZlibCodec("deflate"), BrotliCodec(), ZstdCodec()
ZEROS = bytes(100_000_000)
# A zstd frame that decodes to nothing.
SKIPPABLE = b"\x50\x2a\x4d\x18" + len(ZEROS).to_bytes(4, "little") + ZEROS
LIMIT_BYTES = 20_000_000
# Beyond the limit: the body's own buffer may run an eighth ahead, brotli and zstd hold a window
# (4 MB together, measured); without a limit each bomb but the skippable one takes 90 MB and more.
SLACK_BYTES = 8_000_000

# ru_maxrss would be the parent's: Linux hands it on to what a process starts. VmHWM is a process's
# own, and writing 5 to clear_refs sets it back to what is resident (proc_pid_clear_refs(5)).
PROGRAM = """
import sys
from asgi_serial.codecs.decoding import BodyDecoder, DecodeLimits
from asgi_serial.codecs.registry import build_codecs
from asgi_serial.errors import OutputLimitExceeded

def greatest_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))

codecs = {codec.name: codec for codec in build_codecs(["zstd", "br", "gzip", "deflate"])}
limits = DecodeLimits(10_000_000, int(sys.argv[1]), ratio=1e9, codings=3)
decoder = BodyDecoder(tuple(sys.argv[2].split(",")), codecs, limits)
decoder.feed(sys.stdin.buffer.read())
with open("/proc/self/clear_refs", "w") as clear_refs:
    clear_refs.write("5")
before = greatest_kb()
try:
    decoder.finish()
    print("nothing was refused")
except OutputLimitExceeded:
    print((greatest_kb() - before) * 1024)
"""


def many(member: bytes, decoded_bytes: int) -> bytes:
    return member * (len(ZEROS) // decoded_bytes)


@pytest.mark.parametrize(
    ("codings", "make_bomb"),
    [
        pytest.param("gzip", lambda: GZIP.compress(ZEROS), id="gzip"),
        pytest.param("deflate", lambda: DEFLATE.compress(ZEROS), id="deflate"),
        pytest.param("br", lambda: BROTLI.compress(ZEROS), id="br"),
        pytest.param("zstd", lambda: ZSTD.compress(ZEROS), id="zstd"),
        pytest.param("gzip", lambda: many(GZIP.compress(bytes(1000)), 1000), id="gzip members"),
        pytest.param("zstd", lambda: many(ZSTD.compress(bytes(5000)), 5000), id="zstd frames"),
        pytest.param("gzip,gzip", lambda: GZIP.compress(GZIP.compress(ZEROS)), id="gzip twice"),
        pytest.param("zstd,br", lambda: BROTLI.compress(ZSTD.compress(ZEROS)), id="zstd in br"),
        pytest.param("zstd,br", lambda: BROTLI.compress(SKIPPABLE), id="the outer one of two"),
        pytest.param(
            "gzip,br,zstd",
            lambda: ZSTD.compress(BROTLI.compress(GZIP.compress(ZEROS))),
            id="three over one another",
        ),
    ],
)
def test_a_bomb_stays_within_the_limit(codings: str, make_bomb: Callable[[], bytes]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(LIMIT_BYTES), codings],
        input=make_bomb(),
        capture_output=True,
        check=True,
    )
    assert int(done.stdout) < LIMIT_BYTES + SLACK_BYTES
