"""Apps that answer in MessagePack are negotiated as those that answer in JSON are."""

import itertools
import json
from dataclasses import dataclass
from typing import Any

import msgpack
import pytest
from litestar import Litestar, MediaType, get

from asgi_serial import SerialMiddleware, serial

from .driver import Clock, Request, Whole, ask, awaited, serial_of
from .scripts import DOCUMENT, body_of, start_of
from .variants import VALUE, lasting

JSON, MSGPACK = "application/json", "application/x-msgpack"
PACKED = msgpack.packb(VALUE)
FRESH = {"cache_control": "max-age=60"}
VARIANTS = list(itertools.product((MSGPACK, JSON), ("", "gzip", "br", "zstd")))
SHAPES: dict[str, dict[str, Any]] = {
    "whole": {},
    "of a known length": {"pieces": 3, "content_length": str(len(PACKED))},
    "streamed": {"pieces": 3},
}

every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
every_tag = pytest.mark.parametrize("tag", [{}, {"etag": '"v1"'}], ids=["no tag", "a tag"])
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)


def wanting(variant: tuple[str, str], method: str = "GET") -> Request:
    media_type, coding = variant
    fields = (("accept", media_type), ("accept-encoding", coding or "identity"))
    return Request(method, fields=fields)


def app_of(**options: Any) -> Whole:
    return Whole(PACKED, **{"content_type": MSGPACK, **options})


@pytest.mark.parametrize("sent", ["application/vnd.msgpack", "Application/Msgpack", MSGPACK])
@pytest.mark.parametrize(
    ("accept", "in_json"),
    [
        pytest.param(None, False, id="nothing said"),
        pytest.param("*/*", False, id="anything"),
        pytest.param("application/json", True, id="JSON"),
        pytest.param("application/json, */*;q=0.5", True, id="rather JSON"),
        pytest.param("application/json, application/msgpack", False, id="either"),
        pytest.param("application/msgpack", False, id="MessagePack by any of its names"),
        pytest.param("text/html", False, id="neither"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"cache": False}], ids=["cache", "no cache"])
@awaited
async def test_the_format_is_the_one_that_its_client_prefers(accept, in_json, sent, settings):
    """RFC 9110, 12.5.1."""
    app = serial_of(app_of(content_type=sent), **settings)
    request = Request(fields=() if accept is None else (("accept", accept),))
    for _ in range(2):
        answer = await ask(app, request)
        assert answer.one("content-type") == (JSON if in_json else sent)
        assert json.loads(answer.content) == VALUE if in_json else answer.content == PACKED
        assert answer.vary == ["accept", "accept-encoding"]


@every_shape
@every_tag
@every_variant
@awaited
async def test_a_hit_equals_its_miss(shape, tag, variant):
    app = app_of(**shape, **tag, **FRESH)
    stored = serial_of(app)
    miss, hit = await ask(stored, wanting(variant)), await ask(stored, wanting(variant))
    assert (miss.media_type, miss.coding, miss.document) == (*variant, VALUE)
    assert (hit.cached, app.calls) == ("hit", 1)
    assert (lasting(hit), hit.body) == (lasting(miss), miss.body)
    assert miss.vary == ["accept", "accept-encoding"]
    if miss.one("etag"):
        held = wanting(variant).having(if_none_match=miss.one("etag"))
        answer = await ask(stored, held)
        assert (answer.status, answer.one("etag")) == (304, miss.one("etag"))


@every_tag
@pytest.mark.parametrize(
    ("first", "second"), list(itertools.permutations(VARIANTS, 2)), ids=lambda one: " ".join(one)
)
@awaited
async def test_each_form_is_derived_from_the_stored_one(first, second, tag):
    length = {"content_length": str(len(PACKED))}
    app = app_of(**tag, **length, **FRESH)
    stored = serial_of(app)
    await ask(stored, wanting(first))
    derived = await ask(stored, wanting(second))
    miss = await ask(serial_of(app_of(**tag, **length, **FRESH)), wanting(second))
    assert (derived.cached, app.calls) == ("hit", 1)
    assert (sorted(lasting(derived)), derived.body) == (sorted(lasting(miss)), miss.body)


@awaited
async def test_every_form_has_a_tag_of_its_own():
    app = serial_of(app_of(etag='"v1"', **FRESH))
    tags = {(await ask(app, wanting(variant))).one("etag") for variant in VARIANTS}
    assert len({tag.removeprefix("W/") for tag in tags}) == len(VARIANTS)


