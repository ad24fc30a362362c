"""Decisions about a response, made once, when the app starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.engine.heads import content_length
from asgi_serial.engine.storing import plan_storing
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.codecs.base import Codec
    from asgi_serial.engine.engine import Engine, TypeFacts
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.engine.storing import Storing
    from asgi_serial.policy import RoutePolicy

# RFC 9110, 6.4.1 and 15.3.6: these have no content; 15.3.7: a part's bytes are not to be changed.
UNTRANSFORMED = frozenset((*range(100, 200), 204, 205, 206, 304))


class ResponsePlan:
    """What is to be done to one response."""

    __slots__ = (
        "codec",
        "event_stream",
        "length",
        "media_type",
        "negotiates",
        "reasons",
        "refused",
        "status",
        "storing",
        "unstored",
        "vary",
        "weak",
    )

    status: int
    length: int | None  # of the body, as the app declares it, in bytes
    negotiates: tuple[bool, bool]  # whether another client could have got another format, coding
    media_type: str  # to transcode to; "" for the app's own
    codec: Codec | None
    event_stream: bool
    weak: bool  # the bytes of an encoded variant depend on how the app cuts its body
    vary: bytes | None  # the whole value that Vary is to have; None leaves it as it is
    storing: Storing | None
    unstored: Reason | None  # why it is not stored
    refused: bool  # 406 in its place
    reasons: list[Reason]


def plan_response(
    engine: Engine,
    request: RequestPlan,
    status: int,
    fields: Mapping[bytes, bytes],
    *,
    has_trailers: bool,
    policy: RoutePolicy | None,
) -> ResponsePlan:
    """Decide by the response's head, the request's plan and the route's policy."""
    plan = ResponsePlan()
    plan.status = status
    plan.length = length = content_length(fields)
    plan.media_type = ""
    plan.codec = plan.vary = plan.storing = plan.unstored = None
    plan.refused = False
    plan.reasons = reasons = []
    settings = engine.settings
    plan.weak = length is None or length > settings.whole_limit
    types = engine.types[fields.get(b"content-type", b"")]
    plan.event_stream = types.is_event_stream

    obstacle = find_obstacle(engine, status, fields, has_trailers=has_trailers)
    formats, coding = request.formats, request.compression
    if policy is not None:
        formats = formats and policy.formats is not False
        coding = coding and policy.compression is not False
    if obstacle is None:
        formats = formats and types.is_json
        coding = (
            coding and types.is_compressible and (length is None or length >= settings.min_size)
        )
        if formats:
            plan.media_type = request.media_type
            plan.refused = settings.format_strict and not request.acceptable
        if coding and request.coding:
            plan.codec = engine.codecs[request.coding]
        elif request.coding:
            reasons.append(why_not_compressed(types, length, settings.min_size))
    else:
        reasons.append(obstacle)
        # RFC 9110, 15.4.5: a 304 has the Vary that the 200 would have had; 15.3.7 likewise for 206.
        partial = status in (206, 304)
        formats = partial and formats and (types.is_json or not types.essence)
        coding = partial and coding and (types.is_compressible or not types.essence)
    plan.negotiates = (formats, coding)
    if formats or coding:
        plan.vary = engine.varies[formats, coding][fields.get(b"vary", b"")]
    if request.caching:
        storing = plan_storing(engine, request, status, fields, policy)
        if isinstance(storing, Reason):
            plan.unstored = storing
        elif has_trailers:
            plan.unstored = Reason.HAS_TRAILERS
        else:
            plan.storing = storing
    return plan


def find_obstacle(
    engine: Engine, status: int, fields: Mapping[bytes, bytes], *, has_trailers: bool
) -> Reason | None:
    """Why the bytes of this response must stay as the app made them; None where they need not."""
    if status in UNTRANSFORMED or b"content-range" in fields:
        return Reason.STATUS_NOT_TRANSFORMABLE
    if b"content-encoding" in fields:
        return Reason.ALREADY_ENCODED
    # RFC 9111, 5.2.2.6: no-transform: an intermediary must not transform the content.
    if b"cache-control" in fields and engine.cache_controls[fields[b"cache-control"]].no_transform:
        return Reason.NO_TRANSFORM
    return Reason.HAS_TRAILERS if has_trailers else None


def why_not_compressed(types: TypeFacts, length: int | None, min_size: int) -> Reason:
    """Why a client that accepts a coding gets none."""
    if not types.is_compressible:
        return Reason.TYPE_NOT_COMPRESSIBLE
    if length is not None and length < min_size:
        return Reason.TOO_SMALL
    return Reason.TURNED_OFF
