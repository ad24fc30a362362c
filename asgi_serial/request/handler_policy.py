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
    from asgi_serial.request.app_call import AppCall
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.settings.policy import RoutePolicy


def adopt_policy(engine: Engine, request: RequestPlan, call: AppCall) -> RequestPlan:
    """Return the plan under the policies that handlers have set so far."""
    if not call.has_policy:
        return request
    policy = call.resolve(request.path_policy, engine.settings.cache_ttl)
    return request.with_(policy=policy, own_policies=call.own_policies)


def adopt_partition(engine: Engine, request: RequestPlan, call: AppCall) -> RequestPlan:
    """Return the plan under the response's own policy, with its partition and `skip`.

    The request was looked up by an earlier policy of its route's handler, or by the pattern alone.
    If the key of the returned plan is another one, other requests may be waiting for the result
    under the old key.
    """
    plan = adopt_policy(engine, request, call)
    policy = plan.policy
    if policy is not None and policy is not plan.path_policy and is_early(policy):
        engine.learned.learn(plan.scope, plan.fields, policy)
    if (None if policy is None else policy.cache_partition) is not plan.user.source:
        user = identify_user(engine, plan, policy)
        plan = plan.with_(user=user, bypass=user.bypass or plan.bypass)
    asked = None
    # A POST may still have its body in the key: see `adopt_body`.
    if plan.caching and plan.bypass in (None, METHOD_NOT_CACHED):
        asked = ask_to_skip(engine, plan, policy)
    if asked is not None:
        bypass = asked.bypass or plan.bypass
        plan = plan.with_(skip=asked.skip, bypass=bypass, guard=asked.guard)
    has_changed = (plan.user.partition, plan.guard) != (request.user.partition, request.guard)
    if has_changed and plan.key is not None:  # otherwise it is made later, if at all
        plan = plan.with_(key=request_key(engine, plan, body_of(plan.key)))
    if has_changed or (asked is not None and asked.bypass is not None):
        # The selected entry is not for this request, nor are the conditions made from it.
        plan = plan.with_(forward=plan.forward.without_stored())
    return plan


def find_body_policy(request: RequestPlan) -> RoutePolicy | None:
    """Return the policy that makes the body part of the key, and the request no write; or None."""
    policy = request.policy
    if policy is None or not policy.cache_body or request.method not in BODY_METHODS:
        return None
    return policy


def adopt_body(
    engine: Engine, request: RequestPlan, call: AppCall, policy: RoutePolicy
) -> RequestPlan:
    """Return the plan with the body in its key, if the handler asks for that only now."""
    if not request.may_key_on_body or request.bypass is not METHOD_NOT_CACHED:
        return request
    engine.learned.learn(request.scope, request.fields, policy)
    if request.shown_query is not None:
        return request  # the app has seen parameters that are not in the key
    body = None if call.body_copy is None else call.body_copy.whole()
    if body is not None:
        key = request_key(engine, request, body_part(request, body))
        return request.with_(bypass=None, key=key)
    is_too_large = call.body_copy is not None and call.body_copy.is_too_large
    why = Reason.REQUEST_TOO_LARGE_TO_KEY if is_too_large else Reason.REQUEST_NOT_READ
    return request.with_(bypass=why)
