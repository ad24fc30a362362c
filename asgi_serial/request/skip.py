"""Send requests past the cache for which the function in a policy says so."""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Protocol

from asgi_serial.cache.key import GUARDED
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.key import Extra
    from asgi_serial.engine.engine import Engine
    from asgi_serial.settings.policy import RoutePolicy
    from asgi_serial.types import Scope


class MayBeSkipped(Protocol):
    """The part of a request's plan that says whether it goes past the cache."""

    scope: Scope
    bypass: Reason | None
    path_policy: RoutePolicy | None
    skip: Callable[[Scope], bool] | None
    guard: Extra


def ask_to_skip(engine: Engine, plan: MayBeSkipped, policy: RoutePolicy | None) -> bool:
    """Ask the policy's function whether the request bypasses the cache; return its answer.

    It is asked once. If it fails, the cache is bypassed. A process learns the function of a handler
    from the first response of its route. Until then nothing that the function guards may be found:
    the keys of these responses have a mark, and so have those of requests that were asked about.
    """
    skip = None if policy is None else policy.skip
    if skip is None or skip is plan.skip:
        return False
    plan.skip = skip
    why = _why_skipped(engine, skip, plan.scope)
    if why is not None:
        plan.bypass = why
        return True
    if plan.path_policy is None or plan.path_policy.skip is not skip:
        plan.guard = ((GUARDED, None),)
    return False


def _why_skipped(engine: Engine, skip: Callable[[Scope], bool], scope: Scope) -> Reason | None:
    try:
        answer: object = skip(scope)
        if answer is not True and answer is not False:
            if iscoroutine(answer):
                answer.close()  # otherwise Python warns about a coroutine that was never awaited
            raise TypeError(f"{skip!r} has returned {answer!r}; expected True or False")
    except Exception as error:
        engine.skip_failures.note(error)
        return Reason.SKIP_FAILED
    return Reason.SKIPPED if answer else None
