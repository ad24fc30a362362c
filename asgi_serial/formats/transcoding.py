"""Translate JSON to MessagePack and back; every value is preserved, or the document refused."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import msgpack  # type: ignore[import-untyped]
import orjson

from asgi_serial.errors import FormatError
from asgi_serial.formats.base import MAX_CONTAINERS, TooManyContainers, is_never_final
from asgi_serial.formats.json_format import MAX_DEPTH, JsonFormat
from asgi_serial.formats.msgpack_faults import find_msgpack_fault
from asgi_serial.formats.msgpack_format import (
    MALFORMED,
    SHALLOW_LEVELS,
    Engine,
    check_containers,
    check_keys,
    check_whole,
    choose_packer,
    choose_shallow_reader,
    may_claim_much,
    may_hold_nonfinite,
)

OFFLOAD_BYTES = 256 << 10
"""The size from which a translation takes too long for the event loop: about 2 ms.

No library releases the GIL for it, and the interpreter takes the GIL from a thread after 5 ms only.
A shorter translation in a thread holds up the loop for longer, not for less: 64 kB for 4.7 ms
instead of 0.5, 128 kB for 5.8 ms instead of 1.2, and 500 kB for 12 ms instead of 8."""


T = TypeVar("T")

_UNREAD: Any = object()


def _return(error: FormatError) -> FormatError:
    return error


class MsgPackTranscoder:
    """The Transcoder of MessagePack.

    Both engines write the same bytes and read the same values. During translation a document takes
    up to 80 times its size in memory, since one byte can be an empty map. orjson reserves 260 bytes
    of address space for each member of a long array, and 520 for each of a long object. So callers
    must bound the size of documents.
    """

    name = "msgpack"
    # application/vnd.msgpack is registered (IANA, 2024); the others are in use since before that.
    media_types = ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack")

    may_hold_nonfinite = staticmethod(may_hold_nonfinite)
    from_json_offload_bytes = OFFLOAD_BYTES
    to_json_offload_bytes = OFFLOAD_BYTES

    def __init__(self, *, engine: Engine = "auto", max_depth: int = MAX_DEPTH) -> None:
        self._json = JsonFormat(max_depth=max_depth)
        self.pack: Callable[[Any], bytes] = choose_packer(engine)
        """Writes a value of JSON's types, and possibly NaN; raises one of MALFORMED."""
        self._shallow = choose_shallow_reader(engine) if max_depth >= SHALLOW_LEVELS else None
        self._to_json = self.build_reader(bytes, _return, allow_nonfinite=False)

    def from_json(self, data: bytes) -> bytes:
        """Write a JSON document as MessagePack.

        Documents that `JsonFormat` refuses are refused. A number without fraction and exponent
        becomes an integer, any other number a float of 64 bits. Raises: FormatError.
        """
        value = self._json.loads(data)
        try:
            return self.pack(value)
        except (*MALFORMED, RecursionError) as error:
            raise FormatError(f"the document does not fit MessagePack: {error}") from None

    def to_json(self, data: bytes) -> bytes:
        """Write a MessagePack document as compact JSON in UTF-8.

        Refused are values that JSON lacks (binaries, timestamps and other extension types, keys
        that are not strings, NaN and infinities; RFC 8259, 3 and 6), repeated keys, which readers
        of JSON treat differently (RFC 8259, 4), and nesting beyond `max_depth`. A float of 32 bits
        is written as the equal double. Raises: FormatError.
        """
        return self._to_json(data)

    def build_reader(
        self,
        read_json: Callable[[bytes], T],
        refuse: Callable[[FormatError], Exception],
        *,
        read_plain: Callable[[Any], T] | None = None,
        is_final: Callable[[ValueError], bool] = is_never_final,
        allow_nonfinite: bool = True,
    ) -> Callable[[bytes], T]:
        """Return a function that reads MessagePack documents; see the Transcoder.

        Without `allow_nonfinite`, NaN and infinities are refused as `to_json` refuses them.
        """
        pack = self.pack
        decode, skip, unread = self._shallow or (None, check_whole, ())

        # One function, since each call takes as long as a quarter of reading a short document.
        def read(data: bytes) -> T:
            value, text = _UNREAD, None
            try:
                if decode is not None:
                    try:
                        if 0xDC in data or 0xDE in data or 0xDD in data or 0xDF in data:
                            skip(data)
                        if len(data) > MAX_CONTAINERS:
                            check_containers(data)
                        value = decode(data)
                    except TooManyContainers:
                        raise
                    except unread:
                        pass
                if value is _UNREAD:
                    value, text = self._read_slowly(data)
                # A value that is written back as the same bytes has lost nothing. This holds for
                # most clients, since they write the shortest form, and spares checking the keys.
                try:
                    is_usual = pack(value) == data
                except RecursionError:  # which msgspec raises where the caller's stack is short
                    is_usual = False
                if not is_usual:
                    check_keys(data)
            except TooManyContainers as error:
                raise refuse(error) from None
            except MALFORMED as error:
                summary = f"not a MessagePack document that JSON can represent: {error}"
                raise refuse(self._fault(data, summary)) from None
            if read_plain is not None:
                try:
                    return read_plain(value)
                except ValueError as error:
                    if is_final(error):
                        raise
            if text is None:
                text = orjson.dumps(value)
            # RFC 8259, 6: JSON has no NaN and no infinity; orjson writes null for them.
            if b"null" in text and may_hold_nonfinite(data) and orjson.loads(text) != value:
                if not allow_nonfinite:
                    raise refuse(self._fault(data, "the document holds NaN or an infinity"))
                text = json.dumps(value).encode()
            return read_json(text)

        return read

    def _read_slowly(self, data: bytes) -> tuple[Any, bytes]:
        """Return the value of a document, and its JSON. Raises: one of MALFORMED."""
        if may_claim_much(data):
            check_whole(data)
        check_containers(data)
        value = msgpack.unpackb(data)
        return value, self._json.write(value)

    def _fault(self, data: bytes, summary: str) -> FormatError:
        fault = find_msgpack_fault(data, max_depth=self._json.max_depth)
        return fault or FormatError(summary)


@cache
def build_transcoder(engine: Engine = "auto", *, max_depth: int = MAX_DEPTH) -> MsgPackTranscoder:
    """Return the transcoder that uses `engine`; `auto` means msgspec if it is installed.

    Raises: ConfigurationError if the engine is unknown or not installed, or if `max_depth` exceeds
        the depth that orjson writes (254).
    """
    return MsgPackTranscoder(engine=engine, max_depth=max_depth)
