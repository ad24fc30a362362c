"""JSON (RFC 8259) by orjson, with checks where orjson would change a value."""

import json
import re
from bisect import bisect_left
from enum import Enum
from functools import cache
from typing import Any

import orjson

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats.faults import unique_object
from asgi_serial.formats.json_faults import find_json_fault, json_syntax_fault

MAX_DEPTH = 200

_STRICT = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
# Lists around the value take 1.5 us, counting the brackets of 1 KB 0.2 us.
_COUNTED_BYTES = 4 << 10
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
# -9223372036854775809, the shortest integer beyond 64 bits, has nineteen digits.
_LONG_RUN = b"0" * 19
_RUN = re.compile(rb"0+")
_AHEAD = frozenset([b"", *(bytes([byte]) for byte in b"-[,: \t\n\r")])
_BEHIND = frozenset([b"", *(bytes([byte]) for byte in b"]}, \t\n\r")])


class JsonFormat:
    """JSON that preserves every value or refuses it.

    Refused are NaN and infinities, integers beyond 64 bits, repeated names, lone surrogates, a byte
    order mark, names that are not strings, bytes, dates, dataclasses, and nesting beyond
    `max_depth`. A tuple is read back as a list, an enum member as its value, a UUID as its text. A
    number with a fraction or exponent becomes the nearest double, as readers of JSON expect (RFC
    8259, 6), and the integer `-0` becomes 0.
    """

    name = "json"
    media_types = ("application/json",)

    def __init__(self, *, max_depth: int = MAX_DEPTH) -> None:
        limit = _orjson_depth()
        if not 1 <= max_depth <= limit:
            raise ConfigurationError(
                f"max_depth is {max_depth!r}; expected an integer from 1 to {limit}."
            )
        self.max_depth = max_depth
        # orjson's limit on depth is fixed. Lists around the value lower it to `max_depth`.
        self._padding = limit - max_depth
        self._hole = object()
        self._nest = _nested(self._hole, self._padding)

    def dumps(self, value: object) -> bytes:
        """Write `value` as compact UTF-8. Raises: FormatError."""
        try:
            text = self.write(value)
            # RFC 8259, 6: JSON has no NaN and no infinity; orjson writes null for them.
            if b"null" in text:
                json.dumps(value, allow_nan=False, check_circular=False, default=_enum_value)
        except (TypeError, ValueError, RecursionError) as error:
            raise FormatError(f"the value cannot be written as JSON: {error}") from error
        return text

    def loads(self, data: bytes) -> Any:
        """Read one document.

        Raises: FormatError with the position in bytes and, for the fault of a value, its path.
        """
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise json_syntax_fault(data, error, self.max_depth) from None
        # What was read has only plain types, so that they need no option.
        write = orjson.dumps if self._is_surely_shallow(data) else self.write
        try:
            canonical = write(value)
        except (TypeError, ValueError, RecursionError):
            raise self._fault(data, "the document is nested too deeply") from None
        # A value that is written back as the same text has lost nothing. This holds for most apps,
        # since they write as orjson does, and spares the exact check.
        if canonical == data:
            return value
        if _may_repeat_name(data, canonical) or _may_hold_wide_integer(data):
            self._check_exactly(data)
        return value

    def write(self, value: object) -> bytes:
        """Write a value that is known to hold no NaN and no infinity.

        Raises: TypeError, also for nesting beyond `max_depth`.
        """
        padding = self._padding
        text = self._write_padded(value)
        return text[padding:-padding] if padding else text

    def _is_surely_shallow(self, data: bytes) -> bool:
        """Whether a document has too few brackets for nesting beyond `max_depth`."""
        return len(data) <= _COUNTED_BYTES and data.count(b"[") + data.count(b"{") <= self.max_depth

    def _write_padded(self, value: object) -> bytes:
        hole = self._hole

        def fill(missing: object) -> object:
            if missing is hole:
                return value
            raise TypeError(f"{type(missing).__name__} has no form in JSON")

        return orjson.dumps(self._nest, fill, _STRICT)

    def _check_exactly(self, data: bytes) -> None:
        try:
            json.loads(data, object_pairs_hook=unique_object, parse_int=_narrow_integer)
        except (ValueError, RecursionError) as error:
            raise self._fault(data, f"the document cannot be read unchanged: {error}") from None

    def _fault(self, data: bytes, summary: str) -> FormatError:
        return find_json_fault(data, self.max_depth) or FormatError(summary)


def _narrow_integer(text: str) -> int:
    integer = int(text)
    if not -(2**63) <= integer < 2**64:
        raise FormatError("an integer is beyond 64 bits")
    return integer


def _enum_value(value: object) -> object:
    return value.value if isinstance(value, Enum) else None


def _may_repeat_name(data: bytes, canonical: bytes) -> bool:
    # A dropped member takes at least the two quotes of its name with it. Quotes are added only
    # where the document writes one as this escape.
    return data.count(b'"') != canonical.count(b'"') or (b"\\" in data and b"\\u0022" in data)


def _may_hold_wide_integer(data: bytes) -> bool:
    zeros = data.translate(_DIGITS_TO_ZERO)
    end = 0
    while (start := zeros.find(_LONG_RUN, end)) >= 0 and (run := _RUN.match(zeros, start)):
        end = run.end()
        # Most long runs of digits belong to digests in strings or to fractions.
        if zeros[max(start - 1, 0) : start] in _AHEAD and zeros[end : end + 1] in _BEHIND:
            return True
    return False


def _nested(value: object, levels: int) -> object:
    for _ in range(levels):
        value = [value]
    return value


@cache
def _orjson_depth() -> int:
    """Return the depth up to which orjson writes; documented as 254."""

    def is_refused(depth: int) -> bool:
        try:
            orjson.dumps(_nested(0, depth))
        except TypeError:
            return True
        return False

    return bisect_left(range(2_000), True, key=is_refused) - 1
