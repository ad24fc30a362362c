"""Delivery of a response that does not pass: executes its flow, and sends the messages."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from asgi_serial.asgi.send_queue import SendQueue
from asgi_serial.cache.in_flight import CallResult
from asgi_serial.cache.key import resource_of
from asgi_serial.concurrency.loops import checkpoint, running_loop
from asgi_serial.concurrency.threads import run_in_thread
from asgi_serial.reasons import Reason
from asgi_serial.response.flow import ResponseFlow
from asgi_serial.response.pieces import in_pieces

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from asgi_serial.asgi.timer import Timer
    from asgi_serial.cache.entry import Entry
    from asgi_serial.caching.collector import Collector
    from asgi_serial.caching.invalidation import Invalidation
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.start import ResponseStart
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

    def finish_unstored_call(self, flow: ResponseFlow, *, is_over: bool) -> None:
        """End that call, since its response is not stored; before its end only if others wait."""

    def release_client(self) -> None:
        """Let the stand-in for a client that has left leave: it has the whole response."""


class Delivery:
    """Executes the flow of a response, message by message.

    The response is stored and reported to waiting requests before the last message is sent.
    """

    _queue: SendQueue | None = None  # steps in progress before the app's next message
    _pending: Collector | None = None  # holds an entry to be stored once the app has returned
    _stored: Entry | None = None  # removed again if the app fails
    _is_unsent = False  # the server did not accept a message
    _has_begun = False  # the start has been sent

    flow: ResponseFlow

    def __init__(self, exchange: Answering) -> None:
        self._exchange = exchange

    def begin(self, start: ResponseStart, scope: Scope, *, is_listening: bool) -> Awaitable[None]:
        """Send what the start allows; `is_listening` means that the app waits for the client.

        `scope` is the app's.
        """
        exchange = self._exchange
        flow = self.flow = ResponseFlow(exchange.engine, exchange.plan, scope, start)
        if exchange.dropping is not None:
            flow.own_drop = exchange.dropping.invalidated_at
        timer = exchange.timer
        since = 0.0 if timer is None else timer.begin_work()
        out = flow.begin()
        if is_listening and flow.is_holding:
            out = flow.wait_for_client(has_said_all=exchange.has_client_said_all())
        return self._give(out, since)

    def send(self, message: Message) -> Awaitable[None]:
        """Handle a message that the app sends after the start."""
        if self._queue is not None and not self._queue.is_empty:
            return self._queue.put(partial(self._send_in_turn, message))
        timer = self._exchange.timer
        since = 0.0 if timer is None else timer.begin_work()
        return self._give(self.flow.feed(message), since)

    async def _send_in_turn(self, message: Message) -> None:
        """Handle a message after the steps in progress: messages keep their order."""
        flow, timer = self.flow, self._exchange.timer
        since = 0.0 if timer is None else timer.begin_work()
        out = flow.feed(message)
        if flow.job is not None:
            job, flow.job = flow.job, None
            await self._work(job, out, since)
        else:
            self._observe(out, since)
            await self._send_all(out if isinstance(out, list) else [out])

    def _give(self, out: Message | list[Message], since: float) -> Awaitable[None]:
        """Send the output of the flow, after acting on its changes; see Timer for `since`."""
        flow = self.flow
        if flow.job is not None:
            job, flow.job = flow.job, None
            work = partial(self._work, job, out, since)
            return work() if running_loop() is None else self._put(work)
        self._observe(out, since)
        messages = out if isinstance(out, list) else [out]
        if messages and flow.response_start.messages is not None:
            return self._send_all(in_pieces(messages))
        if len(messages) == 1 and self._stored is None:
            return self._exchange.send_out(messages[0])
        return self._send_all(messages) if messages or not flow.is_over else checkpoint()

    def _observe(self, out: Message | list[Message], since: float = 0.0) -> None:
        """Act on the flow's changes before the next messages are sent; the work ends here."""
        flow, exchange = self.flow, self._exchange
        timer = exchange.timer
        if not self._has_begun and out and not flow.is_holding:
            self._has_begun = True
            if exchange.engine.server_timing and timer is not None and isinstance(out, list):
                out[0] = exchange.timed(out[0])
        if flow.is_over and not exchange.is_over:
            self._complete()
        elif flow.collector is None:
            exchange.finish_unstored_call(flow, is_over=False)
        if timer is not None:
            timer.end_work(since)

    def _put(self, work: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Queue a slow step; later messages of the app wait for it."""
        queue = self._queue
        if queue is None:
            queue = self._queue = SendQueue()
        return queue.put(work)

    async def listen(self) -> None:
        """Send the held messages, since the app waits for the client."""
        if self.flow.is_holding:
            has_said_all = self._exchange.has_client_said_all()
            await self._release(self.flow.wait_for_client(has_said_all=has_said_all))

    async def lose_client(self) -> None:
        """Send the held messages, and store nothing: the client has left."""
        await self._release(self.flow.lose_client())

    async def _release(self, messages: list[Message]) -> None:
        """Send released messages.

        The app's `receive` may be cancelled at any time; a send that has begun is completed anyway.
        """
        self._observe(messages)
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

    async def _work(
        self, job: Callable[[], Any], before: Message | list[Message], since: float
    ) -> None:
        """Run a job in a thread, since it would block the event loop, and send its result."""
        assert isinstance(before, list)
        timer = self._exchange.timer
        self._observe(before, since)
        if before:
            await self._send_all(before)
        since = 0.0 if timer is None else timer.begin_work()
        after = self.flow.resume(await run_in_thread(job, self._exchange.engine.workers.encoders))
        self._observe(after, since)
        await self._send_all(after)

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
        if self._queue is not None:
            await self._queue.finish()
        if self._exchange.is_over:
            return
        messages = self.flow.release(Reason.INCOMPLETE)
        self._observe(messages)
        await (self._send_quietly if quietly else self._send_all)(messages)

    def end(self) -> None:
        """Finish after the app's call: store what had to wait for its return."""
        exchange = self._exchange
        if not exchange.is_over:
            self._abandon()
        if self._pending is not None:
            pending = self._pending.pending
            if exchange.has_returned and pending is not None:
                self._store(pending)
            self._pending.let_go()
            exchange.finish_call(CallResult.FAILED)
        elif exchange.has_failed and not self._is_unsent and self._stored is not None:
            # An exception after a seemingly complete body: it may have been truncated, and ended by
            # a middleware that did not know.
            exchange.engine.responses.retract(self._stored)

    async def stop(self) -> None:
        """Wait for our sending tasks, which may still run after a cancellation."""
        if self._queue is not None:
            await self._queue.end()

    def _abandon(self) -> None:
        """Abandon an incomplete response: wake the requests that wait for it."""
        flow, exchange = self.flow, self._exchange
        exchange.is_over = True
        if self._queue is not None:
            self._queue.cancel()
        exchange.finish_call(CallResult.FAILED)
        flow.let_go()
        flow.note(Reason.INCOMPLETE)

    def _complete(self) -> None:
        """Store the complete response, and wake the requests that wait for it."""
        flow, exchange = self.flow, self._exchange
        exchange.is_over = True
        entry = flow.entry
        if entry is None:
            exchange.finish_unstored_call(flow, is_over=True)
        elif flow.is_end_sure:
            self._store(entry)
            flow.let_go()
        else:
            assert flow.collector is not None  # it has made the entry
            self._pending, flow.collector.pending = flow.collector, entry
            flow.entry = None
            exchange.release_client()

    def _store(self, entry: Entry) -> None:
        """Store a complete response and wake the requests that wait for it."""
        exchange = self._exchange
        engine, plan = exchange.engine, exchange.plan
        keeper = exchange.dropping or engine.responses
        if keeper.keep(entry, plan.asked):
            self._stored = entry
            engine.calls.note_storable(plan.key or resource_of(entry.key))
            exchange.finish_call(CallResult.STORED)
        else:
            exchange.finish_call(CallResult.FAILED)
