"""The functions by which each model class is written, checked and read."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic.dataclasses import rebuild_dataclass
from pydantic.warnings import PydanticDeprecatedSince20
from pydantic_core import PydanticCustomError

from asgi_serial.serialization.round_trip import build_writer, needs_reading
from asgi_serial.serialization.traits import study

# Classes defined in functions are new with every call. Beyond this number all are studied anew.
_MAX_CLASSES = 2_000


class ModelType:
    """A model class, with bound functions to write and read it."""

    __slots__ = (
        "cls",
        "has_times",
        "is_read_back",
        "name",
        "reading",
        "to_plain",
        "validate",
        "write",
        "writing",
    )

    def __init__(
        self, cls: Any, config: Mapping[str, Any] | None, *, strict: bool, check: bool
    ) -> None:
        if not cls.__pydantic_complete__:
            rebuild = getattr(cls, "model_rebuild", None)
            rebuild() if rebuild is not None else rebuild_dataclass(cls)
        self.cls = cls
        self.name: str = cls.__qualname__
        written = _derive(cls, config) if config else cls
        self.reading = study(cls)
        self.writing = study(written) if config else self.reading
        options: dict[str, Any] = {}
        if self.writing.by_alias is not None:
            options["by_alias"] = self.writing.by_alias
        if self.writing.round_trip:
            options["round_trip"] = True
        serializer, validator = written.__pydantic_serializer__, cls.__pydantic_validator__
        self.to_plain: Callable[[Any], Any] = partial(serializer.to_python, mode="json", **options)
        """Converts an instance to the types that JSON has."""
        self.validate: Callable[[bytes], Any] = _bind(
            validator.validate_json, {"strict": True} if strict else {}
        )
        """Reads an instance from JSON; raises ValidationError."""
        to_json: Callable[[Any], bytes] = _bind(serializer.to_json, options)
        self.write = build_writer(
            self.name, to_json, self.writing if check else None, self.validate
        )
        """Writes an instance as JSON; raises FormatError if it could not be read back."""
        self.has_times = check and self.writing.holds_times
        self.is_read_back = check and needs_reading(self.writing)


class ModelTypes:
    """The model classes that have been used so far; thread-safe."""

    def __init__(self, config: Mapping[str, Any] | None, *, strict: bool, check: bool) -> None:
        self._known: dict[type, ModelType] = {}
        self._learn = partial(ModelType, config=config, strict=strict, check=check)
        self.find = self._known.get
        """Returns the entry of a class that has been used; None for any other."""

    def of(self, cls: type) -> ModelType:
        """Return the entry of a class. Raises: TypeError if it is not a model class."""
        found = self._known.get(cls)
        if found is None:
            if not is_model_class(cls):
                raise TypeError(f"{cls!r} is not a Pydantic model class")
            if len(self._known) >= _MAX_CLASSES:
                self._known.clear()
            found = self._known[cls] = self._learn(cls)
        return found


def is_model_class(cls: object) -> bool:
    """Whether `cls` is a Pydantic model or dataclass."""
    return isinstance(cls, type) and cls is not BaseModel and hasattr(cls, "__pydantic_validator__")


def malformed(name: str, kind: str, reason: str) -> ValidationError:
    """Return a ValidationError for malformed bytes, which does not contain the input."""
    # The message is a template, and the reason may contain braces. So it is passed as a value.
    error = PydanticCustomError(cast(Any, kind), cast(Any, "{reason}"), {"reason": reason})
    return ValidationError.from_exception_data(
        name, [{"type": error, "loc": (), "input": None}], hide_input=True
    )


def _bind(method: Callable[..., Any], options: dict[str, Any]) -> Callable[[Any], Any]:
    # Without options the method itself is used, since a partial costs 60 ns per call.
    return partial(method, **options) if options else method


def _derive(cls: type[BaseModel], config: Mapping[str, Any]) -> type[BaseModel]:
    """Return a class that writes instances of `cls` by another config; it is never instantiated."""
    with warnings.catch_warnings():
        # Pydantic would warn, for every model, that json_encoders are deprecated. The docs say so.
        warnings.simplefilter("ignore", PydanticDeprecatedSince20)
        body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return type(cls.__name__, (cls,), {**body, "model_config": config})
