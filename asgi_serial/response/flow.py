"""The flow of one response from the app to the client: messages in, messages out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any

from asgi_serial.cache.encodings import Encoded
from asgi_serial.cache.in_flight import CallResult
from asgi_serial.http.headers import content_length, contradicts, states_its_end
from asgi_serial.http.validators import is_not_modified
from asgi_serial.reasons import Reason
from asgi_serial.representation.problem import not_acceptable
from asgi_serial.representation.variant_fields import (
    Base,
    content_tag,
    not_modified_fields,
    represent,
    undecided_fields,
    with_shown_tag,
)
from asgi_serial.response.encoding import (
    encode_whole,
    is_slow,
    outcome_name,
    recall_bytes,
)
from asgi_serial.response.start import READS, reasons_of, result_of
from asgi_serial.timing.recorder import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.encodings import Encodings
    from asgi_serial.cache.entry import Entry
    from asgi_serial.caching.collector import Collector
    from asgi_serial.codecs.base import Codec, Encoder
    from asgi_serial.engine.engine import Engine
    from asgi_serial.representation.handed import Handed
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.start import ResponseStart
    from asgi_serial.types import Field, Fields, Message, Scope


class State(Enum):
    """The states of a response; `TRANSITIONS` lists those that may follow each."""

    START = "no message has come"
    HELD = "the start is held until the first body message shows what the body is"
    WHOLE = "the body is gathered, to be encoded in one go"
    STREAM = "each piece of the body is encoded as it comes"
    BUSY = "the whole body is being encoded in a thread"
    PASS = "messages pass as they are"
    DONE = "the last body message has passed"
    REPLACED = "another response was sent in its place"


# In CPython 3.11, looking up a member on its enum costs a descriptor call.
START, HELD, WHOLE, STREAM = State.START, State.HELD, State.WHOLE, State.STREAM
BUSY, PASS, DONE, REPLACED = State.BUSY, State.PASS, State.DONE, State.REPLACED


TRANSITIONS: Mapping[State, frozenset[State]] = {
    START: frozenset({PASS, HELD, STREAM, REPLACED}),
    HELD: frozenset({PASS, WHOLE, STREAM, BUSY, DONE}),
    WHOLE: frozenset({PASS, STREAM, BUSY, DONE}),
    STREAM: frozenset({DONE}),
    BUSY: frozenset({DONE}),
    PASS: frozenset({DONE}),
    DONE: frozenset(),
    REPLACED: frozenset(),
}
"""The states that may follow each state.

