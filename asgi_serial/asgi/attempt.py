"""The try to let a response pass, though its client would take it in another coding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.asgi.app_scope import scope_without_codings
from asgi_serial.asgi.exchange import Exchange
from asgi_serial.asgi.passage import Passage
from asgi_serial.asgi.scope_changes import AppScope
from asgi_serial.reasons import Reason
from asgi_serial.request.plan import plan_request
from asgi_serial.settings.policy import CURRENT, RequestPolicy

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import Wants
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send


class Attempt(RequestPolicy):
    """The way of a request of which the response's start will show whether there is much to do.

    Its client takes a coding (`wants`), or its handler may have a policy; nothing else may be
    wanted of the engine.

    Most answers of an API are small, and pass as the app makes them. They are spared the objects
    of an exchange, which is begun only where the start shows that one is needed.
    """

    __slots__ = (
        "_app_scope",
        "_asked",
        "_began_ns",
        "_engine",
        "_exchange",
        "_fields",
        "_has_body",
        "_has_left",
        "_has_read",
        "_key",
        "_listeners",
        "_passage",
        "_path",
        "_receive",
        "_wants",
    )

    def __init__(
        self,
        engine: Engine,
        wants: Wants,
        scope: Scope,
        fields: dict[bytes, bytes],
        key: Key | None,
        receive: Receive,
        send: Send,
        began_ns: int,
    ) -> None:
        super().__init__()
        self._engine = engine
        self._wants = wants
        self._path = scope["path"]
        self._fields = fields
        self._key = key
        self._receive = receive
        self._began_ns = began_ns
        self._asked = engine.clock()
        self._exchange: Exchange | None = None
        self._has_left = self._has_body = self._has_read = False
        self._listeners = 0  # calls of `receive` that wait for the client
        marked = scope_without_codings(engine, scope, wants, fields, self)
        self._app_scope = AppScope(scope, marked, send, scope["headers"])
        outward = self._app_scope.send
        self._passage = Passage(engine, wants, marked, outward, began_ns, key, self)

    async def run(self, app: ASGIApp) -> None:
        """Have the app answer; its exceptions go on unchanged."""
        token = CURRENT.set(self)
        try:
            await app(self._app_scope.scope, self.receive, self._passage.send)
            if self._exchange is not None:
                await self._exchange.settle()
                self._exchange.has_returned = True
        except Exception:
            if self._exchange is not None:
                self._exchange.has_failed = True
                await self._exchange.settle(quietly=True)
            raise
        finally:
            CURRENT.reset(token)
            self._app_scope.carry_out()
            (self._exchange or self._passage).end()
            if self._exchange is not None:
                await self._exchange.stop()
            del self._passage  # which refers to this object, in a circle

    async def receive(self) -> Message:
        """The app's `receive`."""
        if self._exchange is not None:
            return await self._exchange.receive()
        self._listeners += 1
        try:
            message = await self._receive()
        finally:
            self._listeners -= 1
        if self._exchange is not None:  # begun meanwhile
            return await self._exchange.hear(message)
        if message["type"] == "http.disconnect":
            self._has_left = True
        else:
            self._has_body = self._has_body or bool(message.get("body"))
            self._has_read = not message.get("more_body", False)
        return message

    def _remember(self) -> None:
        """See that the next response of this path has an exchange from the start: that is less."""
        self._engine.encoded_paths.keep(self._path, None)

    def begin_exchange(self) -> Send:
        """Begin an exchange in the middle of the call; gives its `send`."""
        self._remember()
        scope = self._app_scope.original
        plan = plan_request(self._engine, scope, self._fields, wants=self._wants)
        plan.asked, plan.client_left = self._asked, self._has_left
        plan.copy_policies(self)
        if self._has_body and plan.key is not None:
            plan.bypass = Reason.REQUEST_HAS_BODY
        app_scope = self._app_scope
        exchange = Exchange(self._engine, plan, self._receive, app_scope.send, self._began_ns)
        exchange.enter(app_scope.scope, listeners=self._listeners, has_read=self._has_read)
        self._exchange = exchange
        return exchange.send
