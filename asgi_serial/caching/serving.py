"""The answer out of the cache, with nothing parsed, formatted or compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.cache.entry import UNKNOWN_FIELDS, Entry
from asgi_serial.caching.range_response import serve_ranges
from asgi_serial.engine.cache_status import with_key
from asgi_serial.formats.registry import JSON, JSON_TYPE
from asgi_serial.http.headers import read_fields
from asgi_serial.http.request_fields import MAX_STRANGE, NOT_STRANGE, Meaning
from asgi_serial.http.reuse import ERROR_STATUSES, Action, Decision, decide, may_use_on_error
from asgi_serial.http.storing import why_strange
from asgi_serial.http.validators import is_not_modified
from asgi_serial.reasons import Reason
from asgi_serial.representation.variant_fields import not_modified_fields
from asgi_serial.request.plan import BODY_METHODS

if TYPE_CHECKING:
    from asgi_serial.cache.entry import Key, Representation, Variant
    from asgi_serial.engine.engine import Engine
    from asgi_serial.engine.preferences import Wants
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.timing.recorder import KindRecorder
    from asgi_serial.types import Field, Fields, Message, Scope

# These come before what HTTP says of the entry: it is not for this client at all.
_CREDENTIALED = Decision(Action.FORWARD, Reason.REQUEST_HAS_CREDENTIALS)
_UNACCEPTABLE = Decision(Action.FORWARD, Reason.NOT_ACCEPTABLE)
# A request with a body is the client's alone: it is not made conditional, nor sent again.
_WITH_A_REQUEST_OF_OURS = (Action.USE_STALE_AND_REFRESH, Action.VALIDATE)

_DATES = frozenset({b"date", b"last-modified"})
# RFC 9110, 13.1.2: 304 for these, 412 for others; QUERY is safe as GET is.
_READS = frozenset({"GET", "HEAD", "QUERY"})

# With any other field that is read there is more to a request than a look-up.
_SIMPLE_FIELDS = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"host",
        b"if-none-match",
        b"x-forwarded-proto",
    }
)
# Of themselves these change nothing but whom an answer may be given to.
_WITHOUT_EFFECT = (Meaning.HARMLESS, Meaning.UNKNOWN)
_SCHEMES = (None, b"http", b"https")


def find_hit(
    engine: Engine, scope: Scope, fields: dict[bytes, bytes]
) -> tuple[Key | None, tuple[Message, Message, Entry, Representation] | None]:
    """The key of a plain GET, and the answer to it by what is stored in the first level.

    The key is None for any other request; the answer comes with what it is of, and is None where
    there is none. It finds what the longer way by `judge` and `answer` finds, for nine
    requests of ten, at a fourth of the cost: no plan is made, and no function called that can be
    done without.
    """
    if scope["method"] != "GET":
        return None, None
    if not _SIMPLE_FIELDS.issuperset(fields):
        if engine.fields.known.issuperset(fields):
            return None, None
        return None, _find_strange_hit(engine, scope, fields)
    find = fields.get
    try:
        # As `make_key` has it.
        key = (
            engine.realm,
            "GET",
            scope["scheme"],
            find(b"host", b"").lower(),
            find(b"x-forwarded-proto"),
            scope["root_path"],
            scope["path"],
            scope["raw_path"],
            scope["query_string"],
            None,
            None,
        )
    except KeyError:
        return None, None
    if key[4] is not None and key[4] not in _SCHEMES:
        return None, None
    if engine.learned.has_partitions and key[1:8] in engine.learned.policies:
        return None, None  # who asks has to be known first
    slot = engine.find_slot(key)
    if slot is None:
        return key, None
    entry = slot.value
    now = engine.clock()
    if type(entry) is not Entry or now >= entry.expires:
        return key, None
    if (entry.uri.is_dropped or entry.epoch != engine.purges.epoch) and engine.responses.is_purged(
        entry
    ):
        return key, None
    wants = engine.sole_wants
    if wants is None or True in entry.negotiates:
        wants = engine.negotiator.wants[find(b"accept"), find(b"accept-encoding")]
        if wants.coded_only:
            return key, None  # it has entries of its own
    kept = entry.last_kept
    if kept is None or kept.wants is not wants:
        kept = find_representation(wants, entry)
        if kept is None:
            return key, None
    slot.is_used = True
    if b"if-none-match" in fields:
        # The client has the very tag of this form; another condition takes the longer way.
        if fields[b"if-none-match"] != kept.etag or entry.status != 200:
            return key, None
        if kept.second != int(now):
            hit_fields(engine, entry, kept, now)
        headers = kept.fields_of_304
        if headers is None:
            headers = kept.fields_of_304 = not_modified_fields(kept.hit_fields)
        return key, (
            {"type": "http.response.start", "status": 304, "headers": headers.copy()},
            {"type": "http.response.body", "body": b"", "more_body": False},
            entry,
            kept,
        )
    headers = kept.hit_fields if kept.second == int(now) else hit_fields(engine, entry, kept, now)
    return key, (
        {"type": "http.response.start", "status": entry.status, "headers": headers.copy()},
        {"type": "http.response.body", "body": kept.body, "more_body": False},
        entry,
        kept,
    )


def _find_strange_hit(
    engine: Engine, scope: Scope, fields: dict[bytes, bytes]
) -> tuple[Message, Message, Entry, Representation] | None:
    """Find the answer to a GET with fields that nobody knows, if it is also for such requests."""
    strange = fields.keys() - _SIMPLE_FIELDS
    if len(strange) > MAX_STRANGE or not engine.fields.known.isdisjoint(strange):
        return None
    meanings = engine.fields.meanings
    if any(meanings[name] not in _WITHOUT_EFFECT for name in strange):
        return None
    _, hit = find_hit(engine, scope, {name: fields[name] for name in fields.keys() - strange})
    return None if hit is None or UNKNOWN_FIELDS not in hit[2].credentialed else hit


def judge(engine: Engine, plan: RequestPlan, entry: Entry, now: float) -> Decision:
    """What is done about a request for which this stored response was selected, and why.

    Source: RFC 9111, 3.5 and 4.
    """
    if not entry.credentialed.issuperset(plan.credentials):
        return _CREDENTIALED
    if plan.strange is not NOT_STRANGE:
        why = why_not_for(plan, entry)
        if why is not None:
            return Decision(Action.FORWARD, why)
    if is_refused(plan.wants, entry):
        return _UNACCEPTABLE
    decision = decide(plan.demands, entry, now, engine.stale_options)
    if plan.method in BODY_METHODS and decision.action in _WITH_A_REQUEST_OF_OURS:
        return Decision(Action.FORWARD, Reason.STALE)
    return decision


def why_not_for(plan: RequestPlan, entry: Entry) -> Reason | None:
    """Why an entry may not answer a request with such fields as no list knows; None if it may."""
    names = [name for name, _ in entry.selecting]
    for_unknown = UNKNOWN_FIELDS in entry.credentialed
    return why_strange(plan.unknown, plan.strange.twins, names, allows_unknown=for_unknown)


def is_refused(wants: Wants, entry: Entry) -> bool:
    """Whether the client is to be told that it accepts no form of this document."""
    return wants.refused and entry.negotiates[0]


def variant_of(wants: Wants, entry: Entry) -> Variant:
    """Which variant of a stored response answers to these wants."""
    by_format, by_coding = entry.negotiates
    media_type, as_json, coding = wants.accepts
    if not by_format:
        media_type = ""
    elif (media_type or as_json) and (entry.format or entry.find_format()) != JSON:
        media_type = JSON_TYPE if entry.format in as_json else ""
    return media_type, coding if by_coding else ""


def find_representation(wants: Wants, entry: Entry) -> Representation | None:
    """The stored form that answers to these wants, if it is there."""
    kept = None if is_refused(wants, entry) else entry.find(variant_of(wants, entry))
    if kept is not None:
        kept.wants = wants
        entry.last_kept = kept
    return kept


def answer(
    engine: Engine,
    plan: RequestPlan,
    entry: Entry,
    kept: Representation,
    now: float,
    said: Field | None = None,
) -> tuple[Message, Message]:
    """The two messages of a hit, or of the 304 or 206 that the request gets in its place.

    `said` is the line of Cache-Status where it is not that of a plain hit.
    """
    status, body = entry.status, kept.body
    fields = hit_fields(engine, entry, kept, now).copy()
    if engine.settings.cache_status:
        if said is None and plan.collapsed:
            said = engine.cache_status.shared_line(plan.forward, int(entry.expires - now))
        if said is not None:
            has_key = engine.settings.cache_status_key
            fields[-1] = with_key(said, entry.key) if has_key else said
    conditions = plan.fields
    is_conditional = b"if-none-match" in conditions or b"if-modified-since" in conditions
    if is_conditional and plan.method in _READS and is_fresh_copy(plan, entry, kept, now):
        status, body, fields = 304, b"", not_modified_fields(fields)
    elif (
        b"range" in conditions
        and plan.method == "GET"
        and status == 200
        # Another release of a codec may make other bytes of the same; parts of both do not fit.
        and variant_of(plan.wants, entry) == ("", "")
    ):
        status, fields, body = serve_ranges(engine, conditions, fields, kept, now)
    if plan.method == "HEAD":
        body = b""
    return (
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": body, "more_body": False},
    )


def answer_on_error(
    engine: Engine, plan: RequestPlan, entry: Entry, status: int | None = None
) -> tuple[Message, Message] | None:
    """The stale response in place of the app's error, or of its exception; None if it may not be.

    `status` is that of the error.
    """
    now = engine.clock()
    if entry.status in ERROR_STATUSES:
        return None  # a stored error is no better
    if not may_use_on_error(plan.demands, entry, now, engine.stale_options):
        return None
    if engine.responses.is_purged(entry):
        return None
    kept = plan.form or find_representation(plan.wants, entry)
    if kept is None:
        return None
    plan.served = "stale"
    said = engine.cache_status.replaced_line(
        plan.forward, entry, now, status, Reason.STALE_IF_ERROR
    )
    return answer(engine, plan, entry, kept, now, said)


def hit_fields(engine: Engine, entry: Entry, kept: Representation, now: float) -> Fields:
    """The fields of a hit, to be copied; what changes in them changes once a second."""
    second = int(now)
    if kept.second != second:
        fields = kept.fields.copy()
        # RFC 9111, 1.2.2: not negative, though another process whose clock is ahead made it.
        fields.append(engine.cache_status.age_line(max(0, int(now - entry.born))))
        if engine.settings.cache_status:
            fields.append(engine.cache_status.hit_line(int(entry.expires - now)))
            if engine.settings.cache_status_key:
                fields[-1] = with_key(fields[-1], entry.key)
        # The second comes last: another thread that sees it finds what belongs to it.
        kept.fields_of_304 = None
        kept.hit_fields = fields
        kept.second = second
    return kept.hit_fields


def is_fresh_copy(plan: RequestPlan, entry: Entry, kept: Representation, now: float) -> bool:
    """Whether the client's condition says that it has this representation already.

    Source: RFC 9111, 4.3.2: for a stored 200, and by its Date where Last-Modified is missing.
    """
    if entry.status != 200:
        return False
    dates = read_fields(kept.fields, _DATES)
    modified = dates.get(b"last-modified", dates.get(b"date"))
    return is_not_modified(plan.fields, kept.etag, modified, now=now)


def record_hit(
    recorder: KindRecorder, entry: Entry, kept: Representation, status: int, took_ns: int
) -> None:
    """Record an answer that `find_hit` has given."""
    if status == entry.status:
        kind = kept.kind
        if kind is None:
            kind = kept.kind = recorder.kinds[entry.route, "GET", status, "hit", "", ()]
        sent = len(kept.body)
        made = entry.app_bytes if status == 200 else sent
    else:
        kind = kept.kind_of_304
        if kind is None:
            kind = kept.kind_of_304 = recorder.kinds[entry.route, "GET", status, "hit", "", ()]
        made = sent = 0
    recorder.record(kind, (took_ns, took_ns, made, made, sent))
