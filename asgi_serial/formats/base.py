"""What a format promises."""

from typing import Protocol


class Format(Protocol):
    """A way to write a document as bytes: JSON, MessagePack, ..."""

    @property
    def name(self) -> str:
        """The short name used in settings and reports, such as `json`."""

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types that mean this format, the preferred one first, lower case."""

    @property
    def wire(self) -> bool:
        """Whether the format may cross the network; False keeps it from every negotiation."""

    def dumps(self, value: object) -> bytes:
        """Write `value`, whose every part is kept. Raises: FormatError."""

    def loads(self, data: bytes) -> object:
        """Read one whole document. Raises: FormatError, for any malformed input."""
