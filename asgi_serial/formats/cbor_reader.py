"""Read the part of CBOR (RFC 8949) that JSON can express, and refuse everything else.

Libraries read all of CBOR: shared values that form cycles, integers and fractions of any size,
regular expressions, and maps whose keys have hashes that a client can choose. No such value must
be built, and to check a document for them first would take as long as to read it here.
"""

import struct
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from asgi_serial.errors import FormatError
from asgi_serial.formats.base import MAX_CONTAINERS, TooManyContainers
from asgi_serial.formats.faults import Container, fault_at, repeated_name

SELF_DESCRIBED: Final = b"\xd9\xd9\xf7"
"""The tag that may begin a document.

RFC 8949, 3.4.6: it "does not impart any special semantics on the data item that it encloses".
"""

# Initial bytes (RFC 8949, 3): of integers of several bytes, of text of less than 24 bytes, of
# arrays, maps and tags, of a double, and of the end of an item whose length is not declared.
_INTEGER, _PAST_INTEGER = 0x18, 0x1C
_TEXT, _LONG_TEXT, _ARRAY, _MAP, _TAG = 0x60, 0x78, 0x80, 0xA0, 0xC0
_DOUBLE, _BREAK = 0xFB, 0xFF
_UNDECLARED = -1

# The values that consist of an initial byte alone.
_LONGER: Final = object()
_SHORT: Final[tuple[Any, ...]] = tuple(
    {
        **{integer: integer for integer in range(24)},
        **{0x20 + integer: -1 - integer for integer in range(24)},
        **{0xF4: False, 0xF5: True, 0xF6: None},
    }.get(first, _LONGER)
    for first in range(256)
)
# The bytes that text of less than 24 bytes takes with its initial byte; zero for everything else.
_TEXT_SIZES: Final = tuple(
    first - _TEXT + 1 if _TEXT <= first < _LONG_TEXT else 0 for first in range(256)
)
_FLOATS = {0xF9: struct.Struct(">e"), 0xFA: struct.Struct(">f"), _DOUBLE: struct.Struct(">d")}
# Names that repeat are decoded once and share their memory. Names that do not repeat take twice as
# much, so that few are remembered.
_MAX_NAMES = 1_000


class _Fault(Exception):
    """The reason why the current item is refused."""


def read_cbor(data: bytes, *, max_depth: int, allow_nonfinite: bool = False) -> Any:
    """Return the value of a document.

    Refused are byte strings, tags, `undefined` and other simple values, NaN and infinities unless
    `allow_nonfinite` is set, integers beyond 64 bits, keys that are not text, repeated keys, text
    that is not UTF-8, nesting beyond `max_depth`, and more than MAX_CONTAINERS arrays and maps.
    Declared lengths reserve no memory.

    Raises: FormatError, with the position in bytes and the path.
    """
    position = len(SELF_DESCRIBED) if data.startswith(SELF_DESCRIBED) else 0
    size, short, longer, text_sizes = len(data), _SHORT, _LONGER, _TEXT_SIZES
    read_double = _FLOATS[_DOUBLE].unpack_from
    names: dict[bytes, str] = {}
    room = MAX_CONTAINERS
    outer: list[tuple[Any, str | None, int]] = []
    container: Any = []  # its only item is the document
    is_map = False
    name: str | None = None
    missing = 1  # the items to come; below zero if their number is not declared
    try:
        while True:
            if missing < 1 and (not missing or data[position] == _BREAK):
                if not outer:
                    break
                position += missing < 0
                value = container
                container, name, missing = outer.pop()
                is_map = type(container) is dict
            else:
                if is_map:
                    text_size = text_sizes[data[position]]
                    end = position + text_size
                    if text_size and end <= size:
                        text = data[position + 1 : end]
                        found = names.get(text)
                        if found is None:
                            found = text.decode()
                            if len(names) < _MAX_NAMES:
                                names[text] = found
                    else:
                        found, end = _read_name(data, position)
                    name = found
                    if name in container:
                        raise _Fault(repeated_name(name))
                    position = end
                first = data[position]
                value = short[first]
                if value is not longer:
                    position += 1
                elif text_sizes[first]:
                    end = position + text_sizes[first]
                    if end > size:
                        raise IndexError
                    value = data[position + 1 : end].decode()
                    position = end
                elif _ARRAY <= first < _TAG:
                    if len(outer) == max_depth:
                        raise _Fault(f"nesting beyond {max_depth} levels")
                    if not room:
                        raise TooManyContainers()
                    room -= 1
                    count, position = _read_size(data, position)
                    outer.append((container, name, missing))
                    is_map = first >= _MAP
                    container, name, missing = {} if is_map else [], None, count
                    continue
                elif first < _PAST_INTEGER:
                    end = position + 1 + (1 << first - _INTEGER)
                    if end > size:
                        raise IndexError
                    value = int.from_bytes(data[position + 1 : end])
                    position = end
                elif first == _DOUBLE:
                    (value,) = read_double(data, position + 1)
                    if not (isfinite(value) or allow_nonfinite):
                        raise _Fault(_not_finite(value))
                    position += 9
                else:
                    value, end = _read_scalar(data, position)
                    if type(value) is float and not (isfinite(value) or allow_nonfinite):
                        raise _Fault(_not_finite(value))
                    position = end
            if is_map:
                container[name] = value
                name = None
            else:
                container.append(value)
            missing -= 1
    except (_Fault, IndexError, struct.error, UnicodeDecodeError) as error:
        open_ones = [*outer, (container, name, missing)][1:]
        raise _error_of(error, position, open_ones) from None
    if position != size:
        raise FormatError(f"bytes follow the document at byte {position}", position=position)
    return container[0]


