"""The request body: its limits, its decoding, and its part in the key."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from asgi_serial.cache.key import BodyPart
from asgi_serial.codecs.decoding import (
    DECODE_OFFLOAD_BYTES,
    LOOP_WORK,
    BodyDecoder,
    UnsupportedCoding,
)
from asgi_serial.errors import CodecError, FormatError, OutputLimitExceeded
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import content_length
from asgi_serial.reasons import Reason
from asgi_serial.representation.problem import Problem

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.formats.base import Translation
    from asgi_serial.request.plan import RequestPlan


def body_part(plan: RequestPlan, body: bytes) -> BodyPart:
    """Return the part of a key for a request body, with the fields that determine its meaning.

    `body` is the body that the app receives: decoded, or encoded together with its coding.
    """
    fields = plan.fields
    coding = None if plan.content_codings else fields.get(b"content-encoding")
    return fields.get(b"content-type"), coding, blake2b(body, digest_size=32).digest()


# Fields that describe the encoded body, and are wrong for the decoded one.
ENCODED_FIELDS = frozenset(
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
ENCODED_FIELDS_AND_TYPE = ENCODED_FIELDS | {b"content-type"}


class RequestBody:
    """Decodes and translates a request body for the app, within the limits."""

    def __init__(self, engine: Engine, plan: RequestPlan) -> None:
        self.plan = plan
        self._engine = engine
        decoder = self._decoder = BodyDecoder(
            plan.content_codings, engine.negotiator.codecs, engine.workers.decode_limits
        )
        self.feed = decoder.feed
        """Adds the next bytes of the body. Raises: OutputLimitExceeded."""
        self._translation = (
            engine.negotiator.translations[plan.body_format, JSON_TYPE]
            if plan.body_format
            else None
        )

    @property
    def encoded_bytes(self) -> int:
        """The number of bytes that have arrived so far."""
        return self._decoder.encoded_bytes

    def received(self) -> bytes:
        """Return the bytes that have arrived of a body without a content coding."""
        return self._decoder.finish()

    @property
    def is_translated(self) -> bool:
        """Whether the body was translated to JSON from another format."""
        return self._translation is not None

    def is_slow(self) -> bool:
        """Decode as much as the event loop may; return whether the rest needs a thread.

        Raises: CodecError.
        """
        decoder = self._decoder
        size = decoder.encoded_bytes
        if not size:
            return False
        if size >= DECODE_OFFLOAD_BYTES and self.plan.content_codings:
            return True
        if not decoder.decode(LOOP_WORK):
            return True
        translation = self._translation
        return translation is not None and decoder.decoded_bytes >= translation.offload_bytes

    def finish(self) -> bytes:
        """Return the body for the app; may run in a thread.

        Raises: CodecError, FormatError.
        """
        if not self._decoder.encoded_bytes:
            return b""  # an empty body has no coding, whatever Content-Encoding says
        body = self._decoder.finish()
        if self._translation is None:
            return body
        try:
            return self._translate(self._translation, body)
        except (OutputLimitExceeded, FormatError):
            if self.plan.reads_json:
                raise
            self._translation = None
            return body  # the app may be able to read the original document

    def _translate(self, translation: Translation, body: bytes) -> bytes:
        # During translation a document takes many times its size in memory.
        limit = self._engine.settings.format_max_size
        if len(body) > limit:
            raise OutputLimitExceeded(f"the document has more than {limit} bytes")
        return translation.translate(body)


def why_refused(engine: Engine, plan: RequestPlan) -> Problem | None:
    """Return the problem of a body that is refused by its head alone; None if it may be read."""
    codings, settings, decodable = (
        plan.content_codings,
        engine.settings,
        engine.negotiator.decodable,
    )
    for coding in codings:
        if coding not in decodable:
            return explain_refusal(engine, UnsupportedCoding(coding))
    length = content_length(plan.fields)
    if len(codings) > settings.max_codings:
        return Problem(
            400,
            Reason.BAD_ENCODED_BODY,
            f"The body has {len(codings)} codings; at most {settings.max_codings} are decoded.",
        )
    limit = settings.max_encoded
    if plan.body_format and not codings:
        limit = min(limit, settings.format_max_size)
    if length is not None and length > limit:
        return Problem(
            413,
            Reason.BODY_TOO_LARGE,
            f"The body has {length} bytes; at most {limit} are accepted.",
        )
    return None


def explain_refusal(engine: Engine, error: CodecError | FormatError) -> Problem:
    """Return the response to a request whose body cannot be decoded or translated."""
    detail = str(error)[:1].upper() + str(error)[1:] + "."
    if isinstance(error, UnsupportedCoding):
        # RFC 7694, 3: a 415 for an unsupported content coding should list the supported ones in
        # Accept-Encoding.
        accepted = (b"accept-encoding", ", ".join(engine.negotiator.decodable).encode())
        return Problem(415, Reason.UNSUPPORTED_CODING, detail, (accepted,))
    if isinstance(error, OutputLimitExceeded):
        return Problem(413, Reason.BODY_TOO_LARGE, detail)
    if isinstance(error, CodecError):
        return Problem(400, Reason.BAD_ENCODED_BODY, detail)
    return Problem(400, Reason.BAD_FORMAT_BODY, detail)
