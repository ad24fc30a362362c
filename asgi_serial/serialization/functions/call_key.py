"""Keys of calls: one text for a function and the arguments of a call, the same in all processes."""

from __future__ import annotations

import inspect
import os
import string
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from types import FunctionType
from typing import Any, NamedTuple, TypeAlias, cast, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

MAX_KEY_CHARACTERS = 250
"""The longest key; a longer one ends in a digest of the whole."""

Bind: TypeAlias = Callable[..., tuple[object, ...]]
"""Takes the arguments of a call; returns the values of all parameters, in their order."""

MakeKey: TypeAlias = Callable[..., str]
"""Takes the arguments of a call; returns its key. Raises: TypeError."""

# Their `repr` is the same for equal values in all processes, and differs between types.
_PLAIN = frozenset({bool, bytes, float, int, str, type(None)})
_SCALARS = frozenset(
    {
        *(complex, date, Decimal, Fraction, range, timedelta, UUID),
        *(IPv4Address, IPv4Interface, IPv4Network, IPv6Network),
        *(PosixPath, PurePosixPath, PureWindowsPath, WindowsPath),
    }
)
_SHOWN = _PLAIN | _SCALARS | {IPv6Address, IPv6Interface}
_SHOWN_CHARACTERS = 160
_DIGEST_DIGITS = 32
# Keys of all arguments have a parenthesis after the name, and most templates a colon.
_ALWAYS_ESCAPED = frozenset("%(:")
# The texts of None and of booleans in a template.
_NAMES_OF_CONSTANTS = frozenset({"None", "True", "False"})
# A function may wrap itself by mistake.
_MOST_LAYERS = 100
# CPython sets this flag of a class that was not built in.
_IS_HEAP_TYPE = 1 << 9


class Parameters(NamedTuple):
    """The parameters of a function, and what binds the arguments of a call to them."""

    function: str
    """The name of the function, for messages."""
    names: tuple[str, ...]
    bind: Bind


def parameters_of(function: Callable[..., Any]) -> Parameters:
    """Return the parameters of a function.

    `bind` is compiled from the signature, as dataclasses compile their `__init__`:
    `Signature.bind` takes twenty times as long.
    """
    signature = inspect.signature(function)
    name = getattr(function, "__qualname__", repr(function))
    parts: list[str] = []
    defaults: list[object] = []
    last = None
    for parameter in signature.parameters.values():
        kind = parameter.kind
        if last is parameter.POSITIONAL_ONLY is not kind:
            parts.append("/")
        if kind is parameter.KEYWORD_ONLY and last not in (kind, parameter.VAR_POSITIONAL):
            parts.append("*")
        stars = "*" * (kind is parameter.VAR_POSITIONAL) or "**" * (kind is parameter.VAR_KEYWORD)
        default = ""
        if parameter.default is not parameter.empty:
            default = f"=_[{len(defaults)}]"
            defaults.append(parameter.default)
        parts.append(f"{stars}{parameter.name}{default}")
        last = kind
    if last is inspect.Parameter.POSITIONAL_ONLY:
        parts.append("/")
    names = tuple(signature.parameters)
    values = "".join(f"{one}, " for one in names)
    namespace: dict[str, Any] = {"_": defaults}
    exec(f"def bind({', '.join(parts)}): return ({values})", namespace)
    bind: Any = namespace["bind"]
    # Python's own error for arguments that do not fit names the function by this.
    bind.__qualname__ = name
    return Parameters(name, names, bind)


