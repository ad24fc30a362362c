"""The library's configuration, validated on creation and on every change."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    ValidationError,
)

from asgi_serial.errors import ConfigurationError
from asgi_serial.serialization.environment import read_environment
from asgi_serial.settings.values import (
    explain_unknown,
    explain_value,
    integer,
    optional,
    parse_duration,
    parse_size,
    parse_switch,
)


class _ByName(StrEnum):
    """An enum whose members are looked up by name or value, in any case."""

    @classmethod
    def _find(cls, value: object) -> Self | None:
        """Return the member of a name or value; None if there is none."""
        wanted = value.strip().lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value == wanted), None)

    @classmethod
    def _missing_(cls, value: object) -> Self:
        found = cls._find(value)
        if found is None:
            names = ", ".join(member.name for member in cls)
            raise ValueError(f"{value!r} is not a valid {cls.__name__}; expected one of {names}")
        return found


class SerializationFormat(_ByName):
    """The formats in which models are written.

    >>> SerializationFormat("JSON").value
    'json'
    """

    JSON = "json"
    """JSON by pydantic-core, for models and plain data of all types that Pydantic can write."""
    ORJSON = "orjson"
    """The same JSON for models; plain data by orjson."""
    MSGPACK = "msgpack"
    """MessagePack with the values that JSON would hold."""
    CBOR = "cbor"
    """CBOR with the values that JSON would hold; needs the extra `cbor`."""
    PICKLE = "pickle"
    """A signed pickle, only for holders of the same key; never for clients."""


class CompressionLevel(_ByName):
    """The trade-off between speed and size."""

    FAST = "fast"
    BALANCED = "balanced"
    MAX = "max"


def _member_of(cls: type[_ByName], *refused: _ByName) -> Callable[[object], Any]:
    allowed = [member for member in cls if member not in refused]

    def parse_member(value: object) -> _ByName | None:
        member = cls._find(value)
        if member in allowed:
            return member
        raise ValueError(f"one of {', '.join(member.name for member in allowed)}")

    return parse_member


def _codec(value: object) -> str:
    if value in ("zstd", "gzip"):
        return str(value)
    raise ValueError("zstd or gzip")


def _seconds(longest: float) -> Callable[[object], float]:
    def parse_seconds(value: object) -> float:
        try:
            seconds = parse_duration(value)
        except ValueError:
            seconds = longest + 1
        if seconds <= longest:
            return seconds
        raise ValueError(f"a duration such as 100ms, 5s or 0.1 (seconds), up to {longest:g} s")

    return parse_seconds


def _pickle_key(value: object) -> SecretStr:
    secret = value.get_secret_value() if isinstance(value, SecretStr) else value
    # 16 characters hold at most 128 bits, beyond any guessing; ordinary text holds less.
    if isinstance(secret, str) and len(secret.strip()) >= 16:
        return SecretStr(secret)
    raise ValueError("a secret of at least 16 characters")


def _url(value: object) -> SecretStr:
    url = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(url, str) and "://" in url:
        return SecretStr(url)
    raise ValueError("a URL such as redis://host:6379/0 or memcached://host:11211")


def _pydantic_config(value: object) -> Any:
    if isinstance(value, Mapping):
        known = ConfigDict.__annotations__
        unknown = [name for name in value if name not in known]
        if not unknown:
            return dict(value)
        nearest = explain_unknown(str(unknown[0]), known, kind="a name of a ConfigDict")
        raise ValueError(f"a pydantic.ConfigDict ({nearest.rstrip('.')})")
    raise ValueError("a pydantic.ConfigDict")


Switch = Annotated[bool, PlainValidator(parse_switch)]
Size = Annotated[int, PlainValidator(parse_size)]
Format = Annotated[SerializationFormat, PlainValidator(_member_of(SerializationFormat))]


class SerializationConfig(BaseModel):
    """The configuration of a manager, which keeps a copy; changes to that take effect at once.

    Raises: ConfigurationError, with a line for each fault, on creation and on assignment.
    """

    model_config = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    default_format: Format = SerializationFormat.JSON
    """The format of calls that name none."""
    fallback_format: Annotated[
        SerializationFormat,
        PlainValidator(
            _member_of(
                SerializationFormat,
                SerializationFormat.PICKLE,
                SerializationFormat.MSGPACK,
                SerializationFormat.CBOR,
            )
        ),
    ] = SerializationFormat.JSON
    """The format for values that ORJSON cannot write: JSON, or ORJSON for none."""

    enable_compression: Switch = True
    """Compress documents of at least `compression_threshold`, if that makes them smaller."""
    compression_level: Annotated[CompressionLevel, PlainValidator(_member_of(CompressionLevel))] = (
        CompressionLevel.BALANCED
    )
    """FAST, BALANCED or MAX: zstd 1, 3 or 12; gzip 1, 6 or 9."""
    compression_threshold: Size = 1024
    """The smallest document that is compressed."""
    compression_codec: Annotated[Literal["zstd", "gzip"], PlainValidator(_codec)] = "zstd"
    """zstd or gzip; both can always be read."""
    max_decoded_size: Size = 50_000_000
    """The largest document that is written or read, uncompressed."""

    enable_caching: Switch = True
    """Use the caches; off: nothing is stored, and nothing is found."""
    cache_ttl: Annotated[float, PlainValidator(_seconds(2**31))] = 3600.0
    """The lifetime of cached documents, in seconds."""
    cache_max_size: Annotated[int, PlainValidator(integer(1, 1_000_000_000))] = 1000
    """The largest number of items in this process's cache."""
    cache_max_bytes: Size = 64_000_000
    """The largest size of these items together."""
    cache_url: Annotated[SecretStr | None, PlainValidator(optional(_url))] = None
    """The second level, shared by processes: a URL as the middleware's `cache_url` takes; read
    when the manager is made."""

    enable_validation: Switch = True
    """Off: `strict_validation` and `cache_validation` are off; types are always validated."""
    cache_validation: Switch = True
    """Cache instances of deeply immutable models by the bytes that they were read from."""
    strict_validation: Switch = False
    """Validate in Pydantic's strict mode, in all formats: no text for a number, for example."""
    check_round_trip: Switch = False
    """Read each document once when it is written, and refuse a value that would be read as a
    different one, or could not be read. Off: what Pydantic writes is written."""

    enable_profiling: Switch = True
    """Measure every operation."""
    profile_threshold: Annotated[float, PlainValidator(_seconds(3600))] = 0.1
    """The duration, in seconds, from which an operation is logged as slow."""

    max_retries: Annotated[int, PlainValidator(integer(0, 10))] = 3
    """How often a failed call of the second level is repeated."""
    retry_delay: Annotated[float, PlainValidator(_seconds(60))] = 0.1
    """The delay before each repetition, in seconds."""

    pickle_key: Annotated[SecretStr | None, PlainValidator(optional(_pickle_key))] = None
    """The key that signs pickles; unset: SERIALIZATION_PICKLE_KEY, or one of this process."""
    pydantic_config: Annotated[
        Mapping[str, Any] | None, PlainValidator(optional(_pydantic_config))
    ] = None
    """Options that override a model's own `model_config` when it is written: `json_encoders` and
    the options that begin with `ser_`. They do not apply to nested models, nor to reading."""

    _on_change: Callable[[], None] | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # type checkers derive the signature from the fields

        def __init__(self, **options: Any) -> None:
            with _as_configuration(options):
                super().__init__(**options)

        def __setattr__(self, name: str, value: Any) -> None:
            if name.startswith("_"):
                super().__setattr__(name, value)
                return
            with _as_configuration({name: value}):
                super().__setattr__(name, value)
            if self._on_change is not None:
                self._on_change()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Return the configuration of the environment: `ASGI_SERIAL_MODEL_*`, then older names.

        Names may be in any case, and an empty value counts as unset. The older names are
        SERIALIZATION_FORMAT, ENABLE_COMPRESSION and so on; docs/explanation/library.md lists them.

        Raises: ConfigurationError, with a line for each fault.
        """
        found = read_environment(os.environ if environ is None else environ, cls.model_fields)
        options: dict[str, Any] = {name: text for name, (_, text) in found.items()}
        try:
            return cls(**options)
        except ConfigurationError as error:
            # Each line begins with the name of a field; the user knows the variable's.
            names = [line.partition(" ") for line in str(error).splitlines()]
            lines = [f"{found[name][0]} {rest}" for name, _, rest in names]
            raise ConfigurationError("\n".join(lines)) from None

    def watched(self, on_change: Callable[[], None]) -> Self:
        """Return a copy that calls `on_change` after each assignment."""
        copy = self.model_copy()
        copy._on_change = on_change
        return copy


@contextmanager
def _as_configuration(options: Mapping[str, object]) -> Iterator[None]:
    """Turn a ValidationError into a ConfigurationError with the package's own messages."""
    try:
        yield
    except ValidationError as error:
        lines = [_explain(fault, options) for fault in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None


def _explain(fault: Any, options: Mapping[str, object]) -> str:
    name = str(fault["loc"][0])
    if name not in SerializationConfig.model_fields:
        return explain_unknown(
            name, SerializationConfig.model_fields, kind="a setting of the library"
        )
    expected = fault["ctx"]["error"]
    if name in ("cache_url", "pickle_key"):
        return f"{name} is not accepted (the value is secret); expected {expected}."
    return explain_value(name, options[name], expected)
