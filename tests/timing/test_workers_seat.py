"""Wherever a process is stopped, others see each of its finished requests once."""

import random
from contextlib import suppress
from threading import Thread
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_serial.reasons import Reason
from asgi_serial.timing.figures import USUAL, WIDTH
from asgi_serial.timing.history import History
from asgi_serial.timing.recorder import Counts, Series, SeriesRecorder, Totals
from asgi_serial.timing.workers.crew import pack_totals, totals_of
from asgi_serial.timing.workers.packing import (
    MalformedError,
    pack_series,
    unpack_labels,
    unpack_series,
)
from asgi_serial.timing.workers.seat import (
    Contents,
    FullError,
    Layout,
    Seat,
    clear,
    read_owner,
    read_seat,
    read_state,
)

# So small that everything fills up after a few requests.
SMALL = Layout(slots=16, label_bytes=600, half_bytes=2000)
LABELS = ("/", "GET", 200, "completed", "", "", "identity", "", ())
NAME = b"n" * 16
WORD = 8


def reader(memory):
    return lambda offset, size: bytes(memory[offset : offset + size])


class Journal(Seat):
    """A seat that notes each of its stores, in their order."""

    def __init__(self, *arguments: Any) -> None:
        self.stores: list[tuple[int, bytes]] = []
        super().__init__(*arguments)

    def _store(self, offset, data):
        self.stores.append((offset, data))
        super()._store(offset, data)

    def append(self, kind, figures):
        if self._layout is not SMALL:
            return super().append(kind, figures)
        before = len(self.stores)
        memory = bytearray(self._memory)
        has_room = super().append(kind, figures)
        for offset, data in self.stores[before:]:
            memory[offset : offset + len(data)] = data
        # A record is written last, word by word, and a word at once.
        start = SMALL.labels_at - SMALL.slots * (WIDTH + 2) * WORD
        for at in range(start, SMALL.labels_at, WORD):
            word = bytes(self._memory[at : at + WORD])
            if memory[at : at + WORD] != word:
                self.stores.append((at, word))
        return has_room


class Process:
    """A worker with a seat, which may have been that of another."""

    def __init__(self, memory: bytearray, layout: Layout = SMALL) -> None:
        self.memory = memory
        self.layout = layout
        contents: Contents | None = read_seat(reader(memory), layout)
        if read_owner(reader(memory))[0] != NAME:
            clear(memoryview(memory), layout)
            contents = None
        self.recorder = SeriesRecorder(50, self)
        self.recorder.is_undecided = False
        self.seat = Journal(memoryview(memory), layout, contents, self.recorder.fold)
        self.seat.occupy(NAME, 1)
        self.last = contents.last if contents else 0
        self.has_parted = False
        if contents:
            self.recorder.share(totals_of(contents), contents.waiting)
        else:
            self.recorder.share(Totals({}, Counts(), History()), ())

    def append(self, kind, figures):
        return self.seat.append(kind, figures)

    def take(self):
        self.last, waiting = self.seat.take()
        return waiting

    def publish(self, totals, *, anew):
        try:
            self.seat.publish(self.last, pack_totals(totals), totals.counts, anew=anew)
        except FullError:
            self.has_parted = True
            self.recorder.part()
            self.seat.leave()

    def gather(self, own):
        return [own]

    def record(self, route: str, *, first=20, **labels: Any) -> None:
        record(self.recorder, route, first=first, **labels)


def record(recorder, route, *, method="GET", reasons=(), first=20):
    kind = recorder.kinds[
        route, method, 200, "completed", "hit", "", "identity", "application/json", reasons
    ]
    figures = (10.5, 15, first, 30, 30, *[30.5] * (WIDTH - 5))
    recorder.record(kind, figures[:USUAL] if len(route) % 2 else figures)


def seen(memory, layout=SMALL):
    """What another process sees: requests by route, and how many there are of them."""
    contents = read_seat(reader(memory), layout)
    recorder = SeriesRecorder(50)
    recorder.adopt(totals_of(contents), contents.waiting)
    found = recorder.read()
    routes: dict[str, int] = {}
    for key, series in found.series.items():
        routes[key.route] = routes.get(key.route, 0) + series.total.count
    minutes = found.history.to_list(0, 0.0)
    assert sum(minute["requests"] for minute in minutes) == sum(routes.values())
    return routes, found.counts


def empty(layout=SMALL):
    return bytearray(layout.size)