def describe_variables(function: Callable[..., object]) -> str | None:
    """Return a text of the variables that the decorators of a function have bound; often empty.

    None means that functions of the same name may differ although their texts do not: a function
    of another function that uses its variables, a method of an instance, or an object.
    """
    layers: list[Any] = [function]
    while hasattr(layers[-1], "__wrapped__") and len(layers) < _MOST_LAYERS:
        layers.append(layers[-1].__wrapped__)
    texts = []
    for layer in layers:
        if not isinstance(layer, FunctionType):
            return None
        wrapped = getattr(layer, "__wrapped__", None)
        for name, cell in zip(layer.__code__.co_freevars, layer.__closure__ or (), strict=True):
            if name == "__class__":
                continue
            try:
                content = cell.cell_contents
                if wrapped is None:
                    return None
                if content is not wrapped:
                    texts.append(f"{name}={_describe(content)}")
            except (_NoKeyError, RecursionError, ValueError):  # a variable without a value
                return None
    return ", ".join(texts)


def key_by_arguments(prefix: str, parameters: Parameters) -> MakeKey:
    """Return the function that makes keys of all arguments, such as `shop.load(7, 'en')`."""
    bind, are_plain = parameters.bind, _PLAIN.issuperset

    def make_key(*args: Any, **kwargs: Any) -> str:
        values = bind(*args, **kwargs)
        if are_plain(map(type, values)):
            try:
                text = f"{prefix}{values!r}"
            except ValueError:  # an integer of more digits than Python converts
                text = prefix + _describe_all(parameters, values)
        else:
            text = prefix + _describe_all(parameters, values)
        return text if len(text) <= MAX_KEY_CHARACTERS else _shorten(text)

    return make_key


def key_by_function(
    prefix: str, parameters: Parameters, function: Callable[..., object]
) -> MakeKey:
    """Return the function that makes keys by a function of the same arguments.

    That returns the text of the key, or values to put after the function's name.
    """

    def make_key(*args: Any, **kwargs: Any) -> str:
        found = function(*args, **kwargs)
        if type(found) is str:
            return bounded(found)
        if inspect.isawaitable(found):
            getattr(found, "close", lambda: None)()
            raise TypeError(f"key= of {parameters.function}() is asynchronous; expected a function")
        try:
            if found is None:  # all calls would have one key, for want of a `return`
                raise _NoKeyError("None")
            return bounded(f"{prefix}{_describe(found)}")
        except _NoKeyError as error:
            raise TypeError(
                f"key= of {parameters.function}() returned {error.text}; expected a str, or a "
                f"tuple of values such as str and int"
            ) from None

    return make_key


def key_by_template(template: str, parameters: Parameters) -> MakeKey:
    """Return the function that makes keys by a format string, such as `user:{id}`.

    Raises: ValueError for a malformed template, or one that names no parameter.
    """
    parsed = Template(template, parameters)
    bind, render = parameters.bind, parsed.render

    def make_key(*args: Any, **kwargs: Any) -> str:
        return bounded(render(bind(*args, **kwargs)))

    return make_key


