"""Refusals, as problem details (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.types import Fields, Message

# Those of RFC 9110, 15; the standard library's are older in older releases of it.
TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


class Problem(NamedTuple):
    """A response of ours in place of the app's."""

    status: int
    reason: Reason
    detail: str
    fields: tuple[tuple[bytes, bytes], ...] = ()

    def messages(self, *, is_head: bool = False) -> list[Message]:
        """The whole response.

        Source: RFC 9457, 3.1: `type` is about:blank where the status says all, and `title` its
        phrase then; `detail` is for this occurrence.
        """
        document = {
            "type": "about:blank",
            "title": TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason.name.lower().replace("_", "-"),
        }
        body = json.dumps(document).encode()
        fields: Fields = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *self.fields,
        ]
        return [
            {"type": "http.response.start", "status": self.status, "headers": fields},
            {"type": "http.response.body", "body": b"" if is_head else body, "more_body": False},
        ]


def not_acceptable(media_types: Iterable[str], vary: bytes | None) -> Problem:
    """The refusal of a client that accepts no format there is.

    Source: RFC 9110, 12.4.1: a list of what there is lets the client choose.
    """
    detail = f"This resource is available as {', '.join(media_types)}."
    fields = () if vary is None else ((b"vary", vary),)
    return Problem(406, Reason.NOT_ACCEPTABLE, detail, fields)
