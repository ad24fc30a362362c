"""Answers from the cache, without parsing, formatting or compressing anything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

from asgi_serial.cache.entry import UNKNOWN_FIELDS, Entry
from asgi_serial.engine.cache_status import with_key
from asgi_serial.engine.profiles import BODY_METHODS
from asgi_serial.formats.registry import JSON, JSON_TYPE
from asgi_serial.http.headers import read_fields
from asgi_serial.http.ranges import serve_ranges
from asgi_serial.http.request_fields import NOT_STRANGE
from asgi_serial.http.reuse import (
    ERROR_STATUSES,
    NO_DIRECTIVES,
    USE_FRESH,
    Action,
    Decision,
    decide,
    may_use_on_error,
)
from asgi_serial.http.storability import why_strange
from asgi_serial.http.validators import is_not_modified
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant import not_modified_fields
from asgi_serial.request.forward import FORWARD_MISS, Forward
from asgi_serial.types import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asgi_serial.cache.entry import HitState, Representation, Variant
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import Wants
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Field

PIECE_BYTES = 128 << 10
"""The size of the pieces of a stored body.

Servers copy data that a client has not read yet, and wait before they accept more. The size is
twice the usual buffer of servers (64 kB). Over uvicorn, 4 MB take as long as in one message.
"""

HIT, MISS, STALE = Reason.HIT, Reason.MISS, Reason.STALE
USES = (Action.USE, Action.USE_STALE_AND_REFRESH)
NOT_FOR_CLIENT = (
    Reason.REQUEST_HAS_CREDENTIALS,
    Reason.REQUEST_HAS_UNKEYED_FIELD,
    Reason.REQUEST_HAS_UNKNOWN_FIELD,
    Reason.NOT_ACCEPTABLE,
)

# These take precedence over HTTP's rules: the entry is not for this client at all.
_CREDENTIALED = Decision(Action.FORWARD, Reason.REQUEST_HAS_CREDENTIALS)
_UNACCEPTABLE = Decision(Action.FORWARD, Reason.NOT_ACCEPTABLE)
# A request with a body belongs to the client: it is not made conditional, nor repeated.
_WITH_A_REQUEST_OF_OURS = (Action.USE_STALE_AND_REFRESH, Action.VALIDATE)

_DATES = frozenset({b"date", b"last-modified"})

MAX_CONDITION_BYTES = 256
"""The longest condition whose answer is remembered: a few entity tags. Clients may send 64 kB."""


Answer: TypeAlias = "tuple[Message, Message, Entry, Reason, Representation]"
"""The two messages of an answer from the cache, the entry, why it was used, and in which form."""


def serve(
    engine: Engine,
    plan: RequestPlan,
    found: Entry | Reason,
    now: float,
    variant: Representation | None = None,
    waited: Reason | None = None,
) -> Answer | Forward:
    """Return the answer from what was found for a request, or why there is none.

    `variant` is the form of the entry, if it has just been derived. `waited` is the reason why a
    request has waited for another's call of the app, which its Cache-Status says.
    """
    if type(found) is not Entry:
        assert isinstance(found, Reason)
        return FORWARD_MISS if found is MISS else Forward(found)
    profile = plan.profile
    if variant is None and found.last_form is not None:
        state = found.last_form.hit_state
        if state is not None:
            if state.last is not None and waited is None:
                until, known, wants, anonymous, condition, start, headers, last = state.last
                if (
                    now < until
                    and known is profile
                    and wants is plan.wants
                    and (not anonymous or plan.are_cookies_harmless)
                    and (condition is None or plan.value_of(b"if-none-match") == condition)
                ):
                    # An equal request was given this answer within the current second.
                    # A dict is copied in half the time in which a literal is built.
                    start = start.copy()
                    start["headers"] = headers.copy()
                    return start, last.copy(), found, HIT, found.last_form
            if state.wants is plan.wants:
                variant = found.last_form
    if engine.responses.hears and engine.responses.is_deaf(now):
        return FORWARD_MISS  # to the second level
    decision = evaluate(engine, plan, found, now)
    if decision is USE_FRESH:
        why, said = HIT, None
        if waited is not None:
            said = engine.cache_status.shared_line(waited, int(found.expires - now))
    else:
        action, why = decision
        if action not in USES:
            return Forward(
                STALE if action is Action.REFUSE else why,
                None if why in NOT_FOR_CLIENT else found,
                action is Action.VALIDATE,
            )
        said = engine.cache_status.stale_line(why, int(found.expires - now))
    if variant is None:
        variant = find_representation(plan.wants, found)
        if variant is None:
            return Forward(MISS, underived=found)
    start, last = answer(engine, plan, found, variant, now, said)
    if said is None and profile.is_repeatable:
        _remember(plan, found, variant.hit_state, (start, last), now)
    return start, last, found, why, variant


def _remember(
    plan: RequestPlan,
    entry: Entry,
    state: HitState | None,
    sent: tuple[dict[str, Any], dict[str, Any]],
    now: float,
) -> None:
    """Remember an answer for equal requests, while it stays the same."""
    if state is None:
        return
    profile, user = plan.profile, plan.user
    if user is not profile.anybody and user is not profile.without_cookies:
        return
    start, last = sent
    # An outer middleware may change the fields that were sent.
    headers = start["headers"].copy()
    condition = plan.value_of(b"if-none-match")
    if condition is not None and len(condition) > MAX_CONDITION_BYTES:
        return
    until = min(int(now) + 1, entry.expires)
    # Otherwise it is for all who send the same, whether or not their cookies count.
    anonymous = not entry.credentialed.issuperset(profile.anybody.credentials)
    said = profile, plan.wants, anonymous, condition
    state.last = until, *said, start.copy(), headers, last.copy()


def evaluate(engine: Engine, plan: RequestPlan, entry: Entry, now: float) -> Decision:
    """Decide how to handle a request for which this stored response was selected.

    Source: RFC 9111, 3.5 and 4.
    """
    profile = plan.profile
    credentials = plan.user.credentials
    if credentials and not entry.credentialed.issuperset(credentials):
        if not plan.are_cookies_harmless:
            return _CREDENTIALED
        credentials = plan.without_ignored_cookies().user.credentials
        if not entry.credentialed.issuperset(credentials):
            return _CREDENTIALED
    if profile.strange is not NOT_STRANGE:
        why = why_not_for(plan, entry)
        if why is not None:
            return Decision(Action.FORWARD, why)
    if plan.wants.refused and is_refused(plan.wants, entry):
        return _UNACCEPTABLE
    # RFC 9111, 4.2: a fresh response may be reused without validation. A response that needs
    # validation before each use has no freshness lifetime here.
    if now < entry.expires and profile.demands is NO_DIRECTIVES:
        return USE_FRESH
    decision = decide(profile.demands, entry, now, engine.stale_options)
    if profile.method in BODY_METHODS and decision.action in _WITH_A_REQUEST_OF_OURS:
        return Decision(Action.FORWARD, Reason.STALE)
    return decision


def why_not_for(plan: RequestPlan, entry: Entry) -> Reason | None:
    """Return why an entry may not answer a request with unknown fields; None if it may."""
    names = [name for name, _ in entry.vary_values]
    for_unknown = UNKNOWN_FIELDS in entry.credentialed
    unknown, twins = plan.user.unknown, plan.profile.strange.twins
    return why_strange(unknown, twins, names, allows_unknown=for_unknown)


def is_refused(wants: Wants, entry: Entry) -> bool:
    """Whether the client must be told that it accepts no form of this response."""
    return wants.refused and entry.negotiates[0]


def variant_of(wants: Wants, entry: Entry) -> Variant:
    """Return the variant of a stored response that these wants select."""
    by_format, by_coding = entry.negotiates
    media_type, as_json, coding = wants.accepts
    if not by_format:
        media_type = ""
    elif (media_type or as_json) and (entry.format or entry.find_format()) != JSON:
        media_type = JSON_TYPE if entry.format in as_json else ""
    return media_type, coding if by_coding else ""


def find_representation(wants: Wants, entry: Entry) -> Representation | None:
    """Return the stored form that these wants select, or None."""
    form = None if is_refused(wants, entry) else entry.find(variant_of(wants, entry))
    if form is not None:
        entry.last_form = form
        state = form.hit_state  # another thread may take it away
        if state is not None:
            state.wants = wants
    return form


def answer(
    engine: Engine,
    plan: RequestPlan,
    entry: Entry,
    form: Representation,
    now: float,
    said: Field | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the two messages of a hit, or of the 304 or 206 that the request gets instead.

    `said` is the line of Cache-Status, unless it is that of a plain hit.
    """
    status, body, profile = entry.status, form.body, plan.profile
    state = form.hit_state
    if state is None or state.second != int(now):
        state = ready_state(engine, entry, form, now)
    if profile.is_conditional and is_fresh_copy(plan, entry, form, now):
        status, body = 304, b""
        ready = state.fields_of_304  # another thread may begin the next second
        if ready is None:
            ready = state.fields_of_304 = not_modified_fields(state.fields)
        fields = ready.copy()
    else:
        fields = state.fields.copy()
    if said is not None and engine.settings.cache_status:
        has_key = engine.settings.cache_status_key
        fields[-1] = with_key(said, entry.key) if has_key else said
    if (
        profile.has_range
        and status == 200
        # Another release of a codec may encode the same body differently; parts of both do not fit.
        and variant_of(plan.wants, entry) == ("", "")
    ):
        status, fields, body = serve_ranges(
            plan.fields,
            fields,
            body,
            form.etag,
            most=engine.settings.cache_max_ranges,
            now=now,
            boundary=os.urandom(16).hex().encode(),
        )
    if plan.method == "HEAD":
        body = b""
    return (
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": body, "more_body": False},
    )


