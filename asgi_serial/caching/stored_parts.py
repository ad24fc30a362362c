"""Stored parts of responses: what they answer, and how a new one is combined with an old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Entry, Representation
from asgi_serial.cache.key import part_key
from asgi_serial.cache.purges import MAX_TAGS
from asgi_serial.caching.serving import evaluate, ready_state, why_not_for
from asgi_serial.engine.cache_status import with_key
from asgi_serial.http.field_names import CONDITIONS
from asgi_serial.http.headers import read_fields, without
from asgi_serial.http.parts import (
    are_of_one,
    find_span,
    is_contrary,
    join_parts,
    read_part,
)
from asgi_serial.http.ranges import OF_THE_CONTENT, ByteRange, if_range_holds, part_fields
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant import Base, plan_response, reasons_of_own, represent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.caching.storing import StoreDecision
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.parts import Part
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields, Message

_APP_VARIANT = ("", "")  # as the app has made it, in no coding of ours
_READ = frozenset({b"content-encoding", b"content-range", b"date", b"etag", b"last-modified"})
_TIMES = frozenset({b"age", b"date"})
# If-Range is about the part; any other condition may need the app, or all of the response.
_OTHER_CONDITIONS = CONDITIONS - {b"if-range"}


def may_use_part(engine: Engine, plan: RequestPlan) -> bool:
    """Whether a stored part might answer this request, if no whole response does."""
    return (
        engine.settings.cache_parts
        and plan.profile.has_range
        and _OTHER_CONDITIONS.isdisjoint(plan.fields)
    )


def stored_part(entry: Entry) -> Part | None:
    """Return the part that an entry holds; None for one that holds a whole response."""
    stored = entry.find(_APP_VARIANT)
    if stored is None or entry.status != 206:
        return None
    return read_part(read_fields(stored.fields, _READ).get(b"content-range"), stored.body)


def is_usable_part(engine: Engine, plan: RequestPlan, entry: Entry, now: float) -> bool:
    """Whether an entry is a part that is fresh, and may be sent to this client."""
    return (
        stored_part(entry) is not None and evaluate(engine, plan, entry, now).reason is Reason.HIT
    )


def answer_part(
    engine: Engine, plan: RequestPlan, entry: Entry, now: float
) -> tuple[Message, Message] | None:
    """Return the 206 that a usable part gives to a request; None if the request asks for more.

    Source: RFC 9111, 3.3 and 4; RFC 9110, 13.1.5, 14.2 and 15.3.7.
    """
    part, stored = stored_part(entry), entry.find(_APP_VARIANT)
    assert part is not None  # it is usable
    assert stored is not None
    span = find_span(plan.fields[b"range"], part, most=engine.settings.cache_max_ranges)
    read = read_fields(stored.fields, _READ)
    dates = read.get(b"last-modified"), read.get(b"date")
    # RFC 9110, 13.1.5: if the condition is false, the client gets the whole, which is not stored.
    if span is None or not if_range_holds(
        plan.fields.get(b"if-range"), stored.etag, *dates, now=now
    ):
        return None
    fields = ready_state(engine, entry, stored, now).fields.copy()
    if engine.settings.cache_status_key:
        assert plan.key is not None  # it was found by it
        line = engine.cache_status.hit_line(int(entry.expires - now))
        fields[-1] = with_key(line, plan.key)
    return (
        {
            "type": "http.response.start",
            "status": 206,
            "headers": part_fields(fields, span, part.length),
        },
        {"type": "http.response.body", "body": part.cut(span), "more_body": False},
    )


def build_part(
    engine: Engine,
    request: RequestPlan,
    decision: StoreDecision,
    base: Base,
    body: bytes,
    route: str,
) -> Entry | Reason:
    """Return the entry of a part, combined with the stored part if that is of the same response.

    It is the entry of a 200 if nothing is missing any more. A reason says why nothing is stored.

    Source: RFC 9111, 3.3 and 3.4; RFC 9110, 15.3.7.3.
    """
    new = read_part(base.fields.get(b"content-range"), body)
    if new is None:
        return Reason.INCOMPLETE
    whole = engine.responses.find(decision.key, request)
    if isinstance(whole, Entry) and whole.expires > engine.clock():
        return Reason.STATUS_NOT_CACHED  # a part does not take the place of the whole
    lines = without(base.pairs, decision.unstored | OF_THE_CONTENT)
    old = _find_combinable(engine, request, decision, base.fields, new)
    if old is None:
        # RFC 9110, 15.3.7: a 206 to If-Range may leave out what its client has already.
        if b"if-range" in request.profile.places:
            return Reason.STATUS_NOT_CACHED
        return _build(engine, request, decision, lines, new, route)
    part = stored_part(old)
    assert part is not None  # else it could not be combined
    joined = join_parts(part, new)
    if joined is None or len(joined.body) > engine.settings.cache_max_object:
        joined = new
    merged = without(merged_fields(engine, old, lines), decision.unstored)
    return _build(engine, request, restricted_to(decision, old), merged, joined, route)


def _find_combinable(
    engine: Engine,
    request: RequestPlan,
    decision: StoreDecision,
    fields: Mapping[bytes, bytes],
    new: Part,
) -> Entry | None:
    """Return the stored part with which a new one may be combined.

    Source: RFC 9111, 3.4: they have the same strong validator.
    """
    old = engine.responses.find(part_key(decision.key), request)
    part = stored_part(old) if isinstance(old, Entry) else None
    if part is None or not isinstance(old, Entry):
        return None
    is_same = has_tag_of_part(old, fields) and has_coding_of_part(
        old, fields, may_be_bare=b"if-range" in request.profile.places
    )
    # What this client may not get is not combined with what it gets.
    is_for_client = (
        old.credentialed.issuperset(request.user.credentials) and why_not_for(request, old) is None
    )
    is_before = (
        old.generated_at <= decision.generated_at and old.vary_values == decision.vary_values
    )
    if not (is_same and is_for_client and is_before) or is_contrary(part, new):
        return None
    # A purge by the tags of either part has to find both.
    return old if len({*old.tags, *decision.tags}) <= MAX_TAGS else None


def has_tag_of_part(old: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a response with these fields has the strong entity tag of a stored part."""
    return are_of_one(read_fields(old.fields, _READ).get(b"etag"), fields.get(b"etag"))


