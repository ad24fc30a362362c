"""One request and its response: the shell that awaits what the engine has decided."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING

from asgi_serial.asgi.app_scope import scope_for_app
from asgi_serial.asgi.lookup import Seeker
from asgi_serial.asgi.record import count_answer, count_response
from asgi_serial.asgi.request_body import read_request
from asgi_serial.asgi.scope_changes import AppScope
from asgi_serial.asgi.send_queue import Turns
from asgi_serial.asgi.single_flight import Nobody, run_led
from asgi_serial.cache.in_flight import CallResult
from asgi_serial.cache.key import resource_of
from asgi_serial.caching.completion import Completion
from asgi_serial.caching.invalidation import Invalidation
from asgi_serial.concurrency.loops import checkpoint, running_loop
from asgi_serial.concurrency.threads import run_in_thread
from asgi_serial.http.storability import CACHED_METHODS, announces_body
from asgi_serial.reasons import Reason
from asgi_serial.representation.problem import Problem
from asgi_serial.request.body import RequestCopy
from asgi_serial.request.handler_policy import adopt_partition
from asgi_serial.response.flow import DONE, ResponseFlow
from asgi_serial.response.pieces import in_pieces
from asgi_serial.settings.policy import CURRENT
from asgi_serial.timing.server_timing import add_server_timing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from asgi_serial.bounds.bodies import BodyShare
    from asgi_serial.cache.entry import Entry
    from asgi_serial.caching.collector import Collector
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("asgi_serial")

# How long the client of a call that others wait for may take, in all, to take what it is sent. A
# client with 10 Mbit/s empties a server's usual buffer of 64 kB in a fifth of that.
CLIENT_SECONDS = 0.25

REFUSED_ROUTE = "(refused)"
BODY = "http.response.body"


class Exchange:
    """The way of one request to the app and of its response back.

    `receive` and `send` are what the app is given. They, and `settle` at its end, perform what
    the flow of the response says; everything is counted, stored and told to those who wait
    before the last message is sent.
    """

    is_over = False  # the last message has been handed to the server
    first_byte_ns = 0
    _fed_ns = 0  # when the app gave the message that is in hand
    _flow: ResponseFlow | None = None
    _is_passing = False  # nothing is left to do but to pass messages and to count their bytes
    _passed_bytes = 0
    _body: bytes | None = None  # as the app is to have it, where it is not what came
    _replayed: deque[Message] | None = None
    _share: BodyShare | None = None  # what the body holds of the memory for all of them
    _turns: Turns | None = None  # what is being done before the app's next message
    _asks_again = False
    _listeners = 0  # calls of `receive` that wait for the client
    _has_read = False  # the app has had the last message of the request
    _nobody: Nobody | None = None  # in place of a client that has left
    _app_scope: AppScope | None = None
    _is_detached = False  # nobody awaits the call any more
    _dropping: Invalidation | None = None  # what this write makes invalid
    _pending: Collector | None = None  # holds what is stored once the app has returned
    _stored: Entry | None = None  # is dropped again should the app fail
    has_returned = False  # the app, without an exception
    has_failed = False  # the app, with an exception of its own
    _is_unsent = False  # the server has not taken a message
    _client_seconds = CLIENT_SECONDS  # are left to it, until nobody waits for it any more

    def __init__(
        self, engine: Engine, plan: RequestPlan, receive: Receive, send: Send, began_ns: int
    ) -> None:
        self.engine = engine
        self.plan = plan
        self.began_ns = began_ns
        self.seeker = Seeker(engine, plan, began_ns)
        self._given = self._scope = plan.scope
        self._receive = receive
        self._send = self._outside = send

    async def answer_without_app(self) -> bool:
        """Refuse the request, or answer it out of the cache; False where the app is to answer."""
        try:
            return await self._answer_without_app()
        except BaseException:
            self.seeker.finish_call(CallResult.FAILED)  # others may wait for it in vain
            self._release_body()
            raise

    async def _answer_without_app(self) -> bool:
        plan = self.plan
        messages: Iterable[Message] | None = None
        if plan.content_codings or plan.body_format or plan.keys_on_body:
            self._share = self.engine.workers.bodies.open()
            read = await read_request(self.engine, plan, self._receive, self._share)
            if isinstance(read, Problem):
                messages = self._refuse(read)
            else:
                self._replayed, self._body = deque(read.messages), read.body
        if messages is None and plan.key is not None:
            if plan.keys_on_body:
                messages = self.seeker.find_hit(plan.key)
            messages = messages or await self.seeker.seek(plan.key)
        if messages is None and plan.wants_stored_only:
            messages = self._refuse_to_call(plan.bypass or plan.forward)
        if messages is None:
            return False
        self._release_body()
        await self.answer(messages)
        return True

    async def answer(self, messages: Iterable[Message]) -> None:
        """Send an answer that the app has no part in."""
        for message in in_pieces(messages):
            await self._send(message)

    def _release_body(self) -> None:
        """Hold no memory any more for a body that the app has received, or will not."""
        if self._share is not None:
            self._share.release()
            self._share = self._replayed = self._body = None

    def _refuse(self, problem: Problem) -> list[Message]:
        messages = problem.messages(is_head=self.plan.method == "HEAD")
        size = len(messages[1]["body"])
        self._count(REFUSED_ROUTE, problem.status, size, "", problem.reason)
        return messages

    def _refuse_to_call(self, why: Reason) -> list[Message]:
        # RFC 9111, 5.2.1.7: only-if-cached: answer 504 where nothing stored may be used.
        return self._refuse(Problem(504, why, why.value.capitalize() + "."))

    def run(self, app: ASGIApp) -> Awaitable[None]:
        """Have the app answer; its exceptions go on unchanged."""
        # Nobody waits for it, or it is in a task of its own already.
        if self.seeker.call is None or self.seeker.released is not None:
            return self._run_app(app)
        return run_led(self.engine, self.seeker, self._run_app(app), self._detach)

    def _leave_client(self) -> bool:
        """Go on without the client, if others wait for what this call gives."""
        call, released = self.seeker.call, self.seeker.released
        if call is None or released is None or not call.waiting:
            return False
        if self._nobody is None:
            nobody = self._nobody = Nobody(released, has_asked=self._has_read)
            self._receive, self._send = nobody.receive, nobody.send
            # They do not wait for ever, nor does an app that would end when it is told.
            loop = asyncio.get_running_loop()
            loop.call_later(self.engine.settings.cache_lead, released.set)
        return True

    def _detach(self) -> bool:
        """Go on although nobody awaits the call, if others wait for what it gives."""
        self._is_detached = self._leave_client()
        return self._is_detached

    async def _run_app(self, app: ASGIApp) -> None:
        token = CURRENT.set(self.plan)
        try:
            send = self.send if self.plan.completes is None else self._open_completion()
            await app(self.open(), self.receive, send)
            if self._asks_again:
                self._drop_conditions()
                await app(self.open(), self.receive, self.send)
            if not self.is_over or self._turns is not None:
                await self.settle()
            self.has_returned = True
        except Exception:
            self.has_failed = True
            messages = self._use_on_error() if self._flow is None else None
            if messages is None:
                await self.settle(quietly=True)
                raise
            logger.exception("The app has failed; a stale response stands in.")
            await self._stand_in(messages)
        finally:
            CURRENT.reset(token)
            self.end()
            await self.stop()

    def _use_on_error(self) -> tuple[Message, Message] | None:
        """The stale response that stands in, unless the handler has named another user."""
        adopt_partition(self.engine, self.plan)
        return self.seeker.use_on_error()

    def _drop_conditions(self) -> None:
        """Ask the app as if nothing were stored: its 304, or its 206, was not about what is."""
        self._asks_again = False
        self.plan.selected, self.plan.validates, self.plan.completes = None, False, None
        self._replayed = deque(({"type": "http.request", "body": b"", "more_body": False},))

    def _open_completion(self) -> Send:
        """The app's `send` where it was asked for the rest of what is stored in part."""
        assert self.plan.completes is not None
        completion = Completion(self.engine, self.plan, self.plan.completes)

        def send(message: Message) -> Awaitable[None]:
            if completion.is_void:
                return checkpoint()
            put_together = completion.take(message)
            if put_together is not None:
                return self.send(put_together)
            self._asks_again = True
            return checkpoint()

        return send

    async def _stand_in(self, messages: tuple[Message, Message]) -> None:
        start, last = messages
        self.is_over = True
        self.seeker.finish_call(CallResult.ERROR)
        label = self.engine.label(self._scope)
        size = len(last["body"])
        self._count(label, start["status"], size, "stale", Reason.STALE_IF_ERROR)
        await self._send_all(in_pieces((start, last)))

    def enter(self, scope: Scope, *, listeners: int, has_read: bool) -> None:
        """Take part in a call of the app that has begun without; the app has this scope.

        `listeners` is how many calls of `receive` wait for the client, `has_read` whether the app
        has had the last message of the request.
        """
        self._scope, self._listeners, self._has_read = scope, listeners, has_read

    def open(self) -> Scope:
        """The scope for the app, which is called next."""
        plan = self.plan
        # RFC 9111, 4.2.3: the age of a response counts from the request that it answers. The body,
        # the second level or another's call may have been waited for since this one came.
        plan.asked = self.engine.clock()
        if plan.caching and plan.may_key_on_body:
            plan.copy = RequestCopy(self.engine.settings.cache_max_key_body)
        # The app's changes are carried to the given scope, and the plan is about what came.
        before = self._app_scope
        plan.scope = dict(self._given) if before is None else before.original
        self._scope = scope_for_app(self.engine, plan, self._body)
        app_scope = AppScope(self._given, self._scope, self._outside, plan.scope["headers"])
        self._app_scope, plan.scope["headers"] = app_scope, app_scope.fields
        if self._nobody is None:
            leads = self.seeker.call is not None
            self._send = self._send_leading if leads else self._app_scope.send
        return self._scope

    async def _send_leading(self, message: Message) -> None:
        """Send to the client of a call that others wait for: they do not wait for the client."""
        assert self._app_scope is not None
        if self.seeker.call is None:
            await self._app_scope.send(message)
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        timer = loop.call_later(self._client_seconds, self.seeker.finish_call, CallResult.SLOW)
        try:
            await self._app_scope.send(message)
        finally:
            timer.cancel()
            self._client_seconds -= loop.time() - began

    async def receive(self) -> Message:
        """The app's `receive`."""
        if self._replayed:
            message = self._replayed.popleft()
            if not self._replayed:
                self._release_body()
            return self._heed_request(message)
        flow = self._flow
        if flow is not None and flow.is_holding:
            has_said_all = self._client_has_said_all()
            await self._release(flow, flow.wait_for_client(has_said_all=has_said_all))
        self._listeners += 1
        try:
            message = await self._receive()
            if message["type"] == "http.disconnect" and self._leave_client():
                message = await self._receive()
        finally:
            self._listeners -= 1
        return await self.hear(message)

    async def hear(self, message: Message) -> Message:
        """Take note of what the client has said, before the app does."""
        if message["type"] == "http.disconnect":
            flow = self._flow
            self.plan.client_left = True
            if flow is not None and not self.is_over:
                await self._release(flow, flow.lose_client())
        return self._heed_request(message)

    def _heed_request(self, message: Message) -> Message:
        flow, plan = self._flow, self.plan
        if message["type"] == "http.request":
            self._has_read = not message.get("more_body", False)
        if plan.key is not None and plan.method in CACHED_METHODS and message.get("body"):
            self._heed_body(flow)
        if plan.copy is not None:
            plan.copy.take(message)
        return message

    def _heed_body(self, flow: ResponseFlow | None) -> None:
        """Let nobody else have what is made of a body that no field has announced.

        RFC 9110, 9.3.1: content of a GET has no meaning for it; in HTTP/2 and later it needs
        neither Content-Length nor Transfer-Encoding.
        """
        if flow is None:
            self.plan.bypass = Reason.REQUEST_HAS_BODY
        else:
            flow.forget(Reason.REQUEST_HAS_BODY)

    def send(self, message: Message) -> Awaitable[None]:
        """The app's `send`. A plain function: a coroutine around the server's costs twice it."""
        if self._is_passing:
            if "body" in message and message["type"] == BODY:
                self._passed_bytes += len(message["body"])
            if "more_body" not in message or not message["more_body"]:
                self._pass_last(message)
            return self._send(message)
        flow = self._flow
        if flow is None:
            return self._begin(message)
        if self._turns is not None and not self._turns.are_over:
            return self._turns.take(partial(self._send_in_turn, flow, message))
        if self.engine.server_timing:
            self._fed_ns = perf_counter_ns()
        return self._give(flow, flow.feed(message))

    async def _send_in_turn(self, flow: ResponseFlow, message: Message) -> None:
        """The same once what is under way is done: messages go out in the order they came."""
        out = flow.feed(message)
        if flow.job is not None:
            job, flow.job = flow.job, None
            await self._work(flow, job, out)
        else:
            self._heed(flow, out)
            await self._send_all(out if isinstance(out, list) else [out])

    def _begin(self, message: Message) -> Awaitable[None]:
        """The first messages of the app: what is not the start passes, as an early hint does."""
        if self._asks_again:
            return checkpoint()
        if message["type"] != "http.response.start":
            return self._send(message)
        engine = self.engine
        self._fed_ns = perf_counter_ns()
        flow = ResponseFlow(engine, self.plan, self._scope)
        out = flow.begin(message)
        if self._listeners and flow.is_holding:
            out = flow.wait_for_client(has_said_all=self._client_has_said_all())
        self._flow, opening = flow, flow.opening
        if opening.invalid:
            self._dropping = Invalidation(engine.responses, opening.invalid)
            flow.own_drop = self._dropping.invalidated_at
        if opening.outdated is not None:
            engine.responses.forget(opening.outdated)
        if opening.is_rekeyed and self.seeker.call is not None:
            self.seeker.finish_call(CallResult.UNCACHEABLE)
        if opening.asks_again:
            # Of this call nothing more is heard.
            self._flow, self._asks_again = None, True
            return checkpoint()
        if flow.keeping is None and flow.entry is None and self.plan.key is not None:
            self.seeker.finish_call(flow.call_result)
        if isinstance(out, list) or not flow.is_plain:
            return self._give(flow, out)
        self._is_passing = True
        self.first_byte_ns = self._fed_ns
        if engine.server_timing:
            out = self._timed(out)
        return self._send(out)

    def _client_has_said_all(self) -> bool:
        """Whether nothing more of the request can come."""
        if self._has_read:
            return True
        # From HTTP/2 on content needs no field, but that of a GET has no meaning.
        return self.plan.method in CACHED_METHODS and not announces_body(self.plan.fields)

    def _pass_last(self, message: Message) -> None:
        """Count the response, if this really is its last message; other kinds may come between."""
        flow = self._flow
        assert flow is not None
        if message["type"] == BODY or message["type"] in flow.LAST_MESSAGES:
            self._is_passing = False
            flow.app_bytes = self._passed_bytes
            flow.state = DONE
            self._complete(flow)

    def _give(self, flow: ResponseFlow, out: Message | list[Message]) -> Awaitable[None]:
        """Send what the flow gives, once all that it has brought about is done."""
        if flow.job is not None:
            job, flow.job = flow.job, None
            work = partial(self._work, flow, job, out)
            return work() if running_loop() is None else self._take_turn(work)
        self._heed(flow, out)
        messages = out if isinstance(out, list) else [out]
        if messages and flow.opening.messages is not None:
            return self._send_all(in_pieces(messages))
        if len(messages) == 1 and self._stored is None:
            return self._send(messages[0])
        return self._send_all(messages) if messages or not flow.is_over else checkpoint()

    def _heed(self, flow: ResponseFlow, out: Message | list[Message]) -> None:
        """Note what has come about with the messages that are sent next."""
        if not self.first_byte_ns and out and not flow.is_holding:
            self.first_byte_ns = perf_counter_ns()
            if self.engine.server_timing and isinstance(out, list):
                out[0] = self._timed(out[0])
        if flow.is_over and not self.is_over:
            self._complete(flow)
        elif flow.keeping is None and self.seeker.call is not None:
            self.seeker.finish_call(flow.call_result)

    def _take_turn(self, work: Callable[[], Awaitable[None]]) -> Awaitable[None]:
        """Have done what takes a while, after what is under way; what the app sends waits."""
        turns = self._turns
        if turns is None:
            turns = self._turns = Turns()
        return turns.take(work)

    async def _release(self, flow: ResponseFlow, messages: list[Message]) -> None:
        """Send what is held, since the app listens to the client.

        It may listen for a moment only: what has been begun to be sent is sent all the same.
        """
        self._heed(flow, messages)
        if messages:
            sending = partial(self._send_quietly, messages)
            if running_loop() is None:
                await sending()
            else:
                await self._take_turn(sending)

    def _timed(self, start: Message) -> Message:
        """The start with what the app took, and what was then done to its response."""
        took = {"app": self._fed_ns - self.began_ns, "encode": perf_counter_ns() - self._fed_ns}
        outcome = self.plan.outcome
        return add_server_timing(start, took, {"cache": outcome} if outcome else {})

    async def _send_all(self, messages: Iterable[Message]) -> None:
        try:
            for message in messages:
                await self._send(message)
        except Exception:
            self._is_unsent = True  # this exception is the server's, and not the app's own
            raise

    async def _work(
        self, flow: ResponseFlow, job: Callable[[], bytes | None], before: Message | list[Message]
    ) -> None:
        """Let a thread do what would hold up the event loop, and send what comes of it."""
        assert isinstance(before, list)
        self._heed(flow, before)
        await self._send_all(before)
        after = flow.resume(await run_in_thread(job, self.engine.workers.encoders))
        self._heed(flow, after)
        await self._send_all(after)

    async def _send_quietly(self, messages: list[Message]) -> None:
        """Send on nobody's behalf who could be told of a failure."""
        try:
            await self._send_all(messages)
        except Exception:
            logger.debug("What was held of a response could not be sent.", exc_info=True)

    async def settle(self, *, quietly: bool = False) -> None:
        """Send what is held back of a response that its app has left unfinished.

        `quietly`: before an exception of the app goes on, which no other may replace.
        """
        flow = self._flow
        if self._turns is not None:
            await self._turns.finish()
        if flow is None or self.is_over:
            return
        messages = flow.release(Reason.INCOMPLETE)
        self._heed(flow, messages)
        await (self._send_quietly if quietly else self._send_all)(messages)

    def end(self) -> None:
        """The app is done with this request, as `has_returned` and `has_failed` say.

        Neither of them: its call was cancelled, which says nothing of a response that is whole.
        """
        if self._app_scope is not None and not self._is_detached:
            self._app_scope.carry_out()
        self._release_body()
        if not self.is_over:
            self._abandon()
        if self._pending is not None:
            pending = self._pending.pending
            if self.has_returned and pending is not None:
                self._store(pending)
            self._pending.let_go()
            self.seeker.finish_call(CallResult.FAILED)
        elif self.has_failed and not self._is_unsent and self._stored is not None:
            # An exception after a body that looked whole: it may have been cut off, and ended by
            # a middleware that did not know.
            self.engine.responses.retract(self._stored)
        if self._dropping is not None:
            self._dropping.app_succeeded = self.has_returned
            self._dropping.invalidate_again()

    async def stop(self) -> None:
        """Wait until nothing is sent any more: after a cancellation a task of ours may still."""
        if self._turns is not None:
            await self._turns.end()

    def _abandon(self) -> None:
        """The response will not be whole: let nobody wait for it, and count it."""
        self.is_over = True
        if self._turns is not None:
            self._turns.cancel()
        self.seeker.finish_call(CallResult.FAILED)
        flow = self._flow
        if flow is None:
            label = self.engine.label(self._scope)
            self._count(label, 500, 0, self.plan.outcome, Reason.INCOMPLETE)
        else:
            flow.let_go()
            flow.note(Reason.INCOMPLETE)
            count_response(self.engine, self.plan, flow, self.began_ns, self.first_byte_ns)

    def _complete(self, flow: ResponseFlow) -> None:
        """The last byte is about to go: store, tell those who wait, and count."""
        self.is_over = True
        entry = flow.entry
        if entry is None:
            self.seeker.finish_call(flow.call_result)
        elif flow.is_end_sure:
            self._store(entry)
            flow.let_go()
        else:
            assert flow.keeping is not None  # it has made the entry
            self._pending, flow.keeping.pending = flow.keeping, entry
            flow.entry = None
            if self.seeker.released is not None:
                self.seeker.released.set()  # a client that is not there has all, and leaves
        count_response(self.engine, self.plan, flow, self.began_ns, self.first_byte_ns)

    def _store(self, entry: Entry) -> None:
        """Store a response that is whole, and let those have it who wait for it."""
        keeper = self._dropping or self.engine.responses
        if keeper.keep(entry, self.plan.asked):
            self._stored = entry
            self.engine.calls.note_storable(self.plan.key or resource_of(entry.key))
            self.seeker.finish_call(CallResult.STORED)
        else:
            self.seeker.finish_call(CallResult.FAILED)

    def _count(self, route: str, status: int, size: int, outcome: str, why: Reason) -> None:
        """Count an answer that the app has not made."""
        count_answer(self.engine, self.plan, self.began_ns, route, status, size, outcome, (why,))
