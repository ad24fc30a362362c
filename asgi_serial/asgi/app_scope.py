"""The request as the app sees it: its scope, with adapted fields, and its decoded body."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from asgi_serial.asgi.parsed_requests import PARSED, forget_parsed, recall_parsed
from asgi_serial.caching.completion import ask_for_rest
from asgi_serial.caching.revalidation import conditions_for
from asgi_serial.engine.app_engines import MARK
from asgi_serial.formats.registry import JSON_TYPE
from asgi_serial.http.field_names import CONDITIONS
from asgi_serial.http.headers import without, without_fields
from asgi_serial.http.validators import (
    format_entity_tag,
    parse_entity_tags,
    unmap_condition,
)
from asgi_serial.request.body import ENCODED_FIELDS, ENCODED_FIELDS_AND_TYPE
from asgi_serial.request.model_extension import EXTENSION, offer_models
from asgi_serial.request.plan import target_with
from asgi_serial.settings.policy import HANDLER_SWITCHES
from asgi_serial.settings.routed_handler import REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asgi_serial.asgi.parsed_requests import Parsed
    from asgi_serial.engine.engine import Engine
    from asgi_serial.request.app_call import AppCall
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Field, Fields, Scope

ZEROCOPYSEND = "http.response.zerocopysend"


_CONDITIONS = frozenset((b"if-none-match", b"if-match"))
_HIDDEN = (b"accept-encoding", b"cookie")


def copy_scope(scope: Scope) -> Scope:
    """Return a shallow copy; the `copy` method of a plain dict takes half the time of `dict()`."""
    return scope.copy() if type(scope) is dict else dict(scope)


def offers_zero_copy(plan: RequestPlan, scope: Scope) -> bool:
    """Whether the app could send parts of files, to a client that may get them encoded.

    The extension is hidden in a scope of the app's own.
    """
    return ZEROCOPYSEND in (scope["extensions"] or ()) and b"accept-encoding" in plan.profile.places


Target: TypeAlias = dict[str, bytes]
"""The items of a scope that hold the query."""

Hidden: TypeAlias = "tuple[Fields, Fields, Target | None, Target | None, Parsed | None]"
"""The fields and the target of a scope, each as given and as the app sees it, and what was parsed.

