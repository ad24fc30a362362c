"""Every moment of an exchange belongs to one phase, by a clock that only the test moves."""

import asyncio

import pytest

from asgi_serial.asgi import timer as timer_module
from asgi_serial.asgi.timer import start_timer
from asgi_serial.timing.base import PHASES
from asgi_serial.timing.figures import Figures, divide
from tests.engine.driver import awaited

START = {"type": "http.response.start", "status": 200, "headers": []}
REQUEST = "http.request"


def body(content=b"", *, more=False):
    return {"type": "http.response.body", "body": content, "more_body": more}


class Clock:
    """Shows a time that moves by ticks of a nanosecond, exactly."""

    def __init__(self):
        self.ns = 1000

    def __call__(self):
        return self.ns / 1e9


class Server:
    """A server whose `send` and `receive` take a time of their own."""

    def __init__(self, monkeypatch):
        self.clock = Clock()
        monkeypatch.setattr(timer_module, "perf_counter", self.clock)
        self.sends, self.receives, self.messages = [], [], []
        self.timer = start_timer(self.receive, self.send, self.clock())
        self.began = self.clock.ns

    def passes(self, ns):
        self.clock.ns += ns

    async def receive(self):
        takes, message = self.receives.pop(0)
        self.passes(takes)
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, message):
        takes = self.sends.pop(0)
        if isinstance(takes, Exception):
            raise takes
        self.passes(takes)
        self.messages.append(message)

    def phases(self, **options):
        """The phases by name, those without time left out; they make up the whole time."""
        figures = Figures(*self.timer.measure(1, 2, 3, **options))
        phases = divide(figures)
        assert sum(phases) == self.clock.ns - self.began
        assert all(spent >= 0 for spent in phases)
        assert round(figures.total + figures.background) == self.clock.ns - self.began
        return {name: spent for name, spent in zip(PHASES, phases, strict=True) if spent}


@pytest.fixture
def server(monkeypatch):
    return Server(monkeypatch)


@awaited
async def test_an_answer_in_one_piece_is_divided_by_its_first_byte(server):
    server.sends = [0, 7]
    server.passes(100)
    await server.timer.send(START)
    server.passes(20)
    await server.timer.send(body(b"content"))
    server.passes(3)
    assert server.phases() == {"app-first-byte": 120, "send": 7, "background": 3}
    assert (server.timer.status, server.timer.sent_bytes) == (200, 7)


@awaited
async def test_the_time_between_the_pieces_is_the_apps(server):
    server.sends = [0, 5, 5, 5]
    await server.timer.send(START)
    for number, more in enumerate((True, True, False)):
        server.passes(10 + number)
        await server.timer.send(body(b"piece", more=more))
    assert server.phases() == {"app-first-byte": 10, "app-last-byte": 23, "send": 15}


@awaited
async def test_the_wait_for_the_body_of_the_request_is_not_the_apps(server):
    server.receives = [
        (40, {"type": REQUEST, "body": b"a", "more_body": True}),
        (50, {"type": REQUEST, "body": b"b"}),
    ]
    server.sends = [2, 3]
    for _ in (1, 2):
        await server.timer.receive()
        server.passes(10)
    await server.timer.send(START)
    await server.timer.send(body())
    assert server.phases() == {"request-body": 90, "app-first-byte": 20, "send": 5}


@awaited
async def test_once_the_request_has_arrived_a_wait_for_the_client_is_the_apps(server):
    server.receives = [(40, {"type": REQUEST}), (500, {"type": "http.disconnect"})]
    await server.timer.receive()
    await server.timer.receive()
    assert server.phases() == {"request-body": 40, "app-first-byte": 500}
    assert (server.timer.client_left, server.timer.status) == (True, 499)


@awaited
async def test_what_comes_before_the_call_of_the_app_is_told_apart(server):
    timer = server.timer
    server.passes(11)
    since = timer.begin_decoding()
    server.receives = [(40, {"type": REQUEST})]
    await timer.receive()
    server.passes(5)
    timer.end_decoding(*since)
    server.passes(4)
    timer.call_app()
    server.passes(8)
    since = timer.begin_work()
    server.passes(9)
    timer.end_work(since)
    server.sends = [1, 1]
    await timer.send(START)
    await timer.send(body(b"content"))
    assert server.phases() == {
        **{"request-body": 40, "decode": 5, "look-up": 15},
        **{"app-first-byte": 8, "encode": 9, "send": 2},
    }