docs/explanation/architecture.md lists the messages in between.
"""

PATHSEND, ZEROCOPYSEND = "http.response.pathsend", "http.response.zerocopysend"
BODY_TYPE = "http.response.body"


class ResponseFlow:
    """Turns the messages of a response that does not pass into those sent to the client.

    `begin` returns the messages to send for the start, and `feed` those for a later message: a
    list, or from `feed` a single message. If `job` is set afterwards, it is work that would block
    the event loop for too long: the caller runs it in any thread, passes its result to `resume`,
    and sends what that returns. Once `is_over`, `entry` is to be stored, if it is set: before the
    last messages are sent if `is_end_sure`.
    """

    LAST_MESSAGES = (PATHSEND, ZEROCOPYSEND)
    """Messages of extensions that carry a whole body, or its end, as a file."""

    # Attributes that most responses never set have their default on the class.
    state = START
    collector: Collector | None = None  # collects the response to be stored
    unstored: Reason | None = None  # why it is not stored
    entry: Entry | None = None
    own_drop: float | None = None  # when this write has dropped the stored responses of its URI
    is_end_sure = True  # otherwise `entry` is stored only after the app has returned
    job: Callable[[], Any] | None = None
    app_bytes = encoded_bytes = sent_bytes = 0
    encoding_outcome = ""
    base: Base
    etag: bytes | None = None
    media_type = coding = ""
    handed: Handed | None = None  # a model that the app has encoded in the planned format
    encoder: Encoder | None = None
    gathered: list[bytes]
    more_reasons: tuple[Reason, ...] = ()
    _then: Callable[[Any], list[Message]]
    _is_not_modified = False
    _route: str | None = None

    def __init__(
        self, engine: Engine, request: RequestPlan, scope: Scope, response_start: ResponseStart
    ) -> None:
        self.engine = engine
        self.request = request
        self.scope = scope  # as passed to the app
        self.response_start = response_start
        self.start = response_start.message
        self.status = response_start.status
        self.plan = response_start.plan
        self.form_reasons = self.plan.reasons  # why the content is not in another form
        self.entry, self.unstored = response_start.entry, response_start.unstored
        self.collector, self.handed = response_start.collector, response_start.handed

    def begin(self) -> list[Message]:
        """Carry out the decisions of the response's start."""
        engine, request, start, plan = self.engine, self.request, self.response_start, self.plan
        if start.messages is not None:
            return self._replace(start.messages)
        pairs, fields = start.pairs, start.fields
        self.base = Base(
            [*pairs],  # it may wait for the body, and an app may use one list for all its responses
            fields,
            plan.vary,
            fields.get(b"etag"),
            plan.weak,
            engine.negotiator.tag_suffixes,
            is_read=request.method in READS
            or request.key is not None
            or self.collector is not None,
        )
        if plan.refused and request.method in READS:
            return self._refuse()
        if plan.passes:
            # A body to be stored is gathered if possible: it is given a tag, and may match a
            # condition.
            if self.collector is None:
                return self._begin_passing()
        elif request.method == "HEAD":
            return self._begin_head()
        elif plan.codec is not None and self._streams_at_once():
            return self._begin_stream(plan.codec)
        self._enter(HELD)
        return []

    def _enter(self, state: State) -> None:
        """Enter a state that `TRANSITIONS` allows; every change of state goes through here."""
        self.state = state

    def _replace(self, messages: tuple[Message, Message]) -> list[Message]:
        """Return messages to send instead of the response."""
        self._enter(REPLACED)
        start, last = messages
        form = self.request.forward.form
        assert form is not None  # they are those of a stored response
        self.coding, self.form_reasons = form.coding, form.reasons
        self.status = start["status"]
        self.app_bytes = self.encoded_bytes = self.sent_bytes = len(last["body"])
        return [start, last]

    def feed(self, message: Message) -> Message | list[Message]:
        """Handle another message of the app; return the messages to send for it."""
        kind = message["type"]
        if kind == "http.response.body":
            return self._feed_body(message)
        if self.state is REPLACED:
            return []
        held = self.release(Reason.NOT_A_BODY)
        passed = self._pass_file(message) if kind in self.LAST_MESSAGES else [message]
        return [*held, *passed]

    def _pass_file(self, message: Message) -> list[Message]:
        """Pass a message that makes the server send the content of a file."""
        self.forget(Reason.NOT_A_BODY)
        if message.get("more_body", False):
            return [] if self._is_not_modified else [message]
        if self.state is not DONE:
            self._enter(DONE)
        if self._is_not_modified:
            return [{"type": BODY_TYPE, "body": b"", "more_body": False}]
        return [message]

    def resume(self, result: Any) -> list[Message]:
        """Continue with the result of `job`."""
        self.job = None
        return self._then(result)

    def release(self, why: Reason) -> list[Message]:
        """Return the held messages unchanged."""
        if not self.is_holding:
            return []
        gathered = self.gathered if self.state is WHOLE else []
        self.note(why)
        messages = self._begin_passing()
        if gathered:
            body = b"".join(gathered)
            self.app_bytes = 0  # counted on arrival, and again when they are sent
            rest: Message = {"type": BODY_TYPE, "body": body, "more_body": True}
            messages.append(self._passed(rest, body, more=True))
        return messages

    def wait_for_client(self, *, has_said_all: bool = False) -> list[Message]:
        """Return the held messages, since the app waits for the client's next message.

        The client may be waiting for the start before it sends anything. If it `has_said_all`, the
        app only waits for a disconnect, as a Starlette StreamingResponse does: then a body is still
        translated, and a small body of known length is still compressed.
        """
        plan = self.plan
        if has_said_all and (plan.media_type or not plan.weak):
            return []
        # A body of known length is not streamed: only when whole can it be seen to shrink.
        if (
            self.state is HELD
            and plan.codec is not None
            and (plan.weak or plan.must_encode)
            and not plan.media_type
            and not self._may_send_file()
        ):
            return self._begin_stream(plan.codec)
        return self.release(Reason.BODY_NOT_WHOLE)

    def _may_send_file(self) -> bool:
        """Whether the server offers to send the body from a file, which cannot be encoded.

        Then no coding is named until the first message of the body shows that it is not a file.
        """
        return PATHSEND in (self.scope.get("extensions") or ())

    def lose_client(self) -> list[Message]:
        """Store nothing for a client that has left, unless the whole body has passed.

        RFC 9112, 8: a response with a Content-Length is complete once that many bytes have arrived.
        Its client may leave before the app sends an empty last message, and the app may stop then.
        """
        if self._has_passed_whole():
            self._finish(0)
            return []
        self.forget(Reason.CLIENT_LEFT)
        return self.release(Reason.CLIENT_LEFT)

    def _has_passed_whole(self) -> bool:
        return (
            self.state is PASS
            and self.collector is not None
            and content_length(self.base.fields) == self.app_bytes
        )

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
                return self._complete(bytes(body), len(body))
            plan = self.plan
            if self._gathers(len(body)):
                self._enter(WHOLE)
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
            return self._complete(b"".join(gathered), len(body))
        return [] if state is REPLACED else message

    def _gathers(self, size: int) -> bool:
        """Whether a body whose first piece has this size is held until it is whole."""
        plan = self.plan
        if plan.media_type or plan.codec is not None:
            # A body that is not weak has a known length, within the limit for gathered bodies. The
            # client of an event stream gets each event at once.
            return bool(plan.media_type) or not (plan.weak or plan.event_stream)
        # The last piece may be empty, and a body that is already complete can be given a tag. A
        # client of an app that produces its body slowly must not wait for one.
        return self._wants_tag() and content_length(self.base.fields) == size

    def _wants_tag(self) -> bool:
        # RFC 9110, 8.8.3 and 9.3.4: a tag identifies the representation that GET returns; only the
        # app may send one in response to PUT.
        return self.base.etag is None and self.request.method == "GET"

    def _refuse(self) -> list[Message]:
        self._enter(REPLACED)
        self.status = 406
        self.collector = None
        problem = not_acceptable(self.engine.negotiator.media_types, self.plan.vary)
        self.note(Reason.NOT_ACCEPTABLE)
        messages = problem.messages(is_head=self.request.method == "HEAD")
        self.sent_bytes = len(messages[1]["body"])
        return messages

    def _begin_passing(self) -> list[Message]:
        self._enter(PASS)
        self._forget_handed()
        base = self.base
        condition = self.request.value_of(b"if-none-match")
        if self.status == 304 and base.etag is not None and condition is not None:
            base = self.base = with_shown_tag(base, base.etag, self.response_start.wants, condition)
        made, self.etag = represent(base, "", "", None)
        self._collect_from(made)
        if self._is_held_by_client():
            self._is_not_modified = True
            return [self._head(not_modified_fields(made), status=304)]
        return [self._head(made)]

    def _is_held_by_client(self) -> bool:
        """Whether the client has exactly this representation, according to its request's condition.

        RFC 9110, 13.1.2: 304 for GET and HEAD; an app that evaluates conditions has done so.
        """
        request = self.request
        return (
            self.status == 200
            and self.etag is not None
            and b"if-none-match" in request.profile.places
            and request.method in READS
            and is_not_modified(request.fields, self.etag, None, now=0.0)
        )

    def _begin_head(self) -> list[Message]:
        self._enter(PASS)
        self.collector = None
        plan, base = self.plan, self.base
        codec = plan.codec
        if codec is not None and self._streams_at_once():
            made, self.etag = represent(base._replace(weak=True), "", codec.name, None)
        elif codec is None and self.handed is not None:
            made, self.etag = represent(base, plan.media_type, "", None)
        else:
            # RFC 9110, 9.3.2: a HEAD may omit fields whose value is determined only while the
            # content is generated. Only then is it known whether compression pays off, whether the
            # values can be translated, and whether the content is a file.
            by_format = bool(plan.media_type) and self.handed is None
            made = undecided_fields(base, by_format=by_format)
        return [self._head(made)]

    def _streams_at_once(self) -> bool:
        """Whether the head alone decides that the response is encoded as a stream."""
        return self.plan.event_stream and not self._may_send_file()

    def _begin_stream(self, codec: Codec) -> list[Message]:
        self._enter(STREAM)
        self._forget_handed()
        self.coding = codec.name
        self.encoder = codec.encoder(event_stream=self.plan.event_stream)
        self.base = self.base._replace(weak=True)
        made, self.etag = represent(self.base, "", codec.name, None)
        self._collect_from(made)
        return [self._head(made)]

    def _forget_handed(self) -> None:
        # A body that is not whole is stored as the app made it, but here that is a negotiated
        # format.
        if self.handed is not None:
            self.forget(Reason.BODY_NOT_WHOLE)

    def _passed(self, message: Message, body: bytes, *, more: bool) -> Message:
        size = len(body)
        self.app_bytes += size
        self.encoded_bytes = self.app_bytes
        if self.collector is not None and size:
            self._collect(self.collector, bytes(body))
        if self._is_not_modified or (self.request.method == "HEAD" and not self.plan.passes):
            # There is no content to send, and the fields do not describe the app's body.
            message = {**message, "body": b""}
        elif self.request.method != "HEAD":
            self.sent_bytes += size
        if not more:
            self._finish(size)
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
            if self.collector is not None:
                self._collect(self.collector, encoded)
            if not more:
                self._finish(len(body))
            return [{"type": "http.response.body", "body": encoded, "more_body": more}]

        codec = self.plan.codec
        if codec is None or len(body) < codec.offload_bytes:
            return passed(encode())
        self.job, self._then = encode, passed
        return []

    def _gather(self, body: bytes) -> list[Message]:
        self.gathered.append(body)
        self.app_bytes += len(body)
        if self.app_bytes <= self.engine.settings.whole_limit:
            return []
        codec = self.plan.codec
        if codec is None:
            return self.release(Reason.BODY_NOT_WHOLE)
        self.app_bytes = 0
        gathered, self.gathered = b"".join(self.gathered), []
        self.note(Reason.BODY_NOT_WHOLE)
        return [*self._begin_stream(codec), *self._encode_piece(gathered, more=True)]

    def _complete(self, body: bytes, last_bytes: int) -> list[Message]:
        self.app_bytes = len(body)
        if self.collector is not None:
            self.is_end_sure = self._has_sure_end(last_bytes)
        if contradicts(self.base.fields, len(body)):
            return self._complete_contradiction(body)
        if self.plan.passes:
            if self.collector is not None and self._wants_tag():
                self._tag(content_tag(body))
            return self._emit(body, Encoded("", "", body, len(body)))
        plan, is_made = self.plan, self.handed is not None
        encodings = None if is_made else self._encodings_for(len(body))
        digest = b""
        if encodings is not None or (self.collector is not None and self._wants_tag()):
            digest = content_tag(body)
            if self._wants_tag():
                self._tag(digest)
            if encodings is not None:
                found = encodings.find(self.route(), digest, plan.media_type, outcome_name(plan))
                self.encoding_outcome = "hit" if found is not None else "miss"
                if found is not None:
                    return self._emit(body, found)
        settings = self.engine.settings
        if not is_slow(plan, len(body), is_made=is_made):
            encoded = encode_whole(plan, body, settings, is_made=is_made)
            return self._emit_made(body, digest, encodings, encoded)
        self.job = partial(encode_whole, plan, body, settings, is_made=is_made)
        self._then = partial(self._emit_made, body, digest, encodings)
        self._enter(BUSY)
        return []

    def _encodings_for(self, size: int) -> Encodings | None:
        """Return the cache of encodings, if it may hold a body of this size."""
        encodings = self.engine.encodings
        if encodings is None:
            return None
        least = recall_bytes(self.plan)
        # Most bodies are small, and do not need their route determined.
        if size < least:
            return None
        return encodings if encodings.wants(self.route(), size, min_bytes=least) else None

    def _has_sure_end(self, last_bytes: int) -> bool:
        # Content that arrives whole in the last message cannot have been truncated; no content can.
        is_one_piece = 0 < last_bytes == self.app_bytes
        return is_one_piece or states_its_end(self.status, self.base.fields)

    def _tag(self, digest: bytes) -> None:
        if self.status == 200:
            self.base = self.base.tagged(digest)

    def _complete_contradiction(self, body: bytes) -> list[Message]:
        # The app's Content-Length differs from its body: the body is sent as it is, and not stored.
        messages = self.release(Reason.INCOMPLETE)
        self.app_bytes = self.sent_bytes = 0
        self.forget(Reason.INCOMPLETE)
        last: Message = {"type": "http.response.body", "body": body, "more_body": False}
        return [*messages, self._passed(last, body, more=False)]

    def _emit_made(
        self,
        body: bytes,
        digest: bytes,
        encodings: Encodings | None,
        encoded: Encoded,
    ) -> list[Message]:
        """Send a body that has just been encoded, and remember it in `encodings`."""
        if encodings is not None:
            encodings.keep(digest, self.plan.media_type, outcome_name(self.plan), encoded)
        return self._emit(body, encoded)

    def _emit(self, body: bytes, encoded: Encoded) -> list[Message]:
        media_type, coding, content, self.encoded_bytes, reasons = encoded
        self.more_reasons += reasons
        self.media_type, self.coding = media_type, coding
        made, self.etag = represent(self.base, media_type, coding, content)
        if self.collector is not None:
            base, handed, route = self.base, self.handed, self.recorded_route()
            sure = self.is_end_sure
            self._keep(
                self.collector.take_whole(
                    base,
                    made,
                    self.etag,
                    body,
                    encoded,
                    handed,
                    route,
                    self.more_reasons,
                    is_end_sure=sure,
                )
            )
        self._enter(DONE)
        if self._is_held_by_client():
            return [
                self._head(not_modified_fields(made), status=304),
                {"type": "http.response.body", "body": b"", "more_body": False},
            ]
        self.sent_bytes = len(content)
        return [
            self._head(made),
            {"type": "http.response.body", "body": content, "more_body": False},
        ]

    def _collect_from(self, fields: Fields) -> None:
        if self.collector is not None:
            self.collector.begin(self.base, fields, self.coding, self.etag)

    def _collect(self, collector: Collector, content: bytes) -> None:
        why = collector.add(content)
        if why is not None:
            self.forget(why)

    def _keep(self, built: Entry | Reason) -> None:
        if isinstance(built, Reason):
            self.forget(built)
            return
        why = self.engine.responses.why_not_kept(built, self.request.asked, own_drop=self.own_drop)
        if why is None:
            self.entry = built
        else:
            self.forget(why)

    def let_go(self) -> None:
        """Release the memory of the collected body."""
        if self.collector is not None:
            self.collector.let_go()
            self.collector = None

    def forget(self, why: Reason) -> None:
        """Do not store this response after all."""
        if self.collector is not None:
            self.let_go()
            self.unstored = why

    def note(self, why: Reason) -> None:
        """Add a reason why something was not done."""
        self.more_reasons = (*self.more_reasons, why)

    def _finish(self, last_bytes: int) -> None:
        self._enter(DONE)
        if self.collector is not None:
            self.is_end_sure = self._has_sure_end(last_bytes)
            self._keep(
                self.collector.finish(self.app_bytes, self.recorded_route(), self.more_reasons)
            )

    @property
    def is_holding(self) -> bool:
        """Whether messages of the app are held back."""
        return self.state is HELD or self.state is WHOLE

    @property
    def is_over(self) -> bool:
        """Whether the last message of the body has been returned."""
        return self.state is DONE or self.state is REPLACED

    @property
    def call_result(self) -> CallResult:
        """The result of a call whose response was not stored, for the requests that wait for it."""
        return result_of(self.status, self.unstored)

    def sizes(self) -> tuple[int, int, int]:
        """Return the sizes of the body: as the app made it, in its format, and as it was sent."""
        return self.app_bytes, self.encoded_bytes, self.sent_bytes

    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons why something was not done to this response."""
        reasons = reasons_of(self.request, self.form_reasons + self.more_reasons, self.unstored)
        return self.request.undecoded + reasons

    def recorded_route(self) -> str:
        """Return the label under which this response and its hits are recorded."""
        policy = self.request.policy
        return LEFT_OUT if policy is not None and policy.timing is False else self.route()

    def route(self) -> str:
        """Return the label of the route that the framework has left in the scope."""
        if self._route is None:
            self._route = self.engine.label(self.scope)
        return self._route

    def _head(self, made: Fields, *, status: int = 0) -> Message:
        """Return the start message with `made` and the fields that concern this response alone."""
        engine = self.engine
        if status:
            self.status = status
        if self.request.caching and engine.settings.cache_status:
            made.append(self._cache_status())
        return {**self.start, "status": self.status, "headers": made}

    def _cache_status(self) -> Field:
        stored = self.entry is not None and self.is_end_sure
        # A HEAD is not stored, but may have renewed the stored GET (RFC 9111, 4.3.5).
        detail = None if stored else self.unstored
        return self.engine.cache_status.forward_line(self.request, stored=stored, detail=detail)
