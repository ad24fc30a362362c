"""A client's preferences among formats and codings (RFC 9110, 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.formats.registry import JSON, JSON_TYPE

if TYPE_CHECKING:
    from asgi_serial.codecs.base import Codec
    from asgi_serial.formats.base import Translation
    from asgi_serial.reasons import Reason
    from asgi_serial.types import Fields

Accepted: TypeAlias = tuple[bytes | None, bytes | None]
"""A request's Accept and Accept-Encoding."""


class TypeFacts(NamedTuple):
    """What is to be known of a Content-Type."""

    essence: bytes
    # The name of its format, if documents are translated from and to that. JSON is exactly
    # application/json in UTF-8: what is named +json keeps its meaning.
    format: str
    is_compressible: bool
    is_event_stream: bool


MAX_PLANS_BYTES = 128 << 10
"""What plans take for each way of wanting, of which there are some dozens: an app has few kinds of
responses."""


class Wants:
    """What a client wants of a response, and what is offered to it; shared by its equals.

    `plans` holds what was decided for the kinds of responses that have come, so that a route
    that answers alike is planned once.
    """

    __slots__ = (
        "acceptable",
        "accepts",
        "as_json",
        "coded_only",
        "coding",
        "compression",
        "formats",
        "hides_codings",
        "is_plain",
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
        as_json: frozenset[str],
        acceptable: bool,
        strict: bool,
    ) -> None:
        self.compression = compression  # whether responses are encoded here at all
        self.formats = formats  # whether documents are translated here at all
        # What it would get of what could be offered, whether or not it is: the handler may differ.
        self.accepts = (media_type, as_json, coding)
        self.coding = coding if compression else ""  # what it gets; "" for identity
        self.coded_only = coded_only  # it refuses identity, and accepts a coding that is here
        self.must_encode = coded_only and compression
        # The engine encodes, and an app that did too would leave it nothing to do but pass. Where
        # the engine has no coding that the client takes, the app may have one.
        self.hides_codings = bool(self.coding)
        self.media_type = media_type if formats else ""  # in place of JSON; "" for the app's own
        # The formats in whose place it gets JSON.
        self.as_json: frozenset[str] = as_json if formats else frozenset()
        # In place of whatever the app makes.
        own = (self.media_type,)
        self.media_types = (JSON_TYPE, *own) if self.as_json else own
        self.acceptable = acceptable  # whether it accepts one of the formats
        self.offers = compression or formats
        self.refused = strict and not acceptable  # a document in either format is a 406
        # The app's own will do: as it is, or at most encoded.
        self.may_pass = not self.media_type and (acceptable or not formats)
        self.is_plain = self.may_pass and not self.coding and not self.as_json
        self.plans: BoundedDict[object, ResponsePlan] = BoundedDict(MAX_PLANS_BYTES)

    def media_type_for(self, format: str) -> str:
        """Return the media type that is sent in place of a document in the app's `format`.

        It is empty for the app's own.
        """
        if format == JSON:
            return self.media_type
        return JSON_TYPE if format in self.as_json else ""


class ResponsePlan(NamedTuple):
    """What is to be done to a kind of response; nothing in it belongs to one of them."""

    negotiates: tuple[bool, bool]  # whether another client could have got another format, coding
    media_type: str  # to transcode to; "" for the app's own
    translation: Translation | None  # to that
    codec: Codec | None
    must_encode: bool  # even what is small, or does not shrink
    event_stream: bool
    weak: bool  # the bytes of an encoded variant depend on how the app cuts its body
    vary: bytes | None  # the whole value that Vary is to have; None leaves it as it is
    added: Fields  # the same as a field to add, where the app has none
    refused: bool  # 406 in its place
    passes: bool  # the bytes stay as the app makes them
    reasons: tuple[Reason, ...]
