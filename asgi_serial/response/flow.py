"""The flow of a response from the app to the client: states that take messages in, and steps out.

The states stand below in the order of a response's life. Each method handles one kind of input and
returns the next state. Their return types are the table of docs/explanation/architecture.md: mypy
refuses any other change of state, and a test compares them with the page.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from asgi_serial.cache.encodings import Encoded
from asgi_serial.http.headers import content_length, contradicts
from asgi_serial.reasons import Reason
from asgi_serial.representation.problem import not_acceptable
from asgi_serial.representation.variant import (
    content_tag,
    encode_whole,
    not_modified_fields,
    represent,
    undecided_fields,
    with_shown_tag,
)
from asgi_serial.response.files import FILE_TYPES, FileParts
from asgi_serial.response.response import Response
from asgi_serial.response.start import READS
from asgi_serial.response.steps import HOLD, Step

if TYPE_CHECKING:
    from asgi_serial.cache.encodings import Encodings
    from asgi_serial.codecs.base import Codec, Encoder
    from asgi_serial.engine.preferences import ResponsePlan
    from asgi_serial.types import Message

BODY_TYPE = "http.response.body"


class ResponseFlow(Response):
    """A response whose state takes the messages of the app, and what else happens to it."""

    __slots__ = ("state",)

    state: State

    def begin(self) -> Step:
        """Carry out the decisions of the response's start."""
        self.messages = []
        state = self.state = START.begin(self)
        if self.collector is None and self.request.caching and not self.effects:
            # Nothing will be stored: those who wait for this call need not wait for its body.
            self.tell(is_over=False)
        elif state is HELD:
            return HOLD
        return self._step()

    def feed(self, message: Message) -> Step:
        """Handle another message of the app."""
        self.messages = []
        state, kind = self.state, message["type"]
        if kind == BODY_TYPE:
            body = message.get("body", b"")
            if message.get("more_body", False):
                self.state = state.take_piece(self, message, body)
            else:
                self.state = state.take_last(self, message, body)
        elif kind in FILE_TYPES:
            self.state = state.take_file(self, message)
        else:
            self.state = state.take_other(self, message)
        return self._step()

    def resume(self, result: Any) -> Step:
        """Continue with the result of a job."""
        self.messages = []
        self.state = self.state.resume(self, result)
        return self._step()

    def release(self, why: Reason) -> Step:
        """Release the held messages unchanged."""
        self.messages = []
        self.state = self.state.release(self, why)
        return self._step()

    def wait_for_client(self, *, has_said_all: bool = False) -> Step:
        """Release the held messages, since the app waits for the client's next message.

        The client may be waiting for the start before it sends anything. If it `has_said_all`, the
        app only waits for a disconnect, as a Starlette StreamingResponse does: then a body is still
        translated, and a small body of known length is still compressed.
        """
        self.messages, plan = [], self.plan
        if not (has_said_all and (plan.media_type or not plan.weak)):
            self.state = self.state.wait_for_client(self)
        return self._step()

    def lose_client(self) -> Step:
        """Store nothing for a client that has left, unless the whole body has passed."""
        self.messages = []
        self.state = self.state.lose_client(self)
        return self._step()

    @property
    def is_holding(self) -> bool:
        """Whether messages of the app are held back."""
        return self.state.is_holding

    def _step(self) -> Step:
        effects, job = self.effects, self.job
        if effects:
            self.effects = ()
        if job is not None:
            self.job = None
        # `Step(...)` would call a Python function for each message, at three times the cost.
        return tuple.__new__(Step, (self.messages, effects, job))


