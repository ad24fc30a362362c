"""Format, coding, cache, conditions and methods at once: each client gets what is its own."""

import random
from dataclasses import replace

import pytest

from .client import Answer
from .driver import Clock, ask, awaited, serial_of
from .scripts import DOCUMENT, body_of, start_of
from .variants import (
    KNOWN_LENGTH,
    MSGPACK,
    VALUE,
    VARIANTS,
    app_of,
    every_shape,
    every_tag,
    lasting,
    name_variant,
    variants_as,
    wanting,
)

SETTINGS_WITHOUT_CACHE = {"cache": False, "encodings_cache": False}


def is_right(answer: Answer, variant: tuple[str, str]) -> bool:
    """Whether an answer with content is this representation, well described."""
    media_type, coding = variant
    return (
        (answer.status, answer.media_type, answer.coding) == (200, media_type, coding)
        and answer.document == VALUE
        and answer.vary == ["accept", "accept-encoding"]
        and (not coding or len(answer.body) < len(answer.content))
        and (media_type == MSGPACK or answer.content == DOCUMENT)
        and answer.all("accept-ranges") == ([b"bytes"] if variant == VARIANTS[0] else [])
    )


@every_shape
@every_tag
@variants_as("variant")
@awaited
async def test_a_hit_equals_its_miss(shape, tag, variant):
    """Field for field and byte for byte, but for Age, Date, Cache-Status and Server-Timing."""
    clock = Clock()
    app = app_of(shape, tag, cache_control="max-age=60", link="</a>")
    serial = serial_of(app, clock=clock)
    miss = await ask(serial, wanting(variant))
    clock.now += 7
    hit = await ask(serial, wanting(variant))
    assert miss.cached.startswith("fwd=uri-miss")
    assert (hit.cached, hit.one("age"), app.calls) == ("hit", "7", 1)
    assert is_right(miss, variant)
    assert lasting(hit) == lasting(miss)
    assert hit.body == miss.body


@every_shape
@every_tag
@variants_as("variant")
@awaited
async def test_head_says_what_get_would(shape, tag, variant):
    """From the cache, and from the app."""
    stored = serial_of(app_of(shape, tag, cache_control="max-age=60"))
    get = await ask(stored, wanting(variant))
    head = await ask(stored, wanting(variant, "HEAD"))
    assert (head.cached, head.body) == ("hit", b"")
    assert lasting(head) == lasting(get)
    app = app_of(shape, tag)
    fresh = serial_of(app, **SETTINGS_WITHOUT_CACHE)
    get = await ask(fresh, wanting(variant))
    head = await ask(fresh, wanting(variant, "HEAD"))
    assert app.calls == 2
    # RFC 9110, 9.3.2: fields whose value is determined while generating content may be omitted.
    assert set(lasting(head)) <= set(lasting(get))
    assert head.all("vary") == get.all("vary")
    if variant == VARIANTS[0]:
        assert lasting(head) == lasting(get)


NOISE = random.Random(7).randbytes(3000)
BODIES: dict[str, tuple[str, bytes]] = {
    "shrinks": ("application/json", DOCUMENT),
    "does not shrink": ("text/plain", NOISE),
    "is small": ("application/json", b"[]"),
    "is empty": ("application/json", b""),
    "cannot be carried over": ("application/json", b"[%s]" % (b"9" * 1000)),
    "is no text": ("image/png", NOISE),
    "is a stream of events": ("text/event-stream", b"data: hello\n\n" * 100),
}


@pytest.mark.parametrize("extensions", [{}, {"http.response.pathsend": {}}], ids=["", "pathsend"])
@pytest.mark.parametrize("sized", [True, False], ids=["of known length", "of unknown length"])
@pytest.mark.parametrize(("kind", "content"), BODIES.values(), ids=BODIES)
@variants_as("variant")
@awaited
async def test_head_promises_nothing_that_get_does_not_send(
    variant, kind, content, sized, extensions, tmp_path
):
    """RFC 9110, 9.3.2, whatever the content turns out to be, and where it is a file."""
    path = tmp_path / "content"
    path.write_bytes(content)

    async def app(scope, receive, send):
        length = {"content_length": str(len(content))} if sized else {}
        await send(start_of(content_type=kind, etag='"v1"', **length))
        if scope["method"] == "HEAD":
            await send(body_of())
        elif scope["extensions"]:
            await send({"type": "http.response.pathsend", "path": str(path)})
        else:
            await send(body_of(content))

    serial = serial_of(app)
    request, scope = wanting(variant), {"extensions": extensions}
    get = await ask(serial, replace(request, scope=scope))
    head = await ask(serial, replace(request, method="HEAD", scope=scope))
    assert (head.status, head.body) == (200, b"")
    assert set(lasting(head)) <= set(lasting(get))
    assert head.vary == get.vary
    # What the head alone decides is said, as GET says it.
    if kind == "image/png" or variant == VARIANTS[0]:
        assert lasting(head) == lasting(get)


