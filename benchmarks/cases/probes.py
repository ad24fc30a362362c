"""Figures that are not a ratio of two requests' costs."""

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from time import perf_counter

from asgi_serial.types import Receive, Scope, Send
from benchmarks.apps import document, plain_app
from benchmarks.cases.coding import COMPRESSORS
from benchmarks.cases.subjects import (
    ALL_ON,
    CACHE_ONLY,
    COMPRESSION_ONLY,
    TAKES_NOTHING,
    is_stored,
    ours,
)
from benchmarks.traffic import Request, Subject

REPEATS = 15


def stall(coding: str) -> Callable[[], Awaitable[float]]:
    """The case of the longest time that the event loop stands still while 1 MB is encoded."""

    async def case() -> float:
        body = document(1_000_000)
        request = Request({b"accept-encoding": coding.encode()})
        served = ours(plain_app(body), **COMPRESSION_ONLY, encodings_cache=False)
        subject = Subject(
            served, request, lambda answer: answer.get(b"content-encoding") == coding.encode()
        )
        await subject.prove()
        compress = COMPRESSORS[coding]
        stalls, calls = [], []
        for _ in range(REPEATS):
            stalls.append(await _longest_gap(subject))
            began = perf_counter()
            compress(body)
            calls.append(perf_counter() - began)
        # The least of many: other processes add to both.
        return min(stalls) / min(calls)

    return case


async def _longest_gap(subject: Subject) -> float:
    task = asyncio.create_task(subject.run(1))
    longest, last = 0.0, perf_counter()
    while not task.done():
        await asyncio.sleep(0)
        now = perf_counter()
        longest, last = max(longest, now - last), now
    return longest


async def concurrent_calls() -> float:
    """The calls of the app that 100 first requests at a time make."""
    calls = 0
    answering = plain_app(document(10_000))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        await answering(scope, receive, send)

    subject = Subject(ours(app, **CACHE_ONLY), Request())
    await asyncio.gather(*[subject.prove() for _ in range(100)])
    return calls


async def entry_memory() -> float:
    """The bytes that a stored response takes beyond its body, with all that holds it."""
    body = document(10_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # A body of its own for each, as a real app makes it.
        await plain_app(bytes(bytearray(body)))(scope, receive, send)

    entries = 1000
    subject = Subject(ours(app, **ALL_ON), Request(TAKES_NOTHING, unique=True), is_stored)
    await subject.run(500)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await subject.run(entries)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await subject.prove()
    return (after - before) / entries - len(body)
