"""Completing a stored part: the app is asked for the rest, and its 206 becomes a 200."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.caching.revalidation import changes_vary
from asgi_serial.caching.stored_parts import (
    has_coding_of_part,
    has_tag_of_part,
    is_usable_part,
    merged_fields,
    stored_part,
)
from asgi_serial.http.field_names import CONDITIONS
from asgi_serial.http.headers import content_length, read_fields, read_response_fields, without
from asgi_serial.http.parts import are_of_one, missing_span, parse_content_range
from asgi_serial.reasons import Reason
from asgi_serial.request.handler_policy import adopt_partition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asgi_serial.cache.entry import Entry
    from asgi_serial.engine.engine import Engine
    from asgi_serial.http.parts import Part
    from asgi_serial.http.ranges import ByteRange
    from asgi_serial.request.app_call import AppCall
    from asgi_serial.request.forward import Forward
    from asgi_serial.request.plan import RequestPlan
    from asgi_serial.types import Fields, Message, Scope

_MISSES = (Reason.MISS, Reason.VARY_MISS)
_RANGE_FIELDS = CONDITIONS | {b"range"}
_READ = frozenset({b"etag"})

# A 304 or a 416 is about the range that was asked for here, and not by the client.
_TO_OUR_RANGE = frozenset({206, 304, 416})
_SUPERSEDING_STATUSES = frozenset({200, 404, 410})
_FILES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})


def may_complete(plan: RequestPlan, forward: Forward) -> bool:
    """Whether a stored part could be completed for this request: a plain GET of the whole."""
    return (
        plan.method == "GET"
        and forward.reason in _MISSES
        and forward.stored is None
        and _RANGE_FIELDS.isdisjoint(plan.fields)
    )


def can_be_completed(engine: Engine, plan: RequestPlan, entry: Entry, now: float) -> bool:
    """Whether the app can be asked for the rest of what this entry holds.

    Source: RFC 9111, 3.4: parts are combined only if they share a strong validator.
    """
    part = stored_part(entry)
    etag = _tag_of(entry)
    return (
        part is not None
        and are_of_one(etag, etag)
        and missing_span(part) is not None
        and part.length <= engine.settings.cache_max_object
        and is_usable_part(engine, plan, entry, now)
    )


def _tag_of(entry: Entry) -> bytes:
    return read_fields(entry.fields, _READ).get(b"etag", b"")


def _rest_of(entry: Entry) -> tuple[Part, ByteRange]:
    part = stored_part(entry)
    assert part is not None  # it was found to be one that can be completed
    span = missing_span(part)
    assert span is not None
    return part, span


def ask_for_rest(scope: Scope, pairs: Fields, entry: Entry) -> Fields:
    """Return the request fields that ask the app for the rest; `scope` offers no files any more.

    Source: RFC 9110, 13.1.5: with If-Range, a representation that has changed comes whole.
    """
    _, span = _rest_of(entry)
    if "extensions" in scope:
        offered = scope["extensions"] or {}
        scope["extensions"] = {name: value for name, value in offered.items() if name not in _FILES}
    return [
        *without(pairs, _RANGE_FIELDS),
        (b"range", b"bytes=%d-%d" % span),
        (b"if-range", _tag_of(entry)),
    ]


class Completion:
    """Turns the app's 206 for the missing range into the 200 for the whole response."""

    request: RequestPlan  # as the handler's policy, and the app's answer, have changed it

    def __init__(self, engine: Engine, call: AppCall, entry: Entry) -> None:
        self._engine = engine
        self._call = call
        self._entry = entry
        self._part, self._span = _rest_of(entry)
        self._left = -1  # bytes of the rest that have not come; -1 before its start, or without one
        self._is_first = True
        self.is_void = False  # the rest of what this call of the app sends is ignored

    def take(self, message: Message, request: RequestPlan) -> Message | None:
        """Return the message to send for the app's; None if it has to be asked for the whole.

        The newest plan of the `request` is in the attribute of that name afterwards.

        Raises: RuntimeError for content that is not what the head of the response says.
        """
        self.request = request
        kind = message["type"]
        if kind == "http.response.start":
            return self._begin(message)
        if self._left < 0:
            return message
        if kind in _FILES:
            raise RuntimeError("The app sends a file though none was offered to be sent.")
        return self._combine(message) if kind == "http.response.body" else message

    def _begin(self, message: Message) -> Message | None:
        status, entry = message["status"], self._entry
        pairs, fields = read_response_fields(
            message.get("headers", ()), self._engine.fields.response
        )
        request = self.request = adopt_partition(self._engine, self.request, self._call)
        # The part is of the user whom the handler names.
        is_own = request.forward.completes is not None
        is_same = is_own and has_tag_of_part(entry, fields)
        if (
            is_own
            and status in _SUPERSEDING_STATUSES
            and not is_same
            and not request.user.credentials
        ):
            self._engine.responses.forget(entry)
        if status not in _TO_OUR_RANGE:
            # It is the app's own answer.
            self.request = request.with_(forward=request.forward.without_stored())
            return message
        if status != 206 or not is_same or message.get("trailers") or not self._fits(fields):
            self.is_void = True
            return None
        self._left = self._span.last - self._span.first + 1
        length = (b"content-length", b"%d" % self._part.length)
        merged = merged_fields(self._engine, entry, pairs)
        return {**message, "status": 200, "headers": [*merged, length]}

    def _fits(self, fields: Mapping[bytes, bytes]) -> bool:
        """Whether a 206 with these fields is exactly the missing range."""
        span = self._span
        return (
            parse_content_range(fields.get(b"content-range")) == (span, self._part.length)
            and content_length(fields) == span.last - span.first + 1
            and has_coding_of_part(self._entry, fields, may_be_bare=True)
            and not changes_vary(self._entry, fields)
        )

    def _combine(self, message: Message) -> Message:
        body = bytes(message.get("body", b""))
        self._left -= len(body)
        if self._left < 0:
            raise RuntimeError("The app sends more content than its Content-Length says.")
        if self._is_first and self._part.first == 0:
            body = self._part.body + body
        self._is_first = False
        is_last = not message.get("more_body", False)
        # A rest that is too short goes out as it is: the client sees that it is incomplete.
        if is_last and not self._left and self._part.first > 0:
            body += self._part.body
        return {**message, "body": body}
