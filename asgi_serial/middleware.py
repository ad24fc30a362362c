"""The middleware, and the functions that users call besides it."""

from __future__ import annotations

import os
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Unpack

from asgi_serial.admin.endpoints import build_filter, log_own, own_messages
from asgi_serial.admin.explaining import is_explained, may_explain, withhold_token
from asgi_serial.admin.purge_request import build_purges, purge_of_user, purge_stored
from asgi_serial.admin.shadows import warn_of_shadows
from asgi_serial.admin.state import engine_report, engine_state, watch_state
from asgi_serial.asgi.exchange import Exchange
from asgi_serial.asgi.nested import WriteWithin, find_write_within, restrict_outer
from asgi_serial.asgi.record import (
    DEBUG,
    is_logged,
    logger,
    record_hit,
    root,
    with_timing,
)
from asgi_serial.asgi.refresh import start_refresh
from asgi_serial.asgi.startup import Refusal, is_built_at_startup
from asgi_serial.asgi.timed_call import call_timed
from asgi_serial.asgi.timer import CLIENT_CLOSED
from asgi_serial.asgi.warming import warm
from asgi_serial.asgi.websockets import count_websocket
from asgi_serial.asgi.why import serve_explained
from asgi_serial.cache.purge_log import MAX_RECORD_BYTES
from asgi_serial.caching.serving import PIECE_BYTES, in_pieces, serve
from asgi_serial.engine.app_engines import MARK, engines_of, register, share
from asgi_serial.engine.engine import Engine
from asgi_serial.errors import ConfigurationError
from asgi_serial.reasons import Reason
from asgi_serial.request.plan import plan_request
from asgi_serial.settings.model import SettingOptions, Settings
from asgi_serial.settings.policy import CURRENT, HANDLER_SWITCHES, is_on_somewhere
from asgi_serial.store.aiocache_store import open_store
from asgi_serial.timing.opentelemetry_recorder import OpenTelemetryRecorder
from asgi_serial.timing.routes.resolver import build_resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from asgi_serial.caching.serving import Answer
    from asgi_serial.request.forward import Forward
    from asgi_serial.timing.base import OnResponse, Recorder
    from asgi_serial.timing.report import Report
    from asgi_serial.timing.routes.base import RouteResolver
    from asgi_serial.timing.routes.resolver import LabelResolver
    from asgi_serial.types import ASGIApp, Message, Receive, Scope, Send


HIT = Reason.HIT


