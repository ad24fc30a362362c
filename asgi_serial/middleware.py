"""The shell around the engine: the one place that awaits what the engine has decided."""

from __future__ import annotations

import logging
import os
from collections import deque
from functools import partial
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Unpack

from asgi_serial.cache.aiocache_store import open_store
from asgi_serial.cache.collapse import Ending
from asgi_serial.cache.entry import Entry
from asgi_serial.codecs.decoding import DECODE_OFFLOAD_BYTES
from asgi_serial.engine.derive import DERIVE_OFFLOAD_BYTES, derive, encoded_size
from asgi_serial.engine.engine import Engine
from asgi_serial.engine.hit import answer, find_representation, judge, variant_of
from asgi_serial.engine.plan import plan_request, request_key
from asgi_serial.engine.problem import Problem
from asgi_serial.engine.reporting import engine_report, is_for_report, report_messages
from asgi_serial.engine.request import (
    MARK,
    RequestBody,
    RequestCopy,
    body_part,
    explain_refusal,
    scope_for_app,
    why_refused,
)
from asgi_serial.engine.response import DONE, HELD, START, WHOLE, ResponseFlow
from asgi_serial.engine.sharing import engines_of, share
from asgi_serial.engine.storing import read_selecting
from asgi_serial.errors import CodecError, FormatError
from asgi_serial.policy import CURRENT, RequestPolicy
from asgi_serial.reasons import Reason
from asgi_serial.settings import SettingOptions, Settings
from asgi_serial.timing.routes.resolver import build_resolver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from asgi_serial.cache.collapse import Flight
    from asgi_serial.cache.entry import Key
    from asgi_serial.timing.report import Report
    from asgi_serial.timing.routes.base import RouteResolver
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("asgi_serial")

HIT, MISS, VARY_MISS, STALE = Reason.HIT, Reason.MISS, Reason.VARY_MISS, Reason.STALE
COLLAPSIBLE = (MISS, VARY_MISS, STALE)

REFUSED_ROUTE = "(refused)"


class SerialMiddleware:
    """Negotiation, compression, caching and timing of the HTTP responses of `app`, in one pass.

    Every setting (see `Settings`) is a keyword argument, and an environment variable
    `ASGI_SERIAL_<NAME>`; the argument wins. `store` is a second level for the cache in place of
    a `cache_url`: an aiocache cache. `route_resolver` names the route of a request for the
    timing, where the framework is not one that is known. Instances that are given one `engine`
    share its caches and counts, and the other arguments are not looked at.

    Raises: ConfigurationError, naming every fault of the settings.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        engine: Engine | None = None,
        store: object = None,
        route_resolver: RouteResolver | None = None,
        **options: Unpack[SettingOptions],
    ) -> None:
        self.app = app
        self._shared = engine is not None
        self.engine = engine or build_engine(
            app, store=store, route_resolver=route_resolver, **options
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3.0)."""
        engine = self.engine
        # A second engine inside another has nothing left to do, and would do it wrong.
        if scope["type"] != "http" or not engine.active or MARK in scope:
            await self.app(scope, receive, send)
            return
        if not self._shared:
            engine = self.engine = share(engine, scope)
            self._shared = True
        if engine.settings.report_path is not None and is_for_report(engine, scope):
            for message in report_messages(engine, scope):
                await send(message)
            return
        await Exchange(engine, self.app, scope, receive, send).serve()


def build_engine(
    app: ASGIApp | None = None,
    *,
    store: object = None,
    route_resolver: RouteResolver | None = None,
    **options: Unpack[SettingOptions],
) -> Engine:
    """An engine by settings; `app` helps to name its routes. Raises: ConfigurationError."""
    settings = Settings.load(options, os.environ)
    if store is None and settings.cache_url is not None:
        store = settings.cache_url.get_secret_value()
    opened = None
    if store is not None and settings.enabled and settings.cache:
        opened = open_store(
            store,
            timeout=settings.cache_store_timeout,
            max_value_bytes=2 * settings.cache_max_object,
        )
    return Engine(
        settings, store=opened, store_target=store, label=build_resolver(route_resolver, app=app)
    )


