"""One response on its way from the app to the client: messages in, messages out."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from asgi_serial.cache.collapse import Ending
from asgi_serial.cache.encodings import Encoded
from asgi_serial.cache.entry import Representation
from asgi_serial.engine.heads import read_response_fields
from asgi_serial.engine.plan import request_key
from asgi_serial.engine.problem import Problem
from asgi_serial.engine.representation import (
    Base,
    content_tag,
    not_modified_fields,
    represent,
    shown_tag,
)
from asgi_serial.engine.response_plan import plan_response
from asgi_serial.engine.storing import build_entry, stored_fields
from asgi_serial.errors import FormatError
from asgi_serial.http.storing import invalidates
from asgi_serial.http.validators import is_not_modified
from asgi_serial.policy import merge
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.entry import Entry, Key, Variant
    from asgi_serial.codecs.base import Codec, Encoder
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.engine.response_plan import ResponsePlan
    from asgi_serial.engine.storing import Storing
    from asgi_serial.policy import RequestPolicy, RoutePolicy
    from asgi_serial.types import Field, Fields, Message, Scope


class State(Enum):
    """Where a response stands; docs/architecture.md has the table of transitions."""

    START = "no message has come"
    HELD = "the start is held until the first body message shows what the body is"
    WHOLE = "the body is gathered, to be encoded in one go"
    STREAM = "each piece of the body is encoded as it comes"
    PASS = "messages pass as they are"
    DONE = "the last body message has passed"
    REFUSED = "another response was sent in its place"


# A member looked up on its enum costs a descriptor call in CPython 3.11.
START, HELD, WHOLE, STREAM = State.START, State.HELD, State.WHOLE, State.STREAM
PASS, DONE, REFUSED = State.PASS, State.DONE, State.REFUSED


_READS = frozenset({"GET", "HEAD"})


class ResponseFlow:
    """The response to one request, by the plan that is made when it starts.

    `feed` gives the messages to send in place of one of the app's: that message itself where
    nothing was changed, or a list. Where `job` is set afterwards, work waits that is too long for
    the event loop: the caller runs it in any thread, gives its result to `resume`, and sends what
    that gives. Once `state` is DONE, `entry` is what is to be stored, if anything, and has to be
    there before the messages are sent.
    """

    # What most responses never set has its default on the class.
    state = START
    status = 0
    forward = Reason.MISS  # why the request went to the app
    collapsed = False  # it waited for another's call first
    invalid: Key | None = None  # what this response has made invalid in the cache
    plan: ResponsePlan
    start: Message
    base: Base
    encoder: Encoder | None = None
    gathered: list[bytes]
    app_bytes = encoded_bytes = sent_bytes = 0
    collected: list[bytes] | None = None
    collected_size = 0
    made: Fields
    etag: bytes | None = None
    media_type = coding = ""
    encoding_outcome = ""
    entry: Entry | None = None
    job: Callable[[], bytes] | None = None
    _then: Callable[[bytes], list[Message]]
    _digest = b""
    _is_not_modified = False
    _route: str | None = None

    def __init__(
        self,
        engine: Engine,
        request: RequestPlan,
        policy: RequestPolicy,
        scope: Scope,
        body_part: Callable[[], tuple[bytes, bytes] | None],
    ) -> None:
        self.engine = engine
        self.request = request
        self.policy = policy
        self.scope = scope  # as the app has it
        self._body_part = body_part  # of the request, for a key, once the app has read it

    def feed(self, message: Message) -> Message | list[Message]:
        """Take one message of the app; give what is to be sent for it."""
        kind = message["type"]
        if kind == "http.response.body":
            return self._feed_body(message)
        if kind == "http.response.start" and self.state is START:
            return self._feed_start(message)
        if self.state is REFUSED:
            return []
        if self.state is HELD or self.state is WHOLE:
            return [*self.release(Reason.NOT_A_BODY), message]
        if kind in ("http.response.pathsend", "http.response.zerocopysend"):
            self._forget(Reason.NOT_A_BODY)
        return message

    def resume(self, result: bytes) -> list[Message]:
        """Go on with what `job` gave."""
        self.job = None
        return self._then(result)

    def release(self, why: Reason) -> list[Message]:
        """Give what is held back, as the app made it; nothing where nothing is held."""
        if self.state is not HELD and self.state is not WHOLE:
            return []
        gathered = self.gathered if self.state is WHOLE else []
        self.plan.reasons.append(why)
        messages = self._begin_passing()
        if gathered:
            body = b"".join(gathered)
            messages.append(
                self._passed({"type": "http.response.body", "body": body}, body, more=True)
            )
        return messages

    def wait_for_client(self) -> list[Message]:
        """Give what is held back, since the app asks for the client's next message.

        The client may be waiting for the start before it says anything.
        """
        if self.state is HELD and self.plan.codec is not None and not self.plan.media_type:
            return self._begin_stream(self.plan.codec)
        return self.release(Reason.BODY_NOT_WHOLE)

    def lose_client(self) -> list[Message]:
        """Keep nothing for a client that has left."""
        if self.state is START:
            self.request.bypass = Reason.CLIENT_LEFT
            return []
        self._forget(Reason.CLIENT_LEFT)
        return self.release(Reason.CLIENT_LEFT)

    def _feed_start(self, message: Message) -> Message | list[Message]:
        pairs = message.get("headers", ())
        own = type(pairs) is list
        # Any iterable is allowed, and a generator gives its pairs only once.
        pairs, fields = read_response_fields(pairs if own else [tuple(pair) for pair in pairs])
        self.start = message
        self.status = status = message["status"]
        engine, request = self.engine, self.request
        policy = merge(self.policy.policy, request.policy)
        if request.caching and request.method not in _READS:
            self._plan_write(policy)
        plan = self.plan = plan_response(
            engine,
            request,
            status,
            fields,
            has_trailers=bool(message.get("trailers", False)),
            policy=policy,
        )
        self.base = Base(
            pairs, fields, plan.vary, fields.get(b"etag"), plan.weak, engine.tag_suffixes
        )
        if plan.refused:
            return self._refuse()
        if plan.codec is None and not plan.media_type:
            if plan.storing is None or not self._wants_tag():
                return self._begin_passing()
        elif request.is_head:
            return self._begin_head()
        elif plan.event_stream and plan.codec is not None:
            return self._begin_stream(plan.codec)
        self.state = HELD
        return []

    def _feed_body(self, message: Message) -> Message | list[Message]:
        state = self.state
        body = message.get("body", b"")
        more = message.get("more_body", False)
        if state is PASS:
            return self._passed(message, body, more=more)
        if state is STREAM:
            return self._encode_piece(bytes(body), more=more)
        if state is HELD:
            if not more:
                return self._complete(bytes(body))
            plan = self.plan
            if plan.media_type or (plan.length is not None and not plan.weak):
                self.state = WHOLE
                self.gathered = []
                return self._gather(bytes(body))
            if plan.codec is not None:
                return [
                    *self._begin_stream(plan.codec),
                    *self._encode_piece(bytes(body), more=True),
                ]
            return [*self._begin_passing(), self._passed(message, body, more=True)]
        if state is WHOLE:
            if more:
                return self._gather(bytes(body))
            gathered, self.gathered = [*self.gathered, bytes(body)], []
            return self._complete(b"".join(gathered))
        return [] if state is REFUSED else message

    def _plan_write(self, policy: RoutePolicy | None) -> None:
        request = self.request
        if policy is not None and policy.cache_body:
            if request.may_key_on_body:
                self._adopt_body(policy)
        elif invalidates(request.method, self.status):
            self.invalid = request_key(self.engine, request, None, "GET")

    def _adopt_body(self, policy: RoutePolicy) -> None:
        """Key on the request's body after all: the handler has asked for it."""
        request = self.request
        self.engine.learn(request.method, request.scope["path"], policy)
        part = self._body_part()
        if part is None:
            request.bypass = Reason.REQUEST_TOO_LARGE_TO_KEY
        else:
            request.bypass = None
            request.key = request_key(self.engine, request, part)

    def _wants_tag(self) -> bool:
        return self.base.etag is None and not self.request.is_head

    def _refuse(self) -> list[Message]:
        self.state = REFUSED
        self.status = 406
        self.plan.storing = None
        # RFC 9110, 12.4.1: a list of what there is lets the client choose.
        detail = f"This resource is available as {', '.join(self.engine.media_types)}."
        vary = () if self.plan.vary is None else ((b"vary", self.plan.vary),)
        problem = Problem(406, Reason.NOT_ACCEPTABLE, detail, vary)
        self.plan.reasons.append(Reason.NOT_ACCEPTABLE)
        return problem.messages(is_head=self.request.is_head)

    def _begin_passing(self) -> list[Message]:
        self.state = PASS
        plan, base = self.plan, self.base
        if plan.status == 304 and base.etag is not None:
            self._restore_tag()
            base = self.base
        made, self.etag = represent(base, "", "", None)
        self._collect_from(made)
        if self._is_held_by_client():
            self._is_not_modified = True
            return [self._head(not_modified_fields(made), status=304)]
        return [self._head(made)]

    def _is_held_by_client(self) -> bool:
        """Whether the client has this very representation, by the condition of its request.

        RFC 9110, 13.1.2: 304 for GET and HEAD; an app that evaluates conditions has done so.
        """
        request = self.request
        return (
            self.plan.status == 200
            and self.etag is not None
            and b"if-none-match" in request.fields
            and request.method in _READS
            and is_not_modified(request.fields, self.etag, None, now=0.0)
        )

    def _restore_tag(self) -> None:
        request, base = self.request, self.base
        condition = request.fields.get(b"if-none-match")
        if condition is None:
            return
        tag = shown_tag(base, request.media_type, request.coding, condition)
        if tag is not None and tag != base.etag:
            # What is shown is a tag of ours already, and must not be taken for one of the app's.
            pairs = [(name, tag if name == b"etag" else value) for name, value in base.pairs]
            self.base = base._replace(pairs=pairs, etag=None)

    def _begin_head(self) -> list[Message]:
        self.state = PASS
        plan = self.plan
        self.media_type, codec = plan.media_type, plan.codec
        self.coding = codec.name if codec is not None else ""
        self.plan.storing = None
        made, self.etag = represent(self.base, self.media_type, self.coding, None)
        return [self._head(made)]

    def _begin_stream(self, codec: Codec) -> list[Message]:
        self.state = STREAM
        self.coding = codec.name
        self.encoder = codec.encoder(event_stream=self.plan.event_stream)
        self.base = self.base._replace(weak=True)
        made, self.etag = represent(self.base, "", codec.name, None)
        self._collect_from(made)
        return [self._head(made)]

    def _passed(self, message: Message, body: bytes, *, more: bool) -> Message:
        size = len(body)
        self.app_bytes += size
        self.encoded_bytes = self.app_bytes
        if self.collected is not None and size:
            self._collect(bytes(body))
        if self._is_not_modified or (self.request.is_head and (self.media_type or self.coding)):
            # There is no content to send, and what the app made is not what the fields describe.
            message = {**message, "body": b""}
        elif not self.request.is_head:
            self.sent_bytes += size
        if not more:
            self._finish()
        return message

    def _encode_piece(self, body: bytes, *, more: bool) -> list[Message]:
        self.app_bytes += len(body)
        self.encoded_bytes = self.app_bytes
        encoder = self.encoder
        assert encoder is not None

        def encode() -> bytes:
            if more:
                return encoder.feed(body, flush=True)
            return encoder.feed(body, flush=False) + encoder.finish()

        def passed(encoded: bytes) -> list[Message]:
            self.sent_bytes += len(encoded)
            if self.collected is not None:
                self._collect(encoded)
            if not more:
                self._finish()
            return [{"type": "http.response.body", "body": encoded, "more_body": more}]

        return self._encode(len(body), encode, passed)

    def _encode(
        self, size: int, job: Callable[[], bytes], then: Callable[[bytes], list[Message]]
    ) -> list[Message]:
        codec = self.plan.codec
        if codec is None or size < codec.offload_bytes:
            return then(job())
        self.job, self._then = job, then
        return []

    def _gather(self, body: bytes) -> list[Message]:
        self.gathered.append(body)
        self.app_bytes += len(body)
        if self.app_bytes <= self.engine.settings.whole_limit:
            return []
        self.app_bytes = 0
        codec, gathered = self.plan.codec, b"".join(self.gathered)
        if codec is None:
            return self.release(Reason.BODY_NOT_WHOLE)
        self.plan.reasons.append(Reason.BODY_NOT_WHOLE)
        return [*self._begin_stream(codec), *self._encode_piece(gathered, more=True)]

    def _complete(self, body: bytes) -> list[Message]:
        plan, request, encodings = self.plan, self.request, self.engine.encodings
        self.app_bytes = len(body)
        if plan.length is not None and plan.length != len(body):
            return self._complete_contradiction(body)
        remembers = (
            encodings is not None
            and (plan.codec is not None or bool(plan.media_type))
            and encodings.wants(self.route(), request.coding, len(body))
        )
        if remembers or (plan.storing is not None and self._wants_tag()):
            self._digest = content_tag(body)
            if self.base.etag is None and plan.status == 200:
                self.base = self.base.tagged(self._digest)
        if remembers and encodings is not None:
            coding = plan.codec.name if plan.codec is not None else ""
            found = encodings.find(self.route(), self._digest, plan.media_type, coding)
            self.encoding_outcome = "hit" if found is not None else "miss"
            if found is not None:
                return self._emit(body, found)
        return self._transcode(body)

    def _complete_contradiction(self, body: bytes) -> list[Message]:
        # The app's Content-Length is not its body's: what it says goes out as it says it, and is
        # no response to keep.
        messages = self.release(Reason.INCOMPLETE)
        self.app_bytes = self.sent_bytes = 0
        self._forget(Reason.INCOMPLETE)
        last: Message = {"type": "http.response.body", "body": body, "more_body": False}
        return [*messages, self._passed(last, body, more=False)]

    def _transcode(self, body: bytes) -> list[Message]:
        plan = self.plan
        content, media_type = body, plan.media_type
        if media_type:
            try:
                content = self.engine.transcoder.json_to_msgpack(body)
            except FormatError:
                plan.reasons.append(Reason.VALUE_NOT_CARRIED)
                media_type = ""
        codec = plan.codec
        if codec is None or len(content) < self.engine.settings.min_size:
            return self._made(body, Encoded(media_type, "", content))

        def compressed(encoded: bytes) -> list[Message]:
            if len(encoded) < len(content):
                return self._made(body, Encoded(media_type, codec.name, encoded))
            plan.reasons.append(Reason.NOT_SMALLER)
            return self._made(body, Encoded(media_type, "", content))

        self.encoded_bytes = len(content)
        return self._encode(len(content), partial(codec.compress, content), compressed)

    def _made(self, body: bytes, encoded: Encoded) -> list[Message]:
        if self.encoding_outcome and self.engine.encodings is not None:
            coding = self.plan.codec.name if self.plan.codec is not None else ""
            self.engine.encodings.keep(self._digest, self.plan.media_type, coding, encoded)
        return self._emit(body, encoded)

    def _emit(self, body: bytes, encoded: Encoded) -> list[Message]:
        plan, request = self.plan, self.request
        media_type, coding, content = encoded
        self.media_type, self.coding = media_type, coding
        made, self.etag = represent(self.base, media_type, coding, content)
        if plan.storing is not None:
            self._store_whole(plan.storing, made, body, content)
        self.encoded_bytes = self.encoded_bytes or len(content)
        self.state = DONE
        if self._is_held_by_client():
            return [
                self._head(not_modified_fields(made), status=304),
                {"type": "http.response.body", "body": b"", "more_body": False},
            ]
        if not request.is_head:
            self.sent_bytes = len(content)
        return [
            self._head(made),
            {"type": "http.response.body", "body": content, "more_body": False},
        ]

    def _store_whole(self, storing: Storing, made: Fields, body: bytes, content: bytes) -> None:
        plan, settings = self.plan, self.engine.settings
        size = len(content) + (len(body) if self.media_type else 0)
        if size > settings.cache_max_object:
            self._forget(Reason.OBJECT_TOO_LARGE)
            return
        kept = {self._variant(): self._representation(made, content)}
        if self.media_type:
            # Every other variant can be made from the app's own bytes, and from these only.
            own, etag = represent(self.base, "", "", None)
            kept["", ""] = Representation(self._stored(own), body, "", etag)
        self.entry = build_entry(
            storing, plan.status, self.base, plan.negotiates, self.route(), kept
        )

    def _variant(self) -> Variant:
        by_format, by_coding = self.plan.negotiates
        request = self.request
        return request.media_type if by_format else "", request.coding if by_coding else ""

    def _representation(self, made: Fields, content: bytes) -> Representation:
        return Representation(self._stored(made), content, self.coding, self.etag)

    def _stored(self, made: Fields) -> Fields:
        return stored_fields(made, self.base.fields.get(b"connection"))

    def _collect_from(self, made: Fields) -> None:
        if self.plan.storing is not None:
            self.made = made
            self.collected = []

    def _collect(self, content: bytes) -> None:
        assert self.collected is not None
        self.collected.append(content)
        self.collected_size += len(content)
        if self.collected_size > self.engine.settings.cache_max_object:
            self._forget(Reason.OBJECT_TOO_LARGE)

    def _forget(self, why: Reason) -> None:
        self.collected = None
        if self.plan.storing is not None:
            self.plan.storing = None
            self.plan.unstored = why

    def _finish(self) -> None:
        self.state = DONE
        plan = self.plan
        if self.collected is None or plan.storing is None:
            return
        if plan.length is not None and plan.length != self.app_bytes:
            # RFC 9111, 3.3: an incomplete response must not be stored as a complete one.
            self._forget(Reason.INCOMPLETE)
            return
        kept = {self._variant(): self._representation(self.made, b"".join(self.collected))}
        self.entry = build_entry(
            plan.storing, plan.status, self.base, plan.negotiates, self.route(), kept
        )

    @property
    def is_fruitless(self) -> bool:
        """Whether it is known that nothing of this response is stored."""
        return self.state is not START and self.plan.storing is None

    @property
    def ending(self) -> Ending:
        """How a call of the app ends that has stored nothing, for those who wait for it."""
        left = self.plan.unstored in (Reason.CLIENT_LEFT, Reason.INCOMPLETE)
        return Ending.FAILED if left else Ending.FRUITLESS

    @property
    def outcome(self) -> str:
        """How the cache took part, in the recorder's words."""
        if not self.request.caching:
            return ""
        return "bypass" if self.request.bypass is not None else "miss"

    def reasons(self) -> list[Reason]:
        """Why things were not done to this response."""
        reasons = self.plan.reasons
        if self.plan.unstored is not None:
            reasons.append(self.plan.unstored)
        return reasons

    def route(self) -> str:
        """The label of the route, as the framework has left it in the scope."""
        if self._route is None:
            self._route = self.engine.label(self.scope)
        return self._route

    def _head(self, made: Fields, *, status: int = 0) -> Message:
        """The start message with `made`, to which it adds what is said of this answer alone."""
        engine = self.engine
        if status:
            self.status = status
        if self.request.caching and engine.settings.cache_status:
            made.append(self._cache_status())
        return {**self.start, "status": self.status, "headers": made}

    def _cache_status(self) -> Field:
        request, plan = self.request, self.plan
        return self.engine.forward_pair(
            request.bypass or self.forward,
            stored=self.entry is not None,
            detail=None if plan.storing is not None else plan.unstored,
            collapsed=self.collapsed,
        )
