"""Parts that are stored: with partitions, tags, levels, forms, and what else a cache has."""

import asyncio

import pytest

from asgi_serial import purge
from asgi_serial.admin.report_endpoint import engine_report
from asgi_serial.cache.entry import Entry
from asgi_serial.cache.key import is_of_part, part_key, resource_of
from asgi_serial.cache.packing import pack_entry, unpack_record
from asgi_serial.caching.stored_parts import stored_part
from asgi_serial.http.parts import Part

from .driver import Clock, Request, ask, awaited, drive, fields_of, serial_of
from .making import make_engine, make_plan, make_scope
from .shared_store import SharedStore
from .versions import Changing

FRESH = (b"cache-control", b"max-age=60")
PARTS = {"cache_parts": True}


def site(*lines, clock=None, store=None, **options):
    """An origin, and the middleware before it."""
    clock = clock or Clock()
    origin = Changing(clock, *(lines or (FRESH,)))
    return origin, serial_of(origin, clock=clock, store=store, **{**PARTS, **options})


def get(span, **fields):
    return Request().having(range=f"bytes={span}", **fields)


def entries_of(app):
    """What the first level holds."""
    slots = app.engine.memory._slots.values()
    return [slot.value for slot in slots if isinstance(slot.value, Entry)]


async def seen(app, *requests):
    """The status and the body of each answer, and how the cache took part."""
    answers = [await ask(app, request) for request in requests]
    return [(answer.status, answer.body, answer.cached) for answer in answers]


@awaited
async def test_off_by_default_no_part_is_kept():
    origin, app = site(cache_parts=False)
    await seen(app, get("0-3"), get("0-3"))
    assert (len(origin.asked), entries_of(app)) == (2, [])


@awaited
async def test_a_part_answers_ranges_within_it_and_no_other_request():
    _, app = site()
    assert await seen(app, get("2-5"), get("3-4"), get("3-7"), Request()) == [
        (206, b"2345", "fwd=uri-miss, stored"),
        (206, b"34", "hit"),
        (206, b"34567", "fwd=partial, stored"),
        (200, b"0123456789", "fwd=uri-miss, stored"),
    ]


@pytest.mark.parametrize("pieces", [1, 3])
@awaited
async def test_a_part_that_comes_in_pieces_is_kept(pieces):
    origin, app = site()
    origin.pieces = pieces
    await seen(app, get("2-5"), get("6-8"))
    assert (await seen(app, get("2-8")))[0][:2] == (206, b"2345678")
    assert len(origin.asked) == 2


@awaited
async def test_a_part_that_breaks_off_is_not_kept():
    origin, app = site()
    origin.pieces, origin.breaks = 2, True
    await drive(app, get("2-5"))
    assert entries_of(app) == []


@awaited
async def test_a_part_in_pieces_that_is_not_as_long_as_it_says_is_not_kept():
    async def short(scope, receive, send):
        headers = [FRESH, (b"etag", b'"1"'), (b"content-range", b"bytes 0-3/10")]
        await send({"type": "http.response.start", "status": 206, "headers": headers})
        await send({"type": "http.response.body", "body": b"01", "more_body": True})
        await send({"type": "http.response.body", "body": b"2"})

    app = serial_of(short, **PARTS)
    await drive(app, get("0-3"))
    assert entries_of(app) == []


@awaited
async def test_a_part_that_comes_after_the_whole_is_not_kept():
    origin, app = site()
    gate = asyncio.Event()

    async def slow(scope, receive, send):
        async def wait_and_send(message):
            await gate.wait()
            await send(message)

        is_part = any(name == b"range" for name, _ in scope["headers"])
        await origin(scope, receive, wait_and_send if is_part else send)

    app.app = slow
    asking = asyncio.create_task(ask(app, get("0-3")))
    await asyncio.sleep(0)
    await ask(app, Request())
    gate.set()
    assert (await asking).body == b"0123"
    assert [entry.status for entry in entries_of(app)] == [200]


@awaited
async def test_no_fast_way_takes_a_part_for_the_whole():
    """The plain GET is looked up apart, without a plan."""
    origin, app = site()
    await seen(app, get("0-3"))
    for _ in range(3):
        assert (await seen(app, Request(path="/")))[0][:2] == (200, b"0123456789")
    assert entries_of(app) == [entry for entry in entries_of(app) if entry.status == 200]
    assert len(origin.asked) == 2


