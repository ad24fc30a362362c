"""Write and read values in every format."""

from collections import Counter
from typing import Any, TypeVar

from asgi_serial.errors import FormatError
from asgi_serial.formats.cbor_reader import SELF_DESCRIBED
from asgi_serial.formats.pickle_format import MAGIC as PICKLE_MAGIC
from asgi_serial.serialization.config import SerializationConfig, SerializationFormat
from asgi_serial.serialization.encoding import UNWRITABLE, unwritable
from asgi_serial.serialization.models import ModelTypes
from asgi_serial.serialization.serializers import (
    CborSerializer,
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
    """Writes values as documents in any format, and reads them, without compression or caches."""

    def __init__(
        self, config: SerializationConfig, pickle_key: bytes, events: Counter[str]
    ) -> None:
        self.types = ModelTypes(
            config.pydantic_config,
            strict=config.strict_validation and config.enable_validation,
            check=config.check_round_trip,
        )
        self.by_format: dict[SerializationFormat, ModelSerializer] = {
            SerializationFormat.JSON: JSONSerializer(self.types),
            SerializationFormat.ORJSON: OrJSONSerializer(self.types),
            SerializationFormat.MSGPACK: MsgPackSerializer(self.types),
            SerializationFormat.PICKLE: PickleSerializer(self.types, pickle_key),
        }
        self.find(config.default_format)
        self._stand_in = config.fallback_format
        self._events = events

    def find(self, format: SerializationFormat) -> ModelSerializer:
        """Return the serializer of a format. Raises: ConfigurationError if it is not installed."""
        found = self.by_format.get(format)
        if found is None:
            found = self.by_format[format] = CborSerializer(self.types)
        return found

    def writer(self, format: SerializationFormat, cls: type) -> Writer:
        """Return the function that writes instances of a class."""
        write = self.find(format).writer(cls)
        # Only ORJSON falls back: JSON in its place has the same media type, which another format
        # would not have. Models do not fall back, as both write the same document for them.
        if format is not SerializationFormat.ORJSON or self._stand_in is format:
            return write
        return self._with_stand_in(write) if self._is_plain(cls) else write

    def writer_as(self, format: SerializationFormat, type_: Any) -> Writer:
        """Return the function that writes values as a type says. Raises: TypeError."""
        return self.find(format).writer_as(type_)

    def reader(self, format: SerializationFormat, type_: Any) -> Reader:
        """Return the function that reads values of a type. Raises: TypeError."""
        return self.find(format).reader(type_)

    def serialize(self, value: Any, format: SerializationFormat) -> bytes:
        """Write a model or plain data. Raises: FormatError."""
        cls = type(value)
        try:
            return self.writer(format, cls)(value)
        except UNWRITABLE as error:
            raise unwritable(cls.__qualname__, "JSON", error) from error

    def deserialize(self, data: bytes, model: type[M], format: SerializationFormat) -> M:
        """Read a value of a type. Raises: ValidationError for bytes that are not one."""
        found: M = self.reader(format, model)(data)
        return found

    def _is_plain(self, cls: type) -> bool:
        return self.types.of_instances(cls) is self.types.any

    def _with_stand_in(self, write: Writer) -> Writer:
        write_otherwise = self.types.any.write

        def write_somehow(value: Any, **options: Any) -> bytes:
            try:
                return write(value, **options)
            except FormatError:
                data: bytes = write_otherwise(value, **options)
            self._events["fallback: orjson cannot write the value, json can"] += 1
            return data

        return write_somehow


def detect_format(data: bytes) -> SerializationFormat | None:
    r"""Return the format of an uncompressed document; None if it is ambiguous.

    JSON begins with an ASCII character. A MessagePack document that begins with such a byte is a
    small integer of that one byte; this library does not write it so, but other software does.
    Signed pickles begin with a magic number, and CBOR with a tag for this purpose if it was written
    here; other CBOR is taken for MessagePack.

    >>> detect_format(b"{}"), detect_format(b"\x81\xa1a\x01"), detect_format(b"7")
    (<SerializationFormat.JSON: 'json'>, <SerializationFormat.MSGPACK: 'msgpack'>, None)
    """
    if data.startswith(PICKLE_MAGIC):
        return SerializationFormat.PICKLE
    # As MessagePack, this would be text that is not UTF-8.
    if data.startswith(SELF_DESCRIBED):
        return SerializationFormat.CBOR
    if data[:1] >= b"\x80":
        return SerializationFormat.MSGPACK
    return SerializationFormat.JSON if len(data) > 1 else None
