"""Recording of finished requests, and their lines in the log."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from asgi_serial.engine.cache_status import field_behind
from asgi_serial.reasons import Reason
from asgi_serial.request.plan import find_policy, plan_request
from asgi_serial.settings.policy import HANDLER_SWITCHES
from asgi_serial.timing.figures import AT, TOTAL
from asgi_serial.timing.recorder import LEFT_OUT
from asgi_serial.timing.server_timing import add_server_timing
from asgi_serial.timing.table import printable

if TYPE_CHECKING:
    from asgi_serial.asgi.delivery import Delivery
    from asgi_serial.asgi.lookup import Lookup
    from asgi_serial.asgi.timer import Timer
    from asgi_serial.caching.serving import Answer
    from asgi_serial.engine.engine import Engine
    from asgi_serial.representation.problem import Problem
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Message, Scope

HIT = Reason.HIT

logger = logging.getLogger("asgi_serial")

is_logged = logger.isEnabledFor

DEBUG = logging.DEBUG

# To compare levels takes a third of the time of asking whether a line is written.
root = logging.getLogger()

_NOT_FOR_CLIENT = (
    Reason.REQUEST_HAS_CREDENTIALS,
    Reason.REQUEST_HAS_UNKEYED_FIELD,
    Reason.REQUEST_HAS_UNKNOWN_FIELD,
)

REFUSED_ROUTE = "(refused)"

_NO_REASONS: tuple[Reason, ...] = ()

# The status of an exchange that ended before anything was sent.
STATUS_OF = {"disconnected": 499, "cancelled": 499, "failed": 500, "completed": 500}


def is_left_out(engine: Engine, plan: RequestPlan) -> bool:
    """Whether a request is not measured, as far as the policies say so that are known by now."""
    policy = plan.policy
    if policy is not None and policy.timing is False:
        return True
    return engine.untimed is not None and find_policy(engine.untimed, plan.scope) is not None


def outcome_of(timer: Timer, ending: str) -> str:
    """Return how an exchange has ended; `ending` says how the app's call ended, unless as usual."""
    if timer.client_left:
        return "disconnected"
    return ending or ("completed" if timer.ended else "failed")


class Recorded(Protocol):
    """The exchange that has ended, as far as it is recorded."""

    engine: Engine
    plan: RequestPlan
    lookup: Lookup | None
    delivery: Delivery | None
    app_scope: Scope
    served: str | None
    refusal: Problem | None
    ending: str
    pass_reasons: tuple[Reason, ...]


def record_exchange(exchange: Recorded, timer: Timer) -> None:
    """Record an exchange in which the app was called."""
    engine, plan, delivery = exchange.engine, exchange.plan, exchange.delivery
    if delivery is not None:
        flow = delivery.flow
        record_response(
            engine,
            plan,
            timer,
            flow.route(),
            outcome_of(timer, exchange.ending),
            exchange.served or cache_part_in_call(plan),
            flow.encoding_outcome,
            flow.coding or "identity",
            flow.media_type,
            flow.reasons(),
            flow.app_bytes,
            flow.encoded_bytes,
        )
        return
    reasons = exchange.pass_reasons
    if plan.profile.describes_body:
        reasons = plan.undecoded + reasons
    if exchange.served == "stale" and not exchange.ending and timer.ended:
        reasons = (Reason.STALE_IF_ERROR,)
    cache = exchange.served or cache_part_in_call(plan) if plan.caching else ""
    record_call(engine, exchange.app_scope, timer, exchange.ending, cache, reasons, plan)


def record_answer(exchange: Recorded, timer: Timer) -> None:
    """Record an exchange in which the app was not called."""
    plan, size, lookup = exchange.plan, timer.sent_bytes, exchange.lookup
    route, cache, coding = REFUSED_ROUTE, "", "identity"
    app_bytes, reasons = size, (*plan.undecoded, Reason.INCOMPLETE)
    answered = None if lookup is None else lookup.answered
    if exchange.refusal is not None:
        reasons = (exchange.refusal.reason,)
    elif answered is not None:
        cache, reasons = cache_part(plan, answered), reasons_of_hit(answered)
        _, _, entry, _, form = answered
        route, coding = entry.route, form.coding or coding
        app_bytes = entry.app_bytes or size if size else 0
    elif exchange.served == "stale" and plan.forward.stored is not None:
        # A stale response, since another request's call of the app has failed.
        cache, reasons = exchange.served, (Reason.STALE_IF_ERROR,)
        entry = plan.forward.stored
        route, app_bytes = entry.route, entry.app_bytes or size
    else:
        route = exchange.engine.label(exchange.app_scope)
    record_response(
        exchange.engine,
        plan,
        timer,
        route,
        outcome_of(timer, exchange.ending),
        cache,
        "",
        coding,
        "",
        reasons,
        app_bytes,
        app_bytes,
        called=False,
    )


