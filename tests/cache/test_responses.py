"""The cache of responses: two levels, variants, what is dropped, and the writes behind it all."""

import asyncio
import gc
import weakref

import pytest
from aiocache.base import BaseCache
from aiocache.serializers import NullSerializer
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.cache.entry import Entry, Representation, VaryIndex
from asgi_serial.cache.footprint import Interner, entry_size
from asgi_serial.cache.key import HOST, uri_digest, uri_index_of
from asgi_serial.cache.memory import Memory
from asgi_serial.cache.packing import name_record, pack_entry, pack_vary_index, unpack_record
from asgi_serial.cache.purges import Purge
from asgi_serial.cache.responses import MAX_KINDS_BYTES, SKEW_SECONDS, ResponseCache
from asgi_serial.reasons import Reason
from asgi_serial.store import write_behind as writer
from asgi_serial.store.aiocache_store import open_store
from tests.engine.driver import Clock, awaited, settled

from .entries import BORN, KEY, NOTHING, DictStore, make_entry, selecting_by

OTHER_KEY = (*KEY[:6], "/b", b"/b", *KEY[8:])
GERMAN = ((b"accept-language", b"de"),)
FRENCH = ((b"accept-language", b"fr"),)
NONE_GIVEN = ((b"accept-language", None),)


class Caches:
    """Processes that share a second level, each with a first level of its own."""

    def __init__(self) -> None:
        self.clock = Clock(BORN)
        self.store = DictStore()

    def process(self, max_bytes=1_000_000) -> ResponseCache:
        return ResponseCache(Memory(max_bytes), self.store, self.clock)


def alone(max_bytes=1_000_000):
    """A cache without a second level, and its clock."""
    clock = Clock(BORN)
    return ResponseCache(Memory(max_bytes), None, clock), clock


def test_what_is_kept_is_found_and_nothing_else():
    cache, _ = alone()
    entry = make_entry()
    cache.keep(entry, BORN)
    assert cache.find(KEY, NOTHING) is entry
    assert cache.find(OTHER_KEY, NOTHING) is Reason.MISS
    assert cache.stored == 1


@pytest.mark.parametrize("how", ["purge", "drop"])
@awaited
async def test_nothing_is_kept_that_is_dropped_after_the_check(how):
    """Another thread may purge in between."""
    cache, clock = alone()
    entry = make_entry()
    assert cache.why_not_kept(entry, BORN) is None
    clock.now += 1
    if how == "purge":
        await cache.purge([Purge("all", "", None, clock.now)])
    else:
        cache.drop(KEY)
    assert not cache.keep(entry, BORN, is_checked=True)
    assert cache.find(KEY, NOTHING) is Reason.MISS


def test_the_next_response_takes_the_place_of_the_one_before():
    cache, _ = alone()
    for body in (b"old", b"new"):
        cache.keep(make_entry(body=body), BORN)
    assert cache.find(KEY, NOTHING).all_forms[0].body == b"new"


def test_a_foreign_value_in_the_memory_is_a_miss():
    memory: Memory[object] = Memory(1_000)
    memory.put(KEY, "no entry", 10)
    assert ResponseCache(memory, None, Clock()).find(KEY, NOTHING) is Reason.MISS


@awaited
async def test_without_a_second_level_there_is_nothing_to_load():
    cache, _ = alone()
    assert await cache.load(KEY, NOTHING) is Reason.MISS
    await cache.flush()


@pytest.mark.parametrize("level", ["first", "second"])
@awaited
async def test_a_request_gets_what_its_own_fields_select(level):
    caches = Caches()
    cache = caches.process()
    for body, vary_values in ((b"de", GERMAN), (b"fr", FRENCH), (b"none", NONE_GIVEN)):
        cache.keep(make_entry(body=body, vary_values=vary_values), BORN)
    await cache.flush()
    reader = cache if level == "first" else caches.process()

    async def look_up(select):
        found = reader.find(KEY, select)
        return await reader.load(KEY, select) if isinstance(found, Reason) else found

    found = [
        await look_up(selecting_by(accept_language=value)) for value in (b"de", b"fr", None, b"it")
    ]
    assert [entry.all_forms[0].body for entry in found[:3]] == [b"de", b"fr", b"none"]
    assert found[3] is Reason.VARY_MISS
    assert [entry.vary_values for entry in found[:3]] == [GERMAN, FRENCH, NONE_GIVEN]


def test_a_response_that_varies_by_other_fields_drops_the_variants_before():
    cache, _ = alone()
    german = selecting_by(accept_language=b"de")
    cache.keep(make_entry(vary_values=GERMAN), BORN)
    cache.keep(make_entry(vary_values=((b"x-tenant", b"1"),)), BORN)
    assert cache.find(KEY, german) is Reason.VARY_MISS
    assert isinstance(cache.find(KEY, selecting_by(x_tenant=b"1")), Entry)
    cache.keep(make_entry(vary_values=FRENCH), BORN)
    assert cache.find(KEY, german) is Reason.VARY_MISS  # what was kept of it first is out of reach