@awaited
async def test_parts_are_each_users_own():
    routes = {"/": {"cache_partition": "cookie:sid"}}
    origin, app = site(routes=routes)
    ada, bob = ({"cookie": f"sid={name}"} for name in ("ada", "bob"))
    await seen(app, get("0-3", **ada), get("4-6", **bob))
    assert len(origin.asked) == 2
    assert [answer[2] for answer in await seen(app, get("0-3", **ada), get("4-6", **bob))] == [
        "hit",
        "hit",
    ]
    await seen(app, get("4-6", **ada), get("0-3", **bob), get("0-3"))
    assert len(origin.asked) == 5


@awaited
async def test_what_one_user_has_is_not_put_together_with_what_is_for_all():
    """The tag may be that of a version, and what each gets of it another thing."""
    origin, app = site()
    await seen(app, get("0-3"))
    origin.lines = ((b"cache-control", b"public, max-age=60"),)
    await seen(app, get("4-6", authorization="a"))
    await seen(app, get("0-6", authorization="b"))
    assert origin.asked[-1][b"range"] == b"bytes=0-6"


@pytest.mark.parametrize(
    "purged",
    [
        pytest.param({"tags": ["a"]}, id="a tag of the first"),
        pytest.param({"tags": ["b"]}, id="a tag of the second"),
        pytest.param({"uris": ["/"]}, id="its URI"),
        pytest.param({"prefixes": ["/"]}, id="a prefix"),
        pytest.param({"everything": True}, id="everything"),
    ],
)
@awaited
async def test_what_was_put_together_is_purged_by_what_either_part_was(purged):
    clock = Clock()
    origin, app = site(FRESH, (b"cache-tag", b"a"), clock=clock)
    await seen(app, get("0-3"))
    origin.lines = (FRESH, (b"cache-tag", b"b"))
    await seen(app, get("4-6"), get("0-6"))
    assert len(origin.asked) == 2
    clock.now += 1
    await purge(app, **purged)
    await seen(app, get("0-6"))
    assert len(origin.asked) == 3


@awaited
async def test_parts_with_too_many_tags_together_are_not_put_together():
    names = [b", ".join(b"%c%d" % (letter, place) for place in range(100)) for letter in b"ab"]
    origin, app = site(FRESH, (b"cache-tag", names[0]))
    await seen(app, get("0-3"))
    origin.lines = (FRESH, (b"cache-tag", names[1]))
    await seen(app, get("4-6"), get("4-6"), get("0-3"))
    assert len(origin.asked) == 3


@awaited
async def test_a_write_drops_parts_and_those_that_were_asked_for_before_it():
    clock = Clock()
    origin, app = site(clock=clock)
    gate, begun = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        async def wait_and_send(message):
            begun.set()
            await gate.wait()
            await send(message)

        await origin(scope, receive, wait_and_send if scope["method"] == "GET" else send)

    app.app = slow
    asking = asyncio.create_task(drive(app, get("0-3")))
    await begun.wait()
    clock.now += 1
    await drive(app, Request("PUT"))
    gate.set()
    await asking
    assert entries_of(app) == []


@awaited
async def test_a_part_is_in_the_second_level_too():
    store, clock = SharedStore(), Clock()
    origin, one = site(store=store, clock=clock)
    other = serial_of(origin, clock=clock, store=store, **PARTS)
    await seen(one, get("0-3"))
    await one.engine.responses.flush()
    assert await seen(other, get("1-2")) == [(206, b"12", "hit")]
    assert await seen(other, Request()) == [(200, b"0123456789", "fwd=partial, stored")]
    assert len(origin.asked) == 2


@awaited
async def test_a_part_of_the_second_level_is_put_together_with_one_that_comes():
    store, clock = SharedStore(), Clock()
    origin, one = site(store=store, clock=clock)
    other = serial_of(origin, clock=clock, store=store, **PARTS)
    await seen(one, get("0-3"))
    await one.engine.responses.flush()
    await seen(other, get("2-9"))
    await other.engine.responses.flush()
    third = serial_of(origin, clock=clock, store=store, **PARTS)
    assert await seen(third, Request()) == [(200, b"0123456789", "hit")]


@awaited
async def test_the_whole_drops_the_part_in_the_second_level():
    store, clock = SharedStore(), Clock()
    origin, one = site(store=store, clock=clock)
    await seen(one, get("0-3"))
    await one.engine.responses.flush()
    origin.lines = ((b"cache-control", b"max-age=1"),)
    await seen(one, Request())
    await one.engine.responses.flush()
    clock.now += 5
    assert not any(b"content-range" in record for record in store.kept.values())
    other = serial_of(origin, clock=clock, store=store, **PARTS)
    origin.change(b"abcdefghij")
    assert (await seen(other, get("0-3")))[0][1] == b"abcdefghij"  # in place of the stale whole


