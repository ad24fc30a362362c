"""Of concurrent calls one is made; those who wait for it always go on."""

import asyncio
import threading
from contextvars import copy_context

import pytest

from asgi_serial.serialization.functions.flights import Ended, Flights, within

STATE = (0.0, 0)


def lead(flights, key="k", **options):
    joined = flights.join(key, STATE, **options)
    assert joined is not None
    assert joined[1] is True
    return joined[0]


def test_the_first_leads_and_others_wait():
    flights = Flights()
    flight = lead(flights)
    assert flights.join("k", STATE) == (flight, False)
    assert flights.find("k") is flight
    assert flights.join("other", STATE) != (flight, False)


def test_after_an_invalidation_nobody_waits_for_what_began_before():
    flights = Flights()
    before, after = lead(flights), flights.join("k", (1.0, 0))
    assert after is not None
    assert after[1] is True
    flights.end("k", before)
    assert flights.find("k") is after[0]
    assert before.outcome() is Ended.ABANDONED


def test_nobody_waits_for_a_flight_of_a_closed_loop():
    flights = Flights()

    async def begin():
        return lead(flights)

    flight = asyncio.run(begin())
    assert flight.is_stranded()
    assert flights.find("k") is None
    assert lead(flights) is not flight


def test_nobody_waits_for_a_flight_of_the_process_before_a_fork(monkeypatch):
    flights = Flights()
    flight = lead(flights)
    assert flights.find("k") is flight
    monkeypatch.setattr("os.getpid", lambda: 1)
    assert flights.find("k") is None
    assert lead(flights) is not flight


def test_a_flight_may_end_in_another_context():
    def fly():
        with within(lead(Flights())):
            yield

    flying = fly()
    copy_context().run(next, flying)
    flying.close()


def test_a_call_can_be_made_at_once():
    flights = Flights()
    before = lead(flights)
    assert lead(flights, must_lead=True) is not before


def test_the_first_outcome_stands():
    flights = Flights()
    flight = lead(flights)
    flight.finish(1)
    flight.fail(ValueError())
    flight.finish(2)
    flights.end("k", flight)
    assert flight.outcome() == 1
    assert flights.find("k") is None


def test_each_who_waits_gets_the_exception_with_the_traceback_of_the_call():
    flight = lead(Flights())
    try:
        raise LookupError("no")
    except LookupError as error:
        flight.fail(error)
    depths = []
    for _ in range(3):
        with pytest.raises(LookupError) as info:
            flight.outcome()
        depths.append(len(info.traceback))
    assert len(set(depths)) == 1


def test_a_thread_waits_for_a_bounded_time():
    flight = lead(Flights())
    assert flight.wait(0) is False
    flight.finish(None)
    assert flight.wait(0) is True


def test_tasks_and_threads_wait_for_one_flight_in_any_loop():
    flight, seen, ready = lead(Flights()), [], threading.Barrier(4)

    async def wait():
        task = asyncio.ensure_future(flight.wait_in_loop(60))
        await asyncio.sleep(0)
        await asyncio.to_thread(ready.wait)
        seen.append((await task, flight.outcome()))

    def wait_in_thread():
        ready.wait()
        seen.append((flight.wait(60), flight.outcome()))

    threads = [
        *[threading.Thread(target=asyncio.run, args=(wait(),)) for _ in range(2)],
        threading.Thread(target=wait_in_thread),
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    flight.finish("made")
    for thread in threads:
        thread.join()
    assert seen == [(True, "made")] * 3


def test_a_loop_that_was_closed_is_not_woken():
    flight = lead(Flights())

    async def leave():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flight.wait_in_loop(60), 0)
        assert await flight.wait_in_loop(0) is False

    asyncio.run(leave())
    flight.finish("made")
    assert asyncio.run(flight.wait_in_loop(60)) is True


def test_a_call_does_not_wait_for_itself():
    flights = Flights()
    with within(lead(flights, "a")):
        assert flights.join("a", STATE) is None
        with within(lead(flights, "b")):
            assert flights.join("a", STATE) is None
        assert flights.join("a", STATE, is_nested=False) is not None


def test_two_calls_do_not_wait_for_each_other():
    flights, others = Flights(), Flights()
    a, b = lead(flights, "a"), lead(others, "b")
    with within(a):
        assert others.join("b", STATE) == (b, False)
    with within(b):
        assert flights.join("a", STATE) is None


def test_a_ring_of_three_is_noticed_also_through_inner_calls():
    flights = Flights()
    a, b, c = (lead(flights, key) for key in "abc")
    with within(a):
        assert flights.join("b", STATE) == (b, False)
    with within(b):
        inner = lead(flights, "inner of b")
    with within(inner):
        assert flights.join("c", STATE) == (c, False)
    with within(c):
        assert flights.join("a", STATE) is None
        assert flights.join("inner of b", STATE) is None


def test_what_is_over_holds_nobody_up():
    flights = Flights()
    a, b = lead(flights, "a"), lead(flights, "b")
    with within(a):
        flights.join("b", STATE)
        context = copy_context()
    a.finish(1)
    assert flights.find("a") is None
    with within(b):
        assert lead(flights, "a") is not a
    # Something that the call of `a` began goes on after it.
    assert context.run(flights.join, "b", STATE) == (b, False)
    assert context.run(lead, flights, "c").parent is None


def test_the_garbage_collector_may_end_a_call_at_any_time():
    """It closes coroutines that were never ended, also while another one begins."""
    flights = Flights()
    abandoned = lead(flights, "abandoned")

    class Key:
        def __hash__(self):
            flights.end("abandoned", abandoned)
            return 1

    def begin():
        flights.join(Key(), STATE)

    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert abandoned.is_over()
