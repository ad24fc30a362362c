"""The scope of the app, and how those outside see what the app changes in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.asgi.app_scope import copy_scope
from asgi_serial.engine.app_engines import MARK

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Message, Scope, Send

_OURS = frozenset({MARK, "headers", "extensions"})
_MISSING = object()


class AppScope:
    """The copy of a scope that the app gets where something in it is changed for the app.

    Frameworks keep the state of a request under keys of its scope: the route, the user, the
    session, a connection to a database. Their code outside of the middleware reads it there while
    a message is sent, and after the call. So a key that the app adds, replaces or deletes at the
    top of its scope is added, replaced or deleted in the given one as well, before each message
    and at the end.

    Keys that we have changed for the app stay as they are outside. A key that the outside changes
    is left alone, unless the app changes it afterwards.
    """

    __slots__ = ("_given", "_plan", "_seen", "outside", "scope")

    def __init__(self, given: Scope, scope: Scope, send: Send, plan: RequestPlan) -> None:
        """`scope` is a copy of `given` for the app, and `send` leads to the outside.

        The scope of the `plan` stays as the request came.
        """
        self.scope = scope
        self.outside = send
        self._given = given
        self._seen = copy_scope(scope)
        self._plan = plan

    def send(self, message: Message) -> Awaitable[None]:
        """Pass a message to the outside, which sees the app's changes by then."""
        self.carry_out()
        return self.outside(message)

    def carry_out(self) -> None:
        """Change the given scope as the app has changed its own since the last time."""
        try:
            # Most values are the same objects; comparing all by `is` takes three times as long.
            if self.scope == self._seen:
                return
        except Exception:
            pass  # raised by a value that the app has put in place of another
        self._carry()

    def _carry(self) -> None:
        given, seen = self._given, self._seen
        now = self._seen = dict(self.scope)  # a thread of the app's may go on changing it
        if self._plan.scope is given:
            self._plan.scope = dict(given)
        for key in {**seen, **now}:
            value = now.get(key, _MISSING)
            before = seen.get(key, _MISSING)
            if value is before or (key in _OURS and given.get(key, _MISSING) is not before):
                continue
            if value is _MISSING:
                given.pop(key, None)
            else:
                given[key] = value
