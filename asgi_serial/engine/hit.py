"""The answer out of the cache, with nothing parsed, formatted or compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.engine.heads import read_fields
from asgi_serial.engine.representation import not_modified_fields
from asgi_serial.http.validators import is_not_modified
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Entry, Representation, Variant
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.plan import RequestPlan
    from asgi_serial.types import Message

HIT, STALE = Reason.HIT, Reason.STALE
REQUEST_NO_CACHE = Reason.REQUEST_NO_CACHE
REQUEST_HAS_CREDENTIALS = Reason.REQUEST_HAS_CREDENTIALS

_VALIDATORS = frozenset({b"date", b"last-modified"})


def judge(plan: RequestPlan, entry: Entry, now: float) -> Reason:
    """Whether a stored response may answer this request (HIT), or why it may not.

    Source: RFC 9111, 4 and 5.2.1.
    """
    if now >= entry.expires:
        return STALE
    if not entry.credentialed and plan.has_credentials:
        return REQUEST_HAS_CREDENTIALS
    directives = plan.directives
    if plan.refresh:
        return REQUEST_NO_CACHE
    if directives is not None:
        # RFC 9111, 5.2.1.1: the client is unwilling to accept a response older than max-age;
        # 5.2.1.3: and wants one that stays fresh for min-fresh seconds.
        too_old = directives.max_age is not None and now - entry.born > directives.max_age
        left = entry.expires - now
        if too_old or (directives.min_fresh is not None and left < directives.min_fresh):
            return REQUEST_NO_CACHE
    return HIT


def variant_of(plan: RequestPlan, entry: Entry) -> Variant:
    """Which variant of a stored response this client has negotiated."""
    by_format, by_coding = entry.negotiates
    return plan.media_type if by_format else "", plan.coding if by_coding else ""


def find_representation(plan: RequestPlan, entry: Entry) -> Representation | None:
    """The stored form that this client has negotiated, if it is there."""
    return entry.representations.get(variant_of(plan, entry))


def answer(
    engine: Engine,
    plan: RequestPlan,
    entry: Entry,
    kept: Representation,
    now: float,
    *,
    collapsed: bool,
) -> tuple[Message, Message]:
    """The two messages of a hit, or of the 304 that a conditional request gets in its place."""
    status, body, fields = entry.status, kept.body, kept.fields.copy()
    conditions = plan.fields
    if (b"if-none-match" in conditions or b"if-modified-since" in conditions) and is_fresh_copy(
        plan, entry, kept, now
    ):
        status, body = 304, b""
        fields = not_modified_fields(fields)
    elif plan.is_head:
        body = b""
    fields.append(engine.age_pair(int(now - entry.born)))
    if engine.settings.cache_status:
        fields.append(engine.hit_pair(int(entry.expires - now), collapsed=collapsed))
    return (
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": body, "more_body": False},
    )


def is_fresh_copy(plan: RequestPlan, entry: Entry, kept: Representation, now: float) -> bool:
    """Whether the client's condition says that it has this representation already.

    Source: RFC 9111, 4.3.2: for a stored 200, and by its Date where Last-Modified is missing.
    """
    if entry.status != 200:
        return False
    dates = read_fields(kept.fields, _VALIDATORS)
    modified = dates.get(b"last-modified", dates.get(b"date"))
    return is_not_modified(plan.fields, kept.etag, modified, now=now)
