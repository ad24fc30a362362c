"""Decisions about a request, made once, from values that were read once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.key import make_key
from asgi_serial.engine.heads import content_length, read_fields
from asgi_serial.http.storing import CACHED_METHODS, forces_revalidation, why_not_looked_up
from asgi_serial.policy import merge
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.cachecontrol import CacheControl
    from asgi_serial.policy import RoutePolicy
    from asgi_serial.types import Scope

# A GET without any of these is looked up without a second thought.
SPECIAL_FIELDS = frozenset(
    {
        b"cache-control",
        b"content-length",
        b"pragma",
        b"range",
        b"transfer-encoding",
        b"upgrade",
    }
)


BODY_METHODS = frozenset({"POST", "QUERY"})
"""The methods whose requests may be told apart by their bodies (opted in by route)."""

METHOD_NOT_CACHED = Reason.METHOD_NOT_CACHED


class RequestPlan:
    """What is to be done about one request and, as far as it can tell, about its response."""

    __slots__ = (
        "acceptable",
        "asked",
        "bypass",
        "caching",
        "coding",
        "compression",
        "content_codings",
        "directives",
        "fields",
        "formats",
        "has_credentials",
        "is_head",
        "key",
        "keys_on_body",
        "may_key_on_body",
        "media_type",
        "method",
        "msgpack_body",
        "policy",
        "refresh",
        "scope",
    )

    scope: Scope
    fields: dict[bytes, bytes]
    method: str
    is_head: bool
    asked: float  # when the request came, in epoch seconds
    policy: RoutePolicy | None  # of the path; the handler's own comes with its response
    directives: CacheControl | None  # of the request's Cache-Control
    compression: bool  # whether responses of this route are encoded here at all
    coding: str  # what the client prefers of what is offered; "" for identity
    formats: bool  # whether documents of this route are translated at all
    media_type: str  # what the client prefers to the app's JSON; "" for the app's own
    acceptable: bool  # whether the client accepts one of the formats
    content_codings: tuple[str, ...]  # of the request's body, to be decoded
    msgpack_body: bool  # whether the request's body is to be translated to JSON
    has_credentials: bool
    caching: bool  # whether the cache takes part on this route
    bypass: Reason | None  # why it takes no part in this request
    key: Key | None
    keys_on_body: bool  # whether the key waits for the request's body
    may_key_on_body: bool  # whether it would, should the handler ask for it
    refresh: bool  # whether the client refuses a stored response


def plan_request(engine: Engine, scope: Scope) -> RequestPlan:
    """Read the head once and decide; awaits nothing, and raises nothing whatever the head says."""
    plan = RequestPlan()
    settings = engine.settings
    plan.scope = scope
    plan.fields = fields = read_fields(scope["headers"], engine.request_fields)
    plan.method = method = scope["method"]
    plan.is_head = method == "HEAD"
    plan.policy = policy = engine.policies.find(method, scope["path"]) if engine.policies else None
    plan.directives = (
        engine.cache_controls[fields[b"cache-control"]] if b"cache-control" in fields else None
    )
    plan.compression, plan.formats, plan.caching = (
        settings.compression,
        settings.formats,
        settings.cache,
    )
    if policy is not None:
        plan.compression = choose(policy.compression, settings.compression)
        plan.formats = choose(policy.formats, settings.formats)
        plan.caching = choose(policy.cache, settings.cache)
    _plan_response(engine, plan)
    _plan_request_body(engine, plan)
    plan.key = plan.bypass = None
    plan.keys_on_body = plan.may_key_on_body = plan.refresh = False
    if plan.caching:
        plan.asked = engine.clock()
        plan.has_credentials = b"authorization" in fields or b"cookie" in fields
        _plan_lookup(engine, plan)
    return plan


def choose(*said: bool | None) -> bool:
    """The first word that is said; the last one always is."""
    return next((word for word in said if word is not None), False)


def _plan_response(engine: Engine, plan: RequestPlan) -> None:
    fields = plan.fields
    plan.coding = plan.media_type = ""
    plan.acceptable = True
    # RFC 9111, 5.2.1.6: the client asks intermediaries not to transform the content.
    if plan.directives is not None and plan.directives.no_transform:
        return
    if plan.compression and b"accept-encoding" in fields:
        plan.coding = engine.codings[fields[b"accept-encoding"]]
    if plan.formats and b"accept" in fields:
        plan.media_type, plan.acceptable = engine.choices[fields[b"accept"]]


def _plan_request_body(engine: Engine, plan: RequestPlan) -> None:
    fields, policy = plan.fields, plan.policy
    plan.content_codings = ()
    plan.msgpack_body = False
    encoded = b"content-encoding" in fields
    decoding = engine.settings.decoding
    if policy is not None:
        decoding = choose(policy.decoding, decoding)
    if encoded and decoding:
        plan.content_codings = engine.content_codings[fields[b"content-encoding"]]
    # What stays encoded can not be read as a document.
    if plan.formats and b"content-type" in fields and (decoding or not encoded):
        plan.msgpack_body = engine.types[fields[b"content-type"]].is_msgpack


def _plan_lookup(engine: Engine, plan: RequestPlan) -> None:
    fields, method = plan.fields, plan.method
    if method in CACHED_METHODS:
        if engine.plain_request_fields.issuperset(fields):
            plan.key = request_key(engine, plan, None)
            return
        methods = CACHED_METHODS
    else:
        methods = BODY_METHODS
    plan.bypass = why_not_looked_up(
        method, fields, plan.directives, methods=methods, keyed=engine.keyed_fields
    )
    if plan.bypass is not None:
        return
    plan.refresh = forces_revalidation(fields, plan.directives)
    if methods is CACHED_METHODS:
        plan.key = request_key(engine, plan, None)
    else:
        _plan_body_key(engine, plan)


def _plan_body_key(engine: Engine, plan: RequestPlan) -> None:
    learned = engine.learned_policies.get((plan.method, plan.scope["path"]))
    policy = merge(learned, plan.policy)
    length = content_length(plan.fields)
    if length is not None and length > engine.settings.cache_max_key_body:
        plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    elif policy is not None and policy.cache_body:
        plan.keys_on_body = True
    else:
        # The handler may yet ask for it, when its response starts: its body is kept until then.
        plan.may_key_on_body = policy is None or policy.cache_body is None
        plan.bypass = METHOD_NOT_CACHED


def request_key(
    engine: Engine, plan: RequestPlan, body: tuple[bytes, bytes] | None, method: str = ""
) -> Key:
    """The key of the resource that a request is for; `body`: its Content-Type and digest."""
    settings = engine.settings
    return make_key(
        plan.scope,
        method or plan.method,
        plan.fields,
        namespace=settings.cache_namespace,
        sort_query=settings.cache_sort_query,
        key_fields=engine.key_fields,
        body=body,
    )
