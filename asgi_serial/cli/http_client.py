"""Requests to the endpoints of a running server."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from asgi_serial.cli.command import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BYTES = 50_000_000


class Reply(NamedTuple):
    """The answer of a server; the status is 0 if it has none, and `body` then says why."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        """The body as text that a terminal shows as it is: without control characters."""
        text = self.body.decode("utf-8", "replace")
        return "".join(char for char in text if char.isprintable() or char in "\n\t")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the token would go to wherever that leads."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Return that there is nothing to follow."""


def send(
    url: str,
    *,
    token: str | None,
    timeout: float,
    accept: str = "*/*",
    body: bytes | None = None,
    fields: Mapping[str, str] | None = None,
) -> Reply:
    """Send a GET, or a POST with a body, and return the answer, whatever its status is.

    Raises: UsageError, if the URL is none of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"{url!r} is not a URL of HTTP; expected one such as http://localhost:8000/x."
        )
    headers = {"accept": accept, "user-agent": "asgi-serial", **(fields or {})}
    if token:
        headers["authorization"] = f"Bearer {token}"
    try:
        request = urllib.request.Request(url, data=body, headers=headers)
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout) as answer:
            content_type = answer.headers.get("content-type", "")
            return Reply(answer.status, content_type, answer.read(_MAX_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            content_type = error.headers.get("content-type", "")
            return Reply(error.code, content_type, error.read(_MAX_BYTES))
    except (OSError, ValueError) as error:
        said = getattr(error, "reason", None) or error
        return Reply(0, "", f"{parts.netloc} cannot be reached: {said}".encode())
