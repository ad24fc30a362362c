"""A stored response that the app is asked to confirm, and what its answer makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import Entry, Representation
from asgi_serial.caching.serving import variant_of
from asgi_serial.caching.storing import ANSWER_FIELDS, StoreDecision, decide_storing
from asgi_serial.http.cachecontrol import CacheControl
from asgi_serial.http.headers import content_length, read_fields, without
from asgi_serial.http.storing import selecting_names, unstored_names
from asgi_serial.http.validators import parse_entity_tag, weak_match
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant_fields import BODY_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Variant
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields

_VALIDATORS = frozenset({b"etag", b"last-modified"})
_VARY = frozenset({b"vary"})

# What describes the bytes that are kept, or how they were selected, is as it was with them.
_NOT_UPDATED = BODY_FIELDS | {b"content-range", b"vary"}


def conditions_for(entry: Entry) -> Fields:
    """The lines by which the app is asked whether a stored response still holds.

    Source: RFC 9111, 4.3.1: with the tag and the date that the app has given.
    """
    fields = read_fields(entry.fields, _VALIDATORS)
    lines = []
    if entry.terms.has_tag:
        lines.append((b"if-none-match", fields[b"etag"]))
    if b"last-modified" in fields:
        lines.append((b"if-modified-since", fields[b"last-modified"]))
    return lines


def confirms(entry: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a 304 with these fields is about this stored response.

    Source: RFC 9111, 4.3.4: a validator in it has to be the stored response's; one without any is
    about the response whose validators were sent.
    """
    stored = read_fields(entry.fields, _VALIDATORS)
    if b"etag" in fields:
        return entry.terms.has_tag and _are_alike(fields[b"etag"], stored[b"etag"])
    return b"last-modified" not in fields or _have_one_date(stored, fields)


def has_tag_of(entry: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a 200 with these fields is what is stored, by its tag."""
    if not entry.terms.has_tag or b"etag" not in fields:
        return False
    return _are_alike(fields[b"etag"], read_fields(entry.fields, _VALIDATORS)[b"etag"])


def agrees(entry: Entry, fields: Mapping[bytes, bytes]) -> bool | None:
    """Whether a 200 to HEAD with these fields is about the content that is stored.

    None where nothing in it is a sign of that.

    Source: RFC 9111, 4.3.5: by each validator that it has, and by its length.
    """
    length = content_length(fields)
    if length is not None and length != entry.app_bytes:
        return False
    if _VALIDATORS.isdisjoint(fields):
        return None
    stored = read_fields(entry.fields, _VALIDATORS)
    has_one_date = b"last-modified" not in fields or _have_one_date(stored, fields)
    return has_one_date and confirms(entry, fields)


def _have_one_date(one: Mapping[bytes, bytes], other: Mapping[bytes, bytes]) -> bool:
    return one.get(b"last-modified") == other.get(b"last-modified")


def _are_alike(one: bytes, other: bytes) -> bool:
    first, second = parse_entity_tag(one), parse_entity_tag(other)
    return first is not None and second is not None and weak_match(first, second)


def renew(
    engine: Engine,
    request: RequestPlan,
    entry: Entry,
    pairs: Fields,
    fields: Mapping[bytes, bytes],
) -> tuple[Entry, Reason | None]:
    """The stored response with the fields of a 304, or of a 200 to HEAD, and its new lifetime.

    With a reason it may answer this request, and is not to be kept.

    Source: RFC 9111, 3.2 and 4.3.4.
    """
    dropped = unstored_names(fields.get(b"connection")) | _NOT_UPDATED
    if entry.negotiates[0]:
        dropped = dropped | {b"content-type"}  # that of a form is its own
    said = without(pairs, dropped)
    # RFC 9110, 6.6.1: what comes without a Date is of the time at which it comes.
    replaced = frozenset(name for name, _ in said) | {b"age", b"date"}
    merged = [*without(entry.fields, replaced), *said]
    read = read_fields(merged, engine.fields.response)
    method = "GET" if request.method == "HEAD" else request.method
    decision: StoreDecision | Reason = Reason.VARY_CHANGED
    if not varies_otherwise(entry, fields):
        decision = decide_storing(engine, request, entry.status, read, method=method)
        if isinstance(decision, StoreDecision):
            # RFC 9111, 4.1: it is for requests that match the one for which it was made.
            decision = decision._replace(selecting=entry.selecting)
    storing = (
        decision
        if isinstance(decision, StoreDecision)
        else _for_this_request(entry, engine.clock())
    )
    unstored = unstored_names(None, storing.directives) | ANSWER_FIELDS
    lines = without(said, unstored)
    replaced = replaced | unstored
    kept_fields = [*without(entry.fields, replaced), *lines]
    validators = read_fields(kept_fields, _VALIDATORS)
    has_tag = entry.terms.has_tag and b"etag" in validators
    renewed = Entry(
        storing.key,
        entry.status,
        kept_fields,
        born=storing.born,
        expires=storing.expires,
        kept_until=storing.kept_until,
        # A tag that was made here is not one of the app's, now no more than before.
        terms=storing.terms._replace(
            has_tag=has_tag,
            has_validator=has_tag or (entry.has_validator and b"last-modified" in validators),
        ),
        tags=storing.tags,
        credentialed=storing.credentialed,
        route=entry.route,
        selecting=storing.selecting,
        negotiates=entry.negotiates,
        representations={
            variant: Representation(
                [*without(kept.fields, replaced), *lines], kept.body, kept.coding, kept.etag
            )
            for variant, kept in _forms(request, entry).items()
        },
        app_bytes=entry.app_bytes,
    )
    return renewed, None if isinstance(decision, StoreDecision) else decision


def varies_otherwise(entry: Entry, fields: Mapping[bytes, bytes]) -> bool:
    """Whether a 304 says that the response varies on other fields than it did when it was stored.

    The values that the request of then had for them are not known.
    """
    if b"vary" not in fields:
        return False
    stored = read_fields(entry.fields, _VARY).get(b"vary", b"")
    return selecting_names(fields[b"vary"]) != selecting_names(stored)


def _forms(request: RequestPlan, entry: Entry) -> dict[Variant, Representation]:
    """What is kept of an entry, and the form that this request is answered by."""
    assert request.form is not None  # it was seen to before the app was asked
    return entry.representations | {variant_of(request.wants, entry): request.form}


def _for_this_request(entry: Entry, now: float) -> StoreDecision:
    return StoreDecision(
        *(entry.key, now, now, now, entry.terms, entry.credentialed, entry.selecting),
        CacheControl(),
    )
