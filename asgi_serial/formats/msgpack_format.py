"""MessagePack, read by msgpack; written by msgspec where that is installed, which is faster."""

from collections.abc import Callable
from functools import cache
from typing import Any, Final, Literal

import msgpack  # type: ignore[import-untyped]

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.formats.faults import unique_object
from asgi_serial.formats.msgpack_faults import find_msgpack_fault

Engine = Literal["auto", "msgspec", "msgpack"]

MAX_DEPTH = 1024
"""The depth up to which msgpack reads; before its release 1.2 it writes up to 511 only."""

MAX_CONTAINERS = 100_000
"""How many arrays and maps a document may have that is translated."""

SHALLOW_LEVELS = 8
"""The nesting up to which msgspec reads: its description of the type doubles with each level."""

UNREAD: Final = object()
"""Stands for a document that a shallow reader leaves to msgpack."""

_CONTAINER_HEADS = bytes((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))

MALFORMED = (
    ValueError,
    TypeError,
    OverflowError,
    RecursionError,
    msgpack.UnpackException,
)
"""What the engines raise for a document they do not read, or a value they do not write."""


class TooManyContainers(FormatError):
    """A document has more arrays and maps than are translated."""


class MsgPackFormat:
    """MessagePack, with binaries, timestamps and other extension types.

    Refused: integers beyond 64 bits, map keys that are neither strings nor binaries (integers as
    keys could be chosen to collide), repeated keys, strings that are not UTF-8, and types that
    MessagePack has no form for, and nesting beyond 1024 levels. Changed on the way back: a tuple
    is a list, a bytearray is bytes, and what inherits from a plain type is of that type.
    """

    name = "msgpack"
    # application/vnd.msgpack is the registered one (IANA, 2024); the others are older habits.
    media_types = ("application/vnd.msgpack", "application/msgpack", "application/x-msgpack")

    def dumps(self, value: object) -> bytes:
        """Write `value` in its shortest form. Raises: FormatError."""
        try:
            data = bytes(msgpack.packb(value))
            msgpack.unpackb(data, object_pairs_hook=len)
        except MALFORMED as error:
            raise FormatError(f"the value can not be written as MessagePack: {error}") from error
        return data

    def loads(self, data: bytes) -> Any:
        """Read one document. Raises: FormatError with the position in bytes."""
        try:
            check_whole(data)
            value = msgpack.unpackb(data)
            if msgpack.packb(value) != data:
                check_keys(data)
        except MALFORMED as error:
            raise self._fault(data, f"not MessagePack: {error}") from None
        return value

    def _fault(self, data: bytes, summary: str) -> FormatError:
        fault = find_msgpack_fault(data, max_depth=MAX_DEPTH, for_json=False)
        return fault or FormatError(summary)


def check_whole(data: bytes) -> None:
    """Hold every declared length to the bytes that are there, before anything is allocated for it.

    Costs a tenth of decoding. Raises: one of MALFORMED.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) or 1)
    unpacker.feed(data)
    unpacker.skip()
    if unpacker.tell() != len(data):
        raise ValueError("bytes follow the document")


def may_claim_much(data: bytes) -> bool:
    """Whether a document may declare an array or a map that is longer than fifteen members.

    Where it may not, engines allocate nothing that counts before they read it, and find
    themselves what is missing.
    """
    # The heads of arrays and maps whose length is declared in bytes of its own, up to four billion.
    return b"\xdc" in data or b"\xde" in data or b"\xdd" in data or b"\xdf" in data


def check_containers(data: bytes) -> None:
    """Refuse a document of too many arrays and maps: each takes 60 bytes and more for one of input.

    Raises: TooManyContainers, or one of MALFORMED.
    """
    # Each takes a byte.
    if len(data) <= MAX_CONTAINERS:
        return
    # What is left out may be a part of text as well: a bound, which few documents pass.
    if len(data) - len(data.translate(None, _CONTAINER_HEADS)) <= MAX_CONTAINERS:
        return
    left = iter(range(MAX_CONTAINERS))

    def count(container: object) -> None:
        if next(left, None) is None:
            raise TooManyContainers(f"the document has more than {MAX_CONTAINERS} arrays and maps")

    msgpack.unpackb(data, list_hook=count, object_pairs_hook=count)


def check_keys(data: bytes) -> None:
    """Refuse a document that is whole where a map has the same key twice. Raises: FormatError."""
    msgpack.unpackb(data, object_pairs_hook=unique_object)


def choose_packer(engine: Engine) -> Callable[[Any], bytes]:
    """Return the function that writes MessagePack. Raises: ConfigurationError."""
    if engine not in ("auto", "msgspec", "msgpack"):
        raise ConfigurationError(f"engine is {engine!r}; expected 'auto', 'msgspec' or 'msgpack'.")
    if engine != "msgpack":
        try:
            from msgspec.msgpack import Encoder
        except ImportError:
            if engine == "msgspec":
                raise ConfigurationError(
                    "engine is 'msgspec', which is not installed; install asgi-serial[speed]."
                ) from None
        else:
            return Encoder().encode
    pack: Callable[[Any], bytes] = msgpack.packb
    return pack


def choose_shallow_reader(engine: Engine) -> Callable[[bytes], Any]:
    """Return a function that reads a document which JSON can carry, of SHALLOW_LEVELS at most.

    It gives UNREAD for any other, and where `engine` is not installed. Raises: TooManyContainers.

    msgspec takes half of msgpack's time. Left to itself it makes keys of arrays, numbers and
    booleans, whose hashes anybody can have collide, so that 320 kB kept it busy for five seconds.
    Told the type of what it reads, it refuses any key but a string, whose hash is randomized,
    before it enters one into a map, as msgpack does. It has no name for a type that contains
    itself, so that the levels are spelled out.
    """
    if engine != "msgpack":
        try:
            return _build_shallow_reader()
        except ImportError:
            pass
    return _leave_unread


def _leave_unread(data: bytes) -> object:
    return UNREAD


@cache
def _build_shallow_reader() -> Callable[[bytes], Any]:
    from msgspec import MsgspecError, Raw
    from msgspec.msgpack import Decoder

    scalar = None | bool | int | float | str
    document: Any = scalar
    for _ in range(SHALLOW_LEVELS):
        document = scalar | list[document] | dict[str, document]
    skip, decode = Decoder(Raw).decode, Decoder(document).decode

    def read(data: bytes) -> Any:
        try:
            if may_claim_much(data):
                skip(data)  # holds lengths to the bytes that are there, as check_whole does
            check_containers(data)
            return decode(data)
        except TooManyContainers:
            raise
        except (MsgspecError, ValueError, RecursionError):
            return UNREAD

    return read
