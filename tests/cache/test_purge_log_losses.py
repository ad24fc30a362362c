"""Where it is not known what was purged, everything is."""

import asyncio
import copy
import json
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.cache.packing import digest_key
from asgi_serial.cache.purge_log import MAX_BEHIND, PATIENCE_SECONDS, PurgeLog

from .entries import BORN
from .hosts import COUNTER, EVERYTHING, REALM, Hosts, arrived, place_of, tag, told

WEEK = 7 * 86_400.0


def everything(seconds=0.0):
    """A purge of all, so many seconds after the hosts have begun."""
    return [purge._replace(at=purge.at + seconds) for purge in EVERYTHING]


def packed(content, place):
    """A record that is whole, whatever it says."""
    checksum = blake2b(content, digest_size=16, key=place.encode()).digest()
    return b"\xa9purge\xff\x01" + checksum + content


@pytest.mark.parametrize("refused", ["increment", "set", "get"])
@told
async def test_a_purge_that_the_store_did_not_take_is_told(hosts, refused):
    hosts.store.refused = (refused,)
    assert not await hosts.one.publish([tag("a")])
    hosts.store.refused = ()
    assert await hosts.one.publish([tag("b")])


@told
async def test_a_record_that_was_lost_after_its_number_is_everything(hosts):
    hosts.store.refused = ("set",)
    assert not await hosts.one.publish([tag("a")])
    hosts.store.refused = ()
    assert await hosts.one.publish([tag("b")])
    assert await hosts.other.poll() == arrived(tag("b"))
    assert await hosts.one.poll() == []
    hosts.pass_time(PATIENCE_SECONDS + 1)
    assert await hosts.other.poll() == everything(PATIENCE_SECONDS + 1)
    assert await hosts.one.poll() == everything(PATIENCE_SECONDS + 1)
    assert await hosts.other.poll() == await hosts.one.poll() == []
    assert await hosts.one.publish([tag("c")])
    assert await hosts.other.poll() == arrived(tag("c"), at=BORN + PATIENCE_SECONDS + 1)


@told
async def test_a_record_that_comes_after_its_number_is_waited_for(hosts):
    assert await hosts.one.publish([tag("a")])
    place = place_of(hosts.last)
    record = hosts.store.values.pop(place)
    assert await hosts.other.poll() == []
    hosts.pass_time(PATIENCE_SECONDS)
    assert await hosts.other.poll() == []
    hosts.store.values[place] = record
    assert await hosts.other.poll() == arrived(tag("a"), at=BORN + PATIENCE_SECONDS)
    hosts.pass_time(PATIENCE_SECONDS)
    assert await hosts.other.poll() == []


@told
async def test_a_store_that_is_down_hides_nothing_from_those_who_wait(hosts):
    for refused in ("get_many", "all"):
        assert await hosts.one.publish([tag(refused)])
        hosts.store.refused = ("get_many",)
        assert await hosts.other.poll() == []
        hosts.store.refused = ()
        hosts.store.is_down = True
        heard_at = hosts.other.heard_at
        hosts.pass_time(1000)
        assert not await hosts.one.publish([tag("not told")])
        assert await hosts.other.poll() == []
        assert hosts.other.heard_at == heard_at
        hosts.store.is_down = False
        assert await hosts.other.poll() == arrived(tag(refused), at=hosts.clocks[1].now)
        assert hosts.other.heard_at == hosts.clocks[1].now


@pytest.mark.parametrize("count", [MAX_BEHIND, MAX_BEHIND + 1])
@told
async def test_one_that_is_too_far_behind_takes_everything(hosts, count):
    purges = [tag(str(number)) for number in range(count)]
    for purge in purges:
        assert await hosts.one.publish([purge])
    assert await hosts.other.poll() == (arrived(*purges) if count == MAX_BEHIND else EVERYTHING)
    assert await hosts.other.poll() == []


@told
async def test_records_on_their_way_count_with_those_that_are_new(hosts):
    hosts.store.refused = ("get_many",)
    for value in ("a", "b"):
        assert await hosts.one.publish([tag(value)])
        assert await hosts.other.poll() == []
    hosts.store.refused = ()
    for number in range(MAX_BEHIND - 1):
        assert await hosts.one.publish([tag(str(number))])
    assert await hosts.other.poll() == EVERYTHING


