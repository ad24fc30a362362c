"""Bytes under way are bounded, and those who make no progress make room."""

import weakref

from asgi_serial.bounds.budget import FairBudget


class Collector:
    def __init__(self):
        self.has_lost = False

    def lose(self):
        self.has_lost = True


def test_who_has_taken_nothing_for_longest_makes_room():
    budget, (one, two, three) = FairBudget(100), [Collector() for _ in range(3)]
    assert budget.take(one, 40)
    assert budget.take(two, 40)
    assert budget.take(one, 10)
    assert budget.take(three, 40)
    assert [each.has_lost for each in (one, two, three)] == [False, True, False]
    assert budget.held_bytes == 90


def test_nobody_makes_room_for_what_can_never_fit():
    budget, one, two = FairBudget(100), Collector(), Collector()
    assert budget.take(one, 60)
    assert budget.take(two, 40)
    assert not budget.take(two, 61)
    assert not one.has_lost
    assert budget.held_bytes == 100


def test_what_is_given_back_is_there_for_others():
    budget, one, two = FairBudget(100), Collector(), Collector()
    budget.take(one, 100)
    budget.give_back(one)
    budget.give_back(two)
    assert budget.held_bytes == 0
    assert budget.take(two, 100)
    assert not one.has_lost


def test_a_holder_of_nothing_is_not_kept():
    """It has nothing to give back, so nobody would ever remove it."""
    budget, one = FairBudget(100), Collector()
    known = weakref.ref(one)
    assert budget.take(one, 0)
    del one
    assert known() is None
