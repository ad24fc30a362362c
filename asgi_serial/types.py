"""The ASGI vocabulary that every layer shares (ASGI specification 3.0, HTTP 2.5)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Field: TypeAlias = tuple[bytes, bytes]
"""One field line: its lower-case name and its value, both as they go over the wire."""

Fields: TypeAlias = list[Field]