def _read_name(data: bytes, position: int) -> tuple[str, int]:
    if data[position] >> 5 != _TEXT >> 5:
        raise _Fault("map key that is not a string")
    return _read_text(data, position)


def _read_size(data: bytes, position: int) -> tuple[int, int]:
    """Return the number of items of an array, or of pairs of a map, and the position after it."""
    is_map = data[position] >= _MAP
    count, position = _read_argument(data, position)
    # An item takes at least one byte, and a pair two.
    if count << is_map > len(data) - position:
        raise IndexError
    return count, position


def _read_scalar(data: bytes, position: int) -> tuple[Any, int]:
    """Return an integer, a long text or a number with a fraction, and the position after it."""
    first = data[position]
    if first < 0x40:
        return _read_integer(data, position)
    if _TEXT <= first < _ARRAY:
        return _read_text(data, position)
    form = _FLOATS.get(first)
    if form is None:
        raise _Fault(_strange(data, position))
    (number,) = form.unpack_from(data, position + 1)
    return number, position + 1 + form.size


def _read_integer(data: bytes, position: int) -> tuple[int, int]:
    is_negative = data[position] >= 0x20
    number, end = _read_argument(data, position)
    if number < 0:
        raise _Fault(_malformed(data[position]))
    # RFC 8949, 3.1: the value of major type 1 is "-1 minus the argument".
    if is_negative and number >= 1 << 63:
        raise _Fault("integer beyond 64 bits")
    return -1 - number if is_negative else number, end


def _read_text(data: bytes, position: int) -> tuple[str, int]:
    length, start = _read_argument(data, position)
    if length != _UNDECLARED:
        return _read_utf8(data, start, length)
    # RFC 8949, 3.2.3: the chunks are text strings of definite length, each of them valid by itself.
    chunks = []
    while (first := data[start]) != _BREAK:
        if _TEXT_SIZES[first]:
            chunk, start = data[start + 1 : start + _TEXT_SIZES[first]], start + _TEXT_SIZES[first]
            chunks.append(chunk.decode())
            continue
        if first >> 5 != _TEXT >> 5:
            raise _Fault("text with a chunk that is not text")
        length, start = _read_argument(data, start)
        if length == _UNDECLARED:
            raise _Fault("text with a chunk of undeclared length")
        text, start = _read_utf8(data, start, length)
        chunks.append(text)
    return "".join(chunks), start + 1


def _read_utf8(data: bytes, start: int, length: int) -> tuple[str, int]:
    end = start + length
    if end > len(data):
        raise IndexError
    return data[start:end].decode(), end


def _read_argument(data: bytes, position: int) -> tuple[int, int]:
    """Return the argument of an initial byte, and the position after it (RFC 8949, 3)."""
    first = data[position]
    additional = first & 0x1F
    if additional < 24:
        return additional, position + 1
    if additional == 31:
        return _UNDECLARED, position + 1
    if additional > 27:
        raise _Fault(_malformed(first))
    start = position + 1
    end = start + (1 << additional - 24)
    if end > len(data):
        raise IndexError
    return int.from_bytes(data[start:end]), end


def _strange(data: bytes, position: int) -> str:
    """Describe an item that is neither text, a number, an array nor a map."""
    first = data[position]
    if first == 0xF7:
        return "undefined, which JSON has no form for,"
    if first == _BREAK:
        return "break where a value is due"
    number, _ = _read_argument(data, position)
    if first < _TEXT:
        return "byte string, which JSON has no form for,"
    if number == _UNDECLARED or first > 0xF8:
        return _malformed(first)
    kind = "tag" if first < 0xE0 else "simple value"
    return f"{kind} {number}, which JSON has no form for,"


def _not_finite(number: float) -> str:
    return f"number {number!r}, which JSON has no form for,"


def _malformed(first: int) -> str:
    return f"first byte {first:#04x}, which starts no value,"


def _error_of(
    fault: Exception, position: int, open_ones: Iterable[tuple[Any, str | None, int]]
) -> FormatError:
    """Return the error for a fault of the item at a position, within these open containers."""
    what = str(fault)
    if isinstance(fault, UnicodeDecodeError):
        what = "string that is not UTF-8"
    elif not isinstance(fault, _Fault):
        what = "the document ends inside the value"
    containers = [
        Container(isinstance(items, dict), index=len(items), name=name)
        for items, name, _ in open_ones
    ]
    return fault_at(what, position, containers)