A plain tuple, since one is made for most requests.
"""


def hide_from_app(plan: RequestPlan, scope: Scope) -> Hidden | None:
    """Hide fields and parameters of the query from the app; return what was hidden, if anything.

    The caller calls `reveal_outside` when the response leaves the app. If the response is stored,
    it waits until the app has ended: the app may read the scope while it makes the body.
    """
    given: Fields = scope["headers"]
    pairs = _shown_fields(plan, given)
    hides_query = plan.shown_query is not None and plan.hides_query
    if pairs is given and not hides_query:
        return None
    target = shown = None
    if hides_query:
        shown = _shown_target(plan)
        target = {key: scope[key] for key in shown}
        scope.update(shown)
    scope["headers"] = pairs
    # The app may change its list.
    before = given if pairs is given else pairs.copy()
    return (
        given,
        before,
        target,
        shown,
        forget_parsed(scope) if "state" in scope and PARSED in (scope["state"] or ()) else None,
    )


def _shown_target(plan: RequestPlan) -> Target:
    """Return the target without the parameters that are hidden from the app."""
    assert plan.shown_query is not None  # otherwise none is hidden
    return target_with(plan.scope, plan.shown_query)


def reveal_outside(scope: Scope, hidden: Hidden, chosen: Iterable[bytes]) -> None:
    """Put back what `hide_from_app` has hidden, and keep what the app has changed meanwhile.

    `chosen` are the names of fields of which the app may have seen another value.
    """
    given, before, target, shown, parsed = hidden
    if parsed is not None:
        recall_parsed(parsed)
    if target is not None and shown is not None:
        scope.update({key: target[key] for key in shown if scope.get(key) == shown[key]})
    pairs = scope.get("headers")
    if pairs == before:
        scope["headers"] = given
        return
    if not isinstance(pairs, list | tuple):
        return
    for name in (*_HIDDEN, *chosen):
        lines, seen = _lines_of(name, given), _lines_of(name, before)
        # A line that the app itself has removed or replaced stays so.
        if lines != seen and seen == _lines_of(name, pairs):
            pairs = [*without(pairs, frozenset((name,))), *lines]
    scope["headers"] = pairs


def _lines_of(name: bytes, pairs: Iterable[Field]) -> Fields:
    return [pair for pair in pairs if pair[0] == name]


def _shown_fields(plan: RequestPlan, pairs: Fields) -> Fields:
    """Return the fields as the app sees them.

    They are without codings that we apply and cookies that the cache ignores, and with the values
    that were chosen.
    """
    profile = plan.profile
    # Only a response with a key may be stored; another client's cookies must not show in it.
    if profile.cookies is not None and plan.key is not None:
        kept = plan.cookies_that_count
        if kept is not plan.lines[profile.places[b"cookie"]][1]:
            pairs = _replace(plan, pairs, b"cookie", kept or None)
    if profile.choices is not None and plan.is_normalized:
        for name, value in plan.chosen.items():
            pairs = _replace(plan, pairs, name, value)
    if plan.wants.hides_codings and b"accept-encoding" in profile.places:
        pairs = _replace(plan, pairs, b"accept-encoding", None)
    return pairs


def _replace(plan: RequestPlan, pairs: Fields, name: bytes, value: bytes | None) -> Fields:
    """Return a new list in which a field of the request has this value, or is missing."""
    place = plan.profile.places.get(name)
    if place is None:
        return [*pairs, (name, value or b"")]
    made, line = [*pairs], plan.lines[place]
    # It is in its place, unless another one is missing, or lines with one name were combined.
    if place >= len(made) or made[place] is not line:
        try:
            place = made.index(line)
        except ValueError:  # several lines, which `line` combines
            made = [pair for pair in made if pair[0] != name]
            return made if value is None else [*made, (name, value)]
    if value is None:
        del made[place]
    else:
        made[place] = (name, value)
    return made


def scope_for_app(
    engine: Engine, plan: RequestPlan, call: AppCall, body: bytes | None = None
) -> Scope:
    """Return a shallow copy of the scope, with the request as the app should see it.

    `body` is the decoded body, if it differs from the one received. The scope from the server and
    its list of fields do not change.
    """
    fields = plan.fields
    # The marks tell an inner engine that the request is handled, and which handlers may set its
    # policy.
    scope = call.app_scope = copy_scope(plan.scope)
    scope[MARK] = engine
    scope[REQUEST] = []  # not the plan, which refers to the scope
    if plan.hides_query:
        scope.update(_shown_target(plan))
    given: Fields = scope["headers"]
    pairs = _shown_fields(plan, given)
    if body is not None:
        pairs = _decoded_fields(plan, pairs, body)
    forward = plan.forward
    if forward.validates and forward.stored is not None:
        pairs = [*without(pairs, CONDITIONS | {b"range"}), *conditions_for(forward.stored)]
    elif forward.completes is not None:
        pairs = ask_for_rest(scope, pairs, forward.completes)
    elif (b"if-none-match" in fields or b"if-match" in fields) and (
        engine.names_variants or HANDLER_SWITCHES
    ):
        pairs = _app_conditions(engine, plan, pairs)
    if plan.wants.media_type:
        pairs = _with_json_accepted(pairs, fields[b"accept"])
        extensions = scope.get("extensions") or {}
        scope["extensions"] = {**extensions, EXTENSION: offer_models(engine, plan, call)}
    if pairs is not given:
        scope["headers"] = pairs
    # The client accepts a coding, and the handler may still turn compression on.
    if b"accept-encoding" in fields and "extensions" in scope:
        _hide_zero_copy(scope)
    return scope


def _hide_zero_copy(scope: Scope) -> None:
    """Remove the extension that sends parts of a body from files, which could not be encoded.

    Sending a whole body from a file (pathsend) may stay: it replaces the body, and passes
    unchanged.
    """
    extensions = scope["extensions"] or {}
    if ZEROCOPYSEND in extensions:
        kept = {name: value for name, value in extensions.items() if name != ZEROCOPYSEND}
        scope["extensions"] = kept


def _decoded_fields(plan: RequestPlan, pairs: Fields, body: bytes) -> Fields:
    dropped = ENCODED_FIELDS_AND_TYPE if plan.body_format else ENCODED_FIELDS
    made = without_fields(pairs, dropped, plan.fields)
    made.append((b"content-length", b"%d" % len(body)))
    if plan.body_format:
        made.append((b"content-type", JSON_TYPE.encode()))
    return made


def _app_conditions(engine: Engine, plan: RequestPlan, pairs: Fields) -> Fields:
    """Return the fields with conditions in which tags of our variants become the app's own.

    RFC 9110, 13.1.2: a condition is about the representation that this request would select:
    encoded, or as the app made it. A method that writes selects none; there a tag of any variant
    identifies the state of the resource that the client saw.
    """
    if plan.method in ("GET", "HEAD"):
        wants = plan.wants
        suffixes: tuple[bytes, ...] = tuple(
            engine.negotiator.tag_suffixes[media_type, coding]
            for media_type in wants.media_types
            for coding in (wants.coding, "")
        )
    else:
        suffixes = tuple(engine.negotiator.tag_suffixes.known)
    mapped = []
    is_read = plan.method in ("GET", "HEAD")
    for name, value in pairs:
        if name == b"if-none-match" and is_read and plan.wants.media_type:
            value = _only_of_format(value, suffixes)
            if not value:
                continue
        if name in _CONDITIONS:
            value = unmap_condition(value, suffixes, engine.negotiator.tag_suffixes.known)
        mapped.append((name, value))
    return mapped


def _only_of_format(value: bytes, suffixes: tuple[bytes, ...]) -> bytes:
    """Return the condition without tags of the app's own format, which is not selected.

    Otherwise the app would answer 304, and the client's cache would continue with a format that it
    does not want.
    """
    tags = parse_entity_tags(value)
    if tags is None:
        return value
    endings = tuple([b"-" + suffix for suffix in suffixes])
    return b", ".join([format_entity_tag(tag) for tag in tags if tag.opaque.endswith(endings)])


def _with_json_accepted(pairs: Fields, accepted: bytes) -> Fields:
    """Return the fields with JSON as the last choice; `accepted` is the combined Accept value."""
    # An app that applies Accept strictly would reject a client of MessagePack, which it cannot
    # produce but we can. An app that can produce it still sees that the client prefers it.
    pairs = list(pairs)
    line = (b"accept", accepted)
    try:
        last = pairs.index(line)
    except ValueError:  # several lines, which `accepted` combines
        last, line = max((place, pair) for place, pair in enumerate(pairs) if pair[0] == b"accept")
    pairs[last] = (b"accept", line[1] + b", application/json;q=0.001")
    return pairs
