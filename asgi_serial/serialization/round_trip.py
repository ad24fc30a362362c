"""Refuse to write a value that would be read back as another one."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from types import NoneType
from typing import Any, NamedTuple, TypeAlias, cast
from uuid import UUID

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import from_json, to_json, to_jsonable_python

from asgi_serial.errors import FormatError
from asgi_serial.serialization.read_back import is_equal, settings_of
from asgi_serial.serialization.traits import Traits

# Equal values of these types may still differ: True, 1 and 1.0, or a dict and a defaultdict.
_EXACT = (str, bytes, bytearray, int, float, Decimal, dict, list, tuple, set, frozenset)
_ATOMS = frozenset({str, int, float, bool, NoneType, bytes, datetime, date, UUID, Decimal})
# Options that leave out a part of a value on purpose.
_PARTIAL = frozenset({"include", "exclude"})
_LONGEST_SHOWN = 60
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REMEDY = (
    "change the field's type or its serializer, write the value as PICKLE, or set"
    " check_round_trip=False to write what Pydantic writes"
)

Location: TypeAlias = tuple[int | str, ...]
Write: TypeAlias = Callable[..., bytes]
Check: TypeAlias = Callable[..., None]


class Difference(NamedTuple):
    """The first place at which a value that was read differs from the one that was written."""

    path: str
    written: object
    read: object


def checked_writer(
    name: str, to_json: Write, read: Callable[[bytes], object], traits: Traits
) -> Write:
    """Return a function that writes a value of a type as JSON, and reads it back.

    The function raises FormatError if another value was read, or none. It writes fields by the
    names by which they are read, and leaves out computed fields that a reader would refuse.
    """
    own: dict[str, Any] = {"warnings": False}
    if traits.by_alias is not None:
        own["by_alias"] = traits.by_alias
    if traits.round_trip:
        own["round_trip"] = True

    def write(value: Any, **options: Any) -> bytes:
        if traits.unreadable and "by_alias" not in options:
            raise FormatError(f"{traits.unreadable}, a name that is not read; {_REMEDY}")
        data = to_json(value, **{**own, **options})
        if _PARTIAL.isdisjoint(options):
            _read_back(name, value, data, read)
        return data

    return write


def build_check(name: str, to_json: Write, read: Callable[[bytes], object]) -> Check:
    """Return a function that refuses a value if the document that Pydantic writes is not faithful.

    It takes Pydantic's options, and raises FormatError.
    """

    def check(value: Any, **options: Any) -> None:
        _read_back(name, value, to_json(value, **options, warnings=False), read)

    return check


def plain_checked_writer(to_json: Write, check_of: Callable[[type], Check]) -> Write:
    """Return a function that writes plain data as JSON, and checks the models that it contains."""

    def write(value: Any, **options: Any) -> bytes:
        data = to_json(value, **options)
        if _PARTIAL.isdisjoint(options):
            for path, part in _parts(value, ""):
                _check_part(path, part, check_of, options)
        return data

    return write


def _read_back(
    name: str,
    value: object,
    data: bytes,
    read: Callable[[bytes], object],
    filled: Collection[Location] = (),
) -> None:
    try:
        found = read(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        faults = [one for one in faults if not _is_within(one["loc"], filled)]
        if not faults:
            return  # an excluded value that has no form in JSON
        excluded = [_find_excluded(value, one["loc"]) for one in faults if one["type"] == "missing"]
        missing = {place: part for place, part in excluded if place}
        if len(missing) == len(faults) and not filled:
            # Required fields that the model itself excludes from its documents, which are whole
            # with them.
            _read_back(name, value, _filled(data, missing), read, missing)
            return
        location, reason = faults[0]["loc"], re.sub(r"\s+", " ", faults[0]["msg"])
        why = _find_loss(_value_at(value, location)) or f"could not be read back: {reason}"
        raise _refusal(name, "".join(map(_step, location)), why) from None
    if not is_same(value, found):
        difference = _find_difference(value, found, "")
        if difference is not None:
            raise _refusal(name, difference.path, _describe(difference))


def _check_part(
    path: str, part: Any, check_of: Callable[[type], Check], options: Mapping[str, Any]
) -> None:
    why = _find_loss(part)
    if why is not None:
        raise _refusal("the value", path, why)
    if not isinstance(part, BaseModel) and not is_dataclass(part):
        return
    try:
        check = check_of(type(part))
    except TypeError:
        return  # a dataclass with fields of types that Pydantic does not read
    try:
        check(part, **options)
    except FormatError as error:
        inner = (error.path or "$")[1:]
        raise FormatError(str(error), path=f"${path}{inner}") from None


def _refusal(name: str, path: str, reason: str) -> FormatError:
    return FormatError(f"{name}{path} {reason}; {_REMEDY}", path=f"${path}")


def _describe(difference: Difference) -> str:
    why = _find_loss(difference.written)
    if why is not None:
        return why
    written, read = _shown(difference.written), _shown(difference.read)
    if written == read:
        written += f" ({type(difference.written).__name__})"
        read += f" ({type(difference.read).__name__})"
    return f"would be read as another value: {written} as {read}"


def _find_loss(value: object) -> str | None:
    """Return the reason why JSON cannot hold a value of a basic type, or None."""
    # RFC 8259, 6: JSON has no NaN and no infinity; Pydantic writes null for them.
    if isinstance(value, float) and not isfinite(value):
        return (
            f"is {value!r}, which JSON has no number for, unless the config of the model sets"
            " ser_json_inf_nan"
        )
    # Offsets are written in hours and minutes, but those of local mean time have seconds.
    offset = value.utcoffset() if isinstance(value, datetime | time) else None
    if offset is not None and (offset.seconds % 60 or offset.microseconds):
        return f"is {value!r}, whose offset is not a whole number of minutes"
    return None


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # a class's own code, or a model without fields
        text = f"an object of type {type(value).__qualname__}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _step(key: object) -> str:
    if isinstance(key, str) and _PLAIN_NAME.fullmatch(key):
        return f".{key}"
    return f"[{_shown(key)}]"


def _parts(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield every value in containers of plain data, with its path."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _parts(part, path + _step(key))
    elif isinstance(value, list | tuple | set | frozenset):
        for index, part in enumerate(value):
            yield from _parts(part, f"{path}[{index}]")
    else:
        yield path, value


def _is_within(location: Location, places: Collection[Location]) -> bool:
    return any(location[: len(place)] == place for place in places)


def _find_excluded(value: Any, location: Location) -> tuple[Location, object]:
    """Return the place and the value of a missing field that its model excludes; else no place."""
    owner = _value_at(value, location[:-1])
    for name, field in getattr(type(owner), "model_fields", {}).items():
        alias = field.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else (name, alias)
        if field.exclude and location[-1] in names:
            return location, getattr(owner, name, None)
    return (), None


def _filled(data: bytes, missing: Mapping[Location, object]) -> bytes:
    """Return a document with values at places that it lacks, as far as it has objects there."""
    document = from_json(data)
    for location, value in missing.items():
        owner = document
        for step in location[:-1]:
            # The steps of a union are names of its members.
            is_index = isinstance(owner, list) and isinstance(step, int)
            if is_index or (isinstance(owner, dict) and step in owner):
                owner = owner[step]
        if isinstance(owner, dict):
            owner[location[-1]] = to_jsonable_python(value, serialize_unknown=True)
    return to_json(document)


def _value_at(value: Any, location: Location) -> Any:
    """Return the part of a value at the place of a fault; steps that lead nowhere are left out."""
    for step in location:
        parts = _children(value) if _has_children(value) else {}
        # The steps of a union are names of its members.
        value = parts.get(step, value)
    return value


def _has_children(value: object) -> bool:
    return isinstance(value, BaseModel | dict | list | tuple) or (
        is_dataclass(value) and not isinstance(value, type)
    )


def _children(value: Any) -> dict[Any, Any]:
    """Return the parts of a model or container by name, key or index."""
    if isinstance(value, BaseModel):
        return _written_values(value)
    if isinstance(value, dict):
        return value
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    known = getattr(type(value), "__pydantic_fields__", {})
    names = (field.name for field in fields(value))
    return {
        name: getattr(value, name, None)
        for name in names
        if name not in known or not known[name].exclude
    }


def _written_values(model: BaseModel) -> dict[str, Any]:
    known = type(model).model_fields
    by_value = type(model).model_config.get("use_enum_values")
    return {
        **{
            # Such a config leaves only defaults as members.
            name: value.value if by_value and isinstance(value, Enum) else value
            for name, value in model.__dict__.items()
            if name in known and not known[name].exclude
        },
        **(model.__pydantic_extra__ or {}),
    }


def is_same(one: Any, other: Any) -> bool:
    """Whether `_find_difference` finds none, for most values; quick, and False for the others."""
    cls = type(one)
    if cls is not type(other):
        return False
    if cls in _ATOMS:
        return bool(one == other)
    if cls is list or cls is tuple:
        return len(one) == len(other) and all(map(is_same, one, other))
    if cls is dict:
        # A name never equals a key of another type.
        return len(one) == len(other) and all(
            type(key) is str and key in other and is_same(part, other[key])
            for key, part in one.items()
        )
    if not isinstance(one, BaseModel) or one.__pydantic_extra__ or other.__pydantic_extra__:
        return False
    parts, others = one.__dict__, other.__dict__
    try:
        return all(is_same(parts[name], others[name]) for name in _compared_fields(cast(Any, cls)))
    except KeyError:  # a field that was deleted, or never set
        return False


@lru_cache(2_000)
def _compared_fields(cls: Any) -> tuple[str, ...]:
    return tuple(name for name, field in cls.model_fields.items() if not field.exclude)


def _find_difference(one: Any, other: Any, path: str) -> Difference | None:
    """Return the first difference of two values, except for excluded fields; NaN equals NaN."""
    if type(one) is not type(other):
        # An integer may be the default of a field of floats or decimals.
        is_widened = type(one) is int and isinstance(other, float | Decimal)
        is_exact = isinstance(one, _EXACT) or isinstance(other, _EXACT)
        is_same = _is_equal(one, other) and (is_widened or not is_exact)
        return None if is_same else Difference(path, one, other)
    if settings_of(one) != settings_of(other):
        return Difference(path, one, other)
    if _has_children(one):
        parts, others = _children(one), _children(other)
        if _typed(parts) != _typed(others):
            return Difference(path, one, other)
        root = isinstance(one, BaseModel) and type(one).__pydantic_root_model__
        found = (
            _find_difference(part, others[key], path if root else path + _step(key))
            for key, part in parts.items()
        )
        return next((difference for difference in found if difference is not None), None)
    if isinstance(one, set | frozenset):
        is_same = _typed(one) == _typed(other)
    else:
        is_same = _is_equal(one, other) or (one != one and other != other)
    return None if is_same else Difference(path, one, other)


def _is_equal(one: object, other: object) -> bool:
    try:
        return is_equal(one, other)
    except Exception:  # a class's own code, or a model without fields
        return False


def _typed(values: Iterable[Any]) -> set[tuple[type, Any]]:
    # In a set or as a key, True equals 1 and 1.0.
    return {(type(value), value) for value in values}
