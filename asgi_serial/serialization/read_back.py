"""Find the part of a value that its document has changed."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable

_ATOMS = frozenset({bool, bytes, int, str, type(None)})
_NOTHING: Any = object()


def find_change(written: Any, read: Any, path: str = "") -> str | None:
    """Return the path of the first part that was read as another value; None if there is none.

    The path has no keys, which may be secret.

    A document leaves out private attributes and excluded fields, and an instance of a subclass is
    read as one of the declared class. Defaults may be of another type than their field has.
    Objects that cannot be compared count as equal.
    """
    cls = type(written)
    if cls in _ATOMS:
        return None if cls is type(read) and written == read else path or "."
    if isinstance(written, BaseModel) or (is_dataclass(cls) and not isinstance(written, type)):
        return _find_change_of_fields(written, read, path)
    if cls is not type(read):
        return path or "."
    if settings_of(written) != settings_of(read):
        return path or "."
    if isinstance(written, dict):
        return _find_change_of_items(written, read, path)
    if isinstance(written, list | tuple):
        if len(written) != len(read):
            return path or "."
        parts = enumerate(zip(written, read, strict=True))
        return _first(find_change(one, other, f"{path}[{index}]") for index, (one, other) in parts)
    if isinstance(written, set | frozenset):
        return None if _typed(written) == _typed(read) else path or "."
    return None if _is_equal(written, read) else path or "."


def _find_change_of_fields(written: Any, read: Any, path: str) -> str | None:
    cls = type(read)
    if not isinstance(written, cls):
        return path or "."
    extra = getattr(written, "__pydantic_extra__", None) or {}
    return _first(
        _find_change_of_field(
            getattr(written, name, _NOTHING), getattr(read, name, _NOTHING), default, path, name
        )
        for name, default in _compared_fields(cast(Any, cls))
    ) or find_change(extra, getattr(read, "__pydantic_extra__", None) or {}, path)


def _find_change_of_field(
    written: Any, read: Any, default: object, path: str, name: str
) -> str | None:
    is_converted = type(written) is not type(read)
    if is_converted and (
        written is default or (type(written) is int and _is_widened(written, read))
    ):
        return None
    return find_change(written, read, f"{path}.{name}")


def _find_change_of_items(written: Any, read: Any, path: str) -> str | None:
    if _typed(written) != _typed(read):
        return path or "."
    return _first(find_change(one, read[key], f"{path}[...]") for key, one in written.items())


@lru_cache(2_000)
def _compared_fields(cls: Any) -> tuple[tuple[str, object], ...]:
    """Return the names of the fields that are written, and their defaults."""
    # Before Pydantic 2.10, models had no attribute of the name that dataclasses have.
    is_model = issubclass(cls, BaseModel)
    known = cls.model_fields if is_model else getattr(cls, "__pydantic_fields__", None)
    if known is None:
        return tuple((field.name, field.default) for field in fields(cls) if field.init)
    return tuple((name, field.default) for name, field in known.items() if not field.exclude)


def _is_widened(written: int, read: object) -> bool:
    """Whether an integer was read as an equal number of another type."""
    return isinstance(read, float | Decimal) and written == read


def _is_equal(one: Any, other: Any) -> bool:
    if cast(Any, type(one)).__eq__ is object.__eq__:
        return True
    try:
        return is_equal(one, other) or bool(one != one and other != other)
    except Exception:  # a class's own code
        return True


def is_equal(one: Any, other: Any) -> bool:
    """Whether two values are equal, with times in zones as what they are: instants."""
    is_time = isinstance(one, datetime) and isinstance(other, datetime)
    if is_time and one.tzinfo is not None is not other.tzinfo:
        # Python's `==` is always False for a time that its zone has twice.
        return not one - other
    return bool(one == other)


def settings_of(container: object) -> object:
    """Return what a container does beside holding its items, which `==` does not compare."""
    if isinstance(container, deque):
        return container.maxlen
    return container.default_factory if isinstance(container, defaultdict) else None


def _typed(values: Iterable[Any]) -> set[tuple[type, Any]]:
    # In a set or as a key, True equals 1 and 1.0.
    return {(type(value), value) for value in values}


def _first(paths: Iterable[str | None]) -> str | None:
    return next((path for path in paths if path is not None), None)
