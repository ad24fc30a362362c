"""What the app is given in place of the request that came: its scope, and its decoded body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.codecs.decoding import (
    DECODE_OFFLOAD_BYTES,
    LOOP_WORK,
    BodyDecoder,
    DecodeLimits,
    UnsupportedCoding,
)
from asgi_serial.engine.completion import ask_for_rest
from asgi_serial.engine.handed import EXTENSION, offer_models
from asgi_serial.engine.heads import content_length, without
from asgi_serial.engine.problem import Problem
from asgi_serial.engine.representation import tag_suffix
from asgi_serial.engine.validation import CONDITIONS, conditions_for
from asgi_serial.errors import CodecError, FormatError, OutputLimitExceeded
from asgi_serial.formats.transcoding import MSGPACK_OFFLOAD_BYTES
from asgi_serial.http.validators import (
    format_entity_tag,
    parse_entity_tags,
    unmap_condition,
)
from asgi_serial.reasons import Reason
from asgi_serial.routed import REQUEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan, Wants
    from asgi_serial.policy import RequestPolicy
    from asgi_serial.types import Field, Fields, Scope

ZEROCOPYSEND = "http.response.zerocopysend"

MARK = "asgi_serial"
"""The key in the scope by which an engine knows that another has this request in hand."""

# What describes the body as it was sent, and is not true of the decoded one.
_ENCODED_FIELDS = frozenset(
    {
        b"content-digest",
        b"content-encoding",
        b"content-length",
        b"content-md5",
        b"digest",
        b"repr-digest",
        b"transfer-encoding",
    }
)
_CONDITIONS = (b"if-none-match", b"if-match")


def mark(scope: Scope, engine: Engine) -> Scope:
    """A shallow copy of the scope by which an engine further in knows that it has nothing to do."""
    marked = dict(scope)  # in two thirds of the time that a literal of all its items takes
    marked[MARK] = engine
    return marked


def open_scope(scope: Scope, engine: Engine, request: RequestPolicy) -> Scope:
    """Mark a copy of the scope, by which it is known who speaks for the request."""
    marked = request.app_scope = mark(scope, engine)
    marked[REQUEST] = object()  # not the request, which refers to the scope
    return marked


def scope_without_codings(
    engine: Engine,
    scope: Scope,
    wants: Wants,
    fields: Mapping[bytes, bytes],
    request: RequestPolicy,
) -> Scope:
    """Return the scope for an app whose response may be encoded, and is changed in no other way.

    `fields` are those of the request, `wants` what its client wants by them.
    """
    marked = open_scope(scope, engine, request)
    if not wants.hides_codings:
        return marked
    accepted = fields.get(b"accept-encoding", b"")
    marked["headers"] = _without_line(marked["headers"], (b"accept-encoding", accepted))
    if "extensions" in marked:
        _hide_zero_copy(marked)
    return marked


def scope_for_app(engine: Engine, plan: RequestPlan, body: bytes | None) -> Scope:
    """A shallow copy of the scope, in which the request is as the app is to see it.

    `body` is the decoded body where it is not the one that came. The scope that the server gave,
    and its list of fields, stay as they are.
    """
    fields = plan.fields
    scope = open_scope(plan.scope, engine, plan)
    given: Fields = scope["headers"]
    pairs = given
    if body is not None:
        pairs = _decoded_fields(plan, pairs, body)
    if plan.wants.hides_codings and b"accept-encoding" in fields:
        pairs = _without_line(pairs, (b"accept-encoding", fields[b"accept-encoding"]))
    if plan.validates and plan.selected is not None:
        pairs = [*without(pairs, CONDITIONS | {b"range"}), *conditions_for(plan.selected)]
    elif plan.completes is not None:
        pairs = ask_for_rest(scope, pairs, plan.completes)
    elif b"if-none-match" in fields or b"if-match" in fields:
        pairs = _app_conditions(engine, plan, pairs)
    if plan.wants.media_type:
        pairs = _with_json_accepted(pairs)
        extensions = scope.get("extensions") or {}
        scope["extensions"] = {**extensions, EXTENSION: offer_models(engine, plan)}
    if pairs is not given:
        scope["headers"] = pairs
    # The client takes a coding, and the handler may yet turn compression on.
    if b"accept-encoding" in fields and "extensions" in scope:
        _hide_zero_copy(scope)
    return scope


def _hide_zero_copy(scope: Scope) -> None:
    """Leave out the offer to send parts of a body out of files: they could not be encoded.

    A whole body out of a file (pathsend) may stay: it comes instead of one, and passes as it is.
    """
    extensions = scope["extensions"] or {}
    if ZEROCOPYSEND in extensions:
        kept = {name: value for name, value in extensions.items() if name != ZEROCOPYSEND}
        scope["extensions"] = kept


def _without_line(pairs: Fields, line: Field) -> Fields:
    """A new list without any line of this name; `line` is most often the only one."""
    pairs = list(pairs)
    try:
        del pairs[pairs.index(line)]
    except ValueError:  # several lines, which `line` combines
        return without(pairs, {line[0]})
    return pairs


def _decoded_fields(plan: RequestPlan, pairs: Fields, body: bytes) -> Fields:
    dropped = set(_ENCODED_FIELDS)
    added: Fields = [(b"content-length", b"%d" % len(body))]
    if plan.msgpack_body:
        dropped.add(b"content-type")
        added.append((b"content-type", b"application/json"))
    return [*without(pairs, dropped), *added]


def _app_conditions(engine: Engine, plan: RequestPlan, pairs: Fields) -> Fields:
    """The conditions with the tags of our variants as the app's own.

    RFC 9110, 13.1.2: a condition is about the representation that this request would select:
    encoded, or as the app made it. A method that writes selects none; there a tag of any variant
    names the state of the resource that the client saw.
    """
    if plan.method in ("GET", "HEAD"):
        wants = plan.wants
        suffixes: tuple[bytes, ...] = tuple(
            tag_suffix(media_type, coding)
            for media_type in wants.media_types
            for coding in (wants.coding, "")
        )
    else:
        suffixes = tuple(engine.tag_suffixes)
    mapped = []
    is_read = plan.method in ("GET", "HEAD")
    for name, value in pairs:
        if name == b"if-none-match" and is_read and plan.wants.media_type:
            value = _only_of_format(value, suffixes)
            if not value:
                continue
        if name in _CONDITIONS:
            value = unmap_condition(value, suffixes, engine.tag_suffixes)
        mapped.append((name, value))
    return mapped


def _only_of_format(value: bytes, suffixes: tuple[bytes, ...]) -> bytes:
    """The condition without the tags of the app's own format, which is not the one selected.

    The app would answer 304 to one, and the client's cache go on with a format that it does not
    want.
    """
    tags = parse_entity_tags(value)
    if tags is None:
        return value
    endings = tuple([b"-" + suffix for suffix in suffixes])
    return b", ".join([format_entity_tag(tag) for tag in tags if tag.opaque.endswith(endings)])


def _with_json_accepted(pairs: Fields) -> Fields:
    # An app that takes Accept at its word would refuse a client of MessagePack, which it can not
    # make but we can. One that can make it still sees that the client prefers it.
    pairs = list(pairs)
    last, accepted = max(
        (place, value) for place, (name, value) in enumerate(pairs) if name == b"accept"
    )
    line = (b"accept", accepted + b", application/json;q=0.001")
    return [*pairs[:last], line, *pairs[last + 1 :]]


class RequestBody:
    """A request's body on its way to the app: within the limits, and decoded."""

    def __init__(self, engine: Engine, plan: RequestPlan) -> None:
        settings = engine.settings
        self.plan = plan
        self._engine = engine
        limits = DecodeLimits(
            settings.max_encoded, settings.max_decoded, settings.max_ratio, settings.max_codings
        )
        self._decoder = BodyDecoder(plan.content_codings, engine.all_codecs, limits)
        self._is_translated = plan.msgpack_body

    @property
    def encoded_bytes(self) -> int:
        """How many bytes have come so far."""
        return self._decoder.encoded_bytes

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body. Raises: OutputLimitExceeded."""
        self._decoder.feed(chunk)

    def received(self) -> bytes:
        """Return what has come of a body that has no content coding."""
        return self._decoder.finish()

    @property
    def is_translated(self) -> bool:
        """Whether the body is a document in JSON that came in MessagePack."""
        return self._is_translated

    def is_slow(self) -> bool:
        """Decode as much as the event loop may; return whether what is left belongs in a thread.

        Raises: CodecError.
        """
        decoder = self._decoder
        if not decoder.encoded_bytes:
            return False
        if decoder.encoded_bytes >= DECODE_OFFLOAD_BYTES or not decoder.decode(LOOP_WORK):
            return True
        return self.plan.msgpack_body and decoder.decoded_bytes >= MSGPACK_OFFLOAD_BYTES

    def finish(self) -> bytes:
        """The body as the app is to have it; may run in a thread.

        Raises: CodecError, FormatError.
        """
        if not self.encoded_bytes:
            return b""  # no body, whatever the head says of its coding
        body = self._decoder.finish()
        if not self.plan.msgpack_body:
            return body
        try:
            return self._translate(body)
        except (OutputLimitExceeded, FormatError):
            if self.plan.reads_json:
                raise
            self._is_translated = False
            return body  # the app may read what JSON cannot carry

    def _translate(self, body: bytes) -> bytes:
        # A document takes many times its size in memory while it is translated.
        limit = self._engine.settings.format_max_size
        if len(body) > limit:
            raise OutputLimitExceeded(f"the document has more than {limit} bytes")
        return self._engine.transcoder.msgpack_to_json(body)


def why_refused(engine: Engine, plan: RequestPlan) -> Problem | None:
    """What the head alone says against the body; None where it is to be read."""
    codings, settings = plan.content_codings, engine.settings
    unknown = [coding for coding in codings if coding not in engine.decodable]
    length = content_length(plan.fields)
    if unknown:
        return explain_refusal(engine, UnsupportedCoding(unknown[0]))
    if len(codings) > settings.max_codings:
        return Problem(
            400,
            Reason.BAD_ENCODED_BODY,
            f"The body has {len(codings)} codings; at most {settings.max_codings} are decoded.",
        )
    limit = settings.max_encoded
    if plan.msgpack_body and not codings:
        limit = min(limit, settings.format_max_size)
    if length is not None and length > limit:
        return Problem(
            413,
            Reason.BODY_TOO_LARGE,
            f"The body has {length} bytes; at most {limit} are accepted.",
        )
    return None


def explain_refusal(engine: Engine, error: CodecError | FormatError) -> Problem:
    """The response to a request whose body can not be had."""
    detail = str(error)[:1].upper() + str(error)[1:] + "."
    if isinstance(error, UnsupportedCoding):
        # RFC 7694, 3: a 415 for a content coding carries an Accept-Encoding with what is supported.
        accepted = (b"accept-encoding", ", ".join(engine.decodable).encode())
        return Problem(415, Reason.UNSUPPORTED_CODING, detail, (accepted,))
    if isinstance(error, OutputLimitExceeded):
        return Problem(413, Reason.BODY_TOO_LARGE, detail)
    if isinstance(error, CodecError):
        return Problem(400, Reason.BAD_ENCODED_BODY, detail)
    return Problem(400, Reason.BAD_FORMAT_BODY, detail)
