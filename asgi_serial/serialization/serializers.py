"""Write models as uncompressed documents and read them, with one class per format."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from asgi_serial.errors import FormatError
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.msgpack_format import MALFORMED, MsgPackFormat, choose_packer
from asgi_serial.formats.pickle_format import PickleFormat, is_value_class
from asgi_serial.formats.transcoding import build_transcoder, may_hold_nonfinite
from asgi_serial.serialization.models import ModelTypes, is_model_class, malformed
from asgi_serial.serialization.round_trip import UNWRITABLE, may_have_offset

M = TypeVar("M")

Writer: TypeAlias = Callable[[Any], bytes]
Reader: TypeAlias = Callable[[bytes], Any]

# Pydantic's own types whose pickles hold nothing but a value.
_PYDANTIC_VALUES = {
    *(("pydantic.types", name) for name in ("ByteSize", "SecretBytes", "SecretStr")),
    *(("pydantic_core._pydantic_core", name) for name in ("MultiHostUrl", "TzInfo", "Url")),
}


class ModelSerializer(ABC):
    """Writes models as documents of one format, without compression, and reads them."""

    @abstractmethod
    def writer(self, cls: type) -> Writer:
        """Return the function that writes instances of a class of models or plain data.

        The function raises FormatError for values that cannot be written, or not be read back.
        """

    @abstractmethod
    def reader(self, cls: type) -> Reader:
        """Return the function that reads instances of a model class.

        The function raises ValidationError for all bytes that are not a document of the class.

        Raises: TypeError if `cls` is not a model class.
        """

    def serialize(self, value: Any) -> bytes:
        """Write one value. Raises: FormatError."""
        return self.writer(type(value))(value)

    def deserialize(self, data: bytes, model: type[M]) -> M:
        """Read one instance. Raises: ValidationError; TypeError."""
        found: M = self.reader(model)(data)
        return found


class JSONSerializer(ModelSerializer):
    """JSON by pydantic-core, for models and for plain data of all types that Pydantic can write."""

    def __init__(self, types: ModelTypes) -> None:
        self._types = types

    def writer(self, cls: type) -> Writer:
        """Return the function that writes instances of a class."""
        return self._types.of(cls).write if is_model_class(cls) else _write_plain_json

    def reader(self, cls: type) -> Reader:
        """Return the function that reads instances of a model class."""
        return self._types.of(cls).validate


class OrJSONSerializer(ModelSerializer):
    """The same JSON for models; plain data by orjson, within its types."""

    def __init__(self, types: ModelTypes) -> None:
        self._types = types
        self._plain = JsonFormat()

    def writer(self, cls: type) -> Writer:
        """Return the function that writes instances of a class."""
        return self._types.of(cls).write if is_model_class(cls) else self._plain.dumps

    def reader(self, cls: type) -> Reader:
        """Return the function that reads instances of a model class."""
        return self._types.of(cls).validate


class MsgPackSerializer(ModelSerializer):
    """MessagePack with the values that JSON would hold, so that both are read alike.

    A small integer as a whole document is written in two bytes: one byte would be valid JSON.
    """

    def __init__(self, types: ModelTypes) -> None:
        self._types = types
        self._transcoder = build_transcoder()
        self._pack = choose_packer("auto")
        self._plain = MsgPackFormat()

    def writer(self, cls: type) -> Writer:
        """Return the function that writes instances of a class."""
        if not is_model_class(cls):
            return self._plain.dumps
        known = self._types.of(cls)
        pack, to_plain, has_times = self._pack, known.to_plain, known.has_times
        if known.is_read_back:
            return lambda model: _marked(self._transcoder.from_json(known.write(model)))

        def write(model: Any) -> bytes:
            try:
                data = pack(to_plain(model))
            except (*UNWRITABLE, *MALFORMED) as error:
                raise FormatError(
                    f"{known.name} cannot be written as MessagePack: {error}"
                ) from error
            if has_times and may_have_offset(data):
                known.write(model)
            if (b"\xcb" in data or b"\xca" in data) and may_hold_nonfinite(data):
                self._transcoder.to_json(data)
            return data if len(data) > 1 else _marked(data)

        return write

    def reader(self, cls: type) -> Reader:
        """Return the function that reads instances of a model class."""
        known = self._types.of(cls)
        to_json, validate = self._transcoder.to_json, known.validate

        def read(data: bytes) -> Any:
            try:
                text = to_json(data)
            except FormatError as error:
                reason = f"Invalid MessagePack: {error}"
                raise malformed(known.name, "msgpack_invalid", reason) from None
            return validate(text)

        return read


class PickleSerializer(ModelSerializer):
    """A signed pickle of the instance.

    Nothing is validated, since only holders of the key can write one. But the instance must be of
    the requested class, and the class must have the shape that it had when the pickle was written.
    Private attributes and excluded fields are preserved.
    """

    def __init__(self, types: ModelTypes, key: bytes) -> None:
        self._types = types
        self._pickle = PickleFormat(key, is_allowed=_may_be_pickled)

    def writer(self, cls: type) -> Writer:
        """Return the function that writes instances of a class."""
        context = self._types.of(cls).reading.fingerprint if is_model_class(cls) else b""
        return lambda value: self._pickle.dumps(value, context=context)

    def reader(self, cls: type) -> Reader:
        """Return the function that reads instances of a model class."""
        known = self._types.of(cls)

        def read(data: bytes) -> Any:
            try:
                found = self._pickle.loads(data, context=known.reading.fingerprint)
            except FormatError as error:
                raise malformed(known.name, "pickle_invalid", f"Invalid pickle: {error}") from None
            if not isinstance(found, cls):
                raise malformed(known.name, "pickle_invalid", "Invalid pickle: of another class")
            return found

        return read


def _marked(data: bytes) -> bytes:
    """Return MessagePack that cannot be mistaken for JSON: the integer 55 in one byte is `7`."""
    return b"\xcc" + data if len(data) == 1 and data < b"\x80" else data


def _write_plain_json(value: object) -> bytes:
    try:
        data = to_json(value, inf_nan_mode="constants")
        # RFC 8259, 6: JSON has no NaN and no infinity. The words may also occur in a string, so
        # only a parser can tell.
        if b"NaN" in data or b"Infinity" in data:
            from_json(data, allow_inf_nan=False)
    except (*UNWRITABLE, ValueError) as error:
        raise FormatError(f"the value cannot be written as JSON: {error}") from error
    return data


def _may_be_pickled(cls: type) -> bool:
    return (
        is_value_class(cls)
        or issubclass(cls, BaseModel)
        or is_dataclass(cls)
        or cls.__module__ == "pydantic.networks"
        or (cls.__module__, cls.__qualname__) in _PYDANTIC_VALUES
    )
