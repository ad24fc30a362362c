"""The options of one call that writes, which are Pydantic's own."""

from collections.abc import Mapping, Set
from typing import Any, TypedDict

from asgi_serial.settings.values import explain_unknown


class WriteOptions(TypedDict, total=False):
    """The options of `model_dump_json()` that decide what of a value is written."""

    include: Any
    exclude: Any
    by_alias: bool | None
    exclude_none: bool
    exclude_unset: bool
    exclude_defaults: bool
    context: Any
    round_trip: bool


_NAMES = WriteOptions.__annotations__
_PARTS = ("include", "exclude")
_SCALAR = str | int | float | bytes | None


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are set. Raises: TypeError for a wrong name or value."""
    for name, value in options.items():
        if name not in _NAMES:
            raise TypeError(explain_unknown(name, _NAMES, kind="an option of a call that writes"))
        if name in _PARTS:
            _check_part(name, value)
        elif name != "context" and not (value is None or isinstance(value, bool)):
            raise TypeError(f"{name} is {value!r}; expected True or False")
    return {name: value for name, value in options.items() if value is not None}


def _check_part(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Set | Mapping):
        raise TypeError(
            f"{name} is {value!r}; expected a set of names, or a dict from names to True or to "
            "parts of their own, as in Pydantic"
        )


def key_of_options(options: Mapping[str, Any]) -> str:
    """Return a text that only equal options have, in any process.

    Raises: TypeError for a context that holds anything but plain data.
    """
    return _canonical({name: options[name] for name in sorted(options)}) if options else ""


def _canonical(value: Any) -> str:
    if value is ...:
        value = True  # both select a whole field
    if isinstance(value, _SCALAR) and type(value).__module__ == "builtins":
        return repr(value)
    if isinstance(value, Mapping):
        items = sorted((_canonical(key), _canonical(part)) for key, part in value.items())
        return "{" + ",".join(f"{key}:{part}" for key, part in items) + "}"
    if isinstance(value, Set):
        return "{" + ",".join(sorted(map(_canonical, value))) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_canonical, value)) + "]"
    raise TypeError(
        f"an option holds {value!r}, of type {type(value).__name__}, by which nothing can be "
        "cached; expected plain data (text, numbers, lists, sets, dicts), or a call without a "
        "cache_key"
    )
