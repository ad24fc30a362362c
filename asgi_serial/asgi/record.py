"""Records a request and writes its line to the log, once its answer is known."""

from __future__ import annotations

import logging
from time import perf_counter_ns
from typing import TYPE_CHECKING

from asgi_serial.caching.cache_status import field_behind

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.reasons import Reason
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.flow import ResponseFlow

logger = logging.getLogger("asgi_serial")


def count_response(
    engine: Engine, plan: RequestPlan, flow: ResponseFlow, began_ns: int, first_byte_ns: int
) -> None:
    """Record a response of the app; `first_byte_ns` is 0 if nothing of it was sent."""
    recorder = engine.recorder
    if logger.isEnabledFor(logging.DEBUG):
        why = ", ".join(_explain(plan, reason) for reason in flow.reasons())
        why = why or "nothing left undone"
        path = plan.scope["path"]
        logger.debug("%s %r: %d, cache %s, %s", plan.method, path, flow.status, plan.outcome, why)
    if recorder is not None:
        kind = recorder.kinds[
            flow.route(),
            plan.method,
            flow.status,
            plan.outcome,
            flow.encoding_outcome,
            flow.reasons(),
        ]
        took = perf_counter_ns() - began_ns
        first_byte = first_byte_ns - began_ns if first_byte_ns else took
        recorder.record(kind, (first_byte, took, *flow.sizes()))


def _explain(plan: RequestPlan, reason: Reason) -> str:
    name = field_behind(plan, reason)
    return reason.name if name is None else f"{reason.name} ({name.decode()})"


def count_answer(
    engine: Engine,
    plan: RequestPlan,
    began_ns: int,
    route: str,
    status: int,
    size: int,
    outcome: str,
    reasons: tuple[Reason, ...] = (),
    app_bytes: int = 0,
) -> None:
    """Record an answer of `size` bytes that the app was not called for.

    `app_bytes` is the size of the body as the app made it earlier, if it did.
    """
    recorder = engine.recorder
    if recorder is not None:
        kind = recorder.kinds[route, plan.method, status, outcome, "", reasons]
        took, made = perf_counter_ns() - began_ns, app_bytes or size
        recorder.record(kind, (took, took, made, made, size))
