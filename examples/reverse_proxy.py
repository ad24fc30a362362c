"""A caching reverse proxy for any HTTP/1.1 server, with the middleware and uvicorn.

python examples/reverse_proxy.py --upstream http://127.0.0.1:9000 --port 8080

Configure the cache with environment variables: ASGI_SERIAL_CACHE_URL=redis://... and so on.
Fields pass as bytes and in order, including repeated ones. Content streams both ways, undecoded.
"""

import argparse
import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote

import h11
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from upstream import Connection, Pool, UpstreamError

from asgi_serial import SerialMiddleware

Fields = list[tuple[bytes, bytes]]

PSEUDONYM = b"asgi_serial"  # in Via
EARLY_HINT = "http.response.early_hint"
ONLY_THE_CACHE = ("compression", "formats", "decoding", "timing")  # are turned off
SILENCE_SECONDS = 60.0  # how long the upstream may be silent
CONTINUE_SECONDS = 1.0  # how long content waits for "100 Continue"

# RFC 9110, 7.6.1: these belong to one connection, even if Connection does not name them.
HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)
# Connection cannot remove these: the end or the meaning of a message depends on them.
ESSENTIAL = frozenset({b"content-length", b"host", b"transfer-encoding"})
# RFC 9110, 9.2.2: a request with one of these methods may be repeated if its connection failed.
IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})
ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
# RFC 3986, 3.2.2 and 3.2.3, without forms that nobody sends.
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+,;=-]*)(:[0-9]*)?", re.ASCII)
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Gateway:
    """Normalizes a request before the cache sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            # A field that is not forwarded must not select among stored responses either.
            named = connection_options(scope["headers"]) - ESSENTIAL
            kept = [field for field in scope["headers"] if field[0] not in named]
            scope = in_origin_form({**scope, "headers": kept})
            # RFC 9112, 3.2: an invalid Host is answered with 400.
            if any(name == b"host" and not HOST.fullmatch(value) for name, value in kept):
                await answer(send, 400)
                return
        await self.app(scope, receive, send)


class Proxy:
    """An ASGI app that forwards requests to the upstream."""

    def __init__(
        self,
        upstream: str,
        *,
        silence_seconds: float = SILENCE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.pool = Pool(upstream, silence_seconds)
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(receive, send)
            return
        may_go_on = hops_left(scope) != 0
        if scope["method"] == "CONNECT" or (scope["method"] == "TRACE" and not may_go_on):
            await answer(send, 501)
        elif not may_go_on:
            await answer(send, 204)
        else:
            await self.forward(Exchange(scope, receive, send, self))

    async def live(self, receive: Receive, send: Send) -> None:
        """Close idle connections when the server shuts down."""
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def forward(self, exchange: "Exchange") -> None:
        """Forward a request; answer 502 or 504 if the upstream fails, or break off the response."""
        try:
            await exchange.run()
        except (UpstreamError, OSError, h11.ProtocolError) as error:
            if exchange.has_begun:
                # RFC 9112, 8: incomplete content must not look complete. Without an end of the
                # response, the server closes the connection and the cache drops what it has.
                return
            if isinstance(error, h11.LocalProtocolError):
                status = 400
            else:
                status = 504 if isinstance(error, TimeoutError) else 502
            await answer(exchange.send, status)


class Exchange:
    """One request to the upstream and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, proxy: Proxy) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.pool, self.clock = proxy.pool, proxy.clock
        fields = dict(scope["headers"])
        # RFC 9112, 6.3: a request without either field has no content.
        self.has_content = b"transfer-encoding" in fields or b"content-length" in fields
        self.is_awaited = asyncio.Event()  # set when the upstream wants the content
        if fields.get(b"expect", b"").lower() != b"100-continue":
            self.is_awaited.set()
        self.has_begun = False  # whether the response was started

    async def run(self) -> None:
        """Forward the request. Repeat it if a kept connection turns out to be closed.

        A request that cannot be repeated gets a new connection from the start.
        """
        may_repeat = self.scope["method"] in IDEMPOTENT and not self.has_content
        connection = await self.pool.take(new=not may_repeat)
        try:
            await self.use(connection)
        except TimeoutError:
            raise  # the upstream had its time
        except (UpstreamError, OSError, h11.RemoteProtocolError):
            if not connection.is_kept or self.has_begun:
                raise
            await self.use(await self.pool.take(new=True))

    async def use(self, connection: Connection) -> None:
        """Send and receive at the same time: the upstream may answer before the request ends."""
        talk = asyncio.create_task(self.talk(connection))
        listen = asyncio.create_task(self.listen(connection))
        try:
            await asyncio.wait((talk, listen), return_when=asyncio.FIRST_COMPLETED)
            if connection.is_through or (listen.done() and listen.exception() is not None):
                # The upstream reads no more of the request. It may have answered why.
                await asyncio.wait((talk,))
            if talk.done():
                talk.result()
        finally:
            talk.cancel()
            listen.cancel()
            await asyncio.gather(talk, listen, return_exceptions=True)
            self.pool.put_back(connection)

    async def listen(self, connection: Connection) -> None:
        """Forward the content as it arrives, until the client leaves."""
        await connection.is_ready.wait()
        if not self.is_awaited.is_set():
            # RFC 9110, 10.1.1: a client need not wait for 100 (Continue) indefinitely.
            with suppress(TimeoutError):
                await asyncio.wait_for(self.is_awaited.wait(), CONTINUE_SECONDS)
        while (message := await self.receive())["type"] == "http.request":
            if self.has_content:
                await connection.send(h11.Data(data=message.get("body", b"")))
                if not message.get("more_body", False):
                    await connection.send(h11.EndOfMessage())

    async def talk(self, connection: Connection) -> None:
        """Send the head of the request, and forward the response as it arrives."""
        await connection.send(build_request(self.scope, self.pool.authority))
        if not self.has_content:
            await connection.send(h11.EndOfMessage())
        connection.is_ready.set()
        head = await connection.read_head()
        while isinstance(head, h11.InformationalResponse):
            await self.inform(head)
            head = await connection.read_head()
        if not self.is_awaited.is_set():
            self.has_content = False  # the upstream answered without it
        if head.status_code == 408 and connection.is_kept:
            # RFC 9110, 15.5.9: the upstream sent it before the request, which may be repeated.
            raise UpstreamError("The upstream has closed an idle connection.")
        message = build_start(head, self.clock())
        self.has_begun = True
        await self.send(message)
        async for piece, more in connection.read_content():
            await self.send({"type": "http.response.body", "body": piece, "more_body": more})

    async def inform(self, head: h11.InformationalResponse) -> None:
        """React to 100 (Continue), and forward 103 (Early Hints) if the server can send it."""
        if head.status_code == 100:
            self.is_awaited.set()
        elif head.status_code == 103 and EARLY_HINT in (self.scope.get("extensions") or ()):
            links = [value for name, value in head.headers if name == b"link"]
            await self.send({"type": EARLY_HINT, "links": links})