def answer_on_error(
    engine: Engine, plan: RequestPlan, forward: Forward, status: int | None = None
) -> tuple[Message, Message] | None:
    """Return the stale response that replaces the app's error or exception; None if none may.

    `status` is that of the error.
    """
    entry = forward.stored
    if entry is None:
        return None
    now = engine.clock()
    if entry.status in ERROR_STATUSES:
        return None  # a stored error is no better
    if not may_use_on_error(plan.profile.demands, entry, now, engine.stale_options):
        return None
    if engine.responses.is_purged(entry):
        return None
    form = forward.form or find_representation(plan.wants, entry)
    if form is None:
        return None
    said = engine.cache_status.replaced_line(
        forward.reason, entry, now, status, Reason.STALE_IF_ERROR
    )
    return answer(engine, plan, entry, form, now, said)


def ready_state(engine: Engine, entry: Entry, form: Representation, now: float) -> HitState:
    """Return the hit state for the current second; the caller copies its fields."""
    state = form.hit_state or engine.responses.hit_states.start(form)
    fields = state.stored.copy()
    # RFC 9111, 1.2.2: not negative, even if the process that stored it has a clock ahead of ours.
    fields.append(engine.cache_status.age_line(max(0, int(now - entry.generated_at))))
    if engine.settings.cache_status:
        fields.append(engine.cache_status.hit_line(int(entry.expires - now)))
        if engine.settings.cache_status_key:
            fields[-1] = with_key(fields[-1], entry.key)
    # Set the second last: a thread that sees it finds fields that match.
    state.fields_of_304 = None
    state.fields = fields
    state.second = int(now)
    return state


def is_fresh_copy(plan: RequestPlan, entry: Entry, form: Representation, now: float) -> bool:
    """Whether the client's condition shows that it already has this representation.

    Source: RFC 9111, 4.3.2: for a stored 200, and by its Date if Last-Modified is missing.
    """
    if entry.status != 200:
        return False
    modified = None
    # RFC 9110, 13.1.3: If-Modified-Since is ignored beside If-None-Match.
    if b"if-none-match" not in plan.fields:
        dates = read_fields(form.fields, _DATES)
        modified = dates.get(b"last-modified", dates.get(b"date"))
    return is_not_modified(plan.fields, form.etag, modified, now=now)


def in_pieces(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield the messages of a stored response, with a long body in pieces, copied on demand."""
    for message in messages:
        body: bytes = message.get("body", b"")
        if len(body) <= PIECE_BYTES:
            yield message
            continue
        for start in range(0, len(body), PIECE_BYTES):
            end = start + PIECE_BYTES
            yield {**message, "body": body[start:end], "more_body": end < len(body)}
