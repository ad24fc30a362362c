"""Figures that are not a ratio of two requests' costs."""

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from time import perf_counter, time

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
# As many resources as are remembered whose responses were not stored, in any version.
REMEMBERED = 4096


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
    """The bytes that a stored response takes beyond its body, with all that holds it.

    It has the fields that apps send, values of its own among them.
    """
    body = document(1_000)
    number = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal number
        number += 1
        fields = (
            (b"cache-control", b"public, max-age=600"),
            (b"etag", b'"%032x"' % number),
            (b"last-modified", formatdate(1_700_000_000 + number, usegmt=True).encode()),
            (b"date", formatdate(time() - number % 60, usegmt=True).encode()),
            (b"x-frame-options", b"DENY"),
        )
        # Objects of its own for each, as a real app makes them.
        own = [(bytes(bytearray(name)), bytes(bytearray(value))) for name, value in fields]
        await plain_app(bytes(bytearray(body)), *own)(scope, receive, send)

    entries = 5000
    serial = ours(app, **ALL_ON)
    subject = Subject(serial, Request(TAKES_NOTHING, unique=True), is_stored)
    tracemalloc.start()
    # What is remembered beside the entries, each within its bound, is there by then.
    await subject.run(REMEMBERED)
    before, _ = tracemalloc.get_traced_memory()
    await subject.run(entries)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await subject.prove()
    return (after - before) / entries - len(body)
