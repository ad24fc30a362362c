"""Every format over one set of known classes."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from asgi_serial.errors import FormatError
from asgi_serial.formats.pickle_format import MAGIC as PICKLE_MAGIC
from asgi_serial.serialization.config import SerializationConfig, SerializationFormat
from asgi_serial.serialization.models import ModelTypes, is_model_class
from asgi_serial.serialization.serializers import (
    JSONSerializer,
    ModelSerializer,
    MsgPackSerializer,
    OrJSONSerializer,
    PickleSerializer,
    Reader,
    Writer,
)

M = TypeVar("M")


class PydanticModelSerializer:
    """Writes models as documents of any format and reads them; without compression or caches."""

    def __init__(
        self, config: SerializationConfig, pickle_key: bytes, events: Counter[str]
    ) -> None:
        self.types = ModelTypes(
            config.pydantic_config,
            strict=config.strict_validation and config.enable_validation,
            check=config.check_round_trip,
        )
        self.by_format: Mapping[SerializationFormat, ModelSerializer] = {
            SerializationFormat.JSON: JSONSerializer(self.types),
            SerializationFormat.ORJSON: OrJSONSerializer(self.types),
            SerializationFormat.MSGPACK: MsgPackSerializer(self.types),
            SerializationFormat.PICKLE: PickleSerializer(self.types, pickle_key),
        }
        self._stand_in = config.fallback_format
        self._events = events

    def writer(self, format: SerializationFormat, cls: type) -> Writer:
        """What writes instances of a class; FormatError where it can not."""
        write = self.by_format[format].writer(cls)
        # Another media type than the one asked for would be a lie; JSON for ORJSON is none. A
        # model is the same document in both.
        if format is not SerializationFormat.ORJSON or self._stand_in is format:
            return write
        return write if is_model_class(cls) else self._with_stand_in(write, cls)

    def reader(self, format: SerializationFormat, cls: type) -> Reader:
        """What reads instances of a class; ValidationError for any bytes that are none."""
        return self.by_format[format].reader(cls)

    def serialize(self, value: Any, format: SerializationFormat) -> bytes:
        """Write a model, or plain data. Raises: FormatError, where it could not be read back."""
        return self.writer(format, type(value))(value)

    def deserialize(self, data: bytes, model: type[M], format: SerializationFormat) -> M:
        """Read an instance of a class. Raises: ValidationError, for any bytes that are none."""
        found: M = self.reader(format, model)(data)
        return found

    def _with_stand_in(self, write: Writer, cls: type) -> Writer:
        write_otherwise = self.by_format[self._stand_in].writer(cls)

        def write_somehow(value: Any) -> bytes:
            try:
                return write(value)
            except FormatError:
                data = write_otherwise(value)
            self._events["fallback: orjson can not write the value, json can"] += 1
            return data

        return write_somehow


def detect_format(data: bytes) -> SerializationFormat | None:
    r"""The format of a document without compression; None where it may be two of them.

    JSON begins with a character of ASCII; a MessagePack document that begins with such a byte is
    a small integer, and ends with it; only other software writes it so. Signed pickles have a
    beginning of their own.

    >>> detect_format(b"{}"), detect_format(b"\x81\xa1a\x01"), detect_format(b"7")
    (<SerializationFormat.JSON: 'json'>, <SerializationFormat.MSGPACK: 'msgpack'>, None)
    """
    if data.startswith(PICKLE_MAGIC):
        return SerializationFormat.PICKLE
    if data[:1] >= b"\x80":
        return SerializationFormat.MSGPACK
    return SerializationFormat.JSON if len(data) > 1 else None
