"""What a content coding promises."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

from asgi_serial.codecs.levels import Levels


class Encoder(Protocol):
    """One body on its way out, encoded piece by piece; the same feeds give the same bytes."""

    def feed(self, data: bytes, *, flush: bool) -> bytes:
        """Take `data` in; with `flush`, all that was fed can be decoded from what was returned."""

    def finish(self) -> bytes:
        """Return the last bytes; the encoder is spent."""


class Decoder(Protocol):
    """One body on its way in, decoded in steps whose output is bounded; an error spends it."""

    @property
    def members(self) -> int:
        """How many members (gzip) or frames (zstd) were begun so far."""

    def decode_at_once(self, data: bytes) -> bytes | None:
        """Decode a whole body by one step, where it is short and has one member.

        `data` is not empty, and all that the decoder is given. None where it takes more: `pieces`,
        with the same data, goes on from there. Raises: CodecError where the data is corrupt.
        """

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Decode `data` into pieces of at most some 100 KB, each made when it is asked for.

        There is a piece, which may be empty, for each step that takes time. A body decodes to the
        same bytes however it is cut. All pieces are taken before the next call.

        Raises: CodecError where the data is corrupt, or goes on after its end.
        """

    def feed(self, data: bytes, *, limit: int) -> bytes:
        """Decode `data` to at most `limit` bytes; no more than one piece is made beyond them.

        Raises: CodecError where the data is corrupt, or goes on after its end;
        OutputLimitExceeded where it decodes to more than `limit` bytes, or has too many members.
        """

    def finish(self) -> None:
        """Declare the end of the input. Raises: CodecError where the data is truncated."""


class Codec(Protocol):
    """A content coding (RFC 9110, 8.4.1) at the levels it was made with; safe to share."""

    @property
    def name(self) -> str:
        """The content-coding token as it goes into Content-Encoding, such as `gzip`."""

    @property
    def offload_bytes(self) -> int:
        """The size from which encoding a whole body takes too long for the event loop."""

    @property
    def recall_bytes(self) -> int:
        """The size from which finding a body by its digest costs less than encoding it again.

        A digest costs 1 ns a byte, zstd 4, br and gzip 18 and more, each with some us on top.
        """

    def compress(self, data: bytes) -> bytes:
        """Encode one whole body, at the level measured best for its size.

        Equal bodies give equal bytes within one process: entity tags may rest on it.
        """

    def encoder(self, *, event_stream: bool = False) -> Encoder:
        """A new encoder; for an event stream at the level measured best for small flushes."""

    def decoder(self) -> Decoder:
        """A new decoder."""


class Coding(NamedTuple):
    """A content coding that can be offered and decoded."""

    name: str
    """The token in lower case, as it goes into Content-Encoding; entity tags end in it."""

    build: Callable[[int | None], Codec]
    """Return the codec at a level. Raises: ConfigurationError for one that it does not have."""

    levels: Levels

    level_setting: str = ""
    """The name of the setting that holds the level; the default level applies where it has none."""

    aliases: tuple[str, ...] = ()
    """Other names that a recipient should consider equal to it (RFC 9110, 8.4.1.3)."""

    is_offered: bool = True
    """Whether it is among the codings on offer unless the settings say otherwise."""
