"""Signed pickles, which are read only if the signature is valid; never used over HTTP."""

import pickle
import sys
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from io import BytesIO
from operator import getitem
from types import BuiltinFunctionType, FunctionType
from typing import Any, cast
from zoneinfo import ZoneInfo

from asgi_serial.errors import FormatError

MAGIC = b"\xc1asp\x01"
"""The magic number of a signed pickle; 0xc1 begins neither MessagePack nor UTF-8 text."""

_TAG_BYTES = 16
_HEAD_BYTES = len(MAGIC) + _TAG_BYTES
_PROTOCOL = 5

# Classes whose instances hold a value, and whose construction has no side effects.
_VALUE_CLASSES = {
    "builtins": {
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
        *("object", "range", "set", "slice", "str", "tuple"),
    },
    "collections": {"Counter", "OrderedDict", "defaultdict", "deque"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "ipaddress": {
        *("IPv4Address", "IPv4Interface", "IPv4Network"),
        *("IPv6Address", "IPv6Interface", "IPv6Network"),
    },
    "pathlib": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    # The module of the classes above in Python 3.13 and later.
    "pathlib._local": {"Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath"},
    "uuid": {"SafeUUID", "UUID"},
    "zoneinfo": {"ZoneInfo"},
}


# The methods by which a class decides how its instances are pickled, and made again.
_HOOKS = frozenset(
    {
        *("__getnewargs__", "__getnewargs_ex__", "__getstate__", "__new__"),
        *("__reduce__", "__reduce_ex__", "__setstate__"),
    }
)


def is_value_class(cls: type) -> bool:
    """Whether instances of `cls` are plain values, which every pickle may hold."""
    return cls.__qualname__ in _VALUE_CLASSES.get(cls.__module__, ()) or issubclass(cls, Enum)


def has_no_shape(cls: type) -> bytes:
    """Return the empty shape, of a class whose instances any version of the class can hold."""
    return b""


class PickleFormat:
    """Pickles with a keyed digest, which only holders of the key can write.

    `key` has 16 to 64 bytes. A pickle can run code when it is read, so a pickle with an invalid
    signature is not unpickled at all. As a second line of defence, only classes that `is_allowed`
    accepts are instantiated, and only from modules that are already imported.

    `shape_of` returns a digest of the fields of a class. It is stored with the class, and a pickle
    is refused once the class has another one; the empty digest is not compared.

    A value that could not be read back is refused when it is written.
    """

    name = "pickle"

    def __init__(
        self,
        key: bytes,
        *,
        is_allowed: Callable[[type], bool] = is_value_class,
        shape_of: Callable[[type], bytes] = has_no_shape,
    ) -> None:
        self._key = key
        self._is_allowed = is_allowed
        self._shape_of = shape_of

    def dumps(self, value: object) -> bytes:
        """Write and sign `value`. Raises: FormatError."""
        buffer = BytesIO()
        pickler = _Pickler(buffer, self._is_allowed, self._shape_of)
        try:
            pickler.dump(value)
            data = buffer.getvalue()
            if pickler.is_uncertain:
                self._load(data)
        except Exception as error:  # a class's own methods may raise anything
            raise FormatError(f"the value cannot be pickled: {error}") from error
        return b"".join((MAGIC, self._tag(data), data))

    def loads(self, data: bytes) -> Any:
        """Read a pickle that was written with the same key. Raises: FormatError."""
        if not data.startswith(MAGIC) or len(data) <= _HEAD_BYTES:
            raise FormatError("not a signed pickle; unsigned pickles are never read")
        content = data[_HEAD_BYTES:]
        if not compare_digest(self._tag(content), data[len(MAGIC) : _HEAD_BYTES]):
            raise FormatError(
                "the signature of the pickle is invalid; read it with the key with which it was "
                "written"
            )
        try:
            return self._load(content)
        except Exception as error:
            raise FormatError(f"the pickle cannot be read: {error}") from error

    def _load(self, content: bytes) -> Any:
        return _Unpickler(BytesIO(content), self._is_allowed, self._shape_of).load()

    def _tag(self, data: bytes) -> bytes:
        return blake2b(data, key=self._key, digest_size=_TAG_BYTES).digest()


class _Pickler(pickle.Pickler):
    def __init__(
        self,
        file: BytesIO,
        is_allowed: Callable[[type], bool],
        shape_of: Callable[[type], bytes],
    ) -> None:
        super().__init__(file, _PROTOCOL)
        self._is_allowed = is_allowed
        self._shape_of = shape_of
        self.is_uncertain = False
        """Whether only reading the pickle can tell if it can be read."""

    def reducer_override(self, obj: Any) -> Any:
        """Refuse classes that are not allowed and functions, which `_Unpickler` would refuse."""
        if isinstance(obj, type):
            return self._reduce_class(obj)
        if isinstance(obj, FunctionType | BuiltinFunctionType):
            if obj is getitem or obj is _class_of_shape or _reads_zone(obj):
                return NotImplemented
            raise pickle.PicklingError(f"the function {obj.__qualname__} is not allowed")
        # Code of the application may return the name of a global, which can be any object. A member
        # of an enum is found by its value, which may equal nothing but itself.
        is_lost = isinstance(obj, Enum) and cast(Any, type(obj.value)).__eq__ is object.__eq__
        if is_lost or _has_hooks(cast(Any, type(obj))):
            self.is_uncertain = True
        return NotImplemented

    def _reduce_class(self, cls: type) -> Any:
        if not self._is_allowed(cls) or _find_class(cls.__module__, cls.__qualname__) != cls:
            raise pickle.PicklingError(
                f"{cls.__module__}.{cls.__qualname__} is not allowed; expected models, "
                "dataclasses, named tuples, enums and plain values of classes that a module defines"
            )
        shape = self._shape_of(cls)
        if not shape:
            return NotImplemented
        return _class_of_shape, (cls.__module__, cls.__qualname__, shape)


class _Unpickler(pickle.Unpickler):
    def __init__(
        self,
        file: BytesIO,
        is_allowed: Callable[[type], bool],
        shape_of: Callable[[type], bytes],
    ) -> None:
        super().__init__(file)
        self._is_allowed = is_allowed
        self._shape_of = shape_of

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class; refuse every other global."""
        own = _OWN_FUNCTIONS.get((module, name))
        if own is not None:
            return getattr(self, own)
        if (module, name) in _CONSTANTS:
            return getattr(sys.modules[module], name)
        found = _find_class(module, name)
        if found is None or not self._is_allowed(found):
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return found

    def _read_attribute(self, owner: object, name: str) -> Any:
        """Replace `getattr`, by which zones and the members of some enums are pickled."""
        if owner is ZoneInfo and name == "_unpickle":
            return owner._unpickle  # type: ignore[attr-defined]
        if isinstance(owner, type) and issubclass(owner, Enum):
            return owner[name]
        raise pickle.UnpicklingError(f"the attribute {name} is not allowed")

    def _parametrize(self, owner: Any, parameters: Any) -> Any:
        """Replace `getitem`, by which types such as `Secret[int]` are pickled."""
        if isinstance(owner, type):
            return owner[parameters]  # type: ignore[index]
        raise pickle.UnpicklingError(
            f"access to items of {type(owner).__qualname__} is not allowed"
        )

    def _check_shape(self, module: str, name: str, shape: bytes) -> type:
        found: type = self.find_class(module, name)
        if self._shape_of(found) != shape:
            raise pickle.UnpicklingError(
                f"{module}.{name} has other fields than when the pickle was written"
            )
        return found


def _class_of_shape(module: str, name: str, shape: bytes) -> type:
    """Stand for a class in a pickle; `_Unpickler` calls its own function in place of this one."""
    raise pickle.UnpicklingError(f"{module}.{name} can be read only by PickleFormat")


# Functions that a pickle may name, and the methods of `_Unpickler` that take their places.
_OWN_FUNCTIONS = {
    ("builtins", "getattr"): "_read_attribute",
    (getitem.__module__, "getitem"): "_parametrize",
    (__name__, _class_of_shape.__name__): "_check_shape",
}
# Objects that a pickle may name.
_CONSTANTS = frozenset(
    {("pydantic_core", "MISSING"), ("builtins", "Ellipsis"), ("builtins", "NotImplemented")}
)


@lru_cache(2_000)
def _has_hooks(cls: Any) -> bool:
    """Whether code of the application takes part in pickling the instances of a class."""
    return not is_value_class(cls) and any(
        not _HOOKS.isdisjoint(vars(base))
        for base in cls.__mro__
        if base is not object and not base.__module__.startswith(("pydantic.", "builtins"))
    )


def _reads_zone(function: object) -> bool:
    """Whether `function` is a part of `getattr(ZoneInfo, "_unpickle")`, as zones are pickled."""
    return function is getattr or getattr(function, "__self__", None) is ZoneInfo


def _find_class(module: str, name: str) -> type | None:
    """Return the class of this name in an imported module, if its own name agrees; else None."""
    found: object = sys.modules.get(module)
    # The name of a parametrized generic class may have dots within its brackets.
    for step in [name] if "[" in name else name.split("."):
        found = vars(found).get(step) if hasattr(found, "__dict__") else None
    is_itself = isinstance(found, type) and (found.__module__, found.__qualname__) == (module, name)
    return found if is_itself and isinstance(found, type) else None