def in_origin_form(scope: Scope) -> Scope:
    """Return the scope with the path as target, and the host of an absolute target as Host.

    Source: RFC 9112, 3.2.2: the host of the target takes precedence over Host.
    """
    absolute = ABSOLUTE.fullmatch(scope.get("raw_path") or b"")
    if absolute is None:
        return scope
    host, path = absolute.groups()
    fields = [(b"host", host), *[field for field in scope["headers"] if field[0] != b"host"]]
    raw_path = path or b"/"
    return {**scope, "headers": fields, "raw_path": raw_path, "path": unquote(raw_path.decode())}


def connection_options(fields: Fields) -> set[bytes]:
    """Return the names in Connection, in lower case."""
    lines = [value for name, value in fields if name == b"connection"]
    return {option.strip(b" \t").lower() for line in lines for option in line.split(b",")}


def forwarded(fields: Fields) -> Fields:
    """Return the fields that are forwarded.

    Source: RFC 9110, 7.6.1.
    """
    dropped = HOP_BY_HOP | (connection_options(fields) - ESSENTIAL)
    return [(name, value) for name, value in fields if name not in dropped]


def hops_left(scope: Scope) -> int | None:
    """Return how often a request may be forwarded, or None if it does not say.

    Source: RFC 9110, 7.6.2: only TRACE and OPTIONS have a limit.
    """
    value = dict(scope["headers"]).get(b"max-forwards", b"").strip()
    if scope["method"] not in ("OPTIONS", "TRACE") or not value.isdigit():
        return None
    return int(value[:9])


