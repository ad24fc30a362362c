"""Parse the values of options from code, the environment or JSON.

Each `parse_` function returns the value or raises ValueError. The message of the error names the
accepted values ("an integer from 0 to 9"); the caller adds the name of the option.
"""

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from itertools import chain
from operator import lt
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeGuard, TypeVar

from asgi_serial.http.choices import LANGUAGES, may_be_chosen
from asgi_serial.http.cookies import ANALYTICS_COOKIES
from asgi_serial.http.paths import is_plain
from asgi_serial.settings.foreign_names import hint_at

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

# RFC 9111, 1.2.2: a cache that receives a greater number of seconds "MUST consider the value to be
# 2147483648 (2^31)" or the greatest integer that it can represent.
_LONGEST_SECONDS = 2**31
_LARGEST_BYTES = 2**40
# Each bucket is a time series of its own, for each route, method and status.
_MOST_BUCKETS = 100

# The number of digits is bounded, so that absurd numbers are rejected before they are converted.
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_MEDIA_TYPE = re.compile(rf"{_TOKEN.pattern}/{_TOKEN.pattern}", re.ASCII)
# Without the characters that separate parameters, or encode others.
_PARAMETER_NAME = re.compile(r"[^\s&=%+;#*]+\*?")
# RFC 3986, 3.3: the characters of a path, without percent-encoding (a server decodes the path) and
# without `*`, which would look like a pattern.
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()+,;=:@/-]*", re.ASCII)


# RFC 5646, 2.1, as far as a language range can be equal to it (RFC 4647, 2.1).
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*", re.ASCII)
_OFFERED = re.compile(r"[!-+\--~](?:[ -+\--~]{0,254}[!-+\--~])?", re.ASCII)
# Each value is a variant of each response; a response varies by at most this many fields.
_MOST_OFFERED, _MOST_OFFERS = 100, 16

Offers: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""The names of request fields, each with the values of which the app sees one."""


class Source(NamedTuple):
    """A value with the name under which the user gave it: an argument or a variable."""

    label: str
    value: object


def parse_skip(value: object) -> Any:
    """Parse a function of the scope that returns true or false."""
    if not callable(value):
        raise ValueError("a function of the ASGI scope that returns True or False, in code")
    if _is_asynchronous(value):
        raise ValueError("a synchronous function, which returns True or False")
    return value


def _is_asynchronous(value: Callable[..., object]) -> bool:
    """Whether a call returns a coroutine or a generator rather than a value."""
    return any(
        kind(function)
        for kind in (iscoroutinefunction, isasyncgenfunction, isgeneratorfunction)
        for function in (value, type(value).__call__)
    )


def parse_partition(value: object) -> Any:
    """Parse the identification of users: field names and `cookie:<name>`, or a function.

    >>> parse_partition("Authorization, cookie:sid")
    ('authorization', 'cookie:sid')
    """
    if callable(value):
        if _is_asynchronous(value):
            raise ValueError("a synchronous function")
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
            sources.append(f"cookie:{cookie}")  # cookie names are case-sensitive
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
    """Parse a boolean, or a word for one in any case.

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
    """Parse a switch that also accepts `auto`, which becomes None.

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
    """Return a parser for integers from `lowest` to `highest`, given as numbers or text."""

    def parse_integer(value: object) -> int:
        if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        raise ValueError(f"an integer from {lowest} to {highest}")

    return parse_integer


def parse_size(value: object) -> int:
    """Parse a number of bytes: `512`, `1kB` (1,000), `1MiB` (1,048,576), `1.5 MB`, in any case.

    >>> parse_size("64kB")
    64000
    """
    size = _read_quantity(value, _SIZE_UNITS)
    if size is None or size > _LARGEST_BYTES or size != int(size):
        raise ValueError("a size such as 512, 1kB, 64MB or 1MiB, up to 1024GiB")
    return int(size)


def parse_duration(value: object) -> float:
    """Parse a duration to seconds: `60`, `60s`, `250ms`, `5m`, `1h`, `7d`, or a timedelta.

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
    """Parse a duration above zero to seconds."""
    try:
        seconds = parse_duration(value)
    except ValueError:
        seconds = 0.0
    if seconds > 0:
        return seconds
    raise ValueError("a duration above zero such as 250ms, 5s or 60 (seconds)")


def parse_buckets(value: object) -> tuple[float, ...]:
    """Parse the bounds of a histogram, as durations above zero that grow, to seconds.

    >>> parse_buckets("5ms, 0.1, 1s")
    (0.005, 0.1, 1.0)
    """
    given = value.split(",") if isinstance(value, str) else value
    try:
        bounds = tuple(parse_time_limit(one) for one in given) if _is_list(given) else ()
    except ValueError:
        bounds = ()
    if 1 <= len(bounds) <= _MOST_BUCKETS and all(map(lt, bounds, bounds[1:])):
        return bounds
    raise ValueError(f"a list of 1 to {_MOST_BUCKETS} growing durations such as 10ms, 100ms, 1s")


