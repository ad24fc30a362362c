"""The codings gzip and deflate, by zlib, or by ISA-L if it is installed."""

import importlib
import zlib
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

from asgi_serial.codecs.bounded import BoundedDecoder, Member
from asgi_serial.codecs.levels import Levels

GZIP_LEVELS = Levels(0, 9, default=6)
"""The levels of gzip and deflate."""

# Added to zlib's wbits. RFC 9110, 8.4.1.2: the coding deflate is the zlib format around deflate
# data.
_CONTAINERS = {"gzip": 16, "deflate": 0}
_GZIP_WBITS = zlib.MAX_WBITS + _CONTAINERS["gzip"]

# zlib's usual state of 270 KB may be returned to the system after each body, and mapped anew, page
# by page, for the next: 59 us for 1 KB, 76 us for 10 KB. A state with a window no larger than the
# body stays in the process: 5 and 34 us, with the same output size.
_SMALL_BYTES = 16 << 10
_SMALL_WBITS = 14
_SMALLEST_BYTES = 8 << 10
_SMALLEST_WBITS = 13

# CPU and size for JSON records of 10 and 100 KB, relative to zlib's level 6 (4,556 and 39,917
# bytes). ISA-L 1: 0.27, 0.06 and 1.043, 1.105; 2: 0.29, 0.07 and 1.038, 1.075; 3: 0.42, 0.11 and
# 1.026, 1.057. zlib-ng 6: 0.67, 0.51 and 0.999, 0.992; 4: 0.62, 0.37 and 1.012, 1.008. ISA-L has
# no levels as dense as zlib's above 6, and none that stores without compressing.
_ISAL_LEVELS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3, 6: 3}
# Level 3 of ISA-L saves 0 % at 1 KB, 0.5 % at 2 KB and 0.8 % at 4 KB compared with level 1, which
# takes 6.5 us instead of 9.3 at 1 KB, and 9.6 us instead of 12.3 at 3 KB.
_ISAL_SMALL_BYTES = 4 << 10
_ISAL_SMALL_LEVEL = 1

# For events of 350 bytes, each flushed, time and ratio are with zlib 6: 15.8 us, 0.487; 4: 12.0 us,
# 0.501; 1: 9.2 us, 0.535. ISA-L 2: 6.6 us, 0.532; 3 gives no better ratio.
_EVENT_LEVEL = 4

# The size of JSON that takes 1 ms, by level.
_ZLIB_OFFLOAD_KB = (1000, 99, 89, 72, 61, 49, 41, 32, 30, 30)
_ISAL_OFFLOAD_KB = {1: 430, 2: 386, 3: 264}


class Deflater(Protocol):
    """The compression object of zlib and compatible modules."""

    def compress(self, data: bytes, /) -> bytes:
        """Compress data."""

    def flush(self, mode: int = ..., /) -> bytes:
        """Return the pending output, up to the given kind of boundary."""


class _Engine(NamedTuple):
    """A module with zlib's interface, and the level in that module's terms."""

    zlib: Any
    level: int