def build_request(scope: Scope, authority: bytes) -> h11.Request:
    """Return the head to send to the upstream. Raises: h11.LocalProtocolError."""
    fields = [(name, value.strip(b" \t")) for name, value in forwarded(scope["headers"])]
    names = dict(scope["headers"])
    if b"transfer-encoding" in names:
        # RFC 9112, 6.1: it overrides Content-Length, which must then not be forwarded.
        fields = [field for field in fields if field[0] != b"content-length"]
        fields.append((b"transfer-encoding", b"chunked"))
    hops = hops_left(scope)
    if hops is not None:
        fields = [field for field in fields if field[0] != b"max-forwards"]
        fields.append((b"max-forwards", b"%d" % (hops - 1)))
    if b"host" not in names:
        fields.insert(0, (b"host", authority))
    # RFC 9110, 7.6.3: a gateway has to name itself in forwarded requests.
    fields.append((b"via", scope["http_version"].encode() + b" " + PSEUDONYM))
    target = scope.get("raw_path") or quote(scope["path"]).encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    return h11.Request(method=scope["method"], target=target, headers=fields)


def build_start(head: h11.Response, now: float) -> Message:
    """Return the message that starts the response. Raises: UpstreamError."""
    fields = [*forwarded(list(head.headers)), (b"via", head.http_version + b" " + PSEUDONYM)]
    if head.status_code > 599 or any(CONTROL.search(value) for _, value in fields):
        raise UpstreamError("The head of the response cannot be forwarded.")
    is_chunked = any(name == b"transfer-encoding" for name, _ in head.headers)
    if is_chunked or head.status_code in (204, 304):
        # RFC 9112, 6.3: Content-Length has to be removed beside Transfer-Encoding. A 304 may state
        # the length of another response, which servers would take for that of its own content.
        fields = [field for field in fields if field[0] != b"content-length"]
    if not any(name == b"date" for name, _ in fields):
        # RFC 9110, 6.6.1: a recipient that forwards a response without Date adds one.
        fields.append((b"date", formatdate(now, usegmt=True).encode()))
    return {"type": "http.response.start", "status": head.status_code, "headers": fields}


async def answer(send: Send, status: int) -> None:
    """Answer in place of the upstream, with problem details (RFC 9457)."""
    problem = {"type": "about:blank", "status": status, "title": HTTPStatus(status).phrase}
    body = b"" if status == 204 else json.dumps(problem).encode()
    fields = [(b"cache-control", b"no-store"), (b"date", formatdate(usegmt=True).encode())]
    if body:
        fields.append((b"content-type", b"application/problem+json"))
        fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def build_app(
    upstream: str,
    *,
    silence_seconds: float = SILENCE_SECONDS,
    clock: Callable[[], float] = time.time,
    **options: Any,
) -> Gateway:
    """Return the proxy as an ASGI app. `options` are settings of the middleware, or an engine."""
    if "engine" not in options:
        options = {**dict.fromkeys(ONLY_THE_CACHE, False), **options}
    proxy = Proxy(upstream, silence_seconds=silence_seconds, clock=clock)
    return Gateway(SerialMiddleware(proxy, **options))


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description="A caching reverse proxy.")
    parser.add_argument("--upstream", required=True, help="such as http://127.0.0.1:9000")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--silence", type=float, default=SILENCE_SECONDS, metavar="SECONDS")
    parser.add_argument("--preset", choices=["conformance"], help="guess lifetimes, too")
    arguments = parser.parse_args()
    uvicorn.run(
        build_app(arguments.upstream, silence_seconds=arguments.silence, preset=arguments.preset),
        host=arguments.host,
        port=arguments.port,
        # h11 sends a response of unknown length to an HTTP/1.0 client as RFC 9112, 6.1, requires,
        # strips white space around field values, and accepts any method. httptools does not.
        http="h11",
        ws="none",
        access_log=False,
        # The fields of the upstream pass.
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
