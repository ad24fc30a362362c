"""The first level: bounded in bytes, forgetful in the order of second chance, shared by threads."""

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from asgi_serial.cache.memory import Memory

MAX_BYTES = 20
KEYS = st.sampled_from("abcdef")


class SecondChance(RuleBasedStateMachine):
    """Memory beside a plain list of [key, value, size, used], the oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: Memory[int] = Memory(MAX_BYTES)
        self.slots: list[list] = []
        self.evictions = 0

    def drop(self, key):
        self.slots = [slot for slot in self.slots if slot[0] != key]

    def taken(self):
        return sum(size for _, _, size, _ in self.slots)

    @rule(key=KEYS, value=st.integers(), size=st.integers(0, MAX_BYTES + 3))
    def put(self, key, value, size):
        fits = size <= MAX_BYTES
        assert self.memory.put(key, value, size) is fits
        self.drop(key)
        while fits and self.taken() + size > MAX_BYTES:
            oldest = self.slots.pop(0)
            if oldest[3]:
                self.slots.append([*oldest[:3], False])
            else:
                self.evictions += 1
        if fits:
            self.slots.append([key, value, size, False])

    @rule(key=KEYS)
    def get(self, key):
        found = [slot for slot in self.slots if slot[0] == key]
        assert self.memory.get(key) == (found[0][1] if found else None)
        for slot in found:
            slot[3] = True

    @rule(key=KEYS)
    def look_at_the_slot_and_leave_it(self, key):
        slot = self.memory.find_slot(key)
        found = [] if slot is None else [slot.value]
        assert found == [slot[1] for slot in self.slots if slot[0] == key]

    @rule(key=KEYS)
    def delete(self, key):
        self.memory.delete(key)
        self.drop(key)

    @rule()
    def clear(self):
        self.memory.clear()
        self.slots = []

    @invariant()
    def agrees(self):
        assert len(self.memory) == len(self.slots)
        assert self.memory.size_bytes == self.taken() <= MAX_BYTES
        assert self.memory.evictions == self.evictions


TestSecondChance = SecondChance.TestCase


@pytest.fixture
def memory() -> Memory[str]:
    full: Memory[str] = Memory(3)
    for key in "abc":
        assert full.put(key, key.upper(), 1)
    return full


def held(memory):
    return [key for key in "abcdefgh" if memory.find_slot(key) is not None]


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


def test_a_second_chance_is_one_chance(memory):
    memory.get("a")
    memory.put("d", "D", 1)  # b leaves, a is spared
    memory.put("e", "E", 1)  # c leaves
    memory.put("f", "F", 1)  # now a leaves: nobody has asked for it since
    assert held(memory) == ["d", "e", "f"]


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


def test_a_slot_that_is_marked_by_its_finder_counts_as_used(memory):
    memory.find_slot("a").is_used = True
    memory.put("d", "D", 1)
    assert held(memory) == ["a", "c", "d"]


def test_threads_share_it_and_it_stays_within_its_bytes():
    """Each thread finds under its own keys what it put there, or nothing once it deleted it."""
    memory: Memory[tuple[int, int]] = Memory(50)
    start = Barrier(4)

    def work(thread: int) -> None:
        start.wait()
        for turn in range(3_000):
            key = thread, turn % 20
            value = thread, turn
            memory.put(key, value, 1 + turn % 7)
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
