"""Check that a document can be read back as the model from which it was written."""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, from_json

from asgi_serial.errors import FormatError
from asgi_serial.serialization.traits import Traits

# Maps every UTC offset to the same text, which no other part of a date looks like. Finding it takes
# 175 ns in 100 bytes; a regular expression takes 750.
_OUTLINE = bytes.maketrans(b"+123456789", b"-000000000")
_OFFSET = b"-00:00"
UNWRITABLE = (PydanticSerializationError, UnicodeEncodeError, RecursionError)
"""The exceptions that Pydantic raises for an instance that it cannot write. A user's own serializer
may raise anything else, which is not caught."""

# Equal values of these types may still differ: True, 1 and 1.0.
_EXACT = str | int | float | Decimal

# Pydantic reads up to 200 levels, but writes more.
_DEEP = 190


def needs_reading(traits: Traits) -> bool:
    """Whether only reading the whole document, as JSON, can tell if it is faithful."""
    return traits.is_ambiguous or traits.may_nest or bool(traits.unreadable)


def build_writer(
    name: str,
    to_json: Callable[[Any], bytes],
    traits: Traits | None,
    read: Callable[[bytes], object],
) -> Callable[[Any], bytes]:
    """Return `to_json` with FormatError for values that it cannot write faithfully.

    It checks only what the traits of the class leave open, which is nothing for most classes.
    Without traits it checks nothing.
    """
    is_plain = traits is None or not (needs_reading(traits) or traits.holds_floats)
    looks_at_times = traits is not None and traits.holds_times

    def write_quickly(model: Any) -> bytes:
        try:
            data = to_json(model)
        except UNWRITABLE as error:
            raise FormatError(f"{name} cannot be written as JSON: {error}") from error
        # An inlined `may_have_offset`, which spares a call.
        if looks_at_times and data.translate(_OUTLINE).rfind(_OFFSET) >= 0:
            _refuse_seconds(model)
        return data

    def write_carefully(model: Any) -> bytes:
        data = write_quickly(model)
        assert traits is not None
        _check_all(model, data, traits, read)
        return data

    return write_quickly if is_plain else write_carefully


def _check_all(model: object, data: bytes, traits: Traits, read: Callable[[bytes], object]) -> None:
    if traits.unreadable:
        raise FormatError(
            f"the document could not be read back: {traits.unreadable}, a name that is not read"
        )
    # RFC 8259, 6: JSON has no NaN and no infinity; Pydantic writes null for them.
    if traits.holds_floats and b"null" in data:
        _refuse_nonfinite(model)
    if traits.may_nest and data.count(b"{") + data.count(b"[") > _DEEP:
        _refuse_depth(data)
    if traits.is_ambiguous:
        _refuse_other(model, data, read)


def may_have_offset(data: bytes) -> bool:
    """Whether a document of any format contains a time with an offset from UTC."""
    return data.translate(_OUTLINE).rfind(_OFFSET) >= 0


def _refuse_nonfinite(model: object) -> None:
    for value in _leaves(model):
        if isinstance(value, float) and not isfinite(value):
            raise FormatError(f"the model holds {value!r}, which JSON has no number for")


def _refuse_seconds(model: object) -> None:
    # Offsets are written in hours and minutes, but those of local mean time have seconds.
    for value in _leaves(model):
        offset = value.utcoffset() if isinstance(value, datetime | time) else None
        if offset is not None and (offset.seconds % 60 or offset.microseconds):
            raise FormatError(f"the offset of {value!r} is not a whole number of minutes")


def _refuse_depth(data: bytes) -> None:
    try:
        from_json(data)
    except ValueError as error:
        raise FormatError(f"the document could not be read back: {error}") from None


def _refuse_other(model: object, data: bytes, read: Callable[[bytes], object]) -> None:
    try:
        found = read(data)
    except ValidationError as error:
        if all(fault["type"] == "missing" for fault in error.errors(include_input=False)):
            return  # a required field that the model itself excludes from its documents
        first = re.sub(r"\s+", " ", error.errors(include_input=False)[0]["msg"])
        raise FormatError(f"the document could not be read back: {first}") from None
    if not _is_same(model, found):
        raise FormatError(
            "the document would be read as another value: a union, an `Any`, a dict's key that is"
            " not text, or the model's own code leaves open which value was written"
        )


def _leaves(model: object) -> Iterator[object]:
    """Yield every value in a model that is not a container and not excluded."""
    waiting = [model]
    while waiting:
        value = waiting.pop()
        if isinstance(value, BaseModel):
            waiting += _written_values(value).values()
        elif isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            waiting += value
        elif is_dataclass(value) and not isinstance(value, type):
            waiting += [getattr(value, field.name) for field in fields(value)]
        else:
            yield value


def _written_values(model: BaseModel) -> dict[str, Any]:
    known = type(model).model_fields
    return {
        **{
            name: value
            for name, value in model.__dict__.items()
            if name in known and not known[name].exclude
        },
        **(model.__pydantic_extra__ or {}),
    }


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal except for excluded fields; NaN equals NaN."""
    if type(one) is not type(other):
        # An integer may be the default of a field of floats or decimals.
        is_widened = type(one) is int and isinstance(other, float | Decimal)
        is_exact = isinstance(one, _EXACT) or isinstance(other, _EXACT)
        return bool(one == other) and (is_widened or not is_exact)
    if isinstance(one, BaseModel):
        return _is_same(_written_values(one), _written_values(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return bool(one == other) or (one != one and other != other)
