"""The exceptions of this package, divided by who can fix the cause."""


class AsgiSerialError(Exception):
    """The base class of all exceptions that this package raises."""


class ConfigurationError(AsgiSerialError, ValueError):
    """The settings are invalid; raised at construction, with a line for each fault."""


class FormatError(AsgiSerialError, ValueError):
    """A document is malformed, or contains a value that the other format cannot carry.

    `position` is the offset, in bytes, of the first invalid byte. `path` is the place of the value
    within the document (`$.items[3].id`). Either is None if it is unknown.
    """

    def __init__(
        self, message: str, *, position: int | None = None, path: str | None = None
    ) -> None:
        super().__init__(message)
        self.position = position
        self.path = path


class CodecError(AsgiSerialError, ValueError):
    """Encoded bytes are corrupt, truncated, or followed by other data."""


class OutputLimitExceeded(CodecError):
    """Decoding was stopped because its output exceeded the caller's limit."""
