"""How models are serialized: one object, checked whenever it is made or changed."""

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
    """A choice whose members are found by name and by value, in any case."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        wanted = value.strip().lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value == wanted), None)


class SerializationFormat(_ByName):
    """What a model is written as.

    >>> SerializationFormat("JSON").value
    'json'
    """

    JSON = "json"
    """JSON by pydantic-core; plain data too, with all types that Pydantic writes."""
    ORJSON = "orjson"
    """The same document for a model; plain data by orjson."""
    MSGPACK = "msgpack"
    """MessagePack of what JSON would hold."""
    PICKLE = "pickle"
    """A signed pickle, for holders of the same key only; never for clients."""


class CompressionLevel(_ByName):
    """How much time a smaller document is worth."""

    FAST = "fast"
    BALANCED = "balanced"
    MAX = "max"


def _member_of(cls: type[_ByName], *refused: _ByName) -> Callable[[object], Any]:
    allowed = [member for member in cls if member not in refused]

    def parse_member(value: object) -> _ByName | None:
        member = cls._missing_(value)
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
    # 128 bits are out of reach of guessing; text has less than 8 bits for each character.
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
        nearest = explain_unknown(str(unknown[0]), known, kind="name of a ConfigDict")
        raise ValueError(f"a pydantic.ConfigDict ({nearest.rstrip('.')})")
    raise ValueError("a pydantic.ConfigDict")


Switch = Annotated[bool, PlainValidator(parse_switch)]
Size = Annotated[int, PlainValidator(parse_size)]
Format = Annotated[SerializationFormat, PlainValidator(_member_of(SerializationFormat))]


class SerializationConfig(BaseModel):
    """What a manager goes by; a manager keeps a copy, and its changes take effect at once.

    Raises: ConfigurationError, with a line for each fault, when it is made or changed.
    """

    model_config = ConfigDict(
        extra="forbid",
        validate_assignment=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    default_format: Format = SerializationFormat.JSON
    """The format where a call names none."""
    fallback_format: Annotated[
        SerializationFormat,
        PlainValidator(
            _member_of(SerializationFormat, SerializationFormat.PICKLE, SerializationFormat.MSGPACK)
        ),
    ] = SerializationFormat.JSON
    """What writes a document that ORJSON can not; a binary format has no stand-in."""

    enable_compression: Switch = True
    """Compress what is at least `compression_threshold` long, where that makes it smaller."""
    compression_level: Annotated[CompressionLevel, PlainValidator(_member_of(CompressionLevel))] = (
        CompressionLevel.BALANCED
    )
    """FAST, BALANCED or MAX: zstd 1, 3 or 12; gzip 1, 6 or 9."""
    compression_threshold: Size = 1024
    """The size from which a document is compressed."""
    compression_codec: Annotated[Literal["zstd", "gzip"], PlainValidator(_codec)] = "zstd"
    """zstd or gzip; both are always read."""
    max_decoded_size: Size = 50_000_000
    """The largest document that is read, when decompressed."""

    enable_caching: Switch = True
    """Keep anything at all; off, every look-up finds nothing."""
    cache_ttl: Annotated[float, PlainValidator(_seconds(2**31))] = 3600.0
    """How long a document is kept, in seconds."""
    cache_max_size: Annotated[int, PlainValidator(integer(1, 1_000_000_000))] = 1000
    """How many items are kept in this process."""
    cache_max_bytes: Size = 64_000_000
    """How many bytes they may take together."""
    cache_url: Annotated[SecretStr | None, PlainValidator(optional(_url))] = None
    """The second level, shared by processes: redis://, rediss://, valkey:// or memcached://; taken
    when the manager is made."""

    enable_validation: Switch = True
    """Off: models are read laxly and never from the validation cache; types always hold."""
    cache_validation: Switch = True
    """Keep models that are immutable all through, under the bytes that they were read from."""
    strict_validation: Switch = False
    """Read strictly: no text for a number, in any format."""
    check_round_trip: Switch = True
    """Refuse to write what would be read as something else, or not at all."""

    enable_profiling: Switch = True
    """Measure every operation."""
    profile_threshold: Annotated[float, PlainValidator(_seconds(3600))] = 0.1
    """The duration, in seconds, from which an operation is logged as slow."""

    max_retries: Annotated[int, PlainValidator(integer(0, 10))] = 3
    """How often a failed call of the second level is made again."""
    retry_delay: Annotated[float, PlainValidator(_seconds(60))] = 0.1
    """How long to wait before that, in seconds."""

    pickle_key: Annotated[SecretStr | None, PlainValidator(optional(_pickle_key))] = None
    """What pickles are signed with; unset: SERIALIZATION_PICKLE_KEY, or one of this process."""
    pydantic_config: Annotated[
        Mapping[str, Any] | None, PlainValidator(optional(_pydantic_config))
    ] = None
    """How models are written, where it differs from their own `model_config`: `json_encoders`
    and the options beginning with `ser_`; not in nested models, and not how they are read."""

    _on_change: Callable[[], None] | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # the signature is made from the fields

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
        """What the environment says: `ASGI_SERIAL_MODEL_*`, then the older names.

        Names may be in any case, and an empty value counts as not set. The older names are
        SERIALIZATION_FORMAT, ENABLE_COMPRESSION and so on; docs/library.md lists them.
        Raises: ConfigurationError, with a line for each fault.
        """
        found = read_environment(os.environ if environ is None else environ, cls.model_fields)
        options: dict[str, Any] = {name: text for name, (_, text) in found.items()}
        try:
            return cls(**options)
        except ConfigurationError as error:
            # Each line begins with a field's name; the user knows it by the variable's.
            names = [line.partition(" ") for line in str(error).splitlines()]
            lines = [f"{found[name][0]} {rest}" for name, _, rest in names]
            raise ConfigurationError("\n".join(lines)) from None

    def watched(self, on_change: Callable[[], None]) -> Self:
        """A copy that calls `on_change` after each change of a field."""
        copy = self.model_copy()
        copy._on_change = on_change
        return copy


@contextmanager
def _as_configuration(options: Mapping[str, object]) -> Iterator[None]:
    """Turn a ValidationError into a ConfigurationError, in the words that are used everywhere."""
    try:
        yield
    except ValidationError as error:
        lines = [_explain(fault, options) for fault in error.errors()]
        raise ConfigurationError("\n".join(lines)) from None


def _explain(fault: Any, options: Mapping[str, object]) -> str:
    name = str(fault["loc"][0])
    if name not in SerializationConfig.model_fields:
        return explain_unknown(
            name, SerializationConfig.model_fields, kind="setting of the library"
        )
    expected = fault["ctx"]["error"]
    if name in ("cache_url", "pickle_key"):
        return f"{name} is not accepted (the value is secret); expected {expected}."
    return explain_value(name, options[name], expected)
