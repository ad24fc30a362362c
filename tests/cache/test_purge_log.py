"""Purges that one process makes reach the others."""

import asyncio
import itertools

import pytest
from aiocache.backends.memory import SimpleMemoryCache

from asgi_serial.cache.key import make_realm
from asgi_serial.cache.purge_log import MAX_BEHIND, MAX_RECORD_BYTES, PurgeLog
from asgi_serial.cache.purges import Purge
from asgi_serial.store.aiocache_store import open_store

from .entries import BORN
from .hosts import (
    BEGINNING,
    COUNTER,
    REALM,
    SKEW,
    Clock,
    Hosts,
    LogStore,
    arrived,
    place_of,
    tag,
    told,
)
from .services import run


@told
async def test_a_purge_reaches_others_once_and_never_its_author(hosts):
    purges = [
        tag("é"),
        Purge("uri", "/a?b", "a.example", BORN),
        Purge("prefix", "/\ud800\n", None, BORN),
        Purge("partition", "p", None, BORN),
        Purge("all", "", None, BORN),
    ]
    assert await hosts.one.publish(purges)
    assert await hosts.other.poll() == arrived(*purges)
    assert await hosts.other.poll() == []
    assert await hosts.one.poll() == []


@told
async def test_nothing_new_costs_one_look(hosts):
    assert await hosts.one.publish([])
    assert await hosts.one.poll() == []
    assert hosts.store.log == [("get", COUNTER)]


@told
async def test_realms_do_not_hear_one_another(hosts):
    stranger = PurgeLog(hosts.store, hosts.clocks[0], make_realm("another"))
    assert await stranger.publish([tag("a")])
    assert await hosts.other.poll() == []


@told
async def test_many_purges_take_as_few_records_as_they_fit_in(hosts):
    purges = [tag(f"{number:0250}") for number in range(1000)]
    before = hosts.last
    assert await hosts.one.publish(purges)
    assert 1 < hosts.last - before < 6
    sizes = [len(hosts.store.values[place_of(n)]) for n in range(before + 1, hosts.last + 1)]
    assert MAX_RECORD_BYTES - 500 < max(sizes) <= MAX_RECORD_BYTES
    assert await hosts.other.poll() == arrived(*purges)


@told
async def test_the_longest_purge_fits_in_a_record(hosts):
    longest = Purge("uri", "/" + "\x00" * 4095, "a" * 255, BORN)
    assert await hosts.one.publish([longest, longest])
    assert await hosts.other.poll() == arrived(longest, longest)


@told
async def test_a_time_in_whole_seconds_is_one(hosts):
    assert await hosts.one.publish([tag("a", int(BORN))])
    assert await hosts.other.poll() == arrived(tag("a"))


@told
async def test_what_is_no_purge_is_not_published(hosts):
    with pytest.raises(ValueError, match="the purge is empty"):
        await hosts.one.publish([tag("a"), tag("")])
    assert hosts.store.log == []


@told
async def test_purges_at_once_all_arrive(hosts):
    await asyncio.gather(*[hosts.one.publish([tag(str(n))]) for n in range(99)])
    purges = await hosts.other.poll()
    assert sorted(purges) == sorted(arrived(*[tag(str(n)) for n in range(99)]))


@pytest.mark.parametrize("ahead", [-30.0, 0.0, 30.0])
def test_what_was_made_just_before_is_covered_by_whichever_clock(ahead):
    async def main():
        hosts = await Hosts(ahead=ahead).begin()
        assert await hosts.one.publish([tag("a", hosts.clocks[0].now)])
        hosts.pass_time(2.0)
        (purge,) = await hosts.other.poll()
        assert purge.at == max(BORN, hosts.clocks[1].now) + SKEW

    asyncio.run(main())