@every_shape
@every_tag
@variants_as("first", "second")
@awaited
async def test_each_client_gets_its_own_of_one_call(shape, tag, first, second):
    """What another client had stored is carried over: it is what a miss of one's own had been."""
    app = app_of(shape, tag, cache_control="max-age=60")
    serial = serial_of(app)
    one, other = await ask(serial, wanting(first)), await ask(serial, wanting(second))
    again = await ask(serial, wanting(first))
    assert app.calls == 1
    assert is_right(one, first)
    assert is_right(other, second)
    assert (other.cached, again.cached) == ("hit", "hit")
    assert lasting(again) == lasting(one)
    assert again.body == one.body
    if tag or (one.one("etag") and other.one("etag")):
        assert one.one("etag").removeprefix("W/") != other.one("etag").removeprefix("W/")


@every_tag
@variants_as("first", "second")
@awaited
async def test_a_derived_form_is_that_of_a_miss(tag, first, second):
    serial = serial_of(app_of(KNOWN_LENGTH, tag, cache_control="s-maxage=9"))
    await ask(serial, wanting(first))
    derived = await ask(serial, wanting(second))
    own = serial_of(app_of(KNOWN_LENGTH, tag, cache_control="s-maxage=9"))
    miss = await ask(own, wanting(second))
    assert (derived.cached, sorted(lasting(derived))) == ("hit", sorted(lasting(miss)))
    assert derived.body == miss.body


@every_shape
@awaited
async def test_every_variant_has_a_tag_of_its_own(shape):
    for settings in ({}, SETTINGS_WITHOUT_CACHE):
        serial = serial_of(app_of(shape, {"etag": '"v1"'}, cache_control="max-age=60"), **settings)
        tags = [(await ask(serial, wanting(variant))).one("etag") for variant in VARIANTS]
        assert len({tag.removeprefix("W/") for tag in tags}) == len(VARIANTS)


@every_shape
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@variants_as("variant")
@awaited
async def test_304_from_the_cache(shape, method, variant):
    """RFC 9110, 15.4.5: with the ETag and the Vary that the 200 would have had."""
    app = app_of(shape, {"etag": '"v1"'}, cache_control="max-age=60", content_location="/a")
    serial = serial_of(app)
    whole = await ask(serial, wanting(variant))
    request = wanting(variant, method).having(if_none_match=whole.one("etag"))
    answer = await ask(serial, request)
    assert (answer.status, answer.body, answer.cached, app.calls) == (304, b"", "hit", 1)
    for name in ("etag", "vary", "cache-control", "content-location"):
        assert answer.all(name) == whole.all(name)
    for name in ("content-type", "content-encoding", "content-length"):
        assert answer.all(name) == []


@every_shape
@variants_as("variant", "held")
@awaited
async def test_the_tag_of_another_variant_gives_200(shape, variant, held):
    """From the cache, and from an app that knows nothing of conditions."""
    for settings in ({}, SETTINGS_WITHOUT_CACHE):
        app = app_of(shape, {"etag": '"v1"'}, cache_control="max-age=60")
        serial = serial_of(app, **settings)
        tag = (await ask(serial, wanting(held))).one("etag")
        for _ in range(2):
            answer = await ask(serial, wanting(variant).having(if_none_match=tag))
            assert is_right(answer, variant), name_variant(variant)


@every_tag
@variants_as("variant")
@awaited
async def test_the_encodings_cache_changes_nothing(tag, variant):
    """The app runs each time, and what was encoded before is what is encoded now."""
    app = app_of(KNOWN_LENGTH, tag)
    remembering = serial_of(app)
    answers = [await ask(remembering, wanting(variant)) for _ in range(3)]
    plain = await ask(serial_of(app, encodings_cache=False), wanting(variant))
    assert app.calls == 4
    for answer in answers:
        assert answer.body == plain.body
        assert is_right(answer, variant)
        made_up = [] if tag else ["etag"]
        assert [pair for pair in lasting(answer) if pair[0].decode() not in made_up] == lasting(
            plain
        )
