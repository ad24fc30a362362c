"""Decisions made at the start of a response, before its body."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from asgi_serial.cache.in_flight import CallResult
from asgi_serial.caching.collector import Collector, why_not_collected
from asgi_serial.caching.invalidation import invalid_keys
from asgi_serial.caching.revalidation import (
    CLIENT_SPECIFIC_REASONS,
    handle_validation_response,
    supersedes_stored,
)
from asgi_serial.caching.storing import decide_storing, strip_fields, why_not_considered
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import read_response_fields, without
from asgi_serial.http.vary import vary_names
from asgi_serial.http.writes import invalidates
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant import plan_response, with_own_tag
from asgi_serial.request.handler_policy import adopt_body, adopt_partition, find_body_policy
from asgi_serial.request.model_extension import plan_as_made
from asgi_serial.request.partition import keep_private
from asgi_serial.request.plan import find_wants

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan, Wants
    from asgi_serial.representation.encoded_model import EncodedModel
    from asgi_serial.request.app_call import AppCall
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields, Message

_MAY_BE_PERMITTED = frozenset(
    {
        Reason.METHOD_NOT_CACHED,
        Reason.NO_FRESHNESS,
        Reason.PRIVATE,
        Reason.REQUEST_HAS_CREDENTIALS,
    }
)

_MISS, _CACHE_TURNED_OFF = Reason.MISS, Reason.CACHE_TURNED_OFF
_NO_FRESHNESS, _HAS_CREDENTIALS = Reason.NO_FRESHNESS, Reason.REQUEST_HAS_CREDENTIALS
_UNKNOWN_FIELD = Reason.REQUEST_HAS_UNKNOWN_FIELD

READS = frozenset({"GET", "HEAD"})
START_TYPE = "http.response.start"
_VARY = frozenset({b"vary"})


class ResponseStart:
    """The decisions that the head of a response allows, in the order of their dependencies.

    A response that `passes` is sent as the app makes it, with `message` as its start. Any other is
    handled by a `ResponseFlow`, with everything read here. If `retry_unconditionally` or `messages`
    is set, the response is discarded, and nothing else here applies.
    """

    # A slot is read in a tenth of what a default on the class costs.
    __slots__ = (
        "added",
        "collector",
        "encoded_model",
        "entry",
        "fields",
        "has_effects",
        "invalid",
        "key_changed",
        "message",
        "messages",
        "pairs",
        "passes",
        "plan",
        "reasons",
        "request",
        "retry_unconditionally",
        "served",
        "status",
        "superseded",
        "unstored",
        "wants",
    )

    request: RequestPlan  # the newest plan, such as the one under the handler's policy
    served: str | None  # what the cache did, if it answers in place of the app
    pairs: Fields
    fields: dict[bytes, bytes]
    plan: ResponsePlan
    reasons: tuple[Reason, ...]
    added: Fields  # see `generalize`
    invalid: tuple[Key, ...]  # the keys that this write has invalidated
    superseded: Entry | None  # a stored response that this one shows to be out of date
    key_changed: bool  # the key is not the one that requests wait for
    retry_unconditionally: bool  # discard it, and call the app again without conditions
    messages: tuple[Message, Message] | None
    entry: Entry | None  # to be stored, without any of the body
    encoded_model: EncodedModel | None  # was encoded by the app in the planned format
    collector: Collector | None  # collects the response to be stored
    unstored: Reason | None  # why it is not stored

    def __init__(
        self,
        engine: Engine,
        request: RequestPlan,
        call: AppCall,
        message: Message,
        pairs: Fields,
        fields: dict[bytes, bytes],
    ) -> None:
        self.message = message
        self.request = request
        self.status: int = message["status"]
        self.collector = self.unstored = self.messages = self.entry = None
        self.encoded_model = self.superseded = self.served = None
        self.invalid = ()
        self.passes = self.has_effects = self.key_changed = self.retry_unconditionally = False
        self.wants: Wants = request.wants
        if call.has_policy or request.policy is not None or request.user.source is not None:
            request = self.request = self._apply_handler_policy(engine, request, call)
            if self.retry_unconditionally:
                return
        if request.user.is_personal:
            pairs, fields = keep_private(engine, self.status, pairs, fields)
        encoded_model, selected = call.encoded_model, request.forward.stored
        if encoded_model is not None and encoded_model.is_sent(fields):
            self.encoded_model = encoded_model
            fields = {**fields, b"content-type": JSON_TYPE.encode()}  # planned as JSON
        self.pairs = pairs
        self.fields = fields
        has_trailers = "trailers" in message and bool(message["trailers"])
        plan = plan_response(engine, self.wants, self.status, fields, has_trailers)
        self.plan = plan
        if selected is not None and self._consult(engine, request, selected):
            return
        if engine.may_cache and request.method not in READS:
            request = self._plan_write(engine, request, call)
        if request.caching:
            self._decide_storing(engine, request, call, has_trailers)
        if selected is not None and self.collector is None:
            self._find_superseded(request, selected)
        if self.unstored is _UNKNOWN_FIELD:
            request = self._name_field(request, vary_names(fields.get(b"vary", b"")))
        if encoded_model is not None:
            self._check_encoded_model(engine)
        if plan.passes and self.collector is None and (selected is None or self.entry is None):
            self._pass(engine, request, message, fields, pairs)

    @property
    def call_result(self) -> CallResult:
        """The result of a call that stores nothing, for the requests that wait for it."""
        return result_of(self.status, self.unstored)

    def generalize(self, added: Fields) -> ResponseStart:
        """Keep what holds for all responses of this kind, which pass with these fields added."""
        del self.request
        self.added = added
        self.message, self.pairs, self.fields = {}, [], {}
        return self

    def _apply_handler_policy(
        self, engine: Engine, request: RequestPlan, call: AppCall
    ) -> RequestPlan:
        """Return the plan under the handler's policy; the app may have to be called again."""
        policy = request.policy
        source = None if policy is None else policy.cache_partition
        if not call.has_policy and source is request.user.source:
            return request
        was_asked = request.forward.validates and self.status == 304
        changed = adopt_partition(engine, request, call)
        self.has_effects, self.key_changed = True, changed.key is not request.key
        # The condition was made from another user's response, which the 304 is about.
        self.retry_unconditionally = was_asked and not changed.forward.validates
        self.wants = find_wants(engine, changed)
        return changed

    def _consult(self, engine: Engine, request: RequestPlan, selected: Entry) -> bool:
        """Whether the response answers our validation, and is not sent itself."""
        consulted = handle_validation_response(
            engine, request, selected, self.status, self.pairs, self.fields
        )
        self.entry, self.unstored = consulted.entry, consulted.unstored
        if consulted.served is not None:
            self.served, self.has_effects = consulted.served, True
        if consulted.unstored is _UNKNOWN_FIELD:
            self._name_field(request, tuple([name for name, _ in selected.vary_values]))
        if consulted.is_superseded:
            self.superseded, self.has_effects = selected, True
        self.retry_unconditionally, self.messages = (
            consulted.retry_unconditionally,
            consulted.messages,
        )
        return self.retry_unconditionally or self.messages is not None

    def _find_superseded(self, request: RequestPlan, selected: Entry) -> None:
        if supersedes_stored(request, self.status, self.unstored):
            self.superseded, self.has_effects = selected, True

    def _plan_write(self, engine: Engine, request: RequestPlan, call: AppCall) -> RequestPlan:
        """Decide what a write invalidates, unless its policy makes it a read with a body."""
        policy = find_body_policy(request)
        if policy is not None:
            changed = adopt_body(engine, request, call, policy)
            if changed is not request:
                self.request, self.has_effects = changed, True
            return changed
        if invalidates(request.method, self.status):
            self.invalid, self.has_effects = invalid_keys(engine, request, self.fields), True
        return request

    def _name_field(self, request: RequestPlan, names: tuple[bytes, ...]) -> RequestPlan:
        """Return the plan with those unknown fields that keep a response from being stored.

        Those in Vary do not: Cache-Status and the log name one of the others.
        """
        user = replace(request.user, unknown=request.user.unknown - frozenset(names))
        self.request, self.has_effects = request.with_(user=user), True
        return self.request

    def _decide_storing(
        self,
        engine: Engine,
        request: RequestPlan,
        call: AppCall,
        has_trailers: bool,  # noqa: FBT001 - on the way of every response
    ) -> None:
        plan = self.plan
        decision = decide_storing(
            engine, request, self.status, self.fields, invalidates=bool(self.invalid)
        )
        if not isinstance(decision, Reason):
            why = why_not_collected(plan, has_trailers=has_trailers, client_left=call.client_left)
            decision = why or decision
        if isinstance(decision, Reason):
            is_unheard = call.has_ignored_permission and decision in _MAY_BE_PERMITTED
            self.unstored = Reason.POLICY_NOT_HEARD if is_unheard else decision
        else:
            if engine.fields.strips is not None:
                decision = strip_fields(engine.fields.strips, decision, self.pairs)
            self.collector = Collector(engine, request, decision, self.wants, plan, self.status)

    def _check_encoded_model(self, engine: Engine) -> None:
        """Send the app's own encoding if it was changed on its way and another form is chosen."""
        if self.encoded_model is None or self.encoded_model.media_type == self.plan.media_type:
            return
        self.encoded_model = None
        self.unstored = self.unstored if self.collector is None else Reason.ALREADY_ENCODED
        self.collector = None
        self.plan = plan_as_made(engine, self.plan, self.fields)

    def _pass(
        self,
        engine: Engine,
        request: RequestPlan,
        message: Message,
        fields: dict[bytes, bytes],
        pairs: Fields,
    ) -> None:
        """Make the start of a response that passes, unless its tag may answer a condition."""
        plan, why = self.plan, self.unstored
        if b"etag" in fields:
            if b"if-none-match" in request.profile.places and request.method in READS:
                return
            pairs = with_own_tag(pairs, fields[b"etag"], engine.negotiator.tag_suffixes)
        self.passes = True
        self.reasons = reasons_of(request, plan.reasons, why)
        if plan.added:
            if b"vary" in fields:
                pairs = without(pairs, _VARY)
            pairs = pairs + plan.added
        if request.caching and engine.settings.cache_status:
            pairs = [*pairs, engine.cache_status.forward_line(request, stored=False, detail=why)]
        elif not plan.added and pairs is message.get("headers"):
            return
        if len(message) == 3 and "headers" in message:
            # A literal is built in half the time of a copy.
            self.message = {"type": START_TYPE, "status": self.status, "headers": pairs}
        else:
            self.message = {**message, "headers": pairs}


