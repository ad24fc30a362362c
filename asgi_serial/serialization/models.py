"""The functions by which each type is written, checked and read."""

import warnings
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import lru_cache, partial
from types import new_class
from typing import Any, Generic, NamedTuple, cast

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import rebuild_dataclass
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic.warnings import PydanticDeprecatedSince20
from pydantic_core import PydanticCustomError, SchemaError, SchemaSerializer, SchemaValidator

from asgi_serial.serialization.round_trip import build_check, checked_writer, plain_checked_writer
from asgi_serial.serialization.traits import Node, Traits, study

# Classes defined in functions are new with every call. Beyond this number all are studied anew.
_MAX_TYPES = 2_000
_MANY_FAULTS = 1_000
# The title of a union names all of its members.
_LONGEST_NAME = 100
VALIDATOR = "__pydantic_validator__"
# Since Pydantic 2.11.
_MODELS_CHOOSE_NAMES = "serialize_by_alias" in ConfigDict.__annotations__


class Serializer(NamedTuple):
    """The functions that write the values of a type, with Pydantic's options."""

    to_json: Callable[..., bytes]
    to_python: Callable[..., Any]


@dataclass(slots=True)
class _Core:
    """The schema of a type, and the functions that Pydantic has built from it."""

    schema: Node
    serializer: Serializer
    validator: SchemaValidator
    attributes: Mapping[str, Any]
    """The attributes of the class; once it was rebuilt, it has another VALIDATOR, or none yet."""


class ModelType:
    """A model class, or any other type that Pydantic reads, with functions to write and read it."""

    __slots__ = (
        "attributes",
        "check",
        "is_instance",
        "key",
        "name",
        "reading",
        "to_plain",
        "validate",
        "validate_plain",
        "validator",
        "write",
    )

    def __init__(
        self, type_: Any, config: Mapping[str, Any] | None, *, strict: bool, check: bool
    ) -> None:
        core = writer = _core_of(type_)
        if config and isinstance(type_, type) and issubclass(type_, BaseModel):
            writer = _core_of(_derive(type_, config))
        self.attributes, self.validator = core.attributes, core.validator
        self.key = key_of(type_)
        self.name = name_of(type_)
        self.reading: Traits = study(type_, core.schema)
        """The traits of the type."""
        # Without options the methods themselves are used, since a partial costs 60 ns per call.
        self.validate: Callable[[bytes], Any] = core.validator.validate_json
        """Reads a value from JSON; raises ValidationError."""
        if strict:
            self.validate = partial(core.validator.validate_json, strict=True)
        is_alike = self.reading.is_plain and not strict
        # A plugin is told whether JSON is read.
        if type(core.validator) is not SchemaValidator:
            is_alike = False
        self.validate_plain = core.validator.validate_python if is_alike else None
        """Reads a value from the types that JSON has as `validate` reads it from JSON, or raises
        ValidationError; None if some values would be read otherwise."""
        self.to_plain: Callable[..., Any] = partial(writer.serializer.to_python, mode="json")
        """Converts a value to the types that JSON has; raises UNWRITABLE."""
        self.write: Callable[..., bytes] = writer.serializer.to_json
        """Writes a value as JSON; raises UNWRITABLE, or FormatError for one that is refused."""
        self.check = build_check(self.name, self.write, self.validate)
        """Refuses a value whose document, as Pydantic writes it, is not read as the same value."""
        if check:
            traits = self.reading if writer is core else study(type_, writer.schema)
            self.write = checked_writer(self.name, self.write, self.validate, traits)
        is_strictly = partial(core.validator.isinstance_python, strict=True)
        self.is_instance: Callable[[Any], bool] = (
            type_.__instancecheck__
            if isinstance(type_, type) and has_fields(type_)
            else is_strictly
        )
        """Returns True for an object that is a value of the type as it is."""

    @property
    def is_current(self) -> bool:
        """Whether the class was not rebuilt since, as `model_rebuild(force=True)` does."""
        return self.attributes.get(VALIDATOR) is self.validator


