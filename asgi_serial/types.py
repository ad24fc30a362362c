"""The ASGI types that all layers use (ASGI 3.0, HTTP message format 2.5)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]
"""An app, whatever types it has for `Scope`, `Receive` and `Send`: each framework has its own."""

Field: TypeAlias = tuple[bytes, bytes]
"""A field line: the lower-case name and the value, as raw bytes."""

Fields: TypeAlias = list[Field]
