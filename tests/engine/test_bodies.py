"""One budget for the bodies of all requests that are read before the app is called."""

import gc

import pytest

from asgi_serial.bounds.bodies import Bodies


def arriving(bodies, loop="a loop"):
    """A share whose body arrives, and the list of the calls that stop it."""
    share, stops = bodies.open(), []
    share.loop = loop
    share.begin(lambda: stops.append(share))
    return share, stops


def test_a_share_holds_what_it_takes_until_it_is_released():
    bodies = Bodies(100)
    one, other = bodies.open(), bodies.open()
    assert one.take(60)
    assert not other.take(50)
    assert other.take(40)
    assert bodies.budget.held_bytes == 100
    assert one.resize(10)
    assert bodies.budget.held_bytes == 50
    assert not one.resize(70)
    assert bodies.budget.held_bytes == 40
    other.release()
    other.release()
    assert bodies.budget.held_bytes == 0


def test_the_body_that_arrives_for_the_longest_time_gives_way():
    bodies = Bodies(100)
    (oldest, stopped), (newer, went_on) = arriving(bodies), arriving(bodies)
    assert oldest.take(50)
    assert newer.take(50)
    newest, _ = arriving(bodies)
    assert newest.take(30)
    assert (stopped, went_on) == ([oldest], [])
    assert oldest.gave_way
    assert not oldest.take(1)
    assert bodies.budget.held_bytes == 80


def test_several_give_way_to_one_and_no_more_than_have_to():
    bodies = Bodies(100)
    shares = [arriving(bodies)[0] for _ in range(10)]
    assert all(share.take(10) for share in shares)
    assert shares[-1].take(35)
    assert [share.gave_way for share in shares] == [True] * 4 + [False] * 6


def test_what_has_arrived_does_not_give_way():
    bodies = Bodies(100)
    arrived, stops = arriving(bodies)
    assert arrived.take(80)
    arrived.end()
    newest, _ = arriving(bodies)
    assert not newest.take(30)
    assert not stops


def test_the_oldest_does_not_put_out_those_that_came_after_it():
    bodies = Bodies(100)
    oldest, _ = arriving(bodies)
    newer, stops = arriving(bodies)
    assert newer.take(80)
    assert not oldest.take(30)
    assert not stops


@pytest.mark.parametrize("loop", ["another loop", None])
def test_bodies_of_another_event_loop_are_let_alone(loop):
    bodies = Bodies(100)
    other, stops = arriving(bodies)
    assert other.take(80)
    newest, _ = arriving(bodies, loop)
    assert not newest.take(30)
    assert not stops


def test_a_share_that_is_lost_holds_nothing():
    bodies = Bodies(100)
    bodies.open().take(60)
    gc.collect()
    assert bodies.budget.held_bytes == 0