def start_response(
    engine: Engine, request: RequestPlan, call: AppCall, message: Message
) -> tuple[Message, ResponseStart]:
    """Return the start to send if the response passes, and all that its start decides.

    Most responses have no field that matters here but their type and length, and no policy applies
    to them. The decision about the first of a kind is then reused for the others.
    """
    pairs, kind, passing = message.get("headers", ()), None, request.wants.passing
    if (
        type(pairs) is list
        and len(message) == 3
        and not call.has_policy
        and request.policy is None
        and request.user.source is None
        and request.forward.stored is None
        and call.encoded_model is None
    ):
        kind = _kind_of(engine, request, message["status"], pairs)
        known: ResponseStart | None = passing.get(kind)
        if known is not None:
            added = known.added
            if not added:
                return message, known
            return {"type": START_TYPE, "status": known.status, "headers": pairs + added}, known
    start = ResponseStart(
        engine, request, call, message, *read_response_fields(pairs, engine.fields.response)
    )
    sent = start.message
    if kind is not None and start.passes:
        added_to_all = _added_to_kind(engine, request, start)
        if added_to_all is not None:
            passing.keep(kind, start.generalize(added_to_all))
    return sent, start


def _kind_of(
    engine: Engine, request: RequestPlan, status: int, pairs: Fields
) -> tuple[object, ...] | None:
    """Return everything that decides about a response; None if it has further fields that do.

    Only the type is compared as it is, and the length with limits.
    """
    wanted, media_type, length = engine.fields.response, None, None
    try:
        for name, value in pairs:
            if name in wanted:
                if type(value) is not bytes:
                    return None
                if name == b"content-type" and media_type is None:
                    media_type = value
                elif name == b"content-length" and length is None:
                    length = value
                else:
                    return None
            elif type(name) is not bytes or name != name.lower():
                return None
    except TypeError:  # an unhashable name, such as a bytearray
        return None
    reach = None if length is None else engine.negotiator.reaches[length]
    label = request.profile.label
    if not request.caching:
        return status, media_type, reach, label
    forward = request.forward
    return status, media_type, reach, label, request.bypass, forward.reason, forward.waited


