"""Turn a value into a payload and back, for one state of the configuration."""

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from time import perf_counter_ns
from typing import Any, NamedTuple

from pydantic import ValidationError

from asgi_serial.cache.encodings import Encoded, Encodings
from asgi_serial.cache.entry import Key
from asgi_serial.codecs.decoding import DECODE_OFFLOAD_BYTES
from asgi_serial.errors import CodecError, FormatError, OutputLimitExceeded
from asgi_serial.serialization.compression import Packer, compression_of
from asgi_serial.serialization.config import SerializationConfig, SerializationFormat
from asgi_serial.serialization.encoding import UNWRITABLE, unwritable
from asgi_serial.serialization.model_serializer import PydanticModelSerializer, detect_format
from asgi_serial.serialization.models import (
    VALIDATOR,
    has_many_faults,
    key_of,
    malformed,
    name_of,
)
from asgi_serial.serialization.options import WriteOptions, check_options
from asgi_serial.serialization.profiler import FULL, ReadSeries, SerializationProfiler, Series
from asgi_serial.serialization.serializers import Reader, Writer
from asgi_serial.serialization.validation_cache import ValidationCache

_JSON, _ORJSON, _MSGPACK, _CBOR, _PICKLE = SerializationFormat
# The first bytes of the frames of zstd and gzip.
_FRAMES = frozenset((0x28, 0x1F))
_REFUSALS = (FormatError, *UNWRITABLE)
# Classes defined in functions are new with every call. Beyond this number all routes are made anew.
_MAX_ROUTES = 4_000


class Shared(NamedTuple):
    """The caches and counters that outlive a change of the configuration."""

    encodings: Encodings
    validation: ValidationCache
    events: Counter[str]
    profiler: SerializationProfiler


class Realm(NamedTuple):
    """The parts of a cache key that depend on the configuration."""

    settings: Key
    signer: bytes
    """The additional part for signed payloads."""


@dataclass(slots=True)
class WriteRoute:
    """The writer of a type in a format, and the series of its measurements."""

    operation: str
    model: str
    series: Series
    write: Writer
    format: SerializationFormat
    shape: str | bytes
    """The part of a cache key that depends on the type."""
    attributes: Mapping[str, Any]
    """The attributes of the class; once it was rebuilt, they have another `validator`."""
    validator: object


@dataclass(slots=True)
class ReadRoute:
    """The reader of a type in a format, and the series of its measurements."""

    operation: str
    model: str
    series: ReadSeries
    read: Reader
    attributes: Mapping[str, Any]
    """The attributes of the class; once it was rebuilt, they have another `validator`."""
    validator: object


class _Declared(NamedTuple):
    """The key of a declared type; distinct from the same class as the class of a value."""

    key: Hashable


