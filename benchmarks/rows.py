"""The figures: what is compared with what, and what each one may come to at most."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from asgi_serial import SerialMiddleware, timing_report
from asgi_serial.types import ASGIApp

from .apps import document, plain_app, routed_app, streaming_app
from .meters import Comparison, Costs
from .peers import Metrics, compressed, peer_cache, peer_stack, timed
from .traffic import Answer, Request, Subject

IDENTITY = {b"accept-encoding": b"identity"}
OFF = {"compression": False, "formats": False, "decoding": False, "cache": False, "timing": False}
COMPRESSION_ONLY = OFF | {"compression": True}
CACHE_ONLY = OFF | {"cache": True, "cache_ttl": 3600}


class Row(NamedTuple):
    """One figure."""

    name: str
    what: str
    goal: float
    build: Callable[[], Awaitable[Comparison | float]]
    by: str = "instructions"  # or "cpu", for what libraries in C do; "count": a figure of its own
    requests: int = 200  # under callgrind


def ours(app: ASGIApp, **options: object) -> SerialMiddleware:
    return SerialMiddleware(app, **options)  # type: ignore[arg-type]


def added_to_bare(costs: Costs) -> float:
    return (costs["ours"] - costs["bare"]) / costs["bare"]


def added(costs: Costs) -> float:
    """What we add to the bare app, to what the peer adds."""
    return (costs["ours"] - costs["bare"]) / (costs["peer"] - costs["bare"])


def total(costs: Costs) -> float:
    return costs["ours"] / costs["bare"]


def is_plain(answer: Answer) -> bool:
    return answer.status == 200 and not answer.get(b"content-encoding")


def is_hit(answer: Answer) -> bool:
    return b"; hit" in answer.get(b"cache-status")


async def everything_off() -> Comparison:
    app, request = plain_app(document(10_000)), Request()
    return Comparison(
        added_to_bare,
        bare=Subject(app, request),
        ours=Subject(ours(app, enabled=False), request, is_plain),
    )


async def compression_idle() -> Comparison:
    app, request = plain_app(document(10_000)), Request(IDENTITY)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(ours(app, **COMPRESSION_ONLY), request, is_plain),
        peer=Subject(compressed(app), request, is_plain),
    )


async def small_answer() -> Comparison:
    app, request = plain_app(document(130)), Request()
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(ours(app, **COMPRESSION_ONLY), request, is_plain),
        peer=Subject(compressed(app), request, is_plain),
    )


async def all_idle() -> Comparison:
    return _idle(plain_app(document(10_000)), cache=False)


async def stream_idle() -> Comparison:
    return _idle(streaming_app([document(500)] * 20))


def _idle(app: ASGIApp, **options: object) -> Comparison:
    request, metrics = Request(IDENTITY), Metrics()
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(ours(app, **options), request, is_plain),
        peer=Subject(
            peer_stack(app, metrics), request, lambda answer: is_plain(answer) and metrics.emitted
        ),
    )


async def hit_cache_only() -> Comparison:
    app, request = plain_app(document(10_000)), Request()
    return Comparison(
        total,
        bare=Subject(app, request),
        ours=await primed(Subject(ours(app, **CACHE_ONLY), request, is_hit)),
    )


async def hit_all_on() -> Comparison:
    app, request = plain_app(document(10_000)), Request()
    return Comparison(
        total,
        bare=Subject(app, request),
        ours=await primed(
            Subject(ours(app, cache_ttl=3600), request, lambda a: is_hit(a) and is_zstd(a))
        ),
    )


def is_zstd(answer: Answer) -> bool:
    return answer.get(b"content-encoding") == b"zstd"


async def primed(subject: Subject) -> Subject:
    """The same, once the cache has been filled by one request."""
    await subject.run(1)
    return subject


async def miss_stored() -> Comparison:
    app, request = plain_app(document(10_000)), Request(unique=True)
    cached, holds = peer_cache(app)
    served = ours(app, **CACHE_ONLY)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(served, request, lambda a: b"; stored" in a.get(b"cache-status")),
        peer=Subject(cached, request, lambda _: holds()),
    )


async def timing_plain() -> Comparison:
    app, metrics = plain_app(document(10_000)), Metrics()
    return _timing(app, timed(app, metrics), metrics, Request())


async def timing_routes() -> Comparison:
    app, metrics = routed_app(200), Metrics()
    return _timing(app, timed(app, metrics, by_route=True), metrics, Request(path="/r100/5"))


def _timing(app: ASGIApp, peer: ASGIApp, metrics: Metrics, request: Request) -> Comparison:
    served = ours(app, **(OFF | {"timing": True}))
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(served, request, lambda _: timing_report(served).routes),
        peer=Subject(peer, request, lambda _: metrics.emitted),
    )


ROWS = (
    Row("everything_off", "everything off: added / a bare app's own", 0.30, everything_off),
    Row(
        "compression_idle",
        "compression on, client takes none: added / starlette-compress's",
        0.50,
        compression_idle,
    ),
    Row(
        "small_answer",
        "200-byte answer to a browser: added / starlette-compress's",
        1.0,
        small_answer,
    ),
    Row("all_idle", "all on but cache, nothing to do: added / the stack's", 0.35, all_idle),
    Row(
        "stream_idle",
        "stream of 20 chunks, nothing to do, all on: added / the stack's",
        0.35,
        stream_idle,
    ),
    Row("hit_cache_only", "hit in process, cache only: total / bare app", 2.6, hit_cache_only),
    Row("hit_all_on", "hit in process, all on: total / bare app", 3.2, hit_all_on),
    Row("miss_stored", "miss that is stored: added / starlette-caches'", 0.50, miss_stored),
    Row("timing_plain", "timing on a plain app: added / timing-asgi's", 0.50, timing_plain),
    Row(
        "timing_routes",
        "timing over 200 Starlette routes: added / timing-asgi's",
        0.05,
        timing_routes,
    ),
)
