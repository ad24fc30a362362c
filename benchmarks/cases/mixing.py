"""Requests of several kinds in turn, as a server gets them."""

from collections.abc import Callable
from random import Random

from asgi_serial.types import ASGIApp, Field, Message, Receive, Scope, Send
from benchmarks.apps import IMAGE_FIELD, document, noise, plain_app, streaming_app
from benchmarks.cases.coding import BROTLI_LEVEL, DECODERS, GZIP_LEVEL, MSGPACK, ZSTD_LEVEL
from benchmarks.cases.subjects import ALL_ON, PUBLIC, is_hit, is_plain, ours, taking_nothing
from benchmarks.meters import Comparison, Costs
from benchmarks.peers import Metrics, stacked
from benchmarks.traffic import BARE, BROWSER, SAME_ORIGIN, Answer, Request, Subject

Drawn = list[tuple[Subject, tuple[bytes, list[Field]]]]


class Mix(Subject):
    """Requests of several kinds, in an order that is drawn once and is the same for all."""

    def __init__(self, subjects: list[Subject]) -> None:
        self.subjects = subjects

    def read(self, requests: int) -> Drawn:  # type: ignore[override]
        drawn = Random(0).choices(self.subjects, k=requests)
        return [(subject, subject.request.read()) for subject in drawn]

    async def serve(self, requests: Drawn) -> list[Message]:  # type: ignore[override]
        sent: list[Message] = []
        for subject, read in requests:
            sent = await subject.serve([read])
        return sent

    async def prove(self) -> Answer:
        return [await subject.prove() for subject in self.subjects][-1]


async def mixed() -> Comparison:
    """Nothing may be stored: what both sides do is the same."""
    return await _mixed(cache=False)


async def mixed_cache() -> Comparison:
    """Half of the kinds may be stored, and are hits."""
    return await _mixed(PUBLIC, **ALL_ON)


async def _mixed(*fields: Field, **options: object) -> Comparison:
    large, medium, small = document(10_000), document(1000), document(200)
    apps = {
        "/list": plain_app(large, *fields),
        "/page": plain_app(medium, *fields),
        "/image": plain_app(noise(10_000), *fields, content_type=IMAGE_FIELD),
        "/own": plain_app(medium),
        "/small": plain_app(small),
        "/events": streaming_app([small] * 20),
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await apps[scope["path"]](scope, receive, send)

    metrics = Metrics()
    levels = {"zstd_level": ZSTD_LEVEL, "gzip_level": GZIP_LEVEL}
    served = ours(app, encodings_cache=False, brotli_level=BROTLI_LEVEL, **levels, **options)
    stack = stacked(app, metrics, brotli_quality=BROTLI_LEVEL, **levels)

    def kinds(each: ASGIApp, *, stores: bool) -> list[Subject]:
        public = is_hit if stores else _is_served
        packs = {b"accept": MSGPACK, b"accept-encoding": b"identity"}
        return [
            Subject(each, Request(client=BARE, path="/list"), public),
            Subject(each, Request(client=BROWSER, path="/list"), public),
            Subject(each, Request(client=SAME_ORIGIN, path="/page"), public),
            Subject(each, Request(client=BROWSER, path="/image"), public),
            Subject(each, Request(client=BROWSER, path="/own"), _is(medium, "zstd")),
            Subject(
                each,
                Request({b"accept-encoding": b"gzip"}, client=SAME_ORIGIN, path="/own"),
                _is(medium, "gzip"),
            ),
            Subject(each, Request(packs, client=BARE, path="/own"), _is_packed),
            Subject(each, Request(client=BROWSER, method="POST", path="/small"), is_plain),
            Subject(each, Request(client=BROWSER, path="/small"), is_plain),
            Subject(each, Request(client=taking_nothing(BROWSER), path="/events"), is_plain),
        ]

    mix = Mix(kinds(served, stores=bool(fields)))
    for subject in mix.subjects:
        await subject.run(1)  # the first response is stored
    return Comparison(_to_stack, ours=mix, peer=Mix(kinds(stack, stores=False)))


def _to_stack(costs: Costs) -> float:
    return costs["ours"] / costs["peer"]


def _is_served(answer: Answer) -> bool:
    return answer.status == 200


def _is_packed(answer: Answer) -> bool:
    return answer.get(b"content-type") == MSGPACK


def _is(body: bytes, coding: str) -> Callable[[Answer], bool]:
    def check(answer: Answer) -> bool:
        is_coded = answer.get(b"content-encoding") == coding.encode()
        return is_coded and DECODERS[coding](answer.body) == body

    return check
