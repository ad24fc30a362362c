"""Decisions about a request, made once, from values that were read once."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from asgi_serial.cache.key import CODED_ONLY, BodyPart, make_key, sorted_query
from asgi_serial.engine.heads import content_length
from asgi_serial.engine.partitions import enter_partition, find_credentials
from asgi_serial.http.request_fields import NOT_STRANGE, sort_strange
from asgi_serial.http.reuse import ASKS_NOTHING, Asked
from asgi_serial.http.storing import (
    CACHED_METHODS,
    forces_revalidation,
    why_not_looked_up,
)
from asgi_serial.memo import BoundedDict
from asgi_serial.policy import RequestPolicy, merge
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key, Representation
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.handed import Handed
    from asgi_serial.engine.response_plan import ResponsePlan
    from asgi_serial.http.cachecontrol import CacheControl
    from asgi_serial.policy import Partition, PolicyTable, RoutePolicy
    from asgi_serial.types import Message, Scope

# A GET without any of these is looked up without a second thought.
SPECIAL_FIELDS = frozenset(
    {
        b"cache-control",
        b"content-length",
        b"pragma",
        b"range",
        b"transfer-encoding",
    }
)

_CONDITIONS = frozenset({b"if-match", b"if-none-match"})

BODY_METHODS = frozenset({"POST", "QUERY"})
"""The methods whose requests may be told apart by their bodies (opted in by route)."""

MAX_PLANS_BYTES = 128 << 10
"""What plans take for each way of wanting, of which there are some dozens: an app has few kinds of
responses."""

METHOD_NOT_CACHED = Reason.METHOD_NOT_CACHED
_NOT_FOR_CLIENT = (
    Reason.REQUEST_HAS_CREDENTIALS,
    Reason.REQUEST_HAS_UNKEYED_FIELD,
    Reason.REQUEST_HAS_UNKNOWN_FIELD,
)


class Wants:
    """What a client wants of a response, and what is offered to it; shared by its equals.

    `plans` holds what was decided for the kinds of responses that have come, so that a route
    that answers alike is planned once.
    """

    __slots__ = (
        "acceptable",
        "accepts",
        "coded_only",
        "coding",
        "compression",
        "formats",
        "hides_codings",
        "is_plain",
        "json_type",
        "may_pass",
        "media_type",
        "media_types",
        "must_encode",
        "offers",
        "plans",
        "refused",
    )

    def __init__(
        self,
        *,
        compression: bool,
        formats: bool,
        coding: str,
        coded_only: bool,
        media_type: str,
        json_type: str,
        acceptable: bool,
        strict: bool,
    ) -> None:
        self.compression = compression  # whether responses are encoded here at all
        self.formats = formats  # whether documents are translated here at all
        # What it would get of what could be offered, whether or not it is: the handler may differ.
        self.accepts = (media_type, json_type, coding)
        self.coding = coding if compression else ""  # what it gets; "" for identity
        self.coded_only = coded_only  # it refuses identity, and accepts a coding that is here
        self.must_encode = coded_only and compression
        # The engine encodes, and an app that did too would leave it nothing to do but pass. Where
        # the engine has no coding that the client takes, the app may have one.
        self.hides_codings = bool(self.coding)
        self.media_type = media_type if formats else ""  # in place of JSON; "" for the app's own
        self.json_type = json_type if formats else ""  # in place of MessagePack; likewise
        # In place of whatever the app makes: a client prefers one of two formats at most.
        self.media_types = (self.json_type, "") if self.json_type else (self.media_type,)
        self.acceptable = acceptable  # whether it accepts one of the formats
        self.offers = compression or formats
        self.refused = strict and not acceptable  # a document in either format is a 406
        # The app's own will do: as it is, or at most encoded.
        self.may_pass = not self.media_type and (acceptable or not formats)
        self.is_plain = self.may_pass and not self.coding and not self.json_type
        self.plans: BoundedDict[object, ResponsePlan] = BoundedDict(MAX_PLANS_BYTES)


class RequestCopy:
    """A copy of the request's body while the app reads it, up to what may take part in a key."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._body = bytearray()  # a client may send thousands of pieces
        self._is_whole = False

    def take(self, message: Message) -> None:
        """See one message that the app receives."""
        if message["type"] != "http.request" or self._left < 0:
            return
        part = message.get("body", b"")
        self._left -= len(part)
        if self._left < 0:
            self._body.clear()
            return
        self._body += part
        self._is_whole = not message.get("more_body", False)

    @property
    def is_too_large(self) -> bool:
        """Whether more has come than may take part in a key."""
        return self._left < 0

    def whole(self) -> bytes | None:
        """The body; None where the app has not read it all, or it is too large."""
        return bytes(self._body) if self._is_whole and not self.is_too_large else None


