"""CBOR (RFC 8949) with the values that JSON has, written by cbor2."""

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats.base import is_never_final
from asgi_serial.formats.cbor_reader import read_cbor
from asgi_serial.formats.json_format import MAX_DEPTH, JsonFormat

T = TypeVar("T")

# IEEE 754: NaN and the infinities are the floats whose exponent bits are all set.
_NONFINITE = re.compile(
    rb"\xf9[\x7c-\x7f\xfc-\xff]|\xfa[\x7f\xff][\x80-\xff]|\xfb[\x7f\xff][\xf0-\xff]"
)


class CborTranscoder:
    """The Transcoder of CBOR.

    Refused are the values that `JsonFormat` and `read_cbor` refuse. Numbers with a fraction or
    exponent are written in 64 bits. During translation a document takes up to 80 times its size in
    memory, so callers must bound its size.
    """

    name = "cbor"
    media_types = ("application/cbor",)

    # From these sizes on a translation takes 2 ms, which is too long for the event loop.
    from_json_offload_bytes = 128 << 10
    to_json_offload_bytes = 32 << 10

    def __init__(self, *, max_depth: int = MAX_DEPTH) -> None:
        self._json = JsonFormat(max_depth=max_depth)
        self._write = _load_writer()

    def pack(self, value: Any) -> bytes:
        """Write a value of JSON's types, or NaN or an infinity.

        Raises: TypeError for other values, and for nesting beyond `max_depth`; ValueError.
        """
        # cbor2 has tags for many other types, and no limit of depth: releases have overflown the
        # stack of the process at some thousand levels.
        self._json.write(value)
        return self._write(value)

    @staticmethod
    def may_hold_nonfinite(data: bytes) -> bool:
        """Whether a CBOR document contains bytes that look like NaN or an infinity."""
        return _NONFINITE.search(data) is not None

    def from_json(self, data: bytes) -> bytes:
        """Write a JSON document as CBOR.

        Raises: FormatError for documents that `JsonFormat` refuses.
        """
        value = self._json.loads(data)
        try:
            return self._write(value)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"the document cannot be written as CBOR: {error}") from None

    def to_json(self, data: bytes) -> bytes:
        """Write a CBOR document as compact JSON in UTF-8.

        A float of 16 or 32 bits is written as the equal double. Raises: FormatError.
        """
        return orjson.dumps(self._read(data))

    def build_reader(
        self,
        read_json: Callable[[bytes], T],
        refuse: Callable[[FormatError], Exception],
        *,
        read_plain: Callable[[Any], T] | None = None,
        is_final: Callable[[ValueError], bool] = is_never_final,
    ) -> Callable[[bytes], T]:
        """Return a function that reads CBOR documents; see the Transcoder."""

        def read(data: bytes) -> T:
            try:
                value = self._read(data, allow_nonfinite=True)
            except FormatError as error:
                raise refuse(error) from None
            if read_plain is not None:
                try:
                    return read_plain(value)
                except ValueError as error:
                    if is_final(error):
                        raise
            is_finite = not self.may_hold_nonfinite(data)
            return read_json(orjson.dumps(value) if is_finite else json.dumps(value).encode())

        return read

    def _read(self, data: bytes, *, allow_nonfinite: bool = False) -> Any:
        return read_cbor(data, max_depth=self._json.max_depth, allow_nonfinite=allow_nonfinite)


def is_cbor_installed() -> bool:
    """Whether the extra for CBOR is installed."""
    try:
        _load_writer()
    except ConfigurationError:
        return False
    return True


def _load_writer() -> Callable[[object], bytes]:
    """Return the function that writes CBOR. Raises: ConfigurationError."""
    try:
        from cbor2 import dumps
    except ImportError:
        raise ConfigurationError(
            "CBOR needs cbor2, which is not installed; install asgi-serial[cbor]."
        ) from None
    return dumps