def test_a_response_that_varies_no_more_answers_everybody():
    cache, _ = alone()
    cache.keep(make_entry(vary_values=GERMAN), BORN)
    cache.keep(make_entry(body=b"all"), BORN)
    assert cache.find(KEY, selecting_by(accept_language=b"fr")).all_forms[0].body == b"all"


@awaited
async def test_variants_that_another_process_has_kept_are_joined_by_those_of_this():
    caches = Caches()
    one, other = caches.process(), caches.process()
    one.keep(make_entry(body=b"de", vary_values=GERMAN), BORN)
    await one.flush()
    french = selecting_by(accept_language=b"fr")
    assert await other.load(KEY, french) is Reason.VARY_MISS
    other.keep(make_entry(body=b"fr", vary_values=FRENCH), BORN)
    await other.flush()
    assert (await one.load(KEY, french)).all_forms[0].body == b"fr"
    german = await other.load(KEY, selecting_by(accept_language=b"de"))
    assert german.all_forms[0].body == b"de"


@awaited
async def test_what_is_loaded_is_as_it_was_kept_and_found_in_the_first_level_next():
    caches = Caches()
    kept = make_entry(body=b"encoded", coding="gzip")
    writer, reader = caches.process(), caches.process()
    writer.keep(kept, BORN)
    assert await reader.load(KEY, NOTHING) is Reason.MISS  # it is written behind the response
    await writer.flush()
    caches.clock.now += 59
    loaded = await reader.load(KEY, NOTHING)
    assert pack_entry(loaded) == pack_entry(kept)
    assert (loaded.generated_at, loaded.expires) == (
        kept.generated_at,
        kept.expires,
    )  # the remaining lifetime
    assert reader.find(KEY, NOTHING) is loaded


@pytest.mark.parametrize(
    ("later", "is_there"), [(0, True), (59.999, True), (60, False), (1_000, False)]
)
@awaited
async def test_what_has_expired_in_the_second_level_is_not_taken_over(later, is_there):
    caches = Caches()
    caches.store.values[name_record(KEY)] = pack_entry(make_entry())
    caches.clock.now += later
    reader = caches.process()
    assert isinstance(await reader.load(KEY, NOTHING), Entry) is is_there
    assert isinstance(reader.find(KEY, NOTHING), Entry) is is_there


@pytest.mark.parametrize(
    ("lifetime", "ttl"), [(60.0, 60.0), (0.5, 0.5), (0.0, None), (-5.0, None)], ids=str
)
@awaited
async def test_the_second_level_keeps_it_for_the_lifetime_that_is_left(lifetime, ttl):
    caches = Caches()
    cache = caches.process()
    cache.keep(make_entry(lifetime=lifetime), BORN)
    await cache.flush()
    assert caches.store.ttls.get(name_record(KEY)) == ttl


SEALED = pack_entry(make_entry())
BAD_RECORDS = {
    "nothing": b"",
    "something else": b"garbage" * 100,
    "cut short": SEALED[:-1],
    "longer": SEALED + b"\0",
    "a flipped bit": SEALED[:-1] + bytes([SEALED[-1] ^ 1]),
    "another resource's": pack_entry(make_entry(OTHER_KEY)),
}


