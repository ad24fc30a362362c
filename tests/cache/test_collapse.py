"""One call of the app for many: its endings, its time-outs, its loops, and what is remembered."""

import asyncio
from threading import Event, Thread

import pytest

from asgi_serial.cache import collapse
from asgi_serial.cache.collapse import (
    MAX_REMEMBERED,
    NOT_STORED,
    REMEMBERED_SECONDS,
    Ending,
    Flights,
)
from tests.engine.driver import Clock, awaited

KEY, OTHER = ("a",), ("b",)


def make_flights() -> tuple[Flights, Clock]:
    clock = Clock()
    return Flights(clock), clock


async def gather_waiters(flights, key, number=3):
    """Tasks that wait for the call under way, all of which have begun to wait."""
    waiting = [asyncio.ensure_future(flights.find(key).wait(60)) for _ in range(number)]
    await asyncio.sleep(0)
    return waiting


@pytest.mark.parametrize("ending", list(Ending), ids=lambda ending: ending.value)
@awaited
async def test_all_who_wait_are_told_how_it_ended(ending):
    flights, _ = make_flights()
    flight = flights.lead(KEY)
    waiting = await gather_waiters(flights, KEY)
    assert not any(one.done() for one in waiting)
    flights.land(KEY, flight, ending)
    assert await asyncio.gather(*waiting) == [ending] * 3
    assert flights.find(KEY) is None
    assert flights.is_fruitless(KEY) is (ending in NOT_STORED)


@awaited
async def test_who_comes_after_the_end_is_told_at_once():
    flights, _ = make_flights()
    flight = flights.lead(KEY)
    found = flights.find(KEY)
    flights.land(KEY, flight, Ending.STORED)
    assert await found.wait(0) is Ending.STORED


@pytest.mark.parametrize("seconds", [0.001, 0, -1], ids=["soon", "at once", "in the past"])
@awaited
async def test_a_wait_ends_in_time(seconds):
    flights, _ = make_flights()
    flight = flights.lead(KEY)
    assert await flights.find(KEY).wait(seconds) is None
    assert flights.find(KEY) is flight


@awaited
async def test_a_waiter_that_is_cancelled_takes_nobody_with_it():
    flights, _ = make_flights()
    flight = flights.lead(KEY)
    first, second, third = await gather_waiters(flights, KEY)
    second.cancel()
    await asyncio.wait((second,))
    flights.land(KEY, flight, Ending.STORED)
    assert await first is await third is Ending.STORED
    assert second.cancelled()


@awaited
async def test_the_first_end_is_the_one_that_counts():
    flights, _ = make_flights()
    flight = flights.lead(KEY)
    waiting = await gather_waiters(flights, KEY)
    flights.land(KEY, flight, Ending.STORED)
    flights.land(KEY, flight, Ending.FAILED)
    assert set(await asyncio.gather(*waiting)) == {Ending.STORED}


@awaited
async def test_an_end_that_comes_late_leaves_the_next_call_alone():
    flights, _ = make_flights()
    first = flights.lead(KEY)
    flights.land(KEY, first, Ending.FAILED)
    second = flights.lead(KEY)
    flights.land(KEY, first, Ending.FAILED)
    assert flights.find(KEY) is second


@awaited
async def test_keys_do_not_meet():
    flights, _ = make_flights()
    one, other = flights.lead(KEY), flights.lead(OTHER)
    flights.land(KEY, one, Ending.FRUITLESS)
    assert flights.find(OTHER) is other
    assert not flights.is_fruitless(OTHER)


@awaited
async def test_there_is_one_leader_at_a_time():
    flights, _ = make_flights()
    flight = flights.lead(KEY)
    assert flights.lead(KEY) is None
    flights.land(KEY, flight, Ending.FAILED)
    assert flights.lead(KEY) is not None