class State:
    """A state of a response: each method handles one kind of input and returns the next state.

    By default nothing is held back, and messages pass.
    """

    __slots__ = ()

    is_holding = False

    def take_piece(self, response: Response, message: Message, body: bytes) -> State:
        """Handle a body message with more to come."""
        response.messages.append(message)
        return self

    def take_last(self, response: Response, message: Message, body: bytes) -> State:
        """Handle the last body message."""
        response.messages.append(message)
        return self

    def take_file(self, response: Response, message: Message) -> State:
        """Handle a message that makes the server send the content of a file."""
        response.forget(Reason.NOT_A_BODY)
        response.messages.append(message)
        return self

    def take_other(self, response: Response, message: Message) -> State:
        """Handle a message of another kind."""
        response.messages.append(message)
        return self

    def release(self, response: Response, why: Reason) -> State:
        """Release the held messages unchanged."""
        return self

    def wait_for_client(self, response: Response) -> State:
        """Send what is held as far as possible, since the app waits for the client."""
        return self.release(response, Reason.BODY_NOT_WHOLE)

    def lose_client(self, response: Response) -> State:
        """Store nothing, since the client has left."""
        response.forget(Reason.CLIENT_LEFT)
        return self.release(response, Reason.CLIENT_LEFT)

    def resume(self, response: Response, result: Any) -> State:
        """Handle the result of the job that this state has left."""
        raise NotImplementedError


class Start:
    """No message has come.

    It is no `State`: a response leaves it in `ResponseFlow.begin`, before it takes other input.
    """

    __slots__ = ()

    def begin(self, response: Response) -> Pass | Held | Stream | Replaced:
        """Handle the start, about which everything is decided."""
        request, plan, start = response.request, response.plan, response.start
        if start.messages is not None:
            return _replace(response, start.messages)
        if plan.refused and request.method in READS:
            return _refuse(response)
        if plan.passes:
            # A body to be stored is gathered if possible: it is given a tag, and may match a
            # condition.
            return HELD if response.collector is not None else _pass(response)
        if request.method == "HEAD":
            return _pass_head(response)
        if plan.event_stream and plan.codec is not None:
            return _stream(response, plan.codec)
        return HELD


class _Holding(State):
    """The start is held, and perhaps a part of the body."""

    __slots__ = ()

    is_holding = True

    def take_file(self, response: Response, message: Message) -> Pass | Done:
        """Pass the file after what is held."""
        return self.release(response, Reason.NOT_A_BODY).take_file(response, message)

    def take_other(self, response: Response, message: Message) -> Pass:
        """Pass everything from now on, since the message may concern the body as it is."""
        passing = self.release(response, Reason.NOT_A_BODY)
        passing.take_other(response, message)
        return passing

    def release(self, response: Response, why: Reason) -> Pass:
        """Pass the start."""
        response.note(why)
        return _pass(response)


class Held(_Holding):
    """The start is held until the first body message shows what the body is."""

    __slots__ = ()

    def take_piece(
        self, response: Response, message: Message, body: bytes
    ) -> Whole | Stream | Pass:
        """Gather a body that is encoded when whole; begin to send any other."""
        if self._gathers(response, len(body)):
            return Whole().take_piece(response, message, body)
        codec = response.plan.codec
        state = _pass(response) if codec is None else _stream(response, codec)
        return state.take_piece(response, message, body)

    def _gathers(self, response: Response, size: int) -> bool:
        plan = response.plan
        if plan.media_type or plan.codec is not None:
            # A body that is not weak has a known length, within the limit for gathered bodies. The
            # client of an event stream gets each event at once.
            return bool(plan.media_type) or not (plan.weak or plan.event_stream)
        # The last piece may be empty, and a body that is already complete can be given a tag. A
        # client of an app that produces its body slowly must not wait for one.
        return response.wants_tag and content_length(response.base.fields) == size

    def take_last(self, response: Response, message: Message, body: bytes) -> Busy | Done:
        """Encode the body, which came in one piece."""
        return _complete(response, bytes(body), len(body))

    def wait_for_client(self, response: Response) -> Stream | Pass:
        """Send the start, with a coding if the body can be streamed."""
        plan, codec = response.plan, response.plan.codec
        # A body of known length is not streamed: only when whole can it be seen to shrink.
        can_stream = (plan.weak or plan.must_encode) and not plan.media_type
        if codec is not None and can_stream:
            return _stream(response, codec)
        return self.release(response, Reason.BODY_NOT_WHOLE)


