"""Validation of stored responses (RFC 9111, 4.3): the conditions, and what the answer changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.cache.entry import Entry, Representation
from asgi_serial.caching.serving import answer, answer_on_error, find_representation, variant_of
from asgi_serial.caching.storing import StoreDecision, decide_storing, strip_fields
from asgi_serial.http.field_names import ANSWER_FIELDS, BODY_FIELDS, UNSTORED_FIELDS
from asgi_serial.http.freshness import HEURISTIC_STATUSES
from asgi_serial.http.headers import content_length, read_fields, without
from asgi_serial.http.reuse import ERROR_STATUSES
from asgi_serial.http.storability import unstored_names
from asgi_serial.http.validators import parse_entity_tag, weak_match
from asgi_serial.http.vary import vary_names
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields, Message

_VALIDATORS = frozenset({b"etag", b"last-modified"})
_VARY = frozenset({b"vary"})

# A 304 does not update the fields of one connection, nor those that describe the stored bytes, or
# how they were selected.
_NOT_UPDATED = UNSTORED_FIELDS | BODY_FIELDS | {b"content-range", b"vary"}

# A response with one of these is true for all clients; a 401, 403 or 429 is about one of them.
_SUPERSEDING_STATUSES = HEURISTIC_STATUSES - {206}

CLIENT_SPECIFIC_REASONS = (
    Reason.CLIENT_LEFT,
    Reason.INCOMPLETE,
    Reason.REQUEST_HAS_BODY,
    Reason.REQUEST_HAS_UNKEYED_FIELD,
    Reason.REQUEST_HAS_UNKNOWN_FIELD,
    Reason.SKIPPED,
    Reason.SKIP_FAILED,
)
"""The reasons not to store a response that say nothing of the next response."""


def conditions_for(entry: Entry) -> Fields:
    """Return the field lines that ask the app whether a stored response is still valid.

    Source: RFC 9111, 4.3.1: with the entity tag and the date that the app has given.
    """
    fields = read_fields(entry.fields, _VALIDATORS)
    lines = []
    if entry.terms.has_tag:
        lines.append((b"if-none-match", fields[b"etag"]))
    if b"last-modified" in fields:
        lines.append((b"if-modified-since", fields[b"last-modified"]))
    return lines


def matches_stored_validator(entry: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a 304 with these fields is about this stored response.

    Source: RFC 9111, 4.3.4: a validator in the 304 has to be that of the stored response; a 304
    without one is about the response whose validators were sent.
    """
    stored = read_fields(entry.fields, _VALIDATORS)
    if b"etag" in fields:
        return entry.terms.has_tag and _tags_match(fields[b"etag"], stored[b"etag"])
    return b"last-modified" not in fields or _dates_match(stored, fields)


def matches_stored_head(entry: Entry, fields: Mapping[bytes, bytes]) -> bool | None:
    """Compare a 200 to HEAD with the stored content; None if it shows nothing of that.

    Source: RFC 9111, 4.3.5: each validator that it has must match, and Content-Length.
    """
    length = content_length(fields)
    if length is not None and length != entry.app_bytes:
        return False
    if _VALIDATORS.isdisjoint(fields):
        return None
    stored = read_fields(entry.fields, _VALIDATORS)
    dates_match = b"last-modified" not in fields or _dates_match(stored, fields)
    return dates_match and matches_stored_validator(entry, fields)


