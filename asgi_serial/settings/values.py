"""Reads the value of one option as code, the environment or JSON gives it.

Each `parse_` function returns the value, or raises ValueError whose message is what would have
been accepted ("an integer from 0 to 9"); the caller knows the option's name and says the rest.
"""

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from decimal import Decimal
from inspect import iscoroutinefunction
from typing import Any, TypeVar

_Value = TypeVar("_Value")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

_SIZE_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_DURATION_UNITS = {
    "ms": Decimal("0.001"),
    "": Decimal(1),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}

# "... it MUST consider the value to be 2147483648 (2^31)" (RFC 9111, 1.2.2): no longer is kept.
_LONGEST_SECONDS = 2**31
_LARGEST_BYTES = 2**40

# Digits are bounded, so that no value costs more to read than a real one.
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_MEDIA_TYPE = re.compile(rf"{_TOKEN.pattern}/{_TOKEN.pattern}", re.ASCII)


def parse_partition(value: object) -> Any:
    """Read what tells users apart: names of fields and `cookie:<name>`, or a function.

    >>> parse_partition("Authorization, cookie:sid")
    ('authorization', 'cookie:sid')
    """
    if callable(value):
        if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
            raise ValueError("a function that is not asynchronous")
        return value
    given = value.split(",") if isinstance(value, str) else value
    names = (
        [name.strip() if isinstance(name, str) else "" for name in given]
        if isinstance(given, Iterable)
        else []
    )
    sources = []
    for name in names:
        head, colon, cookie = name.partition(":")
        if colon and head.lower() == "cookie" and _TOKEN.fullmatch(cookie):
            sources.append(f"cookie:{cookie}")  # names of cookies are case-sensitive
        elif _TOKEN.fullmatch(name):
            sources.append(name.lower())
        else:
            sources.clear()
            break
    if not sources:
        raise ValueError(
            "names of fields and cookies such as authorization,cookie:sid, or a function"
        )
    return tuple(dict.fromkeys(sources))


def parse_switch(value: object) -> bool:
    """Read a boolean, or one of its words in any case.

    >>> parse_switch("Off")
    False
    """
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("true or false (also 1, 0, yes, no, on, off)")


def parse_automatic(value: object) -> bool | None:
    """Read a switch that may be left to decide for itself, which is None.

    >>> parse_automatic("Auto"), parse_automatic("off")
    (None, False)
    """
    if value is None or (isinstance(value, str) and value.strip().lower() == "auto"):
        return None
    try:
        return parse_switch(value)
    except ValueError as expected:
        raise ValueError(f"auto, {expected}") from None


def integer(lowest: int, highest: int) -> Callable[[object], int]:
    """A parser of the integers from `lowest` to `highest`, as numbers or as text."""

    def parse_integer(value: object) -> int:
        if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        raise ValueError(f"an integer from {lowest} to {highest}")

    return parse_integer


def parse_size(value: object) -> int:
    """Read a number of bytes: `512`, `1kB` (1,000), `1MiB` (1,048,576), `1.5 MB`, in any case.

    >>> parse_size("64kB")
    64000
    """
    size = _read_quantity(value, _SIZE_UNITS)
    if size is None or size > _LARGEST_BYTES or size != int(size):
        raise ValueError("a size such as 512, 1kB, 64MB or 1MiB, up to 1024GiB")
    return int(size)


def parse_duration(value: object) -> float:
    """Read a time as seconds: `60`, `60s`, `250ms`, `5m`, `1h`, `7d`, or a timedelta.

    >>> parse_duration("250ms")
    0.25
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    seconds = _read_quantity(value, _DURATION_UNITS)
    if seconds is None or seconds > _LONGEST_SECONDS:
        raise ValueError("a duration such as 60s, 250ms, 5m, 1h, 7d or 60 (seconds)")
    return float(seconds)


def parse_time_limit(value: object) -> float:
    """Read a duration that is longer than nothing, as seconds."""
    try:
        seconds = parse_duration(value)
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        return seconds
    raise ValueError("a duration above zero such as 250ms, 5s or 60 (seconds)")


def choices(known: tuple[str, ...]) -> Callable[[object], tuple[str, ...]]:
    """A parser of lists in which each of `known` may stand once, in any case and order."""

    def parse_choices(value: object) -> tuple[str, ...]:
        names = _read_list(value)
        if names and len(set(names)) == len(names) and set(names) <= set(known):
            return names
        raise ValueError(f"a list of {', '.join(known)}, each at most once")

    return parse_choices


def parse_media_types(value: object) -> tuple[str, ...]:
    """Read a list of media types without parameters."""
    names = _read_list(value)
    if names is None or not all(map(_MEDIA_TYPE.fullmatch, names)):
        raise ValueError("a list of media types such as application/geo+json, text/csv")
    return names


def parse_field_names(value: object) -> tuple[str, ...]:
    """Read a list of field names (RFC 9110, 5.1)."""
    names = _read_list(value)
    if names is None or not all(map(_TOKEN.fullmatch, names)):
        raise ValueError("a list of field names such as X-Tenant, Accept-Language")
    return names


def matching(pattern: str, expected: str) -> Callable[[object], str]:
    """A parser of text that `pattern` matches whole; `expected` describes it."""
    compiled = re.compile(pattern, re.ASCII)

    def parse_matching(value: object) -> str:
        if isinstance(value, str) and compiled.fullmatch(value):
            return value
        raise ValueError(expected)

    return parse_matching


def optional(parse: Callable[[object], _Value]) -> Callable[[object], _Value | None]:
    """A parser that lets None pass and hands everything else to `parse`."""

    def parse_optional(value: object) -> _Value | None:
        return None if value is None else parse(value)

    return parse_optional


def explain_value(label: str, value: object, expected: object) -> str:
    """The line that says that `label` holds a value that is not accepted."""
    shown = repr(value)
    # Enough to recognise the value by; the whole of a long one would bury the other lines.
    shown = shown if len(shown) <= 120 else f"{shown[:120]}..."
    return f"{label} is {shown}; expected {expected}."


def explain_unknown(
    label: str, known: Collection[str], *, kind: str, prefix_length: int = 0
) -> str:
    """The line that says that no `kind` is called `label`, with the nearest name that is known.

    The first `prefix_length` characters, which all names share, do not count for nearness.
    """
    spelled = {name[prefix_length:].lower(): name for name in known}
    nearest = difflib.get_close_matches(label[prefix_length:].lower(), spelled, n=1)
    if nearest:
        return f"{label} is not a {kind}; did you mean {spelled[nearest[0]]}?"
    return f"{label} is not a {kind}; there are {', '.join(sorted(known))}."


def _read_quantity(value: object, units: dict[str, int] | dict[str, Decimal]) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and math.isfinite(value):
        # Its shortest spelling, so that 0.1 is a tenth.
        value = Decimal(str(value))
    if isinstance(value, int | Decimal):
        return Decimal(value) if value >= 0 else None
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2].lower() not in units:
        return None
    return Decimal(match[1]) * units[match[2].lower()]


def _read_list(value: object) -> tuple[str, ...] | None:
    """The elements of comma-separated text or of a collection, lower case; None if they are not."""
    elements = value.split(",") if isinstance(value, str) else value
    if not isinstance(elements, Iterable) or isinstance(elements, bytes):
        return None
    names = list(elements)
    if not all(isinstance(name, str) for name in names):
        return None
    return tuple(name.strip().lower() for name in names if name.strip())