class ModelTypes:
    """The types that have been used so far; thread-safe."""

    def __init__(self, config: Mapping[str, Any] | None, *, strict: bool, check: bool) -> None:
        self._known: dict[Hashable, ModelType] = {}
        self._learn = partial(ModelType, config=config, strict=strict, check=check)
        self.is_checking = check
        self.any = ModelType(Any, None, strict=strict, check=False)
        """The entry for instances of classes that Pydantic writes without a schema of their own."""
        if check:
            self.any.write = plain_checked_writer(self.any.write, lambda cls: self.of(cls).check)

    def of(self, type_: Any) -> ModelType:
        """Return the entry of a type. Raises: TypeError if Pydantic cannot read it."""
        key = key_of(type_)
        found = self._known.get(key)
        if found is None or not found.is_current:
            if len(self._known) >= _MAX_TYPES:
                self._known.clear()
            found = self._known[key] = self._learn(type_)
        return found

    def of_instances(self, cls: type) -> ModelType:
        """Return the entry by which the instances of a class are written."""
        return self.any if serializer_of(cls) is _core_of_any().serializer else self.of(cls)


def is_model_class(cls: object) -> bool:
    """Whether `cls` is a Pydantic model or dataclass."""
    return isinstance(cls, type) and cls is not BaseModel and hasattr(cls, "__pydantic_validator__")


def has_fields(cls: type) -> bool:
    """Whether `cls` is a Pydantic model, or a dataclass of Pydantic or the standard library."""
    return is_model_class(cls) or is_dataclass(cls)


def serializer_of(cls: type) -> Serializer:
    """Return the serializer for instances of a class.

    A class other than a model or dataclass has no schema of its own: its instances are written as
    values of the type `Any`, which Pydantic inspects as it goes.
    """
    core = core_of_instances(cls)
    if core.attributes.get(VALIDATOR) is not core.validator:
        core_of_instances.cache_clear()
        core = core_of_instances(cls)
    return core.serializer


@lru_cache(_MAX_TYPES)
def core_of_instances(cls: type) -> _Core:
    """Return what Pydantic knew of the class when it was first asked for."""
    if has_fields(cls):
        try:
            return _core_of(cls)
        except TypeError:
            pass  # a dataclass with fields of types that Pydantic does not read
    return _core_of_any()


@lru_cache(1)
def _core_of_any() -> _Core:
    return _core_of(Any)


def key_of(type_: Any) -> Hashable:
    """Return a key that only types have which are read and written alike.

    `int | str` equals `str | int`, but Pydantic tries the members in their order.
    """
    if isinstance(type_, type):
        return type_
    try:
        hash(type_)
    except TypeError:
        return _Itself(type_)
    return type_, repr(type_)


