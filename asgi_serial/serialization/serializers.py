"""Write values as uncompressed documents and read them, with one class per format."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from asgi_serial.errors import FormatError
from asgi_serial.formats.base import Transcoder
from asgi_serial.formats.cbor_format import CborTranscoder
from asgi_serial.formats.cbor_reader import SELF_DESCRIBED
from asgi_serial.formats.json_format import JsonFormat
from asgi_serial.formats.pickle_format import PickleFormat, is_value_class
from asgi_serial.formats.transcoding import MsgPackTranscoder, build_transcoder
from asgi_serial.serialization.encoding import UNWRITABLE, build_packer, unwritable
from asgi_serial.serialization.models import (
    ModelType,
    ModelTypes,
    has_many_faults,
    is_model_class,
    malformed,
)

M = TypeVar("M")

Writer: TypeAlias = Callable[..., bytes]
"""Writes a value, with Pydantic's options as keyword arguments.

It raises FormatError for a value that is refused, or one of UNWRITABLE."""
Reader: TypeAlias = Callable[[bytes], Any]
"""Reads a value; raises ValidationError for all bytes that are not a document of its type."""

# Pydantic's own types whose pickles hold nothing but a value.
_PYDANTIC_VALUES = {
    *(("pydantic.types", name) for name in ("ByteSize", "Secret", "SecretBytes", "SecretStr")),
    *(("pydantic_core._pydantic_core", name) for name in ("MultiHostUrl", "TzInfo", "Url")),
}


class ModelSerializer(ABC):
    """Writes values as documents of one format, without compression, and reads them."""

    def __init__(self, types: ModelTypes) -> None:
        self._types = types

    def writer(self, cls: type) -> Writer:
        """Return the function that writes instances of a class of models or plain data."""
        return self._build_writer(self._types.of_instances(cls), cls.__qualname__)

    def writer_as(self, type_: Any) -> Writer:
        """Return the function that writes values as a type says. Raises: TypeError."""
        known = self._types.of(type_)
        return self._build_writer(known, known.name)

    def reader(self, type_: Any) -> Reader:
        """Return the function that reads values of a type. Raises: TypeError."""
        return self._build_reader(self._types.of(type_))

    @abstractmethod
    def _build_writer(self, known: ModelType, name: str) -> Writer:
        """Return the function that writes values; `name` is for messages."""

    @abstractmethod
    def _build_reader(self, known: ModelType) -> Reader:
        """Return the function that reads values."""

    def serialize(self, value: Any) -> bytes:
        """Write one value. Raises: FormatError."""
        cls = type(value)
        try:
            return self.writer(cls)(value)
        except UNWRITABLE as error:
            raise unwritable(cls.__qualname__, "JSON", error) from error

    def deserialize(self, data: bytes, type_: type[M]) -> M:
        """Read one value. Raises: ValidationError; TypeError."""
        found: M = self.reader(type_)(data)
        return found


class JSONSerializer(ModelSerializer):
    """JSON by pydantic-core."""

    def _build_writer(self, known: ModelType, name: str) -> Writer:
        return known.write

    def _build_reader(self, known: ModelType) -> Reader:
        return known.validate


class OrJSONSerializer(JSONSerializer):
    """The same JSON for models; plain data by orjson, within its types."""

    def __init__(self, types: ModelTypes) -> None:
        super().__init__(types)
        self._plain = JsonFormat()

    def _build_writer(self, known: ModelType, name: str) -> Writer:
        return known.write if known is not self._types.any else self._write_plain

    def _write_plain(self, value: Any, **options: Any) -> bytes:
        # Options are Pydantic's, and concern models, which are beyond orjson.
        return self._types.any.write(value, **options) if options else self._plain.dumps(value)


class WireSerializer(ModelSerializer):
    """A format of the middleware, with the values that JSON would hold, so that both read alike."""

    name: str
    title: str

    def __init__(self, types: ModelTypes, transcoder: Transcoder) -> None:
        super().__init__(types)
        self._transcoder = transcoder

    def _build_writer(self, known: ModelType, name: str) -> Writer:
        to_plain, to_json = known.to_plain, known.write
        if self._types.is_checking:
            to_plain = _through(to_json)
        return build_packer(self._transcoder, to_plain, to_json, name=name, format=self.title)

    def _build_reader(self, known: ModelType) -> Reader:
        return self._transcoder.build_reader(
            known.validate,
            partial(self._refuse, known.name),
            read_plain=known.validate_plain,
            # Their places are the same in JSON, and only some messages name Python's types.
            is_final=has_many_faults,
        )

    def _refuse(self, name: str, error: FormatError) -> ValidationError:
        return malformed(name, f"{self.name}_invalid", f"Invalid {self.title}: {error}")


class MsgPackSerializer(WireSerializer):
    """MessagePack with the values that JSON would hold.

    A small integer as a whole document is written in two bytes: one byte would be valid JSON.
    """

    name = MsgPackTranscoder.name
    title = "MessagePack"

    def __init__(self, types: ModelTypes) -> None:
        super().__init__(types, build_transcoder())

    def _build_writer(self, known: ModelType, name: str) -> Writer:
        pack = super()._build_writer(known, name)

        def write(value: Any, **options: Any) -> bytes:
            data = pack(value, **options)
            return data if len(data) > 1 or data >= b"\x80" else b"\xcc" + data

        return write


class CborSerializer(WireSerializer):
    """CBOR with the values that JSON would hold, behind the tag that says that it is CBOR.

    Raises: ConfigurationError if cbor2 is not installed.
    """

    name = CborTranscoder.name
    title = "CBOR"

    def __init__(self, types: ModelTypes) -> None:
        super().__init__(types, CborTranscoder())

    def _build_writer(self, known: ModelType, name: str) -> Writer:
        pack = super()._build_writer(known, name)

        def write(value: Any, **options: Any) -> bytes:
            # RFC 8949, 3.4.6: the tag tells CBOR from other formats where nothing else says it.
            return SELF_DESCRIBED + pack(value, **options)

        return write


class PickleSerializer(ModelSerializer):
    """A signed pickle of the instance.

    Nothing is validated, since only holders of the key can write one. But the value must be of the
    requested type, and each class must have the shape that it had when the pickle was written.
    Private attributes and excluded fields are preserved.
    """

    def __init__(self, types: ModelTypes, key: bytes) -> None:
        super().__init__(types)
        self._pickle = PickleFormat(key, is_allowed=_may_be_pickled, shape_of=self._shape_of)

    def _build_writer(self, known: ModelType, name: str) -> Writer:
        def write(value: Any, **options: Any) -> bytes:
            if any(options.values()):
                raise FormatError(
                    f"{name} cannot be pickled with {', '.join(sorted(options))}: a pickle holds"
                    " the whole instance; leave out the options, or choose another format"
                )
            return self._pickle.dumps(value)

        return write

    def _build_reader(self, known: ModelType) -> Reader:
        def read(data: bytes) -> Any:
            try:
                found = self._pickle.loads(data)
            except FormatError as error:
                raise malformed(known.name, "pickle_invalid", f"Invalid pickle: {error}") from None
            if not known.is_instance(found):
                reason = f"Invalid pickle: it holds an object of type {type(found).__qualname__}"
                raise malformed(known.name, "pickle_invalid", reason)
            return found

        return read

    def _shape_of(self, cls: type) -> bytes:
        return self._types.of(cls).reading.fingerprint if is_model_class(cls) else b""


def _through(to_json: Writer) -> Callable[..., Any]:
    def to_plain(value: Any, **options: Any) -> Any:
        return from_json(to_json(value, **options))

    return to_plain


@lru_cache(2_000)
def _may_be_pickled(cls: Any) -> bool:
    return (
        is_value_class(cls)
        or issubclass(cls, BaseModel)
        or is_dataclass(cls)
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
        or cls.__module__ == "pydantic.networks"
        or (cls.__module__, cls.__qualname__) in _PYDANTIC_VALUES
    )
