"""The functions by which the cached values of one type are written and read, in one format."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from asgi_serial.errors import ConfigurationError, FormatError
from asgi_serial.serialization.config import SerializationFormat
from asgi_serial.serialization.encoding import UNWRITABLE
from asgi_serial.serialization.functions.copies import IMMUTABLE
from asgi_serial.serialization.read_back import find_change
from asgi_serial.serialization.round_trip import is_same
from asgi_serial.settings.values import parse_duration

if TYPE_CHECKING:
    from asgi_serial.serialization.models import ModelType
    from asgi_serial.serialization.pipeline import Pipeline

_LONGEST_PATH = 100
AS_BYTES = "bytes"
"""The format of values that are bytes themselves."""

UNFIT = (FormatError, ValidationError, *UNWRITABLE)
"""The exceptions for values that are not of their type, or that cannot be written and read."""


class ValueType(NamedTuple):
    """A type of cached values in one format, for one state of the configuration."""

    identity: ModelType
    """Another object for each type, and for each configuration by which values are read."""
    name: str
    format: str
    shape: bytes
    """A digest of the type's schema and of its format; a value of another shape is not read."""
    convert: Callable[[Any], Any]
    """Returns a value of the type; raises ValidationError."""
    write: Callable[[Any], bytes]
    """Returns the document of a value; raises one of UNFIT."""
    read: Callable[[bytes], Any]
    """Returns the value in a document, a new one for each call; raises ValidationError."""
    is_frozen: bool
    """Whether all values are deeply immutable, so that callers can share one."""
    is_pure: bool = False
    """Whether a value depends on nothing but its document, so that it may be copied instead."""
    is_exact: bool = False
    """Whether each value is read as it was written: bytes, and a pickle."""
    is_shared: bool = False
    """Whether callers share values that are not, and have to leave them as they are."""

    def is_immutable(self, value: object) -> bool:
        """Whether nothing can change a value."""
        return self.is_frozen or type(value) in IMMUTABLE or isinstance(value, Enum)

    def check_read_back(self, written: object, read: object) -> None:
        """Refuse a value that was read as another one. Raises: FormatError."""
        # A quick look finds most values the same: for a list of 100 models in a sixth of the time.
        path = None if is_same(written, read) else find_change(written, read)
        if path is not None:
            place = "the value" if path == "." else path[:_LONGEST_PATH]
            raise FormatError(f"{place} would be read as another value")


def value_type(
    pipeline: Pipeline, type_: Any, format: SerializationFormat | str | None
) -> ValueType:
    """Return the functions of a type.

    Raises: TypeError for a type that Pydantic cannot read; ValueError for an unknown format.
    """
    models = pipeline.models
    chosen = pipeline.choose(format)
    known = models.types.of(type_)
    convert = TypeAdapter(type_).validate_python
    if type_ is bytes:
        # Not all bytes are text, which JSON needs.
        return ValueType(
            known,
            known.name,
            AS_BYTES,
            b"bytes",
            convert,
            bytes,
            bytes,
            is_frozen=True,
            is_exact=True,
        )
    traits, write = known.reading, models.writer_as(chosen, type_)
    if chosen is not SerializationFormat.PICKLE:
        # The names by which the type is read, and no fields that it computes when it is read.
        write = partial(write, round_trip=True)
        if traits.by_alias is not None:  # Pydantic 2.10 refuses None
            write = partial(write, by_alias=traits.by_alias)
    shape = f"{chosen.value} {traits.fingerprint.hex()}".encode()
    return ValueType(
        known,
        known.name,
        chosen.value,
        shape,
        convert,
        write,
        models.reader(chosen, type_),
        is_frozen=traits.is_frozen,
        # A pickle may run code of its classes.
        is_pure=traits.is_pure and chosen is not SerializationFormat.PICKLE,
        is_exact=chosen is SerializationFormat.PICKLE,
    )


def seconds_of(name: str, value: object) -> float:
    """Return a duration in seconds. Raises: ConfigurationError."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ConfigurationError(f"{name} is {value!r}; expected {error}.") from None
