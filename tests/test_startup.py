"""Wrong settings end the server, also where the middleware is built once it is running."""

from contextlib import asynccontextmanager

import anyio
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response
from starlette.routing import Route

from asgi_serial import ConfigurationError, SerialMiddleware

FAULT = "gzip_level is 12; expected an integer from 0 to 9."


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


class Derived(SerialMiddleware):
    def __init__(self, app, **options):
        super().__init__(app, **options)


def run(app, scope):
    """Call an app as a server does; gives what it has sent, and its exception."""
    sent, raised = [], []

    async def receive():
        return {"type": f"{scope['type']}.startup"}

    async def send(message):
        sent.append(message)

    async def call():
        try:
            await app(scope, receive, send)
        except ConfigurationError as error:
            raised.append(str(error))

    anyio.run(call)
    return sent, raised


def start(app):
    return run(app, {"type": "lifespan", "asgi": {}, "state": {}})


def ask(app):
    return run(app, {"type": "http", "method": "GET", "path": "/", "headers": []})


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
@pytest.mark.parametrize(
    "stack",
    [
        pytest.param([Middleware(SerialMiddleware, gzip_level=12)], id="alone"),
        pytest.param([Middleware(Derived, gzip_level=12)], id="derived from"),
        pytest.param(
            [Middleware(Passing), Middleware(SerialMiddleware, gzip_level=12), Middleware(Passing)],
            id="between others",
        ),
    ],
)
def test_the_server_is_told_that_the_startup_has_failed(framework, stack):
    """uvicorn, Hypercorn and Granian serve on where an app merely raises."""
    sent, raised = start(framework(middleware=stack))
    assert sent == [{"type": "lifespan.startup.failed", "message": FAULT}]
    assert raised == [FAULT]


def test_an_app_that_was_not_started_raises_the_fault_at_each_request():
    app = Starlette(middleware=[Middleware(SerialMiddleware, gzip_level=12)])
    for _ in range(2):
        sent, raised = ask(app)
        assert [message["status"] for message in sent if "status" in message] in ([], [500])
        assert raised == [FAULT]


def test_an_app_that_failed_to_start_serves_nothing():
    app = Starlette(
        routes=[Route("/", lambda request: Response())],
        middleware=[Middleware(SerialMiddleware, gzip_level=12)],
    )
    start(app)
    sent, raised = ask(app)
    assert [message.get("status", 500) for message in sent] == [500, 500]
    assert raised == [FAULT]


def test_what_is_built_by_hand_raises_at_once_also_in_a_lifespan():
    raised = []

    @asynccontextmanager
    async def lifespan(app):
        try:
            SerialMiddleware(app, gzip_level=12)
        except ConfigurationError as error:
            raised.append(str(error))
        yield

    start(Starlette(lifespan=lifespan))
    assert raised == [FAULT]


def test_what_is_built_by_hand_raises_at_once_outside_of_coroutines():
    with pytest.raises(ConfigurationError, match="gzip_level is 12"):
        SerialMiddleware(Starlette(), gzip_level=12)
