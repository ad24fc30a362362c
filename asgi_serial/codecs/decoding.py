"""Decode a request body by its Content-Encoding, within limits."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import NamedTuple

from asgi_serial.codecs.base import Codec, Decoder
from asgi_serial.codecs.bounded import MAX_MEMBERS, decodes_to_more_than, within
from asgi_serial.codecs.registry import coding_aliases
from asgi_serial.errors import CodecError, OutputLimitExceeded
from asgi_serial.http.fields import MAX_LIST_BYTES, split_list

RATIO_FREE_BYTES = 1 << 20
"""The decoded size up to which any ratio is accepted; small bodies may shrink a thousandfold."""

DECODE_OFFLOAD_BYTES = 32 << 10
"""The encoded size from which decoding takes too long for the event loop: about 300 us."""

LOOP_WORK = 256 << 10
"""The work that is done on the event loop before a thread continues, about 1 ms.

Work is measured as the output of all codings in bytes, plus STEP_WORK for each step."""

STEP_WORK = 16 << 10
"""The work of a step in addition to its output; opening a zstd frame takes up to 60 us."""


class UnsupportedCoding(CodecError):
    """A body has an unsupported coding; `coding` is its lower-case name."""

    def __init__(self, coding: str) -> None:
        super().__init__(f"the content coding {coding!r} is not supported")
        self.coding = coding


class DecodeLimits(NamedTuple):
    """The limits of a body.

    `decoded_bytes` applies to the output of each coding. `ratio` (of decoded to encoded bytes)
    applies only above RATIO_FREE_BYTES. `codings` is the largest number of codings.
    """

    encoded_bytes: int
    decoded_bytes: int
    ratio: float
    codings: int


class BodyDecoder:
    """Collects one encoded body, and decodes it at its end.

    The ratio can be checked only for the whole body: otherwise a body could pass in one message and
    fail in hundreds. The decoder holds at most the encoded and the decoded body, an eighth of both
    on top, and the memory of the libraries (8 MB for zstd).
    """

    __slots__ = (
        "_body",
        "_decoders",
        "_first",
        "_gathered",
        "_limits",
        "_pieces",
        "_steps",
        "_work",
        "encoded_bytes",
    )

    # A client may send millions of tiny pieces. A list would hold an object for each.
    _gathered: BytesIO | None
    _body: bytes | None  # the decoded body, once it is complete
    _pieces: BytesIO | None
    _steps: Iterator[bytes] | None

    def __init__(
        self, codings: tuple[str, ...], codecs: Mapping[str, Codec], limits: DecodeLimits
    ) -> None:
        """Prepare to decode `codings`, in the order in which they were applied.

        Raises: UnsupportedCoding for a coding without a codec; CodecError for too many codings.
        """
        if len(codings) > limits.codings:
            raise CodecError(
                f"the body has {len(codings)} content codings; expected at most {limits.codings}"
            )
        try:
            # RFC 9110, 8.4: the sender lists "the content codings in the order in which they were
            # applied". So the last one is removed first.
            self._decoders = [codecs[coding].decoder() for coding in reversed(codings)]
        except KeyError as error:
            raise UnsupportedCoding(error.args[0]) from None
        self._limits = limits
        self.encoded_bytes = 0
        self._first = b""  # the first piece, usually the whole body
        self._gathered = self._body = self._pieces = self._steps = None
        self._work = 0

    @property
    def decoded_bytes(self) -> int:
        """The number of bytes that were decoded so far."""
        if self._body is not None:
            return len(self._body)
        return 0 if self._pieces is None else self._pieces.tell()

    def feed(self, chunk: bytes) -> None:
        """Add the next bytes of the encoded body.

        Raises: OutputLimitExceeded if the encoded body exceeds its limit.
        """
        before = self.encoded_bytes
        self.encoded_bytes = before + len(chunk)
        if self.encoded_bytes > self._limits.encoded_bytes:
            raise OutputLimitExceeded(
                f"the encoded body has more than {self._limits.encoded_bytes} bytes"
            )
        if not before:
            self._first = bytes(chunk)
            return
        if self._gathered is None:
            self._gathered = BytesIO()
            self._gathered.write(self._first)
            self._first = b""
        self._gathered.write(chunk)

    def decode(self, work: int | None = None) -> bool:
        """Decode the body for this much `work`, or to its end; return whether it is complete.

        Call it again to continue, also from another thread.

        Raises: CodecError if the body is corrupt, truncated, empty, or followed by other bytes;
            OutputLimitExceeded if it exceeds a limit.
        """
        if self._body is not None:
            return True
        if self._pieces is None or self._steps is None:
            encoded = self._first if self._gathered is None else self._gathered.getvalue()
            body = self._body = self._decode_at_once(encoded) if self._decoders else encoded
            if body is not None:
                return True
            self._pieces, self._steps = BytesIO(), self._begin(encoded)
        bound = None if work is None else self._work + work
        for piece in self._steps:
            self._pieces.write(piece)
            if bound is not None and self._work >= bound:
                return False
        self._body = self._pieces.getvalue()
        return True

    def finish(self) -> bytes:
        """Return the whole decoded body; any thread may call it.

        Without codings, it is the body as it arrived. Raises the errors of `decode`.
        """
        if self._body is None:
            self.decode()
            assert self._body is not None  # without a bound, `decode` ends with the body
        return self._body

    def _decode_at_once(self, encoded: bytes) -> bytes | None:
        """Return a short body with one coding that one step decodes; None for any other body."""
        if len(self._decoders) > 1 or not 0 < len(encoded) < DECODE_OFFLOAD_BYTES:
            return None
        decoded = self._decoders[0].decode_at_once(encoded)
        # The output of one step is smaller than RATIO_FREE_BYTES: the ratio does not apply.
        if decoded is not None and len(decoded) > self._limits.decoded_bytes:
            raise decodes_to_more_than(self._limits.decoded_bytes)
        return decoded

    def _begin(self, encoded: bytes) -> Iterator[bytes]:
        by_ratio = int(self._limits.ratio * self.encoded_bytes)
        limit = min(self._limits.decoded_bytes, max(by_ratio, RATIO_FREE_BYTES))
        pieces: Iterator[bytes] = iter((encoded,))
        for decoder in self._decoders:
            pieces = within(limit, self._through(decoder, pieces))
        return pieces

    def _through(self, decoder: Decoder, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Decode the output of the outer coding; yield a piece for each step."""
        for piece in pieces:
            if not piece:
                yield b""
                continue
            for decoded in decoder.pieces(piece):
                self._work += STEP_WORK + len(decoded)
                if sum([one.members for one in self._decoders]) > MAX_MEMBERS:
                    raise OutputLimitExceeded(f"the body has more than {MAX_MEMBERS} members")
                yield decoded
        decoder.finish()


def parse_content_encoding(value: bytes) -> tuple[str, ...]:
    """Return the lower-case codings of a Content-Encoding value, in the order of application.

    `identity` is left out, since it means no coding. A value longer than MAX_LIST_BYTES is not
    parsed, and counts as one unknown coding.

    >>> parse_content_encoding(b"X-GZip, br, identity")
    ('gzip', 'br')

    Source: RFC 9110, 8.4 and 8.4.1.
    """
    if len(value) > MAX_LIST_BYTES:
        return (f"{value[:40].decode('latin-1')}...",)
    codings = (element.decode("latin-1").lower() for element in split_list(value))
    aliases = coding_aliases()
    named = (aliases.get(coding, coding) for coding in codings)
    return tuple(coding for coding in named if coding != "identity")
