"""A caching reverse proxy: any HTTP/1.1 server behind the middleware, over uvicorn.

python examples/reverse_proxy.py --upstream http://127.0.0.1:9000 --port 8080

The cache is set by the environment, as everywhere: ASGI_SERIAL_CACHE_URL=redis://... and so on.
Fields pass as bytes, in order, repeated ones too; content streams both ways and is never decoded.
"""

import argparse
import asyncio
import json
import re
import time
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import quote, unquote

import h11
import uvicorn
from upstream import Connection, Pool, UpstreamError

from asgi_serial import SerialMiddleware

Fields = list[tuple[bytes, bytes]]

PSEUDONYM = b"asgi_serial"  # in Via
EARLY_HINT = "http.response.early_hint"
SILENCE_SECONDS = 60.0  # the longest that the upstream may keep the proxy waiting
CONTINUE_SECONDS = 1.0  # the longest that content waits for "100 Continue"

# RFC 9110, 7.6.1: these are of one connection, whether or not Connection names them.
HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}
)
# What Connection can not take away from a message, since its end or its meaning hangs on them.
ESSENTIAL = frozenset({b"content-length", b"host", b"transfer-encoding"})
# RFC 9110, 9.2.2: a request of these methods may be sent again where its connection failed.
IDEMPOTENT = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})
ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
# RFC 3986, 3.2.2 and 3.2.3, without what nobody sends.
HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[\w.~%!$&'()*+,;=-]*)(:[0-9]*)?", re.ASCII)
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class Gateway:
    """Makes of a request what it means, before the cache sees it."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            # A field that is not passed on must not select among stored responses either.
            named = connection_options(scope["headers"]) - ESSENTIAL
            kept = [field for field in scope["headers"] if field[0] not in named]
            scope = in_origin_form({**scope, "headers": kept})
            # RFC 9112, 3.2: 400 for a Host that is invalid.
            if any(name == b"host" and not HOST.fullmatch(value) for name, value in kept):
                await answer(send, 400)
                return
        await self.app(scope, receive, send)


class Proxy:
    """An ASGI app that answers with what the upstream answers."""

    def __init__(
        self, upstream: str, *, silence_seconds: float = SILENCE_SECONDS, clock=time.time
    ) -> None:
        self.pool = Pool(upstream, silence_seconds)
        self.clock = clock

    async def __call__(self, scope, receive, send):
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

    async def live(self, receive, send):
        """Close what is idle when the server ends."""
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def forward(self, exchange: "Exchange") -> None:
        """Answer by the upstream; where it fails by 502 or 504, or an end that is seen as none."""
        try:
            await exchange.run()
        except (UpstreamError, OSError, h11.ProtocolError) as error:
            if exchange.has_begun:
                # RFC 9112, 8: content that is not whole must not look so. The server cuts the
                # connection of a response without its end, and the cache drops what it has.
                return
            if isinstance(error, h11.LocalProtocolError):
                status = 400
            else:
                status = 504 if isinstance(error, TimeoutError) else 502
            await answer(exchange.send, status)


class Exchange:
    """One request to the upstream, and its response."""

    def __init__(self, scope, receive, send, proxy: Proxy) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.pool, self.clock = proxy.pool, proxy.clock
        fields = dict(scope["headers"])
        # RFC 9112, 6.3: a request with neither field has no content.
        self.has_content = b"transfer-encoding" in fields or b"content-length" in fields
        self.is_awaited = asyncio.Event()  # set once the upstream wants the content
        if fields.get(b"expect", b"").lower() != b"100-continue":
            self.is_awaited.set()
        self.has_begun = False  # to answer

    async def run(self) -> None:
        """Forward the request; once more where a connection that was kept turns out closed.

        What can not be sent again has a new connection from the start.
        """
        may_repeat = self.scope["method"] in IDEMPOTENT and not self.has_content
        connection = await self.pool.take(new=not may_repeat)
        try:
            await self.use(connection)
        except TimeoutError:
            raise  # it has been waited for long enough
        except (UpstreamError, OSError, h11.RemoteProtocolError):
            if not connection.is_kept or self.has_begun:
                raise
            await self.use(await self.pool.take(new=True))

    async def use(self, connection: Connection) -> None:
        """Send and receive at once: the upstream may answer before it has all of the request."""
        talk = asyncio.create_task(self.talk(connection))
        listen = asyncio.create_task(self.listen(connection))
        try:
            await asyncio.wait((talk, listen), return_when=asyncio.FIRST_COMPLETED)
            if connection.is_through or (listen.done() and listen.exception() is not None):
                # The upstream takes no more of the request; it may have answered why.
                await asyncio.wait((talk,))
            if talk.done():
                talk.result()
        finally:
            talk.cancel()
            listen.cancel()
            await asyncio.gather(talk, listen, return_exceptions=True)
            self.pool.put_back(connection)

    async def listen(self, connection: Connection) -> None:
        """Pass the content on as it comes; ends when the client has left."""
        await connection.is_ready.wait()
        if not self.is_awaited.is_set():
            # RFC 9110, 10.1.1: a client need not wait for 100 (Continue) for ever.
            with suppress(TimeoutError):
                await asyncio.wait_for(self.is_awaited.wait(), CONTINUE_SECONDS)
        while (message := await self.receive())["type"] == "http.request":
            if self.has_content:
                await connection.send(h11.Data(data=message.get("body", b"")))
                if not message.get("more_body", False):
                    await connection.send(h11.EndOfMessage())

    async def talk(self, connection: Connection) -> None:
        """Send the head of the request, and pass the response on as it comes."""
        await connection.send(build_request(self.scope, self.pool.authority))
        if not self.has_content:
            await connection.send(h11.EndOfMessage())
        connection.is_ready.set()
        head = await connection.read_head()
        while isinstance(head, h11.InformationalResponse):
            await self.inform(head)
            head = await connection.read_head()
        if not self.is_awaited.is_set():
            self.has_content = False  # answered without it
        if head.status_code == 408 and connection.is_kept:
            # RFC 9110, 15.5.9: it was sent before the request came, which may be repeated.
            raise UpstreamError("The upstream has closed an idle connection.")
        message = build_start(head, self.clock())
        self.has_begun = True
        await self.send(message)
        async for piece, more in connection.read_content():
            await self.send({"type": "http.response.body", "body": piece, "more_body": more})

    async def inform(self, head: h11.InformationalResponse) -> None:
        """Heed 100 (Continue), and pass on 103 (Early Hints) where the server can send it."""
        if head.status_code == 100:
            self.is_awaited.set()
        elif head.status_code == 103 and EARLY_HINT in (self.scope.get("extensions") or ()):
            links = [value for name, value in head.headers if name == b"link"]
            await self.send({"type": EARLY_HINT, "links": links})


def in_origin_form(scope):
    """The scope with a path for the target, and the host that an absolute one names.

    Source: RFC 9112, 3.2.2: the host of the target goes before that of Host.
    """
    absolute = ABSOLUTE.fullmatch(scope.get("raw_path") or b"")
    if absolute is None:
        return scope
    host, path = absolute.groups()
    fields = [(b"host", host), *[field for field in scope["headers"] if field[0] != b"host"]]
    raw_path = path or b"/"
    return {**scope, "headers": fields, "raw_path": raw_path, "path": unquote(raw_path.decode())}


def connection_options(fields: Fields) -> set[bytes]:
    """The lower-case names in Connection."""
    lines = [value for name, value in fields if name == b"connection"]
    return {option.strip(b" \t").lower() for line in lines for option in line.split(b",")}


def forwarded(fields: Fields) -> Fields:
    """The fields that go beyond one connection.

    Source: RFC 9110, 7.6.1.
    """
    dropped = HOP_BY_HOP | (connection_options(fields) - ESSENTIAL)
    return [(name, value) for name, value in fields if name not in dropped]


def hops_left(scope) -> int | None:
    """How often a request may be forwarded; None where it does not say.

    Source: RFC 9110, 7.6.2: for TRACE and OPTIONS only.
    """
    value = dict(scope["headers"]).get(b"max-forwards", b"").strip()
    if scope["method"] not in ("OPTIONS", "TRACE") or not value.isdigit():
        return None
    return int(value[:9])


def build_request(scope, authority: bytes) -> h11.Request:
    """The head to send to the upstream. Raises: h11.LocalProtocolError."""
    fields = [(name, value.strip(b" \t")) for name, value in forwarded(scope["headers"])]
    names = dict(scope["headers"])
    if b"transfer-encoding" in names:
        # RFC 9112, 6.1: it overrides Content-Length, which must not be forwarded then.
        fields = [field for field in fields if field[0] != b"content-length"]
        fields.append((b"transfer-encoding", b"chunked"))
    hops = hops_left(scope)
    if hops is not None:
        fields = [field for field in fields if field[0] != b"max-forwards"]
        fields.append((b"max-forwards", b"%d" % (hops - 1)))
    if b"host" not in names:
        fields.insert(0, (b"host", authority))
    # RFC 9110, 7.6.3: a gateway has to name itself in the requests that it forwards.
    fields.append((b"via", scope["http_version"].encode() + b" " + PSEUDONYM))
    target = scope.get("raw_path") or quote(scope["path"]).encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    return h11.Request(method=scope["method"], target=target, headers=fields)


def build_start(head: h11.Response, now: float):
    """The message that starts the response. Raises: UpstreamError."""
    fields = [*forwarded(list(head.headers)), (b"via", head.http_version + b" " + PSEUDONYM)]
    if head.status_code > 599 or any(CONTROL.search(value) for _, value in fields):
        raise UpstreamError("The head of the response is not one that can be sent on.")
    is_chunked = any(name == b"transfer-encoding" for name, _ in head.headers)
    if is_chunked or head.status_code in (204, 304):
        # RFC 9112, 6.3: beside Transfer-Encoding it is to be removed. The length that a 304 may
        # state is that of another response, which servers take for the one of its content.
        fields = [field for field in fields if field[0] != b"content-length"]
    if not any(name == b"date" for name, _ in fields):
        # RFC 9110, 6.6.1: who receives a response without Date and forwards it appends one.
        fields.append((b"date", formatdate(now, usegmt=True).encode()))
    return {"type": "http.response.start", "status": head.status_code, "headers": fields}


async def answer(send, status: int) -> None:
    """Answer in place of the upstream, with problem+json (RFC 9457)."""
    problem = {"type": "about:blank", "status": status, "title": HTTPStatus(status).phrase}
    body = b"" if status == 204 else json.dumps(problem).encode()
    fields = [(b"cache-control", b"no-store"), (b"date", formatdate(usegmt=True).encode())]
    if body:
        fields.append((b"content-type", b"application/problem+json"))
        fields.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


def build_app(
    upstream: str, *, silence_seconds: float = SILENCE_SECONDS, clock=time.time, **options
):
    """The proxy as an ASGI app; `options` are those of the middleware."""
    proxy = Proxy(upstream, silence_seconds=silence_seconds, clock=clock)
    return Gateway(
        SerialMiddleware(
            proxy, compression=False, formats=False, decoding=False, timing=False, **options
        )
    )


def main() -> None:
    """Serve by the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
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
        # Takes a response of unknown length to a client of HTTP/1.0 as RFC 9112, 6.1, asks for,
        # fields without the white space around them, and any method: httptools does not.
        http="h11",
        ws="none",
        access_log=False,
        # What the upstream says of itself passes.
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
