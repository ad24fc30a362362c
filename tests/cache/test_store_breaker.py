import pytest

from asgi_serial.store.breaker import Breaker


def fail(breaker: Breaker, now: float) -> None:
    ticket = breaker.enter(now)
    assert ticket is not None
    breaker.failed(ticket, now)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        fail(breaker, now)
    return breaker


def test_two_failures_in_a_row_hold_nothing_back() -> None:
    breaker = Breaker()
    for _ in range(5):
        fail(breaker, 0.0)
        fail(breaker, 0.0)
        ticket = breaker.enter(0.0)
        assert ticket is not None
        breaker.succeeded(ticket)
    assert not breaker.is_open


def test_three_failures_in_a_row_hold_calls_back_for_a_second() -> None:
    breaker = opened()
    assert breaker.is_open
    assert breaker.enter(0.999) is None
    assert breaker.enter(1.0) is not None


def test_one_probe_is_let_through_at_a_time() -> None:
    breaker = opened()
    assert breaker.enter(1.0) is not None
    assert breaker.enter(1.0) is None


def test_a_probe_that_succeeds_lets_every_call_through() -> None:
    breaker = opened()
    ticket = breaker.enter(1.0)
    assert ticket is not None
    breaker.succeeded(ticket)
    assert not breaker.is_open
    fail(breaker, 1.0)
    fail(breaker, 1.0)
    assert not breaker.is_open


def test_the_back_off_doubles_up_to_its_longest() -> None:
    breaker, now, waits = opened(), 0.0, []
    for _ in range(7):
        began = now
        while breaker.enter(now) is None:
            now += 0.5
        waits.append(now - began)
        breaker.failed(breaker._epoch, now)
    assert waits == [1, 2, 4, 8, 16, 30, 30]


def test_a_probe_that_is_never_heard_of_again_is_followed_by_the_next() -> None:
    breaker = opened()
    assert breaker.enter(1.0) is not None
    assert breaker.enter(1.9) is None
    assert breaker.enter(2.0) is not None


@pytest.mark.parametrize("failures", [1, 100])
def test_calls_under_way_when_it_opened_change_nothing(failures: int) -> None:
    breaker = Breaker()
    late = [breaker.enter(0.0) for _ in range(3 + failures)]
    for ticket in late:
        assert ticket is not None
        breaker.failed(ticket, 0.25)
    assert breaker.enter(1.25) is not None
    assert late[0] is not None
    breaker.succeeded(late[0])
    assert breaker.is_open
