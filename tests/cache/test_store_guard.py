import asyncio
import logging

import pytest

from asgi_serial.cache.guard import Guard, Oversized, Refusal

from .services import run


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_guard(clock: Clock | None = None, timeout: float = 0.05) -> Guard:
    return Guard("memory://", timeout=timeout, refusals=(KeyError,), clock=clock or Clock())


async def answer() -> str:
    return "value"


async def hang() -> str:
    await asyncio.Event().wait()
    return "never"


def raising(error: BaseException):  # type: ignore[no-untyped-def]
    async def fail() -> str:
        raise error

    return fail


def counted(guard: Guard) -> dict[str, int]:
    return {name: count for name, count in guard.counters.items() if count}


def test_an_answer_is_given_and_nothing_is_counted() -> None:
    guard = make_guard()
    assert run(guard.attempt(answer)) == "value"
    assert counted(guard) == {}


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        pytest.param(hang, "timeouts", id="a call that hangs"),
        pytest.param(raising(TimeoutError()), "timeouts", id="a time-out of the client's own"),
        pytest.param(raising(ConnectionResetError()), "errors", id="a broken connection"),
        pytest.param(raising(EOFError()), "errors", id="an end of the stream"),
        pytest.param(raising(ZeroDivisionError()), "errors", id="a client that is wrong"),
        pytest.param(
            raising(asyncio.CancelledError()), "errors", id="a client that cancels itself"
        ),
        pytest.param(raising(KeyError()), "refusals", id="a refusal by the client's own name"),
        pytest.param(raising(Refusal()), "refusals", id="a refusal"),
        pytest.param(raising(Oversized()), "oversized", id="a value that is too long"),
    ],
)
def test_a_failure_is_none_and_is_counted(call, kind: str) -> None:  # type: ignore[no-untyped-def]
    guard = make_guard()
    assert run(guard.attempt(call)) is None
    assert counted(guard) == {kind: 1}


def test_failures_in_a_row_end_the_calls_and_a_probe_begins_them_again() -> None:
    clock = Clock()
    guard = make_guard(clock)

    async def main() -> None:
        for _ in range(10):
            await guard.attempt(raising(OSError()))
        assert counted(guard) == {"errors": 3, "skipped_by_breaker": 7}
        clock.now += 1
        assert await guard.attempt(answer) == "value"
        assert await guard.attempt(answer) == "value"

    run(main())


def test_refusals_do_not_end_the_calls() -> None:
    guard = make_guard()

    async def main() -> None:
        for _ in range(10):
            await guard.attempt(raising(Refusal()))

    run(main())
    assert counted(guard) == {"refusals": 10}


@pytest.mark.parametrize("end", [asyncio.CancelledError, OSError], ids=["cancelled", "broken"])
def test_a_client_that_swallows_its_cancellation_is_left_behind(end: type[BaseException]) -> None:
    guard = make_guard()
    let_go = asyncio.Event()

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await let_go.wait()
            raise end from None
        return "never"

    async def main() -> None:
        assert await guard.attempt(stubborn) is None
        assert counted(guard) == {"timeouts": 1}
        assert len(guard._abandoned) == 1
        let_go.set()
        await asyncio.wait(guard._abandoned)
        assert not guard._abandoned

    run(main())


def test_the_caller_s_own_cancellation_goes_through_and_is_no_failure() -> None:
    guard = make_guard(timeout=10)

    async def main() -> None:
        task = asyncio.create_task(guard.attempt(hang))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert counted(guard) == {}


def test_failures_are_logged_once_in_thirty_seconds(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    guard = make_guard(clock)

    async def main() -> None:
        for _ in range(5):
            await guard.attempt(raising(Refusal("read only")))
        clock.now += 30
        await guard.attempt(raising(OSError("gone")))

    with caplog.at_level(logging.WARNING, "asgi_serial"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "The store memory:// fails (refusals: Refusal('read only')); "
        "requests are answered without it.",
        "The store memory:// fails (errors: OSError('gone')); requests are answered without it.",
    ]


def test_each_place_has_a_breaker_of_its_own() -> None:
    guard = make_guard()

    async def main() -> None:
        for _ in range(5):
            assert await guard.attempt(raising(OSError()), "a dead node") is None
            assert await guard.attempt(answer, "another") == "value"
            assert await guard.attempt(answer) == "value"

    run(main())
    assert counted(guard) == {"errors": 3, "skipped_by_breaker": 2}


def test_places_without_end_are_forgotten() -> None:
    guard = make_guard()

    async def main() -> None:
        for number in range(2500):
            await guard.attempt(raising(KeyError()), f"node {number}")

    run(main())
    assert len(guard._breakers) <= 1000
