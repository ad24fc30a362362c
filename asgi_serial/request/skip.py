"""Send requests past the cache for which the function in a policy says so."""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, NamedTuple, Protocol

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

    @property
    def scope(self) -> Scope:
        """The scope of the request."""

    @property
    def path_policy(self) -> RoutePolicy | None:
        """The policy of its path."""

    @property
    def skip(self) -> Callable[[Scope], bool] | None:
        """The function that has been asked already."""

    @property
    def guard(self) -> Extra:
        """The mark in its key so far."""


class SkipAnswer(NamedTuple):
    """The answer of a policy's function: why the request bypasses the cache, if it does."""

    skip: Callable[[Scope], bool]
    bypass: Reason | None
    guard: Extra  # the mark of its key


def ask_to_skip(
    engine: Engine, plan: MayBeSkipped, policy: RoutePolicy | None
) -> SkipAnswer | None:
    """Ask the policy's function whether the request bypasses the cache; None if there is none.

    It is asked once. If it fails, the cache is bypassed. A process learns the function of a handler
    from the first response of its route. Until then nothing that the function guards may be found:
    the keys of these responses have a mark, and so have those of requests that were asked about.
    """
    skip = None if policy is None else policy.skip
    if skip is None or skip is plan.skip:
        return None
    why = _why_skipped(engine, skip, plan.scope)
    if why is not None:
        return SkipAnswer(skip, why, plan.guard)
    is_of_path = plan.path_policy is not None and plan.path_policy.skip is skip
    return SkipAnswer(skip, None, plan.guard if is_of_path else ((GUARDED, None),))


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