def record_call(
    engine: Engine,
    scope: Scope,
    timer: Timer,
    ending: str,
    cache: str = "",
    reasons: tuple[Reason, ...] = _NO_REASONS,
    plan: RequestPlan | None = None,
) -> None:
    """Record an exchange whose response was sent as the app made it, and write its line to the log.

    Without a `plan`, nothing but timing is turned on.
    """
    outcome, size = "completed", timer.sent_bytes
    if ending or timer.client_left or not timer.ended:
        outcome = outcome_of(timer, ending)
        if not timer.ended:
            reasons = (*reasons, Reason.INCOMPLETE)
    status = timer.status or STATUS_OF[outcome]
    method = scope["method"] if plan is None else plan.profile.method
    if (logger.level or root.level) <= DEBUG and is_logged(DEBUG):
        _log(plan or plan_request(engine, scope), status, outcome, cache, reasons)
    recorder = engine.recorder
    if recorder is None:
        return
    route = engine.label(scope)
    if (
        plan is not None
        and (HANDLER_SWITCHES or engine.may_leave_out)
        and is_left_out(engine, plan)
    ):
        route = LEFT_OUT
    if outcome == "completed":
        kind = recorder.usual_kinds[route, method, status, cache, reasons]
    else:
        kind = recorder.kinds[route, method, status, outcome, cache, "", "identity", "", reasons]
    figures = timer.measure(size, size, 0 if method == "HEAD" else size)
    recorder.record(kind, figures)
    slowest = engine.slowest
    if figures[TOTAL] > slowest.floor_ns or figures[AT] >= slowest.ends_ns:
        slowest.note(kind.key, scope["path"], figures)


def record_response(
    engine: Engine,
    plan: RequestPlan,
    timer: Timer,
    route: str,
    outcome: str,
    cache: str,
    encodings: str,
    coding: str,
    format: str,
    reasons: tuple[Reason, ...],
    app_bytes: int,
    encoded_bytes: int,
    called: bool = True,  # noqa: FBT001, FBT002 - on the way of every request
) -> None:
    """Record an exchange that has ended, and write its line to the log.

    `app_bytes` and `encoded_bytes` are the sizes of the body: as the app made it, and in its
    format. `called` says whether the app was called.
    """
    recorder = engine.recorder
    status, method = timer.status or STATUS_OF[outcome], plan.profile.method
    if (logger.level or root.level) <= DEBUG and is_logged(DEBUG):
        _log(plan, status, outcome, cache, reasons)
    if recorder is None:
        return
    if (HANDLER_SWITCHES or engine.may_leave_out) and is_left_out(engine, plan):
        route = LEFT_OUT
    kind = recorder.kinds[route, method, status, outcome, cache, encodings, coding, format, reasons]
    sent_bytes = 0 if method == "HEAD" else timer.sent_bytes
    figures = timer.measure(app_bytes, encoded_bytes, sent_bytes, called)
    recorder.record(kind, figures)
    slowest = engine.slowest
    if figures[TOTAL] > slowest.floor_ns or figures[AT] >= slowest.ends_ns:
        slowest.note(kind.key, plan.scope["path"], figures)


def with_timing(start: Message, began: float) -> Message:
    """Return the start of an answer from the cache with the Server-Timing field."""
    took = {"look-up": round((perf_counter() - began) * 1e9)}
    return add_server_timing(start, took, {"cache": "hit"})


def record_hit(
    engine: Engine,
    plan: RequestPlan,
    answered: Answer,
    began: float,
    found: float,
    status: int,
    outcome: str,
) -> None:
    """Record a hit, which was found at that moment without waiting and has been sent since."""
    _, last, entry, _, form = answered
    ended = perf_counter()
    recorder = engine.recorder
    if (logger.level or root.level) <= DEBUG and is_logged(DEBUG):
        _log(plan, status, outcome, "hit", form.reasons)
    if recorder is not None:
        sent_bytes = len(last["body"])
        app_bytes = entry.app_bytes or sent_bytes if sent_bytes else 0
        state, kind = form.hit_state, None
        if status != 200 or outcome != "completed" or plan.method != "GET":
            state = None
        if state is not None:
            kind = state.kind
        if kind is None:
            route = LEFT_OUT if is_left_out(engine, plan) else entry.route
            kind = recorder.kinds[
                route,
                plan.profile.method,
                status,
                outcome,
                "hit",
                "",
                form.coding or "identity",
                "",
                form.reasons,
            ]
            if state is not None and not engine.may_leave_out:
                state.kind = kind
        found_ns, total_ns = (found - began) * 1e9, (ended - began) * 1e9
        recorder.record(
            kind,
            (
                found_ns,
                total_ns,
                app_bytes,
                app_bytes,
                sent_bytes,
                found_ns,
                total_ns - found_ns,
                0.0,
                ended * 1e9,
            ),
        )


def cache_part_in_call(plan: RequestPlan) -> str:
    """Return how the cache took part when the app was called and has answered itself.

    Recorders and Server-Timing name it so.
    """
    if not plan.caching:
        return ""
    missed = plan.bypass is None and plan.forward.reason not in _NOT_FOR_CLIENT
    return "miss" if missed else "bypass"


def cache_part(plan: RequestPlan, answered: Answer) -> str:
    """Return how the cache took part in an answer."""
    return "stale" if answered[3] is not HIT else "collapsed" if plan.forward.waited else "hit"


def reasons_of_hit(answered: Answer) -> tuple[Reason, ...]:
    """Return the reasons of the stored form, and that for which a stale response was used."""
    _, _, _, why, form = answered
    return form.reasons if why is HIT else (*form.reasons, why)


def _log(
    plan: RequestPlan, status: int, outcome: str, part: str, reasons: tuple[Reason, ...]
) -> None:
    """Write the line of a request: how it ended, the part of the cache, and the reasons."""
    how = "" if outcome == "completed" else f" {outcome}"
    why = ", ".join(_explain(plan, reason) for reason in reasons) or "nothing left undone"
    cache = f", cache {part}" if part else ""
    method, path = printable(plan.method), plan.scope["path"]
    logger.debug("%s %r: %d%s%s, %s", method, path, status, how, cache, why)


def _explain(plan: RequestPlan, reason: Reason) -> str:
    name = field_behind(plan, reason)
    return reason.token if name is None else f"{reason.token} ({name.decode()})"