@pytest.mark.parametrize("value", BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
@awaited
async def test_garbage_in_the_second_level_is_a_miss(value):
    caches = Caches()
    caches.store.values[name_record(KEY)] = value
    cache = caches.process()
    assert await cache.load(KEY, NOTHING) is Reason.MISS
    assert cache.find(KEY, NOTHING) is Reason.MISS


@given(st.binary(max_size=200))
def test_any_bytes_in_the_second_level_are_a_miss(value):
    async def look_up() -> None:
        caches = Caches()
        caches.store.values[name_record(KEY)] = value
        assert await caches.process().load(KEY, NOTHING) is Reason.MISS

    asyncio.run(look_up())


@pytest.mark.parametrize("value", [None, b"garbage", SEALED], ids=["none", "garbage", "another's"])
@awaited
async def test_an_index_whose_entry_is_no_entry_is_a_miss_of_the_variant(value):
    caches = Caches()
    writer = caches.process()
    writer.keep(make_entry(vary_values=GERMAN), BORN)
    await writer.flush()
    (name,) = set(caches.store.values) - {name_record(KEY)}
    if value is None:
        del caches.store.values[name]
    else:
        caches.store.values[name] = value
    german = selecting_by(accept_language=b"de")
    assert await caches.process().load(KEY, german) is Reason.VARY_MISS


@awaited
async def test_an_index_where_an_entry_should_be_is_a_miss_of_the_variant():
    caches = Caches()
    index = VaryIndex((b"accept-language",), b"n" * 16)
    selected = (KEY, index.nonce, b"de")
    caches.store.values[name_record(KEY)] = pack_vary_index(index, KEY)
    caches.store.values[name_record(selected)] = pack_vary_index(index, selected)
    german = selecting_by(accept_language=b"de")
    assert await caches.process().load(KEY, german) is Reason.VARY_MISS


class Faulty(BaseCache):
    """A cache of aiocache's that fails in one way."""

    def __init__(self, fault):
        super().__init__(serializer=NullSerializer(encoding=None))
        self.fault = fault

    async def get(self, key, **options):
        return await self.fault()

    async def set(self, key, value, **options):
        await self.fault()

    async def delete(self, key, **options):
        await self.fault()


async def hang():
    await asyncio.Event().wait()


async def break_off():
    raise ConnectionResetError("the other side has left")


async def say_text():
    return "text"


@pytest.mark.parametrize("fault", [hang, break_off, say_text])
@awaited
async def test_a_second_level_that_fails_leaves_the_first_one_as_it_is(fault):
    store = open_store(Faulty(fault), timeout=0.02)
    cache = ResponseCache(Memory(1_000_000), store, Clock(BORN))
    assert await cache.load(KEY, NOTHING) is Reason.MISS
    entry = make_entry()
    cache.keep(entry, BORN)
    assert cache.find(KEY, NOTHING) is entry
    cache.drop(KEY)
    assert cache.find(KEY, NOTHING) is Reason.MISS
    await cache.flush()
    assert await cache.load(KEY, NOTHING) is Reason.MISS


@pytest.mark.parametrize("vary_values", [(), GERMAN], ids=["the same for all", "a variant"])
@awaited
async def test_what_is_dropped_is_gone_from_both_levels(vary_values):
    caches = Caches()
    cache = caches.process()
    cache.keep(make_entry(vary_values=vary_values), BORN)
    await cache.flush()
    german = selecting_by(accept_language=b"de")
    caches.clock.now += 1
    cache.drop(KEY)
    assert cache.find(KEY, german) is Reason.MISS
    await cache.flush()
    for process in (cache, caches.process()):
        assert await process.load(KEY, german) is Reason.MISS


@pytest.mark.parametrize("vary_values", [(), GERMAN], ids=["the same for all", "a variant"])
@pytest.mark.parametrize("loses", [False, True], ids=["under way", "lost"])
@awaited
async def test_what_is_dropped_stays_so_while_its_deletion_is_not_done(loses, vary_values):
    caches = Caches()
    cache = caches.process()
    cache.keep(make_entry(vary_values=vary_values), BORN)
    await cache.flush()
    caches.clock.now += 1
    caches.store.loses = loses
    cache.drop(KEY)
    german = selecting_by(accept_language=b"de")
    if loses:
        await cache.flush()
    assert name_record(KEY) in caches.store.values
    assert isinstance(await cache.load(KEY, german), Reason)
    assert isinstance(cache.find(KEY, german), Reason)


@awaited
async def test_what_is_dropped_while_it_is_loaded_is_not_taken_over():
    caches = Caches()
    caches.store.values[name_record(KEY)] = SEALED
    cache = caches.process()
    caches.store.may_go_on.clear()
    loading = asyncio.ensure_future(cache.load(KEY, NOTHING))
    await asyncio.sleep(0)
    caches.clock.now += 1
    cache.drop(KEY)
    caches.store.may_go_on.set()
    assert await loading is Reason.MISS
    assert cache.find(KEY, NOTHING) is Reason.MISS


@pytest.mark.parametrize(
    ("asked", "is_kept"),
    [
        pytest.param(BORN - 1, False, id="asked for before"),
        pytest.param(BORN, False, id="asked for in the same moment"),
        pytest.param(BORN + 0.001, True, id="asked for after"),
    ],
)
def test_a_response_that_was_asked_for_before_a_drop_is_not_kept_after_it(asked, is_kept):
    cache, clock = alone()
    cache.drop(KEY)
    clock.now += 1
    cache.keep(make_entry(generated_at=clock.now), asked)
    cache.keep(make_entry(OTHER_KEY, generated_at=clock.now), asked)
    assert isinstance(cache.find(KEY, NOTHING), Entry) is is_kept
    assert isinstance(cache.find(OTHER_KEY, NOTHING), Entry)
    assert cache.stored == 1 + is_kept


@awaited
async def test_what_is_made_after_a_drop_is_shared_again():
    caches = Caches()
    cache = caches.process()
    cache.drop(KEY)
    # Within a second it may be another host's of before, whose clock is ahead.
    caches.clock.now += SKEW_SECONDS + 0.001
    cache.keep(make_entry(generated_at=caches.clock.now), caches.clock.now)
    await cache.flush()
    for process in (cache, caches.process()):
        assert isinstance(await process.load(KEY, NOTHING), Entry)


def test_a_second_drop_counts_from_its_own_time():
    cache, clock = alone()
    cache.drop(KEY)
    clock.now += 10
    cache.drop(KEY)
    cache.keep(make_entry(), BORN + 5)
    assert cache.find(KEY, NOTHING) is Reason.MISS


def key_number(number):
    return (*KEY[:6], f"/{number}", b"/%d" % number, *KEY[8:])


@awaited
async def test_no_flood_of_writes_drops_what_it_does_not_name():
    caches = Caches()
    cache = caches.process()
    cache.keep(make_entry(), BORN)
    caches.clock.now += 1
    for number in range(16_000):
        cache.drop(key_number(number))
    assert isinstance(cache.find(KEY, NOTHING), Entry)


SPELLINGS = {
    "a reserved character": ("/ann@x.org", b"/ann@x.org", b"/ann%40x.org"),
    "hexadecimal digits": ("/caf\xe9", b"/caf%C3%A9", b"/caf%c3%a9"),
    "an unreserved character": ("/~bob", b"/~bob", b"/%7Ebob"),
    "parentheses": ("/(x),'", b"/(x),'", b"/%28x%29%2C%27"),
}


@pytest.mark.parametrize("vary_values", [(), GERMAN], ids=["the same for all", "a variant"])
@pytest.mark.parametrize(("path", "one", "other"), SPELLINGS.values(), ids=SPELLINGS.keys())
@awaited
async def test_a_drop_reaches_every_spelling_of_the_uri(path, one, other, vary_values):
    """In both levels, though only the keys of its own spelling can be deleted in the second."""
    caches = Caches()
    cache = caches.process()
    german = selecting_by(accept_language=b"de")
    stored, written = ((*KEY[:6], path, raw, *KEY[8:]) for raw in (one, other))
    cache.keep(make_entry(stored, vary_values=vary_values), BORN)
    await cache.flush()
    caches.clock.now += 1
    cache.drop(written)
    assert isinstance(cache.find(stored, german), Reason)
    await cache.flush()
    assert isinstance(await cache.load(stored, german), Reason)
    now = caches.clock.now = caches.clock.now + 1.5
    cache.keep(make_entry(stored, vary_values=vary_values, generated_at=now), now)
    assert isinstance(cache.find(stored, german), Entry)


FORKS = {
    "a field": (*KEY[:9], ((b"x-tenant", b"1"),), None),
    "a body": ("2 ", "QUERY", *KEY[2:10], (None, None, b"digest")),
    "the scheme at the proxy": (*KEY[:4], b"https", *KEY[5:]),
    "another method": ("2 ", "POST", *KEY[2:]),
    "a field, behind the proxy": (*KEY[:4], b"https", *KEY[5:9], ((b"origin", b"x"),), None),
}


@pytest.mark.parametrize("vary_values", [(), GERMAN], ids=["the same for all", "a variant"])
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS.keys())
@awaited
async def test_a_drop_reaches_all_that_is_stored_of_the_uri(fork, vary_values):
    """RFC 9111, 4.4: the target URI is made invalid: whatever its stored responses depend on."""
    caches = Caches()
    one, writer = caches.process(), caches.process()
    select = selecting_by(accept_language=b"de")
    assert one.find(fork, select) is Reason.MISS
    assert await one.load(fork, select) is Reason.MISS
    one.keep(make_entry(fork, vary_values=vary_values), BORN)
    assert isinstance(one.find(fork, select), Entry)
    assert one.find(KEY, select) is Reason.MISS
    await one.flush()
    assert isinstance(await caches.process().load(fork, select), Entry)
    caches.clock.now += 1
    one.drop(KEY)
    assert isinstance(one.find(fork, select), Reason)
    await one.flush()
    assert isinstance(await caches.process().load(fork, select), Reason)
    # And by a process that has never seen the like.
    now = caches.clock.now = caches.clock.now + 1
    one.keep(make_entry(fork, vary_values=vary_values, generated_at=now), now)
    await one.flush()
    assert isinstance(await caches.process().load(fork, select), Entry)
    writer.drop(KEY)
    await writer.flush()
    assert isinstance(await caches.process().load(fork, select), Reason)


