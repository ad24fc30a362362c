"""The collection of a response that will be stored, while it passes to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Entry, Representation
from asgi_serial.caching.stored_parts import build_part, restricted_to
from asgi_serial.errors import FormatError
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import contradicts, without
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant import reasons_of_own, represent

if TYPE_CHECKING:
    from asgi_serial.cache.encodings import Encoded
    from asgi_serial.caching.storing import StoreDecision
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan, Wants
    from asgi_serial.representation.encoded_model import EncodedModel
    from asgi_serial.representation.variant import Base
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields


def why_not_collected(
    plan: ResponsePlan, *, has_trailers: bool, client_left: bool
) -> Reason | None:
    """Return why the body of a response that may be stored is not collected; None if it is."""
    if has_trailers:
        return Reason.HAS_TRAILERS
    if client_left:
        return Reason.CLIENT_LEFT
    return Reason.EVENT_STREAM if plan.event_stream else None


class Collector:
    """Collects one response and builds its entry.

    The body is taken whole (`take_whole`), or piece by piece (`begin`, `add` and `finish`).
    """

    __slots__ = (
        "_base",
        "_coding",
        "_decision",
        "_engine",
        "_etag",
        "_fields",
        "_is_lost",
        "_pieces",
        "_plan",
        "_request",
        "_size",
        "_status",
        "_wants",
        "pending",
    )

    _base: Base
    _fields: Fields
    _coding: str
    _etag: bytes | None
    _pieces: list[bytes]

    def __init__(
        self,
        engine: Engine,
        request: RequestPlan,
        decision: StoreDecision,
        wants: Wants,
        plan: ResponsePlan,
        status: int,
    ) -> None:
        self._engine = engine
        self._request = request
        if request.forward.completes is not None:
            # What completes a part is stored for those who may get both.
            decision = restricted_to(decision, request.forward.completes)
        self._decision = decision
        self._wants = wants
        self._plan = plan
        self._status = status  # of the app's response
        self._size = 0  # of all pieces
        self._pieces = []
        self._is_lost = False  # other responses needed the room
        self.pending: Entry | None = None  # complete, to be stored once the app has returned

    def begin(self, base: Base, fields: Fields, coding: str, etag: bytes | None) -> None:
        """Begin to collect a body in pieces; the response is sent with these fields."""
        self._base, self._coding, self._etag = base, coding, etag
        self._fields = fields.copy()  # outer middlewares may change the list that is sent

    def add(self, content: bytes) -> Reason | None:
        """Collect a piece of the body as it is sent; return why not, if that is not possible."""
        why = self._hold(len(content))
        if why is None:
            self._pieces.append(content)
        return why

    def lose(self) -> None:
        """Drop everything: faster responses need the room (see `FairBudget`)."""
        self._is_lost = True
        self._pieces, self.pending = [], None

    def _hold(self, size: int) -> Reason | None:
        engine = self._engine
        if self._size + size > engine.settings.cache_max_object:
            return Reason.OBJECT_TOO_LARGE
        if self._is_lost or not engine.collecting.take(self, size):
            return Reason.TOO_MUCH_AT_ONCE
        self._size += size
        return None

    def let_go(self) -> None:
        """Give back the held bytes, once the response is stored or will not be."""
        if self._size:
            self._engine.collecting.give_back(self)
            self._pieces, self._size = [], 0

    def finish(
        self, app_bytes: int, route: str, reasons: tuple[Reason, ...] = ()
    ) -> Entry | Reason:
        """Return the entry of the collected response, or the reason why it is not stored.

        `reasons` are those of its representation, beyond those of its plan.
        """
        if contradicts(self._base.fields, app_bytes):
            # RFC 9111, 3.3: an incomplete response must not be stored as a complete one.
            return Reason.INCOMPLETE
        content, self._pieces = b"".join(self._pieces), []
        if self._is_lost:
            return Reason.TOO_MUCH_AT_ONCE
        fields = self._stored(self._fields)
        reasons = self._plan.lasting + reasons
        stored = Representation(fields, content, self._coding, self._etag, reasons)
        return self._build(self._base, stored, "", app_bytes, route)

    def take_whole(
        self,
        base: Base,
        fields: Fields,
        etag: bytes | None,
        body: bytes,
        encoded: Encoded,
        encoded_model: EncodedModel | None,
        route: str,
        reasons: tuple[Reason, ...],
        *,
        is_end_sure: bool,
    ) -> Entry | Reason:
        """Return the entry of a response with this body, which is sent as `encoded`.

        `reasons` are those of its representation, beyond those of its plan. `encoded_model` is set
        if the app has encoded `body` in the client's format itself. If the end is not sure, the
        bytes are held until the app has returned.
        """
        media_type, coding, content = encoded[:3]
        app_bytes = len(body)
        if encoded_model is not None:
            if body != encoded_model.content:
                # A middleware has changed the body: the model that was encoded is another document.
                return Reason.ALREADY_ENCODED
            try:
                body = encoded_model.encode(JSON_TYPE)
            except FormatError:
                return Reason.VALUE_NOT_CARRIED
            base = base._replace(pairs=encoded_model.json_fields(base.pairs, len(body)))
        size = len(content) + (len(body) if media_type else 0)
        if size > self._engine.settings.cache_max_object:
            return Reason.OBJECT_TOO_LARGE
        if not is_end_sure and (why := self._hold(size)) is not None:
            return why
        reasons = self._plan.lasting + reasons
        stored = Representation(self._stored(fields), content, coding, etag, reasons)
        entry = self._build(base, stored, media_type, app_bytes, route)
        if media_type and not isinstance(entry, Reason):
            # Every other variant can be derived from the app's own bytes, and from these only.
            own, etag = represent(base, "", "", None)
            made = Representation(self._stored(own), body, "", etag, reasons_of_own(self._plan))
            entry.add(("", ""), made)
        return entry

    def _build(
        self, base: Base, stored: Representation, media_type: str, app_bytes: int, route: str
    ) -> Entry | Reason:
        decision, negotiates = self._decision, self._plan.negotiates
        if self._status == 206:
            return build_part(self._engine, self._request, decision, base, stored.body, route)
        by_format, by_coding = negotiates
        wanted = self._plan.media_type if by_format else ""
        coding = self._wants.coding if by_coding else ""
        variants = {(wanted, coding): stored}
        if wanted and not media_type:
            # A value that has no other format is sent in the app's to all clients.
            reasons = tuple([one for one in stored.reasons if one.about == "coding"])
            variants["", coding] = Representation(
                stored.fields, stored.body, stored.coding, stored.etag, reasons
            )
        return Entry(
            decision.key,
            self._status,
            self._stored(base.pairs),
            generated_at=decision.generated_at,
            expires=decision.expires,
            stored_until=decision.stored_until,
            terms=decision.terms,
            tags=decision.tags,
            credentialed=decision.credentialed,
            route=route,
            vary_values=decision.vary_values,
            negotiates=negotiates,
            representations=variants,
            app_bytes=app_bytes,
        )

    def _stored(self, made: Fields) -> Fields:
        return without(made, self._decision.unstored)
