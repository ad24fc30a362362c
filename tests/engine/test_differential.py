"""Whatever an app does and a client asks for: with the middleware, the client is told the same.

`pytest tests/engine --hypothesis-profile long` tries some ten thousand scenarios.
"""

import asyncio
from typing import Any

from hypothesis import HealthCheck, event, given, settings

from tests.cache.entries import OneByOne

from .client import understand
from .driver import Clock, Recording, drive, serial_of
from .oracle import called, complaints, reuse_complaints
from .scenarios import Scenario, Step, scenarios
from .scripted import Scripted


class Store(OneByOne):
    """A second level that two processes share; it may hand out other bytes than it was given."""

    is_shared = True

    def __init__(self, *, spoils: bool) -> None:
        self.kept: dict[str, bytes] = {}
        self.spoils = spoils
        self.asked = 0

    async def get(self, key: str) -> bytes | None:
        """A value; or a part of it, one with a byte changed, or that of another key."""
        value = self.kept.get(key)
        self.asked += 1
        if not self.spoils or value is None:
            return value
        place = self.asked * 37 % len(value)
        others = list(self.kept.values())
        changed = value[:place] + bytes([value[place] ^ 4]) + value[place + 1 :]
        return [value, value[:place], changed, others[place % len(others)]][self.asked % 4]

    async def set(self, key: str, value: bytes, *, ttl: float) -> None:
        """Keep a value."""
        self.kept[key] = value

    async def delete(self, key: str) -> None:
        """Forget a value."""
        self.kept.pop(key, None)

    async def add(self, key: str, value: bytes, *, ttl: float) -> bool:
        """Keep a value where there is none."""
        return self.kept.setdefault(key, value) is value

    async def increment(self, key: str, *, ttl: float, delta: int = 1, start: int = 0) -> int:
        """Add to a number."""
        number = int(self.kept.get(key, str(start))) + delta
        self.kept[key] = str(number).encode()
        return number

    async def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Several values."""
        return [await self.get(key) for key in keys]

    async def delete_if(self, key: str, token: bytes) -> bool:
        """Forget a value that is this one."""
        return self.kept.get(key) == token and self.kept.pop(key) == token

    def statistics(self) -> dict[str, int]:
        """Nothing is counted."""
        return {}

    def state(self) -> dict[str, Any]:
        """It never fails."""
        return {"target": "a dict", "state": "closed", "last_failure": None}


class Run:
    """A scenario in progress: what was answered, and what the bare app would have said."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.clock = Clock()
        self.app = Scripted(scenario.script)
        caches = scenario.settings.get("cache", True) and scenario.store != "none"
        store = Store(spoils=scenario.store == "spoiling") if caches else None
        # Nothing tells of a plain app that it reads JSON.
        uploads = {"format_uploads": True} if scenario.settings.get("formats", True) else {}
        self.processes = [
            serial_of(self.app, clock=self.clock, store=store, **uploads, **scenario.settings)
            for _ in range(2 if caches else 1)
        ]
        self.answers: list[Recording] = []
        self.origins: dict[int, tuple[Step, float]] = {}  # by the app's calls
        # How often the app had been called at the last write, by path and process.
        self.written: dict[tuple[str, int], int] = {}
        self.bodies: dict[bytes, bytes] = {}  # by strong tag

    async def ask(self, step: Step) -> None:
        """Ask as the step says, and hold the answer against the bare app's."""
        step = self._with_tag(step)
        process = step.process % len(self.processes)
        serial = self.processes[process]
        calls = self.app.calls
        got = await asyncio.wait_for(drive(serial, step.request), 120)
        await serial.engine.responses.flush()
        self.answers.append(got)
        call = called(got)
        is_hit = call in self.origins or is_marked_hit(got)
        says_nothing = not serial.engine.settings.cache_status and not self.scenario.at_once
        if says_nothing and call not in self.origins:
            # That the app has confirmed a stored response shows by its having been called.
            is_hit = is_hit and self.app.calls == calls
        origin, generated_at = step, self.clock.now
        if call is not None:
            origin, generated_at = self.origins.setdefault(call, (origin, generated_at))
        said = await drive(Scripted(self.scenario.script), origin.plain if is_hit else step.plain)
        found = complaints(step, got, said, is_hit=is_hit)
        if is_hit:
            event("a hit")
            age = self.clock.now - generated_at
            found += reuse_complaints(step, origin, said, self.scenario.settings, age)
            if call is not None and call <= self.written.get((step.request.path, process), 0):
                found.append("from before a write")
        assert found == [], (step, got.messages, said.messages)
        self._take(step, got, process)

    def _with_tag(self, step: Step) -> Step:
        """The step with the tag of an earlier answer as its condition."""
        if step.holds is None or step.holds >= len(self.answers):
            return step
        earlier = self.answers[step.holds]
        tags = understand(earlier).all("etag") if earlier.messages else []
        if not tags:
            return step
        return step._replace(request=step.request.having(if_none_match=tags[0].decode()))

    def _take(self, step: Step, got: Recording, process: int) -> None:
        request = step.request
        route = self.scenario.settings.get("routes", {}).get(request.path, {})
        writes = ("PUT",) if route.get("cache_body") else ("PUT", "POST")
        if request.method in writes and got.messages and got.start["status"] < 400:
            self.written[request.path, process] = self.app.calls
        if not got.messages or request.method != "GET":
            return  # the tag of a response to a write is of what the resource has become
        answer = understand(got)
        for tag in answer.all("etag"):
            if answer.status == 200 and answer.is_whole and tag.startswith(b'"'):
                # RFC 9110, 8.8.3: a strong tag names these very bytes.
                assert self.bodies.setdefault(tag, answer.body) == answer.body


def is_marked_hit(got: Recording) -> bool:
    """Whether an answer says itself that it comes out of the cache, with the app not asked.

    The apps here send no Age.
    """
    fields = dict(got.start["headers"]) if got.messages else {}
    return b"age" in fields and b"fwd-status=304" not in fields.get(b"cache-status", b"")


async def run_through(scenario: Scenario) -> None:
    run = Run(scenario)
    if scenario.at_once:
        first = scenario.steps[0]
        await asyncio.gather(*[run.ask(first) for _ in scenario.steps])
        return
    for step in scenario.steps:
        run.clock.now += step.passes
        await run.ask(step)


@settings(
    max_examples=3 * settings.default.max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(scenarios())
def test_the_client_is_told_what_the_bare_app_says(scenario: Scenario) -> None:
    asyncio.run(run_through(scenario))