@awaited
async def test_forks_that_another_process_has_kept_are_joined_by_those_of_this():
    caches = Caches()
    one, other = caches.process(), caches.process()
    tenants = [(*KEY[:9], ((b"x-tenant", name),), None) for name in (b"1", b"2")]
    one.keep(make_entry(tenants[0]), BORN)
    await one.flush()
    assert isinstance(await other.load(tenants[1], NOTHING), Reason)
    other.keep(make_entry(tenants[1]), BORN)
    await other.flush()
    for process in (one, other, caches.process()):
        for tenant in tenants:
            assert isinstance(await process.load(tenant, NOTHING), Entry)


FORK = FORKS["a field"]
OTHER_FORK = (*KEY[:9], ((b"x-tenant", b"2"),), None)


@awaited
async def test_the_index_of_a_fork_and_the_fork_are_read_by_one_call():
    caches = Caches()
    writer, reader = caches.process(), caches.process()
    writer.keep(make_entry(FORK), BORN)
    await writer.flush()
    index, entry = [name_record(uri_index_of(FORK)), name_record(FORK)]
    assert [name for _, name in caches.store.log] == [index, entry]
    calls, get_many = [], caches.store.get_many

    async def count(keys):
        calls.append(keys)
        return await get_many(keys)

    caches.store.get_many, caches.store.get = count, None
    assert isinstance(await reader.load(FORK, NOTHING), Entry)
    assert await reader.load(OTHER_FORK, NOTHING) is Reason.MISS
    assert calls == [[index, entry], [index, name_record(OTHER_FORK)]]


