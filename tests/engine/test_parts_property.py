"""Whatever is asked in which order: a client gets bytes of one version, and is told of which."""

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .client import understand
from .driver import Clock, Request, drive, serial_of
from .shared_store import SharedStore
from .versions import Changing

LIFETIME = 60
CUTS = (0, 3, 5, 8, 10)  # at which most parts begin and end, so that they touch
PLACES = st.one_of(st.sampled_from(CUTS), st.integers(0, 14))
SPANS = st.tuples(st.sampled_from(CUTS), st.sampled_from(CUTS)).filter(
    lambda cuts: cuts[0] < cuts[1]
)
MISBEHAVIOURS = ("ignores", "breaks", "has_not_synced", "is_mean")
LENGTHS = st.sampled_from([10, 10, 10, 8, 13, 1])
RANGES = st.one_of(
    *[SPANS.map(lambda cuts: f"{cuts[0]}-{cuts[1] - 1}")] * 6,
    st.tuples(PLACES, PLACES).map(lambda span: f"{min(span)}-{max(span)}"),
    PLACES.map(lambda first: f"{first}-"),
    PLACES.map(lambda last: f"-{last}"),
    st.just("0-1, 4-5"),
)
ASKS = st.one_of(
    *[st.tuples(st.just("range"), RANGES, st.just(""))] * 5,
    st.tuples(st.just("range"), RANGES, st.sampled_from(["", "if-range", "no-cache"])),
    st.tuples(st.just("whole"), st.sampled_from(["GET", "GET", "HEAD"]), st.booleans()),
)
HAPPENS = st.one_of(
    st.tuples(st.just("change"), LENGTHS, st.booleans()),
    st.tuples(st.just("wait"), st.integers(1, LIFETIME), st.none()),
    st.tuples(st.just("origin"), st.sampled_from(MISBEHAVIOURS), st.none()),
    st.tuples(st.just("pieces"), st.integers(1, 4), st.none()),
    st.tuples(st.just("process"), st.integers(0, 1), st.none()),
)
# Between two events a few requests: what is stored is of use only where several come together.
STEPS = st.lists(st.tuples(HAPPENS, st.lists(ASKS, min_size=1, max_size=4)), max_size=12).map(
    lambda turns: [step for event, asks in turns for step in (event, *asks)]
)


def request_of(does, how, origin):
    """What the client sends, of what it can know of the origin."""
    what, said, _ = does
    if what == "whole":
        return Request(said).having(cache_control="no-cache") if how else Request(said)
    request = Request().having(range=f"bytes={said}")
    if how == "if-range":
        etag = origin.versions[-1 if len(said) % 2 else 0].etag
        request = request.having(if_range=etag.decode())
    return request.having(cache_control="no-cache") if how == "no-cache" else request


async def play(steps, **options):
    clock = Clock()
    origin = Changing(clock, (b"cache-control", b"max-age=%d" % LIFETIME))
    store = SharedStore()
    options = {"cache_max_ranges": 1, **options}
    processes = [serial_of(origin, clock=clock, store=store, **options) for _ in range(2)]
    app, faults = processes[0], []
    for step in steps:
        what, first, second = step
        if what == "change":
            number = len(origin.versions)
            origin.change(bytes((31 * number + 7 * place) % 256 for place in range(first)))
            if second:  # by a write of which the cache is told
                await drive(app, Request("PUT"))
        elif what == "wait":
            clock.now += first
        elif what == "origin":
            origin.behave(first)
        elif what == "pieces":
            origin.pieces = first
        elif what == "process":
            app = processes[first]
        else:
            request = request_of(step, second, origin)
            recording = await drive(app, request)
            origin.behave()
            if recording.error is None and request.method == "GET":
                faults += origin.faults_of(understand(recording), fresh_for=LIFETIME)
        for process in processes:
            await process.engine.responses.flush()
    return faults


def steps_by(chance):
    """Long ways on which many parts meet, which hypothesis hardly takes."""
    steps = []
    for _ in range(30):
        event = chance.choice(["change", "change", "wait", "process", "", "", ""])
        said = {"change": chance.choice([10, 10, 13]), "wait": chance.randint(1, LIFETIME)}
        if event:
            steps.append((event, said.get(event, chance.randint(0, 1)), chance.random() < 0.5))
        for _ in range(chance.randint(1, 3)):
            first, end = sorted(chance.sample(CUTS, 2))
            how = chance.choice(["", "", "", "if-range", "no-cache"])
            steps.append(("range", f"{first}-{end - 1}", how))
        if chance.random() < 0.3:
            steps += asking_for_all(chance)
    return steps


def asking_for_all(chance):
    """All of what was there in part a moment ago, of an origin that may have changed, or err."""
    steps = [("change", 10, True), ("wait", 1, None)]
    steps.append(("range", chance.choice(["0-4", "5-9", "0-8"]), ""))
    if chance.random() < 0.3:
        steps.append(("change", chance.choice([10, 10, 13]), False))
    if chance.random() < 0.5:
        steps.append(("origin", chance.choice(MISBEHAVIOURS), None))
    return [*steps, ("whole", "GET", False), ("whole", "GET", False)]


@pytest.mark.parametrize("seed", range(10))
def test_on_long_ways_too(seed):
    chance = random.Random(seed)
    for _ in range(10):
        assert asyncio.run(play(steps_by(chance), preset="conformance")) == []


@given(STEPS)
def test_each_answer_is_of_one_version_that_there_was(steps):
    assert asyncio.run(play(steps, preset="conformance")) == []


@given(STEPS)
def test_each_answer_is_of_one_version_where_forms_are_made_too(steps):
    assert asyncio.run(play(steps, cache_parts=True)) == []