class _Itself:
    """A key that is equal for one object only, which it keeps alive: no other has its `id`."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.value is self.value


def name_of(type_: Any) -> str:
    """Return the name of a type in messages and statistics."""
    name = type_.__qualname__ if isinstance(type_, type) else repr(type_)
    return name[:_LONGEST_NAME]


def check_type(type_: object) -> None:
    """Refuse what Pydantic cannot read as a type. Raises: TypeError."""
    # A class is studied when it is used first, when the names in its annotations are known.
    if not is_model_class(type_):
        _core_of(type_)


def malformed(name: str, kind: str, reason: str) -> ValidationError:
    """Return a ValidationError for malformed bytes, which does not contain the input."""
    # The message is a template, and the reason may contain braces. So it is passed as a value.
    error = PydanticCustomError(cast(Any, kind), cast(Any, "{reason}"), {"reason": reason})
    return ValidationError.from_exception_data(
        name, [{"type": error, "loc": (), "input": None}], hide_input=True
    )


def has_many_faults(error: ValueError) -> bool:
    """Whether an error lists so many faults that to find or to describe them again takes long."""
    # Pydantic lists either all faults or none, and a hostile document may have a million.
    return isinstance(error, ValidationError) and error.error_count() > _MANY_FAULTS


def _core_of(type_: Any) -> _Core:
    """Return what Pydantic knows of a type. Raises: TypeError."""
    if is_model_class(type_):
        if not type_.__pydantic_complete__:
            _complete(type_)
        owner = next(base for base in type_.__mro__ if VALIDATOR in vars(base))
        return _Core(
            type_.__pydantic_core_schema__,
            adapt(type_.__pydantic_serializer__),
            type_.__pydantic_validator__,
            # The attributes themselves, which are read in a fifth of the time of `getattr`.
            vars(owner),
        )
    # A TypeAdapter takes a text for the name of a type, an instance for its class, and BaseModel
    # for a model without fields; each of these is a mistake here.
    if type_ is BaseModel or isinstance(type_, str | BaseModel):
        raise _no_type(type_)
    try:
        adapter = TypeAdapter[Any](type_)
    except (PydanticUserError, PydanticUndefinedAnnotation, SchemaError, TypeError) as error:
        raise _no_type(type_) from error
    if not getattr(adapter, "pydantic_complete", True):
        raise _no_type(type_)
    serializer, validator = adapt(adapter.serializer), cast(SchemaValidator, adapter.validator)
    return _Core(adapter.core_schema, serializer, validator, {VALIDATOR: validator})


def _complete(cls: Any) -> None:
    """Build the schema of a class, now that the names in it may be known. Raises: TypeError."""
    rebuild = getattr(cls, "model_rebuild", None)
    try:
        rebuild() if rebuild is not None else rebuild_dataclass(cls)
    except (PydanticUserError, PydanticUndefinedAnnotation, SchemaError) as error:
        raise _no_type(cls) from error
    if not cls.__pydantic_complete__:
        raise _no_type(cls)


def adapt(serializer: SchemaSerializer, *, has_choice: bool = _MODELS_CHOOSE_NAMES) -> Serializer:
    """Return the functions that write as `model_dump()` and `model_dump_json()` do by default.

    `has_choice` says whether the config of a model decides whether it is written by its aliases.
    Where it does not, a serializer without options writes aliases, and those methods write names.
    """
    if has_choice:
        return Serializer(serializer.to_json, serializer.to_python)
    return Serializer(
        partial(serializer.to_json, by_alias=False), partial(serializer.to_python, by_alias=False)
    )


def _no_type(type_: object) -> TypeError:
    shown = repr(type_)[:_LONGEST_NAME]
    return TypeError(
        f"{shown} is not a Pydantic model class, nor another type that Pydantic can read; expected"
        " a model class, or anything that pydantic.TypeAdapter takes, such as list[Order]"
    )


def _derive(cls: type[BaseModel], config: Mapping[str, Any]) -> type[BaseModel]:
    """Return a class that writes instances of `cls` by another config; it is never instantiated."""
    with warnings.catch_warnings():
        # Pydantic would warn, for every model, that json_encoders are deprecated. The docs say so.
        warnings.simplefilter("ignore", PydanticDeprecatedSince20)
        generic = cls.__pydantic_generic_metadata__
        origin: Any = generic["origin"] or cls
        body = {
            "__module__": cls.__module__,
            "__qualname__": origin.__qualname__,
            "model_config": config,
        }
        if origin is cls:
            return type(cls.__name__, (cls,), body)
        # Pydantic cannot derive from `Page[int]` if a field of it is another page.
        parameters = origin.__pydantic_generic_metadata__["parameters"]
        bases = origin, cast(Any, Generic)[parameters]
        derived: Any = new_class(origin.__name__, bases, exec_body=lambda space: space.update(body))
        return cast(type[BaseModel], derived[generic["args"]])
