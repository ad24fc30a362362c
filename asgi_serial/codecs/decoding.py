"""Decoding the body of a request by its Content-Encoding, within limits."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import NamedTuple

from asgi_serial.codecs.base import Codec, Decoder
from asgi_serial.codecs.bounded import MAX_MEMBERS, decodes_to_more_than, within
from asgi_serial.codecs.registry import coding_aliases
from asgi_serial.errors import CodecError, OutputLimitExceeded
from asgi_serial.http.fields import MAX_LIST_BYTES, split_list

RATIO_FREE_BYTES = 1 << 20
"""What a body may decode to at any ratio: small bodies may well compress a thousandfold."""

DECODE_OFFLOAD_BYTES = 32 << 10
"""The encoded size from which decoding takes too long for the event loop: some 300 us."""

LOOP_WORK = 256 << 10
"""How much may be decoded on the event loop before a thread goes on, however few bytes came: 1 ms.

Work is counted in the bytes that all codings decode to, each step of one being STEP_WORK more."""

STEP_WORK = 16 << 10
"""What a step of a decoder counts beside its output: opening a frame of zstd takes up to 60 us."""


class UnsupportedCoding(CodecError):
    """A body has a coding that is not decoded here; `coding` is its name in lower case."""

    def __init__(self, coding: str) -> None:
        super().__init__(f"the content coding {coding!r} is not decoded here")
        self.coding = coding


class DecodeLimits(NamedTuple):
    """How large a body may be before and after decoding.

    `decoded_bytes` holds after each of several codings. `ratio` is decoded to encoded bytes, and
    holds only above RATIO_FREE_BYTES. `codings` is how many may lie over one another.
    """

    encoded_bytes: int
    decoded_bytes: int
    ratio: float
    codings: int


class BodyDecoder:
    """One body, gathered as it is encoded and decoded at its end.

    The whole encoded body must be known to judge its ratio: were it judged as it arrives, a body
    could pass in one message and fail in hundreds. The most it holds is the encoded body, the
    decoded one and an eighth of both, and what the libraries need (for zstd 8 MB).
    """

    __slots__ = (
        "_decoded",
        "_decoders",
        "_encoded",
        "_further",
        "_limits",
        "_steps",
        "_work",
        "encoded_bytes",
    )

    def __init__(
        self, codings: tuple[str, ...], codecs: Mapping[str, Codec], limits: DecodeLimits
    ) -> None:
        """Take the codings in the order they were applied, as parse_content_encoding gives them.

        Raises: UnsupportedCoding for one that is not among `codecs`; CodecError for too many.
        """
        if len(codings) > limits.codings:
            raise CodecError(
                f"the body has {len(codings)} content codings; expected at most {limits.codings}"
            )
        self._decoders = _open_decoders(codings, codecs)
        self._limits = limits
        self._encoded = b""  # the first piece, which most often is all
        # A client may send its body in millions of pieces, each an object of its own.
        self._further: BytesIO | None = None
        self.encoded_bytes = 0
        self._decoded: bytes | BytesIO = b""
        self._work = 0
        self._steps: Iterator[bytes] | None = None

    @property
    def decoded_bytes(self) -> int:
        """How many bytes were decoded so far."""
        if not self._decoders:
            return self.encoded_bytes
        decoded = self._decoded
        return len(decoded) if isinstance(decoded, bytes) else decoded.tell()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the encoded body.

        Raises: OutputLimitExceeded where they pass the limit on it.
        """
        before = self.encoded_bytes
        self.encoded_bytes = before + len(chunk)
        if self.encoded_bytes > self._limits.encoded_bytes:
            raise OutputLimitExceeded(
                f"the encoded body has more than {self._limits.encoded_bytes} bytes"
            )
        if not before:
            self._encoded = bytes(chunk)
            return
        if self._further is None:
            self._further = BytesIO()
        self._further.write(chunk)

    def decode(self, work: int | None = None) -> bool:
        """Decode the body, or go on with it, until so much `work` was done; return whether it is
        complete.

        Another thread may go on. Raises: CodecError where the body is corrupt, truncated, empty, or
        followed by other bytes; OutputLimitExceeded where it passes a limit.
        """
        bound = None if work is None else self._work + work
        if self._steps is None:
            if not self._decoders or self._decode_at_once():
                self._steps = iter(())
            else:
                self._steps = self._begin()
        for piece in self._steps:
            self._decoded.write(piece)  # type: ignore[union-attr]  # since `_begin`
            if bound is not None and self._work >= bound:
                return False
        return True

    def finish(self) -> bytes:
        """Return the whole body, decoded; may be called once only, in any thread.

        Without codings it is the body as it came. Raises: as `decode`.
        """
        self.decode()
        decoded = self._decoded if self._decoders else self._gathered()
        return decoded if isinstance(decoded, bytes) else decoded.getvalue()

    def _gathered(self) -> bytes:
        further = self._further
        return self._encoded if further is None else self._encoded + further.getvalue()

    def _decode_at_once(self) -> bool:
        """Decode a short body of one coding by one call; return whether that was enough."""
        if len(self._decoders) > 1 or not 0 < self.encoded_bytes < DECODE_OFFLOAD_BYTES:
            return False
        decoded = self._decoders[0].decode_at_once(self._gathered())
        if decoded is None:
            return False
        if len(decoded) > (limit := self._decoded_limit()):
            raise decodes_to_more_than(limit)
        self._decoded = decoded
        return True

    def _begin(self) -> Iterator[bytes]:
        self._decoded = BytesIO()
        limit = self._decoded_limit()
        pieces: Iterator[bytes] = iter((self._gathered(),))
        for decoder in self._decoders:
            pieces = steps = within(limit, self._through(decoder, pieces))
        return steps

    def _through(self, decoder: Decoder, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Decode the pieces that the coding outside has decoded to; each step gives a piece."""
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

    def _decoded_limit(self) -> int:
        by_ratio = int(self._limits.ratio * self.encoded_bytes)
        return min(self._limits.decoded_bytes, max(by_ratio, RATIO_FREE_BYTES))


def parse_content_encoding(value: bytes) -> tuple[str, ...]:
    """The codings of a Content-Encoding value in lower case, in the order they were applied.

    `identity` is left out: it says that there is none (RFC 9110, 8.4.1). What is longer than any
    list of codings is one coding that nobody knows.
    Source: RFC 9110, 8.4 and 8.4.1.

    >>> parse_content_encoding(b"X-GZip, br, identity")
    ('gzip', 'br')
    """
    if len(value) > MAX_LIST_BYTES:
        return (f"{value[:40].decode('latin-1')}...",)
    codings = (element.decode("latin-1").lower() for element in split_list(value))
    aliases = coding_aliases()
    named = (aliases.get(coding, coding) for coding in codings)
    return tuple(coding for coding in named if coding != "identity")


def _open_decoders(codings: tuple[str, ...], codecs: Mapping[str, Codec]) -> list[Decoder]:
    decoders = []
    # "the content codings in the order in which they were applied" (RFC 9110, 8.4): the last one
    # comes off first.
    for coding in reversed(codings):
        if coding not in codecs:
            raise UnsupportedCoding(coding)
        decoders.append(codecs[coding].decoder())
    return decoders
