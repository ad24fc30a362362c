"""The flow of one response from the app to the client: messages in, steps out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from asgi_serial.cache.encodings import Encoded
from asgi_serial.cache.in_flight import CallResult
from asgi_serial.http.headers import content_length, contradicts, states_its_end
from asgi_serial.http.validators import is_not_modified
from asgi_serial.reasons import Reason
from asgi_serial.representation.problem import not_acceptable
from asgi_serial.representation.variant import (
    Base,
    content_tag,
    encode_whole,
    not_modified_fields,
    represent,
    undecided_fields,
    with_shown_tag,
)
from asgi_serial.response.start import READS, START_TYPE, reasons_of, result_of
from asgi_serial.response.steps import (
    BUSY,
    DONE,
    HELD,
    HOLD,
    PASS,
    REPLACED,
    START,
    STREAM,
    WHOLE,
    Step,
    Store,
    StoreOnReturn,
    Unstored,
)
from asgi_serial.timing.recorder import LEFT_OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from asgi_serial.cache.encodings import Encodings
    from asgi_serial.cache.entry import Entry
    from asgi_serial.caching.collector import Collector
    from asgi_serial.codecs.base import Codec, Encoder
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.response.start import ResponseStart
    from asgi_serial.response.steps import Effect
    from asgi_serial.types import Field, Fields, Message, Scope

PATHSEND, ZEROCOPYSEND = "http.response.pathsend", "http.response.zerocopysend"
BODY_TYPE = "http.response.body"

# Where no cache takes part, nobody waits for the call.
_OVER = (Unstored(CallResult.UNCACHEABLE, is_over=True),)


class ResponseFlow:
    """Turns the messages of a response that does not pass into steps.

    `begin` returns the step for the start, `feed` for a later message, `resume` for the result of a
    job. `release`, `wait_for_client` and `lose_client` return the step for what happens to the
    app or its client in between. Each method of a state returns the messages to send; effects are
    noted where they arise, and go with the next step.
    """

    LAST_MESSAGES = (PATHSEND, ZEROCOPYSEND)
    """Messages of extensions that carry a whole body, or its end, as a file."""

    __slots__ = (
        "__dict__",  # of rare attributes, which have a default on the class
        "_effects",
        "_job",
        "app_bytes",
        "base",
        "coding",
        "collector",
        "encoded_bytes",
        "engine",
        "entry",
        "etag",
        "media_type",
        "more_reasons",
        "plan",
        "request",
        "response_start",
        "scope",
        "sent_bytes",
        "state",
        "status",
        "unstored",
    )

    base: Base
    etag: bytes | None
    collector: Collector | None  # collects the response to be stored
    unstored: Reason | None  # why it is not stored
    entry: Entry | None  # to be stored at the end of the body
    more_reasons: tuple[Reason, ...]
    _effects: tuple[Effect, ...]  # of the next step
    _job: Callable[[], Any] | None  # of the next step
    own_drop: float | None = None  # when this write has dropped the stored responses of its URI
    is_end_sure = True  # otherwise the entry is stored only after the app has returned
    encoding_outcome = ""
    encoder: Encoder | None = None
    gathered: list[bytes]
    _then: Callable[[Any], list[Message]]
    _start: Message | None = None  # what the app has sent, if it is more than usual
    _is_not_modified = False
    _route: str | None = None

    def __init__(
        self,
        engine: Engine,
        request: RequestPlan,
        scope: Scope,
        response_start: ResponseStart,
        own_drop: float | None = None,
    ) -> None:
        self.engine = engine
        self.request = request
        self.scope = scope  # as passed to the app
        self.response_start = response_start
        self.status = response_start.status
        self.plan = response_start.plan
        self.entry = response_start.entry
        self.unstored = response_start.unstored
        self.collector = response_start.collector
        if own_drop is not None:
            self.own_drop = own_drop
        self.state = START
        self.app_bytes = self.encoded_bytes = self.sent_bytes = 0
        self.etag = self._job = None
        self.media_type = self.coding = ""
        self.more_reasons = self._effects = ()

    def begin(self) -> Step:
        """Carry out the decisions of the response's start."""
        start = self.response_start
        if start.messages is not None:
            return self._step(self._replace(start.messages))
        messages = self._begin(start)
        if self.collector is None and self.request.caching and not self._effects:
            self._tell(is_over=False)
        elif not messages:
            return HOLD
        return self._step(messages)

    def feed(self, message: Message) -> Step:
        """Handle another message of the app."""
        kind = message["type"]
        if kind == BODY_TYPE:
            body, more = message.get("body", b""), message.get("more_body", False)
            state = self.state
            if state is HELD:
                messages = self._take_first(message, body) if more else self._complete(bytes(body))
            elif state is PASS:
                messages = [self._passed(message, body, more=more)]
            elif state is STREAM:
                messages = self._encode_piece(bytes(body), more=more)
            elif state is WHOLE:
                messages = self._gather(bytes(body)) if more else self._complete_gathered(body)
            else:
                messages = [] if state is REPLACED else [message]
        elif self.state is REPLACED:
            messages = []
        else:
            messages = self._release(Reason.NOT_A_BODY)
            messages += self._pass_file(message) if kind in self.LAST_MESSAGES else [message]
        return self._step(messages)

    def resume(self, result: Any) -> Step:
        """Continue with the result of a job."""
        return self._step(self._then(result))

    def release(self, why: Reason) -> Step:
        """Release the held messages unchanged."""
        return self._step(self._release(why))

    def wait_for_client(self, *, has_said_all: bool = False) -> Step:
        """Release the held messages, since the app waits for the client's next message.

        The client may be waiting for the start before it sends anything. If it `has_said_all`, the
        app only waits for a disconnect, as a Starlette StreamingResponse does: then a body is still
        translated, and a small body of known length is still compressed.
        """
        plan = self.plan
        if has_said_all and (plan.media_type or not plan.weak):
            return self._step([])
        # A body of known length is not streamed: only when whole can it be seen to shrink.
        if (
            self.state is HELD
            and plan.codec is not None
            and (plan.weak or plan.must_encode)
            and not plan.media_type
            and not self._may_send_file()
        ):
            return self._step(self._begin_stream(plan.codec))
        return self._step(self._release(Reason.BODY_NOT_WHOLE))

    def lose_client(self) -> Step:
        """Store nothing for a client that has left, unless the whole body has passed.

        RFC 9112, 8: a response with a Content-Length is complete once that many bytes have arrived.
        Its client may leave before the app sends an empty last message, and the app may stop then.
        """
        if self._has_passed_whole():
            self._finish(0)
            return self._step([])
        self.forget(Reason.CLIENT_LEFT)
        return self._step(self._release(Reason.CLIENT_LEFT))

    def abandon(self) -> None:
        """Give up a response that the app has left incomplete."""
        self.let_go()
        self.note(Reason.INCOMPLETE)

    def forget(self, why: Reason) -> None:
        """Do not store this response after all."""
        if self.collector is not None:
            self.let_go()
            self.unstored = why
            self._tell(is_over=False)

    def _step(self, messages: list[Message]) -> Step:
        effects, job = self._effects, self._job
        if effects:
            self._effects = ()
        if job is not None:
            self._job = None
        return Step(messages, effects, job)

    def _begin(self, start: ResponseStart) -> list[Message]:
        request, plan, fields = self.request, self.plan, start.fields
        # The start may wait for the body, and an app may use one dict, and one list, for all.
        if len(start.message) > 3:
            self._start = {**start.message}
        self.base = Base(
            [*start.pairs],
            fields,
            plan.vary,
            fields.get(b"etag"),
            plan.weak,
            self.engine.negotiator.tag_suffixes,
            request.method in READS or request.key is not None or self.collector is not None,
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
        elif plan.event_stream and plan.codec is not None and not self._may_send_file():
            return self._begin_stream(plan.codec)
        self.state = HELD
        return []

    def _replace(self, messages: tuple[Message, Message]) -> list[Message]:
        """Return messages to send instead of the response."""
        self.state = REPLACED
        start, last = messages
        form = self.request.forward.form
        assert form is not None  # they are those of a stored response
        self.coding, self.plan = form.coding, self.plan._replace(reasons=form.reasons)
        self.status = start["status"]
        self.app_bytes = self.encoded_bytes = self.sent_bytes = len(last["body"])
        self._end()
        return [start, last]

    def _refuse(self) -> list[Message]:
        self.state = REPLACED
        self.status = 406
        self.collector = None
        problem = not_acceptable(self.engine.negotiator.media_types, self.plan.vary)
        self.note(Reason.NOT_ACCEPTABLE)
        messages = problem.messages(is_head=self.request.method == "HEAD")
        self.sent_bytes = len(messages[1]["body"])
        self._end()
        return messages

    def _pass_file(self, message: Message) -> list[Message]:
        """Pass a message that makes the server send the content of a file."""
        self.forget(Reason.NOT_A_BODY)
        if message.get("more_body", False):
            return [] if self._is_not_modified else [message]
        if self.state is not DONE:
            self.state = DONE
            self._end()
        if self._is_not_modified:
            return [{"type": BODY_TYPE, "body": b"", "more_body": False}]
        return [message]

    def _release(self, why: Reason) -> list[Message]:
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

    def _may_send_file(self) -> bool:
        """Whether the server offers to send the body from a file, which cannot be encoded.

        Then no coding is named until the first message of the body shows that it is not a file.
        """
        return PATHSEND in (self.scope.get("extensions") or ())

    def _has_passed_whole(self) -> bool:
        return (
            self.state is PASS
            and self.collector is not None
            and content_length(self.base.fields) == self.app_bytes
        )

    def _take_first(self, message: Message, body: bytes) -> list[Message]:
        """Decide how a body continues that does not end with its first piece."""
        plan = self.plan
        if self._gathers(len(body)):
            self.state = WHOLE
            self.gathered = []
            return self._gather(bytes(body))
        if plan.codec is not None:
            return [*self._begin_stream(plan.codec), *self._encode_piece(bytes(body), more=True)]
        return [*self._begin_passing(), self._passed(message, body, more=True)]

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

    def _begin_passing(self) -> list[Message]:
        self.state = PASS
        self._forget_encoded_model()
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
            self.etag is not None
            and self.status == 200
            and b"if-none-match" in request.profile.places
            and request.method in READS
            and is_not_modified(request.fields, self.etag, None, now=0.0)
        )

    def _begin_head(self) -> list[Message]:
        self.state = PASS
        self.collector = None
        plan, base = self.plan, self.base
        codec = plan.codec
        if codec is not None and plan.event_stream and not self._may_send_file():
            made, self.etag = represent(base._replace(weak=True), "", codec.name, None)
        elif codec is None and self.response_start.encoded_model is not None:
            made, self.etag = represent(base, plan.media_type, "", None)
        else:
            # RFC 9110, 9.3.2: a HEAD may omit fields whose value is determined only while the
            # content is generated. Only then is it known whether compression pays off, whether the
            # values can be translated, and whether the content is a file.
            by_format = bool(plan.media_type) and self.response_start.encoded_model is None
            made = undecided_fields(base, by_format=by_format)
        return [self._head(made)]

    def _begin_stream(self, codec: Codec) -> list[Message]:
        self.state = STREAM
        self._forget_encoded_model()
        self.coding = codec.name
        self.encoder = codec.encoder(event_stream=self.plan.event_stream)
        self.base = self.base._replace(weak=True)
        made, self.etag = represent(self.base, "", codec.name, None)
        self._collect_from(made)
        return [self._head(made)]

    def _forget_encoded_model(self) -> None:
        # A body that is not whole is stored as the app made it, but here that is a negotiated
        # format.
        if self.response_start.encoded_model is not None:
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
            return [{"type": BODY_TYPE, "body": encoded, "more_body": more}]

        codec = self.plan.codec
        if codec is None or len(body) < codec.offload_bytes:
            return passed(encode())
        self._job, self._then = encode, passed
        return []

    def _gather(self, body: bytes) -> list[Message]:
        self.gathered.append(body)
        self.app_bytes += len(body)
        if self.app_bytes <= self.engine.settings.whole_limit:
            return []
        codec = self.plan.codec
        if codec is None:
            return self._release(Reason.BODY_NOT_WHOLE)
        self.app_bytes = 0
        gathered, self.gathered = b"".join(self.gathered), []
        self.note(Reason.BODY_NOT_WHOLE)
        return [*self._begin_stream(codec), *self._encode_piece(gathered, more=True)]

    def _complete_gathered(self, last: bytes) -> list[Message]:
        gathered, self.gathered = [*self.gathered, last], []
        return self._complete(b"".join(gathered), len(last))

    def _complete(self, body: bytes, last_bytes: int | None = None) -> list[Message]:
        """Return the messages for a whole body, of which the last piece has `last_bytes`."""
        size = self.app_bytes = len(body)
        plan, collector = self.plan, self.collector
        is_made = self.response_start.encoded_model is not None
        if collector is not None:
            self.is_end_sure = self._has_sure_end(size if last_bytes is None else last_bytes)
        if contradicts(self.base.fields, size):
            return self._complete_contradiction(body)
        if plan.passes:
            if collector is not None and self._wants_tag():
                self._tag(content_tag(body))
            return self._emit(body, Encoded("", "", body, size))
        encodings = self.engine.encodings
        # Most bodies are small, and do not need their route determined.
        if encodings is not None and (
            is_made
            or size < plan.recall_bytes
            or not encodings.wants(self.route(), size, min_bytes=plan.recall_bytes)
        ):
            encodings = None
        digest = b""
        if encodings is not None or (collector is not None and self._wants_tag()):
            digest = content_tag(body)
            if self._wants_tag():
                self._tag(digest)
            if encodings is not None:
                found = encodings.find(self.route(), digest, plan.media_type, _outcome_name(plan))
                self.encoding_outcome = "hit" if found is not None else "miss"
                if found is not None:
                    return self._emit(body, found)
        translation = None if is_made else plan.translation
        media_type, codec, must_encode = plan.media_type, plan.codec, plan.must_encode
        settings = self.engine.settings
        if size < plan.offload_bytes or not self._is_slow(size):
            encoded = encode_whole(body, media_type, translation, codec, must_encode, settings)
            return self._emit(body, encoded, digest, encodings)
        self._job = partial(
            encode_whole, body, media_type, translation, codec, must_encode, settings
        )
        self._then = partial(self._emit, body, digest=digest, encodings=encodings)
        self.state = BUSY
        return []

    def _is_slow(self, size: int) -> bool:
        """Whether encoding takes too long, for a size from which one of its steps does."""
        codec = self.plan.codec
        # A model that was handed over is not translated any more.
        return self.response_start.encoded_model is None or (
            codec is not None and size >= codec.offload_bytes
        )

    def _has_sure_end(self, last_bytes: int) -> bool:
        # Content that arrives whole in the last message cannot have been truncated; no content can.
        is_one_piece = 0 < last_bytes == self.app_bytes
        return is_one_piece or states_its_end(self.status, self.base.fields)

    def _tag(self, digest: bytes) -> None:
        if self.status == 200:
            self.base = self.base.tagged(digest)

    def _complete_contradiction(self, body: bytes) -> list[Message]:
        # The app's Content-Length differs from its body: the body is sent as it is, and not stored.
        messages = self._release(Reason.INCOMPLETE)
        self.app_bytes = self.sent_bytes = 0
        self.forget(Reason.INCOMPLETE)
        last: Message = {"type": BODY_TYPE, "body": body, "more_body": False}
        return [*messages, self._passed(last, body, more=False)]

    def _emit(
        self,
        body: bytes,
        encoded: Encoded,
        digest: bytes = b"",
        encodings: Encodings | None = None,
    ) -> list[Message]:
        """Send a whole body as `encoded`; remember that in `encodings` if it was just made."""
        if encodings is not None:
            encodings.keep(digest, self.plan.media_type, _outcome_name(self.plan), encoded)
        self.media_type, self.coding, content, self.encoded_bytes, reasons = encoded
        if reasons:
            self.more_reasons += reasons
        made, self.etag = represent(self.base, self.media_type, self.coding, content)
        if self.collector is not None:
            self._keep(
                self.collector.take_whole(
                    self.base,
                    made,
                    self.etag,
                    body,
                    encoded,
                    self.response_start.encoded_model,
                    self.recorded_route(),
                    self.more_reasons,
                    is_end_sure=self.is_end_sure,
                )
            )
        self.state = DONE
        if self.etag is not None and self._is_held_by_client():
            head, content = self._head(not_modified_fields(made), status=304), b""
        else:
            head, self.sent_bytes = self._head(made), len(content)
        self._end()
        return [head, {"type": BODY_TYPE, "body": content, "more_body": False}]

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

    def note(self, why: Reason) -> None:
        """Add a reason why something was not done."""
        self.more_reasons = (*self.more_reasons, why)

    def _finish(self, last_bytes: int) -> None:
        self.state = DONE
        if self.collector is not None:
            self.is_end_sure = self._has_sure_end(last_bytes)
            self._keep(
                self.collector.finish(self.app_bytes, self.recorded_route(), self.more_reasons)
            )
        self._end()

    def _end(self) -> None:
        """Note what becomes of the complete response."""
        entry = self.entry
        if entry is None:
            if self.request.caching:
                self._tell(is_over=True)
            else:
                self._effects += _OVER
        elif self.is_end_sure:
            # A HEAD has renewed the entry when it started, and others may have stored meanwhile.
            start = self.response_start
            is_checked = start.entry is None or start.messages is not None
            self._effects += (Store(entry, is_checked),)
            self.let_go()
        else:
            collector = self.collector
            assert collector is not None  # it has made the entry
            collector.pending, self.entry = entry, None
            self._effects += (StoreOnReturn(collector),)

    def _tell(self, *, is_over: bool) -> None:
        self._effects += (Unstored(result_of(self.status, self.unstored), is_over),)

    @property
    def is_holding(self) -> bool:
        """Whether messages of the app are held back."""
        return self.state is HELD or self.state is WHOLE

    def sizes(self) -> tuple[int, int, int]:
        """Return the sizes of the body: as the app made it, in its format, and as it was sent."""
        return self.app_bytes, self.encoded_bytes, self.sent_bytes

    def reasons(self) -> tuple[Reason, ...]:
        """Return the reasons why something was not done to this response."""
        reasons = reasons_of(self.request, self.plan.reasons + self.more_reasons, self.unstored)
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
        if status:
            self.status = status
        if self.request.caching and self.engine.settings.cache_status:
            made.append(self._cache_status())
        if self._start is None:
            return {"type": START_TYPE, "status": self.status, "headers": made}
        return {**self._start, "status": self.status, "headers": made}

    def _cache_status(self) -> Field:
        stored = self.entry is not None and self.is_end_sure
        # A HEAD is not stored, but may have renewed the stored GET (RFC 9111, 4.3.5).
        detail = None if stored else self.unstored
        return self.engine.cache_status.forward_line(self.request, stored=stored, detail=detail)


def _outcome_name(plan: ResponsePlan) -> str:
    """Return the name under which an encoded body is remembered.

    A body that must be encoded has another: its encoded form may be longer than the body.
    """
    if plan.codec is None:
        return ""
    return f"{plan.codec.name} only" if plan.must_encode else plan.codec.name