def entry_of(app):
    (entry,) = [entry for entry in entries_of(app) if entry.status == 206]
    return entry


@awaited
async def test_a_part_goes_through_its_record_unchanged():
    _, app = site()
    await seen(app, get("2-5"))
    entry = entry_of(app)
    again = unpack_record(pack_entry(entry), entry.key)
    assert stored_part(entry) == stored_part(again) == Part(2, 10, b"2345")
    assert again.fields == entry.fields


@awaited
async def test_what_is_not_the_part_that_it_says_is_none():
    """A record may be anybody's."""
    origin, app = site()
    await seen(app, get("2-5"))
    entry = entry_of(app)
    entry.all_forms[0].body = b"23"
    assert stored_part(entry) is None
    assert (await seen(app, get("2-3")))[0][:2] == (206, b"23")
    assert len(origin.asked) == 2
    entry.status = 200
    assert stored_part(entry) is None


@awaited
async def test_what_is_under_the_key_of_a_part_and_has_no_bytes_is_none():
    _, app = site()
    await seen(app, get("2-5"))
    entry = entry_of(app)
    entry.hold({})
    assert stored_part(entry) is None


def test_the_key_of_a_part_is_a_fork_of_its_resource():
    engine = make_engine()
    key = make_plan(engine, make_scope(headers=[(b"origin", b"a")])).key
    assert (is_of_part(key), is_of_part(part_key(key))) == (False, True)
    assert resource_of((part_key(key), b"nonce")) == part_key(key)
    plain = make_plan(engine, make_scope()).key
    assert is_of_part(part_key(plain))
    assert part_key(plain) != part_key(key)


@awaited
async def test_the_key_that_is_shown_is_that_of_the_resource():
    _, app = site(cache_status_key=True)
    keys = [
        (await ask(app, request)).one("cache-status").rpartition("key=")[2]
        for request in (get("0-3"), get("0-3"), Request())
    ]
    assert len(set(keys)) == 1


@awaited
async def test_a_hit_of_a_part_is_counted_and_timed():
    _, app = site(server_timing=True)
    await ask(app, get("0-3"))
    answer = await ask(app, get("0-3"))
    assert "cache;" in answer.one("server-timing")
    (row,) = engine_report(app.engine).routes
    assert (row["status"], row["count"], row["cache"]["hit"]) == (206, 2, 1)


@awaited
async def test_without_cache_status_nothing_is_said():
    _, app = site(cache_status=False)
    await ask(app, get("0-3"))
    answer = await ask(app, get("1-2"))
    assert (answer.body, answer.one("cache-status"), answer.one("age")) == (b"12", None, "0")


@awaited
async def test_what_would_be_too_large_together_is_kept_apart():
    origin, app = site(cache_max_object=6)
    await seen(app, get("0-3"), get("4-7"))
    assert await seen(app, get("4-7")) == [(206, b"4567", "hit")]
    await seen(app, get("0-3"), get("0-6"))
    assert len(origin.asked) == 4
    assert all(len(entry.all_forms[0].body) <= 6 for entry in entries_of(app))


@awaited
async def test_an_older_part_takes_no_place_of_a_newer_one():
    """RFC 9111, 4: the most recent one, by what it says of its age."""
    origin, app = site()
    await seen(app, get("0-3"))
    origin.lines = (FRESH, (b"age", b"30"))
    await seen(app, get("4-6"))
    assert await seen(app, get("0-3")) == [(206, b"0123", "hit")]


@awaited
async def test_all_parts_are_given_in_each_form_that_a_client_wants():
    text = b"the same words again " * 100
    origin, app = site(FRESH, (b"content-type", b"text/plain"))
    origin.change(text)
    await seen(app, get("0-999"), get("1000-"))
    answer = await ask(app, Request().having(accept_encoding="gzip"))
    assert (answer.coding, answer.content, answer.one("etag")) == ("gzip", text, '"v1-gzip"')
    assert answer.vary == ["accept-encoding"]
    own = await ask(app, Request())
    assert (own.body, own.vary, own.cached) == (text, ["accept-encoding"], "hit")
    assert len(origin.asked) == 2