def has_coding_of_part(old: Entry, fields: Mapping[bytes, bytes], *, may_be_bare: bool) -> bool:
    """Whether a response with these fields is in the content coding of the stored part.

    Some apps give one entity tag to a body with and without its coding. A response to If-Range may
    leave the field out (RFC 9110, 15.3.7).
    """
    coding = fields.get(b"content-encoding")
    stored = read_fields(old.fields, _READ).get(b"content-encoding")
    return coding == stored or (may_be_bare and coding is None)


def merged_fields(engine: Engine, old: Entry, lines: Fields) -> Fields:
    """Return the fields of a stored part updated by those of a new one.

    Source: RFC 9111, 3.4: the new fields replace those stored, except for Content-Range.
    """
    replaced = {name for name, _ in lines} | _TIMES | engine.fields.freshness
    return [*without(old.fields, replaced), *without(lines, OF_THE_CONTENT)]


def restricted_to(decision: StoreDecision, old: Entry) -> StoreDecision:
    """Return the decision for what is combined with a stored part: for those who may get both."""
    return decision._replace(
        credentialed=decision.credentialed & old.credentialed,
        tags=tuple(dict.fromkeys((*decision.tags, *old.tags))),
    )


def _build(
    engine: Engine,
    request: RequestPlan,
    decision: StoreDecision,
    pairs: Fields,
    part: Part,
    route: str,
) -> Entry:
    """Return the entry of a part, or of the whole response if nothing is missing."""
    key, status, stored_until = decision.key, 200, decision.stored_until
    if part.is_whole:
        pairs = [*pairs, (b"content-length", b"%d" % part.length)]
    else:
        key, status, stored_until = part_key(decision.key), 206, decision.expires
    read = read_fields(pairs, engine.fields.response)
    plan = plan_response(engine, request.wants, status, read, has_trailers=False)
    base = Base(
        pairs, read, plan.vary, read.get(b"etag"), plan.weak, engine.negotiator.tag_suffixes
    )
    made, etag = represent(base, "", "", None)
    if not part.is_whole:
        made = part_fields(made, ByteRange(part.first, part.last), part.length)
    return Entry(
        key,
        status,
        pairs,
        generated_at=decision.generated_at,
        expires=decision.expires,
        stored_until=stored_until,
        terms=decision.terms,
        tags=decision.tags,
        credentialed=decision.credentialed,
        route=route,
        vary_values=decision.vary_values,
        negotiates=plan.negotiates if part.is_whole else (False, False),
        representations={
            _APP_VARIANT: Representation(made, part.body, "", etag, reasons_of_own(plan))
        },
        app_bytes=len(part.body),
    )
