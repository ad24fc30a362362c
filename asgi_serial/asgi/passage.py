"""The shell around a response to which nothing is done: Vary is written, and it is timed."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol

from asgi_serial.reasons import Reason
from asgi_serial.response.plain import begin_plainly

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import Wants
    from asgi_serial.types import Message, Scope, Send

BODY = "http.response.body"
LAST_MESSAGES = frozenset({BODY, "http.response.pathsend", "http.response.zerocopysend"})


class TakesOver(Protocol):
    """What takes over a response that does not pass."""

    has_policy: bool
    """Whether anybody has said something that has to be heeded."""

    def begin_exchange(self) -> Send:
        """The `send` for the start of the response, and for what follows."""


class Passage:
    """The way of a response that its client wants as the app makes it, and that is not stored.

    `key` is that of a request whose last response was not one to be stored; should this one be,
    the next will be looked at again. Where there is an `attempt`, it takes over what turns out not
    to pass.
    """

    __slots__ = (
        "_attempt",
        "_began_ns",
        "_engine",
        "_first_byte_ns",
        "_is_open",
        "_key",
        "_reasons",
        "_send",
        "_size",
        "_status",
        "_wants",
        "scope",
    )

    def __init__(
        self,
        engine: Engine,
        wants: Wants,
        scope: Scope,
        send: Send,
        began_ns: int,
        key: Key | None,
        attempt: TakesOver | None = None,
    ) -> None:
        self._engine = engine
        self._wants = wants
        self.scope = scope  # the app's
        self._send = send
        self._began_ns = began_ns
        self._key = key
        self._attempt = attempt
        self._status = self._size = self._first_byte_ns = 0
        self._is_open = False  # its start has passed, its last message has not, and it is counted
        self._reasons: tuple[Reason, ...] = ()

    def send(self, message: Message) -> Awaitable[None]:
        """The app's `send`."""
        if self._is_open:
            if "body" in message and message["type"] == BODY:
                self._size += len(message["body"])
            if "more_body" not in message or not message["more_body"]:
                self._pass_last(message)
        elif not self._status and message["type"] == "http.response.start":
            message = self._begin(message)
        return self._send(message)

    def end(self) -> None:
        """The app is done: count a response that it has left unfinished."""
        engine = self._engine
        if engine.recorder is not None and (self._is_open or not self._status):
            self._status = self._status or 500
            self._reasons += (Reason.INCOMPLETE,)
            self._count()

    def _begin(self, message: Message) -> Message:
        engine, key, attempt = self._engine, self._key, self._attempt
        self._status = message["status"]
        if engine.recorder is not None:
            self._is_open = True
            self._first_byte_ns = perf_counter_ns()
        reasons: tuple[Reason, ...] | None = self._reasons
        if attempt is not None and attempt.has_policy:
            reasons = None  # the handler has a say
        elif self._wants.offers or key is not None:
            message, reasons = begin_plainly(
                engine, self._wants, message, key, may_take_over=attempt is not None
            )
        if reasons is not None:
            self._reasons = reasons
        else:
            assert attempt is not None  # without it no policy speaks, and no form is wanted
            self._is_open = False  # it is counted there
            self._send = attempt.begin_exchange()
        return message

    def _pass_last(self, message: Message) -> None:
        """Count the response, if this really is its last message; other kinds may come between."""
        if message["type"] in LAST_MESSAGES:
            self._count()

    def _count(self) -> None:
        self._is_open = False
        scope, size, recorder = self.scope, self._size, self._engine.recorder
        assert recorder is not None
        method = scope["method"]
        outcome = "" if self._key is None else "miss"
        kind = recorder.kinds[
            self._engine.label(scope), method, self._status, outcome, "", self._reasons
        ]
        took = perf_counter_ns() - self._began_ns
        first_byte = self._first_byte_ns - self._began_ns if self._first_byte_ns else took
        recorder.record(kind, (first_byte, took, size, size, 0 if method == "HEAD" else size))
