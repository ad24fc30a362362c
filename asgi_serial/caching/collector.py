"""A response on its way into the cache: whether it is kept, and how it is collected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Entry, Representation
from asgi_serial.caching.stored_parts import build_part, restricted_to
from asgi_serial.caching.storing import decide_storing
from asgi_serial.errors import FormatError
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.headers import contradicts, without
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant_fields import represent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.encodings import Encoded
    from asgi_serial.caching.storing import StoreDecision
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import ResponsePlan, Wants
    from asgi_serial.representation.variant_fields import Base
    from asgi_serial.request.model_extension import Handed
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields


def plan_keeping(
    engine: Engine,
    request: RequestPlan,
    plan: ResponsePlan,
    status: int,
    fields: Mapping[bytes, bytes],
    *,
    has_trailers: bool,
    is_write: bool,
) -> StoreDecision | Reason:
    """Whether a response is kept, whatever it is an answer to, or why it is not."""
    storing = decide_storing(engine, request, status, fields, invalidates=is_write)
    if isinstance(storing, Reason):
        return storing
    if has_trailers or request.client_left:
        return Reason.HAS_TRAILERS if has_trailers else Reason.CLIENT_LEFT
    if plan.event_stream:
        return Reason.BODY_NOT_WHOLE
    return storing if request.completes is None else restricted_to(storing, request.completes)


class Keeping:
    """What is kept of one response, of which it was decided that it is to be stored.

    It is taken whole, or collected in pieces as they pass: `begin`, `add` and `finish`.
    """

    __slots__ = (
        "_base",
        "_coding",
        "_engine",
        "_etag",
        "_fields",
        "_is_lost",
        "_pieces",
        "_plan",
        "_request",
        "_size",
        "_status",
        "_storing",
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
        storing: StoreDecision,
        wants: Wants,
        plan: ResponsePlan,
        status: int,
    ) -> None:
        self._engine = engine
        self._request = request
        self._storing = storing
        self._wants = wants
        self._plan = plan
        self._status = status  # the app's
        self._size = 0  # of all pieces
        self._pieces = []
        self._is_lost = False  # others have had need of the room
        self.pending: Entry | None = None  # is whole, and is stored once the app has returned

    def begin(self, base: Base, fields: Fields, coding: str, etag: bytes | None) -> None:
        """Collect what passes from now on, which is sent with these fields."""
        self._base, self._coding, self._etag = base, coding, etag
        self._fields = fields.copy()  # what is sent, others may change

    def add(self, content: bytes) -> Reason | None:
        """Collect a piece of the body as it is sent; or say why this is kept no longer."""
        why = self._hold(len(content))
        if why is None:
            self._pieces.append(content)
        return why

    def lose(self) -> None:
        """Hold nothing any more: others collect faster, and have had need of the room."""
        self._is_lost = True
        self._pieces, self.pending = [], None

    def _hold(self, size: int) -> Reason | None:
        why = self._why_too_large(self._size + size)
        if why is not None:
            return why
        if self._is_lost or not self._engine.collecting.take(self, size):
            return Reason.TOO_MUCH_AT_ONCE
        self._size += size
        return None

    def _why_too_large(self, size: int) -> Reason | None:
        too_large = size > self._engine.settings.cache_max_object
        return Reason.OBJECT_TOO_LARGE if too_large else None

    def let_go(self) -> None:
        """Give back what is held of the budget, once the response is stored, or will not be."""
        if self._size:
            self._engine.collecting.give_back(self)
            self._pieces, self._size = [], 0

    def finish(self, app_bytes: int, route: str) -> Entry | Reason:
        """The entry of what was collected, now that all has passed; or why there is none."""
        if contradicts(self._base.fields, app_bytes):
            # RFC 9111, 3.3: an incomplete response must not be stored as a complete one.
            return Reason.INCOMPLETE
        content, self._pieces = b"".join(self._pieces), []
        if self._is_lost:
            return Reason.TOO_MUCH_AT_ONCE
        stored = self._stored(self._fields)
        kept = Representation(stored, content, self._coding, self._etag)
        return self._build(self._base, kept, "", app_bytes, route)

    def take_whole(
        self,
        base: Base,
        fields: Fields,
        etag: bytes | None,
        body: bytes,
        encoded: Encoded,
        handed: Handed | None,
        route: str,
        *,
        is_end_sure: bool,
    ) -> Entry | Reason:
        """The entry of a response that the app has made as `body`, and that is sent as `encoded`.

        `handed` is there where `body` is in another format than that of others. Where the end is
        not sure, the entry is held until the app has returned.
        """
        media_type, coding, content, _ = encoded
        app_bytes = len(body)
        if handed is not None:
            if body != handed.content:
                # A middleware has changed it on its way: what was handed over is another document.
                return Reason.ALREADY_ENCODED
            try:
                body = handed.encode(JSON_TYPE)
            except FormatError:
                return Reason.VALUE_NOT_CARRIED
            base = base._replace(pairs=handed.json_fields(base.pairs, len(body)))
        size = len(content) + (len(body) if media_type else 0)
        why = self._why_too_large(size) if is_end_sure else self._hold(size)
        if why is not None:
            return why
        kept = Representation(self._stored(fields), content, coding, etag)
        entry = self._build(base, kept, media_type, app_bytes, route)
        if media_type and not isinstance(entry, Reason):
            # Every other variant can be made from the app's own bytes, and from these only.
            own, etag = represent(base, "", "", None)
            entry.add(("", ""), Representation(self._stored(own), body, "", etag))
        return entry

    def _build(
        self, base: Base, kept: Representation, media_type: str, app_bytes: int, route: str
    ) -> Entry | Reason:
        storing, negotiates = self._storing, self._plan.negotiates
        if self._status == 206:
            return build_part(self._engine, self._request, storing, base, kept.body, route)
        by_format, by_coding = negotiates
        wanted = self._plan.media_type if by_format else ""
        coding = self._wants.coding if by_coding else ""
        variants = {(wanted, coding): kept}
        if wanted and not media_type:
            # What could not be carried over is what the clients of the app's format get, too.
            variants["", coding] = kept
        return Entry(
            storing.key,
            self._status,
            self._stored(base.pairs),
            born=storing.born,
            expires=storing.expires,
            kept_until=storing.kept_until,
            terms=storing.terms,
            tags=storing.tags,
            credentialed=storing.credentialed,
            route=route,
            selecting=storing.selecting,
            negotiates=negotiates,
            representations=variants,
            app_bytes=app_bytes,
        )

    def _stored(self, made: Fields) -> Fields:
        return without(made, self._storing.unstored)
