import asyncio
import time

import pytest

from asgi_serial.concurrency.loops import PerLoop

from .services import run


async def close_well() -> None:
    return None


async def close_badly() -> None:
    raise OSError("broken")


async def close_cancelled() -> None:
    raise asyncio.CancelledError


async def close_never() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("close", [close_well, close_badly, close_cancelled, close_never, None])
@pytest.mark.parametrize("by", ["close", "the end of the loop"])
def test_a_client_is_closed_in_time_whatever_it_does(close, by: str) -> None:  # type: ignore[no-untyped-def]
    closed: list[bool] = []

    async def watched() -> None:
        closed.append(True)
        await close()

    clients = PerLoop(lambda: ("client", close and watched), close_seconds=0.05)

    async def main() -> None:
        assert await clients.get() == "client"
        if by == "close":
            await clients.close()

    began = time.monotonic()
    run(main())
    assert time.monotonic() - began < 10
    assert closed == ([True] if close else [])
    assert not clients._held


def test_each_loop_has_one_client() -> None:
    made: list[int] = []

    def make() -> tuple[int, None]:
        made.append(len(made))
        return made[-1], None

    clients = PerLoop(make, close_seconds=1)

    async def main() -> list[int]:
        return await asyncio.gather(*(clients.get() for _ in range(5)))

    assert run(main()) == [0] * 5
    assert run(main()) == [1] * 5


def test_a_client_that_can_not_be_made_is_asked_for_again() -> None:
    def make() -> tuple[str, None]:
        raise OSError("broken")

    clients = PerLoop(make, close_seconds=1)

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(OSError, match="broken"):
                await clients.get()
        await clients.close()

    run(main())


def test_a_client_that_nobody_has_any_more_is_closed() -> None:
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    async def main() -> None:
        await PerLoop(lambda: ("client", close), close_seconds=1).get()
        await closed.wait()

    run(main())