class Template:
    """A format string over the parameters of a function, and over the names in `more`.

    Values are escaped (`%3A` for `:`) where they contain punctuation of the template itself, or
    that of most other keys, and where a text would look like None or a boolean. Otherwise two sets
    of values could have the same text, and a client might choose one of them. In a tag, only the
    punctuation of the template is escaped: whoever gives a result another's tag loses the result.

    Raises: ValueError.
    """

    def __init__(
        self,
        template: str,
        parameters: Parameters,
        more: Sequence[str] = (),
        *,
        is_tag: bool = False,
    ) -> None:
        self._template = template
        self._parameters = parameters
        names = [*parameters.names, *[one for one in more if one not in parameters.names]]
        self.uses: set[str] = set()
        """The names that the template uses."""
        try:
            parsed = list(string.Formatter().parse(template))
        except ValueError as error:
            raise ValueError(f"{self}: {error}") from None
        self._pieces: list[tuple[str, int, str | None, str, str]] = []
        before = ""
        for literal, field, spec, conversion in parsed:
            before += literal
            if field is None:
                continue
            name = field.replace("[", ".").partition(".")[0]
            if name not in names or "{" in (spec or ""):
                known = ", ".join(f"{{{one}}}" for one in names) or "no names"
                raise ValueError(f"{self} has {{{field}}}; expected {known}")
            if self._pieces and before.isalnum() | (not before):
                raise ValueError(f"{self} has {{{field}}} right after another; put a ':' between")
            self.uses.add(name)
            path = None if field == name else field
            self._pieces.append((before, names.index(name), path, spec or "", conversion or ""))
            before = ""
        self._end = before
        literals = self._end + "".join(piece[0] for piece in self._pieces)
        escaped = {one for one in literals if not one.isalnum()}
        escaped |= {"%"} if is_tag else _ALWAYS_ESCAPED
        self._constants: frozenset[str] = frozenset() if is_tag else _NAMES_OF_CONSTANTS
        self._escapes = str.maketrans({one: _escaped(one) for one in escaped})
        self._names = names

    def __str__(self) -> str:
        return f"{self._template!r} for {self._parameters.function}()"

    def render(self, values: Sequence[object]) -> str:
        """Return the text for the values of all names. Raises: TypeError."""
        out = ""
        for literal, index, path, spec, conversion in self._pieces:
            value = values[index]
            if path is not None:
                value = self._find(path, value)
            elif type(value) is str and not (spec or conversion or value in self._constants):
                out += literal + value.translate(self._escapes)
                continue
            elif type(value) is int and not spec:
                out += f"{literal}{value}"
                continue
            out += literal + self._show(value, path or self._names[index], spec, conversion)
        return out + self._end

    def _find(self, path: str, value: object) -> object:
        name = path.replace("[", ".").partition(".")[0]
        try:
            return string.Formatter().get_field(path, (), {name: value})[0]
        except (AttributeError, LookupError) as error:
            raise TypeError(f"{self}: {{{path}}} is not there: {error}") from error

    def _show(self, value: object, field: str, spec: str, conversion: str) -> str:
        if not (isinstance(value, Enum | datetime | time) or type(value) in _SHOWN):
            raise TypeError(
                f"{self}: {{{field}}} is of type {type(value).__qualname__}; expected text, a "
                f"number or the like, such as one of its attributes: {{{field}.id}}"
            )
        if conversion:
            value = string.Formatter().convert_field(value, conversion)
        text = format(value, spec)
        if text in self._constants and isinstance(value, str):
            return _escaped(text[0]) + text[1:]
        return text.translate(self._escapes)


def bounded(text: str) -> str:
    """Return a key of at most `MAX_KEY_CHARACTERS`, which differs for different texts."""
    # A text that looks as if it had been shortened is shortened, too, so that nobody can pass off
    # one for another.
    if len(text) > MAX_KEY_CHARACTERS or text[-_DIGEST_DIGITS - 1 : -_DIGEST_DIGITS] == "#":
        return _shorten(text)
    return text


def _shorten(text: str) -> str:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_DIGITS // 2)
    return f"{text[:_SHOWN_CHARACTERS]}#{digest.hexdigest()}"


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


