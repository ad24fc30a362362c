"""What a handler has said of the cache by the time its response starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.key import body_of
from asgi_serial.engine.partitions import enter_partition
from asgi_serial.engine.plan import BODY_METHODS, METHOD_NOT_CACHED, body_part, request_key
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.policy import RoutePolicy


def adopt_partition(engine: Engine, request: RequestPlan) -> bool:
    """Keep a response for its user, if the handler has just said what tells users apart.

    True where it was not known before: then the request's key is another's than those may think
    who wait for it.
    """
    policy = request.policy
    if policy is None or policy.cache_partition is None or policy is request.path_policy:
        return False
    method = "GET" if request.method == "HEAD" else request.method
    engine.learn(method, request.scope["path"], policy)
    if request.partition is not None:
        return False
    enter_partition(engine, request, policy)
    return request.partition is not None


def take_partition(engine: Engine, request: RequestPlan, key: Key) -> None:
    """Have a response go to the user of whom the handler has just told, in place of `key`."""
    request.key = request_key(engine, request, body_of(key))
    # What was selected is everybody's, and so are conditions that were made of it.
    request.selected, request.validates = None, False


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
    engine.learn(request.method, request.scope["path"], policy)
    copy = request.copy
    body = None if copy is None else copy.whole()
    if body is not None:
        request.bypass = None
        request.key = request_key(engine, request, body_part(request, body))
    elif copy is not None and copy.is_too_large:
        request.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    else:
        request.bypass = Reason.REQUEST_NOT_READ
