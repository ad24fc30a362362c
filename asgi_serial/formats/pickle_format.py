"""Signed pickles, which are read only if the signature is valid; never used over HTTP."""

import pickle
import sys
from collections.abc import Callable
from enum import Enum
from hashlib import blake2b
from hmac import compare_digest
from io import BytesIO
from types import BuiltinFunctionType, FunctionType
from typing import Any
from zoneinfo import ZoneInfo

from asgi_serial.errors import FormatError

MAGIC = b"\xc1asp\x01"
"""The magic number of a signed pickle; 0xc1 begins neither MessagePack nor UTF-8 text."""

_TAG_BYTES = 16
_HEAD_BYTES = len(MAGIC) + _TAG_BYTES
_PROTOCOL = 5

# Classes whose instances hold a value, and whose construction has no side effects.
_VALUE_CLASSES = {
    "builtins": {"bytearray", "complex", "frozenset", "object", "range", "set", "slice"},
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


def is_value_class(cls: type) -> bool:
    """Whether instances of `cls` are plain values, which every pickle may hold."""
    return cls.__qualname__ in _VALUE_CLASSES.get(cls.__module__, ()) or issubclass(cls, Enum)


class PickleFormat:
    """Pickles with a keyed digest, which only holders of the key can write.

    `key` has 16 to 64 bytes. A pickle can run code when it is read, so a pickle with an invalid
    signature is not unpickled at all. As a second line of defence, only classes that `is_allowed`
    accepts are instantiated, and only from modules that are already imported. A value that could
    not be read back is refused when it is written.
    """

    name = "pickle"

    def __init__(self, key: bytes, *, is_allowed: Callable[[type], bool] = is_value_class) -> None:
        self._key = key
        self._is_allowed = is_allowed

    def dumps(self, value: object, *, context: bytes = b"") -> bytes:
        """Write and sign `value`, which can be read only with the same `context`.

        Raises: FormatError.
        """
        buffer = BytesIO()
        try:
            _Pickler(buffer, self._is_allowed).dump(value)
        except Exception as error:  # a class's own methods may raise anything
            raise FormatError(f"the value cannot be pickled: {error}") from error
        data = buffer.getvalue()
        return b"".join((MAGIC, self._tag(data, context), data))

    def loads(self, data: bytes, *, context: bytes = b"") -> Any:
        """Read a pickle that was written with the same key and context. Raises: FormatError."""
        if not data.startswith(MAGIC) or len(data) <= _HEAD_BYTES:
            raise FormatError("not a signed pickle; unsigned pickles are never read")
        content = data[_HEAD_BYTES:]
        if not compare_digest(self._tag(content, context), data[len(MAGIC) : _HEAD_BYTES]):
            raise FormatError(
                "the signature of the pickle is invalid; read it with the key and for the class "
                "with which it was written"
            )
        try:
            return _Unpickler(BytesIO(content), self._is_allowed).load()
        except Exception as error:
            raise FormatError(f"the pickle cannot be read: {error}") from error

    def _tag(self, data: bytes, context: bytes) -> bytes:
        # The length distinguishes a context and its data from a longer context with less data.
        digest = blake2b(len(context).to_bytes(8, "big"), key=self._key, digest_size=_TAG_BYTES)
        digest.update(context)
        digest.update(data)
        return digest.digest()


class _Pickler(pickle.Pickler):
    def __init__(self, file: BytesIO, is_allowed: Callable[[type], bool]) -> None:
        super().__init__(file, _PROTOCOL)
        self._is_allowed = is_allowed

    def reducer_override(self, obj: Any) -> Any:
        """Refuse classes that are not allowed and functions, which `_Unpickler` would refuse."""
        if isinstance(obj, type):
            if not self._is_allowed(obj) or _find_class(obj.__module__, obj.__qualname__) != obj:
                raise pickle.PicklingError(f"{obj.__module__}.{obj.__qualname__} is not allowed")
        elif isinstance(obj, FunctionType | BuiltinFunctionType) and not _reads_zone(obj):
            raise pickle.PicklingError(f"the function {obj.__qualname__} is not allowed")
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BytesIO, is_allowed: Callable[[type], bool]) -> None:
        super().__init__(file)
        self._is_allowed = is_allowed

    def find_class(self, module: str, name: str) -> Any:
        """Return an allowed class; refuse every other global."""
        if (module, name) == ("builtins", "getattr"):
            return self._read_attribute
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