class Whole(_Holding):
    """The body is gathered, to be encoded in one go."""

    __slots__ = ("_pieces",)

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def take_piece(
        self, response: Response, message: Message, body: bytes
    ) -> Whole | Stream | Pass:
        """Gather another piece; send them all if they are too many."""
        self._pieces.append(bytes(body))
        response.app_bytes += len(body)
        if response.app_bytes <= response.engine.settings.whole_limit:
            return self
        codec = response.plan.codec
        if codec is None:
            return self.release(response, Reason.BODY_NOT_WHOLE)
        response.note(Reason.BODY_NOT_WHOLE)
        response.app_bytes = 0  # counted again as it is sent
        return _stream(response, codec).take_piece(response, message, b"".join(self._pieces))

    def take_last(self, response: Response, message: Message, body: bytes) -> Busy | Done:
        """Encode the gathered body."""
        return _complete(response, b"".join([*self._pieces, body]), len(body))

    def release(self, response: Response, why: Reason) -> Pass:
        """Pass the start, and the gathered pieces as one."""
        passing, body = super().release(response, why), b"".join(self._pieces)
        response.app_bytes = 0  # counted again as it is sent
        message: Message = {"type": BODY_TYPE, "body": body, "more_body": True}
        return passing.take_piece(response, message, body)


class Busy(State):
    """The whole body is being encoded in a thread."""

    __slots__ = ("_body", "_digest", "_encodings")

    def __init__(self, body: bytes, digest: bytes, encodings: Encodings | None) -> None:
        self._body, self._digest, self._encodings = body, digest, encodings

    def resume(self, response: Response, result: Encoded) -> Done:
        """Send the encoded body."""
        return _send_whole(response, self._body, result, self._digest, self._encodings)


class Stream(State):
    """Each piece of the body is encoded as it comes."""

    __slots__ = ("_encoder", "_file", "_is_last", "_offload_bytes", "_size")

    def __init__(self, encoder: Encoder, offload_bytes: float) -> None:
        self._encoder = encoder
        self._offload_bytes = offload_bytes  # from this size on, a thread encodes a piece
        self._is_last, self._size = False, 0  # of the present piece
        self._file: FileParts | None = None  # to be sent as pieces

    def take_piece(self, response: Response, message: Message, body: bytes) -> Stream:
        """Encode a piece, so that the client can decode it at once."""
        self._encode(response, bytes(body))
        return self

    def take_last(self, response: Response, message: Message, body: bytes) -> Stream | Done:
        """Encode the last piece."""
        self._is_last = True
        return self._encode(response, bytes(body))

    def take_file(self, response: Response, message: Message) -> Stream:
        """Encode the content of a file, since the start has named a coding."""
        self._file = FileParts(message)
        response.job = self._encoded_part
        return self

    def _encode(self, response: Response, body: bytes) -> Stream | Done:
        size = self._size = len(body)
        if size < self._offload_bytes:
            return self.resume(response, self._encoded(body))
        response.job = partial(self._encoded, body)
        return self

    def _encoded(self, body: bytes) -> bytes:
        encoder = self._encoder
        if self._is_last:
            return encoder.feed(body, flush=False) + encoder.finish()
        return encoder.feed(body, flush=True)

    def _encoded_part(self) -> bytes:
        """Encode the next part of the file."""
        file = self._file
        assert file is not None
        part = file.read()
        self._size, self._is_last = len(part), file.is_at_end and not file.has_more
        if file.is_at_end:
            self._file = None
        return self._encoded(part)

    def resume(self, response: Response, result: bytes) -> Stream | Done:
        """Send the encoded piece."""
        is_last = self._is_last
        response.app_bytes += self._size
        response.encoded_bytes = response.app_bytes
        response.sent_bytes += len(result)
        response.collect(result)
        response.messages.append({"type": BODY_TYPE, "body": result, "more_body": not is_last})
        if is_last:
            response.finish_pieces(self._size)
            return DONE
        if self._file is not None:
            response.job = self._encoded_part
        return self


