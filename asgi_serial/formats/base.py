"""The interface of a format that documents are translated to and from."""

from collections.abc import Callable
from typing import NamedTuple, Protocol


class Transcoder(Protocol):
    """Carries documents over between JSON and one other format; safe to share between threads.

    Every value is kept, or the document is refused.
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
        """Write a document of the other format as JSON. Raises: FormatError."""


class Format(NamedTuple):
    """A format that documents are negotiated in beside JSON."""

    name: str
    """A token: the entity tags of its documents end in it."""

    media_types: tuple[str, ...]
    """The media types that mean this format, in lower case, the preferred one first."""

    build: Callable[[int], Transcoder]
    """Return the transcoder of documents that are nested up to so many levels."""

    losses: tuple[str, ...]
    """What JSON or this format has no form for: documents with it are refused."""


class Translation(NamedTuple):
    """One direction of a transcoder."""

    translate: Callable[[bytes], bytes]
    offload_bytes: int