class _NoKeyError(TypeError):
    """A value cannot be part of a key; `text` says which, and why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def _describe_all(parameters: Parameters, values: tuple[object, ...]) -> str:
    """Return the text of all arguments. Raises: TypeError that names one without a key."""
    out = []
    for name, value in zip(parameters.names, values, strict=True):
        try:
            out.append(_describe(value))
        except _NoKeyError as error:
            # A key without the argument would give the result of one caller to all.
            part = f"{name}.id"
            shown = [part if one == name else one for one in parameters.names]
            shown = [one for one in shown if one not in ("self", "cls")]
            key = ":".join(
                [parameters.function.rpartition(".")[2], *[f"{{{one}}}" for one in shown]]
            )
            raise TypeError(
                f"the argument {name!r} of {parameters.function}() is {error.text}, which cannot "
                f"be part of a key; say by what of it results differ, such as key={key!r}, and "
                f"leave {{{part}}} out only if the result is the same for every {name}"
            ) from None
        except RecursionError:
            raise TypeError(
                f"the argument {name!r} of {parameters.function}() is nested too deeply for a key"
            ) from None
    return f"({', '.join(out)}{',' if len(out) == 1 else ''})"


def _describe(value: Any) -> str:
    """Return a text that is the same for equal values of one type only. Raises: _NoKeyError."""
    cls = type(value)
    if cls in _PLAIN:
        return _describe_plain(value)
    if cls in _SCALARS:
        return repr(value)
    describe = _BY_TYPE.get(cls)
    if describe is not None:
        return describe(value)
    if isinstance(value, type):
        return f"<{_name_of(value)}>"
    name = _name_of(cast(Any, cls))
    if isinstance(value, Enum):
        return f"{name}({_describe(value.value)})"
    if isinstance(value, tuple) and hasattr(cls, "_fields"):
        return name + _describe_items(tuple(value))
    if isinstance(value, BaseModel):
        known = cls.model_fields
        content = (
            {one: part for one, part in vars(value).items() if one in known},
            value.__pydantic_extra__,
            # Fields that were not set may matter to the function, as in a PATCH.
            value.__pydantic_fields_set__,
            *([value.__pydantic_private__] if value.__pydantic_private__ else ()),
        )
        return name + _describe_items(content)
    if is_dataclass(value) and cls.__dataclass_params__.eq:
        content = tuple([getattr(value, one.name) for one in fields(value) if one.compare])
        return name + _describe_items(content)
    raise _NoKeyError(f"an object of type {cls.__qualname__}")


@lru_cache(2_000)
def _name_of(cls: Any) -> str:
    """Return a text that no other class has; if a module has the class, in all processes."""
    name = f"{cls.__module__}.{cls.__qualname__}"
    found: Any = sys.modules.get(cls.__module__)
    for step in cls.__qualname__.split("."):
        found = vars(found).get(step) if hasattr(found, "__dict__") else None
    if found is cls or not cls.__flags__ & _IS_HEAP_TYPE:
        return name
    generic = vars(cls).get("__pydantic_generic_metadata__") or {}
    if generic.get("origin"):
        return f"{_name_of(generic['origin'])}[{', '.join(map(_name_of_type, generic['args']))}]"
    # A class of a function is another one with each call.
    return f"{name}<{os.urandom(8).hex()}>"


def _name_of_type(type_: Any) -> str:
    if get_args(type_):
        parts = map(_name_of_type, get_args(type_))
        return f"{_name_of_type(get_origin(type_))}[{', '.join(parts)}]"
    # The rest are the values of literals, and forms of `typing`.
    return _name_of(type_) if isinstance(type_, type) else f"{type(type_).__name__} {type_!r}"


def _describe_plain(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # an integer of more digits than Python converts
        return hex(value)  # type: ignore[arg-type]


def _describe_items(values: Sequence[object]) -> str:
    return f"({', '.join(map(_describe, values))},)"


def _describe_set(values: Any) -> str:
    return f"{type(values).__name__}({', '.join(sorted(map(_describe, values)))})"


def _describe_mapping(values: Mapping[object, object]) -> str:
    items = sorted(f"{_describe(key)}: {_describe(value)}" for key, value in values.items())
    return f"{{{', '.join(items)}}}"


def _describe_time(value: datetime | time) -> str:
    zone = value.tzinfo
    # A zone that was read from a file has the address of that file in its text.
    is_nameless = type(zone).__repr__ is object.__repr__ or getattr(zone, "key", "") is None
    if zone is not None and is_nameless:
        raise _NoKeyError(f"an object of type {type(value).__name__} in a zone without a name")
    return repr(value)


_BY_TYPE: Mapping[type, Callable[[Any], str]] = {
    tuple: _describe_items,
    list: lambda values: f"[{', '.join(map(_describe, values))}]",
    set: _describe_set,
    frozenset: _describe_set,
    dict: _describe_mapping,
    datetime: _describe_time,
    time: _describe_time,
    # Their `repr` does not escape the quotes of a scope.
    IPv6Address: lambda value: f"IPv6Address({str(value)!r})",
    IPv6Interface: lambda value: f"IPv6Interface({str(value)!r})",
}
