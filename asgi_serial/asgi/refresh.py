"""Background calls of the app that refresh a stale response after it was served."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter
from typing import TYPE_CHECKING

from asgi_serial.asgi.exchange import Exchange
from asgi_serial.asgi.lookup import Lookup
from asgi_serial.asgi.single_flight import NullClient, cancel_after
from asgi_serial.cache.in_flight import CallResult
from asgi_serial.caching.serving import find_representation
from asgi_serial.concurrency.loops import running_loop
from asgi_serial.http.field_names import CONDITIONS
from asgi_serial.http.headers import without
from asgi_serial.reasons import Reason
from asgi_serial.request.forward import Forward
from asgi_serial.request.plan import plan_request, target_with

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import ASGIApp

logger = logging.getLogger("asgi_serial")

# The client's statements about its own copy, and about what it accepts from a cache.
_OF_THE_CLIENT = CONDITIONS | {b"cache-control", b"pragma", b"range"}


def start_refresh(app: ASGIApp, answered: Exchange, entry: Entry) -> None:
    """Call the app for a served entry, unless that is in progress or too many calls are.

    The task belongs to the event loop: it outlives its client, and ends with the loop.

    Source: RFC 5861, 3.
    """
    engine, plan = answered.engine, answered.plan
    if running_loop() is None or len(engine.workers.tasks) >= engine.settings.cache_max_refreshes:
        return
    assert plan.key is not None
    again = _plan_again(engine, plan, entry)
    if again.key != plan.key:
        return  # a policy was learned or forgotten meanwhile, so the key differs
    call_key = engine.responses.call_key(plan.key, plan)
    call = engine.calls.start(call_key)
    if call is None:
        return
    released = asyncio.Event()
    null_client = NullClient(released)
    exchange = Exchange(engine, again, null_client.receive, null_client.send, perf_counter())
    exchange.served = "refresh"
    lookup = exchange.lookup = Lookup(engine, again)
    lookup.own_call(call_key, call)
    lookup.released = released
    task = asyncio.get_running_loop().create_task(_run(exchange, app))
    engine.workers.tasks.add(task)
    task.add_done_callback(engine.workers.tasks.discard)
    # It may be cancelled before its first step.
    task.add_done_callback(lambda _: lookup.finish_call(CallResult.FAILED))
    # An app that hangs, or that now streams without an end, would block other refreshes.
    cancel_after(engine.settings.cache_lead, task)


async def _run(exchange: Exchange, app: ASGIApp) -> None:
    try:
        await exchange.run(app)
    except Exception:
        logger.exception("The app failed while a stale response was refreshed.")


def _plan_again(engine: Engine, plan: RequestPlan, entry: Entry) -> RequestPlan:
    """Return a plan of the same request without conditions, as if its client had no copy."""
    scope = {
        **plan.scope,
        "method": "GET",
        "headers": without(plan.scope["headers"], _OF_THE_CLIENT),
    }
    if plan.shown_query is not None:
        scope.update(target_with(scope, plan.shown_query))
    again = plan_request(engine, scope, wants=plan.wants)
    form = find_representation(again.wants, entry)
    if form is None:
        return again.with_(forward=Forward(Reason.STALE))
    validates = entry.has_validator
    return again.with_(forward=Forward(Reason.STALE, entry, validates, form=form))