@awaited
async def test_a_hit_of_a_part_has_the_fields_of_the_answer_that_it_was():
    _, app = site(FRESH, (b"content-type", b"text/plain"), (b"x-a", b"1"))
    request = get("0-3", accept_encoding="gzip")
    first, second = await ask(app, request), await ask(app, request)
    own = {b"age", b"cache-status"}
    one, other = (
        sorted(pair for pair in answer.fields if pair[0] not in own) for answer in (first, second)
    )
    assert one == other


@awaited
async def test_the_tag_of_another_form_is_not_that_of_a_part():
    """A client that has begun with a compressed form is not to go on with plain bytes."""
    origin, app = site()
    await seen(app, get("0-3"))
    await seen(app, get("0-3", if_range='"v0-gzip"'))
    assert len(origin.asked) == 2


@awaited
async def test_ranges_are_asked_for_each_by_itself():
    """Nobody waits for another's part, which may be one of no use."""
    origin, app = site()

    async def slow(scope, receive, send):
        await asyncio.sleep(0)
        await origin(scope, receive, send)

    app.app = slow
    answers = await asyncio.gather(*[ask(app, get(span)) for span in ("0-3", "4-6", "0-3")])
    assert [answer.body for answer in answers] == [b"0123", b"456", b"0123"]
    assert len(origin.asked) == 3


@awaited
async def test_a_part_of_a_stale_whole_is_not_put_together_with_it():
    clock = Clock()
    origin, app = site(clock=clock)
    await seen(app, Request())
    clock.now += 61
    origin.change(b"abcdefghij")
    assert await seen(app, get("0-3", if_match='"v1"'), get("0-3")) == [
        (206, b"abcd", "fwd=stale, stored"),
        (206, b"abcd", "hit"),
    ]
    assert (await seen(app, Request()))[0][1] == b"abcdefghij"


@awaited
async def test_a_whole_that_varies_otherwise_drops_the_parts():
    origin, app = site(FRESH, (b"vary", b"x-a"))
    await seen(app, get("0-3", x_a="1"))
    origin.lines = (FRESH, (b"vary", b"x-b"))
    await seen(app, Request(), get("0-3", x_a="1", x_b="2"))
    assert len(origin.asked) == 3


@awaited
async def test_a_whole_of_one_variant_leaves_the_part_of_another():
    origin, app = site(FRESH, (b"vary", b"x-a"))
    await seen(app, get("0-3", x_a="1"), get("0-3", x_a="2"))
    await seen(app, Request().having(x_a="1"))
    assert await seen(app, get("0-3", x_a="2")) == [(206, b"0123", "hit")]
    parts = [entry for entry in entries_of(app) if entry.status == 206]
    assert [entry.vary_values for entry in parts] == [((b"x-a", b"2"),)]
    assert len(origin.asked) == 3


@awaited
async def test_parts_leave_when_the_memory_is_full():
    origin, app = site(cache_memory=20_000, cache_max_object=20_000)
    origin.change(bytes(1000))
    for place in range(30):
        await ask(app, Request(path=f"/{place}").having(range="bytes=0-899"))
    assert 0 < len(entries_of(app)) < 20


@awaited
async def test_a_handler_that_sends_parts_unasked_or_to_posts_keeps_none():
    async def partial(scope, receive, send):
        headers = [FRESH, (b"etag", b'"1"'), (b"content-range", b"bytes 0-3/10")]
        await send({"type": "http.response.start", "status": 206, "headers": headers})
        await send({"type": "http.response.body", "body": b"0123"})

    app = serial_of(partial, **PARTS)
    await drive(app, Request())
    await drive(app, Request("POST").having(range="bytes=0-3"))
    await drive(app, Request("HEAD").having(range="bytes=0-3"))
    assert entries_of(app) == []


@awaited
async def test_a_part_that_is_of_a_stale_whole_s_confirmation_is_not_kept():
    """The app was not asked for a part, but whether the whole still holds."""
    clock = Clock()

    async def app_of_parts(scope, receive, send):
        fields = fields_of(cache_control="max-age=60", etag='"1"')
        if clock.now > 1_800_000_000.0:
            fields.append((b"content-range", b"bytes 0-3/10"))
            await send({"type": "http.response.start", "status": 206, "headers": fields})
            await send({"type": "http.response.body", "body": b"0123"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": fields})
            await send({"type": "http.response.body", "body": b"0123456789"})

    app = serial_of(app_of_parts, clock=clock, **PARTS)
    await ask(app, Request())
    clock.now += 61
    await drive(app, get("0-3"))
    assert [entry.status for entry in entries_of(app)] == [200]