class Pass(State):
    """Messages pass as they are, or without content that the client does not get.

    A response that passes by its start alone (`ResponseStart.passes`) has no flow. This state is
    for any other that is sent as it comes and without a coding, such as a long one that is stored.
    """

    __slots__ = ("_is_not_modified",)

    def __init__(self, *, is_not_modified: bool) -> None:
        self._is_not_modified = is_not_modified  # a 304 was sent in place of the app's 200

    def take_piece(self, response: Response, message: Message, body: bytes) -> Pass:
        """Pass a piece, and collect it if the response is stored."""
        size = len(body)
        response.app_bytes += size
        response.encoded_bytes = response.app_bytes
        if size:
            response.collect(bytes(body))
        is_head = response.request.method == "HEAD"
        if self._is_not_modified or (is_head and not response.plan.passes):
            # There is no content to send, and the fields do not describe the app's body.
            message = {**message, "body": b""}
        elif not is_head:
            response.sent_bytes += size
        response.messages.append(message)
        return self

    def take_last(self, response: Response, message: Message, body: bytes) -> Done:
        """Pass the last piece."""
        self.take_piece(response, message, body)
        response.finish_pieces(len(body))
        return DONE

    def take_file(self, response: Response, message: Message) -> Pass | Done:
        """Pass the file, unless the client has its content."""
        response.forget(Reason.NOT_A_BODY)
        more = message.get("more_body", False)
        if not self._is_not_modified:
            response.messages.append(message)
        elif not more:
            response.messages.append({"type": BODY_TYPE, "body": b"", "more_body": False})
        if more:
            return self
        response.end()
        return DONE

    def lose_client(self, response: Response) -> Pass | Done:
        """Store nothing for a client that has left, unless the whole body has passed.

        RFC 9112, 8: a response with a Content-Length is complete once that many bytes have arrived.
        Its client may leave before the app sends an empty last message, and the app may stop then.
        """
        has_collector = response.collector is not None
        if has_collector and content_length(response.base.fields) == response.app_bytes:
            response.finish_pieces(0)
            return DONE
        response.forget(Reason.CLIENT_LEFT)
        return self


class Done(State):
    """The last body message has passed: it is for the server to judge what still comes."""

    __slots__ = ()


class Replaced(State):
    """Another response was sent in its place: what the app sends goes nowhere."""

    __slots__ = ()

    def take_piece(self, response: Response, message: Message, body: bytes = b"") -> Replaced:
        """Drop the message."""
        return self

    take_last = take_file = take_other = take_piece


START, HELD, DONE, REPLACED = Start(), Held(), Done(), Replaced()
_PASS, _NOT_MODIFIED = Pass(is_not_modified=False), Pass(is_not_modified=True)


def _replace(response: Response, messages: tuple[Message, Message]) -> Replaced:
    """Send a stored response in place of the app's."""
    form = response.request.forward.form
    assert form is not None  # the messages are made from it
    response.coding, response.plan = form.coding, response.plan._replace(reasons=form.reasons)
    start, last = messages
    response.status = start["status"]
    response.app_bytes = response.encoded_bytes = response.sent_bytes = len(last["body"])
    response.messages += messages
    response.end()
    return REPLACED


def _refuse(response: Response) -> Replaced:
    """Send a 406, since the client accepts nothing that can be given."""
    problem = not_acceptable(response.engine.negotiator.media_types, response.plan.vary)
    messages = problem.messages(is_head=response.request.method == "HEAD")
    response.status, response.collector = 406, None
    response.note(Reason.NOT_ACCEPTABLE)
    response.sent_bytes = len(messages[1]["body"])
    response.messages += messages
    response.end()
    return REPLACED


def _pass(response: Response) -> Pass:
    """Send the start of a body that is not encoded; or a 304, if the client has the body."""
    base, start = response.base, response.start
    condition = response.request.value_of(b"if-none-match")
    if response.status == 304 and base.etag is not None and condition is not None:
        response.base = with_shown_tag(base, base.etag, start.wants, condition)
    made = response.begin_pieces("")
    if response.is_held_by_client():
        response.send_head(not_modified_fields(made), status=304)
        return _NOT_MODIFIED
    response.send_head(made)
    return _PASS


def _pass_head(response: Response) -> Pass:
    """Send the start that a GET would have, as far as it does not depend on the content."""
    plan, base, codec = response.plan, response.base, response.plan.codec
    is_encoded_by_app = response.start.encoded_model is not None
    response.collector = None
    if codec is not None and plan.event_stream:
        made, response.etag = represent(base._replace(weak=True), "", codec.name, None)
    elif codec is None and is_encoded_by_app:
        made, response.etag = represent(base, plan.media_type, "", None)
    else:
        # RFC 9110, 9.3.2: a HEAD may omit fields whose value is determined only while the
        # content is generated. Only then is it known whether compression pays off, whether the
        # values can be translated, and whether the content is a file.
        made = undecided_fields(base, by_format=bool(plan.media_type) and not is_encoded_by_app)
    response.send_head(made)
    return _PASS


