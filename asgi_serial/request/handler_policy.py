"""Apply the policy of the handler when its response starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.key import body_of
from asgi_serial.engine.profiles import BODY_METHODS
from asgi_serial.reasons import Reason
from asgi_serial.request.body import body_part
from asgi_serial.request.partition import identify_user
from asgi_serial.request.plan import METHOD_NOT_CACHED, request_key
from asgi_serial.request.skip import ask_to_skip
from asgi_serial.settings.policy import is_early

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.settings.policy import RoutePolicy


def adopt_policy(engine: Engine, request: RequestPlan) -> None:
    """Apply the policies that handlers have set so far."""
    if request.has_policy:
        request.policy = request.resolve(request.path_policy, engine.settings.cache_ttl)


def adopt_partition(engine: Engine, request: RequestPlan) -> bool:
    """Apply the partition and `skip` of the response's own policy; return whether the key changed.

    The request was looked up by an earlier policy of its route's handler, or by the pattern alone.
    Other requests may be waiting for the result under the old key.
    """
    adopt_policy(engine, request)
    policy = request.policy
    if policy is not None and policy is not request.path_policy and is_early(policy):
        engine.learned.learn(request.scope, request.fields, policy)
    assumed = request.user.partition, request.guard
    if (None if policy is None else policy.cache_partition) is not request.user.source:
        request.user = identify_user(engine, request, policy)
        request.bypass = request.user.bypass or request.bypass
    # A POST may still have its body in the key: see `adopt_body`.
    may_be_stored = request.caching and request.bypass in (None, METHOD_NOT_CACHED)
    is_skipped = may_be_stored and ask_to_skip(engine, request, policy)
    has_changed = (request.user.partition, request.guard) != assumed
    if has_changed and request.key is not None:  # otherwise it is made later, if at all
        request.key = request_key(engine, request, body_of(request.key))
    if has_changed or is_skipped:
        # The selected entry is not for this request, nor are the conditions made from it.
        request.forward = request.forward.without_stored()
    return has_changed and request.key is not None


def find_body_policy(request: RequestPlan) -> RoutePolicy | None:
    """Return the policy that makes the body part of the key, and the request no write; or None."""
    policy = request.policy
    if policy is None or not policy.cache_body or request.method not in BODY_METHODS:
        return None
    return policy


def adopt_body(engine: Engine, request: RequestPlan, policy: RoutePolicy) -> None:
    """Make the body part of the key after all, if the handler asks for it only now."""
    if not request.may_key_on_body or request.bypass is not METHOD_NOT_CACHED:
        return
    engine.learned.learn(request.scope, request.fields, policy)
    if request.shown_query is not None:
        return  # the app has seen parameters that are not in the key
    copy = request.copy
    body = None if copy is None else copy.whole()
    if body is not None:
        request.bypass = None
        request.key = request_key(engine, request, body_part(request, body))
    elif copy is not None and copy.is_too_large:
        request.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    else:
        request.bypass = Reason.REQUEST_NOT_READ
