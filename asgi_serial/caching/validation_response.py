"""A response of the app that is about a stored one: it confirms it, replaces it, or is worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asgi_serial.caching.revalidation import agrees, confirms, has_tag_of, renew
from asgi_serial.caching.serving import answer, answer_on_error, find_representation
from asgi_serial.http.freshness import HEURISTIC_STATUSES
from asgi_serial.http.reuse import ERROR_STATUSES
from asgi_serial.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Entry
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields, Message

# What these say is true for whoever asks; 401, 403 or 429 are about the one who did.
_NEWS = HEURISTIC_STATUSES - {206}

OF_ONE_REQUEST = (
    Reason.CLIENT_LEFT,
    Reason.INCOMPLETE,
    Reason.REQUEST_HAS_BODY,
    Reason.REQUEST_HAS_UNKEYED_FIELD,
    Reason.REQUEST_HAS_UNKNOWN_FIELD,
)
"""Why a response is not stored that says nothing of the next one's."""


class Consulted(NamedTuple):
    """What becomes of the stored response and of the app's."""

    messages: tuple[Message, Message] | None = None  # in place of the app's
    entry: Entry | None = None  # to be kept
    unstored: Reason | None = None  # why it is not
    is_outdated: bool = False  # the stored response is of the past
    asks_again: bool = False  # the app's says nothing: it is to be asked without conditions


_NOTHING = Consulted()


def consult_stored(
    engine: Engine,
    request: RequestPlan,
    entry: Entry,
    status: int,
    pairs: Fields,
    fields: Mapping[bytes, bytes],
) -> Consulted:
    """What the start of a response means for the stored one that was selected.

    Source: RFC 9111, 4.3.3, 4.3.4 and 4.3.5.
    """
    if status == 304 and request.validates:
        if not confirms(entry, fields):
            return Consulted(asks_again=True)
        return _confirm(engine, request, entry, pairs, fields)
    if status in ERROR_STATUSES:
        messages = answer_on_error(engine, request, entry, status)
        if messages is not None:
            return Consulted(messages, unstored=Reason.STALE_IF_ERROR)
    elif status == 200 and request.validates and has_tag_of(entry, fields):
        assert request.key is not None  # it was looked up by it
        engine.learned.note_unconditional(request.key)
    if status == 200 and request.method == "HEAD":
        is_alike = agrees(entry, fields)
        if is_alike:
            renewed, why = renew(engine, request, entry, pairs, fields)
            why = why or engine.responses.why_not_kept(renewed, request.asked)
            return Consulted(entry=renewed if why is None else None)
        return Consulted(is_outdated=is_alike is False and is_for_all(request, None))
    return _NOTHING


def _confirm(
    engine: Engine,
    request: RequestPlan,
    entry: Entry,
    pairs: Fields,
    fields: Mapping[bytes, bytes],
) -> Consulted:
    """The answer by the stored response, with the fields of the 304."""
    renewed, unstored = renew(engine, request, entry, pairs, fields)
    unstored = unstored or engine.responses.why_not_kept(renewed, request.asked)
    kept = find_representation(request.wants, renewed)
    assert kept is not None  # it was made, if need be, before the app was asked
    now = engine.clock()
    said = engine.cache_status.replaced_line(
        request.forward, renewed, now, 304, unstored, stored=unstored is None
    )
    request.served = "validated"
    start, last = answer(engine, request, renewed, kept, now, said)
    if unstored is None:
        directives = engine.fields.read_directives(fields)
        own = directives.private_fields | directives.no_cache_fields
        start["headers"] += [line for line in pairs if line[0] in own]  # not kept, but this one's
        return Consulted((start, last), renewed)
    return Consulted((start, last), None, unstored, is_for_all(request, unstored))


def is_for_all(request: RequestPlan, unstored: Reason | None) -> bool:
    """Whether what a response says of the resource is not said to this one client alone."""
    is_whole = b"range" not in request.fields
    return is_whole and not request.credentials and unstored not in OF_ONE_REQUEST


def is_news(request: RequestPlan, status: int, unstored: Reason | None) -> bool:
    """Whether a response that is not stored shows what is stored to be of the past."""
    return status in _NEWS and request.method != "HEAD" and is_for_all(request, unstored)
