"""MessagePack, read by msgpack and written by msgspec, which is faster, if it is installed."""

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple

import msgpack  # type: ignore[import-untyped]

from asgi_serial.errors import ConfigurationError
from asgi_serial.formats.base import MAX_CONTAINERS, TooManyContainers
from asgi_serial.formats.faults import unique_object

Engine = Literal["auto", "msgspec", "msgpack"]

SHALLOW_LEVELS = 8
"""The nesting up to which msgspec reads; its description of the type doubles with each level."""

_CONTAINER_HEADS = bytes((*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF))

MALFORMED = (
    ValueError,
    TypeError,
    OverflowError,
    msgpack.UnpackException,
)
"""The exceptions of the engines for invalid documents and unsupported values.

Documents are nested less deeply than the stack is, so that a RecursionError tells of the caller.
"""


def may_hold_nonfinite(data: bytes) -> bool:
    """Whether a document contains bytes that look like NaN or an infinity."""
    # IEEE 754: NaN and the infinities are the floats whose exponent bits are all set: eleven bits
    # after the sign in a double (0xcb), eight in a single (0xca).
    return (0xCB in data and _has_float(data, b"\xcb", least=b"\xf0")) or (
        0xCA in data and _has_float(data, b"\xca", least=b"\x80")
    )


def _has_float(data: bytes, head: bytes, *, least: bytes) -> bool:
    for high in (b"\x7f", b"\xff"):
        start = data.find(head + high)
        while start >= 0:
            if data[start + 2 : start + 3] >= least:
                return True
            start = data.find(head + high, start + 2)
    return False


def check_whole(data: bytes) -> None:
    """Compare every declared length with the bytes that follow, before anything is allocated.

    This takes a tenth of the time of decoding. Raises: one of MALFORMED.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) or 1)
    unpacker.feed(data)
    unpacker.skip()
    if unpacker.tell() != len(data):
        raise ValueError("bytes follow the document")


def may_claim_much(data: bytes) -> bool:
    """Whether a document may declare an array or a map of more than fifteen members.

    If not, the engines allocate little before they read it, and detect missing bytes themselves.
    """
    # The heads of arrays and maps with a separate length, which may be up to four billion. In a
    # short document, looking for an integer takes a quarter of the time of looking for a byte.
    return 0xDC in data or 0xDE in data or 0xDD in data or 0xDF in data


def check_containers(data: bytes) -> None:
    """Refuse a document with more than MAX_CONTAINERS arrays and maps.

    Raises: TooManyContainers, or one of MALFORMED.
    """
    # Each container takes at least a byte.
    if len(data) <= MAX_CONTAINERS:
        return
    # An upper bound, since these bytes also occur in text. Few documents exceed it.
    if len(data) - len(data.translate(None, _CONTAINER_HEADS)) <= MAX_CONTAINERS:
        return
    left = iter(range(MAX_CONTAINERS))

    def count(container: object) -> None:
        if next(left, None) is None:
            raise TooManyContainers()

    msgpack.unpackb(data, list_hook=count, object_pairs_hook=count)


def check_keys(data: bytes) -> None:
    """Refuse a complete document with a repeated map key. Raises: FormatError."""
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


class ShallowReader(NamedTuple):
    """The functions that read documents of JSON's types with at most SHALLOW_LEVELS levels.

    msgspec takes half of msgpack's time. Without a type it accepts arrays, numbers and booleans as
    keys. Their hashes can be made to collide: 320 kB kept it busy for five seconds. With a type, it
    refuses any key that is not a string, whose hash is randomized, before it enters the key into a
    map, as msgpack does. It has no recursive types, so the levels are spelled out.
    """

    decode: Callable[[bytes], Any]
    skip: Callable[[bytes], object]
    """Compares declared lengths with the bytes that follow, as `check_whole` does."""
    unread: tuple[type[Exception], ...]
    """The exceptions for documents that are malformed, or are left to msgpack."""


def choose_shallow_reader(engine: Engine) -> ShallowReader | None:
    """Return the shallow reader; None if `engine` has none, or is not installed."""
    if engine != "msgpack":
        try:
            return _build_shallow_reader()
        except ImportError:
            pass
    return None


@cache
def _build_shallow_reader() -> ShallowReader:
    from msgspec import MsgspecError, Raw
    from msgspec.msgpack import Decoder

    scalar = None | bool | int | float | str
    document: Any = scalar
    for _ in range(SHALLOW_LEVELS):
        document = scalar | list[document] | dict[str, document]
    unread = (MsgspecError, ValueError, RecursionError)
    return ShallowReader(Decoder(document).decode, Decoder(Raw).decode, unread)
