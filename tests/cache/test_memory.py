"""The first level: bounded in bytes, forgetful of what is asked for once, shared by threads."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from threading import Barrier
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asgi_serial.cache.memory import Memory

MAX_BYTES = 20
OWNER_BYTES = 10
KEYS = st.integers(1, 6)  # their own hashes, each with a place of its own among those remembered

FRESH = count()


class TwoQueues(RuleBasedStateMachine):
    """Memory beside plain lists of what is in the small queue and in the main one, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: Memory[int] = Memory(MAX_BYTES, owner_share=OWNER_BYTES / MAX_BYTES)
        self.small: list[SimpleNamespace] = []
        self.main: list[SimpleNamespace] = []
        self.ghosts: set[int] = set()
        self.writes = 0
        self.evictions = 0

    def held(self):
        return self.small + self.main

    def find(self, key):
        return next((slot for slot in self.held() if slot.key == key), None)

    def taken(self, owner=None):
        return sum(slot.size for slot in self.held() if owner in (None, slot.owner))

    def drop(self, slot):
        (self.small if slot in self.small else self.main).remove(slot)

    @rule(
        key=KEYS,
        value=st.integers(),
        size=st.integers(0, MAX_BYTES + 3),
        owner=st.sampled_from([None, None, "me", "you"]),
    )
    def put(self, key, value, size, owner):
        fits = size <= (MAX_BYTES if owner is None else OWNER_BYTES)
        assert self.memory.put(key, value, size, owner=owner) is fits
        queue, is_used = self.small, False
        known = self.find(key)
        if known is not None:
            queue, is_used = self.main if known in self.main else self.small, known.is_used
            self.drop(known)
        if not fits:
            return
        while owner is not None and self.taken(owner) + size > OWNER_BYTES:
            self.evict(min((s for s in self.held() if s.owner == owner), key=lambda s: s.turn))
        while self.taken() + size > MAX_BYTES:
            self.pass_on()
        if known is None and key in self.ghosts:
            self.ghosts.remove(key)
            queue = self.main
        self.writes += 1
        queue.append(
            SimpleNamespace(
                key=key, value=value, size=size, owner=owner, is_used=is_used, turn=self.writes
            )
        )

    def pass_on(self):
        is_small = not self.main or 10 * sum(slot.size for slot in self.small) > self.taken()
        oldest = (self.small if is_small else self.main)[0]
        if oldest.is_used:
            oldest.is_used = False
            self.drop(oldest)
            self.main.append(oldest)
        else:
            self.evict(oldest)
            if is_small:
                self.ghosts.add(oldest.key)

    def evict(self, slot):
        self.drop(slot)
        self.evictions += 1

    @rule(key=KEYS)
    def get(self, key):
        slot = self.find(key)
        assert self.memory.get(key) == (slot and slot.value)
        if slot is not None:
            slot.is_used = True

    @rule(key=KEYS)
    def delete(self, key):
        self.memory.delete(key)
        slot = self.find(key)
        if slot is not None:
            self.drop(slot)

    @rule()
    def clear(self):
        self.memory.clear()
        self.small, self.main = [], []

    @invariant()
    def agrees(self):
        found = {key: self.memory.find_slot(key) for key in range(1, 7)}
        values = {key: slot.value for key, slot in found.items() if slot is not None}
        assert values == {slot.key: slot.value for slot in self.held()}
        assert len(self.memory) == len(values)
        assert self.memory.size_bytes == self.taken() <= MAX_BYTES
        assert max(self.taken("me"), self.taken("you")) <= OWNER_BYTES
        assert self.memory.evictions == self.evictions


TestTwoQueues = TwoQueues.TestCase


@pytest.fixture
def memory() -> Memory[str]:
    full: Memory[str] = Memory(3)
    for key in "abc":
        assert full.put(key, key.upper(), 1)
    return full


def held(memory, keys="abcdefgh"):
    return [key for key in keys if memory.find_slot(key) is not None]


def flood(memory):
    """A hundred values of one byte that nobody has asked for, nor will."""
    for number in islice(FRESH, 100):
        memory.put(("flood", number), "", 1)