@pytest.mark.parametrize("kept", [True, False], ids=["its records are kept", "all is lost"])
@told
async def test_a_counter_that_is_gone_is_everything(hosts, kept):
    assert await hosts.one.publish([tag("lost")])
    hosts.pass_time(5)
    if kept:
        del hosts.store.values[COUNTER]
    else:
        hosts.store.values.clear()
    assert await hosts.other.poll() == everything(5)
    assert await hosts.one.poll() == everything(5)
    assert await hosts.other.poll() == []
    assert await hosts.one.publish([tag("a")])
    assert await hosts.other.poll() == arrived(tag("a"), at=BORN + 5)
    assert await hosts.one.poll() == []


@pytest.mark.parametrize(
    "value",
    [b"x", b"-1", b"1.0", b"1" * 20, b"\xb2"],
    ids=["a letter", "-", ".", "long", "no ASCII"],
)
@told
async def test_a_counter_that_is_no_number_is_made_anew(hosts, value):
    hosts.pass_time(5)
    hosts.store.values[COUNTER] = value
    assert not await hosts.one.publish([tag("lost")]) or value.isdigit()
    assert await hosts.other.poll() == everything(5)
    assert await hosts.one.publish([tag("a")])
    assert await hosts.other.poll() == arrived(tag("a"), at=BORN + 5)


@told
async def test_a_counter_that_went_back_is_everything(hosts):
    assert await hosts.one.publish([tag("a")])
    assert await hosts.other.poll() == arrived(tag("a"))
    hosts.store.values[COUNTER] = b"%d" % (hosts.last - 1)
    assert await hosts.other.poll() == EVERYTHING


@told
async def test_a_number_that_was_given_twice_is_everything(hosts):
    snapshot = dict(hosts.store.values)
    assert await hosts.one.publish([tag("seen")])
    assert await hosts.other.poll() == arrived(tag("seen"))
    # A replica takes over that has not heard of it.
    hosts.store.values = snapshot
    hosts.pass_time(1)
    for value in ("in its place", "after it"):
        assert await hosts.one.publish([tag(value)])
    assert await hosts.other.poll() == everything(1)


@told
async def test_the_number_of_an_own_record_may_become_another_s(hosts):
    snapshot = dict(hosts.store.values)
    assert await hosts.one.publish([tag("own")])
    hosts.store.values = snapshot
    assert await hosts.other.publish([tag("another's")])
    assert await hosts.one.poll() == arrived(tag("another's"))


@told
async def test_the_children_of_a_process_hear_one_another(hosts):
    # What a fork shares is what was made before it.
    assert await hosts.one.publish([tag("before")])
    child, sibling = copy.copy(hosts.one), copy.copy(hosts.one)
    child._own, sibling._own = copy.copy(hosts.one._own), copy.copy(hosts.one._own)
    assert await child.publish([tag("after")])
    assert await sibling.poll() == arrived(tag("after"))
    assert await child.poll() == []


@told
async def test_a_cancelled_poll_takes_nothing_away(hosts):
    assert await hosts.one.publish([tag("a")])

    async def cancel():
        task.cancel()
        await asyncio.sleep(0)

    hosts.store.on_get_many = cancel
    task = asyncio.create_task(hosts.other.poll())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await hosts.other.poll() == arrived(tag("a"))


@told
async def test_what_is_published_while_records_are_read_comes_next(hosts):
    assert await hosts.one.publish([tag("a")])
    hosts.store.on_get_many = lambda: hosts.one.publish([tag("b")])
    assert await hosts.other.poll() == arrived(tag("a"))
    assert await hosts.other.poll() == arrived(tag("b"))


@told
async def test_a_number_is_renewed_by_one_of_them_before_it_is_forgotten(hosts):
    before = hosts.last
    hosts.pass_time(WEEK)
    assert await hosts.one.poll() == []
    assert hosts.last == before
    hosts.pass_time(1)
    for log in (hosts.one, hosts.other, hosts.one, hosts.other):
        assert await log.poll() == []
    assert hosts.last == before + 1


