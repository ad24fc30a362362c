"""Recording of finished requests, and their lines in the log."""

from __future__ import annotations

import logging
from time import perf_counter_ns
from typing import TYPE_CHECKING

from asgi_serial.engine.cache_status import field_behind
from asgi_serial.reasons import Reason
from asgi_serial.timing.server_timing import add_server_timing
from asgi_serial.timing.slowest import SlowRequest

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Representation
    from asgi_serial.caching.serving import Answer
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.timing.recorder import Figures, Kind
    from asgi_serial.types import Message

HIT = Reason.HIT

logger = logging.getLogger("asgi_serial")

is_logged = logger.isEnabledFor

DEBUG = logging.DEBUG


def record_response(
    engine: Engine,
    plan: RequestPlan,
    route: str,
    status: int,
    outcome: str,
    encodings: str,
    coding: str,
    format: str,
    reasons: tuple[Reason, ...],
    began_ns: int,
    first_byte_ns: int,
    made: int,
    formatted: int,
    sent: int,
) -> None:
    """Record a response of the app, and write its line to the log.

    The request arrived at `began_ns`, and the first byte of its response was sent at
    `first_byte_ns`, or 0. `made`, `formatted` and `sent` are the sizes of the body: as the app made
    it, in its format, and as it was sent.
    """
    recorder = engine.recorder
    cache = plan.outcome if plan.caching else ""
    if is_logged(DEBUG):
        _log(plan, status, cache, reasons)
    if recorder is None:
        return
    method = plan.profile.method
    kind = recorder.kinds[route, method, status, outcome, cache, encodings, coding, format, reasons]
    now_ns = perf_counter_ns()
    took_ns = now_ns - began_ns
    first_ns = first_byte_ns - began_ns if first_byte_ns else took_ns
    if method == "HEAD":
        sent = 0
    rest_ns = took_ns - first_ns
    # Written out, since a tuple that is put together by stars costs three times as much.
    # fmt: off
    figures = (
        first_ns, took_ns, made, formatted, sent, 0, 0, 0, first_ns, rest_ns, 0, 0, 0, now_ns
    )
    # fmt: on
    recorder.record(kind, figures)
    slowest = engine.slowest
    if took_ns > slowest.floor_ns or now_ns >= slowest.ends_ns:
        _note_slow(engine, plan, kind, figures)


def record_hit(engine: Engine, plan: RequestPlan, answered: Answer, began_ns: int) -> Message:
    """Record an answer from the cache; return its start, with Server-Timing if that is on."""
    start, last, entry, why, kept = answered
    recorder = engine.recorder
    if engine.server_timing:
        took = {"cache": perf_counter_ns() - began_ns}
        start = add_server_timing(start, took, {"cache": "hit"})
    logs = is_logged(DEBUG)
    if recorder is None and not logs:
        return start
    status: int = start["status"]
    cache = "stale" if why is not HIT else "collapsed" if plan.collapsed else "hit"
    if logs:
        _log(plan, status, cache, _reasons_of_hit(kept, why))
    if recorder is not None:
        now_ns = perf_counter_ns()
        took_ns = now_ns - began_ns
        sent = len(last["body"])
        made = entry.app_bytes or sent if sent else 0
        state = kept.hit_state
        is_usual = cache == "hit" and status == 200 and plan.method == "GET"
        kind = state.kind if is_usual and state is not None else None
        if kind is None:
            kind = recorder.kinds[
                entry.route,
                plan.profile.method,
                status,
                "completed",
                cache,
                "",
                kept.coding or "identity",
                "",
                _reasons_of_hit(kept, why),
            ]
            if is_usual and state is not None:
                state.kind = kind
        recorder.record(
            kind, (took_ns, took_ns, made, made, sent, 0, 0, took_ns, 0, 0, 0, 0, 0, now_ns)
        )
    return start


def _reasons_of_hit(kept: Representation, why: Reason) -> tuple[Reason, ...]:
    """Return the reasons of the stored form, and that for which a stale response was used."""
    return kept.reasons if why is HIT else (*kept.reasons, why)


def record_answer(
    engine: Engine,
    plan: RequestPlan,
    began_ns: int,
    route: str,
    status: int,
    size: int,
    outcome: str,
    cache: str,
    reasons: tuple[Reason, ...] = (),
    app_bytes: int = 0,
) -> None:
    """Record an answer of `size` bytes for which the app was not called, or did not finish."""
    recorder = engine.recorder
    if is_logged(DEBUG):
        _log(plan, status, cache, reasons)
    if recorder is not None:
        kind = recorder.kinds[
            route, plan.profile.method, status, outcome, cache, "", "identity", "", reasons
        ]
        now_ns = perf_counter_ns()
        took, made = now_ns - began_ns, app_bytes or size
        figures = (took, took, made, made, size, 0, 0, took, 0, 0, 0, 0, 0, now_ns)
        recorder.record(kind, figures)
        slowest = engine.slowest
        if took > slowest.floor_ns or now_ns >= slowest.ends_ns:
            _note_slow(engine, plan, kind, figures)


def _note_slow(engine: Engine, plan: RequestPlan, kind: Kind, figures: Figures) -> None:
    """Note one of the slowest requests: its path is that which the client has sent."""
    first_byte_ns, total_ns, _, _, _, *phases, ended_ns = figures
    if kind.key is not None:
        route, method, status, outcome = kind.key
        path = str(plan.scope["path"])
        one = (total_ns, ended_ns, method, path, route, status, outcome, first_byte_ns, phases)
        engine.slowest.add(SlowRequest(*one))


def _log(plan: RequestPlan, status: int, part: str, reasons: tuple[Reason, ...]) -> None:
    """Write the line of a request: the part of the cache, and why something was not done."""
    why = ", ".join(_explain(plan, reason) for reason in reasons) or "nothing left undone"
    cache = f", cache {part}" if part else ""
    logger.debug("%s %r: %d%s, %s", plan.method, plan.scope["path"], status, cache, why)


def _explain(plan: RequestPlan, reason: Reason) -> str:
    name = field_behind(plan, reason)
    return reason.token if name is None else f"{reason.token} ({name.decode()})"
