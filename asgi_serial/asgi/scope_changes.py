"""Propagation of the app's changes to its scope, when the app gets a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.asgi.app_scope import copy_scope
from asgi_serial.engine.app_engines import MARK
from asgi_serial.request.model_extension import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asgi_serial.types import Message, Scope, Send

_OURS = frozenset({MARK, "headers", "extensions", "query_string", "raw_path"})
_MISSING = object()


class AppScope:
    """The copy of a scope that the app gets if something in it is changed for the app.

    Frameworks store the state of a request under keys of its scope: the route, the user, the
    session, a database connection. Their code outside of the middleware reads it there while a
    message is sent, and after the call. So a key that the app adds, replaces or deletes at the top
    level of its scope is added, replaced or deleted in the given one as well, before each message
    and at the end.

    Keys that we have changed for the app keep their value outside. A key that outside code changes
    is left alone, unless the app changes it afterwards.
    """

    __slots__ = ("_given", "_seen", "outside", "scope")

    def __init__(self, given: Scope, scope: Scope, send: Send) -> None:
        """Take `scope`, a copy of `given` for the app, and `send`, which leads to the outside."""
        self.scope = scope
        self.outside = send
        self._given = given
        self._seen = copy_scope(scope)

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the outside, after the app's changes."""
        self.carry_out()
        return self.outside(message)

    def end(self) -> None:
        """Copy the last changes, and take back the extension that holds on to the request.

        Otherwise the scope and the request's plan would refer to each other until the garbage
        collector finds them, which took a tenth of the time of a translated response.
        """
        self.carry_out()
        extensions = self.scope.get("extensions")
        if isinstance(extensions, dict) and extensions is not self._given.get("extensions"):
            extensions.pop(EXTENSION, None)

    def carry_out(self) -> None:
        """Copy the changes that the app has made since the last time to the given scope."""
        try:
            # Most values are the same objects; comparing all by `is` takes three times as long.
            if self.scope == self._seen:
                return
        except Exception:
            pass  # raised by a value that the app has put in
        self._carry()

    def _carry(self) -> None:
        given, seen = self._given, self._seen
        now = self._seen = dict(self.scope)  # a thread of the app may continue to change it
        for key in {**seen, **now}:
            value = now.get(key, _MISSING)
            before = seen.get(key, _MISSING)
            if value is before or (key in _OURS and given.get(key, _MISSING) is not before):
                continue
            if value is _MISSING:
                given.pop(key, None)
            else:
                given[key] = value