def choices(known: tuple[str, ...]) -> Callable[[object], tuple[str, ...]]:
    """Return a parser for lists of `known` names, each at most once, in any case and order."""

    def parse_choices(value: object) -> tuple[str, ...]:
        names = _read_list(value)
        if names and len(set(names)) == len(names) and set(names) <= set(known):
            return names
        raise ValueError(f"a list of {', '.join(known)}, each at most once")

    return parse_choices


def parse_media_types(value: object) -> tuple[str, ...]:
    """Parse a list of media types without parameters."""
    names = _read_list(value)
    if names is None or not all(map(_MEDIA_TYPE.fullmatch, names)) or "*" in "".join(names):
        raise ValueError(
            "a list of media types such as application/geo+json, text/csv, each in full (without *)"
        )
    return names


def parse_field_names(value: object) -> tuple[str, ...]:
    """Parse a list of field names (RFC 9110, 5.1)."""
    names = _read_list(value)
    if names is None or not all(map(_TOKEN.fullmatch, names)):
        raise ValueError("a list of field names such as X-Tenant, Accept-Language")
    return names


def parse_field_patterns(value: object) -> tuple[str, ...]:
    """Parse a list of field names, each of which may end in `*`.

    >>> parse_field_patterns("X-Request-Id, X-RateLimit-*")
    ('x-request-id', 'x-ratelimit-*')
    """
    names = _read_list(value)
    if names is None or not all(map(_is_name, names)):
        raise ValueError(
            "a list of names of response fields such as x-request-id, x-ratelimit-* (and not * "
            "alone)"
        )
    return tuple(dict.fromkeys(names))


def _is_name(name: str) -> bool:
    """Whether this is a token that has no `*`, except at its end."""
    return name != "*" and _TOKEN.fullmatch(name) is not None and "*" not in name[:-1]


def parse_cookie_names(value: object) -> tuple[str, ...]:
    """Parse a list of cookie names (RFC 6265, 4.1.1), each of which may end in `*`.

    The names of cookies are case-sensitive.

    >>> parse_cookie_names("theme, lang_*")
    ('theme', 'lang_*')
    """
    names = _read_elements(value)
    if names is None or not all(map(_is_name, names)):
        raise ValueError("a list of cookie names such as theme, lang_* (and not * alone)")
    return tuple(dict.fromkeys(names))


def parse_ignored_cookies(value: object) -> tuple[str, ...]:
    """Parse a list of cookie names; the word `analytics` stands for `ANALYTICS_COOKIES`.

    >>> len(parse_ignored_cookies("analytics, consent")) == len(ANALYTICS_COOKIES) + 1
    True
    """
    try:
        names = parse_cookie_names(value)
    except ValueError:
        raise ValueError(
            "a list of cookie names such as analytics, consent, visit_* (and not * alone); an empty"
            " one to ignore none"
        ) from None
    known = (ANALYTICS_COOKIES if name == "analytics" else (name,) for name in names)
    return tuple(dict.fromkeys(chain.from_iterable(known)))


def parse_parameter_names(value: object) -> tuple[str, ...]:
    """Parse a list of names of query parameters, as an app reads them; each may end in `*`.

    The names of parameters are case-sensitive.

    >>> parse_parameter_names("utm_*, fbclid, filter[page]")
    ('utm_*', 'fbclid', 'filter[page]')
    """
    names = _read_elements(value)
    if names is None or not all(map(_is_parameter_name, names)):
        raise ValueError(
            "a list of names of query parameters such as utm_*, fbclid (not * alone), without "
            "percent-encoding, & = + ; # and spaces"
        )
    return tuple(dict.fromkeys(names))


def _is_parameter_name(name: str) -> bool:
    return _PARAMETER_NAME.fullmatch(name) is not None and name.isprintable()


def parse_offers(value: object) -> Offers:
    """Parse a mapping from field names to the values that count, the default first, also as text.

    >>> parse_offers("Accept-Language=en|de, X-Country=us|fr")
    (('accept-language', ('en', 'de')), ('x-country', ('us', 'fr')))
    """
    offers = _read_offers(value)
    if offers is None or len(offers) > _MOST_OFFERS:
        raise ValueError(
            "a mapping from field names to lists of values such as {'accept-language': ['en', "
            "'de']}, as text accept-language=en|de"
        )
    for name, offered in offers.items():
        if not may_be_chosen(name.encode()):
            raise ValueError(
                "fields that hold one of a few values such as Accept-Language, Sec-CH-UA-Mobile, "
                f"X-Country; {name} is read by the cache itself, or identifies users or routes, or "
                "must reach the app unchanged"
            )
        is_language = name.encode() == LANGUAGES
        pattern = _LANGUAGE if is_language else _OFFERED
        kind = "language tags such as en, de-CH" if is_language else "values without commas"
        number = len({one.lower() for one in offered})
        is_bounded = 0 < number == len(offered) <= _MOST_OFFERED
        if not is_bounded or not all(map(pattern.fullmatch, offered)):
            raise ValueError(
                f"1 to {_MOST_OFFERED} {kind} for {name}, which differ in more than their case"
            )
    return tuple(offers.items())


