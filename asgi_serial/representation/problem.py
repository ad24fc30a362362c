"""Refusals, as problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.types import Field, Fields, Message, Scope

# The phrases of RFC 9110, 15. Older releases of Python have older phrases.
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Problem(NamedTuple):
    """A response of the middleware in place of the app's."""

    status: int
    reason: Reason
    detail: str
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def messages(self, *, is_head: bool = False) -> list[Message]:
        """Return the whole response, which names the reason."""
        reason = {"reason": self.reason.token}
        return problem_messages(self.status, self.detail, self.fields, reason, is_head=is_head)


def problem_messages(
    status: int,
    detail: str,
    more_fields: Iterable[tuple[bytes, bytes]] = (),
    members: Mapping[str, str] | None = None,
    *,
    is_head: bool,
) -> list[Message]:
    """Return a whole response with problem details; `members` are further ones.

    Source: RFC 9457, 3.1: `type` is about:blank if the status says all, and `title` is then its
    phrase; `detail` is specific to this occurrence.
    """
    document = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "detail": detail,
        **(members or {}),
    }
    body = json.dumps(document).encode()
    fields: Fields = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        *more_fields,
    ]
    return [
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": b"" if is_head else body, "more_body": False},
    ]


def not_acceptable(media_types: Iterable[str], vary: bytes | None) -> Problem:
    """Return the refusal of a client that accepts no available format.

    Source: RFC 9110, 15.5.7: the content should list the available representations.
    """
    detail = f"This resource is available as {', '.join(media_types)}."
    fields = () if vary is None else ((b"vary", vary),)
    return Problem(406, Reason.NOT_ACCEPTABLE, detail, fields)


RETRY_SECONDS = 5
"""The Retry-After of a 503 for lack of memory; most bodies arrive in less time."""


def too_slow_body(scope: Scope, seconds: float) -> Problem:
    """Return the refusal of a body that did not arrive in time.

    Source: RFC 9110, 15.5.9: the server did not receive a complete request message within the time
    that it was prepared to wait.
    """
    detail = f"The body did not arrive within {seconds:g} s."
    return Problem(408, Reason.BODY_TOO_SLOW, detail, _closing(scope))


def no_room_for_body(scope: Scope) -> Problem:
    """Return the refusal of a body for which there is no memory at the moment.

    Source: RFC 9110, 15.6.4: a 503 may suggest the time to wait in Retry-After (10.2.3).
    """
    detail = "Too many bodies of requests are being read at the moment."
    retry = (b"retry-after", b"%d" % RETRY_SECONDS)
    return Problem(503, Reason.NO_ROOM_FOR_BODY, detail, (retry, *_closing(scope)))


def _closing(scope: Scope) -> tuple[Field, ...]:
    # The rest of the body is not read, so the connection cannot be used for another request. HTTP/2
    # and later do not have this field (RFC 9113, 8.2.2).
    is_http1 = scope.get("http_version", "1.1").startswith("1")
    return ((b"connection", b"close"),) if is_http1 else ()