class Pipeline:
    """The synchronous core of a manager, replaced on changes of the configuration; thread-safe."""

    def __init__(
        self, config: SerializationConfig, pickle_key: bytes, shared: Shared, realm: Realm
    ) -> None:
        self.models = PydanticModelSerializer(config, pickle_key, shared.events)
        self.packer = Packer(config)
        self.realm = realm
        self._max_bytes = config.max_decoded_size
        self.default_format = config.default_format
        self.is_caching = config.enable_caching
        self._shared = shared
        # By the format and the class of the value, or the declared type.
        self._write_routes: dict[tuple[Any, Any], WriteRoute] = {}
        self._read_routes: dict[tuple[Any, Any], ReadRoute] = {}
        self.is_compressing = config.enable_compression
        # Without compression, only documents that may be too large need a look.
        self.look_bytes = config.max_decoded_size + 1
        if config.enable_compression:
            self.look_bytes = min(self.look_bytes, config.compression_threshold)
        self._keeps_models = (
            config.enable_caching and config.enable_validation and config.cache_validation
        )
        self._strictness = "strict" if config.strict_validation else "lax"
        # Nearly every JSON document begins with a brace, which spares detecting its format.
        self._usual_lead = ord("{") if config.default_format in (_JSON, _ORJSON) else -1
        self._is_profiling = config.enable_profiling
        self._slow_ns = int(config.profile_threshold * 1e9)

    def serialize(
        self,
        value: Any,
        format: SerializationFormat | str | None,
        options: WriteOptions,
        *,
        compress: bool,
        as_type: Any,
    ) -> bytes:
        """Return the payload of a value.

        Raises: FormatError; ValueError for an unknown format; TypeError for an unknown option.
        """
        is_profiling = self._is_profiling
        began_ns = perf_counter_ns() if is_profiling else 0
        try:
            route = self._write_routes[format, type(value)]
            is_fitting = as_type is None and route.attributes[VALIDATOR] is route.validator
        except KeyError:
            is_fitting = False
        if not is_fitting:
            route = self.write_route(format, value, as_type)
        if options:
            payload = document = self.write(route, value, check_options(options))
        else:
            try:
                payload = document = route.write(value)
            except _REFUSALS as error:
                raise self._refusal(route, error) from error
        if len(document) >= self.look_bytes:
            payload = self.pack(route, document, compress=compress)
        if is_profiling:
            # An inlined Series.record, which spares a call.
            duration_ns = perf_counter_ns() - began_ns
            waiting = route.series.waiting
            waiting += (duration_ns, len(document), len(payload))
            if duration_ns >= self._slow_ns or len(waiting) >= FULL:
                self.settle(route, duration_ns)
        return payload

    def write(self, route: WriteRoute, value: Any, options: Mapping[str, Any]) -> bytes:
        """Return the document of a value. Raises: FormatError."""
        try:
            return route.write(value, **options)
        except _REFUSALS as error:
            raise self._refusal(route, error) from error

    def _refusal(self, route: WriteRoute, error: Exception) -> FormatError:
        self.count_refusal(route.operation)
        if isinstance(error, FormatError):
            return error
        return unwritable(route.model, "JSON", error)

    def write_route(
        self, format: SerializationFormat | str | None, value: Any, as_type: Any
    ) -> WriteRoute:
        """Return the route of a value's class, or of a declared type, in a format.

        Raises: ValueError for an unknown format; TypeError for a type that Pydantic cannot read.
        """
        is_declared = as_type is not None
        key = format, (_Declared(key_of(as_type)) if is_declared else type(value))
        route = self._write_routes.get(key)
        if route is None or route.attributes.get(VALIDATOR) is not route.validator:
            chosen, models = self.choose(format), self.models
            operation = f"serialize.{chosen.value}"
            if is_declared:
                name, write = name_of(as_type), models.writer_as(chosen, as_type)
                known = models.types.of(as_type)
                shape: str | bytes = known.reading.fingerprint
            else:
                cls = type(value)
                name, write = cls.__qualname__, models.writer(chosen, cls)
                known = models.types.of_instances(cls)
                shape = name if known is models.types.any else known.reading.fingerprint
            series = self._shared.profiler.series(operation, name)
            route = WriteRoute(
                operation, name, series, write, chosen, shape, known.attributes, known.validator
            )
            _bound(self._write_routes)
            self._write_routes[key] = route
        return route

    def choose(self, format: SerializationFormat | str | None) -> SerializationFormat:
        """Return the format of a call. Raises: ValueError for an unknown format."""
        return self.default_format if format is None else SerializationFormat(format)

    def pack(self, route: WriteRoute, document: bytes, *, compress: bool) -> bytes:
        """Return the payload of a document of at least `look_bytes`. Raises: FormatError."""
        self.packer.check_size(document)
        if not (compress and self.is_compressing):
            return document
        codec, encodings = self.packer.codec, self._shared.encodings
        if not self.is_caching or not encodings.wants(
            route.model, len(document), min_bytes=codec.recall_bytes
        ):
            return self._compress(route, document)
        digest, level = blake2b(document, digest_size=16).digest(), str(self.packer.level)
        found = encodings.find(route.model, digest, level, codec.name)
        if found is None:
            found = Encoded(level, codec.name, self._compress(route, document), len(document))
            encodings.keep(digest, level, codec.name, found)
        return found.content

    def _compress(self, route: WriteRoute, document: bytes) -> bytes:
        began_ns = perf_counter_ns()
        payload = self.packer.pack(document)
        if self._is_profiling:
            name = f"compression.{self.packer.codec.name}"
            self._shared.profiler.series(name, route.model).record(
                perf_counter_ns() - began_ns, len(document), len(payload)
            )
        return payload

    def note(self, route: WriteRoute, began_ns: int, document: bytes, payload: bytes) -> None:
        """Record a serialization that ends now."""
        if self._is_profiling:
            duration_ns = perf_counter_ns() - began_ns
            route.series.waiting += (duration_ns, len(document), len(payload))
            self.settle(route, duration_ns)

    def settle(self, route: "WriteRoute | ReadRoute", duration_ns: int) -> None:
        """Count a full batch of measurements, and log a slow operation."""
        if len(route.series.waiting) >= FULL:
            route.series.count()
        if duration_ns >= self._slow_ns:
            self._shared.profiler.log_slow(route.operation, route.model, duration_ns)

    def opens_slowly(self, payload: bytes) -> bool:
        """Whether decompression may block an event loop for too long."""
        return len(payload) >= DECODE_OFFLOAD_BYTES and bool(compression_of(payload))

    def open(self, payload: bytes, model: Any) -> bytes:
        """Return the document in a payload. Raises: ValidationError."""
        if len(payload) <= self._max_bytes and (not payload or payload[0] not in _FRAMES):
            return payload
        began_ns = perf_counter_ns()
        name = name_of(model)
        try:
            document = self.packer.unpack(payload)
        except CodecError as error:
            is_large = isinstance(error, OutputLimitExceeded)
            kind = "document_too_large" if is_large else "compression_invalid"
            self.count_refusal(kind)
            raise malformed(name, kind, f"Invalid payload: {error}") from None
        if self._is_profiling and document is not payload:
            self._shared.profiler.series("decompression", name).record(
                perf_counter_ns() - began_ns, len(document), len(payload)
            )
        return document

    def read(
        self, document: bytes, model: Any, format: SerializationFormat | str | None, began_ns: int
    ) -> Any:
        """Return the value in a document that was opened; `began_ns` is the start of it all.

        Raises: ValidationError; ValueError for an unknown format; TypeError for an unknown type.
        """
        opened_ns = perf_counter_ns()
        try:
            if format is None:
                format = self._format_of(document, model)
            route = self._read_route(format, model)
            found = route.read(document)
        except ValidationError as error:
            self.count_refusal(_kind_of(error))
            raise
        if self._is_profiling:
            now_ns = perf_counter_ns()
            duration_ns = now_ns - began_ns
            route.series.record_opened(duration_ns, len(document), now_ns - opened_ns)
            if duration_ns >= self._slow_ns:
                self.settle(route, duration_ns)
        return found

    def deserialize(self, data: Any, model: Any, format: SerializationFormat | str | None) -> Any:
        """Return the value in a payload.

        Raises: ValidationError for bytes that are not a payload of the type; ValueError for an
            unknown format; TypeError if the data is not bytes, or Pydantic cannot read the type.
        """
        is_profiling = self._is_profiling
        began_ns = perf_counter_ns() if is_profiling else 0
        document = data if type(data) is bytes else as_bytes(data)
        size = len(document)
        if size > self._max_bytes or (size and document[0] in _FRAMES):
            return self.read(self.open(document, model), model, format, began_ns)
        try:
            # Nearly every document has the usual lead, which spares detecting its format.
            if format is None and (size < 2 or document[0] != self._usual_lead):
                format = self._format_of(document, model)
            try:
                # A type other than a class is entered by another key, which is computed first.
                route = self._read_routes[format, model]
                if route.attributes[VALIDATOR] is not route.validator:
                    route = self._read_route(format, model)
            except (KeyError, TypeError):
                route = self._read_route(format, model)
            found = route.read(document)
        except ValidationError as error:
            self.count_refusal(_kind_of(error))
            raise
        if is_profiling:
            duration_ns = perf_counter_ns() - began_ns
            waiting = route.series.waiting
            waiting += (duration_ns, size)
            if duration_ns >= self._slow_ns or len(waiting) >= FULL:
                self.settle(route, duration_ns)
        return found

    def _format_of(self, document: bytes, model: Any) -> SerializationFormat:
        default = self.default_format
        found = detect_format(document)
        if found is None and default is _MSGPACK and document.isdigit():
            reason = "Invalid payload: it may be JSON or MessagePack; name its format"
            raise malformed(name_of(model), "format_ambiguous", reason)
        if found is None or found is default or (found is _JSON and default is _ORJSON):
            return default
        if found is _PICKLE:
            # The sender of the bytes must not be able to choose that they are unpickled.
            reason = (
                "Invalid payload: it is a pickle, which is read only if the call names the format "
                "PICKLE, or if that is the default"
            )
            raise malformed(name_of(model), "pickle_unasked", reason)
        return found

    def _read_route(self, format: SerializationFormat | str | None, type_: Any) -> ReadRoute:
        key = format, key_of(type_)
        route = self._read_routes.get(key)
        if route is not None and route.attributes.get(VALIDATOR) is route.validator:
            return route
        chosen = self.choose(format)
        read = self.models.reader(chosen, type_)
        known = self.models.types.of(type_)
        if self._keeps_models and known.reading.is_frozen and chosen is not _PICKLE:
            # ORJSON and JSON are read in the same way.
            variant = f"{self._strictness} {'json' if chosen is _ORJSON else chosen.value}"
            read = self._shared.validation.around(read, known, variant)
        operation = f"deserialize.{chosen.value}"
        series = self._shared.profiler.read_series(operation, known.name)
        route = ReadRoute(operation, known.name, series, read, known.attributes, known.validator)
        _bound(self._read_routes)
        self._read_routes[key] = route
        return route

    def count_refusal(self, reason: str) -> None:
        """Count a value that was not written, or a payload that was not read."""
        self._shared.events[f"refusal: {reason}"] += 1


def _kind_of(error: ValidationError) -> str:
    if has_many_faults(error):
        return "many_faults"
    return str(error.errors(include_url=False, include_input=False)[0]["type"])


def _bound(routes: dict[Any, Any]) -> None:
    if len(routes) >= _MAX_ROUTES:
        routes.clear()


def as_bytes(data: Any) -> bytes:
    """Return the bytes of a buffer or of text. Raises: TypeError."""
    if isinstance(data, str):
        return data.encode("utf-8", "surrogatepass")
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"the data is of type {type(data).__name__}; expected bytes")
