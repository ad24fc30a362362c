"""Caches without values: each says whether it has a key, and takes it in where it has not.

All are bounded in bytes, and are asked for nothing that is larger than the whole.
"""

import random
from collections import OrderedDict

from asgi_serial.cache.memory import Memory


class Lru:
    """The least recently used leaves; a hit moves it in a list."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self.sizes: OrderedDict[int, int] = OrderedDict()

    def ask(self, key: int, size: int) -> bool:
        if key in self.sizes:
            self.sizes.move_to_end(key)
            return True
        self.sizes[key] = size
        self.left -= size
        while self.left < 0:
            self.left += self.sizes.popitem(last=False)[1]
        return False


class Clock:
    """Second chance: the oldest leaves, unless it was used since it last was the oldest."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self.slots: OrderedDict[int, list[int]] = OrderedDict()  # the size, and whether it was used

    def ask(self, key: int, size: int) -> bool:
        slot = self.slots.get(key)
        if slot is not None:
            slot[1] = 1
            return True
        self.left -= size
        while self.left < 0:
            oldest, slot = self.slots.popitem(last=False)
            if slot[1]:
                slot[1] = 0
                self.slots[oldest] = slot
            else:
                self.left += slot[0]
        self.slots[key] = [size, 0]
        return False


class Sieve:
    """A hand goes from the oldest to the newest, again and again; what is spared stays in place.

    Source: Zhang and others, SIEVE is simpler than LRU, NSDI 2024.
    """

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self.slots: dict[int, list] = {}
        end: list = [None, None, 0, 1, None]  # the newer, the older, size, used, key; it is a ring
        end[0] = end[1] = end
        self.end = self.hand = end

    def ask(self, key: int, size: int) -> bool:
        slot = self.slots.get(key)
        if slot is not None:
            slot[3] = 1
            return True
        self.left -= size
        while self.left < 0:
            self.step()
        end = self.end
        newest = end[1]
        self.slots[key] = newest[0] = end[1] = [end, newest, size, 0, key]
        return False

    def step(self) -> None:
        slot = self.hand
        self.hand = newer = slot[0]
        if slot[3]:
            slot[3] = slot is self.end
            return
        newer[1], slot[1][0] = slot[1], newer
        del self.slots[slot[4]]
        self.left += slot[2]


class S3Fifo:
    """Newcomers wait in a small queue; those asked for again, there or soon after, in a large one.

    `most` is how far the uses of a key are counted, `enough` how many lead to the large queue.
    Source: Yang and others, FIFO queues are all you need for cache eviction, SOSP 2023.
    """

    def __init__(self, max_bytes: int, *, most: int = 1, enough: int = 1) -> None:
        self.left = max_bytes
        self.most = most
        self.enough = enough
        self.small_left = max_bytes // 10
        self.slots: dict[int, list[int]] = {}  # the size, and how often it was used
        self.small: OrderedDict[int, list[int]] = OrderedDict()
        self.main: OrderedDict[int, list[int]] = OrderedDict()
        self.ghosts: OrderedDict[int, None] = OrderedDict()

    def ask(self, key: int, size: int) -> bool:
        slot = self.slots.get(key)
        if slot is not None:
            if slot[1] < self.most:
                slot[1] += 1
            return True
        self.left -= size
        while self.left < 0:
            if self.small_left < 0 or not self.main:
                self.leave_small()
            else:
                self.leave_main()
        slot = self.slots[key] = [size, 0]
        if key in self.ghosts:
            del self.ghosts[key]
            self.main[key] = slot
        else:
            self.small_left -= size
            self.small[key] = slot
        return False

    def leave_small(self) -> None:
        key, slot = self.small.popitem(last=False)
        self.small_left += slot[0]
        if slot[1] >= self.enough:
            slot[1] = 0
            self.main[key] = slot
            return
        self.forget(key, slot)
        self.ghosts[key] = None
        while len(self.ghosts) > len(self.slots):
            self.ghosts.popitem(last=False)

    def leave_main(self) -> None:
        key, slot = self.main.popitem(last=False)
        if slot[1]:
            slot[1] -= 1
            self.main[key] = slot
        else:
            self.forget(key, slot)

    def forget(self, key: int, slot: list[int]) -> None:
        del self.slots[key]
        self.left += slot[0]


class S3FifoOfThree(S3Fifo):
    """The same as published: uses are counted to three, and two lead to the large queue."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes, most=3, enough=2)


class SegmentedLru:
    """Two LRU lists: what is used in the first moves to the second, which may have four fifths."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self.safe_left = max_bytes * 4 // 5
        self.trial: OrderedDict[int, int] = OrderedDict()
        self.safe: OrderedDict[int, int] = OrderedDict()

    def ask(self, key: int, size: int) -> bool:
        if key in self.safe:
            self.safe.move_to_end(key)
            return True
        if key in self.trial:
            self.safe[key] = self.trial.pop(key)
            self.safe_left -= size
            while self.safe_left < 0:
                demoted, its_size = self.safe.popitem(last=False)
                self.trial[demoted] = its_size
                self.safe_left += its_size
            return True
        self.trial[key] = size
        self.left -= size
        while self.left < 0:
            if self.trial:
                self.left += self.trial.popitem(last=False)[1]
            else:
                freed = self.safe.popitem(last=False)[1]
                self.left += freed
                self.safe_left += freed
        return False


class TwoRandom:
    """Of two at random the one that was used longer ago leaves: what any thought has to beat."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self.now = 0
        self.slots: dict[int, list[int]] = {}  # its size, its last use, its place in `keys`
        self.keys: list[int] = []
        self.random = random.Random(0).random

    def ask(self, key: int, size: int) -> bool:
        self.now += 1
        slot = self.slots.get(key)
        if slot is not None:
            slot[1] = self.now
            return True
        self.left -= size
        while self.left < 0:
            keys, count = self.keys, len(self.keys)
            one, other = (self.slots[keys[int(self.random() * count)]] for _ in "12")
            leaver = one if one[1] < other[1] else other
            last = keys.pop()
            gone = last
            if leaver[2] < len(keys):
                gone, keys[leaver[2]] = keys[leaver[2]], last
                self.slots[last][2] = leaver[2]
            del self.slots[gone]
            self.left += leaver[0]
        self.slots[key] = [size, self.now, len(self.keys)]
        self.keys.append(key)
        return False


class Ours:
    """The first level itself."""

    def __init__(self, max_bytes: int) -> None:
        self.memory: Memory[bool] = Memory(max_bytes)

    def ask(self, key: int, size: int) -> bool:
        name = ("GET", key)  # tuples as the keys are; small integers would be their own hashes
        slot = self.memory.find_slot(name)
        if slot is None:
            self.memory.put(name, True, size)
            return False
        slot.is_used = True
        return True


POLICIES = {
    "S3-FIFO": S3Fifo,
    "S3-FIFO, counting to 3": S3FifoOfThree,
    "SIEVE": Sieve,
    "segmented LRU": SegmentedLru,
    "CLOCK": Clock,
    "LRU": Lru,
    "2-random": TwoRandom,
    "asgi_serial": Ours,
}