def timing_report(source: object) -> Report:
    """The timing report of an app that has answered requests, or of an engine.

    `source` is what the framework's users call the app (Starlette, FastAPI, Litestar), an
    instance of the middleware, or its engine. Of several engines in one app it is that of the
    first. Raises: LookupError where no request has been served yet, or timing is off.
    """
    if isinstance(source, SerialMiddleware):
        source = source.engine
    engines = (source,) if isinstance(source, Engine) else engines_of(source)
    for engine in engines:
        if engine.recorder is not None:
            return engine_report(engine)
    raise LookupError(f"{source!r} has no timing report: no request was served, or timing is off.")


class Exchange:
    """One request and its response."""

    first_byte_ns = 0
    forward = MISS
    collapsed = False
    _flow: ResponseFlow | None = None
    _flight: Flight | None = None
    _replayed: deque[Message] | None = None
    _copy: RequestCopy | None = None  # what the app reads, until its handler says if it is a key
    _underived: Entry | None = None  # may answer, in a form that is to be made yet
    _recorded = False

    def __init__(
        self, engine: Engine, app: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.began_ns = perf_counter_ns()
        self.engine = engine
        self.app = app
        self.plan = plan_request(engine, scope)
        self._receive = receive
        self._send = send

    async def serve(self) -> None:
        """Answer the request: with a refusal, out of the cache, or by the app."""
        plan = self.plan
        body: bytes | None = None
        if plan.content_codings or plan.msgpack_body:
            decoded = await self._read_decoded()
            if isinstance(decoded, Problem):
                return await self._refuse(decoded)
            body = decoded
        elif plan.keys_on_body:
            await self._read_for_key()
        if plan.key is not None:
            hit = self._find_hit() or await self._seek_hit(plan.key)
            if hit is not None:
                start, last = hit
                await self._send(start)
                await self._send(last)
                return None
        return await self._call_app(body)

    async def _read_decoded(self) -> bytes | Problem | None:
        """Read and decode the body before the app is called; None where the client has left.

        An exception inside the app's own `receive` would be a 500 of the app's.
        """
        engine, plan = self.engine, self.plan
        problem = why_refused(engine, plan)
        if problem is not None:
            return problem
        reader = RequestBody(engine, plan)
        try:
            more = True
            while more:
                message = await self._receive()
                if message["type"] != "http.request":
                    self._replayed = deque((message,))
                    return None
                reader.feed(message.get("body", b""))
                more = message.get("more_body", False)
            if reader.encoded_bytes < DECODE_OFFLOAD_BYTES:
                body = reader.finish()
            else:
                body = await engine.run_in_thread(reader.finish)
        except (CodecError, FormatError) as error:
            return explain_refusal(engine, error)
        self._replayed = deque(({"type": "http.request", "body": body, "more_body": False},))
        if plan.keys_on_body:
            self._key_on(body)
        return body

    async def _read_for_key(self) -> None:
        """Read the body as far as it may take part in the key; the app gets it all the same."""
        replayed: deque[Message] = deque()
        self._replayed = replayed
        parts: list[bytes] = []
        left = self.engine.settings.cache_max_key_body
        more = True
        while more:
            message = await self._receive()
            replayed.append(message)
            if message["type"] != "http.request":
                return
            parts.append(message.get("body", b""))
            left -= len(parts[-1])
            if left < 0:
                self.plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
                return
            more = message.get("more_body", False)
        self._key_on(b"".join(parts))

    def _key_on(self, body: bytes) -> None:
        if len(body) > self.engine.settings.cache_max_key_body:
            self.plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
        else:
            self.plan.key = request_key(self.engine, self.plan, body_part(self.plan, body))

    async def _refuse(self, problem: Problem) -> None:
        start, last = problem.messages(is_head=self.plan.is_head)
        self._record(REFUSED_ROUTE, problem.status, len(last["body"]), "", (problem.reason,))
        await self._send(start)
        await self._send(last)

    def _find_hit(self) -> tuple[Message, Message] | None:
        """The answer out of the first level, with nothing awaited."""
        plan = self.plan
        assert plan.key is not None
        return self._use(self.engine.responses.find(plan.key, partial(read_selecting, plan)))

    def _use(self, found: Entry | Reason) -> tuple[Message, Message] | None:
        """The answer by what was found; None, with the reason in `forward`, where it is none."""
        if isinstance(found, Reason):
            self.forward = found
            return None
        engine, plan = self.engine, self.plan
        now = engine.clock()
        why = judge(plan, found, now)
        if why is not HIT:
            self.forward = why
            return None
        kept = find_representation(plan, found)
        if kept is None:
            self._underived = found
            return None
        start, last = answer(engine, plan, found, kept, now, collapsed=self.collapsed)
        if engine.recorder is not None:
            outcome = "collapsed" if self.collapsed else "hit"
            self._record(found.route, start["status"], len(last["body"]), outcome, ())
        return start, last

    async def _seek_hit(self, key: Key) -> tuple[Message, Message] | None:
        """The answer out of the second level, out of another form, or of another's call."""
        engine, plan = self.engine, self.plan
        responses = engine.responses
        if self._underived is None and self.forward in (MISS, VARY_MISS) and responses.store:
            hit = self._use(await responses.load(key, partial(read_selecting, plan)))
            if hit is not None:
                return hit
        if self._underived is not None:
            return await self._derive(self._underived)
        if plan.directives is not None and plan.directives.only_if_cached:
            return self._give_up()
        if self.forward in COLLAPSIBLE and not plan.has_credentials and not plan.is_head:
            return await self._join(key)
        return None

    async def _derive(self, entry: Entry) -> tuple[Message, Message] | None:
        """The answer in a form that is made of a stored one."""
        engine, plan = self.engine, self.plan
        self._underived = None
        variant = variant_of(plan, entry)
        if encoded_size(entry) < DERIVE_OFFLOAD_BYTES:
            made = derive(engine, entry, variant)
        else:
            made = await engine.run_in_thread(partial(derive, engine, entry, variant))
        if made is None:
            return None
        entry.representations[variant] = made
        engine.responses.update(entry)
        return self._use(entry)

    def _give_up(self) -> tuple[Message, Message]:
        # RFC 9111, 5.2.1.7: only-if-cached: answer 504 where nothing stored may be used.
        problem = Problem(504, self.forward, self.forward.value.capitalize() + ".")
        start, last = problem.messages()
        self._record(REFUSED_ROUTE, 504, len(last["body"]), "", (self.forward,))
        return start, last

    async def _join(self, key: Key) -> tuple[Message, Message] | None:
        """Wait for another request's call of the app, or lead the one that others wait for."""
        flights, settings = self.engine.flights, self.engine.settings
        deadline = monotonic() + settings.cache_wait
        while True:
            flight = flights.find(key)
            if flight is None:
                self._flight = flights.lead(key)
                return None
            self.collapsed = True
            ending = await flight.wait(deadline - monotonic())
            if ending is not Ending.FAILED:
                break
        if ending is not Ending.STORED:
            return None
        found = self.engine.responses.find(key, partial(read_selecting, self.plan))
        hit = self._use(found)
        if hit is None and self._underived is not None:
            hit = await self._derive(self._underived)
        return hit

    async def _call_app(self, body: bytes | None) -> None:
        engine, plan = self.engine, self.plan
        scope = scope_for_app(engine, plan, body)
        policy = RequestPolicy()
        flow = self._flow = ResponseFlow(engine, plan, policy, scope, self._copied)
        flow.forward = self.forward
        flow.collapsed = self.collapsed
        if plan.caching and plan.may_key_on_body:
            self._copy = RequestCopy(engine.settings.cache_max_key_body)
        token = CURRENT.set(policy)
        try:
            await self.app(scope, self._on_receive, self._on_send)
            await self._dispatch(flow.release(Reason.INCOMPLETE))
        except Exception:
            await self._send_quietly(flow.release(Reason.INCOMPLETE))
            raise
        finally:
            CURRENT.reset(token)
            if not self._recorded:
                self._end(Ending.FAILED)

    def _copied(self) -> tuple[bytes, bytes] | None:
        """What stands for the request's body in a key, once the app has read it."""
        body = self._copy.whole() if self._copy is not None else None
        return None if body is None else body_part(self.plan, body)

    async def _on_receive(self) -> Message:
        flow = self._flow
        assert flow is not None
        if self._replayed:
            message = self._replayed.popleft()
        else:
            if flow.state is HELD or flow.state is WHOLE:
                await self._dispatch(flow.wait_for_client())
            message = await self._receive()
            if message["type"] == "http.disconnect" and flow.state is not DONE:
                await self._dispatch(flow.lose_client())
        if self._copy is not None:
            self._copy.take(message)
        return message

    def _on_send(self, message: Message) -> Awaitable[None]:
        flow = self._flow
        assert flow is not None
        out = flow.feed(message)
        if not isinstance(out, list):
            if flow.state is DONE and not self._recorded:
                self._complete(flow)
            return self._send(out)
        return self._dispatch(out)

    def _dispatch(self, messages: list[Message]) -> Awaitable[None]:
        """Send what the flow has given; count, store and land what it has brought about."""
        flow = self._flow
        assert flow is not None
        if flow.job is not None:
            return self._work(flow.job, messages)
        if not self.first_byte_ns and flow.state is not START:
            self._started(flow)
            if messages:
                self.first_byte_ns = perf_counter_ns()
        if flow.state is DONE and not self._recorded:
            self._complete(flow)
        if len(messages) == 1:
            return self._send(messages[0])
        return self._send_all(messages)

    async def _send_all(self, messages: list[Message]) -> None:
        for message in messages:
            await self._send(message)

    async def _send_quietly(self, messages: list[Message]) -> None:
        """Send before an exception of the app goes on, which no other may replace."""
        try:
            await self._dispatch(messages)
        except Exception:
            logger.debug("The held start of a failed response could not be sent.", exc_info=True)

    async def _work(self, job: Callable[[], bytes], messages: list[Message]) -> None:
        """Let a thread do what would hold up the event loop."""
        await self._send_all(messages)
        flow = self._flow
        assert flow is not None
        await self._dispatch(flow.resume(await self.engine.run_in_thread(job)))

    def _started(self, flow: ResponseFlow) -> None:
        """The app has started its response: drop what it makes invalid, free who waits in vain."""
        if flow.invalid is not None:
            self.engine.responses.drop(flow.invalid)
            flow.invalid = None
        if self._flight is not None and flow.is_fruitless:
            self._end(Ending.FRUITLESS)

    def _complete(self, flow: ResponseFlow) -> None:
        """The last byte is on its way: what is to be seen by others is there before it is sent."""
        entry = flow.entry
        if entry is not None:
            self.engine.responses.keep(entry, self.plan.asked)
        self._end(Ending.STORED if entry is not None else flow.ending)
        self._record_flow(flow)

    def _end(self, ending: Ending) -> None:
        flight, key = self._flight, self.plan.key
        if flight is not None and key is not None:
            self._flight = None
            self.engine.flights.land(key, flight, ending)

    def _record_flow(self, flow: ResponseFlow) -> None:
        self._recorded = True
        recorder = self.engine.recorder
        if recorder is not None:
            now = perf_counter_ns()
            recorder.record(
                flow.route(),
                self.plan.method,
                flow.status,
                (self.first_byte_ns or now) - self.began_ns,
                now - self.began_ns,
                flow.app_bytes,
                flow.encoded_bytes,
                flow.sent_bytes,
                flow.outcome,
                flow.reasons(),
                flow.encoding_outcome,
            )

    def _record(
        self, route: str, status: int, size: int, outcome: str, reasons: Iterable[Reason]
    ) -> None:
        """Count an answer that the app has not made."""
        recorder = self.engine.recorder
        if recorder is not None:
            taken = perf_counter_ns() - self.began_ns
            method = self.plan.method
            recorder.record(route, method, status, taken, taken, 0, size, size, outcome, reasons)
