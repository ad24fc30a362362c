"""Serves one app by uvicorn on a port that it prints: `python -m benchmarks.server APP`."""

import asyncio
import socket
import sys
from time import process_time

import uvicorn

from asgi_serial.types import ASGIApp, Receive, Scope, Send

from .apps import document, plain_app
from .callgrind import Callgrind
from .cases.subjects import ALL_ON, CACHE_ONLY, PUBLIC, ours

BODY = document(10_000)

APPS: dict[str, ASGIApp] = {
    "bare": plain_app(BODY, PUBLIC),
    "cache_only": ours(plain_app(BODY, PUBLIC), **CACHE_ONLY),
    "all_on": ours(plain_app(BODY, PUBLIC), **ALL_ON),
}


def measured(app: ASGIApp) -> ASGIApp:
    """The app, and under /-/begin and /-/end what this process has taken up to now.

    That is seconds of CPU time, or the instructions since the beginning.
    """
    callgrind = Callgrind.find()

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if not path.startswith("/-/"):
            await app(scope, receive, send)
            return
        if callgrind is None:
            taken = process_time()
        elif path == "/-/begin":
            taken = callgrind.begin()
        else:
            taken = callgrind.end()
        await plain_app(repr(taken).encode())(scope, receive, send)

    return outer


def main() -> None:
    # With the protocol named, asyncio turns Nagle's algorithm off, as for sockets of its own.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(
        measured(APPS[sys.argv[1]]),
        http="httptools",
        loop="asyncio",
        lifespan="off",
        access_log=False,
        timeout_keep_alive=600,
        log_level="warning",
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    main()