class ZlibCodec:
    """gzip (RFC 1952) or deflate (RFC 1950), levels 0 to 9.

    With `accelerate`, ISA-L is used for the levels 1 to 6 if it is installed. Equal bodies give
    equal bytes on machines of the same kind; ISA-L's choice of CPU instructions may change them.

    Source: RFC 9110, 8.4.1.2 and 8.4.1.3.
    """

    recall_bytes = 1_000

    def __init__(
        self, name: Literal["gzip", "deflate"], level: int | None = None, *, accelerate: bool = True
    ) -> None:
        self.name = name
        level = GZIP_LEVELS.choose(name, level)
        isal = find_isal() if accelerate else None
        self._is_gzip = name == "gzip"
        self._begin = _begin_gzip if self._is_gzip else _begin_deflate
        self._container = _CONTAINERS[name]
        self._wbits = zlib.MAX_WBITS + self._container
        self._engine = _choose_engine(isal, level)
        self._event_engine = _choose_engine(isal, min(level, _EVENT_LEVEL))
        self._is_zlib = self._engine.zlib is zlib
        self._compress: Callable[[bytes, int, int], bytes] = self._engine.zlib.compress
        self._level = self._engine.level
        self._small_level = self._level if self._is_zlib else _ISAL_SMALL_LEVEL
        # The size from which encoding a whole body takes over 1 ms.
        sizes = _ZLIB_OFFLOAD_KB if self._is_zlib else _ISAL_OFFLOAD_KB
        self.offload_bytes = sizes[self._engine.level] << 10

    def compress(self, data: bytes) -> bytes:
        """Encode one whole body; the gzip header contains no time."""
        if self._is_zlib and len(data) <= _SMALL_BYTES:
            return self._compress_small(data)
        level = self._small_level if len(data) <= _ISAL_SMALL_BYTES else self._level
        return self._compress(data, level, self._wbits)

    def encoder(self, *, event_stream: bool = False) -> "ZlibEncoder":
        """Return a new encoder; for an event stream at level 4 at most."""
        engine = self._event_engine if event_stream else self._engine
        return ZlibEncoder(engine.zlib.compressobj(engine.level, zlib.DEFLATED, self._wbits))

    def decoder(self) -> BoundedDecoder:
        """Return a new decoder; gzip accepts several members, deflate also raw deflate data."""
        return BoundedDecoder(self.name, self._begin, many=self._is_gzip, errors=zlib.error)

    def _compress_small(self, data: bytes) -> bytes:
        wbits = _SMALLEST_WBITS if len(data) <= _SMALLEST_BYTES else _SMALL_WBITS
        # zlib's defaults are 15 bits and memory level 8; both shrink together.
        deflater = zlib.compressobj(self._level, zlib.DEFLATED, wbits + self._container, wbits - 7)
        return deflater.compress(data) + deflater.flush()


class ZlibEncoder:
    """An Encoder of one stream by zlib or a compatible module."""

    __slots__ = ("_deflater",)

    def __init__(self, deflater: Deflater) -> None:
        self._deflater = deflater

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        """Encode `data`; with `flush`, the output so far can be decoded to all input so far."""
        encoded = self._deflater.compress(data)
        return encoded + self._deflater.flush(zlib.Z_SYNC_FLUSH) if flush else encoded

    def finish(self) -> bytes:
        """Return the last bytes; the encoder cannot be used again."""
        return self._deflater.flush(zlib.Z_FINISH)


class _ZlibMember:
    """A Member by zlib's decompressor."""

    __slots__ = ("_inflater", "needs_input")

    def __init__(self, wbits: int) -> None:
        self._inflater = zlib.decompressobj(wbits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        decoded = self._inflater.decompress(data or self._inflater.unconsumed_tail, max_length)
        # After a full step zlib may hold more output, even if it holds no input.
        self.needs_input = len(decoded) < max_length
        return decoded


def find_isal() -> Any:
    """Return ISA-L's module with zlib's interface; None if it is not installed."""
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:
        return None


def _choose_engine(isal: Any, level: int) -> _Engine:
    if isal is None or level not in _ISAL_LEVELS:
        return _Engine(zlib, level)
    return _Engine(isal, _ISAL_LEVELS[level])


def _begin_gzip(first_byte: int) -> Member:
    return _ZlibMember(_GZIP_WBITS)


def _begin_deflate(first_byte: int) -> Member:
    # RFC 9110, 8.4.1.2: "Some non-conformant implementations send the "deflate" compressed data
    # without the zlib wrapper." Such data starts with the same four bits only if its first block is
    # stored, and the bits that are skipped before its length (RFC 1951, 3.2.4) are ones.
    has_wrapper = first_byte & 0x0F == zlib.DEFLATED
    return _ZlibMember(zlib.MAX_WBITS if has_wrapper else -zlib.MAX_WBITS)
