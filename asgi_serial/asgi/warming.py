"""Requests that nobody has made, so that the first who does finds an answer."""

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
    """Ask `app` for each of the URLs, a few at once; gives the status of each answer.

    A response is kept as for any client: by scheme, host, path and query, so the URLs are those
    that clients use. `headers` go with every request (Accept and Accept-Encoding choose the forms
    that are ready at once; others are made when they are asked for). What fails is logged, and has
    the status 500. Raises: ValueError for what is no absolute http or https URL.

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
        CURRENT.set(None)  # in a task of its own: a handler that warms does not answer these
        async with may_ask:
            return url, await _ask(app, url, scope)

    return dict(await asyncio.gather(*[ask(url, scope) for url, scope in scopes.items()]))


def _scope_of(url: str, headers: Mapping[str, str]) -> Scope:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"{url!r} is no URL to ask for; expected one such as https://host/path.")
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
        logger.exception("%s could not be asked for.", url)
        return 500
    return status
