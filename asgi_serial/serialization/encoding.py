"""Write a value in a format of the middleware, with the values that its JSON holds."""

from collections.abc import Callable
from typing import Any

from pydantic_core import PydanticSerializationError, from_json

from asgi_serial.errors import FormatError
from asgi_serial.formats.base import Transcoder

UNWRITABLE = (PydanticSerializationError, UnicodeEncodeError, RecursionError)
"""The exceptions that Pydantic raises for a value that it cannot write as JSON, also for
what a user's own serializer raises."""


def unwritable(name: str, format: str, error: Exception) -> FormatError:
    """Return the error for a value that Pydantic, or the format, cannot write."""
    return FormatError(f"{name} cannot be written as {format}: {error}")


def build_packer(
    transcoder: Transcoder,
    to_plain: Callable[..., Any],
    to_json: Callable[..., bytes],
    *,
    name: str,
    format: str,
) -> Callable[..., bytes]:
    """Return a function that writes a value with Pydantic's options. It raises FormatError.

    `to_plain` and `to_json` convert the value to JSON's types, and to JSON. `name` and `format` are
    for messages.
    """
    pack, may_hold_nonfinite = transcoder.pack, transcoder.may_hold_nonfinite

    def write(value: Any, **options: Any) -> bytes:
        try:
            data = pack(to_plain(value, **options))
            # Pydantic applies `ser_json_inf_nan` only when it writes JSON.
            if may_hold_nonfinite(data):
                data = pack(from_json(to_json(value, **options)))
        except FormatError:
            raise
        # The packer's, for a value that the format lacks, or what a computed field raises, which
        # Pydantic reports as one of UNWRITABLE only if it writes JSON.
        except Exception as error:
            raise unwritable(name, format, error) from error
        return data

    return write
