"""The key in Cache-Status, which is opted in to (RFC 9211, 2.7)."""

from .driver import Clock, Request, ask, awaited
from .test_validation import Origin, serial_of


def key_of(answer):
    return answer.one("cache-status").partition("; key=")[2]


@awaited
async def test_equal_keys_are_seen_to_be_equal():
    clock, origin = Clock(), Origin()
    serial = serial_of(origin, clock=clock, cache_status_key=True)
    answers = [await ask(serial, request) for request in (Request(), Request(path="/b"), Request())]
    answers.append(await ask(serial, Request().having(accept_encoding="gzip")))
    clock.now += 100
    answers.append(await ask(serial, Request()))
    first, other, *same = map(key_of, answers)
    assert len(first) == 34
    assert set(same) == {first} != {other}


@awaited
async def test_it_is_off_by_default():
    assert key_of(await ask(serial_of(Origin()), Request())) == ""


@awaited
async def test_nothing_is_said_and_nothing_counted_where_both_are_off():
    clock, origin = Clock(), Origin()
    serial = serial_of(origin, clock=clock, cache_status=False, timing=False)
    await ask(serial, Request())
    for request in (Request("HEAD"), Request().having(range="bytes=0-1")):
        answer = await ask(serial, request)
        assert answer.one("cache-status") is None
        assert answer.one("age") == "0"
    assert len(origin.asked) == 1