class SerialMiddleware:
    """Middleware for negotiation, compression, caching and timing of an app's HTTP responses.

    Every setting (see `Settings`) is a keyword argument and an environment variable
    `ASGI_SERIAL_<NAME>`; the argument takes precedence. `store` replaces `cache_url` as the second
    level of the cache: an aiocache cache, an asynchronous client with redis-py's methods (of a
    server, a cluster, or a sentinel's master), or any object with the methods of `Store`.
    `route_resolver` names the route of a request for the timing, if the framework is not a known
    one. `on_response` is called with a `Sample` of each finished request, also if `timing` is off;
    `recorder` is an object for the same (see `Recorder`). Instances with the same `engine` share
    its caches and counts; it has been built with all the rest.

    Raises: ConfigurationError, naming every fault of the settings. If a framework builds the
    middleware while the server starts, the server is told that the startup has failed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        engine: Engine | None = None,
        store: object = None,
        route_resolver: RouteResolver | None = None,
        recorder: Recorder | None = None,
        on_response: OnResponse | None = None,
        **options: Unpack[SettingOptions],
    ) -> None:
        self.app = app
        self._is_shared = engine is not None
        self._is_settled = False
        self._may_be_ours: Callable[[Scope], bool] | None = None
        try:
            if engine is not None:
                _refuse_further(options, (store, route_resolver, recorder, on_response))
            self.engine = engine or build_engine(
                app,
                store=store,
                route_resolver=route_resolver,
                recorder=recorder,
                on_response=on_response,
                **options,
            )
        except ConfigurationError as error:
            if not is_built_at_startup(sys._getframe(1)):
                raise
            self.app = Refusal(error)
            self.engine = Engine(Settings.load({"enabled": False}, {}))
        register(self.engine, app)

    async def _settle(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Serve a request that is for us; at the first request, find the engine before.

        Returns whether the request is served.
        """
        if not self._is_shared:
            self.engine = share(self.engine, scope)
            self._is_shared = True
        engine = self.engine
        if not self._is_settled:
            self._may_be_ours = build_filter(engine.settings)
            self._is_settled = True
            if not engine.has_sought_shadows:
                engine.has_sought_shadows = True
                warn_of_shadows(engine, scope)
        messages = await own_messages(engine, scope, receive)
        if messages is None:
            if not (may_explain(engine.settings) and is_explained(engine.settings, scope)):
                return False
            withhold_token(engine.settings, scope)
            await serve_explained(engine, self.app, scope, receive, send)
            return True
        log_own(scope, messages)
        for message in messages:
            await send(message)
        return True

    # Scope, Receive and Send, which servers and frameworks have types of their own for.
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection (ASGI 3.0)."""
        engine = self.engine
        if (
            not self._is_settled
            or scope["type"] != "http"
            or MARK in scope
            or (self._may_be_ours is not None and self._may_be_ours(scope))
        ):
            if not engine.active and MARK not in scope:
                await self.app(scope, receive, send)
                return
            if await self._serve_other(scope, receive, send):
                return
            engine = self.engine
        began = perf_counter() if engine.records else 0.0  # a line of the log has no times
        if engine.is_idle and not HANDLER_SWITCHES and CURRENT.get() is None:
            await call_timed(engine, self.app, scope, receive, send, began)
            return
        plan = plan_request(engine, scope)
        served: Answer | Forward | None = None
        if plan.key is not None:
            found = engine.responses.find(plan.key, plan)
            served = serve(engine, plan, found, plan.asked)
            if type(served) is tuple and served[3] is HIT:
                # Sent here: a coroutine of its own would cost a hit 2.5 % more.
                start, last, found_at = served[0], served[1], 0.0
                status, outcome = CLIENT_CLOSED, "completed"
                if engine.records or ((logger.level or root.level) <= DEBUG and is_logged(DEBUG)):
                    found_at = perf_counter()
                    engine.gauges.started += 1
                    if engine.server_timing:
                        start = with_timing(start, began)
                try:
                    await send(start)
                    status = start["status"]
                    if len(last["body"]) <= PIECE_BYTES:
                        await send(last)
                        return
                    for message in in_pieces((last,)):
                        await send(message)
                    return
                except BaseException as error:
                    outcome = "disconnected" if isinstance(error, Exception) else "cancelled"
                    raise
                finally:
                    if found_at:
                        record_hit(engine, plan, served, began, found_at, status, outcome)
        exchange = Exchange(engine, plan, receive, send, began)
        if (
            (served is not None and exchange.may_answer(served)) or plan.may_end_early
        ) and await exchange.answer_without_app(served):
            if exchange.lookup is not None and exchange.lookup.refreshes is not None:
                start_refresh(self.app, exchange, exchange.lookup.refreshes)
            return
        await exchange.run(self.app)

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Serve a connection that is not for this instance; return whether it was one."""
        if scope["type"] == "http" and MARK in scope:
            # An outer instance already handles this request.
            restrict_outer(self.engine, scope)
            write = find_write_within(scope)
            if write is not None:
                await _pass_write(self.app, scope, receive, send, write)
                return True
        elif scope["type"] == "http" and self.engine.active:
            return await self._settle(scope, receive, send)
        elif scope["type"] == "websocket" and self.engine.series is not None:
            if not self._is_shared:
                self.engine = share(self.engine, scope)
            await count_websocket(self.engine.gauges, self.app, scope, receive, send)
            return True
        elif scope["type"] == "lifespan" and self.engine.series is not None:
            self.engine.series.join_workers()
        await self.app(scope, receive, send)
        return True

    async def warm(
        self,
        urls: Iterable[str],
        *,
        headers: Mapping[str, str] | None = None,
        at_once: int = 4,
    ) -> dict[str, int]:
        """Store the responses for these URLs before clients request them: see `warming.warm`."""
        return await warm(self, urls, headers=headers, at_once=at_once)


def _refuse_further(options: SettingOptions, others: tuple[object, ...]) -> None:
    """Refuse arguments that would have no effect, because the engine has been built."""
    named = [
        *options,
        *(name for name, each in zip(_FOR_ENGINES, others, strict=True) if each is not None),
    ]
    if named:
        raise ConfigurationError(
            f"{', '.join(named)} is given beside an engine, which has been built without it; "
            "pass it to build_engine() instead."
        )


_FOR_ENGINES = ("store", "route_resolver", "recorder", "on_response")


async def _pass_write(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, write: WriteWithin
) -> None:
    async def heed(message: Message) -> None:
        write.heed(message)
        await send(message)

    try:
        await app(scope, receive, heed)
    finally:
        write.end()


def build_engine(
    app: ASGIApp | None = None,
    *,
    store: object = None,
    route_resolver: RouteResolver | None = None,
    recorder: Recorder | None = None,
    on_response: OnResponse | None = None,
    **options: Unpack[SettingOptions],
) -> Engine:
    """Build an engine from settings; `app` helps to name its routes. Raises: ConfigurationError."""
    settings = Settings.load(options, os.environ)
    label = build_resolver(route_resolver, app=app)
    return _make_engine(settings, store, label, recorder, on_response)


