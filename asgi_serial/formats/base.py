"""The interface of a format that documents are translated to and from."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

from asgi_serial.errors import FormatError

T = TypeVar("T")

MAX_CONTAINERS = 100_000
"""The limit of arrays and maps in a document that is translated; an empty one takes 60 bytes."""


class TooManyContainers(FormatError):
    """A document has more than MAX_CONTAINERS arrays and maps."""

    def __init__(self) -> None:
        super().__init__(f"the document has more than {MAX_CONTAINERS} arrays and maps")


def is_never_final(error: ValueError) -> bool:
    """Return False for every error."""
    return False


class Transcoder(Protocol):
    """Translates documents between JSON and one other format; thread-safe.

    Every value is preserved, or the document is refused.
    """

    @property
    def from_json_offload_bytes(self) -> int:
        """The size from which translating JSON takes too long for the event loop."""

    @property
    def to_json_offload_bytes(self) -> int:
        """The size from which translating to JSON takes too long for the event loop."""

    def from_json(self, data: bytes, /) -> bytes:
        """Write a JSON document in the other format. Raises: FormatError."""

    def to_json(self, data: bytes, /) -> bytes:
        """Write a document of the other format as JSON.

        Raises: FormatError; RecursionError, which is not the document's fault, where the caller has
            left no more than a few frames of the stack.
        """

    def build_reader(
        self,
        read_json: Callable[[bytes], T],
        refuse: Callable[[FormatError], Exception],
        *,
        read_plain: Callable[[Any], T] | None = None,
        is_final: Callable[[ValueError], bool] = is_never_final,
    ) -> Callable[[bytes], T]:
        """Return a function that applies `read_json` to the JSON of documents in the other format.

        NaN and infinities become the constants that Pydantic reads. For what `to_json` refuses
        otherwise, the function raises what `refuse` returns for the FormatError.

        `read_plain` does the same as `read_json` for the value that the JSON has, which spares
        writing the JSON. If it raises ValueError, `read_json` is called, and gives the error,
        unless `is_final` returns True for the first one.
        """

    @property
    def pack(self) -> Callable[[Any], bytes]:
        """Writes a value of JSON's types, or NaN or an infinity, in the other format.

        It raises ValueError, TypeError, OverflowError or RecursionError for a value that the format
        lacks, such as an integer beyond 64 bits.
        """

    @property
    def may_hold_nonfinite(self) -> Callable[[bytes], bool]:
        """Returns True for a document of the other format that may hold NaN or an infinity."""


class Format(NamedTuple):
    """A format, other than JSON, that can be negotiated."""

    name: str
    """A token, which the entity tags of its documents end in."""

    media_types: tuple[str, ...]
    """The media types of this format, in lower case, the preferred one first."""

    build: Callable[[int], Transcoder]
    """Returns a transcoder for documents with at most the given number of nested levels."""

    losses: tuple[str, ...]
    """Kinds of values that one of the two formats lacks; documents with them are refused."""


class Translation(NamedTuple):
    """One direction of a transcoder."""

    translate: Callable[[bytes], bytes]
    offload_bytes: int
