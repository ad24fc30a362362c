"""What a handler has said of the cache by the time its response starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.key import body_of
from asgi_serial.engine.profiles import BODY_METHODS
from asgi_serial.reasons import Reason
from asgi_serial.request.body import body_part
from asgi_serial.request.partition import enter_partition
from asgi_serial.request.plan import METHOD_NOT_CACHED, request_key

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.settings.policy import RoutePolicy


def adopt_policy(engine: Engine, request: RequestPlan) -> None:
    """Heed what has been said of the response up to now."""
    if request.has_policy:
        request.policy = request.resolve(request.path_policy, engine.settings.cache_ttl)


def adopt_partition(engine: Engine, request: RequestPlan) -> bool:
    """Keep a response for the user of whom its handler or pattern speaks now.

    The request was looked up by what a handler of its route had said before, or by the pattern
    alone. Return whether its key is another's than those may think who wait for it.
    """
    adopt_policy(engine, request)
    policy = request.policy
    if policy is not None and policy is not request.path_policy and policy.cache_partition:
        engine.learned.learn(request.scope, request.fields, policy)
    assumed = request.partition
    if (None if policy is None else policy.cache_partition) is not request.source:
        enter_partition(engine, request, policy)
    if request.partition == assumed:
        return False
    if request.key is not None:  # else it is made with the body, if at all
        request.key = request_key(engine, request, body_of(request.key))
    # What was selected is another's, and so are conditions that were made of it.
    request.selected, request.validates, request.completes = None, False, None
    return request.key is not None


def find_body_policy(request: RequestPlan) -> RoutePolicy | None:
    """The policy by which a request is told from others by its body, and is no write."""
    policy = request.policy
    if policy is None or not policy.cache_body or request.method not in BODY_METHODS:
        return None
    return policy


def adopt_body(engine: Engine, request: RequestPlan, policy: RoutePolicy) -> None:
    """Key on the request's body after all, if only now the handler has asked for it."""
    if not request.may_key_on_body or request.bypass is not METHOD_NOT_CACHED:
        return
    engine.learned.learn(request.scope, request.fields, policy)
    copy = request.copy
    body = None if copy is None else copy.whole()
    if body is not None:
        request.bypass = None
        request.key = request_key(engine, request, body_part(request, body))
    elif copy is not None and copy.is_too_large:
        request.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    else:
        request.bypass = Reason.REQUEST_NOT_READ