@pytest.mark.parametrize(
    ("used", "left"),
    [
        pytest.param("", "bcd", id="of values never asked for the oldest leaves"),
        pytest.param("a", "acd", id="one that was asked for stays in place of the next"),
        pytest.param("ab", "abd", id="so do two"),
        pytest.param("c", "bcd", id="the newest gains nothing by being asked for"),
        pytest.param("abc", "bcd", id="where all were asked for the oldest leaves"),
    ],
)
def test_who_leaves_for_a_newcomer(memory, used, left):
    for key in used:
        memory.get(key)
    memory.put("d", "D", 1)
    assert held(memory) == list(left)
    assert memory.evictions == 1


def test_one_that_was_asked_for_outlives_any_number_that_were_not(memory):
    memory.get("a")
    flood(memory)
    assert held(memory) == ["a"]


def test_one_that_comes_back_soon_outlives_any_number_that_do_not(memory):
    memory.put("d", "D", 1)
    assert held(memory) == ["b", "c", "d"]
    memory.put("a", "again", 1)
    flood(memory)
    assert held(memory) == ["a"]


def test_one_that_comes_back_late_is_on_trial_again():
    memory = Memory(1)
    for key in (1, 65, 66):  # 65 is remembered in the place of 1
        memory.put(key, key, 1)
    memory.max_bytes = 3
    memory.put(1, "late", 1)
    flood(memory)
    assert held(memory, [1, 65, 66]) == []


def test_as_many_are_remembered_as_are_kept():
    memory = Memory(200)
    for number in range(1, 401):
        memory.put(number, number, 1)
    for number in range(150, 160):
        memory.put(number, number, 1)
    flood(memory)
    flood(memory)
    assert held(memory, range(1, 200)) == list(range(150, 160))


def with_two_in_the_main_queue():
    memory = Memory(20)
    for key, size in {"a": 8, "b": 9, "c": 3}.items():
        memory.put(key, key, size)
    memory.get("a")
    memory.get("b")
    memory.put("d", "D", 1)
    assert held(memory) == ["a", "b", "d"]
    return memory


@pytest.mark.parametrize(
    ("used", "left"),
    [
        pytest.param("", "bde", id="the oldest leaves that nobody asked for since it came there"),
        pytest.param("a", "ade", id="one that was asked for since is spared"),
        pytest.param("ab", "bde", id="where all were asked for the oldest leaves after all"),
    ],
)
def test_who_leaves_the_main_queue(used, left):
    memory = with_two_in_the_main_queue()
    for key in used:
        memory.get(key)
    memory.put("e", "E", 3)
    assert held(memory) == list(left)


def test_one_that_left_the_main_queue_is_on_trial_again():
    memory = with_two_in_the_main_queue()
    memory.put("e", "E", 3)
    memory.put("a", "again", 8)
    flood(memory)
    assert held(memory) == ["b"]


def test_a_call_passes_over_a_bounded_number_of_used_values():
    memory = Memory(200)
    keys = range(1, 201)
    for key in keys:
        memory.put(key, key, 1)
        memory.get(key)
    memory.put("new", "", 1)
    assert [key for key in keys if memory.find_slot(key) is None] == [65]


def test_a_large_value_takes_the_place_of_many(memory):
    assert memory.put("d", "D", 3)
    assert held(memory) == ["d"]
    assert memory.evictions == 3


def test_a_value_larger_than_the_whole_is_not_kept_and_takes_away_the_one_before(memory):
    assert not memory.put("a", "too large", 4)
    assert memory.get("a") is None
    assert held(memory) == ["b", "c"]
    assert memory.size_bytes == 2


def test_a_value_put_again_counts_once_and_as_the_newest(memory):
    assert memory.put("a", "again", 1)
    assert (len(memory), memory.size_bytes) == (3, 3)
    memory.put("d", "D", 1)
    assert held(memory) == ["a", "c", "d"]
    assert memory.get("a") == "again"


