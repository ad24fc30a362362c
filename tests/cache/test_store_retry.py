"""A call that failed is made again where that is wanted, and is counted."""

import asyncio

import pytest

from asgi_serial.store.guard import Guard, Refusal

from .services import run


class Call:
    """A call of the store that fails so many times, then answers."""

    def __init__(self, failures, error=ConnectionError):
        self.failures = failures
        self.error = error
        self.made = 0

    async def __call__(self):
        self.made += 1
        if self.made <= self.failures:
            raise self.error
        return "answer"


def make_guard(retries, delay=0.0):
    return Guard(
        "store",
        timeout=60.0,
        refusals=(),
        clock=lambda: 0.0,
        retry=lambda: (retries, delay),
    )


@pytest.mark.parametrize(
    ("retries", "failures", "made", "answer"),
    [
        (0, 1, 1, None),
        (1, 1, 2, "answer"),
        (2, 2, 3, "answer"),
        (1, 2, 2, None),
        (2, 0, 1, "answer"),
    ],
)
def test_a_failed_call_is_made_again_so_many_times(retries, failures, made, answer):
    guard, call = make_guard(retries), Call(failures)
    assert run(guard.attempt(call)) == answer
    assert (call.made, guard.counters["retries"]) == (made, made - 1)
    assert guard.counters["errors"] == min(failures, made)


def test_what_the_server_refuses_is_not_asked_again():
    guard, call = make_guard(5), Call(9, Refusal("no"))
    assert run(guard.attempt(call)) is None
    assert (call.made, guard.counters["retries"]) == (1, 0)


def test_an_open_breaker_ends_it():
    guard, call = make_guard(9), Call(99)
    assert run(guard.attempt(call)) is None
    assert call.made == 3


def test_a_caller_that_is_cancelled_does_not_wait_for_the_next_one():
    async def cancel():
        guard, call = make_guard(9, delay=60.0), Call(99)
        task = asyncio.create_task(guard.attempt(call))
        while not call.made:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return call.made

    assert run(cancel()) == 1
