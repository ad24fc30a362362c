"""The error tree, split by whose fault an error is."""


class AsgiSerialError(Exception):
    """The root of every error that this package raises."""


class ConfigurationError(AsgiSerialError, ValueError):
    """The settings are wrong; raised at construction, and it names every fault at once."""


class FormatError(AsgiSerialError, ValueError):
    """A document is malformed, or holds a value that the other format can not carry.

    `position` is the offset in bytes at which the document stops making sense, and `path` the
    place of the value inside it (`$.items[3].id`); either is None where it is not known.
    """

    def __init__(
        self, message: str, *, position: int | None = None, path: str | None = None
    ) -> None:
        super().__init__(message)
        self.position = position
        self.path = path


class CodecError(AsgiSerialError, ValueError):
    """Encoded bytes are corrupt, truncated, or followed by what does not belong to them."""


class OutputLimitExceeded(CodecError):
    """Decoding was stopped since its output passed the limit that the caller gave."""
