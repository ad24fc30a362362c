"""One call of the app for many: its endings, its time-outs, its loops, and what is remembered."""

import asyncio
from threading import Event, Thread

import pytest

from asgi_serial.cache import in_flight
from asgi_serial.cache.in_flight import (
    MAX_REMEMBERED,
    NOT_STORED,
    REMEMBERED_SECONDS,
    CallResult,
    CallsInFlight,
)
from tests.engine.driver import Clock, awaited

KEY, OTHER = ("a",), ("b",)


def make_calls() -> tuple[CallsInFlight, Clock]:
    clock = Clock()
    return CallsInFlight(clock), clock


async def gather_waiters(calls, key, number=3):
    """Tasks that wait for the call under way, all of which have begun to wait."""
    waiting = [asyncio.ensure_future(calls.find(key).wait(60)) for _ in range(number)]
    await asyncio.sleep(0)
    return waiting


@pytest.mark.parametrize("result", list(CallResult), ids=lambda result: result.value)
@awaited
async def test_all_who_wait_are_told_how_it_ended(result):
    calls, _ = make_calls()
    call = calls.start(KEY)
    waiting = await gather_waiters(calls, KEY)
    assert not any(one.done() for one in waiting)
    calls.finish(KEY, call, result)
    assert await asyncio.gather(*waiting) == [result] * 3
    assert calls.find(KEY) is None
    assert calls.is_hit_for_miss(KEY) is (result in NOT_STORED)


@awaited
async def test_who_comes_after_the_end_is_told_at_once():
    calls, _ = make_calls()
    call = calls.start(KEY)
    found = calls.find(KEY)
    calls.finish(KEY, call, CallResult.STORED)
    assert await found.wait(0) is CallResult.STORED


@pytest.mark.parametrize("seconds", [0.001, 0, -1], ids=["soon", "at once", "in the past"])
@awaited
async def test_a_wait_ends_in_time(seconds):
    calls, _ = make_calls()
    call = calls.start(KEY)
    assert await calls.find(KEY).wait(seconds) is None
    assert calls.find(KEY) is call


@awaited
async def test_a_waiter_that_is_cancelled_takes_nobody_with_it():
    calls, _ = make_calls()
    call = calls.start(KEY)
    first, second, third = await gather_waiters(calls, KEY)
    second.cancel()
    await asyncio.wait((second,))
    calls.finish(KEY, call, CallResult.STORED)
    assert await first is await third is CallResult.STORED
    assert second.cancelled()


@awaited
async def test_the_first_end_is_the_one_that_counts():
    calls, _ = make_calls()
    call = calls.start(KEY)
    waiting = await gather_waiters(calls, KEY)
    calls.finish(KEY, call, CallResult.STORED)
    calls.finish(KEY, call, CallResult.FAILED)
    assert set(await asyncio.gather(*waiting)) == {CallResult.STORED}


@awaited
async def test_an_end_that_comes_late_leaves_the_next_call_alone():
    calls, _ = make_calls()
    first = calls.start(KEY)
    calls.finish(KEY, first, CallResult.FAILED)
    second = calls.start(KEY)
    calls.finish(KEY, first, CallResult.FAILED)
    assert calls.find(KEY) is second


@awaited
async def test_keys_do_not_meet():
    calls, _ = make_calls()
    one, other = calls.start(KEY), calls.start(OTHER)
    calls.finish(KEY, one, CallResult.UNCACHEABLE)
    assert calls.find(OTHER) is other
    assert not calls.is_hit_for_miss(OTHER)


@awaited
async def test_there_is_one_leader_at_a_time():
    calls, _ = make_calls()
    call = calls.start(KEY)
    assert calls.start(KEY) is None
    calls.finish(KEY, call, CallResult.FAILED)
    assert calls.start(KEY) is not None


