"""The shell around a response to which nothing is done: Vary is written, and it is timed."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from asgi_serial.engine.response import begin_plainly
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import Wants
    from asgi_serial.types import Message, Scope, Send

LAST_MESSAGES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


class Passage:
    """The way of a response that its client wants as the app makes it, and no cache will see.

    The app is given the server's own scope and `receive`.
    """

    __slots__ = (
        "_began_ns",
        "_engine",
        "_first_byte_ns",
        "_is_counted",
        "_reasons",
        "_scope",
        "_send",
        "_size",
        "_status",
        "_wants",
    )

    def __init__(
        self, engine: Engine, wants: Wants, scope: Scope, send: Send, began_ns: int
    ) -> None:
        self._engine = engine
        self._wants = wants
        self._scope = scope
        self._send = send
        self._began_ns = began_ns
        self._status = self._size = 0
        self._is_counted = engine.recorder is None

    def send(self, message: Message) -> Awaitable[None]:
        """The app's `send`."""
        kind = message["type"]
        if kind == "http.response.body":
            if not self._is_counted:
                if "body" in message:
                    self._size += len(message["body"])
                if "more_body" not in message or not message["more_body"]:
                    self._count(())
        elif kind == "http.response.start" and not self._status:
            self._status = message["status"]
            if self._wants.offers:
                message, self._reasons = begin_plainly(self._engine, self._wants, message)
            else:
                self._reasons = ()
            if not self._is_counted:
                self._first_byte_ns = perf_counter_ns()
        elif kind in LAST_MESSAGES and not self._is_counted:
            self._count(())
        return self._send(message)

    def end(self) -> None:
        """The app is done: count a response that it has left unfinished."""
        if not self._is_counted:
            self._count((Reason.INCOMPLETE,))

    def _count(self, more: tuple[Reason, ...]) -> None:
        self._is_counted = True
        engine, scope, size = self._engine, self._scope, self._size
        recorder = engine.recorder
        assert recorder is not None
        took = perf_counter_ns() - self._began_ns
        method = scope["method"]
        if self._status:
            first, reasons = self._first_byte_ns - self._began_ns, self._reasons
        else:
            self._status, first, reasons = 500, took, ()
        recorder.record(
            engine.label(scope),
            method,
            self._status,
            first,
            took,
            size,
            size,
            0 if method == "HEAD" else size,
            "",
            reasons + more if more else reasons,
        )
