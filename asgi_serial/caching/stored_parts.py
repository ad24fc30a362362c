"""Parts that are stored: what they answer, and how one that comes is put to what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Entry, Representation
from asgi_serial.cache.key import part_key
from asgi_serial.cache.purges import MAX_TAGS
from asgi_serial.caching.range_response import OF_THE_CONTENT, part_fields
from asgi_serial.caching.serving import hit_fields, judge, why_not_for
from asgi_serial.caching.storing import stored_fields
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
from asgi_serial.http.ranges import ByteRange, if_range_holds
from asgi_serial.http.storing import unstored_names
from asgi_serial.reasons import Reason
from asgi_serial.representation.response_plan import plan_response
from asgi_serial.representation.variant_fields import Base, represent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.caching.storing import StoreDecision
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.parts import Part
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields, Message

_OWN = ("", "")  # the variant that the app has made
_READ = frozenset({b"content-range", b"date", b"etag", b"last-modified"})
_CODING = frozenset({b"content-encoding"})
_TIMES = frozenset({b"age", b"date"})
# If-Range is about the part; every other condition may need the app, or all of the response.
_OTHER_CONDITIONS = CONDITIONS - {b"if-range"}


def may_use_part(engine: Engine, plan: RequestPlan) -> bool:
    """Whether a stored part might answer this request, of which nothing is known to be whole."""
    return (
        engine.settings.cache_parts
        and b"range" in plan.fields
        and plan.method == "GET"
        and _OTHER_CONDITIONS.isdisjoint(plan.fields)
    )


def stored_part(entry: Entry) -> Part | None:
    """The part that an entry holds; None for one that is none."""
    kept = entry.find(_OWN)
    if kept is None or entry.status != 206:
        return None
    return read_part(read_fields(kept.fields, _READ).get(b"content-range"), kept.body)


def is_of_use(engine: Engine, plan: RequestPlan, entry: Entry, now: float) -> bool:
    """Whether what is stored as a part is one, is fresh, and may be sent to this client."""
    return stored_part(entry) is not None and judge(engine, plan, entry, now).reason is Reason.HIT


def answer_part(
    engine: Engine, plan: RequestPlan, entry: Entry, now: float
) -> tuple[Message, Message] | None:
    """The 206 that a part of use gives to this request; None where that asks for more than it.

    Source: RFC 9111, 3.3 and 4; RFC 9110, 13.1.5, 14.2 and 15.3.7.
    """
    part, kept = stored_part(entry), entry.find(_OWN)
    assert part is not None  # it is of use
    assert kept is not None
    span = find_span(plan.fields[b"range"], part, most=engine.settings.cache_max_ranges)
    condition = plan.fields.get(b"if-range")
    read = read_fields(kept.fields, _READ)
    # RFC 9110, 13.1.5: a client whose validator does not match gets the whole, which is not here.
    if span is None or (
        condition is not None
        and not if_range_holds(
            condition, kept.etag, read.get(b"last-modified"), read.get(b"date"), now=now
        )
    ):
        return None
    fields = hit_fields(engine, entry, kept, now).copy()
    if engine.settings.cache_status_key:
        assert plan.key is not None  # it was found by it
        fields[-1] = with_key(engine.cache_status.hit_line(int(entry.expires - now)), plan.key)
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
    storing: StoreDecision,
    base: Base,
    body: bytes,
    route: str,
) -> Entry | Reason:
    """The entry of a part that has come, with what is stored of the same representation.

    Where that makes it whole, it is one of a 200. Or why it is not kept.

    Source: RFC 9111, 3.3 and 3.4; RFC 9110, 15.3.7.3.
    """
    fields = base.fields
    new = read_part(fields.get(b"content-range"), body)
    if new is None:
        return Reason.INCOMPLETE
    if _has_fresh_whole(engine, request, storing):
        return Reason.STATUS_NOT_CACHED
    old = _find_old(engine, request, storing, fields, new)
    said = stored_fields(base.pairs, storing, fields.get(b"connection"))
    said = without(said, OF_THE_CONTENT)
    if old is None:
        # RFC 9110, 15.3.7: to If-Range a 206 need not repeat what its client has already.
        if b"if-range" in request.fields:
            return Reason.STATUS_NOT_CACHED
        return _build(engine, request, storing, said, new, route)
    tags = tuple(dict.fromkeys((*storing.tags, *old.tags)))
    storing = storing._replace(credentialed=storing.credentialed & old.credentialed, tags=tags)
    part = stored_part(old)
    assert part is not None  # it was found by that
    joined = join_parts(part, new)
    if joined is None or len(joined.body) > engine.settings.cache_max_object:
        joined = new
    merged = without(merged_fields(engine, old, said), unstored_names(None, storing.directives))
    return _build(engine, request, storing, merged, joined, route)


def _has_fresh_whole(engine: Engine, request: RequestPlan, storing: StoreDecision) -> bool:
    """Whether the response is there whole: a part does not take its place."""
    whole = engine.responses.find(storing.key, request.vary_values)
    return isinstance(whole, Entry) and whole.expires > engine.clock()


def _find_old(
    engine: Engine,
    request: RequestPlan,
    storing: StoreDecision,
    fields: Mapping[bytes, bytes],
    new: Part,
) -> Entry | None:
    """The stored part to which a new one may be put."""
    old = engine.responses.find(part_key(storing.key), request.vary_values)
    part = stored_part(old) if isinstance(old, Entry) else None
    if part is None or not isinstance(old, Entry):
        return None
    is_of_one = has_tag_of_part(old, fields) and has_coding_of_part(
        old, fields, may_be_bare=b"if-range" in request.fields
    )
    # What this client may not have is not put together with what he gets.
    is_for_him = (
        old.credentialed.issuperset(request.credentials) and why_not_for(request, old) is None
    )
    is_before = old.born <= storing.born and old.selecting == storing.selecting
    if not (is_of_one and is_for_him and is_before) or is_contrary(part, new):
        return None
    # Purged by the tags of either, it has to have those of both.
    return old if len({*old.tags, *storing.tags}) <= MAX_TAGS else None


def has_tag_of_part(old: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a response with these fields has the strong tag that a stored part has."""
    return are_of_one(read_fields(old.fields, _READ).get(b"etag"), fields.get(b"etag"))