@told
async def test_a_process_that_begins_late_renews_the_number(hosts):
    before = hosts.last
    hosts.pass_time(WEEK + 1)
    late = PurgeLog(hosts.store, hosts.clocks[0], REALM)
    await late.poll()
    assert hosts.last == before
    assert await late.poll() == []
    assert hosts.last == before + 1


PURGE = ["tag", "a", None, BORN]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="an object"),
        pytest.param([0, "n", BORN], id="too few members"),
        pytest.param([1, "n", BORN, [PURGE]], id="another number"),
        pytest.param(["0", "n", BORN, [PURGE]], id="a number as a string"),
        pytest.param([0, None, BORN, [PURGE]], id="no nonce"),
        pytest.param([0, "n", None, [PURGE]], id="no time"),
        pytest.param([0, "n", float("inf"), [PURGE]], id="no end"),
        pytest.param([0, "n", BORN, PURGE], id="a purge in place of a list"),
        pytest.param([0, "n", BORN, [PURGE, PURGE[:3]]], id="a purge without a time"),
        pytest.param([0, "n", BORN, [["tag", 1, None, BORN]]], id="a value of another type"),
        pytest.param([0, "n", BORN, [["tag", "", None, BORN]]], id="an empty tag"),
        pytest.param([0, "n", BORN, [["tag", "a", None, float("nan")]]], id="not a number"),
        pytest.param([0, "n", BORN, [["other", "a", None, BORN]]], id="another kind"),
    ],
)
@told
async def test_a_record_of_another_make_is_everything(hosts, document):
    assert await hosts.one.publish([tag("a")])
    if isinstance(document, list) and type(document[0]) is int:
        document = [hosts.last + document[0], *document[1:]]
    place = place_of(hosts.last)
    hosts.store.values[place] = packed(json.dumps(document).encode(), place)
    assert await hosts.other.poll() == []
    hosts.pass_time(PATIENCE_SECONDS + 1)
    assert await hosts.other.poll() == everything(PATIENCE_SECONDS + 1)


def damages():
    """What may stand in a record's place, of the record, the one before it, and its place."""
    yield "nothing of ours", lambda record, _, place: b"garbage"
    yield "too short", lambda record, _, place: record[:10]
    yield "cut", lambda record, _, place: record[:-1]
    yield "longer", lambda record, _, place: record + b" "
    yield "one bit", lambda record, _, place: record[:-3] + bytes([record[-3] ^ 1]) + record[-2:]
    yield "another place's", lambda record, before, place: before
    yield "no JSON", lambda record, _, place: packed(b"[", place)
    yield "no UTF-8", lambda record, _, place: packed(b"\xff", place)
    yield "nested", lambda record, _, place: packed(b"[" * 60_000, place)
    yield "too long", lambda record, _, place: packed(record[24:] + b" " * 64_000, place)


@pytest.mark.parametrize("damage", [pytest.param(how, id=name) for name, how in damages()])
@told
async def test_a_damaged_record_is_everything(hosts, damage):
    assert await hosts.one.publish([tag("a")])
    place, values = place_of(hosts.last), hosts.store.values
    values[place] = damage(values[place], values[place_of(hosts.last - 1)], place)
    assert await hosts.other.poll() == []
    hosts.pass_time(PATIENCE_SECONDS + 1)
    assert await hosts.other.poll() == everything(PATIENCE_SECONDS + 1)


@told
async def test_a_record_of_another_realm_is_none_of_this(hosts):
    assert await hosts.one.publish([tag("a")])
    stranger = PurgeLog(hosts.store, hosts.clocks[0], "another")
    hosts.store.values[digest_key(("another", "purges"))] = b"%d" % (hosts.last - 1)
    assert await stranger.publish([tag("b")])
    strange_place = digest_key(("another", "purges", str(hosts.last % 1024)))
    hosts.store.values[place_of(hosts.last)] = hosts.store.values[strange_place]
    assert await hosts.other.poll() == []


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_a_record_or_none(data, is_whole):
    async def main():
        hosts = await Hosts().begin()
        assert await hosts.one.publish([tag("a")])
        place = place_of(hosts.last)
        hosts.store.values[place] = packed(data, place) if is_whole else data
        assert await hosts.other.poll() == []
        hosts.pass_time(PATIENCE_SECONDS + 1)
        assert await hosts.other.poll() == everything(PATIENCE_SECONDS + 1)

    asyncio.run(main())
