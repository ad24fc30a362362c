"""The calls of the second level that a request makes."""

import asyncio
import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiocache import SimpleMemoryCache
from aiocache.serializers import NullSerializer

from asgi_serial.types import ASGIApp
from benchmarks.apps import document, plain_app
from benchmarks.cases.subjects import ALL_ON, PUBLIC, is_hit, is_stored, ours
from benchmarks.traffic import Fields, Request, Subject

WARM_UP = 5
COUNTED = 25
SETTLED_SECONDS = 0.02


class Counting(SimpleMemoryCache):  # type: ignore[misc]
    """A cache of aiocache that counts the calls that reach it, but none that these make."""

    def __init__(self) -> None:
        super().__init__(serializer=NullSerializer(encoding=None))
        self.calls: Counter[str] = Counter()
        self._depth = 0

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return _counted(self, name, value) if name in COMMANDS else value

    @contextmanager
    def entered(self, name: str) -> Iterator[None]:
        """Count a call of `name`, for as long as it runs."""
        if not self._depth:
            self.calls[name] += 1
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1


COMMANDS = frozenset(
    {"get", "multi_get", "set", "multi_set", "add", "increment", "delete", "exists", "expire"}
)


def _counted(cache: Counting, name: str, command: Any) -> Any:
    async def call(*arguments: Any, **options: Any) -> Any:
        with cache.entered(name):
            return await command(*arguments, **options)

    return call


async def cold_miss(client: Fields) -> float:
    """The calls of a request for something new, beyond one to look and one to store."""
    cache, request = Counting(), Request(client=client, unique=True)
    app = ours(plain_app(document(10_000), PUBLIC), store=cache, **ALL_ON)
    calls = await _count(Subject(app, request, is_stored), cache)
    return _beyond(calls, {"get": 1, "set": 1})


async def cold_hit(client: Fields) -> float:
    """The calls of a request for what another process has stored, beyond one to look."""
    cache = Counting()
    app: ASGIApp = plain_app(document(10_000), PUBLIC)
    for check in (is_stored, is_hit):
        served, request = ours(app, store=cache, **ALL_ON), Request(client=client, unique=True)
        calls = await _count(Subject(served, request, check), cache)
    return _beyond(calls, {"get": 1})


async def _count(subject: Subject, cache: Counting) -> list[Counter[str]]:
    """The calls of each request, with those behind its response."""
    counts = []
    for number in range(WARM_UP + COUNTED):
        cache.calls.clear()
        await subject.prove()
        await asyncio.sleep(SETTLED_SECONDS)
        if number >= WARM_UP:
            counts.append(cache.calls.copy())
    return counts


def _beyond(counts: list[Counter[str]], expected: dict[str, int]) -> float:
    """The median of all calls but the expected: one request may meet a poll of the purges."""
    return statistics.median((calls - Counter(expected)).total() for calls in counts)
