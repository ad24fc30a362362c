"""The exchange of one request and its response: the async shell around the engine's decisions."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from asgi_serial.asgi.app_scope import (
    hide_from_app,
    offers_zero_copy,
    reveal_outside,
    scope_for_app,
)
from asgi_serial.asgi.delivery import Delivery
from asgi_serial.asgi.lookup import Lookup
from asgi_serial.asgi.parsed_requests import PARSED, forget_parsed, recall_parsed
from asgi_serial.asgi.record import (
    DEBUG,
    cache_part_in_call,
    is_logged,
    record_answer,
    record_exchange,
    root,
    with_timing,
)
from asgi_serial.asgi.request_body import Upload, read_request
from asgi_serial.asgi.scope_changes import AppScope
from asgi_serial.asgi.single_flight import NullClient, run_led, send_leading
from asgi_serial.asgi.timer import start_timer
from asgi_serial.cache.in_flight import CallResult
from asgi_serial.caching.completion import Completion
from asgi_serial.caching.invalidation import Invalidation
from asgi_serial.caching.serving import answer_on_error, in_pieces
from asgi_serial.concurrency.loops import checkpoint
from asgi_serial.engine.app_engines import MARK
from asgi_serial.http.storability import CACHED_METHODS, announces_body
from asgi_serial.reasons import Reason
from asgi_serial.representation.problem import Problem
from asgi_serial.request.app_call import AppCall, RequestCopy
from asgi_serial.request.forward import FORWARD_MISS
from asgi_serial.request.handler_policy import adopt_partition
from asgi_serial.response.start import START_TYPE, start_response
from asgi_serial.settings.policy import CURRENT, HANDLER_SWITCHES
from asgi_serial.settings.routed_handler import REQUEST
from asgi_serial.timing.server_timing import add_server_timing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from asgi_serial.asgi.app_scope import Hidden
    from asgi_serial.asgi.parsed_requests import Parsed
    from asgi_serial.asgi.timer import Timer
    from asgi_serial.caching.serving import Answer
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.forward import Forward
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.start import ResponseStart
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("asgi_serial")


class Exchange(AppCall):
    """One request on its way to the app, and its response on the way back.

    `receive` and `send` are passed to the app, and handlers add their policies to it (`AppCall`).
    The start of the response decides how it continues: one that passes is only counted, any other
    is handled by a `Delivery`.
    """

    __slots__ = (
        "_calls_again",
        "_changes",
        "_given",
        "_hidden",
        "_parsed",
        "_passes",
        "_receive",
        "_searched",
        "_upload",
        "app_scope",
        "delivery",
        "dropping",
        "encoded_model",
        "ending",
        "engine",
        "has_policy",
        "is_over",
        "lookup",
        "pass_reasons",
        "plan",
        "send_out",
        "served",
        "status",
        "timer",
    )

    plan: RequestPlan  # the newest: stages return another one if they change something
    served: str | None  # what the cache did, if the app was called and did not answer
    lookup: Lookup | None  # of a request that may be answered from the cache
    _searched: Lookup | None  # once beyond the first level: it may lead a call
    _upload: Upload | None
    _changes: AppScope | None  # of the scope that the app got a copy of
    _hidden: Hidden | None  # parts of the scope that the app does not see
    delivery: Delivery | None  # of a response that does not pass
    dropping: Invalidation | None  # the invalidation made by this write
    timer: Timer | None  # until the exchange is recorded; None if it is not
    pass_reasons: tuple[Reason, ...]  # of a response that passes
    ending: str  # the outcome, if it is not a usual one
    _listeners = 0  # calls of `receive` that wait for the client
    _has_read = False  # the app has received the whole request
    _null_client: NullClient | None = None  # replaces a client that has left
    _is_detached = False  # nobody awaits the call any more
    has_returned = False  # the app has returned without an exception
    has_failed = False  # the app has raised an exception of its own
    _parsed: Parsed | None  # of a request of which the app gets an adapted copy
    refusal: Problem | None = None  # sent in place of a response of the app

    def __init__(
        self, engine: Engine, plan: RequestPlan, receive: Receive, send: Send, began: float
    ) -> None:
        self.engine = engine
        if plan.profile.cookies is not None and plan.are_cookies_harmless:
            plan = plan.without_ignored_cookies()
        self.plan = plan
        if engine.records or ((logger.level or root.level) <= DEBUG and is_logged(DEBUG)):
            timer = self.timer = start_timer(receive, send, began)
            receive, send = timer.receive, timer.send
            engine.gauges.started += 1
        else:
            self.timer = None
        self._given = self.app_scope = plan.scope  # the app may get a copy
        self._receive = receive
        self.send_out = send
        # A slot is read in a quarter of the time of a default on the class, and assigning one
        # constant to many slots at once is cheap.
        self.lookup = self._searched = self._upload = self._changes = self.served = None
        self.delivery = self.dropping = self._hidden = self._parsed = self.encoded_model = None
        self.status = 0
        self.pass_reasons = ()
        self.ending = ""
        # It is over once it passes, or its last message goes to the server.
        self._passes = self.is_over = self._calls_again = self.has_policy = False

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The reasons of a response that passes."""
        return self.plan.undecoded + self.pass_reasons

    def finish_call(self, result: CallResult) -> None:
        """End the call that others wait for, if this request has begun one."""
        if self._searched is not None:
            self._searched.finish_call(result)

    def finish_unstored_call(self, result: CallResult, *, is_over: bool) -> None:
        """End that call, since its response is not stored; before its end only if others wait."""
        if self._searched is not None and (is_over or self._searched.call is not None):
            self._searched.finish_call(result)

    def release_client(self) -> None:
        """Let the stand-in for a client that has left leave: it has the whole response."""
        if self._searched is not None and self._searched.released is not None:
            self._searched.released.set()

    def may_answer(self, served: Answer | Forward) -> bool:
        """Whether the cache may still answer, given the result of the first level."""
        engine, plan = self.engine, self.plan
        if served is not FORWARD_MISS or engine.responses.store is not None:
            return True
        if plan.profile.needs_search:
            return True
        assert plan.key is not None  # the first level was asked by it
        # A request with credentials shares no call of the app. Others share one that is likely to
        # be stored: one response that is not stored says little about the next; two do.
        return not (plan.user.credentials or engine.calls.is_hit_for_miss(plan.key, calls=2))

    async def answer_without_app(self, served: Answer | Forward | None) -> bool:
        """Refuse the request or answer it from the cache; return False if the app must answer."""
        plan, forward = self.plan, self.plan.forward
        messages: Iterable[Message] | None = None
        try:
            if served is not None:
                self.lookup = Lookup(self.engine, plan)
                messages = self.lookup.take(served)
            if messages is None:
                if plan.content_codings or plan.body_format or plan.keys_on_body:
                    messages = await self._read_body()
                    plan = self.plan
                if messages is None and plan.key is not None:
                    if self.lookup is None:
                        self.lookup = Lookup(self.engine, plan)
                    lookup = self._searched = self.lookup
                    if plan.keys_on_body:
                        messages = lookup.find_hit(plan.key)
                    messages = messages or await lookup.seek(plan.key)
                    self.served = "stale" if lookup.stands_in else None
                    forward = lookup.forward
                if messages is None and plan.wants_stored_only:
                    messages = self._refuse_to_call(plan.bypass or forward.reason)
                # RFC 9111, 4.2.3: the age of a response counts from the request that it answers.
                # This one may have waited for its body, the second level, or another's call.
                if plan.caching:
                    self.plan = plan.with_(forward=forward, asked=self.engine.clock())
            if messages is not None:
                self._release_body()
                await self.answer(messages)
        except BaseException as error:
            self.finish_call(CallResult.FAILED)  # otherwise others could wait in vain
            self._release_body()
            self.ending = "failed" if isinstance(error, Exception) else "cancelled"
            if self.timer is not None:
                record_answer(self, self.timer)
            raise
        if self.timer is not None:
            if messages is not None:
                record_answer(self, self.timer)
            else:
                self.timer.call_app()
        return messages is not None

    async def _read_body(self) -> list[Message] | None:
        """Read a body that is decoded, translated or in the key; return its refusal, if any."""
        plan, timer = self.plan, self.timer
        upload = self._upload = Upload(self.engine.workers.bodies.open())
        since = (0.0, 0.0) if timer is None else timer.begin_decoding()
        read = await read_request(self.engine, plan, self._receive, upload.share)
        if timer is not None:
            timer.end_decoding(*since)
        if isinstance(read, Problem):
            return self._refuse(read)
        upload.messages, upload.body = deque(read.messages), read.body
        if plan.keys_on_body:
            plan = plan.with_(key=read.key, bypass=read.bypass)
        if (plan.content_codings, plan.body_format) != (read.codings, read.format):
            plan = plan.with_(content_codings=read.codings, body_format=read.format)
        self.plan = plan
        return None

    async def answer(self, messages: Iterable[Message]) -> None:
        """Send an answer for which the app was not called."""
        answered = None if self.lookup is None else self.lookup.answered
        if answered is not None and self.engine.server_timing and self.timer is not None:
            start, last = messages
            messages = (with_timing(start, self.timer.began), last)
        for message in in_pieces(messages):
            await self.send_out(message)

    def _release_body(self) -> None:
        """Release the memory of a body that the app has received or never will."""
        if self._upload is not None:
            self._upload.share.release()
            self._upload = None

    def _refuse(self, problem: Problem) -> list[Message]:
        self.refusal = problem
        return problem.messages(is_head=self.plan.method == "HEAD")

    def _refuse_to_call(self, why: Reason) -> list[Message]:
        # RFC 9111, 5.2.1.7: only-if-cached: answer 504 where nothing stored may be used.
        return self._refuse(Problem(504, why, why.value.capitalize() + "."))

    async def run(self, app: ASGIApp) -> None:
        """Call the app; its exceptions propagate unchanged."""
        lookup = self.lookup
        if lookup is not None and lookup.call is not None:
            self._searched = lookup
            if lookup.released is None:  # others wait for it: it runs in its own task
                try:
                    await run_led(self.engine, lookup, self.run(app), self._detach)
                except BaseException:
                    # The task may have been cancelled before its first step.
                    if not self._is_detached and self.timer is not None:
                        self.ending = self.ending or "cancelled"
                        timer, self.timer = self.timer, None
                        record_exchange(self, timer)
                    raise
                return
        # If no handler sets a policy here, that of an enclosing request must not apply either.
        token = CURRENT.set(self)
        try:
            scope = self._open()
            if self._searched is None and self._upload is None:
                await app(scope, self.receive, self.send)
            else:
                await self._call_app(app, scope)
            delivery = self.delivery
            if delivery is not None:
                if delivery.queue is not None or not self.is_over:
                    await delivery.settle()
                self.has_returned = True
            elif self.dropping is not None:
                self.has_returned = True
        except Exception:
            self.has_failed, self.ending = True, "failed"
            messages = self._use_on_error()
            if messages is None:
                if self.delivery is not None:
                    await self.delivery.settle(quietly=True)
                raise
            self.ending = ""
            logger.exception("The app failed; a stale response is sent instead.")
            await self._stand_in(messages)
        except BaseException:
            self.ending = "cancelled"
            raise
        finally:
            CURRENT.reset(token)
            self._end()
            if self.delivery is not None:
                delivery, self.delivery = self.delivery, None  # break the reference cycle
                if delivery.queue is not None:
                    await delivery.queue.end()  # after a cancellation, its tasks may still run

    def leave_client(self) -> bool:
        """Continue without the client if other requests wait for the result of this call."""
        lookup = self._searched
        if lookup is None or lookup.call is None or not lookup.call.waiting:
            return False
        released = lookup.released
        if released is None:
            return False
        if self._null_client is None:
            null_client = self._null_client = NullClient(released, has_asked=self._has_read)
            self._receive, self.send_out = null_client.receive, null_client.send
            # Limit the wait of those requests, and of an app that ends only on a disconnect.
            loop = asyncio.get_running_loop()
            loop.call_later(self.engine.settings.cache_lead, released.set)
        return True

    def _detach(self) -> bool:
        """Continue although nobody awaits the call, if other requests wait for its result."""
        self._is_detached = self.leave_client()
        if self._is_detached:
            self.ending = "cancelled"
        return self._is_detached

    async def _call_app(self, app: ASGIApp, scope: Scope) -> None:
        """Call the app, and once more if its response was not about the stored one."""
        send = self.send if self.plan.forward.completes is None else self._open_completion()
        await app(scope, self.receive, send)
        if self._calls_again:
            self._drop_conditions()
            await app(self._open(), self.receive, self.send)

    def _use_on_error(self) -> tuple[Message, Message] | None:
        """Return the stale response to send instead, unless the handler has set another user."""
        has_begun = self.delivery is not None or self._passes or self.is_over
        if has_begun or self.plan.forward.stored is None:
            return None
        plan = self.plan = adopt_partition(self.engine, self.plan, self)
        messages = answer_on_error(self.engine, plan, plan.forward)
        if messages is not None:
            self.served = "stale"
        return messages

    def _drop_conditions(self) -> None:
        """Prepare a call without conditions, since the 304 or 206 was about something else."""
        self._calls_again = False
        plan, now = self.plan, self.engine.clock()
        self.plan = plan.with_(forward=plan.forward.without_stored(), asked=now)
        upload = self._upload = Upload(self.engine.workers.bodies.open())
        upload.messages.append({"type": "http.request", "body": b"", "more_body": False})

    def _open_completion(self) -> Send:
        """Return the app's `send` for a call that asks for the rest of a stored response."""
        part = self.plan.forward.completes
        assert part is not None
        completion = Completion(self.engine, self, part)

        def send(message: Message) -> Awaitable[None]:
            if completion.is_void:
                return checkpoint()
            put_together = completion.take(message, self.plan)
            self.plan = completion.request
            if self._searched is not None:
                self._searched.plan = self.plan
            if put_together is not None:
                return self.send(put_together)
            self._calls_again = True
            return checkpoint()

        return send

    async def _stand_in(self, messages: tuple[Message, Message]) -> None:
        self._reveal()
        self.is_over = True
        self.finish_call(CallResult.ERROR)
        await self.answer(messages)

    def _open(self) -> Scope:
        """Return the scope with which the app is called next."""
        engine, plan, given = self.engine, self.plan, self._given
        profile, wants = plan.profile, plan.wants
        hides = wants.hides_codings or (profile.cookies is not None and plan.key is not None)
        if plan.caching:
            if plan.shown_query is not None or profile.choices is not None:
                plan = self.plan = plan.hide_ignored()
                hides = hides or plan.is_normalized
            if plan.may_key_on_body:
                self.body_copy = RequestCopy(engine.settings.cache_max_key_body)
        body = None if self._upload is None else self._upload.body
        leads = self._searched is not None and self._searched.call is not None
        if (
            leads
            or body is not None
            or wants.media_type
            or profile.has_tags
            or self._changes is not None
            or ("extensions" in given and offers_zero_copy(plan, given))
            or plan.forward.validates
            or plan.forward.completes is not None
        ):
            scope = self.app_scope = self._copy_scope(body, leads=leads)
            return scope
        # The app gets the scope from the server itself, in which parts may be hidden for a while.
        if engine.may_cache:
            plan.keep_scope()
        given[MARK] = engine
        given[REQUEST] = []  # any object of its own; `object()` costs five times as much
        if hides:
            self._hidden = hide_from_app(plan, given)
        return given

    def _reveal(self) -> None:
        """Show again what was hidden from the app."""
        if self._hidden is not None:
            reveal_outside(self._given, self._hidden, self.plan.profile.choices or ())
            self._hidden = None

    def _copy_scope(self, body: bytes | None, *, leads: bool) -> Scope:
        """Return an adapted copy of the scope; the app's changes are copied to the given one."""
        engine, plan, given, before = self.engine, self.plan, self._given, self._changes
        scope = scope_for_app(engine, plan, self, body)
        if PARSED in (scope.get("state") or ()):
            parsed = forget_parsed(scope)
            self._parsed = self._parsed or parsed
        plan.keep_scope()
        outside = self.send_out if before is None else before.outside
        app_scope = self._changes = AppScope(given, scope, outside)
        if self._null_client is None:
            self.send_out = app_scope.send
            if leads and self._searched is not None:
                self.send_out = partial(send_leading, self._searched, app_scope.send)
        return scope

    async def receive(self) -> Message:
        """Receive a message for the app."""
        if self._upload is not None and self._upload.messages:
            message = self._upload.messages.popleft()
            if not self._upload.messages:
                self._release_body()
            return self._observe_request(message)
        if self.delivery is not None:
            await self.delivery.listen()
        self._listeners += 1
        try:
            message = await self._receive()
            if message["type"] == "http.disconnect" and self.leave_client():
                message = await self._receive()
        finally:
            self._listeners -= 1
        if message["type"] == "http.disconnect":
            self.client_left = True
            if self.delivery is not None and not self.is_over:
                await self.delivery.lose_client()
        return self._observe_request(message)

    def _observe_request(self, message: Message) -> Message:
        """Record a message of the request before the app gets it."""
        plan = self.plan
        if message["type"] == "http.request":
            self._has_read = not message.get("more_body", False)
        if plan.key is not None and plan.method in CACHED_METHODS and message.get("body"):
            # A response to an unannounced body belongs to this client alone.
            # RFC 9110, 9.3.1: content of a GET has no meaning for it; in HTTP/2 and later it needs
            # neither Content-Length nor Transfer-Encoding.
            if not self.status:
                self.plan = plan.with_(bypass=Reason.REQUEST_HAS_BODY)
            elif self.delivery is not None:
                self.delivery.flow.forget(Reason.REQUEST_HAS_BODY)
        if self.body_copy is not None:
            self.body_copy.take(message)
        return message

    def has_client_said_all(self) -> bool:
        """Whether the whole request has been received."""
        if self._has_read:
            return True
        # From HTTP/2 on, content needs no field, but the content of a GET has no meaning.
        return self.plan.method in CACHED_METHODS and not announces_body(self.plan.fields)

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the app; not a coroutine, which would double the cost."""
        if self._passes:
            # A callable that is no method is found faster as a value of its own.
            send_out = self.send_out
            return send_out(message)
        if self.delivery is not None:
            return self.delivery.send(message)
        if not self.status:
            return self._begin(message)
        return self.send_out(message)

    def _begin(self, message: Message) -> Awaitable[None]:
        """Act on the start of the response; messages before it, such as early hints, pass."""
        if self._calls_again:
            return checkpoint()
        if message["type"] != START_TYPE:
            return self.send_out(message)
        engine, plan, timer = self.engine, self.plan, self.timer
        self.status = message["status"]
        # A policy may name users, whose responses are private even if nothing else is turned on.
        if engine.names_variants or HANDLER_SWITCHES or self.has_policy:
            message, start = start_response(engine, plan, self, message)
            if self._hidden is not None and start.collector is None:
                self._reveal()
            if start.has_effects or self._searched is not None:
                self._apply(start)
            if not start.passes:
                if start.retry_unconditionally:
                    self.status, self._calls_again = 0, True
                    return checkpoint()  # the rest of this response is discarded
                delivery = self.delivery = Delivery(self)
                return delivery.begin(start, self.app_scope, is_listening=bool(self._listeners))
            self.pass_reasons = start.reasons
        self._passes = self.is_over = True
        if engine.server_timing and timer is not None:
            message = self.timed(message)
        return self.send_out(message)

    def _apply(self, start: ResponseStart) -> None:
        """Apply the start's effects on the cache, and on requests that wait for this call."""
        engine, lookup = self.engine, self._searched
        if start.has_effects:
            self.plan, self.served = start.request, start.served or self.served
            if lookup is not None:
                lookup.plan = self.plan
        if start.invalid:
            method = self.plan.method
            self.dropping = Invalidation(engine.responses, start.invalid, method=method)
        if start.superseded is not None:
            engine.responses.forget(start.superseded)
        if lookup is None:
            return
        if start.key_changed and lookup.call is not None:
            lookup.finish_call(CallResult.UNCACHEABLE)
        stores = start.collector is not None or start.entry is not None
        if not (stores or start.retry_unconditionally) and self.plan.key is not None:
            lookup.finish_call(start.call_result)

    def timed(self, start: Message) -> Message:
        """Return the start with a Server-Timing field."""
        assert self.timer is not None
        outcome = self.served or cache_part_in_call(self.plan)
        return add_server_timing(
            start, self.timer.phases_so_far(), {"cache": outcome} if outcome else {}
        )

    def _end(self) -> None:
        """Finish the request after the app's call, which has returned, failed or been cancelled.

        A cancellation does not invalidate a response that is already complete.
        """
        if self._hidden is not None:
            self._reveal()
        if self._changes is None:
            self._given.pop(MARK, None)
            self._given.pop(REQUEST, None)
        elif not self._is_detached:
            self._changes.end()
        if self._changes is not None and self._null_client is None:
            self.send_out = self._changes.send  # break the reference cycle of a call that leads
        if self._parsed is not None:
            recall_parsed(self._parsed)
        if self._upload is not None:
            self._release_body()
        if self.delivery is not None:
            self.delivery.end()
        elif not self.is_over:
            self.is_over = True
            self.finish_call(CallResult.FAILED)
        if self.dropping is not None:
            self.dropping.app_succeeded = self.has_returned
            self.dropping.invalidate_again()
        if self.timer is not None:
            timer, self.timer = self.timer, None
            record_exchange(self, timer)
