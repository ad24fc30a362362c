"""The response to a POST that may be stored for GET (RFC 9110, 9.3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.caching.invalidation import target_uri
from asgi_serial.http.field_names import CONDITIONS
from asgi_serial.http.freshness import freshness_lifetime
from asgi_serial.http.writes import POSTED_STATUSES, names_target
from asgi_serial.reasons import Reason
from asgi_serial.request.plan import METHOD_NOT_CACHED, plan_request
from asgi_serial.settings.policy import HANDLER_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan

# The reasons why a POST is not answered by the cache, which do not keep its response from GET.
_ABOUT_THE_POST = (
    METHOD_NOT_CACHED,
    Reason.REQUEST_NOT_READ,
    Reason.REQUEST_TOO_LARGE_TO_KEY,
)

# These fields describe the content of the POST, or are its conditions: a GET comes without them.
_OF_THE_POST = CONDITIONS | {
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"transfer-encoding",
}


def plan_get_after_post(
    engine: Engine, request: RequestPlan, status: int, fields: Mapping[bytes, bytes]
) -> RequestPlan | Reason:
    """Return the GET that the answer to a POST may be stored for, or the reason why there is none.

    Source: RFC 9110, 9.3.3: a response to POST may be stored for GET where it states its freshness,
    and its Content-Location is the URI that was posted to.
    """
    bypass = request.bypass
    if request.method != "POST" or bypass is None or bypass not in _ABOUT_THE_POST:
        return bypass or METHOD_NOT_CACHED
    is_alike = names_target(fields.get(b"content-location"), target_uri(request))
    if status not in POSTED_STATUSES or not is_alike:
        return METHOD_NOT_CACHED
    get = _plan_get(engine, request)
    if get is None or get.key is None:
        return METHOD_NOT_CACHED
    directives, is_shared = engine.fields.read_directives(fields), not get.user.partition
    # RFC 9110, 9.3.3: "explicit freshness information": no setting and no guess stands for it.
    if freshness_lifetime(directives, fields, now=engine.clock(), shared=is_shared) is None:
        return Reason.NO_FRESHNESS
    if engine.responses.is_outdated(get.key, request.asked):
        return Reason.ALREADY_STALE  # another write has come between
    return get


def _plan_get(engine: Engine, request: RequestPlan) -> RequestPlan | None:
    """Return the plan of a GET by the same client; None if it might get another response.

    The policy is the one of the POST's handler, and the fields in Vary are compared with those of
    the POST.
    """
    fields = {name: value for name, value in request.fields.items() if name not in _OF_THE_POST}
    again = plan_request(engine, {**request.scope, "method": "GET"}, fields)
    policy = request.policy
    is_one_user = again.user.partition == request.user.partition
    if not request.user.partition and policy is not None and policy.cache_partition is not None:
        is_one_user = False  # nobody knows whose it is
    if not again.caching or again.bypass is not None:
        return None
    if "skip" in HANDLER_OPTIONS and not again.guard:
        return None  # the handler of GET may have a function that nobody knows yet
    if again.has_ignored_cookies or again.shown_query is not None:
        return None  # the app has seen what is hidden from it in a GET
    if again.user.credentials != request.user.credentials:
        return None
    if not is_one_user or again.wants is not request.wants:
        return None
    return again.with_(policy=policy, asked=request.asked)