@awaited
async def test_what_was_fruitless_is_remembered_for_a_while():
    flights, clock = make_flights()
    flights.land(KEY, flights.lead(KEY), Ending.FRUITLESS)
    assert flights.lead(KEY) is None
    clock.now += REMEMBERED_SECONDS - 0.001
    assert flights.is_fruitless(KEY)
    clock.now += 0.001
    assert not flights.is_fruitless(KEY)
    assert flights.lead(KEY) is not None


@awaited
async def test_another_fruitless_call_makes_it_remembered_longer():
    flights, clock = make_flights()
    flights.remember(KEY)
    clock.now += REMEMBERED_SECONDS - 1
    flights.remember_longer(KEY)
    clock.now += REMEMBERED_SECONDS - 1
    assert flights.is_fruitless(KEY)


def test_only_what_is_remembered_is_remembered_longer():
    flights, _ = make_flights()
    flights.remember_longer(KEY)
    assert not flights.is_fruitless(KEY)


@awaited
async def test_what_is_forgotten_is_collapsed_again():
    flights, _ = make_flights()
    flights.remember(KEY)
    flights.note_storable(KEY)
    assert flights.lead(KEY) is not None


def test_the_last_response_says_whether_the_next_may_be_stored():
    flights, _ = make_flights()
    assert not flights.was_storable(KEY)
    flights.note_storable(KEY)
    assert flights.was_storable(KEY)
    assert not flights.was_storable(OTHER)
    flights.remember(KEY)
    assert not flights.was_storable(KEY)


def test_the_resources_that_are_remembered_as_storable_are_bounded():
    flights, _ = make_flights()
    for number in range(MAX_REMEMBERED + 10):
        flights.note_storable((str(number),))
    known = [flights.was_storable((str(number),)) for number in range(MAX_REMEMBERED + 10)]
    assert known == [False] * 10 + [True] * MAX_REMEMBERED


def test_errors_do_not_add_up():
    """Two responses that are not stored let the next one pass unseen; two errors do not."""
    flights, _ = make_flights()
    for _ in range(3):
        flights.remember(KEY, is_error=True)
    assert flights.is_fruitless(KEY)
    assert not flights.is_fruitless(KEY, calls=2)
    flights.remember(KEY)
    flights.remember(KEY, is_error=True)
    assert flights.is_fruitless(KEY, calls=2)


def test_what_is_remembered_is_bounded():
    flights, _ = make_flights()
    for number in range(MAX_REMEMBERED + 10):
        flights.remember((str(number),))
    remembered = sum(flights.is_fruitless((str(n),)) for n in range(MAX_REMEMBERED + 10))
    assert remembered <= MAX_REMEMBERED
    assert flights.is_fruitless((str(MAX_REMEMBERED + 9),))


def test_the_bound_is_one_of_keys(monkeypatch):
    """Nothing but the newest is left once the bound is reached."""
    monkeypatch.setattr(collapse, "MAX_REMEMBERED", 2)
    flights, _ = make_flights()
    for name in "abc":
        flights.remember((name,))
    assert [flights.is_fruitless((name,)) for name in "abc"] == [False, False, True]


def test_calls_of_another_event_loop_are_not_waited_for():
    """Nor is one led beside it: a future belongs to the loop that made it."""
    flights, _ = make_flights()
    leading, done = Event(), Event()
    landed = []

    async def lead() -> None:
        flight = flights.lead(KEY)
        leading.set()
        await asyncio.to_thread(done.wait)
        flights.land(KEY, flight, Ending.STORED)
        landed.append(await flight.wait(0))

    async def look() -> tuple[object, object]:
        return flights.find(KEY), flights.lead(KEY)

    thread = Thread(target=asyncio.run, args=(lead(),))
    thread.start()
    leading.wait()
    assert asyncio.run(look()) == (None, None)
    done.set()
    thread.join()
    assert landed == [Ending.STORED]

    async def lead_here() -> bool:
        return flights.lead(KEY) is not None

    assert asyncio.run(lead_here())