def test_a_value_put_again_was_asked_for_if_it_was_before(memory):
    memory.get("a")
    memory.put("a", "again", 1)
    flood(memory)
    assert memory.get("a") == "again"
    memory.put("a", "in the main queue", 1)
    flood(memory)
    assert memory.get("a") == "in the main queue"


def test_a_value_that_has_to_be_there_is_counted_anew_only_there(memory):
    value = memory.get("a")
    assert memory.put("a", value, 0, must_be_there=True)
    assert (len(memory), memory.size_bytes) == (3, 2)
    memory.put("a", "another", 1)
    assert not memory.put("a", value, 0, must_be_there=True)
    assert not memory.put("d", "D", 1, must_be_there=True)
    assert (memory.get("a"), len(memory), memory.size_bytes) == ("another", 3, 3)


def test_a_slot_that_is_marked_by_its_finder_counts_as_used(memory):
    memory.find_slot("a").is_used = True
    memory.put("d", "D", 1)
    assert held(memory) == ["a", "c", "d"]


def test_one_owner_fills_his_share_and_makes_room_for_himself():
    memory = Memory(100, owner_share=0.05)
    for key in "abc":
        memory.put(key, key, 20)
    for number in range(50):
        assert memory.put(number, number, 1, owner="me")
    memory.put("his", "", 5, owner="you")
    assert held(memory, [*"abc", *range(50), "his"]) == [*"abc", *range(45, 50), "his"]
    assert memory.evictions == 45


def test_what_left_counts_for_its_owner_no_more():
    memory = Memory(100, owner_share=0.05)
    memory.put("a", "", 5, owner="me")
    flood(memory)
    assert held(memory) == []
    memory.put("b", "", 5, owner="me")
    memory.delete("b")
    memory.put("c", "", 5, owner="me")
    memory.put("c", "", 5, owner="you")
    memory.put("d", "", 5, owner="me")
    assert held(memory) == ["c", "d"]


def test_a_value_larger_than_its_owners_share_is_not_kept_and_drops_nothing_else():
    memory = Memory(100, owner_share=0.05)
    memory.put("a", "", 2, owner="me")
    memory.put("b", "", 3, owner="me")
    assert not memory.put("b", "", 6, owner="me")
    assert held(memory) == ["a"]
    assert (memory.size_bytes, memory.evictions) == (2, 0)


def test_threads_share_it_and_it_stays_within_its_bytes():
    """Each thread finds under its own keys what it put there, or nothing once it deleted it."""
    memory: Memory[tuple[int, int]] = Memory(50, owner_share=0.5)
    start = Barrier(4)

    def work(thread: int) -> None:
        start.wait()
        for turn in range(3_000):
            key = thread, turn % 20
            value = thread, turn
            memory.put(key, value, 1 + turn % 7, owner=thread % 3 or None)
            assert memory.get(key) in (value, None)
            memory.get(((thread + 1) % 4, turn % 20))
            if turn % 3 == 0:
                memory.delete(key)
                assert memory.get(key) is None
            assert memory.size_bytes <= 50

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(work, thread) for thread in range(4)]:
                done.result()
    finally:
        sys.setswitchinterval(interval)
    slots = [memory.find_slot((thread, turn)) for thread in range(4) for turn in range(20)]
    assert memory.size_bytes == sum(slot.size_bytes for slot in slots if slot) <= 50
    memory.clear()
    assert (len(memory), memory.size_bytes) == (0, 0)


def test_items_are_bounded_beside_bytes():
    memory = Memory(1_000, max_items=2)
    for key in "abc":
        memory.put(key, key, 1)
    assert [memory.get(key) for key in "abc"] == [None, "b", "c"]
    memory.put("c", "again", 1)
    assert len(memory) == 2


def test_a_limit_that_is_lowered_holds_from_the_next_value_on():
    memory = Memory(1_000)
    for key in "abcd":
        memory.put(key, key, 1)
    memory.max_items = 1
    memory.put("e", "e", 1)
    assert (len(memory), memory.get("e"), memory.evictions) == (1, "e", 4)