@every_variant
@pytest.mark.parametrize("settings", [{}, {"cache": False}], ids=["cache", "no cache"])
@awaited
async def test_the_app_is_asked_by_its_own_tag(variant, settings):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        condition = dict(scope["headers"]).get(b"if-none-match", b"")
        if condition == b'"v1"':
            await send(start_of(304, etag='"v1"'))
            await send(body_of())
        else:
            await send(start_of(etag='"v1"', content_type=MSGPACK))
            await send(body_of(PACKED))

    served = serial_of(app, **settings)
    tag = (await ask(served, wanting(variant))).one("etag")
    answer = await ask(served, wanting(variant).having(if_none_match=tag))
    assert (answer.status, answer.one("etag")) == (304, tag)


@every_shape
@every_variant
@awaited
async def test_head_promises_nothing_that_get_does_not_send(shape, variant):
    app = serial_of(app_of(etag='"v1"', **shape), cache=False)
    get, head = await ask(app, wanting(variant)), await ask(app, wanting(variant, "HEAD"))
    assert set(lasting(head)) <= set(lasting(get))
    assert head.vary == get.vary


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        pytest.param(msgpack.packb({"a": b"\x00"}), {}, id="a binary"),
        pytest.param(msgpack.packb({1: 2}), {}, id="a key that is a number"),
        pytest.param(b"\xc1", {}, id="no MessagePack"),
        pytest.param(PACKED, {"format_max_size": 100}, id="too large"),
        pytest.param(PACKED, {"formats": False}, id="turned off"),
    ],
)
@pytest.mark.parametrize("first", [JSON, MSGPACK])
@awaited
async def test_what_json_cannot_carry_is_sent_as_the_app_made_it(content, settings, first):
    app = serial_of(Whole(content, content_type=MSGPACK, etag='"v1"', **FRESH), **settings)
    for media_type in (first, JSON, MSGPACK):
        answer = await ask(app, wanting((media_type, "")))
        assert (answer.one("content-type"), answer.body) == (MSGPACK, content)
        assert answer.one("etag") == '"v1"'


@awaited
async def test_what_is_named_by_a_suffix_keeps_its_meaning():
    app = serial_of(app_of(content_type="application/problem+msgpack"))
    answer = await ask(app, wanting((JSON, "")))
    assert answer.one("content-type") == "application/problem+msgpack"


@awaited
async def test_a_client_of_neither_is_refused_where_that_is_set():
    app = serial_of(app_of(), format_strict=True)
    assert (await ask(app, Request(fields=(("accept", "text/html"),)))).status == 406


@pytest.mark.parametrize("settings", [{}, {"cache": False}], ids=["cache", "no cache"])
@awaited
async def test_a_handler_that_turns_formats_off_is_heard(settings):
    @serial(formats=False)
    async def handle(scope: Any, receive: Any, send: Any) -> None:
        await app_of()(scope, receive, send)

    answer = await ask(serial_of(handle, **settings), wanting((JSON, "")))
    assert (answer.media_type, answer.body) == (MSGPACK, PACKED)


@awaited
async def test_a_stale_response_is_confirmed_in_either_format():
    clock = Clock()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        condition = dict(scope["headers"]).get(b"if-none-match", b"")
        fields = {"etag": '"v1"', "content_type": MSGPACK, **FRESH}
        status = 304 if condition == b'"v1"' else 200
        await send(start_of(status, **fields))
        await send(body_of(b"" if status == 304 else PACKED))

    stored = serial_of(app, clock=clock)
    await ask(stored, wanting((MSGPACK, "")))
    for variant in ((JSON, ""), (MSGPACK, "gzip"), (JSON, "zstd")):
        clock.now += 90
        answer = await ask(stored, wanting(variant))
        assert answer.cached == "fwd=stale, stored"
        assert (answer.media_type, answer.coding, answer.document) == (*variant, VALUE)


@awaited
async def test_a_large_response_is_translated_in_a_thread():
    content = msgpack.packb(json.loads(DOCUMENT) * 100)
    app = serial_of(Whole(content, content_type=MSGPACK))
    answer = await ask(app, wanting((JSON, "")))
    assert (answer.media_type, answer.document) == (JSON, msgpack.unpackb(content))


@dataclass
class Book:
    id: int


@awaited
async def test_litestars_own_messagepack_is_negotiated():
    @get("/", media_type=MediaType.MESSAGEPACK)
    async def handle() -> Book:
        return Book(7)

    app = SerialMiddleware(Litestar([handle], logging_config=None))
    for media_type in (JSON, MSGPACK):
        answer = await ask(app, wanting((media_type, "")))
        assert (answer.media_type, answer.document) == (media_type, {"id": 7})
        assert "accept" in answer.vary
