"""The start of a response that stays as the app makes it, for a client who wants no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.caching.storing import decide_storing, granted_lifetime
from asgi_serial.http.headers import read_response_fields, without
from asgi_serial.reasons import Reason
from asgi_serial.representation.response_plan import plan_response
from asgi_serial.representation.variant_fields import Base, represent
from asgi_serial.request.plan import RequestPlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Key
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import Wants
    from asgi_serial.types import Message

START_TYPE = "http.response.start"
_VARY = frozenset({b"vary"})


def begin_plainly(
    engine: Engine,
    wants: Wants,
    message: Message,
    key: Key | None,
    *,
    may_take_over: bool = False,
) -> tuple[Message, tuple[Reason, ...] | None]:
    """Return the start to send for the app's, and why things were not done to the response.

    The reasons are None, beside the app's own start, where the response does not stay as the app
    makes it: its client wants another form, or it is to be stored and `may_take_over`.

    Other clients may get another form: Vary has to say so. `key` is that of a resource whose last
    responses were not stored; where this one should be, and cannot any more, the next is.
    """
    pairs, fields = read_response_fields(message.get("headers", ()), engine.fields.response)
    status = message["status"]
    trailers = "trailers" in message and bool(message["trailers"])
    plan = plan_response(engine, wants, status, fields, trailers)
    why = None if key is None else _why_not_kept(engine, status, fields, key)
    if not plan.passes or (may_take_over and key is not None and why is None):
        # Fields out of a generator have been read by now.
        return {**message, "headers": pairs}, None
    added = plan.added
    if b"etag" in fields and b"-" in fields[b"etag"]:
        base = Base(
            pairs, fields, plan.vary, fields[b"etag"], plan.weak, engine.negotiator.tag_suffixes
        )
        pairs, _ = represent(base, "", "", None)
    elif added:
        pairs = (without(pairs, _VARY) if b"vary" in fields else pairs) + added
    reasons = plan.reasons
    if key is not None:
        if why is None:
            engine.calls.note_storable(key)
            why = Reason.NOT_EXPECTED
        reasons = (*reasons, why)
        if engine.settings.cache_status:
            missed = engine.cache_status.forward_line(Reason.MISS, stored=False, detail=why)
            pairs = [*pairs, missed]
    if pairs is message.get("headers"):
        return message, reasons
    if len(message) == 3 and "headers" in message:
        # A literal is made in half the time that a copy takes.
        return {"type": START_TYPE, "status": status, "headers": pairs}, reasons
    return {**message, "headers": pairs}, reasons


def _why_not_kept(
    engine: Engine, status: int, fields: Mapping[bytes, bytes], key: Key
) -> Reason | None:
    """Why a response to a plain GET is not one to be stored; None if it is."""
    ttl = granted_lifetime(engine, None, status)
    if (
        ttl is None
        and engine.fields.freshness.isdisjoint(fields)
        and not engine.settings.cache_heuristic
    ):
        return Reason.NO_FRESHNESS  # the usual answer, given before anything is parsed
    request = RequestPlan({"method": "GET", "headers": ()}, {}, engine.profiles.find("GET", {}))
    request.key, request.wants, request.asked = key, engine.plain_wants, engine.clock()
    decision = decide_storing(engine, request, status, fields)
    return decision if isinstance(decision, Reason) else None