def _make_engine(
    settings: Settings,
    store: object,
    label: LabelResolver,
    recorder: Recorder | None = None,
    on_response: OnResponse | None = None,
) -> Engine:
    if store is None and settings.cache_url is not None:
        store = settings.cache_url.get_secret_value()
    opened = None
    may_cache = is_on_somewhere("cache", by_default=settings.cache, rules=settings.routes)
    if store is not None and settings.enabled and may_cache:
        opened = open_store(
            store,
            timeout=settings.cache_store_timeout,
            # Twice the size of an object, or of a purge record.
            max_value_bytes=max(2 * settings.cache_max_object, 2 * MAX_RECORD_BYTES),
        )
    engine = Engine(
        settings,
        store=opened,
        store_target=store,
        label=label,
        recorder=recorder,
        on_response=on_response,
    )
    if isinstance(recorder, OpenTelemetryRecorder):
        recorder.watch(engine, engine_state)
    watch_state(engine)
    return engine


def _engines_for_store(source: object) -> list[Engine] | None:
    """Return engines for an app that this process does not serve; None if there is no app.

    `source` is settings, the URL of a store, or a framework's app whose middleware is not built.
    """
    if isinstance(source, str):
        # The paths for which the environment has tokens may be set in the code of the app.
        unread = dict.fromkeys(("report_path", "metrics_path", "purge_path"))
        source = Settings.load({"cache_url": source, **unread}, os.environ)
    if isinstance(source, Settings):
        return [_make_engine(source, None, build_resolver(None))]
    listed = getattr(source, "user_middleware", None) or getattr(source, "middleware", None)
    if not isinstance(listed, list | tuple):
        return None
    # Starlette and Litestar keep a middleware in this form until they build it.
    found = [(getattr(one, "cls", getattr(one, "middleware", one)), one) for one in listed]
    options = [getattr(one, "kwargs", {}) for cls, one in found if cls is SerialMiddleware]
    return [one.get("engine") or build_engine(**one) for one in options] or None


_EXPECTED = (
    "expected an app that has the middleware, one mounted or wrapped in it, a request or a scope "
    "that it serves, an instance of it, or an engine"
)


async def purge(
    source: object,
    *,
    tags: Iterable[str] = (),
    uris: Iterable[str] = (),
    prefixes: Iterable[str] = (),
    users: Iterable[str | Mapping[str, str]] = (),
    everything: bool = False,
) -> bool:
    """Purge the stored responses that match; return whether all other processes were told.

    `source` is the app that users call, an app mounted in it or wrapped by it, a request or its
    scope, an instance of the middleware, or its engine. If no app is served, as in a script, it is
    the app, its `Settings`, or the URL of the second level, whose stored responses are then purged.

    A URI, or a prefix of URIs, is a path or absolute; `tags` are those that responses list in
    Cache-Tag or Surrogate-Key. `users` are those of partitions: the value that the function of
    `cache_partition` returns for a user, or the values of the user's fields and cookies, as
    `{"cookie:sid": "..."}`.

    A purge takes effect at once in this process, and in all others after their next poll of the
    second level (`cache_poll`). False means that the second level could not be told (purge again),
    or that `users` cannot be named to it, since there is no `cache_secret`. Raises: ValueError for
    an invalid argument, LookupError if `source` has no known cache.
    """
    engines: Sequence[Engine] | None = engines_of(source)
    if engines:
        return await _purge_all(engines, tags, uris, prefixes, users, everything=everything)
    engines = _engines_for_store(source)
    if engines is None:
        raise LookupError(
            f"{source!r} has nothing to purge; {_EXPECTED}, or settings or a cache_url."
        )
    try:
        return await _purge_all(engines, tags, uris, prefixes, users, everything=everything)
    finally:
        for engine in engines:
            if engine.responses.store is not None:
                await engine.responses.store.close()


async def _purge_all(
    engines: Sequence[Engine],
    tags: Iterable[str],
    uris: Iterable[str],
    prefixes: Iterable[str],
    users: Iterable[str | Mapping[str, str]],
    *,
    everything: bool,
) -> bool:
    asked = {"tags": list(tags), "uris": list(uris), "prefixes": list(prefixes)}
    known = list(users)
    # Without a shared secret, other processes name their users differently.
    reaches = [
        not known or engine.responses.store is None or engine.settings.cache_secret is not None
        for engine in engines
    ]
    told = [
        await purge_stored(
            engine,
            [
                *build_purges({**asked, "everything": everything}, engine.clock()),
                *[purge_of_user(engine, user) for user in known],
            ],
        )
        for engine in engines
    ]
    return all(told) and all(reaches)


def timing_report(source: object) -> Report:
    """Return the timing report of an app that has answered requests, or of an engine.

    `source` is the app of any framework, an app mounted in it or wrapped by it, a request or its
    scope, an instance of the middleware, or its engine. If an app has several engines, it is the
    report of the first. Raises: LookupError if no request has been served yet, or timing is off.
    """
    for engine in engines_of(source):
        if engine.series is not None:
            return engine_report(engine)
    raise LookupError(
        f"{source!r} has no timing report: no request was served, or timing is off; {_EXPECTED}."
    )