class RequestPlan(RequestPolicy):
    """What is to be done about one request and, as far as it can tell, about its response.

    `policy` is the path's at first, and that of the response once it starts.
    """

    policy: RoutePolicy | None = None

    scope: Scope  # as the server gave it
    fields: dict[bytes, bytes]
    method: str
    wants: Wants
    directives: CacheControl | None = None  # of the request's Cache-Control
    content_codings: tuple[str, ...] = ()  # of the request's body, to be decoded
    msgpack_body = False  # the request's body is to be translated to JSON
    reads_json = False  # the app is known to read nothing else
    caching = False  # the cache takes part on this route
    asked = 0.0  # when the request came, in epoch seconds
    bypass: Reason | None = None  # why the cache takes no part in this request
    key: Key | None = None
    may_end_early = False  # it may be refused, or answered, without the app
    keys_on_body = False  # the key waits for the request's body
    may_key_on_body = False  # it would, should the handler ask for it
    refresh = False  # the client refuses a stored response
    path_policy: RoutePolicy | None = None
    copy: RequestCopy | None = None  # what the app has read of the body, until it may be a key
    forward = Reason.MISS  # why the request goes to the app
    strange = NOT_STRANGE  # its fields that are not known to be harmless
    credentials: frozenset[bytes] = frozenset()  # the kinds that the request carries
    unknown: frozenset[bytes] = frozenset()  # the fields that may say who asks
    source: Partition | None = None  # what its user was told apart by up to now
    partition: tuple[tuple[bytes, bytes], ...] = ()  # parts of the key: whose cache this is
    is_personal = False  # the answer is one user's, whether or not it is stored
    demands = ASKS_NOTHING  # what it says of caching
    selected: Entry | None = None  # the stored response for it, which may not be used as it is
    form: Representation | None = None  # of it, by which it answers once it may
    validates = False  # the app is asked whether that still holds
    completes: Entry | None = None  # the stored part to which the app is asked for the rest
    collapsed = False  # it has waited for another's call of the app
    client_left = False
    served: str | None = None  # what the cache did where the app was called and did not answer
    handed: Handed | None = None  # what the app can still encode in every format

    def __init__(self, scope: Scope, fields: dict[bytes, bytes]) -> None:
        super().__init__()
        self.scope = scope
        self.fields = fields
        self.method = scope["method"]

    @property
    def wants_stored_only(self) -> bool:
        """Whether only what is stored will do (RFC 9111, 5.2.1.7: only-if-cached)."""
        directives = self.demands.directives
        return (
            directives is not None
            and directives.only_if_cached
            and self.caching
            and self.method in CACHED_METHODS
        )

    @property
    def outcome(self) -> str:
        """How the cache has taken part where the app answers, in the recorder's words."""
        if not self.caching:
            return ""
        if self.served is not None:
            return self.served
        missed = self.bypass is None and self.forward not in _NOT_FOR_CLIENT
        return "miss" if missed else "bypass"


def plan_request(
    engine: Engine, scope: Scope, fields: dict[bytes, bytes], wants: Wants, key: Key | None
) -> RequestPlan:
    """Decide by the head, whose `fields` were read; raises nothing whatever the head says.

    `wants` are the client's where no policy speaks; `key` is a plain request's, or None.
    """
    plan = RequestPlan(scope, fields)
    if engine.policies is not None:
        plan.policy = plan.path_policy = find_policy(engine.policies, scope)
    if b"cache-control" in fields:
        plan.directives = engine.cache_controls[fields[b"cache-control"]]
    plan.wants = wants
    if plan.policy is not None or plan.directives is not None:
        plan.wants = find_wants(engine, plan)
    if b"content-type" in fields or b"content-encoding" in fields:
        _plan_body(engine, plan)
    policy = plan.policy
    if key is not None:
        plan.caching = True
        plan.asked = engine.clock()
        plan.key = key
        plan.may_end_early = True
    elif engine.caching if policy is None or policy.cache is None else policy.cache:
        plan.caching = True
        plan.asked = engine.clock()
        if not engine.known_fields.issuperset(fields):
            names = fields.keys() - engine.known_fields
            plan.strange = sort_strange(names, engine.meanings.__getitem__)
        find_credentials(plan)
        if engine.has_partitions:
            enter_partition(engine, plan, merge(engine.find_learned(scope, fields), plan.policy))
        if plan.bypass is None:
            _plan_lookup(engine, plan)
    return plan


def find_policy(policies: PolicyTable, scope: Scope) -> RoutePolicy | None:
    """What the patterns say of a path below the app's root, or as it was sent."""
    method, path, root = scope["method"], scope["path"], scope.get("root_path", "")
    raw_path = scope.get("raw_path")
    if root and path.startswith(root):
        policy = policies.find(method, path[len(root) :], raw_path)
        if policy is not None:
            return policy
    return policies.find(method, path, raw_path)