def _has_stored_tag(entry: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a 200 with these fields has the entity tag of the stored response."""
    if not entry.terms.has_tag or b"etag" not in fields:
        return False
    return _tags_match(fields[b"etag"], read_fields(entry.fields, _VALIDATORS)[b"etag"])


def _dates_match(one: Mapping[bytes, bytes], other: Mapping[bytes, bytes]) -> bool:
    return one.get(b"last-modified") == other.get(b"last-modified")


def _tags_match(one: bytes, other: bytes) -> bool:
    first, second = parse_entity_tag(one), parse_entity_tag(other)
    return first is not None and second is not None and weak_match(first, second)


class Validation(NamedTuple):
    """The consequences of a response for the stored one that the app was asked about."""

    messages: tuple[Message, Message] | None = None  # to be sent in place of the app's
    served: str | None = None  # what the cache did to answer by them
    entry: Entry | None = None  # to be stored
    unstored: Reason | None = None  # why it is not
    is_superseded: bool = False  # the stored response is outdated
    retry_unconditionally: bool = False  # the response says nothing of the stored one


_NOTHING = Validation()


def handle_validation_response(
    engine: Engine,
    request: RequestPlan,
    entry: Entry,
    status: int,
    pairs: Fields,
    fields: Mapping[bytes, bytes],
) -> Validation:
    """Decide by the start of a response about the stored one that was selected.

    Source: RFC 9111, 4.3.3, 4.3.4 and 4.3.5.
    """
    if status == 304 and request.forward.validates:
        if not matches_stored_validator(entry, fields):
            return Validation(retry_unconditionally=True)
        return _serve_freshened(engine, request, entry, pairs, fields)
    if status in ERROR_STATUSES:
        # RFC 9111, 4.3.3: on a 5xx a cache may forward it, or act as if the server failed to
        # respond, and send the stored response as 4.2.4 allows.
        messages = answer_on_error(engine, request, request.forward, status)
        if messages is not None:
            return Validation(messages, "stale", unstored=Reason.STALE_IF_ERROR)
    elif status == 200 and request.forward.validates and _has_stored_tag(entry, fields):
        assert request.key is not None  # it was looked up by it
        engine.learned.note_unconditional(request.key)
    if status == 200 and request.method == "HEAD":
        is_same = matches_stored_head(entry, fields)
        if is_same:
            freshened, why, _ = freshen(engine, request, entry, pairs, fields)
            why = why or engine.responses.why_not_kept(freshened, request.asked)
            return Validation(entry=freshened if why is None else None)
        # RFC 9111, 4.3.5: "otherwise, the cache SHOULD consider the stored response to be stale".
        return Validation(is_superseded=is_same is False and _concerns_all(request, None))
    return _NOTHING


def _serve_freshened(
    engine: Engine,
    request: RequestPlan,
    entry: Entry,
    pairs: Fields,
    fields: Mapping[bytes, bytes],
) -> Validation:
    """Answer by the stored response, with the fields of the 304 that confirms it."""
    freshened, unstored, own = freshen(engine, request, entry, pairs, fields)
    unstored = unstored or engine.responses.why_not_kept(freshened, request.asked)
    served = find_representation(request.wants, freshened)
    assert served is not None  # it was derived, if need be, before the app was called
    now = engine.clock()
    line = engine.cache_status.replaced_line(
        request.forward.reason, freshened, now, 304, unstored, stored=unstored is None
    )
    start, last = answer(engine, request, freshened, served, now, line)
    start["headers"] += own
    if unstored is not None:
        is_superseded = _concerns_all(request, unstored)
        return Validation((start, last), "validated", None, unstored, is_superseded)
    return Validation((start, last), "validated", freshened)


def freshen(
    engine: Engine,
    request: RequestPlan,
    entry: Entry,
    pairs: Fields,
    fields: Mapping[bytes, bytes],
) -> tuple[Entry, Reason | None, Fields]:
    """Return the stored response with the fields of a 304, or of a 200 to HEAD, and new times.

    With a reason it may answer this request, and is not stored. The lines that come with it are
    for the client of this request only.

    Source: RFC 9111, 3.2 and 4.3.4.
    """
    not_updated = _NOT_UPDATED
    if b"connection" in fields:
        not_updated = not_updated | unstored_names(fields[b"connection"])
    if entry.negotiates[0]:
        not_updated = not_updated | {b"content-type"}  # each representation has its own
    updates = without(pairs, not_updated)
    # RFC 9110, 6.6.1: a recipient may take the time of arrival for a missing Date.
    replaced = frozenset([name for name, _ in updates]) | {b"age", b"date"}
    merged = read_fields([*without(entry.fields, replaced), *updates], engine.fields.response)
    decision: StoreDecision | Reason = Reason.VARY_CHANGED
    if not changes_vary(entry, fields):
        method = "GET" if request.method == "HEAD" else request.method
        decision = decide_storing(engine, request, entry.status, merged, method=method)
    if isinstance(decision, Reason):
        usable = _use_once(entry, engine.clock())
        return _update(request, entry, usable, updates, replaced), decision, []
    # RFC 9111, 4.1: it is for requests that match the one for which it was made.
    decision = decision._replace(vary_values=entry.vary_values)
    if engine.fields.strips is not None:
        decision = strip_fields(engine.fields.strips, decision, updates)
    # RFC 9111, 5.2.2.4 and 5.2.2.7: the fields that no-cache and private name are not stored, nor
    # those that the settings strip.
    named = decision.unstored - ANSWER_FIELDS
    own = [line for line in updates if line[0] in named]
    return _update(request, entry, decision, updates, replaced), None, own


def _update(
    request: RequestPlan,
    entry: Entry,
    decision: StoreDecision,
    updates: Fields,
    replaced: frozenset[bytes],
) -> Entry:
    """Return a copy of the entry, with updated fields and the times of the decision."""
    replaced, updates = replaced | decision.unstored, without(updates, decision.unstored)
    fields = [*without(entry.fields, replaced), *updates]
    validators = read_fields(fields, _VALIDATORS)
    has_tag = entry.terms.has_tag and b"etag" in validators
    assert request.forward.form is not None  # it was derived, if need be, before the app was called
    served = {variant_of(request.wants, entry): request.forward.form}
    return Entry(
        decision.key,
        entry.status,
        fields,
        generated_at=decision.generated_at,
        expires=decision.expires,
        stored_until=decision.stored_until,
        # A tag that was made here is not the app's, now no more than before.
        terms=decision.terms._replace(
            has_tag=has_tag,
            has_validator=has_tag or (entry.has_validator and b"last-modified" in validators),
        ),
        tags=decision.tags,
        credentialed=decision.credentialed,
        route=entry.route,
        vary_values=decision.vary_values,
        negotiates=entry.negotiates,
        representations={
            variant: Representation(
                [*without(form.fields, replaced), *updates],
                form.body,
                form.coding,
                form.etag,
                form.reasons,
            )
            for variant, form in (entry.representations | served).items()
        },
        app_bytes=entry.app_bytes,
    )


def _use_once(entry: Entry, now: float) -> StoreDecision:
    """Return the decision for a response that answers this request and is not stored."""
    return StoreDecision(
        *(entry.key, now, now, now, entry.terms, entry.credentialed, entry.vary_values),
        UNSTORED_FIELDS | ANSWER_FIELDS,
    )


def changes_vary(entry: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a response says that it varies on other fields than the stored one.

    The values of these fields in the request for the stored one are not known.
    """
    if b"vary" not in fields:
        return False
    stored = read_fields(entry.fields, _VARY).get(b"vary", b"")
    return vary_names(fields[b"vary"]) != vary_names(stored)


def supersedes_stored(request: RequestPlan, status: int, unstored: Reason | None) -> bool:
    """Whether a response that is not stored shows that the stored one is outdated."""
    return (
        status in _SUPERSEDING_STATUSES
        and request.method != "HEAD"
        and _concerns_all(request, unstored)
    )


def _concerns_all(request: RequestPlan, unstored: Reason | None) -> bool:
    """Whether what a response says of its resource is not said to this one client only."""
    is_whole = b"range" not in request.profile.places
    return is_whole and not request.user.credentials and unstored not in CLIENT_SPECIFIC_REASONS
