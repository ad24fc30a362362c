"""Many requests at once for what is not stored yet, and many variants of one resource."""

import asyncio
import json
import statistics
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from random import Random
from time import perf_counter

from asgi_serial.types import ASGIApp, Field, Receive, Scope, Send
from benchmarks.apps import document, plain_app
from benchmarks.cases.subjects import CACHE_ONLY, is_hit, is_stored, ours
from benchmarks.meters import Comparison
from benchmarks.traffic import Request, Subject

CROWD = 1000
ROUNDS = 15
DATABASE_SECONDS = 0.01


class Working:
    """An app that waits for its database, makes its answer of objects, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self._rows = json.loads(document(10_000))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        await asyncio.sleep(DATABASE_SECONDS)
        await plain_app(json.dumps(self._rows).encode())(scope, receive, send)


class Crowds:
    """So many clients at a time, each time for another resource."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._numbers = count()

    async def ask(self) -> float:
        """The seconds until all of one crowd are answered."""
        subject = Subject(self._app, Request(path=f"/items/{next(self._numbers)}"))
        requests = subject.read(CROWD)
        began = perf_counter()
        await asyncio.gather(*[subject.serve([request]) for request in requests])
        return perf_counter() - began


async def stampede_calls() -> float:
    """The calls of the app that a crowd's first requests make."""
    app = Working()
    await Crowds(ours(app, **CACHE_ONLY)).ask()
    return app.calls


async def stampede_time() -> float:
    """The time until a crowd is answered, to that of as many calls of the bare app."""
    app = Working()
    bare, cached = Crowds(app), Crowds(ours(app, **CACHE_ONLY))
    ratios = [await cached.ask() / await bare.ask() for _ in range(ROUNDS)]
    if app.calls != ROUNDS * (CROWD + 1):
        raise RuntimeError(f"{app.calls} calls of the app are not one for each crowd of ours.")
    return statistics.median(ratios)


class Languages(Request):
    """A request in any of so many languages, or in a new one each time."""

    def __init__(self, choose: Callable[[], int]) -> None:
        super().__init__(without=(b"accept-language",))
        self._choose = choose

    def read(self) -> tuple[bytes, list[Field]]:
        query, fields = super().read()
        return query, [*fields, (b"accept-language", b"x-%d" % self._choose())]


async def variants(number: int) -> ASGIApp:
    """The cache of an app that varies, with so many variants of one resource."""
    body, vary = document(200), (b"vary", b"Accept-Language")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await plain_app(body, vary)(scope, receive, send)

    served = ours(app, **CACHE_ONLY, cache_memory=number * 10_000, cache_max_object=10_000)
    await Subject(served, Languages(count().__next__)).run(number)
    return served


def among_variants(*, hits: bool) -> Callable[[], Awaitable[Comparison]]:
    """The case of a hit, or of a miss, among many variants of one resource, to one among few."""

    async def subject(number: int) -> Subject:
        if hits:
            request = Languages(partial(Random(0).randrange, number))
            return Subject(await variants(number), request, is_hit)
        return Subject(await variants(number), Languages(count(number).__next__), is_stored)

    async def case() -> Comparison:
        return Comparison(
            lambda costs: costs["many"] / costs["few"],
            many=await subject(20_000),
            few=await subject(100),
        )

    return case