@awaited
async def test_without_a_call_of_the_app_the_look_up_takes_the_rest(server):
    server.passes(30)
    server.sends = [2, 2]
    await server.timer.send(START)
    server.passes(1)
    await server.timer.send(body(b"content"))
    server.passes(1)
    assert server.phases(called=False) == {"look-up": 33, "send": 2, "background": 1}


@awaited
async def test_sending_and_working_come_before_a_wait_that_goes_on_beside_them(server):
    timer, arrives = server.timer, asyncio.Event()

    async def receive():
        await arrives.wait()
        return {"type": REQUEST}

    timer._receive = receive
    waiting = asyncio.create_task(timer.receive())
    await asyncio.sleep(0)
    server.sends = [20, 20, 20]
    server.passes(10)  # a wait
    await timer.send(START)
    server.passes(1)  # a wait
    since = timer.begin_work()
    server.passes(5)
    timer.end_work(since)
    await timer.send(body(b"first", more=True))
    server.passes(10)  # a wait
    arrives.set()
    await waiting
    server.passes(3)
    await timer.send(body(b"last"))
    assert server.phases() == {
        **{"request-body": 21, "app-last-byte": 3},
        **{"encode": 5, "send": 60},
    }


@pytest.mark.parametrize("order", ["the first ends first", "the second ends first"])
@awaited
async def test_two_sends_at_once_are_not_counted_twice(server, order):
    timer, ends = server.timer, [asyncio.Event(), asyncio.Event()]
    server.sends = [0]
    await timer.send(START)
    begun = []

    async def send(message):
        begun.append(message)
        await ends[len(begun) - 1].wait()

    timer._send = send
    sending = []
    for more in (True, False):
        sending.append(asyncio.create_task(timer.send(body(b"piece", more=more))))
        await asyncio.sleep(0)
        server.passes(10)
    for number in (0, 1) if order == "the first ends first" else (1, 0):
        ends[number].set()
        await sending[number]
        server.passes(10)
    assert server.phases()["send"] <= 30


@awaited
async def test_work_beside_a_send_is_not_counted_twice(server):
    timer, ends = server.timer, asyncio.Event()
    timer._send = lambda _: ends.wait()
    sending = asyncio.create_task(timer.send(body(b"piece")))
    await asyncio.sleep(0)
    since = timer.begin_work()
    server.passes(10)
    timer.end_work(since)
    ends.set()
    await sending
    assert sum(server.phases().values()) == 10


@pytest.mark.parametrize("number", [0, 1, 2], ids=["the start", "the body", "its end"])
@awaited
async def test_a_send_that_fails_means_that_the_client_has_left(server, number):
    server.sends = [2, 2, 2]
    server.sends[number] = OSError("closed")
    *before, last = [START, body(b"con", more=True), body(b"tent")][: number + 1]
    for message in before:
        await server.timer.send(message)
    with pytest.raises(OSError, match="closed"):
        await server.timer.send(last)
    timer = server.timer
    assert (timer.client_left, timer.ended) == (True, 0.0)
    assert timer.status == (200 if number else 499)
    assert timer.sent_bytes == (0, 0, 3)[number]
    server.phases()


@awaited
async def test_after_the_last_message_the_client_may_leave(server):
    server.sends, server.receives = [1, 1], [(9, {"type": "http.disconnect"})]
    await server.timer.send(START)
    await server.timer.send(body(b"content"))
    await server.timer.receive()
    assert not server.timer.client_left
    assert server.phases()["background"] == 9


@awaited
async def test_an_early_hint_is_no_start_and_a_file_is_a_body(server):
    server.sends = [1, 1, 1]
    await server.timer.send({"type": "http.response.early_hint", "links": []})
    assert server.timer.status == 0
    await server.timer.send(START)
    server.passes(10)
    await server.timer.send({"type": "http.response.pathsend", "path": "/file"})
    assert (server.timer.status, server.timer.sent_bytes) == (200, 0)
    assert server.timer.ended
    server.phases()


@awaited
async def test_the_phases_so_far_are_those_when_the_response_starts(server):
    timer = server.timer
    server.passes(10)
    timer.call_app()
    server.passes(20)
    since = timer.begin_work()
    server.passes(7)
    assert timer.phases_so_far() == {"look-up": 10, "app-first-byte": 20, "encode": 7}
    timer.end_work(since)
    server.sends = [1, 1]
    await timer.send(START)
    await timer.send(body())
    assert server.phases() == {"look-up": 10, "app-first-byte": 20, "encode": 7, "send": 2}