def stopped(before: bytes, stores, chance: random.Random) -> bytearray:
    """The memory of a process that was killed after some of these stores, within one of them."""
    memory = bytearray(before)
    cut = chance.randrange(len(stores) + 1)
    for offset, data in stores[:cut]:
        memory[offset : offset + len(data)] = data
    if cut < len(stores):
        offset, data = stores[cut]
        part = data[: chance.randrange(len(data))] if len(data) > WORD else b""
        memory[offset : offset + len(part)] = part
    return memory


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("append", "append", "append", "fold", "kill", "start over")),
        st.integers(0, 3),
        st.integers(0, 2**32),
    ),
    max_size=100,
)


@settings(max_examples=100)
@given(ACTIONS)
def test_each_request_is_seen_once_wherever_the_process_is_killed(actions):
    memory = empty()
    process = Process(memory)
    expected: dict[str, int] = {}
    for action, place, seed in actions:
        if process.has_parted:
            return
        before = bytes(memory)
        process.seat.stores.clear()
        route = f"/{'x' * place}"
        if action == "append":
            process.record(route, reasons=tuple(Reason)[:place])
            grown = {**expected, route: expected.get(route, 0) + 1}
        else:
            grown = expected
            if action == "fold":
                process.recorder.catch_up()
        if process.has_parted:
            return
        assert seen(memory)[0] == grown
        if action == "kill":
            process.record(route)
            grown = {**expected, route: expected.get(route, 0) + 1}
            process.recorder.catch_up()
        if action in ("kill", "start over"):
            chance = random.Random(seed)
            memory = stopped(before, process.seat.stores, chance)
            found, _ = seen(memory)
            assert found in (expected, grown)
            grown = found
            process = Process(memory)
            assert seen(memory)[0] == grown
        expected = grown
    assert sum(expected.values()) == sum(
        series.total.count for series in process.recorder.read().series.values()
    )


def test_requests_of_threads_are_each_counted_once():
    layout = Layout(slots=64, label_bytes=2000, half_bytes=1 << 16)
    process = Process(empty(layout), layout)
    threads = [
        Thread(target=lambda: [process.record(f"/{n % 9}") for n in range(5_000)]) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    counts = []
    while any(thread.is_alive() for thread in threads):
        counts.append(sum(one.total.count for one in process.recorder.snapshot().values()))
    assert counts == sorted(counts)
    process.recorder.catch_up()
    assert sum(seen(process.memory, layout)[0].values()) == 15_000
    assert process.recorder.counts == (15_000, 0, 0)


def test_a_request_that_finds_no_room_while_others_are_published_is_not_waited_for():
    """As in a thread that records while another one makes the report."""
    process = Process(empty())
    skipped = process.seat._skipped

    class Compared(int):
        """A number that is compared while another thread skips the one after it."""

        def __lt__(self, other):
            skipped.add(self + 1)
            return int(self) < other

        def __ge__(self, other):
            skipped.add(self + 1)
            return int(self) >= other

    process.record("/")
    last, _ = process.seat.take()
    process.seat.publish(Compared(last), {}, Counts())
    assert process.seat._skipped == {last + 1}


def test_a_reader_never_sees_less_than_before_while_others_record():
    layout = Layout(slots=64, label_bytes=1000, half_bytes=1 << 14)
    process = Process(empty(layout), layout)
    thread = Thread(target=lambda: [process.record(f"/{n % 9}") for n in range(5_000)])
    thread.start()
    counts = []
    while thread.is_alive():
        with suppress(MalformedError):  # it was written to each time that it was read
            counts.append(sum(seen(process.memory, layout)[0].values()))
    assert counts == sorted(counts)
    assert sum(seen(process.memory, layout)[0].values()) == 5_000


def test_while_a_report_is_made_requests_find_room_elsewhere():
    process = Process(empty())
    with process.recorder._lock:
        for number in range(100):
            process.record(f"/{number % 5}")
    process.record("/")
    process.recorder.catch_up()
    assert sum(seen(process.memory)[0].values()) == 101


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"first": None}, id="a figure that is none"),
        pytest.param({"first": 1 << 64}, id="a figure that is too large"),
        pytest.param({"reasons": ("HIT",)}, id="a reason in words"),
        pytest.param({"reasons": None}, id="no reasons"),
    ],
)
def test_a_sample_that_is_malformed_is_a_failure_of_all(fault):
    process = Process(empty())
    process.record("/")
    process.record("/x", **fault)
    process.record("/")
    for _ in range(2):
        routes, counts = seen(process.memory)
        assert routes == {"/": 2}
        assert (counts.recorded, counts.failures) == (3, 1)
        process.recorder.catch_up()