def _stream(response: Response, codec: Codec) -> Stream:
    """Send the start of a body that is encoded piece by piece."""
    encoder = codec.encoder(event_stream=response.plan.event_stream)
    response.base = response.base._replace(weak=True)
    response.send_head(response.begin_pieces(codec.name))
    return Stream(encoder, codec.offload_bytes)


def _complete(response: Response, body: bytes, last_bytes: int) -> Busy | Done:
    """Encode and send a whole body, whose last piece has `last_bytes`."""
    plan, collector, size = response.plan, response.collector, len(body)
    response.app_bytes = size
    if collector is not None:
        response.is_end_sure = response.has_sure_end(last_bytes)
    if contradicts(response.base.fields, size):
        return _send_contradiction(response, body)
    if plan.passes:
        if collector is not None and response.wants_tag:
            response.tag(content_tag(body))
        return _send_whole(response, body, Encoded("", "", body, size))
    is_encoded_by_app = response.start.encoded_model is not None
    encodings, digest = response.engine.encodings, b""
    # Most bodies are small, and do not need their route determined.
    if encodings is not None and (
        is_encoded_by_app
        or size < plan.recall_bytes
        or not encodings.wants(response.route(), size, min_bytes=plan.recall_bytes)
    ):
        encodings = None
    if encodings is not None or (collector is not None and response.wants_tag):
        digest = content_tag(body)
        if response.wants_tag:
            response.tag(digest)
    if encodings is not None:
        found = encodings.find(response.route(), digest, plan.media_type, _outcome_name(plan))
        response.encoding_outcome = "miss" if found is None else "hit"
        if found is not None:
            return _send_whole(response, body, found)
    parameters = (
        body,
        plan.media_type,
        None if is_encoded_by_app else plan.translation,
        plan.codec,
        plan.must_encode,
        response.engine.settings,
    )
    offload_bytes = plan.offload_bytes
    if is_encoded_by_app:  # it is not translated any more
        offload_bytes = inf if plan.codec is None else plan.codec.offload_bytes
    if size < offload_bytes:
        return _send_whole(response, body, encode_whole(*parameters), digest, encodings)
    response.job = partial(encode_whole, *parameters)
    return Busy(body, digest, encodings)


def _send_contradiction(response: Response, body: bytes) -> Done:
    """Send a body of another length than the app has stated as it is, and do not store it."""
    response.note(Reason.INCOMPLETE)
    passing = _pass(response)
    response.app_bytes = 0
    response.forget(Reason.INCOMPLETE)
    last: Message = {"type": BODY_TYPE, "body": body, "more_body": False}
    return passing.take_last(response, last, body)


def _send_whole(
    response: Response,
    body: bytes,
    encoded: Encoded,
    digest: bytes = b"",
    encodings: Encodings | None = None,
) -> Done:
    """Send a whole body as `encoded`; remember that in `encodings` if it was just made."""
    if encodings is not None:
        name = _outcome_name(response.plan)
        encodings.keep(digest, response.plan.media_type, name, encoded)
    response.media_type, response.coding, content, response.encoded_bytes, reasons = encoded
    if reasons:
        response.more_reasons += reasons
    made, response.etag = represent(response.base, response.media_type, response.coding, content)
    if response.collector is not None:
        response.keep(
            response.collector.take_whole(
                response.base,
                made,
                response.etag,
                body,
                encoded,
                response.start.encoded_model,
                response.recorded_route(),
                response.more_reasons,
                is_end_sure=response.is_end_sure,
            )
        )
    if response.etag is not None and response.is_held_by_client():
        response.send_head(not_modified_fields(made), status=304)
        content = b""
    else:
        response.send_head(made)
        response.sent_bytes = len(content)
    response.messages.append({"type": BODY_TYPE, "body": content, "more_body": False})
    response.end()
    return DONE


def _outcome_name(plan: ResponsePlan) -> str:
    """Return the name under which an encoded body is remembered.

    A body that must be encoded has another: its encoded form may be longer than the body.
    """
    if plan.codec is None:
        return ""
    return f"{plan.codec.name} only" if plan.must_encode else plan.codec.name
