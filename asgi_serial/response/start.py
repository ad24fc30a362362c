"""What the start of a response decides, before any of its body is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.caching.collector import Collector, decide_collecting
from asgi_serial.caching.invalidation import invalid_keys
from asgi_serial.caching.revalidation import handle_validation_response, supersedes_stored
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import read_response_fields
from asgi_serial.http.writes import invalidates
from asgi_serial.reasons import Reason
from asgi_serial.representation.response_plan import plan_response
from asgi_serial.request.handler_policy import adopt_body, adopt_partition, find_body_policy
from asgi_serial.request.model_extension import plan_as_made
from asgi_serial.request.partition import keep_private
from asgi_serial.request.plan import find_wants

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan, Wants
    from asgi_serial.request.model_extension import Handed
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

READS = frozenset({"GET", "HEAD"})


class Opening:
    """The decisions about one response by its head, in the order in which they need each other.

    Where `asks_again`, or `messages` are there to be sent in its place, nothing else of the
    response counts.
    """

    # What most responses never set has its default on the class.
    invalid: tuple[Key, ...] = ()  # what this write has made invalid in the cache
    outdated: Entry | None = None  # what this response shows to be of the past
    is_rekeyed = False  # it is another's than those may think who wait for it
    asks_again = False  # it says nothing: the app is to be called again, without conditions
    messages: tuple[Message, Message] | None = None
    entry: Entry | None = None  # to be stored, without anything of the body
    keeping: Collector | None = None  # it is to be stored
    unstored: Reason | None = None  # why it is not
    handed: Handed | None = None  # the app has made the format that the plan asks for
    status: int
    pairs: Fields
    fields: dict[bytes, bytes]
    wants: Wants
    plan: ResponsePlan

    def __init__(self, engine: Engine, request: RequestPlan, message: Message) -> None:
        pairs, fields = read_response_fields(message.get("headers", ()), engine.fields.response)
        self.status = status = message["status"]
        self.wants = request.wants
        policy = request.policy
        source = None if policy is None else policy.cache_partition
        if request.has_policy or source is not request.source:
            self._heed_handler(engine, request)
        if request.is_personal:
            pairs, fields = keep_private(engine, status, pairs, fields)
        if request.handed is not None and request.handed.is_sent(fields):
            self.handed = request.handed
            fields = {**fields, b"content-type": JSON_TYPE.encode()}  # it is planned by that
        self.pairs, self.fields = pairs, fields
        has_trailers = "trailers" in message and bool(message["trailers"])
        self.plan = plan_response(engine, self.wants, status, fields, has_trailers)
        if self.asks_again or (request.selected is not None and self._consult(engine, request)):
            return
        if request.method not in READS and engine.may_cache:
            self._plan_write(engine, request)
        if request.caching:
            self._plan_keeping(engine, request, has_trailers=has_trailers)
        if self.keeping is None and supersedes_stored(request, status, self.unstored):
            self.outdated = request.selected
        if self.handed is not None and self.handed.media_type != self.plan.media_type:
            self._give_handed_up(engine)

    def _heed_handler(self, engine: Engine, request: RequestPlan) -> None:
        """Plan anew what the handler has had its say in since the request was planned."""
        was_asked = request.validates and self.status == 304
        self.is_rekeyed = adopt_partition(engine, request)
        # The condition was made of what is another user's: the 304 is about that.
        self.asks_again = was_asked and not request.validates
        self.wants = find_wants(engine, request)

    def _consult(self, engine: Engine, request: RequestPlan) -> bool:
        """Whether the response is about the stored one, and is not sent itself."""
        selected, status = request.selected, self.status
        assert selected is not None
        consulted = handle_validation_response(
            engine, request, selected, status, self.pairs, self.fields
        )
        self.entry, self.unstored = consulted.entry, consulted.unstored
        if consulted.is_superseded:
            self.outdated = selected
        self.asks_again, self.messages = consulted.retry_unconditionally, consulted.messages
        return self.asks_again or self.messages is not None

    def _plan_write(self, engine: Engine, request: RequestPlan) -> None:
        policy = find_body_policy(request)
        if policy is not None:
            adopt_body(engine, request, policy)
        elif invalidates(request.method, self.status):
            self.invalid = invalid_keys(engine, request, self.fields)

    def _plan_keeping(self, engine: Engine, request: RequestPlan, *, has_trailers: bool) -> None:
        plan = self.plan
        storing = decide_collecting(
            engine,
            request,
            plan,
            self.status,
            self.fields,
            has_trailers=has_trailers,
            invalidates=bool(self.invalid),
        )
        if isinstance(storing, Reason):
            is_unheard = request.has_ignored_permission and storing in _MAY_BE_PERMITTED
            self.unstored = Reason.POLICY_NOT_HEARD if is_unheard else storing
        else:
            self.keeping = Collector(engine, request, storing, self.wants, plan, self.status)

    def _give_handed_up(self, engine: Engine) -> None:
        """Pass what the app has made: it was changed on its way, and another form is chosen."""
        self.handed = None
        self.unstored = self.unstored if self.keeping is None else Reason.ALREADY_ENCODED
        self.keeping = None
        self.plan = plan_as_made(engine, self.plan, self.fields)