def test_the_names_of_a_uri_begin_alike_and_differ():
    keys = [KEY, FORK, OTHER_FORK, (FORK, b"nonce"), (KEY, b"nonce", b"de"), uri_index_of(FORK)]
    names = [name_record(key) for key in keys] + [name_record(key, "lease") for key in keys]
    assert len({name.partition("-")[0] for name in names}) == 1
    # What hangs on the index of its URI lies in the place of its resource.
    assert names[1] == names[3]
    assert names[7] == names[9]
    assert len(set(names)) == 10
    assert {len(name) for name in names} == {32}
    assert name_record(OTHER_KEY).partition("-")[0] != names[0].partition("-")[0]


@awaited
async def test_a_fork_of_an_index_that_was_replaced_is_a_miss():
    caches = Caches()
    one, other = caches.process(), caches.process()
    one.keep(make_entry(FORK), BORN)
    await one.flush()
    other.keep(make_entry(OTHER_FORK, generated_at=BORN + 1), BORN + 1)
    await other.flush()
    assert await caches.process().load(FORK, NOTHING) is Reason.MISS
    assert isinstance(await caches.process().load(OTHER_FORK, NOTHING), Entry)


@awaited
async def test_processes_that_have_made_an_index_each_agree_on_the_newest():
    caches = Caches()
    one, other = caches.process(), caches.process()
    one.keep(make_entry(FORK), BORN)
    caches.clock.now += 1
    now = caches.clock.now
    other.keep(make_entry(OTHER_FORK, generated_at=now), now)
    await one.flush()
    await other.flush()
    assert isinstance(await one.load(OTHER_FORK, NOTHING), Entry)
    one.keep(make_entry(FORK, generated_at=now), now)
    await one.flush()
    for fork in (FORK, OTHER_FORK):
        assert isinstance(await caches.process().load(fork, NOTHING), Entry)


@awaited
async def test_the_index_of_a_uri_that_another_process_has_dropped_is_made_anew():
    """Otherwise no other process would find what is stored on it."""
    caches = Caches()
    one, other = caches.process(), caches.process()
    one.keep(make_entry(FORK), BORN)
    await one.flush()
    caches.clock.now += 1
    other.drop(FORK)
    await other.flush()
    one.purges.drops.drop_at(uri_digest(FORK), caches.clock.now + SKEW_SECONDS, caches.clock.now)
    now = caches.clock.now = caches.clock.now + 3
    one.keep(make_entry(FORK, generated_at=now), now)
    one.keep(make_entry(OTHER_FORK, generated_at=now), now)
    await one.flush()
    for fork in (FORK, OTHER_FORK):
        assert isinstance(await caches.process().load(fork, NOTHING), Entry)


@awaited
async def test_a_drop_of_another_uri_makes_no_index_anew():
    caches = Caches()
    cache = caches.process()
    cache.keep(make_entry(FORK), BORN)
    caches.clock.now += 1
    cache.drop(OTHER_KEY)
    cache.keep(make_entry(OTHER_FORK, generated_at=BORN + 2), BORN + 2)
    await cache.flush()
    for fork in (FORK, OTHER_FORK):
        assert isinstance(await caches.process().load(fork, NOTHING), Entry)


@awaited
async def test_an_entry_where_the_index_of_forks_should_be_is_a_miss():
    caches = Caches()
    fork = FORKS["a field"]
    root = uri_index_of(fork)
    caches.store.values[name_record(root)] = pack_entry(make_entry(root))
    assert await caches.process().load(fork, NOTHING) is Reason.MISS


def test_an_entry_grows_by_forms_up_to_what_its_memory_can_bear():
    cache = ResponseCache(Memory(1_000_000), None, Clock(BORN), max_entry_bytes=10_000)
    entry = make_entry(body=bytes(3_000))
    cache.keep(entry, BORN)
    for coding in ("br", "gzip", "zstd"):
        cache.add(entry, ("", coding), Representation([], bytes(3_000), coding, None))
    assert entry.variants == (("", ""), ("", "br"))
    assert cache.find(KEY, NOTHING) is entry


