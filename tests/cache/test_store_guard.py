import asyncio
import logging

import pytest

from asgi_serial.store.guard import Guard, Oversized, Refusal

from .services import run


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def make_guard(clock: Clock | None = None, timeout: float = 0.05, at_once: int = 100) -> Guard:
    return Guard(
        "memory://", timeout=timeout, refusals=(KeyError,), clock=clock or Clock(), at_once=at_once
    )


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
        assert guard.open_breakers == 1
        clock.now += 1
        assert await guard.attempt(answer) == "value"
        assert guard.open_breakers == 0
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


@pytest.mark.parametrize(
    "error",
    [OSError("gone"), TimeoutError(), KeyError("read only")],
    ids=["fails", "hangs", "refuses"],
)
def test_its_recovery_is_logged_once_as_its_failure_was(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    guard = make_guard(clock)

    async def scenario() -> None:
        for _ in range(3):
            await guard.attempt(raising(error))
        clock.now += 12.5
        for _ in range(3):
            assert await guard.attempt(answer) == "value"
        # What fails shortly afterwards is not logged, and so neither is that it ends.
        await guard.attempt(raising(error))
        await guard.attempt(answer)
        clock.now += 30
        await guard.attempt(raising(error))
        await guard.attempt(answer)

    with caplog.at_level(logging.WARNING, "asgi_serial"):
        run(scenario())
    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(" fails")[0] for line in lines] == [
        "The store memory://",
        "The store memory:// answers again; failed calls: 3, in 12.5 s.",
        "The store memory://",
        "The store memory:// answers again; failed calls: 1, in 0.0 s.",
    ]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_store_has_recovered_once_none_of_its_places_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    guard = make_guard(clock)

    async def scenario() -> None:
        await guard.attempt(raising(OSError("gone")), "one")
        await guard.attempt(answer, "another")
        assert len(caplog.records) == 1
        await guard.attempt(answer, "one")

    with caplog.at_level(logging.WARNING, "asgi_serial"):
        run(scenario())
    assert "answers again" in caplog.records[1].getMessage()


def test_an_oversized_value_is_no_outage(caplog: pytest.LogCaptureFixture) -> None:
    guard = make_guard()

    async def scenario() -> None:
        await guard.attempt(raising(Oversized()))
        await guard.attempt(answer)

    with caplog.at_level(logging.WARNING, "asgi_serial"):
        run(scenario())
    assert len(caplog.records) == 1


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


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_calls_beyond_the_limit_wait_for_one_another() -> None:
    guard = make_guard(timeout=60, at_once=2)
    running, most = 0, 0

    async def call() -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return True

    async def main() -> None:
        assert all(await asyncio.gather(*(guard.attempt(call) for _ in range(100))))
        elsewhere = [guard.attempt(call, f"node {number}") for number in range(3)]
        assert all(await asyncio.gather(*elsewhere))

    run(main())
    assert most == 3
    run(main())  # in another loop, too
    assert counted(guard) == {}


def test_a_call_that_ran_out_of_time_in_a_queue_that_moves_says_nothing_against_the_store() -> None:
    guard = make_guard(timeout=10, at_once=1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        may_answer = asyncio.Event()

        async def slow() -> str:
            await may_answer.wait()
            return "value"

        for _ in range(5):
            may_answer.clear()
            first = asyncio.create_task(guard.attempt(slow))
            await turns()
            second = asyncio.create_task(guard.attempt(hang))
            await turns()
            loop.skipped_seconds += 8  # type: ignore[attr-defined]
            may_answer.set()
            assert await first == "value"
            await turns()
            loop.skipped_seconds += 3  # type: ignore[attr-defined]
            assert await second is None

    run(main())
    assert counted(guard) == {"crowded": 5}


def test_calls_that_wait_for_one_that_hangs_are_failures_of_the_store() -> None:
    guard = make_guard(timeout=10, at_once=1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        calls = [asyncio.create_task(guard.attempt(hang)) for _ in range(3)]
        await turns()
        loop.skipped_seconds += 11  # type: ignore[attr-defined]
        assert await asyncio.gather(*calls) == [None] * 3
        assert await guard.attempt(answer) is None

    run(main())
    assert counted(guard) == {"timeouts": 3, "skipped_by_breaker": 1}


def test_a_time_out_that_a_busy_loop_sees_late_says_nothing_against_the_store() -> None:
    guard = make_guard(timeout=10)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            call = asyncio.create_task(guard.attempt(hang))
            await turns()
            assert await guard.attempt(answer) == "value"
            loop.skipped_seconds += 11  # type: ignore[attr-defined]
            assert await call is None

    run(main())
    assert counted(guard) == {"crowded": 5}


def test_a_time_out_that_is_seen_in_time_is_a_failure_though_others_were_answered() -> None:
    guard = make_guard(timeout=10)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        calls = [asyncio.create_task(guard.attempt(hang)) for _ in range(3)]
        await turns()
        assert await guard.attempt(answer) == "value"
        while not calls[-1].done():
            await asyncio.sleep(0)
            loop.skipped_seconds += 0.05  # type: ignore[attr-defined]
        assert await guard.attempt(answer) is None

    run(main())
    assert counted(guard) == {"timeouts": 3, "skipped_by_breaker": 1}


def test_its_state_names_the_last_failure_and_whether_it_is_asked() -> None:
    clock = Clock()
    guard = make_guard(clock)
    run(guard.attempt(answer))
    calm = {"target": "memory://", "state": "closed", "last_failure": None}
    assert guard.state() == calm

    async def fail_often() -> None:
        await guard.attempt(answer, "another node")
        for _ in range(3):
            await guard.attempt(raising(ConnectionResetError("x" * 500)), "a node")

    run(fail_often())
    clock.now += 5
    state = guard.state()
    failure = state["last_failure"]
    assert (state["state"], failure["kind"], failure["seconds_ago"]) == ("partly open", "errors", 5)
    assert failure["error"].startswith("ConnectionResetError(")
    assert len(failure["error"]) == 200
    guard._breakers = {"a node": guard._breakers["a node"]}
    assert guard.state()["state"] == "open"
