"""Requests that there is nothing to do for, but to look and to time."""

from asgi_serial import timing_report
from asgi_serial.types import ASGIApp
from benchmarks.apps import document, plain_app, routed_app, streaming_app
from benchmarks.cases.subjects import (
    COMPRESSION_ONLY,
    TAKES_NOTHING,
    TIMING_ONLY,
    added,
    added_to_bare,
    is_plain,
    ours,
)
from benchmarks.meters import Comparison
from benchmarks.peers import Metrics, compressed, stacked, timed
from benchmarks.traffic import Request, Subject


async def everything_off() -> Comparison:
    app, request = plain_app(document(10_000)), Request()
    return Comparison(
        added_to_bare,
        bare=Subject(app, request),
        ours=Subject(ours(app, enabled=False), request, is_plain),
    )


async def compression_idle() -> Comparison:
    return _compression(plain_app(document(10_000)), Request(TAKES_NOTHING))


async def small_answer() -> Comparison:
    return _compression(plain_app(document(200)), Request())


def _compression(app: ASGIApp, request: Request) -> Comparison:
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(ours(app, **COMPRESSION_ONLY), request, is_plain),
        peer=Subject(compressed(app), request, is_plain),
    )


async def all_idle() -> Comparison:
    return _all_on(plain_app(document(10_000)), cache=False)


async def stream_idle() -> Comparison:
    return _all_on(streaming_app([document(500)] * 20))


def _all_on(app: ASGIApp, **options: object) -> Comparison:
    request, metrics = Request(TAKES_NOTHING), Metrics()
    served = ours(app, **options)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(served, request, lambda a: is_plain(a) and timing_report(served).routes),
        peer=Subject(stacked(app, metrics), request, lambda a: is_plain(a) and metrics.emitted),
    )


async def timing_plain() -> Comparison:
    app, metrics = plain_app(document(10_000)), Metrics()
    return _timing(app, timed(app, metrics), metrics, Request())


async def timing_route() -> Comparison:
    return _timing_routes(1)


async def timing_routes() -> Comparison:
    return _timing_routes(200)


def _timing_routes(routes: int) -> Comparison:
    app, metrics = routed_app(routes), Metrics()
    request = Request(path=f"/r{routes // 2}/5")
    return _timing(app, timed(app, metrics, by_route=True), metrics, request)


def _timing(app: ASGIApp, peer: ASGIApp, metrics: Metrics, request: Request) -> Comparison:
    served = ours(app, **TIMING_ONLY)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(served, request, lambda _: timing_report(served).routes),
        peer=Subject(peer, request, lambda _: metrics.emitted),
    )