@awaited
async def test_another_form_of_an_entry_is_kept_beside_the_first_in_both_levels():
    caches = Caches()
    cache = caches.process()
    entry = make_entry()
    cache.keep(entry, BORN)
    made = Representation([(b"content-encoding", b"br")], b"br", "br", b'"x-br"')
    caches.clock.now += 20
    cache.add(entry, ("", "br"), made)
    await cache.flush()
    assert entry.find(("", "br")) is made
    assert cache.find(KEY, NOTHING) is entry
    assert caches.store.ttls[name_record(KEY)] == 40
    loaded = await caches.process().load(KEY, NOTHING)
    assert sorted(loaded.variants) == [("", ""), ("", "br")]
    assert loaded.find(("", "br")).body == b"br"


def test_another_form_of_what_is_no_longer_stored_is_not_kept():
    cache, _ = alone()
    old, new = make_entry(), make_entry()
    cache.keep(old, BORN)
    cache.keep(new, BORN)
    cache.add(old, ("", "br"), Representation([], b"br", "br", None))
    assert cache.find(KEY, NOTHING) is new
    assert new.find(("", "br")) is old.find(("", "br")) is None


@awaited
async def test_an_entry_too_large_for_the_first_level_is_in_the_second():
    caches = Caches()
    cache = caches.process(max_bytes=2_000)
    cache.keep(make_entry(body=bytes(5_000)), BORN)
    await cache.flush()
    assert cache.find(KEY, NOTHING) is Reason.MISS
    assert isinstance(await cache.load(KEY, NOTHING), Entry)


@awaited
async def test_of_the_writes_under_one_name_that_wait_the_last_is_made():
    caches = Caches()
    cache = caches.process()
    name = name_record(KEY)
    caches.store.may_go_on.clear()
    for turn in range(3):
        caches.clock.now += 1
        cache.keep(make_entry(body=b"%d" % turn, generated_at=caches.clock.now), caches.clock.now)
        cache.drop(KEY)
    caches.clock.now += 1
    cache.keep(make_entry(body=b"last", generated_at=caches.clock.now), caches.clock.now)
    await settled()
    assert caches.store.log == []
    caches.store.may_go_on.set()
    await cache.flush()
    assert [kind for kind, at in caches.store.log if at == name] == ["set"]
    assert unpack_record(caches.store.values[name], KEY).all_forms[0].body == b"last"


@awaited
async def test_an_index_is_written_before_the_entries_that_it_leads_to():
    caches = Caches()
    cache = caches.process()
    cache.keep(make_entry(vary_values=GERMAN), BORN)
    await cache.flush()
    index, entry = caches.store.log
    assert index == ("set", name_record(KEY))
    assert entry[1] != name_record(KEY)


def kept_size(entry):
    """The size of an entry that shares what it can with others."""
    Interner().share(entry)
    return entry_size(entry)


@awaited
async def test_the_writes_that_wait_are_bounded_in_bytes_and_deletions_are_not_among_the_dropped(
    monkeypatch,
):
    size = kept_size(make_entry(key_number(10)))
    monkeypatch.setattr(writer, "MAX_WAITING_BYTES", 20 * size)
    caches = Caches()
    cache = caches.process()
    caches.store.may_go_on.clear()
    cache.keep(make_entry(), BORN)
    await settled()  # one write is under way, and waits no more
    for number in range(10, 10 + 20 + 7):
        cache.keep(make_entry(key_number(number)), BORN)
    cache.drop(KEY)
    assert cache.writes_dropped == 7
    caches.store.may_go_on.set()
    await cache.flush()
    kinds = [kind for kind, _ in caches.store.log]
    assert kinds == ["set"] * (1 + 20) + ["delete"] * 6
    assert name_record(KEY) not in caches.store.values


@awaited
async def test_a_write_that_finds_no_room_leaves_the_deletion_under_its_name(monkeypatch):
    monkeypatch.setattr(writer, "MAX_WAITING_BYTES", 1)
    caches = Caches()
    cache = caches.process()
    caches.store.may_go_on.clear()
    cache.drop(OTHER_KEY)
    await settled()
    cache.drop(KEY)
    caches.clock.now += 1
    cache.keep(make_entry(generated_at=caches.clock.now), caches.clock.now)
    assert cache.writes_dropped == 1
    caches.store.may_go_on.set()
    await cache.flush()
    assert caches.store.log.count(("delete", name_record(KEY))) == 1
    assert name_record(KEY) not in caches.store.values


@awaited
async def test_what_is_larger_than_all_that_may_wait_is_written_where_nothing_waits(monkeypatch):
    monkeypatch.setattr(writer, "MAX_WAITING_BYTES", 1)
    monkeypatch.setattr(writer, "BYTES_AT_ONCE", 1)
    caches = Caches()
    cache = caches.process()
    cache.keep(make_entry(), BORN)
    await cache.flush()
    assert name_record(KEY) in caches.store.values