def find_wants(engine: Engine, plan: RequestPlan) -> Wants:
    """What the client wants, under what is said of the route up to now."""
    fields, policy = plan.fields, plan.policy
    accept, accept_encoding = fields.get(b"accept"), fields.get(b"accept-encoding")
    compression, formats = engine.settings.compression, engine.settings.formats
    # RFC 9111, 5.2.1.6: the client asks intermediaries not to transform the content.
    if plan.directives is not None and plan.directives.no_transform:
        accept = accept_encoding = None
    if policy is not None:
        compression = choose(policy.compression, compression)
        formats = choose(policy.formats, formats)
    return engine.read_wants(compression, formats, (accept, accept_encoding))


def choose(*said: bool | None) -> bool:
    """The first word that is said; the last one always is."""
    return next((word for word in said if word is not None), False)


def _plan_body(engine: Engine, plan: RequestPlan) -> None:
    fields, policy = plan.fields, plan.policy
    encoded = b"content-encoding" in fields
    decoding = engine.settings.decoding
    if policy is not None:
        decoding = choose(policy.decoding, decoding)
    if encoded and decoding:
        plan.content_codings = engine.content_codings[fields[b"content-encoding"]]
    # What stays encoded can not be read as a document.
    is_readable = plan.wants.formats and b"content-type" in fields and (decoding or not encoded)
    if is_readable and engine.types[fields[b"content-type"]].is_msgpack:
        _plan_translation(engine, plan)
    plan.may_end_early = bool(plan.content_codings) or plan.msgpack_body


def _plan_translation(engine: Engine, plan: RequestPlan) -> None:
    """Decide whether a body in MessagePack becomes JSON: an app may read MessagePack itself."""
    said = None if plan.policy is None else plan.policy.format_uploads
    uploads = engine.settings.format_uploads if said is None else said
    if uploads is not False:
        plan.reads_json = said is True or engine.reads_json(plan.scope)
        plan.msgpack_body = plan.reads_json or uploads is True


def _plan_lookup(engine: Engine, plan: RequestPlan) -> None:
    fields, method = plan.fields, plan.method
    methods = CACHED_METHODS if method in CACHED_METHODS else BODY_METHODS
    is_routed = bool(plan.strange.routing)
    if methods is not CACHED_METHODS or is_routed or not SPECIAL_FIELDS.isdisjoint(fields):
        if engine.settings.cache_obey_requests:
            plan.refresh = forces_revalidation(fields, plan.directives)
            no_cache = plan.refresh and plan.directives is None
            plan.demands = Asked(plan.directives, pragma_no_cache=no_cache)
        plan.bypass = why_not_looked_up(
            method, fields, plan.demands.directives, methods=methods, is_routed=is_routed
        )
        if plan.bypass is not None:
            plan.may_end_early |= plan.wants_stored_only
            return
        if methods is BODY_METHODS:
            if method == "POST" and not _CONDITIONS.isdisjoint(fields):
                # RFC 9110, 13.1.1 and 13.1.2: they may be there to keep a write from being made.
                plan.bypass = METHOD_NOT_CACHED
                return
            _plan_body_key(engine, plan)
            return
    plan.key = request_key(engine, plan, None)
    plan.may_end_early = True


def _plan_body_key(engine: Engine, plan: RequestPlan) -> None:
    policy = merge(engine.find_learned(plan.scope, plan.fields), plan.policy)
    length = content_length(plan.fields)
    if length is not None and length > engine.settings.cache_max_key_body:
        plan.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
    elif policy is not None and policy.cache_body:
        plan.keys_on_body = plan.may_end_early = True
    else:
        # The handler may yet ask for it, when its response starts: its body is kept until then.
        plan.may_key_on_body = policy is None or policy.cache_body is None
        plan.bypass = METHOD_NOT_CACHED


def request_key(
    engine: Engine,
    plan: RequestPlan,
    body: BodyPart | None,
    method: str = "",
    *,
    scope: Scope | None = None,
) -> Key:
    """The key of the resource that a request is for; `body` is its `body_part`.

    `method` and `scope` are those of a request that is not this one.
    """
    fields, scope = plan.fields, scope or plan.scope
    query: bytes = scope.get("query_string", b"")
    if engine.settings.cache_sort_query:
        query = sorted_query(query)
    extra = tuple([(name, fields.get(name)) for name in engine.key_fields])
    if plan.partition:
        extra = (*extra, *plan.partition)
    if plan.wants.coded_only:
        extra = (*extra, (CODED_ONLY, None))
    return make_key(engine.realm, scope, method or plan.method, fields, query, extra, body)


def body_part(plan: RequestPlan, body: bytes) -> BodyPart:
    """The part of a key that stands for a request's body, with the fields that give it meaning.

    `body` is the one that the app has: decoded, or as it came and then with its coding.
    """
    fields = plan.fields
    coding = None if plan.content_codings else fields.get(b"content-encoding")
    return fields.get(b"content-type"), coding, blake2b(body, digest_size=32).digest()