class TestTheFirstPoll:
    def test_a_log_begins_with_the_process_that_finds_none(self):
        async def main():
            store, clock = LogStore(), Clock()
            log = PurgeLog(store, clock, REALM)
            assert log.heard_at < 0
            assert await log.poll() == [BEGINNING]
            assert (log.heard_at, store.ttls[COUNTER]) == (BORN, 30 * 86_400)
            clock.now += 1000
            # What another finds was made by the first, and what is older is not believed.
            assert await PurgeLog(store, clock, REALM).poll() == [BEGINNING]
            assert await log.poll() == []

        asyncio.run(main())

    @pytest.mark.parametrize(
        ("count", "floor"),
        [
            pytest.param(3, 0, id="all there ever were"),
            pytest.param(MAX_BEHIND - 1, 0, id="just as many as are read"),
            pytest.param(MAX_BEHIND, 1, id="one more than are read"),
            pytest.param(3 * MAX_BEHIND, 2 * MAX_BEHIND + 1, id="more than are kept"),
        ],
    )
    def test_those_of_before_are_read_back_to_a_floor(self, count, floor):
        async def main():
            store, clock = LogStore(), Clock()
            one = PurgeLog(store, clock, REALM)
            await one.poll()
            for number in range(1, count + 1):
                clock.now = BORN + number
                assert await one.publish([tag(str(number), clock.now)])
            clock.now += 500
            first, *purges = await PurgeLog(store, clock, REALM).poll()
            assert first == Purge("all", "", None, BORN + floor)
            expected = [tag(str(n), BORN + n + SKEW) for n in range(max(1, floor), count + 1)]
            assert sorted(purges) == sorted(expected)
            assert len(store.values) <= 1025

        asyncio.run(main())

    def test_a_record_that_is_gone_is_a_floor(self):
        async def main():
            hosts = await Hosts().begin()
            for number in range(60):
                hosts.pass_time(1)
                await hosts.one.publish([tag(str(number), hosts.clocks[0].now)])
            del hosts.store.values[place_of(hosts.last - 1)]
            late = PurgeLog(hosts.store, hosts.clocks[0], REALM)
            assert await late.poll() == [
                Purge("all", "", None, BORN + 60),
                tag("59", BORN + 60 + SKEW),
            ]
            assert await late.poll() == []

        asyncio.run(main())

    def test_without_the_newest_record_nothing_is_believed(self):
        async def main():
            hosts = await Hosts().begin()
            await hosts.one.publish([tag("on its way")])
            hosts.store.refused = ("get_many",)
            hosts.pass_time(100)
            late = PurgeLog(hosts.store, hosts.clocks[0], REALM)
            assert await late.poll() == [BEGINNING._replace(at=BORN + 100)]
            hosts.store.refused = ()
            await hosts.one.publish([tag("a")])
            purges = arrived(tag("on its way"), tag("a"), at=BORN + 100)
            assert await late.poll() == purges

        asyncio.run(main())

    def test_it_waits_for_a_store_that_is_down(self):
        async def main():
            store, clock = LogStore(), Clock()
            log = PurgeLog(store, clock, REALM)
            store.is_down = True
            assert await log.poll() == []
            assert log.heard_at < 0
            store.is_down = False
            assert await log.poll() == [BEGINNING]

        asyncio.run(main())


_names = itertools.count()


class TestServers:
    @pytest.fixture(params=["redis", "memcached", "memory"])
    def open_one(self, request):
        """Opens a store of each kind; each call of it opens one more over the same values."""
        if request.param == "memory":
            cache = SimpleMemoryCache()
            return lambda: open_store(cache, timeout=20.0)
        service = request.getfixturevalue(request.param)
        return lambda: open_store(f"{request.param}://127.0.0.1:{service.port}", timeout=20.0)

    def test_purges_reach_others_over_it(self, open_one):
        async def main():
            realm, clock = f"purges {next(_names)}", Clock()
            stores = [open_one() for _ in range(3)]
            logs = [PurgeLog(store, clock, realm) for store in stores]
            for log in logs * 2:
                await log.poll()
            purges = [tag(f"{number:0200}") for number in range(900)]
            done = await asyncio.gather(logs[0].publish(purges), logs[1].publish([tag("é")]))
            assert done == [True, True]
            assert await logs[0].poll() == arrived(tag("é"))
            assert await logs[1].poll() == arrived(*purges)
            assert sorted(await logs[2].poll()) == sorted(arrived(*purges, tag("é")))
            first, *others = await PurgeLog(stores[0], clock, realm).poll()
            assert first == BEGINNING
            assert sorted(others) == sorted(arrived(*purges, tag("é")))
            for store in stores:
                await store.close()

        run(main())
