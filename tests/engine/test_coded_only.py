"""Clients that refuse identity get every response that may be encoded in a coding.

Source: RFC 9110, 12.5.3.
"""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from asgi_serial import serial

from .driver import Request, Whole, ask, awaited, serial_of, settled
from .scripts import DOCUMENT, JSON, body_of, start_of
from .variants import lasting

SMALL, NOISE = b'{"a": 1}', random.Random(3).randbytes(5000)
CODED_ONLY = Request(fields=(("accept-encoding", "gzip, identity;q=0"),))
BY_ANY = Request(fields=(("accept-encoding", "br, *;q=0"),))
USUAL = Request(fields=(("accept-encoding", "gzip"),))
PLAIN = Request()
TEXT = {"content_type": "text/plain"}
FRESH = {"cache_control": "max-age=60"}

every_refusal = pytest.mark.parametrize(
    ("client", "coding"), [(CODED_ONLY, "gzip"), (BY_ANY, "br")], ids=["by name", "by any"]
)
every_way = pytest.mark.parametrize("settings", [{}, {"cache": False}], ids=["cache", "no cache"])


@every_way
@every_refusal
@pytest.mark.parametrize("content", [SMALL, NOISE, DOCUMENT], ids=["small", "noise", "document"])
@pytest.mark.parametrize("sized", [True, False], ids=["known length", "unknown length"])
@pytest.mark.parametrize("pieces", [1, 3])
@awaited
async def test_every_body_is_encoded(client, coding, content, sized, pieces, settings):
    length = {"content_length": str(len(content))} if sized else {}
    app = serial_of(Whole(content, pieces=pieces, etag='"v1"', **TEXT, **length), **settings)
    for _ in range(2):
        answer = await ask(app, client)
        assert (answer.status, answer.coding, answer.content) == (200, coding, content)
        assert answer.vary == ["accept-encoding"]
        assert answer.one("etag").removeprefix("W/") == f'"v1-{coding}"'
    # Others get what they got before.
    assert (await ask(app, PLAIN)).body == content


@pytest.mark.parametrize(
    ("client", "fields", "content"),
    [
        pytest.param(CODED_ONLY, TEXT, b"", id="no content"),
        pytest.param(CODED_ONLY, {"content_type": "image/png"}, NOISE, id="a type that is left"),
        pytest.param(CODED_ONLY, {**TEXT, "cache_control": "no-transform"}, SMALL, id="forbidden"),
        pytest.param(
            Request(fields=(("accept-encoding", "compress, identity;q=0"),)),
            TEXT,
            DOCUMENT,
            id="no coding that is here",
        ),
    ],
)
@awaited
async def test_what_cannot_be_encoded_is_sent_as_it_is(client, fields, content):
    """RFC 9110, 15.5.7: a server may supply a default representation in place of a 406."""
    answer = await ask(serial_of(Whole(content, **fields)), client)
    assert (answer.status, answer.coding, answer.content) == (200, "", content)


@every_refusal
@pytest.mark.parametrize("content", [SMALL, NOISE, DOCUMENT], ids=["small", "noise", "document"])
@pytest.mark.parametrize("first", ["refusing", "usual", "plain"])
@awaited
async def test_each_hit_is_its_own_miss(client, coding, content, first):
    """Those who accept identity are sent nothing that is larger, whoever came first."""
    app = Whole(content, etag='"v1"', content_length=str(len(content)), **JSON, **FRESH)
    stored = serial_of(app)
    clients = {"refusing": client, "usual": USUAL, "plain": PLAIN}
    misses = {name: await ask(serial_of(app), one) for name, one in clients.items()}
    for name in (first, *clients, *clients):
        answer = await ask(stored, clients[name])
        assert sorted(lasting(answer)) == sorted(lasting(misses[name]))
        assert answer.body == misses[name].body
    assert app.calls == 3 + 2
    held = client.having(if_none_match=misses["refusing"].one("etag"))
    assert (await ask(stored, held)).status == 304


@awaited
async def test_codings_of_those_who_refuse_identity_are_derived():
    app = Whole(SMALL, **TEXT, **FRESH)
    stored = serial_of(app)
    for client, coding in ((CODED_ONLY, "gzip"), (BY_ANY, "br"), (CODED_ONLY, "gzip")):
        answer = await ask(stored, client)
        assert (answer.coding, answer.content) == (coding, SMALL)
    assert app.calls == 1


@awaited
async def test_a_large_body_that_does_not_shrink_is_derived_in_a_thread():
    noise = random.Random(4).randbytes(100_000)
    app = Whole(noise, content_length="100000", **TEXT, **FRESH)
    stored = serial_of(app)
    for client, coding in ((CODED_ONLY, "gzip"), (BY_ANY, "br")):
        answer = await ask(stored, client)
        assert (answer.coding, answer.content) == (coding, noise)
    assert app.calls == 1


@pytest.mark.parametrize("writer", [CODED_ONLY, PLAIN], ids=["refusing", "plain"])
@awaited
async def test_a_write_drops_what_is_kept_for_either(writer):
    app = Whole(SMALL, **TEXT, **FRESH)
    stored = serial_of(app)
    for _ in range(2):
        for client in (CODED_ONLY, PLAIN):
            await ask(stored, client)
    assert app.calls == 2
    await ask(stored, replace(writer, method="PUT"))
    for client in (CODED_ONLY, PLAIN):
        assert (await ask(stored, client)).cached.startswith("fwd=")


@pytest.mark.parametrize("client", [CODED_ONLY, PLAIN], ids=["refusing", "plain"])
@awaited
async def test_a_handler_that_turns_compression_off_is_heard(client):
    """A secret in a body must not be told by its size (BREACH), whatever a client refuses."""

    @serial(compression=False)
    async def handle(scope: Any, receive: Any, send: Any) -> None:
        await send(start_of(**TEXT, **FRESH))
        await send(body_of(SMALL))

    stored = serial_of(handle)
    for one in (client, CODED_ONLY, PLAIN, CODED_ONLY):
        assert (await ask(stored, one)).body == SMALL


@awaited
async def test_what_was_encoded_for_others_is_remembered_apart():
    """The cache of encodings knows that the body does not shrink, which is no matter here."""
    content = random.Random(5).randbytes(20_000)
    app = serial_of(Whole(content, content_length="20000", **TEXT))
    for client, coding in ((USUAL, ""), (CODED_ONLY, "gzip")) * 4:
        assert (await ask(app, client)).coding == coding


@awaited
async def test_an_app_that_waits_for_its_client_is_encoded_as_a_stream():
    """A body of known length goes out as it is to others, since nothing may be held."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        listening = asyncio.create_task(receive())
        await settled(3)
        await send(start_of(content_length=str(len(DOCUMENT)), **TEXT))
        await send(body_of(DOCUMENT))
        listening.cancel()

    async def say_nothing() -> Any:
        await asyncio.Event().wait()

    for client, coding in ((CODED_ONLY, "gzip"), (USUAL, "")):
        upload = replace(client, method="POST")
        object.__setattr__(upload, "make_receive", lambda: say_nothing)
        assert (await ask(serial_of(app), upload)).coding == coding