@awaited
async def test_what_was_fruitless_is_remembered_for_a_while():
    calls, clock = make_calls()
    calls.finish(KEY, calls.start(KEY), CallResult.UNCACHEABLE)
    assert calls.start(KEY) is None
    clock.now += REMEMBERED_SECONDS - 0.001
    assert calls.is_hit_for_miss(KEY)
    clock.now += 0.001
    assert not calls.is_hit_for_miss(KEY)
    assert calls.start(KEY) is not None


@awaited
async def test_another_fruitless_call_makes_it_remembered_longer():
    calls, clock = make_calls()
    calls.mark_hit_for_miss(KEY)
    clock.now += REMEMBERED_SECONDS - 1
    calls.extend_hit_for_miss(KEY)
    clock.now += REMEMBERED_SECONDS - 1
    assert calls.is_hit_for_miss(KEY)


def test_only_what_is_remembered_is_remembered_longer():
    calls, _ = make_calls()
    calls.extend_hit_for_miss(KEY)
    assert not calls.is_hit_for_miss(KEY)


@awaited
async def test_what_is_forgotten_is_collapsed_again():
    calls, _ = make_calls()
    calls.mark_hit_for_miss(KEY)
    calls.note_storable(KEY)
    assert calls.start(KEY) is not None


def test_the_last_response_says_whether_the_next_may_be_stored():
    calls, _ = make_calls()
    assert not calls.was_storable(KEY)
    calls.note_storable(KEY)
    assert calls.was_storable(KEY)
    assert not calls.was_storable(OTHER)
    calls.mark_hit_for_miss(KEY)
    assert not calls.was_storable(KEY)


def test_the_resources_that_are_remembered_as_storable_are_bounded():
    calls, _ = make_calls()
    for number in range(MAX_REMEMBERED + 10):
        calls.note_storable((str(number),))
    known = [calls.was_storable((str(number),)) for number in range(MAX_REMEMBERED + 10)]
    assert known == [False] * 10 + [True] * MAX_REMEMBERED


def test_errors_do_not_add_up():
    """Two responses that are not stored let the next one pass unseen; two errors do not."""
    calls, _ = make_calls()
    for _ in range(3):
        calls.mark_hit_for_miss(KEY, is_error=True)
    assert calls.is_hit_for_miss(KEY)
    assert not calls.is_hit_for_miss(KEY, calls=2)
    calls.mark_hit_for_miss(KEY)
    calls.mark_hit_for_miss(KEY, is_error=True)
    assert calls.is_hit_for_miss(KEY, calls=2)


def test_what_is_remembered_is_bounded():
    calls, _ = make_calls()
    for number in range(MAX_REMEMBERED + 10):
        calls.mark_hit_for_miss((str(number),))
    remembered = sum(calls.is_hit_for_miss((str(n),)) for n in range(MAX_REMEMBERED + 10))
    assert remembered <= MAX_REMEMBERED
    assert calls.is_hit_for_miss((str(MAX_REMEMBERED + 9),))


def test_the_bound_is_one_of_keys(monkeypatch):
    """Nothing but the newest is left once the bound is reached."""
    monkeypatch.setattr(in_flight, "MAX_REMEMBERED", 2)
    calls, _ = make_calls()
    for name in "abc":
        calls.mark_hit_for_miss((name,))
    assert [calls.is_hit_for_miss((name,)) for name in "abc"] == [False, False, True]


def test_calls_of_another_event_loop_are_not_waited_for():
    """Nor is one led beside it: a future belongs to the loop that made it."""
    calls, _ = make_calls()
    leading, done = Event(), Event()
    results = []

    async def call_app() -> None:
        call = calls.start(KEY)
        leading.set()
        await asyncio.to_thread(done.wait)
        calls.finish(KEY, call, CallResult.STORED)
        results.append(await call.wait(0))

    async def look() -> tuple[object, object]:
        return calls.find(KEY), calls.start(KEY)

    thread = Thread(target=asyncio.run, args=(call_app(),))
    thread.start()
    leading.wait()
    assert asyncio.run(look()) == (None, None)
    done.set()
    thread.join()
    assert results == [CallResult.STORED]

    async def lead_here() -> bool:
        return calls.start(KEY) is not None

    assert asyncio.run(lead_here())
