"""Awaitables that are run up to where they first wait."""

import asyncio
import types

import pytest

from asgi_serial.concurrency.started import Started


async def give(value):
    return value


async def wait_twice(turns):
    for _ in range(2):
        await asyncio.sleep(0)
        turns.append("woken")
    return "done"


@types.coroutine
def suspend():
    yield


async def wait_for_ever(ended):
    try:
        while True:
            await suspend()
    finally:
        ended.append("ended")


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_what_does_not_wait_is_done():
    started = Started(give(7))
    assert (started.is_done, started.value) == (True, 7)


def test_an_exception_comes_out_at_once():
    async def fail():
        raise LookupError

    with pytest.raises(LookupError):
        Started(fail())


def test_what_waits_goes_on_when_it_is_awaited():
    async def main():
        turns = []
        started = Started(wait_twice(turns))
        assert (started.is_done, turns) == (False, [])
        assert await started == "done"
        assert turns == ["woken"] * 2

    run(main())


def test_a_future_is_waited_for():
    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 3)
        started = Started(future)
        assert not started.is_done
        assert await started == 3

    run(main())


def test_an_exception_after_a_wait_comes_out():
    async def fail():
        await asyncio.sleep(0)
        raise LookupError

    async def main():
        started = Started(fail())
        with pytest.raises(LookupError):
            await started

    run(main())


def test_a_time_limit_ends_it():
    async def main():
        ended = []
        started = Started(wait_for_ever(ended))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await started
        assert ended == ["ended"]

    run(main())


def test_it_may_catch_what_is_thrown_into_it_and_go_on():
    async def catch(turns):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()
            return await wait_twice(turns)

    async def main():
        turns = []
        task = asyncio.create_task(_await_started(catch(turns)))
        await asyncio.sleep(0)
        task.cancel()
        assert await task == "done"
        assert turns == ["woken"] * 2

    run(main())


async def _await_started(awaitable):
    return await Started(awaitable)


def test_it_is_closed_with_the_coroutine_that_awaits_it():
    ended = []
    outer = _await_started(wait_for_ever(ended))
    outer.send(None)
    outer.close()
    assert ended == ["ended"]
