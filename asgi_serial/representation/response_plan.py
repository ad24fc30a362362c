"""Plan a response when the app starts it, and reuse the plan for similar responses."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from asgi_serial.cache.encodings import MIN_BYTES
from asgi_serial.engine.preferences import ResponsePlan
from asgi_serial.http.headers import content_length
from asgi_serial.reasons import Reason, lasting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import TypeFacts, Wants

# RFC 9110, 6.4.1 and 15.3.6: these have no content, except for 206, whose part (15.3.7) would not
# fit the others if its bytes were changed.
UNTRANSFORMED = frozenset((*range(100, 200), 204, 205, 206, 304))

# Further fields that a plan depends on, in addition to the type and the length.
_RARER_FIELDS = (b"vary", b"content-encoding", b"cache-control", b"content-range")
_RARER = frozenset(_RARER_FIELDS)


def plan_response(
    engine: Engine,
    wants: Wants,
    status: int,
    fields: Mapping[bytes, bytes],
    has_trailers: bool = False,  # noqa: FBT001, FBT002 - called for every response
) -> ResponsePlan:
    """Return the plan for a response with this head, for these preferences of the client."""
    # Everything that the plan depends on. The length counts only as its comparison with limits.
    length = fields.get(b"content-length")
    kind: tuple[object, ...] = (
        status,
        fields.get(b"content-type"),
        None if length is None else engine.negotiator.reaches[length],
    )
    if has_trailers or not _RARER.isdisjoint(fields):
        kind = (*kind, has_trailers, *[fields.get(name) for name in _RARER_FIELDS])
    plan = wants.plans.get(kind)
    if plan is None:
        plan = _make_plan(engine, wants, status, fields, has_trailers)
        wants.plans.keep(kind, plan)
    return plan


def _make_plan(
    engine: Engine,
    wants: Wants,
    status: int,
    fields: Mapping[bytes, bytes],
    has_trailers: bool,  # noqa: FBT001
) -> ResponsePlan:
    settings = engine.settings
    length = content_length(fields)
    types = engine.negotiator.types[fields.get(b"content-type", b"")]
    obstacle = find_obstacle(engine, status, fields, has_trailers=has_trailers)
    formats, coding = wants.formats, wants.compression
    media_type, codec, refused = "", None, False
    reasons = []
    if obstacle is None:
        formats = formats and bool(types.format)
        # RFC 9110, 12.5.3: a client that refuses identity should not get it if a coding is
        # acceptable. For other clients, Vary does not name Accept-Encoding on small bodies: caches
        # would store them once for each of its values, for the sake of clients that hardly exist.
        large = wants.must_encode or length is None or length >= settings.min_size
        coding = coding and types.is_compressible and large
        if formats:
            media_type = wants.media_type_for(types.format)
            refused = wants.refused and status == 200
        if coding and wants.coding:
            codec = engine.negotiator.codecs[wants.coding]
        else:
            reasons.append(why_not_compressed(wants, types, is_large=large))
        own_format = wants.why_own_format(types)
        if own_format is not None and not refused:
            reasons.append(own_format)
    else:
        reasons.append(obstacle)
        # RFC 9110, 15.4.5: a 304 has the Vary that the 200 would have had; 15.3.7: so has a 206.
        partial = status in (206, 304)
        formats = partial and formats and (bool(types.format) or not types.essence)
        coding = partial and coding and (types.is_compressible or not types.essence)
    vary = (
        engine.negotiator.varies[formats, coding][fields.get(b"vary", b"")]
        if formats or coding
        else None
    )
    translation = engine.negotiator.translations[types.format, media_type] if media_type else None
    steps = [one for one in (codec, translation) if one is not None]
    return ResponsePlan(
        negotiates=(formats, coding),
        media_type=media_type,
        translation=translation,
        codec=codec,
        offload_bytes=min([step.offload_bytes for step in steps], default=inf),
        recall_bytes=MIN_BYTES if codec is None else codec.recall_bytes,
        must_encode=codec is not None and wants.must_encode,
        event_stream=types.is_event_stream,
        weak=length is None or length > settings.whole_limit,
        vary=vary,
        added=[] if vary is None else [(b"vary", vary)],
        refused=refused,
        passes=codec is None and not media_type and not refused,
        reasons=tuple(reasons),
        lasting=lasting(reasons),
    )


def reasons_of_own(plan: ResponsePlan) -> tuple[Reason, ...]:
    """Return why a response with this plan is sent to some clients as the app makes it."""
    by_coding = plan.negotiates[1]
    return (Reason.CLIENT_TAKES_NONE,) if by_coding else plan.lasting


def find_obstacle(
    engine: Engine, status: int, fields: Mapping[bytes, bytes], *, has_trailers: bool
) -> Reason | None:
    """Return the reason why the bytes of this response must not be changed; None if they may be."""
    if status in UNTRANSFORMED or b"content-range" in fields:
        return Reason.STATUS_NOT_TRANSFORMABLE
    if b"content-encoding" in fields:
        return Reason.ALREADY_ENCODED
    # RFC 9111, 5.2.2.6: no-transform means that an intermediary must not transform the content.
    if (
        b"cache-control" in fields
        and engine.fields.cache_controls[fields[b"cache-control"]].no_transform
    ):
        return Reason.NO_TRANSFORM
    return Reason.HAS_TRAILERS if has_trailers else None


def why_not_compressed(wants: Wants, types: TypeFacts, *, is_large: bool) -> Reason:
    """Return the reason why a response that may be encoded is not."""
    if not wants.compression:
        return Reason.TURNED_OFF
    if not types.is_compressible:
        return Reason.TYPE_NOT_COMPRESSIBLE
    if not is_large:
        return Reason.TOO_SMALL
    assert wants.uncoded is not None  # it chooses no coding
    return wants.uncoded
