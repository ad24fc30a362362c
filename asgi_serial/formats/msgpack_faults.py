"""Find the fault for which a MessagePack document is refused."""

import struct
from math import isfinite
from typing import NamedTuple

from asgi_serial.errors import FormatError
from asgi_serial.formats.faults import MAX_TOKENS, Container, fault_at


class Token(NamedTuple):
    """A value, or the head of an array or map with the number of its members."""

    kind: str
    start: int
    end: int
    members: int = 0


_CONTAINERS = ("array", "map")

# The meaning of a first byte (MessagePack specification, "Formats"): the kind, the width of the
# length that follows, and the bytes of payload, or members, in addition to that length.
_HEADS = {
    0xC0: ("plain", 0, 0),
    0xC2: ("plain", 0, 0),
    0xC3: ("plain", 0, 0),
    0xC4: ("bin", 1, 0),
    0xC5: ("bin", 2, 0),
    0xC6: ("bin", 4, 0),
    0xC7: ("ext", 1, 1),
    0xC8: ("ext", 2, 1),
    0xC9: ("ext", 4, 1),
    0xCA: ("float", 0, 4),
    0xCB: ("float", 0, 8),
    **{0xCC + power: ("plain", 0, 1 << power) for power in range(4)},
    **{0xD0 + power: ("plain", 0, 1 << power) for power in range(4)},
    **{0xD4 + power: ("ext", 0, 1 + (1 << power)) for power in range(5)},
    0xD9: ("str", 1, 0),
    0xDA: ("str", 2, 0),
    0xDB: ("str", 4, 0),
    0xDC: ("array", 2, 0),
    0xDD: ("array", 4, 0),
    0xDE: ("map", 2, 0),
    0xDF: ("map", 4, 0),
}


def find_msgpack_fault(data: bytes, *, max_depth: int) -> FormatError | None:
    """Return the first fault of a document; a value that JSON lacks is one."""
    containers: list[Container] = []
    position = 0
    for _ in range(MAX_TOKENS):
        token = _read_token(data, position)
        is_key = bool(containers) and containers[-1].is_name_due
        what = _fault_of(data, token, containers, is_key=is_key)
        if not what and token.kind in _CONTAINERS and len(containers) == max_depth:
            what = f"nesting beyond {max_depth} levels"
        if what:
            return fault_at(what, position, containers)
        position = token.end
        if token.kind in _CONTAINERS:
            containers.append(Container(token.kind == "map", remaining=token.members))
        elif not is_key:
            _finish_value(containers)
        while containers and not containers[-1].remaining:
            containers.pop()
            _finish_value(containers)
        if not containers:
            return _trailing_fault(data, position)
    return None


def _finish_value(containers: list[Container]) -> None:
    if containers:
        containers[-1].leave()


def _trailing_fault(data: bytes, position: int) -> FormatError | None:
    if position == len(data):
        return None
    return FormatError(f"bytes follow the document at byte {position}", position=position)


def _read_token(data: bytes, position: int) -> Token:
    """Return the value at a position; its kind is `truncated` or `unknown` if it is invalid."""
    if position >= len(data):
        return Token("truncated", position, position)
    kind, width, size = _head_of(data[position])
    start = position + 1 + width
    size += int.from_bytes(data[position + 1 : start])
    # A member takes at least one byte, and a pair of a map at least two.
    needed = 2 * size if kind == "map" else size
    if needed > len(data) - start:
        return Token("truncated", start, len(data))
    if kind in _CONTAINERS:
        return Token(kind, start, start, size)
    return Token(kind, start, start + size)


def _head_of(first: int) -> tuple[str, int, int]:
    if first < 0x80 or first >= 0xE0:
        return "plain", 0, 0
    if first < 0x90:
        return "map", 0, first & 0x0F
    if first < 0xA0:
        return "array", 0, first & 0x0F
    if first < 0xC0:
        return "str", 0, first & 0x1F
    return _HEADS.get(first, ("unknown", 0, 0))


def _fault_of(
    data: bytes, token: Token, containers: list[Container], *, is_key: bool
) -> str | None:
    """Return the fault of a value, if any, and add a key to its map."""
    payload = data[token.start : token.end]
    if token.kind == "truncated":
        return "the document ends inside the value"
    if token.kind == "unknown":
        return "first byte 0xc1, which starts no value,"
    if token.kind == "str" and not _is_utf8(payload):
        return "string that is not UTF-8"
    if is_key:
        if token.kind != "str":
            return "map key that is not a string"
        name = payload.decode()
        return containers[-1].enter(name, name)
    return _fault_for_json(token.kind, payload)


def _fault_for_json(kind: str, payload: bytes) -> str | None:
    if kind == "bin":
        return "binary value, which JSON has no form for,"
    if kind == "ext":
        code = int.from_bytes(payload[:1], signed=True)
        return f"value of extension type {code}, which JSON has no form for,"
    if kind == "float":
        (number,) = struct.unpack(">f" if len(payload) == 4 else ">d", payload)
        if not isfinite(number):
            return f"number {number!r}, which JSON has no form for,"
    return None


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
