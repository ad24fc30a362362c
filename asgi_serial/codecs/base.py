"""The interface of a content coding."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from asgi_serial.codecs.levels import Levels


class Encoder(Protocol):
    """Encodes one body piece by piece; the same calls give the same bytes."""

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        """Encode `data`; with `flush`, the output so far can be decoded to all input so far."""

    def finish(self) -> bytes:
        """Return the last bytes; the encoder cannot be used again."""


class Decoder(Protocol):
    """Decodes one body in steps with bounded output; it cannot be used after an error."""

    @property
    def members(self) -> int:
        """The number of members (gzip) or frames (zstd) that were begun so far."""

    def decode_at_once(self, data: bytes) -> bytes | None:
        """Decode a whole body in one step, if it is short and has one member.

        `data` must be the whole body, and not empty. None means that one step is not enough; call
        `pieces` with the same data to continue. Raises: CodecError if the data is corrupt.
        """

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode `data` lazily into pieces of about 100 KB at most.

        Each step that takes time yields a piece, which may be empty. The result does not depend on
        how a body is divided. The caller must take all pieces before the next call.

        Raises: CodecError if the data is corrupt, or continues after its end.
        """

    def feed(self, data: bytes, *, limit: int) -> bytes:
        """Decode `data` to at most `limit` bytes; at most one piece is decoded beyond them.

        Raises: CodecError if the data is corrupt, or continues after its end; OutputLimitExceeded
            if it decodes to more than `limit` bytes, or has too many members.
        """

    def finish(self) -> None:
        """Declare the end of the input. Raises: CodecError if the data is truncated."""


class Codec(Protocol):
    """A content coding (RFC 9110, 8.4.1) with fixed levels; thread-safe."""

    @property
    def name(self) -> str:
        """The content-coding token for Content-Encoding, such as `gzip`."""

    @property
    def offload_bytes(self) -> int:
        """The size from which encoding a whole body takes too long for the event loop."""

    @property
    def recall_bytes(self) -> int:
        """The size from which finding a body by its digest costs less than encoding it again.

        A digest takes 1 ns per byte, zstd 4 ns, br and gzip 18 ns and more, each plus a few us.
        """

    def compress(self, data: bytes) -> bytes:
        """Encode one whole body, at the level measured best for its size.

        Equal bodies give equal bytes within one process; entity tags may rely on this.
        """

    def encoder(self, *, event_stream: bool = False) -> Encoder:
        """Return a new encoder; for event streams at the level measured best for small flushes."""

    def decoder(self) -> Decoder:
        """Return a new decoder."""


class Coding(NamedTuple):
    """A content coding that can be offered and decoded."""

    name: str
    """The lower-case token for Content-Encoding, which entity tags end in."""

    build: Callable[[int | None], Codec]
    """Returns the codec at a level. Raises: ConfigurationError for a level that it lacks."""

    levels: Levels

    level_setting: str = ""
    """The name of the setting for the level; empty if only the default level applies."""

    aliases: tuple[str, ...] = ()
    """Other names that a recipient should consider equivalent (RFC 9110, 8.4.1.3)."""

    is_offered: bool = True
    """Whether it is offered by default."""