def has_coding_of_part(old: Entry, fields: Mapping[bytes, bytes], *, may_be_bare: bool) -> bool:
    """Whether it is in the coding of the stored part.

    It may say nothing of that where it answers to If-Range (RFC 9110, 15.3.7). Apps are known that
    give one tag to what they compress and to what they do not.
    """
    coding = fields.get(b"content-encoding")
    stored = read_fields(old.fields, _CODING).get(b"content-encoding")
    return coding == stored or (may_be_bare and coding is None)


def merged_fields(engine: Engine, old: Entry, said: Fields) -> Fields:
    """The fields of a stored part with those of one that has come, less those of its content.

    Source: RFC 9111, 3.4: those of the new response replace those stored, but for Content-Range.
    """
    replaced = {name for name, _ in said} | _TIMES | engine.fields.freshness
    return [*without(old.fields, replaced), *without(said, OF_THE_CONTENT)]


def _build(
    engine: Engine,
    request: RequestPlan,
    storing: StoreDecision,
    pairs: Fields,
    part: Part,
    route: str,
) -> Entry:
    """The entry of a part, or of the whole that it is."""
    key, status, kept_until = storing.key, 200, storing.kept_until
    if part.is_whole:
        pairs = [*pairs, (b"content-length", b"%d" % part.length)]
    else:
        key, status, kept_until = part_key(storing.key), 206, storing.expires
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
        born=storing.born,
        expires=storing.expires,
        kept_until=kept_until,
        terms=storing.terms,
        tags=storing.tags,
        credentialed=storing.credentialed,
        route=route,
        selecting=storing.selecting,
        negotiates=plan.negotiates if part.is_whole else (False, False),
        representations={_OWN: Representation(made, part.body, "", etag)},
        app_bytes=len(part.body),
    )