def _added_to_kind(engine: Engine, request: RequestPlan, start: ResponseStart) -> Fields | None:
    """Return the fields added to all responses of this kind; None if more may decide."""
    if start.has_effects or start.status == 206:  # a part depends on the requested range
        return None
    if not request.caching:
        return start.plan.added
    why = why_not_considered(engine, request, start.status, start.fields)
    if why is None or why is not start.unstored:
        return None
    if not engine.settings.cache_status:
        return start.plan.added
    line = engine.cache_status.line_of_kind(request, why)
    return None if line is None else [*start.plan.added, line]


def reasons_of(
    request: RequestPlan, reasons: tuple[Reason, ...], unstored: Reason | None
) -> tuple[Reason, ...]:
    """Return the reasons of a response of the app: those given, and those of the cache.

    `unstored` says why it is not stored. That nothing was stored yet is not a reason of its own.
    """
    if not request.caching:
        return (*reasons, _CACHE_TURNED_OFF)
    forward = request.forward.reason
    if request.bypass is None and forward is not _MISS and forward is not unstored:
        reasons = (*reasons, forward)
    if unstored is None:
        return reasons
    if unstored is _NO_FRESHNESS and request.user.credentials:
        # A lifetime alone would not let it be stored.
        return (*reasons, _HAS_CREDENTIALS, unstored)
    return (*reasons, unstored)


def result_of(status: int, unstored: Reason | None) -> CallResult:
    """Return the result of a call whose response is not stored, given the reason."""
    # A 304 does not predict the answer to an unconditional request.
    if unstored is Reason.STALE_IF_ERROR:
        return CallResult.ERROR
    # A problem of one request or its client does not predict the next.
    if status == 304 or unstored in CLIENT_SPECIFIC_REASONS:
        return CallResult.FAILED
    return CallResult.UNSTORED_ERROR if status >= 400 else CallResult.UNCACHEABLE
