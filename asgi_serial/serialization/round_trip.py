"""Whether a document gives back the model that it was written from, asked before it is used."""

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

# Every offset becomes the same text, which no other part of a date looks like; finding it so takes
# 175 ns in 100 bytes, a regular expression 750.
_OUTLINE = bytes.maketrans(b"+123456789", b"-000000000")
_OFFSET = b"-00:00"
UNWRITABLE = (PydanticSerializationError, UnicodeEncodeError, RecursionError)
"""What Pydantic raises for an instance that it can not write. A user's own serializer may raise
anything; its errors other than these are left as they are."""

# What equals a value of one of these may still be another one: True, 1 and 1.0.
_EXACT = str | int | float | Decimal

# Pydantic reads 200 levels and writes some more.
_DEEP = 190


def needs_reading(traits: Traits) -> bool:
    """Whether a document has to be looked at as a whole, and in JSON, to know what it gives."""
    return traits.is_ambiguous or traits.may_nest or bool(traits.unreadable)


def build_writer(
    name: str,
    to_json: Callable[[Any], bytes],
    traits: Traits | None,
    read: Callable[[bytes], object],
) -> Callable[[Any], bytes]:
    """`to_json` that raises FormatError for what it can not write, or would not give back.

    Only what a class's traits leave open is looked at, and most leave nothing open; without
    traits nothing is.
    """
    is_plain = traits is None or not (needs_reading(traits) or traits.holds_floats)
    looks_at_times = traits is not None and traits.holds_times

    def write_quickly(model: Any) -> bytes:
        try:
            data = to_json(model)
        except UNWRITABLE as error:
            raise FormatError(f"{name} can not be written as JSON: {error}") from error
        # What may_have_offset does, without a call.
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
            f"the document could not be read back: {traits.unreadable}, a name it is not read by"
        )
    # Pydantic writes null for what JSON has no number for (RFC 8259, 6).
    if traits.holds_floats and b"null" in data:
        _refuse_nonfinite(model)
    if traits.may_nest and data.count(b"{") + data.count(b"[") > _DEEP:
        _refuse_depth(data)
    if traits.is_ambiguous:
        _refuse_other(model, data, read)


def may_have_offset(data: bytes) -> bool:
    """Whether a document, of any format, has a time that is neither in UTC nor naive."""
    return data.translate(_OUTLINE).rfind(_OFFSET) >= 0


def _refuse_nonfinite(model: object) -> None:
    for value in _leaves(model):
        if isinstance(value, float) and not isfinite(value):
            raise FormatError(f"the model holds {value!r}, which JSON has no number for")


def _refuse_seconds(model: object) -> None:
    # Offsets are written in hours and minutes; those of local mean time have seconds.
    for value in _leaves(model):
        offset = value.utcoffset() if isinstance(value, datetime | time) else None
        if offset is not None and (offset.seconds % 60 or offset.microseconds):
            raise FormatError(f"the offset of {value!r} is not one of whole minutes")


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
            return  # what a model excludes is its own affair
        first = re.sub(r"\s+", " ", error.errors(include_input=False)[0]["msg"])
        raise FormatError(f"the document could not be read back: {first}") from None
    if not _is_same(model, found):
        raise FormatError(
            "the document would be read as another value: a union, an `Any`, a name that is not"
            " text, or code of the model's own leaves open what was written"
        )


def _leaves(model: object) -> Iterator[object]:
    """Every value in a model that is no container, but for what the model excludes."""
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
    """Whether two values are equal, but for what their models exclude; NaN equals NaN."""
    if type(one) is not type(other):
        # An integer may be the default of a field of other numbers.
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
