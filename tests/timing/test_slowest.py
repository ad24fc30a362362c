"""The slowest requests of the last hour: bounded, by path, without queries and clients."""

import asyncio

import pytest

from asgi_serial import timing_report
from asgi_serial.timing.figures import MOST, Slowest, SlowRequest, describe_slowest
from tests.engine.driver import Request, Whole, ask, awaited, drive, serial_of

SECOND = 1_000_000_000
HOUR = 3600 * SECOND


def request(total_ns, ended_ns=0, path="/a"):
    phases = (0,) * 8
    return SlowRequest(total_ns, ended_ns, "GET", path, "/{x}", 200, "completed", 1, phases)


def add(slowest, one):
    """Add a request as the request path does: only if it may be among the slowest."""
    if one.total_ns > slowest.floor_ns or one.ended_ns >= slowest.ends_ns:
        slowest.add(one)
        return True
    return False


def totals(slowest, now_ns):
    return [one.total_ns for one in slowest.find(now_ns)]


def test_the_slowest_are_kept_and_the_others_not_looked_at():
    slowest = Slowest()
    looked_at = [add(slowest, request(total)) for total in (*range(1, 101), *range(1, 97))]
    assert totals(slowest, 1) == list(range(100, 95, -1))
    assert looked_at == [True] * 100 + [False] * 96


def test_an_hour_later_they_are_gone():
    slowest = Slowest()
    add(slowest, request(50, 1))
    assert totals(slowest, HOUR) == [50]
    assert totals(slowest, HOUR + 1) == []


def test_what_was_slow_an_hour_ago_hides_nothing():
    slowest = Slowest()
    for number in range(20):
        add(slowest, request(1000 + number, number))
    assert add(slowest, request(5, HOUR))
    assert totals(slowest, 2 * HOUR - 1) == [5]


def test_it_holds_a_bounded_number_over_the_hour_and_names_some():
    slowest = Slowest()
    for number in range(100_000):
        add(slowest, request(number * 7919 % 100_003, number * SECOND // 10))
    kept = slowest._past + slowest._present
    assert len(kept) <= 35
    assert len(totals(slowest, 10_000 * SECOND)) == MOST
    slowest.clear()
    assert totals(slowest, 10_000 * SECOND) == []
    assert add(slowest, request(0, 10_000 * SECOND))


def test_a_path_is_cut():
    slowest = Slowest()
    add(slowest, request(1, path="/" + "x" * 10_000))
    assert len(slowest.find(1)[0].path) == 200


def test_each_is_described_with_its_units():
    (one,) = describe_slowest([request(2_500_000, 5 * SECOND)], 65 * SECOND, 1_000.0)
    assert (one["at"], one["seconds_ago"], one["total_ms"]) == (940.0, 60.0, 2.5)
    assert sum(one["phases_ms"].values()) == 0


@pytest.mark.parametrize("cache", [True, False], ids=["with a cache", "without"])
@awaited
async def test_a_request_is_named_by_its_path_alone(cache):
    serial = serial_of(Whole(b"x", status=404), cache=cache)
    sent = Request(path="/a/<b>", query=b"token=secret").having(user_agent="someone")
    await ask(serial, sent)
    (one,) = timing_report(serial).to_dict()["slowest"]
    assert (one["method"], one["path"], one["status"]) == ("GET", "/a/<b>", 404)
    assert one["outcome"] == "completed"
    assert 0 < one["first_byte_ms"] <= one["total_ms"]
    assert "secret" not in str(one)
    assert "someone" not in str(one)
    assert "127.0.0.1" not in str(one)


def test_a_request_that_fails_is_among_them():
    async def failing(scope, receive, send):
        raise RuntimeError

    serial = serial_of(failing)
    asyncio.run(drive(serial, Request(path="/broken")))
    (one,) = timing_report(serial).to_dict()["slowest"]
    assert (one["path"], one["outcome"], one["status"]) == ("/broken", "failed", 500)