@awaited
async def test_no_more_is_sent_at_once_than_so_many_bytes(monkeypatch):
    monkeypatch.setattr(writer, "BYTES_AT_ONCE", 3 * kept_size(make_entry(key_number(0))))
    caches = Caches()
    cache = caches.process()
    for number in range(8):
        cache.keep(make_entry(key_number(number)), BORN)
    counts = []
    while len(caches.store.log) < 8:
        await asyncio.sleep(0)
        counts.append(len(caches.store.log))
    await cache.flush()
    assert sorted({*counts} - {0}) == [3, 6, 8]


@awaited
async def test_drops_wait_side_by_side_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(writer, "MAX_WAITING", 50)
    caches = Caches()
    cache = caches.process()
    caches.store.may_go_on.clear()
    cache.drop(KEY)
    await settled()  # its six are under way
    for _ in range(10):
        cache.drop(OTHER_KEY)  # the same six
    for number in range(10):
        cache.drop(key_number(number))
    assert cache.writes_dropped == 16
    caches.store.may_go_on.set()
    await cache.flush()
    deleted = {name for _, name in caches.store.log}
    assert len(deleted) == len(caches.store.log) == 56
    assert name_record(KEY) in deleted
    assert name_record(OTHER_KEY) not in deleted  # the oldest, and counted


@awaited
async def test_a_flush_waits_for_what_is_written_meanwhile():
    caches = Caches()
    cache = caches.process()
    caches.store.may_go_on.clear()
    cache.keep(make_entry(), BORN)
    flushing = asyncio.ensure_future(cache.flush())
    await asyncio.sleep(0)
    cache.keep(make_entry(OTHER_KEY), BORN)
    assert not flushing.done()
    caches.store.may_go_on.set()
    await flushing
    assert len(caches.store.values) == 2


def test_without_an_event_loop_the_first_level_works_alone():
    """As under another library than asyncio."""
    caches = Caches()
    cache = caches.process()
    entry = make_entry(vary_values=GERMAN)
    cache.keep(entry, BORN)
    assert cache.find(KEY, selecting_by(accept_language=b"de")) is entry
    with pytest.raises(StopIteration) as done:
        cache.load(KEY, NOTHING).send(None)
    assert done.value.value is Reason.MISS
    cache.drop(KEY)
    assert cache.find(KEY, NOTHING) is Reason.MISS
    assert caches.store.log == []


def test_event_loops_write_apart_and_none_is_kept_alive():
    caches = Caches()
    cache = caches.process()
    loops = []

    async def use(key) -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        cache.keep(make_entry(key), BORN)
        await cache.flush()

    for key in (KEY, OTHER_KEY):
        asyncio.run(use(key))
    assert set(caches.store.values) == {name_record(KEY), name_record(OTHER_KEY)}
    gc.collect()
    assert [loop() for loop in loops] == [None, None]


def test_a_loop_that_ends_takes_its_unwritten_writes_with_it():
    caches = Caches()
    cache = caches.process()

    async def leave() -> None:
        caches.store.may_go_on = asyncio.Event()
        cache.keep(make_entry(), BORN)
        await asyncio.sleep(0)

    async def write() -> None:
        caches.store.may_go_on.set()
        cache.keep(make_entry(OTHER_KEY), BORN)
        await cache.flush()

    asyncio.run(leave())
    asyncio.run(write())
    assert set(caches.store.values) == {name_record(OTHER_KEY)}


@pytest.mark.parametrize("lifetime", [1, 100, 7e5])
@awaited
async def test_the_index_is_there_as_long_as_its_newest_entry_and_little_longer(lifetime):
    caches = Caches()
    cache, ends, nonces = caches.process(), {}, set()
    for _ in range(12):
        now = caches.clock.now
        entry = make_entry(vary_values=GERMAN, generated_at=now, lifetime=lifetime)
        cache.keep(entry, now)
        await cache.flush()
        ends |= {name: now + ttl for name, ttl in caches.store.ttls.items()}
        caches.store.ttls.clear()
        end = ends[name_record(KEY)]
        assert ends[name_record(entry.key)] <= end <= now + max(60, 4 * lifetime)
        nonces.add(entry.key[1])
        caches.clock.now += 0.8 * lifetime
    assert len(nonces) < 12  # entries on one index keep one another company


@awaited
async def test_an_index_holds_nothing_of_a_key_that_a_client_chose():
    caches = Caches()
    cache = caches.process()
    key = (*KEY[:6], "/" + "a" * 16_000, b"/" + b"a" * 16_000, *KEY[8:])
    cache.keep(make_entry(key, vary_values=GERMAN), BORN)
    await cache.flush()
    assert len(caches.store.values[name_record(key)]) < 200