def _read_offers(value: object) -> dict[str, tuple[str, ...]] | None:
    """Return the values by field name, as they were written; None if they are malformed."""
    if isinstance(value, str):
        given = [element.partition("=")[::2] for element in value.split(",") if element.strip()]
        pairs = [(name, offered.split("|")) for name, offered in given]
    elif isinstance(value, Mapping):
        pairs = list(value.items())
    else:
        try:
            pairs = [(name, offered) for name, offered in value]  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            return None
    read = {}
    for name, offered in pairs:
        if not isinstance(name, str) or not _TOKEN.fullmatch(name.strip()) or not _is_list(offered):
            return None
        values = list(offered)
        if not all(isinstance(one, str) for one in values):
            return None
        read[name.strip().lower()] = tuple(one.strip() for one in values)
    return read if len(read) == len(pairs) else None


def path_such_as(example: str) -> Callable[[object], str]:
    """Return a parser for the path of an endpoint, which is compared with that of a request.

    >>> path_such_as("/-/timing")("/-/report")
    '/-/report'
    """

    def parse_path(value: object) -> str:
        if isinstance(value, str) and _PATH.fullmatch(value) and is_plain(value):
            return value
        raise ValueError(
            f"a path that begins with / such as {example}; it is no pattern, so it has no * or "
            "{}, and it has no query, dot segments, //, semicolons or percent-encoding"
        )

    return parse_path


def matching(pattern: str, expected: str) -> Callable[[object], str]:
    """Return a parser for text that matches `pattern` entirely; `expected` describes the text."""
    compiled = re.compile(pattern, re.ASCII)

    def parse_matching(value: object) -> str:
        if isinstance(value, str) and compiled.fullmatch(value):
            return value
        raise ValueError(expected)

    return parse_matching


def optional(parse: Callable[[object], _Value]) -> Callable[[object], _Value | None]:
    """Return a parser that accepts None and passes everything else to `parse`."""

    def parse_optional(value: object) -> _Value | None:
        return None if value is None else parse(value)

    return parse_optional


def explain_value(label: str, value: object, expected: object) -> str:
    """Return the error line for a value that is not accepted."""
    shown = repr(value)
    # 120 characters are enough to recognise a value; a longer one would bury the other lines.
    shown = shown if len(shown) <= 120 else f"{shown[:120]}..."
    return f"{label} is {shown}; expected {expected}."


def explain_unknown(
    label: str,
    known: Collection[str],
    *,
    kind: str,
    prefix_length: int = 0,
    hints: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the error line for an unknown name, which suggests the one that is meant.

    `kind` is what the name should be, such as `an option`.
    `hints` explains names that other libraries use; otherwise it is the closest known one. The
    first `prefix_length` characters are common to all names and are not compared.
    """
    spelled = {name[prefix_length:].lower(): name for name in known}
    hint = hint_at(label[prefix_length:], hints, spelled)
    if hint is not None:
        return f"{label} is not {kind}; {hint}"
    nearest = difflib.get_close_matches(label[prefix_length:].lower(), spelled, n=1)
    if nearest:
        return f"{label} is not {kind}; did you mean {spelled[nearest[0]]}?"
    return f"{label} is not {kind}; expected one of {', '.join(sorted(known))}."


def _read_quantity(value: object, units: dict[str, int] | dict[str, Decimal]) -> Decimal | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and math.isfinite(value):
        # str() gives the shortest spelling: 0.1 becomes exactly a tenth, not 0.1000000000000000055.
        value = Decimal(str(value))
    if isinstance(value, int | Decimal):
        return Decimal(value) if value >= 0 else None
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2].lower() not in units:
        return None
    return Decimal(match[1]) * units[match[2].lower()]


def _is_list(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes)


def _read_list(value: object) -> tuple[str, ...] | None:
    """Return the elements of comma-separated text or a collection, in lower case; None if invalid.

    Empty elements are dropped.
    """
    names = _read_elements(value)
    return None if names is None else tuple(map(str.lower, names))


def _read_elements(value: object) -> tuple[str, ...] | None:
    """Return the elements of a list as they were written, without empty ones; None if invalid."""
    elements = value.split(",") if isinstance(value, str) else value
    if not isinstance(elements, Iterable) or isinstance(elements, bytes):
        return None
    names = list(elements)
    if not all(isinstance(name, str) for name in names):
        return None
    return tuple(name.strip() for name in names if name.strip())
