"""An app that has codings of its own, for clients of which none is taken here."""

import itertools
import zlib
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from .driver import Clock, Request, ask, awaited, serial_of
from .scripts import DOCUMENT, body_of, start_of

NAMES = ("deflate", "gzip", "identity", "br", "gzip, deflate", "compress")
CLIENTS = {name: Request(fields=(("accept-encoding", name),)) for name in NAMES} | {
    "no field": Request()
}
TAKEN = {"gzip": "gzip", "br": "br", "gzip, deflate": "gzip"}


class Deflating:
    """An app that encodes by deflate where that is accepted, and varies on it."""

    def __init__(self, **fields: str) -> None:
        self.fields = {"content_type": "text/plain", "vary": "accept-encoding", **fields}
        self.calls: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        accepted = dict(scope["headers"]).get(b"accept-encoding", b"")
        self.calls.append(accepted)
        given = dict(scope["headers"]).get(b"if-none-match", b"")
        if b"deflate" in accepted:
            content, fields = zlib.compress(DOCUMENT), {"content_encoding": "deflate"}
        else:
            content, fields = DOCUMENT, {}
        tag = '"v1-inner"' if fields else '"v1"'
        if tag.encode() in given.split(b", "):
            await send(start_of(304, etag=tag, **self.fields))
            await send(body_of())
            return
        await send(start_of(etag=tag, **fields, **self.fields))
        await send(body_of(content))


def codings_of(name: str) -> set[str]:
    """The codings in which a client is answered: ours before the app's."""
    if name in TAKEN:
        return {TAKEN[name]}
    return {"deflate", ""} if name == "deflate" else {""}


@pytest.mark.parametrize("settings", [{}, {"cache": False}], ids=["cache", "no cache"])
@pytest.mark.parametrize("name", CLIENTS)
@awaited
async def test_the_app_is_shown_what_is_not_taken_here(name, settings):
    app = Deflating()
    serial = serial_of(app, **settings)
    for _ in range(2):
        answer = await ask(serial, CLIENTS[name])
        assert answer.content == DOCUMENT
        assert answer.coding == TAKEN.get(name, "deflate" if name == "deflate" else "")
        assert answer.vary == ["accept-encoding"]
    shown = b"" if name in TAKEN or name == "no field" else name.encode()
    assert app.calls == [shown, shown]


@pytest.mark.parametrize(
    "order", list(itertools.permutations(CLIENTS, 2)), ids=lambda order: " then ".join(order)
)
@pytest.mark.parametrize("later", [0, 90], ids=["fresh", "stale"])
@awaited
async def test_no_client_gets_a_stored_coding_that_it_does_not_accept(order, later):
    """Whoever the app had answered before, and whether it confirms that or not."""
    clock = Clock()
    app = Deflating(cache_control="max-age=60")
    serial = serial_of(app, clock=clock)
    for name in order * 2:
        answer = await ask(serial, CLIENTS[name])
        assert (answer.status, answer.content) == (200, DOCUMENT)
        assert answer.coding in codings_of(name)
        clock.now += later
    calls = len(app.calls)
    if not later:
        assert {(await ask(serial, CLIENTS[name])).cached for name in order} == {"hit"}
        assert len(app.calls) == calls


@awaited
async def test_what_was_made_for_a_hidden_field_is_for_everybody():
    app = Deflating(cache_control="max-age=60")
    serial = serial_of(app)
    await ask(serial, CLIENTS["gzip"])
    for name, client in CLIENTS.items():
        answer = await ask(serial, client)
        assert (answer.cached, answer.coding) == ("hit", TAKEN.get(name, ""))
    assert app.calls == [b""]


@pytest.mark.parametrize("name", ["identity", "compress", "gzip"])
@awaited
async def test_who_confirms_a_response_changes_nothing_about_whom_it_is_for(name):
    """RFC 9111, 4.1 and 4.3.4."""
    clock = Clock()
    app = Deflating(cache_control="max-age=60")
    serial = serial_of(app, clock=clock)
    await ask(serial, CLIENTS["gzip"])
    clock.now += 90
    assert (await ask(serial, CLIENTS[name])).cached == "fwd=stale, stored"
    for client in CLIENTS.values():
        assert (await ask(serial, client)).cached == "hit"
    assert len(app.calls) == 2


@pytest.mark.parametrize("name", ["gzip", "br"])
@awaited
async def test_starlettes_gzip_is_used_where_ours_is_turned_off(name):
    async def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse(DOCUMENT)

    app = Starlette(routes=[Route("/", page)])
    app.add_middleware(GZipMiddleware)
    answer = await ask(serial_of(app, codings="zstd"), CLIENTS[name])
    assert (answer.coding, answer.content) == (name if name == "gzip" else "", DOCUMENT)