@awaited
async def test_a_newer_response_is_not_replaced_by_an_older_one_that_is_being_loaded():
    """RFC 9111, 4: the most recent response is used where there are several."""
    caches = Caches()
    caches.store.values[name_record(KEY)] = SEALED
    cache = caches.process()
    caches.store.may_go_on.clear()
    loading = asyncio.ensure_future(cache.load(KEY, NOTHING))
    await asyncio.sleep(0)
    newer = make_entry(body=b"newer", generated_at=BORN + 1)
    cache.keep(newer, BORN + 1)
    caches.store.may_go_on.set()
    assert await loading is newer
    assert cache.find(KEY, NOTHING) is newer


@awaited
async def test_a_newer_index_is_not_replaced_by_an_older_one_that_is_being_loaded():
    caches = Caches()
    other = caches.process()
    other.keep(make_entry(vary_values=FRENCH), BORN)
    await other.flush()
    cache = caches.process()
    caches.store.may_go_on.clear()
    german = selecting_by(accept_language=b"de")
    loading = asyncio.ensure_future(cache.load(KEY, german))
    await asyncio.sleep(0)
    newer = make_entry(body=b"newer", vary_values=GERMAN)
    cache.keep(newer, BORN)
    caches.store.may_go_on.set()
    await loading
    assert cache.find(KEY, german) is newer


@awaited
async def test_a_writer_that_is_cancelled_before_it_began_does_not_end_all_writing():
    caches = Caches()
    cache = caches.process()
    before = asyncio.all_tasks()
    cache.keep(make_entry(), BORN)
    (writer,) = asyncio.all_tasks() - before
    writer.cancel()
    await asyncio.wait((writer,))
    cache.keep(make_entry(OTHER_KEY), BORN)
    await cache.flush()
    assert set(caches.store.values) == {name_record(KEY), name_record(OTHER_KEY)}


@awaited
async def test_an_index_is_made_anew_rather_than_written_again():
    """What another process has invalidated by deleting the index would come back with it."""
    caches = Caches()
    one, other, third = caches.process(), caches.process(), caches.process()
    one.keep(make_entry(body=b"de", vary_values=GERMAN, lifetime=1e5), BORN)
    await one.flush()
    caches.clock.now += 1
    other.drop(KEY)
    await other.flush()
    caches.clock.now += 1
    now = caches.clock.now
    one.keep(make_entry(body=b"fr", vary_values=FRENCH, generated_at=now), now)
    await one.flush()
    german = selecting_by(accept_language=b"de")
    assert isinstance(await third.load(KEY, german), Reason)


def test_the_kinds_of_keys_are_bounded_however_many_ports_a_client_names():
    cache, _ = alone()
    for number in range(2_000):
        host = b"h:%d" % number if number % 2 else b"h:" + b"%d" % number * 1_000
        cache.keep(make_entry((*KEY[:HOST], host, *KEY[HOST + 1 :])), BORN)
    assert cache._kinds.held_bytes <= MAX_KINDS_BYTES
    assert len(cache._kinds) < 200


def test_what_left_the_first_level_is_purged_by_a_drop_all_the_same():
    """A request may still hold it, to answer by it where the app fails."""
    cache, _ = alone()
    entry = make_entry()
    assert cache.keep(entry, BORN)
    cache._memory.delete(KEY)
    assert not cache.is_purged(entry)
    cache.drop(KEY)
    assert cache.is_purged(entry)
    assert not cache.is_purged(make_entry(OTHER_KEY))


def test_what_never_had_room_is_purged_by_a_drop_all_the_same():
    caches = Caches()
    cache = caches.process(max_bytes=1_000)
    entry = make_entry(body=bytes(2_000))
    assert cache.keep(entry, BORN)
    assert isinstance(cache.find(KEY, NOTHING), Reason)
    assert not cache.is_purged(entry)
    cache.drop(KEY)
    assert cache.is_purged(entry)


@pytest.mark.parametrize("level", ["first", "second"])
@awaited
async def test_what_another_thread_drops_while_it_is_put_is_not_kept(monkeypatch, level):
    caches = Caches()
    cache, other = caches.process(), caches.process()
    other.keep(make_entry(), BORN)
    await other.flush()
    put = Memory.put

    def drop_and_put(memory, key, value, size, **more):
        # The drop comes too early to mark what is put, and too late for the check before.
        if isinstance(value, Entry):
            cache._drops.drop(uri_digest(KEY), BORN)
        return put(memory, key, value, size, **more)

    monkeypatch.setattr(Memory, "put", drop_and_put)
    caches.clock.now = BORN + 1
    if level == "first":
        assert not cache.keep(make_entry(), BORN)
        await cache.flush()
    else:
        assert await cache.load(KEY, NOTHING) is Reason.MISS
    assert isinstance(cache.find(KEY, NOTHING), Reason)
    assert cache.stored == 0


def test_variants_share_the_key_of_their_resource():
    cache, _ = alone()
    german, french = (make_entry(vary_values=by) for by in (GERMAN, FRENCH))
    for entry in (german, french):
        entry.key = (*entry.key[:HOST], *entry.key[HOST:])
        assert cache.keep(entry, BORN)
    assert german.key[0] is french.key[0]
