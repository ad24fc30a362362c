"""Requests that there is nothing to do for, but to look and to time."""

from asgi_serial import timing_report
from asgi_serial.types import ASGIApp
from benchmarks.apps import IMAGE_FIELD, document, noise, plain_app, routed_app, streaming_app
from benchmarks.cases.subjects import (
    COMPRESSION_ONLY,
    TIMING_ONLY,
    added,
    added_to_bare,
    is_plain,
    ours,
    taking_nothing,
)
from benchmarks.meters import Comparison
from benchmarks.peers import Metrics, compressed, stacked, timed
from benchmarks.traffic import Fields, Request, Subject


async def everything_off() -> Comparison:
    app, request = plain_app(document(10_000)), Request()
    return Comparison(
        added_to_bare,
        bare=Subject(app, request),
        ours=Subject(ours(app, enabled=False), request, is_plain),
    )


async def compression_idle(client: Fields) -> Comparison:
    return _compression(plain_app(document(10_000)), taking_nothing(client))


async def small_answer(client: Fields) -> Comparison:
    return _compression(plain_app(document(200)), client)


def _compression(app: ASGIApp, client: Fields) -> Comparison:
    request = Request(client=client)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(ours(app, **COMPRESSION_ONLY), request, is_plain),
        peer=Subject(compressed(app), request, is_plain),
    )


async def all_idle(client: Fields) -> Comparison:
    return _all_on(plain_app(document(10_000)), taking_nothing(client), cache=False)


async def all_idle_cache(client: Fields) -> Comparison:
    return _all_on(plain_app(document(10_000)), taking_nothing(client))


async def all_small(client: Fields) -> Comparison:
    return _all_on(plain_app(document(200)), client)


async def all_image(client: Fields) -> Comparison:
    return _all_on(plain_app(noise(10_000), content_type=IMAGE_FIELD), client)


async def stream_idle(client: Fields) -> Comparison:
    return _all_on(streaming_app([document(500)] * 20), taking_nothing(client))


def _all_on(app: ASGIApp, client: Fields, **options: object) -> Comparison:
    request, metrics = Request(client=client), Metrics()
    served = ours(app, **options)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(served, request, lambda a: is_plain(a) and timing_report(served).routes),
        peer=Subject(stacked(app, metrics), request, lambda a: is_plain(a) and metrics.emitted),
    )


async def timing_plain(client: Fields) -> Comparison:
    app, metrics = plain_app(document(10_000)), Metrics()
    return _timing(app, timed(app, metrics), metrics, Request(client=client))


async def timing_route(client: Fields) -> Comparison:
    return _timing_routes(1, client)


async def timing_routes(client: Fields) -> Comparison:
    return _timing_routes(200, client)


def _timing_routes(routes: int, client: Fields) -> Comparison:
    app, metrics = routed_app(routes), Metrics()
    request = Request(path=f"/r{routes // 2}/5", client=client)
    return _timing(app, timed(app, metrics, by_route=True), metrics, request)


def _timing(app: ASGIApp, peer: ASGIApp, metrics: Metrics, request: Request) -> Comparison:
    served = ours(app, **TIMING_ONLY)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(served, request, lambda _: timing_report(served).routes),
        peer=Subject(peer, request, lambda _: metrics.emitted),
    )