def test_what_a_process_forgets_others_forget():
    process = Process(empty())
    for _ in range(3):
        process.record("/a")
        process.recorder.clear()
        assert seen(process.memory)[0] == {}
        process.record("/b")
        assert seen(process.memory)[0] == {"/b": 1}


def test_series_that_do_not_fit_are_counted_by_their_process_alone():
    process = Process(empty(), SMALL)
    for number in range(100):
        process.record(f"/{number % 45}")
    assert process.has_parted
    assert sum(one.total.count for one in process.recorder.snapshot().values()) == 100


def test_the_state_of_a_process_is_the_last_that_it_published():
    memory = empty()
    process = Process(memory)
    assert read_state(reader(memory)) == b""
    for state in (b"one", b"two", bytes(100_000), b"", b"three"):
        process.seat.publish_state(state)
    assert read_state(reader(memory)) == b"three"
    Process(memory).seat.publish_state(b"four")
    assert read_state(reader(memory)) == b"four"


def test_a_process_that_leaves_says_so():
    memory = empty()
    process = Process(memory)
    process.seat.leave()
    assert read_owner(reader(memory)) == (NAME, 1, True)


@given(st.data())
def test_memory_that_is_spoilt_is_refused(data):
    memory = empty()
    process = Process(memory)
    for number in range(20):
        process.record(f"/{number % 7}")
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(memory) - 1))
        part = data.draw(st.binary(min_size=1, max_size=32))
        memory[start : start + len(part)] = part[: len(memory) - start]
    with suppress(MalformedError):
        totals_of(read_seat(reader(memory), SMALL))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_series_are_refused(data):
    with pytest.raises(MalformedError):
        unpack_series(data)
    with pytest.raises(MalformedError):
        unpack_labels(data)


def test_a_series_is_the_same_once_it_was_packed():
    recorder = SeriesRecorder()
    for number in range(300):
        record(recorder, "/\udc80é" * 60, first=20 + number**3, reasons=tuple(Reason)[: number % 5])
    ((key, series),) = recorder.snapshot().items()
    again, copy = unpack_series(pack_series(key, series))
    assert again == key
    assert pack_series(again, copy) == pack_series(key, series)
    percents = (0, 1, 50, 99, 100)
    assert copy.first_byte.percentiles(percents) == series.first_byte.percentiles(percents)
    for slot in set(Series.__slots__) - {"first_byte", "total", "codings", "_sent_at_once"}:
        assert getattr(copy, slot) == getattr(series, slot)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda values: values[1:], id="too few values"),
        pytest.param(lambda values: [{} for _ in values], id="values of other kinds"),
        pytest.param(lambda values: [[-1, 1, 1] for _ in values], id="lists for numbers"),
        pytest.param(lambda values: [True for _ in values], id="switches for numbers"),
        pytest.param(lambda values: {}, id="a dict"),
    ],
)
def test_a_series_of_other_values_is_refused(spoil):
    recorder = SeriesRecorder()
    record(recorder, "/")
    ((key, series),) = recorder.snapshot().items()
    *labels, values = msgpack.unpackb(pack_series(key, series))
    with pytest.raises(MalformedError):
        unpack_series(msgpack.packb([*labels, spoil(values)]))
    with pytest.raises(MalformedError):
        unpack_series(msgpack.packb([*labels[1:], values]))
    with pytest.raises(MalformedError):
        unpack_series(msgpack.packb([["/"], *labels[1:], values]))


def test_a_usual_request_has_zeros_for_its_other_figures():
    usual = (2e6, 3e6, 100, 80, 50, 1e6, 9e5, 5e6, 7e9)
    waiting, frames = [], []
    for figures in (usual, (*usual, *[0.0] * (WIDTH - USUAL))):
        process = Process(empty())
        process.recorder.record(process.recorder.kinds[LABELS], (1,) * WIDTH)
        process.recorder.record(process.recorder.kinds[LABELS], figures)
        ((_, samples),) = read_seat(reader(process.memory), SMALL).waiting
        waiting.append(samples[WIDTH:])
        process.recorder.catch_up()
        frames.append(read_seat(reader(process.memory), SMALL).frames)
    assert waiting == [[*usual, *[0.0] * (WIDTH - USUAL)]] * 2
    assert frames[0] == frames[1]
