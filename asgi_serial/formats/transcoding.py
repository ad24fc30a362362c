"""Translate JSON to MessagePack and back; every value is preserved, or the document refused."""

from functools import cache

import msgpack  # type: ignore[import-untyped]
import orjson

from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import MAX_DEPTH, JsonFormat
from asgi_serial.formats.msgpack_faults import find_msgpack_fault
from asgi_serial.formats.msgpack_format import (
    MALFORMED,
    SHALLOW_LEVELS,
    UNREAD,
    Engine,
    TooManyContainers,
    check_containers,
    check_keys,
    check_whole,
    choose_packer,
    choose_shallow_reader,
    may_claim_much,
)

OFFLOAD_BYTES = 256 << 10
"""The size from which a translation takes too long for the event loop: about 2 ms.

No library releases the GIL for it, and the interpreter takes the GIL from a thread after 5 ms only.
A shorter translation in a thread holds up the loop for longer, not for less: 64 kB for 4.7 ms
instead of 0.5, 128 kB for 5.8 ms instead of 1.2, and 500 kB for 12 ms instead of 8."""


class MsgPackTranscoder:
    """The Transcoder of MessagePack.

    Both engines write the same bytes and read the same values. During translation a document takes
    up to 80 times its size in memory, since one byte can be an empty map. orjson reserves 260 bytes
    of address space for each member of a long array, and 520 for each of a long object. So callers
    must bound the size of documents.
    """

    from_json_offload_bytes = OFFLOAD_BYTES
    to_json_offload_bytes = OFFLOAD_BYTES

    def __init__(self, *, engine: Engine = "auto", max_depth: int = MAX_DEPTH) -> None:
        self._json = JsonFormat(max_depth=max_depth)
        self._pack = choose_packer(engine)
        self._read = choose_shallow_reader(engine)
        self._write_shallow = orjson.dumps if max_depth >= SHALLOW_LEVELS else self._json.write

    def from_json(self, data: bytes) -> bytes:
        """Write a JSON document as MessagePack.

        Documents that `JsonFormat` refuses are refused. A number without fraction and exponent
        becomes an integer, any other number a float of 64 bits. Raises: FormatError.
        """
        value = self._json.loads(data)
        try:
            return self._pack(value)
        except MALFORMED as error:
            raise FormatError(f"the document does not fit MessagePack: {error}") from None

    def to_json(self, data: bytes) -> bytes:
        """Write a MessagePack document as compact JSON in UTF-8.

        Refused are values that JSON lacks (binaries, timestamps and other extension types, keys
        that are not strings, NaN and infinities; RFC 8259, 3 and 6), repeated keys, which readers
        of JSON treat differently (RFC 8259, 4), and nesting beyond `max_depth`. A float of 32 bits
        is written as the equal double. Raises: FormatError.
        """
        try:
            value = self._read(data)
            if value is UNREAD:
                if may_claim_much(data):
                    check_whole(data)
                check_containers(data)
                value = msgpack.unpackb(data)
                text = self._json.write(value)
            else:
                text = self._write_shallow(value)
            # A value that is written back as the same bytes has lost nothing. This holds for most
            # clients, since they write the shortest form, and spares checking the keys.
            if self._pack(value) != data:
                check_keys(data)
        except TooManyContainers:
            raise
        except MALFORMED as error:
            summary = f"not a MessagePack document that JSON can represent: {error}"
            raise self._fault(data, summary) from None
        # RFC 8259, 6: JSON has no NaN and no infinity; orjson writes null for them.
        if b"null" in text and may_hold_nonfinite(data) and orjson.loads(text) != value:
            raise self._fault(data, "the document holds NaN or an infinity")
        return text

    def _fault(self, data: bytes, summary: str) -> FormatError:
        fault = find_msgpack_fault(data, max_depth=self._json.max_depth, for_json=True)
        return fault or FormatError(summary)


@cache
def build_transcoder(engine: Engine = "auto", *, max_depth: int = MAX_DEPTH) -> MsgPackTranscoder:
    """Return the transcoder that uses `engine`; `auto` means msgspec if it is installed.

    Raises: ConfigurationError if the engine is unknown or not installed, or if `max_depth` exceeds
        the depth that orjson writes (254).
    """
    return MsgPackTranscoder(engine=engine, max_depth=max_depth)


def may_hold_nonfinite(data: bytes) -> bool:
    """Whether a MessagePack document contains bytes that look like NaN or an infinity."""
    # IEEE 754: NaN and the infinities are the floats whose exponent bits are all set: eleven bits
    # after the sign in a double (0xcb), eight in a single (0xca).
    return _has_float(data, b"\xcb", least=b"\xf0") or _has_float(data, b"\xca", least=b"\x80")


def _has_float(data: bytes, head: bytes, *, least: bytes) -> bool:
    if head not in data:
        return False
    for high in (b"\x7f", b"\xff"):
        start = data.find(head + high)
        while start >= 0:
            if data[start + 2 : start + 3] >= least:
                return True
            start = data.find(head + high, start + 2)
    return False
