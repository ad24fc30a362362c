"""Large bodies are encoded beside the event loop."""

import asyncio
import contextlib
import hashlib
import threading
from typing import Any

import pytest

from .client import understand
from .driver import (
    Clock,
    Recording,
    Request,
    Whole,
    ask,
    awaited,
    find_faults,
    serial_of,
)
from .scripts import COMPRESSING, DOCUMENT, FRESH_JSON, JSON, LARGE


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("pieces", [1, 3], ids=["whole", "streamed"])
@awaited
async def test_large_bodies_are_encoded_off_the_loop(coding, pieces):
    """The loop turns while they are."""
    recording = Recording()
    request = Request(fields=(("accept-encoding", coding),))
    serial = serial_of(Whole(LARGE, pieces=pieces, **JSON))
    threads: list[str] = []
    run = serial.engine.workers.encoders.run

    def watched(work: Any) -> Any:
        def named() -> Any:
            threads.append(threading.current_thread().name)
            return work()

        return run(named)

    serial.engine.workers.encoders.run = watched
    task = asyncio.create_task(serial(request.make_scope(), request.make_receive(), recording.send))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    await task
    assert find_faults(recording, request) == []
    assert hashlib.sha256(understand(recording).content).digest() == (
        hashlib.sha256(LARGE).digest()
    )
    assert threads
    assert all(name.startswith("asgi_serial") for name in threads)
    assert turns > 1


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@awaited
async def test_cancelled_while_a_thread_encodes(coding):
    """Nothing more is sent, and the next request is served as if nothing had been."""
    request = Request(fields=(("accept-encoding", coding),))
    serial = serial_of(Whole(LARGE, **FRESH_JSON))
    busy = asyncio.Event()
    run = serial.engine.workers.encoders.run
    is_cancelled = threading.Event()

    def watched(work: Any) -> Any:
        def held() -> Any:
            is_cancelled.wait(60)
            return work()

        busy.set()
        return run(held)

    serial.engine.workers.encoders.run = watched
    recording = Recording()
    task = asyncio.create_task(serial(request.make_scope(), request.make_receive(), recording.send))
    await busy.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    is_cancelled.set()
    assert task.cancelled()
    assert recording.messages == []
    assert (await ask(serial, request)).content == LARGE


def test_requests_of_several_loops_share_one_engine():
    app = Whole(DOCUMENT, **FRESH_JSON)
    serial = serial_of(app, clock=Clock())
    outcomes = [asyncio.run(ask(serial, COMPRESSING)).cached for _ in range(3)]
    assert outcomes == ["fwd=uri-miss, stored", "hit", "hit"]
