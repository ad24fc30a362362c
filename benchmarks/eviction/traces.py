"""Made requests, the same in every run: the keys in order, and how large each value is."""

import random
from collections.abc import Callable, Iterator
from itertools import accumulate, count, islice
from typing import NamedTuple

REQUESTS = 200_000


class Trace(NamedTuple):
    """A kind of traffic, and the sizes of a cache for it as shares of all bytes it asks for."""

    name: str
    keys: Callable[[random.Random], Iterator[int]]
    shares: tuple[float, ...] = (0.005, 0.02, 0.08, 0.32)

    def make(self) -> tuple[list[int], list[int]]:
        """The keys in the order they are asked for, and the size of each in bytes.

        A key's size has nothing to do with how much it is asked for: a log-normal one, half of
        them under 8 KB, one in fifty over 64 KB.
        """
        source = random.Random(self.name)
        keys = list(islice(self.keys(source), REQUESTS))
        sizes = {key: 200 + int(source.lognormvariate(9, 1)) for key in dict.fromkeys(keys)}
        return keys, [sizes[key] for key in keys]


def zipf(source: random.Random, count: int, exponent: float) -> Iterator[int]:
    """Keys from 0 on: each of a popularity that is its rank to the power of minus `exponent`."""
    weights = list(accumulate(rank**-exponent for rank in range(1, count + 1)))
    while True:
        yield from source.choices(range(count), cum_weights=weights, k=REQUESTS)


def constant(keys: int, exponent: float) -> Callable[[random.Random], Iterator[int]]:
    return lambda source: zipf(source, keys, exponent)


def scanned(source: random.Random) -> Iterator[int]:
    """In the middle third a crawler asks for three of four, each URL once."""
    fresh = count(1_000_000)
    for turn, key in enumerate(zipf(source, 100_000, 0.9)):
        in_scan = REQUESTS // 3 < turn < REQUESTS * 2 // 3
        yield next(fresh) if in_scan and turn % 4 else key


def loop(source: random.Random) -> Iterator[int]:
    """A client goes round 2,000 URLs, again and again, beside a tenth of usual traffic."""
    for turn, key in enumerate(zipf(source, 100_000, 0.9)):
        yield 1_000_000 + turn % 2_000 if source.random() < 0.9 else key


def shifting(source: random.Random) -> Iterator[int]:
    """What is popular moves on: every 10,000 requests 200 keys are new at the top."""
    for turn, key in enumerate(zipf(source, 100_000, 0.9)):
        yield (key - 200 * (turn // 10_000)) % 100_000


def wonders(share: float) -> Callable[[random.Random], Iterator[int]]:
    """A share of the requests is for what nobody asks for twice."""

    def keys(source: random.Random) -> Iterator[int]:
        fresh = count(1_000_000)
        for key in zipf(source, 100_000, 0.9):
            yield next(fresh) if source.random() < share else key

    return keys


TRACES = (
    Trace("Zipf 0.7", constant(100_000, 0.7)),
    Trace("Zipf 0.9", constant(100_000, 0.9)),
    Trace("Zipf 1.1", constant(100_000, 1.1)),
    Trace("Zipf 0.9, a million keys", constant(1_000_000, 0.9)),
    Trace("scan", scanned),
    Trace("loop", loop, (0.02, 0.08, 0.12, 0.16)),
    Trace("shifting", shifting),
    Trace("30 % asked for once", wonders(0.3)),
    Trace("50 % asked for once", wonders(0.5)),
    Trace("70 % asked for once", wonders(0.7)),
)
