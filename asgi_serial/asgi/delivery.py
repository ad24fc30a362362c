"""Delivery of a response that does not pass: carries out the steps of its flow."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from asgi_serial.asgi.send_queue import SendQueue
from asgi_serial.cache.in_flight import CallResult
from asgi_serial.cache.key import resource_of
from asgi_serial.caching.serving import in_pieces
from asgi_serial.concurrency.loops import checkpoint, running_loop
from asgi_serial.concurrency.threads import run_in_thread
from asgi_serial.reasons import Reason
from asgi_serial.response.flow import ResponseFlow
from asgi_serial.response.steps import HOLD, Store, Unstored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from asgi_serial.asgi.timer import Timer
    from asgi_serial.cache.entry import Entry
    from asgi_serial.caching.collector import Collector
    from asgi_serial.caching.invalidation import Invalidation
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.start import ResponseStart
    from asgi_serial.response.steps import Effect, Step
    from asgi_serial.types import Message, Scope, Send

logger = logging.getLogger("asgi_serial")


class Answering(Protocol):
    """The exchange that a response is part of."""

    engine: Engine
    plan: RequestPlan
    timer: Timer | None
    is_over: bool
    has_returned: bool
    has_failed: bool
    dropping: Invalidation | None
    send_out: Send

    def has_client_said_all(self) -> bool:
        """Whether the request is complete."""

    def timed(self, start: Message) -> Message:
        """Return the start with its Server-Timing."""

    def finish_call(self, result: CallResult) -> None:
        """End the call that others wait for, if this request has begun one."""

    def finish_unstored_call(self, result: CallResult, *, is_over: bool) -> None:
        """End that call, since its response is not stored; before its end only if others wait."""

    def release_client(self) -> None:
        """Let the stand-in for a client that has left leave: it has the whole response."""


class Delivery:
    """Carries out what the flow of a response returns for each message, and sends its messages.

    The response is stored and reported to waiting requests before the last message is sent.
    """

    __slots__ = (
        "_exchange",
        "_has_begun",
        "_is_unsent",
        "_pending",
        "_stored",
        "flow",
        "queue",
    )

    queue: SendQueue | None  # steps in progress before the app's next message
    _pending: Collector | None  # holds an entry to be stored once the app has returned
    _stored: Entry | None  # removed again if the app fails
    _is_unsent: bool  # the server did not accept a message
    _has_begun: bool  # the start has been sent
    flow: ResponseFlow

    def __init__(self, exchange: Answering) -> None:
        self._exchange = exchange
        self.queue = self._pending = self._stored = None
        self._is_unsent = self._has_begun = False

    def begin(self, start: ResponseStart, scope: Scope, *, is_listening: bool) -> Awaitable[None]:
        """Send what the start allows; `is_listening` means that the app waits for the client.

        `scope` is the app's.
        """
        exchange = self._exchange
        timer, dropping = exchange.timer, exchange.dropping
        own_drop = None if dropping is None else dropping.invalidated_at
        flow = self.flow = ResponseFlow(exchange.engine, exchange.plan, scope, start, own_drop)
        since = 0.0 if timer is None else timer.begin_work()
        step = flow.begin()
        if step is HOLD and not is_listening:
            if timer is not None:
                timer.end_work(since)
            return _send_nothing()
        if is_listening and not step.messages:
            self._carry_out(step.effects)
            step = flow.wait_for_client(has_said_all=exchange.has_client_said_all())
        if start.messages is not None:
            return self._send_all(in_pieces(self._settle(step, since)))
        return self._perform(step, since)

    def send(self, message: Message) -> Awaitable[None]:
        """Handle a message that the app sends after the start."""
        if self.queue is not None and not self.queue.is_empty:
            return self.queue.put(partial(self._send_in_turn, message))
        timer = self._exchange.timer
        since = 0.0 if timer is None else timer.begin_work()
        return self._perform(self.flow.feed(message), since)

    async def _send_in_turn(self, message: Message) -> None:
        """Handle a message after the steps in progress: messages keep their order."""
        timer = self._exchange.timer
        since = 0.0 if timer is None else timer.begin_work()
        step = self.flow.feed(message)
        messages = self._settle(step, since)
        await (self._send_all(messages) if step.job is None else self._work(messages, step.job))

    def _perform(self, step: Step, since: float) -> Awaitable[None]:
        """Carry out a step, and return an awaitable for the rest of it; see Timer for `since`."""
        messages = self._settle(step, since)
        if step.job is not None:
            work = partial(self._work, messages, step.job)
            return work() if running_loop() is None else self._put(work)
        if len(messages) == 1 and self._stored is None:
            return self._exchange.send_out(messages[0])
        return self._send_all(messages) if messages or not self._exchange.is_over else checkpoint()

    def _settle(self, step: Step, since: float = 0.0) -> list[Message]:
        """Carry out the effects of a step, and return its messages; the work ends here."""
        exchange, messages, effects = self._exchange, step.messages, step.effects
        timer = exchange.timer
        if messages and not self._has_begun:
            self._has_begun = True
            if timer is not None and exchange.engine.server_timing:
                messages[0] = exchange.timed(messages[0])
        if effects:
            self._carry_out(effects)
        if timer is not None:
            timer.end_work(since)
        return messages

    def _carry_out(self, effects: tuple[Effect, ...]) -> None:
        """Carry out the effects of a step, before its messages are sent."""
        exchange = self._exchange
        for effect in effects:
            if exchange.is_over:
                return
            if isinstance(effect, Unstored):
                exchange.is_over = effect.is_over
                exchange.finish_unstored_call(effect.result, is_over=effect.is_over)
                continue
            exchange.is_over = True
            if isinstance(effect, Store):
                self._store(effect.entry, is_checked=effect.is_checked)
            else:
                self._pending = effect.collector
                exchange.release_client()

    def _put(self, work: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Queue a slow step; later messages of the app wait for it."""
        queue = self.queue
        if queue is None:
            queue = self.queue = SendQueue()
        return queue.put(work)

    async def listen(self) -> None:
        """Send the held messages, since the app waits for the client."""
        if self.flow.is_holding:
            has_said_all = self._exchange.has_client_said_all()
            await self._release(self.flow.wait_for_client(has_said_all=has_said_all))

    async def lose_client(self) -> None:
        """Send the held messages, and store nothing: the client has left."""
        await self._release(self.flow.lose_client())

    async def _release(self, step: Step) -> None:
        """Send released messages.

        The app's `receive` may be cancelled at any time; a send that has begun is completed anyway.
        """
        messages = self._settle(step)
        if messages:
            sending = partial(self._send_quietly, messages)
            if running_loop() is None:
                await sending()
            else:
                await self._put(sending)

    async def _send_all(self, messages: Iterable[Message]) -> None:
        try:
            for message in messages:
                await self._exchange.send_out(message)
        except Exception:
            self._is_unsent = True  # raised by the server, not by the app
            raise

    async def _work(self, messages: list[Message], job: Callable[[], Any] | None) -> None:
        """Send messages, run a job in a thread, and send what it leads to, perhaps another job."""
        exchange = self._exchange
        while job is not None:
            if messages:
                await self._send_all(messages)
            since = 0.0 if exchange.timer is None else exchange.timer.begin_work()
            step = self.flow.resume(await run_in_thread(job, exchange.engine.workers.encoders))
            messages, job = self._settle(step, since), step.job
        await self._send_all(messages)

    async def _send_quietly(self, messages: list[Message]) -> None:
        """Send messages, and log an exception of the server: no caller could handle it."""
        try:
            await self._send_all(messages)
        except Exception:
            logger.debug("The held messages of a response could not be sent.", exc_info=True)

    async def settle(self, *, quietly: bool = False) -> None:
        """Send the held messages of a response that the app has left unfinished.

        With `quietly`, an exception of the app is propagating, and must not be replaced by another.
        """
        if self.queue is not None:
            await self.queue.finish()
        if self._exchange.is_over:
            return
        messages = self._settle(self.flow.release(Reason.INCOMPLETE))
        await (self._send_quietly if quietly else self._send_all)(messages)

    def end(self) -> None:
        """Finish after the app's call: store what had to wait for its return."""
        exchange = self._exchange
        if not exchange.is_over:
            self._abandon()
        if self._pending is not None:
            pending = self._pending.pending
            if exchange.has_returned and pending is not None:
                self._store(pending, is_checked=False)
            self._pending.let_go()
            exchange.finish_call(CallResult.FAILED)
        elif self._stored is not None and exchange.has_failed and not self._is_unsent:
            # An exception after a seemingly complete body: it may have been truncated, and ended by
            # a middleware that did not know.
            exchange.engine.responses.retract(self._stored)

    def _abandon(self) -> None:
        """Abandon an incomplete response: wake the requests that wait for it."""
        exchange = self._exchange
        exchange.is_over = True
        if self.queue is not None:
            self.queue.cancel()
        exchange.finish_call(CallResult.FAILED)
        self.flow.abandon()

    def _store(self, entry: Entry, *, is_checked: bool) -> None:
        """Store a complete response and wake the requests that wait for it."""
        exchange = self._exchange
        engine, plan = exchange.engine, exchange.plan
        keeper = exchange.dropping or engine.responses
        if keeper.keep(entry, plan.asked, is_checked=is_checked):
            self._stored = entry
            engine.calls.note_storable(plan.key or resource_of(entry.key))
            exchange.finish_call(CallResult.STORED)
        else:
            exchange.finish_call(CallResult.FAILED)


async def _send_nothing() -> None:
    """Send nothing for a message that is held back."""
