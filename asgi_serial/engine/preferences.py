"""A client's preferences among formats and codings (RFC 9110, 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from asgi_serial.bounds.memo import BoundedDict
from asgi_serial.formats.registry import JSON, JSON_TYPE
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.codecs.base import Codec
    from asgi_serial.formats.base import Translation
    from asgi_serial.types import Fields

Accepted: TypeAlias = tuple[bytes | None, bytes | None]
"""A request's Accept and Accept-Encoding."""


class TypeFacts(NamedTuple):
    """Facts about a Content-Type."""

    essence: bytes
    # The name of the format, if its documents can be translated. JSON means application/json in
    # UTF-8; types with +json are not translated, as that would change their meaning.
    format: str
    is_compressible: bool
    is_event_stream: bool


MAX_PLANS_BYTES = 128 << 10
"""The memory for the plans of one set of preferences.

There are some dozens of sets, and an app has few kinds of responses.
"""


class Wants:
    """The preferences of a client, and the offers to it; shared by clients with equal ones.

    `plans` holds the plans by kind of response, so that similar responses are planned once.
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
        "media_type",
        "media_types",
        "must_encode",
        "offers",
        "passing",
        "plans",
        "refused",
        "uncoded",
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
        forbids: bool = False,
    ) -> None:
        self.compression = compression  # whether responses may be encoded
        self.formats = formats  # whether documents may be translated
        # The choices among all possible offers, also those that are turned off: the handler may
        # turn them on.
        self.accepts = (media_type, as_json, coding)
        self.coding = coding if compression else ""  # the chosen coding; "" for identity
        # Why none is chosen; `forbids` says that the client asks for no transformation.
        self.uncoded = (
            None if self.coding else _why_uncoded(compression=compression, forbids=forbids)
        )
        self.coded_only = coded_only  # the client refuses identity, but accepts an offered coding
        self.must_encode = coded_only and compression
        # If the engine encodes, the app should not, or its response would pass unchanged. If the
        # client accepts no coding of the engine's, the app may have one.
        self.hides_codings = bool(self.coding)
        self.media_type = media_type if formats else ""  # in place of JSON; "" for the app's own
        # The formats that JSON replaces.
        self.as_json: frozenset[str] = as_json if formats else frozenset()
        # All media types that may replace the app's own.
        own = (self.media_type,)
        self.media_types = (JSON_TYPE, *own) if self.as_json else own
        self.acceptable = acceptable  # whether it accepts one of the formats
        self.offers = compression or formats
        self.refused = strict and not acceptable  # any document is answered with 406
        self.plans: BoundedDict[object, ResponsePlan] = BoundedDict(MAX_PLANS_BYTES)
        # The decisions about kinds of responses that pass (see `start_response`).
        self.passing: BoundedDict[object, Any] = BoundedDict(MAX_PLANS_BYTES, shares_values=True)

    def why_own_format(self, types: TypeFacts) -> Reason | None:
        """Return why a client that prefers another format than the app's does not get it.

        None if it does, or if it takes the app's own.
        """
        media_type, as_json, _ = self.accepts
        wanted = media_type if types.format in ("", JSON) else types.format in as_json
        if wanted and not self.formats:
            return Reason.FORMATS_TURNED_OFF
        if wanted and not types.format:
            return Reason.TYPE_NOT_TRANSLATABLE
        if types.format and self.formats and not self.acceptable:
            return Reason.CLIENT_TAKES_NO_FORMAT
        return None

    def media_type_for(self, format: str) -> str:
        """Return the media type that replaces the app's `format`; "" for the app's own."""
        if format == JSON:
            return self.media_type
        return JSON_TYPE if format in self.as_json else ""


def _why_uncoded(*, compression: bool, forbids: bool) -> Reason:
    if not compression:
        return Reason.TURNED_OFF
    return Reason.REQUEST_NO_TRANSFORM if forbids else Reason.CLIENT_TAKES_NONE


class ResponsePlan(NamedTuple):
    """The treatment of a kind of response; it holds nothing of a single response."""

    negotiates: tuple[bool, bool]  # whether other clients could get another format, coding
    media_type: str  # the target of the translation; "" for the app's own
    translation: Translation | None
    codec: Codec | None
    offload_bytes: float  # the size from which encoding takes too long for the event loop
    recall_bytes: int  # the size from which finding an encoding that was made before saves time
    must_encode: bool  # encode even a body that is small or does not shrink
    event_stream: bool
    weak: bool  # the bytes of an encoded variant depend on how the app divides its body
    vary: bytes | None  # the whole new value of Vary; None leaves it unchanged
    added: Fields  # `vary` as a field to add, if the app sends no Vary
    refused: bool  # answer with 406
    passes: bool  # the app's bytes are sent unchanged
    reasons: tuple[Reason, ...]
    lasting: tuple[Reason, ...]  # those that hold for all who are sent the same bytes
