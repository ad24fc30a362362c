"""Warm the cache: request URLs before clients do."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from asgi_serial.settings.policy import CURRENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asgi_serial.types import ASGIApp, Message, Scope

logger = logging.getLogger("asgi_serial")

_PORTS = {"http": 80, "https": 443}


async def warm(
    app: ASGIApp,
    urls: Iterable[str],
    *,
    headers: Mapping[str, str] | None = None,
    at_once: int = 4,
) -> dict[str, int]:
    """Request each of the URLs from `app`, `at_once` of them concurrently; return their statuses.

    Responses are stored under the scheme, host, path and query, as for any client. So use the URLs
    that clients use. `headers` are sent with every request; Accept and Accept-Encoding choose the
    variants that are ready at once, and others are derived on demand. A failure is logged and has
    the status 500.

    Raises: ValueError for anything but absolute http and https URLs.

    >>> import asyncio
    >>> async def app(scope, receive, send):
    ...     await send({"type": "http.response.start", "status": 204, "headers": []})
    ...     await send({"type": "http.response.body"})
    >>> asyncio.run(warm(app, ["https://api.example/prices?page=1"]))
    {'https://api.example/prices?page=1': 204}
    """
    scopes = {url: _scope_of(url, headers or {}) for url in urls}
    may_ask = asyncio.Semaphore(max(1, at_once))

    async def ask(url: str, scope: Scope) -> tuple[str, int]:
        # In this task only: if a handler warms the cache, its policy is not that of these requests.
        CURRENT.set(None)
        async with may_ask:
            return url, await _ask(app, url, scope)

    return dict(await asyncio.gather(*[ask(url, scope) for url, scope in scopes.items()]))


def _scope_of(url: str, headers: Mapping[str, str]) -> Scope:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} cannot be requested; expected a URL such as https://host/path.")
    path = parts.path or "/"
    fields = [(b"host", parts.netloc.rpartition("@")[2].encode())]
    fields += [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": parts.scheme,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": fields,
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port or _PORTS[parts.scheme]),
        "extensions": {},
        "state": {},
    }


async def _ask(app: ASGIApp, url: str, scope: Scope) -> int:
    status, has_asked = 500, False

    async def receive() -> Message:
        nonlocal has_asked
        if has_asked:
            await asyncio.Event().wait()
        has_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    try:
        await app(scope, receive, send)
    except Exception:
        logger.exception("The request for %s failed.", url)
        return 500
    return status
