"""The decoder of all codings, with bounded output and linear cost in the number of members."""

from collections.abc import Callable, Iterator
from typing import Protocol

from asgi_serial.errors import CodecError, OutputLimitExceeded

PIECE_BYTES = 128 << 10
"""The output of one step: a whole zstd block. Larger pieces measured no faster."""

# A library returns a copy of the input after a member's end. A window that starts small in each
# member and doubles limits those copies to twice the size of the member itself.
FIRST_WINDOW_BYTES = 512
LAST_WINDOW_BYTES = 64 << 10

MAX_MEMBERS = 1 << 10
"""The limit of members in one body, in all of its codings together.

These are gzip members (RFC 1952, 2.2) and zstd frames, including skippable ones (RFC 8878, 3).
Opening one takes 2 us (gzip) to 60 us (zstd), and 2 KB of gzip can contain 100,000 zstd frames.
Tools that divide a body write at least 64 KB per member.
"""


class Member(Protocol):
    """A gzip member, a zlib, deflate or brotli stream, or a zstd frame, decoded in steps."""

    @property
    def eof(self) -> bool:
        """Whether the member is complete, with a valid checksum and all of its output returned."""

    @property
    def needs_input(self) -> bool:
        """Whether a step without input would return nothing more."""

    @property
    def unused_data(self) -> bytes:
        """The input of the last step beyond the member's end."""

    def decompress(self, data: bytes | memoryview, max_length: int) -> bytes:
        """Decode `data` and return about `max_length` bytes at most."""


class BoundedDecoder:
    """A Decoder for members that a library decodes.

    `begin` opens the member that starts with the given byte. `many` allows several members in
    sequence. `errors` is the exception that the library raises for corrupt data.
    """

    __slots__ = (
        "_begin",
        "_errors",
        "_first_piece",
        "_many",
        "_member",
        "_name",
        "_window_bytes",
        "members",
    )

    def __init__(
        self,
        name: str,
        begin: Callable[[int], Member],
        *,
        many: bool,
        errors: type[Exception],
    ) -> None:
        self._name = name
        self._begin = begin
        self._many = many
        self._errors = errors
        self._member: Member | None = None
        self._first_piece: bytes | None = None  # decoded by an insufficient `decode_at_once`
        self.members = 0
        self._window_bytes = FIRST_WINDOW_BYTES

    def decode_at_once(self, data: bytes) -> bytes | None:
        """Decode a whole body in one step; None if that is not enough, and `pieces` must follow."""
        self.members = 1
        member = self._member = self._begin(data[0])
        try:
            piece = member.decompress(data, PIECE_BYTES)
        except self._errors as error:
            raise self._corrupt(error) from error
        if member.eof and not member.unused_data:
            return piece
        self._first_piece = piece
        return None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode `data` lazily into pieces of about 100 KB at most."""
        view = memoryview(data)
        position = 0
        member = self._member
        if self._first_piece is not None and member is not None:
            yield self._first_piece
            self._first_piece = None
            if not (member.eof or member.needs_input):
                yield from self._decode(member, view[:0])
            position = len(view)
            if member.eof:
                position -= len(member.unused_data)
        while position < len(view):
            member = self._member_from(view[position])
            window = view[position : position + self._window_bytes]
            yield from self._decode(member, window)
            position += len(window)
            if member.eof:
                position -= len(member.unused_data)
            else:
                self._window_bytes = min(2 * self._window_bytes, LAST_WINDOW_BYTES)

    def feed(self, data: bytes, *, limit: int) -> bytes:
        """Decode `data` to at most `limit` bytes; at most one piece is decoded beyond them."""
        return b"".join(within(limit, self.pieces(data)))

    def finish(self) -> None:
        """Declare the end of the input. Raises: CodecError if the data is truncated."""
        if self._member is None or not self._member.eof:
            raise CodecError(f"the {self._name} data ends before it is complete")

    def _member_from(self, first_byte: int) -> Member:
        member = self._member
        if member is not None and not member.eof:
            return member
        if member is not None and not self._many:
            raise CodecError(f"bytes follow the end of the {self._name} data")
        if self.members == MAX_MEMBERS:
            raise OutputLimitExceeded(f"the {self._name} data has more than {MAX_MEMBERS} members")
        self.members += 1
        self._window_bytes = FIRST_WINDOW_BYTES
        self._member = self._begin(first_byte)
        return self._member

    def _decode(self, member: Member, window: memoryview) -> Iterator[bytes]:
        data: bytes | memoryview = window
        while True:
            yield self._step(member, data)
            if member.eof or member.needs_input:
                return
            data = b""

    def _step(self, member: Member, data: bytes | memoryview) -> bytes:
        try:
            return member.decompress(data, PIECE_BYTES)
        except self._errors as error:
            raise self._corrupt(error) from error

    def _corrupt(self, error: Exception) -> CodecError:
        return CodecError(f"the {self._name} data is corrupt: {error}")


def within(limit: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces. Raises: OutputLimitExceeded when they exceed `limit` in total."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise decodes_to_more_than(limit)
        yield piece


def decodes_to_more_than(limit: int) -> OutputLimitExceeded:
    """Return the error for a body that decodes to more than `limit` bytes."""
    return OutputLimitExceeded(f"the body decodes to more than {limit} bytes")
