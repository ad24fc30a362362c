"""Answers out of the cache, and on their way into it."""

from collections.abc import Callable, Mapping
from functools import partial
from random import Random

from asgi_serial.types import Field
from benchmarks.apps import document, plain_app
from benchmarks.cases.subjects import (
    ALL_ON,
    ALL_WISHES,
    CACHE_ONLY,
    PUBLIC,
    TAKES_NOTHING,
    added,
    against_fastest,
    cached,
    is_hit,
    is_stored,
    ours,
    total,
)
from benchmarks.meters import Comparison
from benchmarks.peers import in_hishel, in_starlette_caches
from benchmarks.traffic import SAME_ORIGIN, Answer, Fields, Request, Subject

FRESH = (b"cache-control", b"max-age=3600")


async def hit_cache_only(client: Fields) -> Comparison:
    return await _hit(client, CACHE_ONLY)


async def hit_all_on(client: Fields) -> Comparison:
    return await _hit(client, ALL_ON)


async def hit_varying(client: Fields) -> Comparison:
    return await _hit(client, ALL_ON, (b"vary", b"Origin"))


async def _hit(client: Fields, options: Mapping[str, object], *fields: Field) -> Comparison:
    app = plain_app(document(10_000), PUBLIC, *fields)
    bare = Subject(app, Request(client=client))
    return Comparison(total, bare=bare, ours=await cached(app, options, client))


class Campaign(Request):
    """A request by a link of a campaign, in whose query a parameter says so."""

    def read(self) -> tuple[bytes, list[Field]]:
        return b"page=2&utm_source=mail", super().read()[1]


async def hit_wishes(request: Callable[..., Request], client: Fields) -> Comparison:
    app = plain_app(document(10_000), PUBLIC, (b"x-request-id", b"1"))
    subjects = {}
    for name, options in (("plain", ALL_ON), ("wishes", ALL_ON | ALL_WISHES)):
        subject = Subject(ours(app, **options), request(client=client), is_hit)
        await subject.run(1)
        subjects[name] = subject
    return Comparison(lambda costs: costs["wishes"] / costs["plain"], **subjects)


async def hit_sizes() -> Comparison:
    client = SAME_ORIGIN | TAKES_NOTHING
    return Comparison(
        lambda costs: costs["large"] / costs["small"],
        large=await cached(plain_app(document(100_000)), ALL_ON, client),
        small=await cached(plain_app(document(10_000)), ALL_ON, client),
    )


class AnyOf(Request):
    """A request for any of so many resources, which differ by their query."""

    def __init__(self, resources: int) -> None:
        super().__init__()
        self._choose = partial(Random(0).randrange, resources)

    def read(self) -> tuple[bytes, list[Field]]:
        return b"n=%d" % self._choose(), super().read()[1]


async def among(resources: int) -> Subject:
    """A cache that holds so many resources; they share one entry, to be stored in a moment."""
    app = ours(plain_app(document(10_000)), **CACHE_ONLY)
    await Subject(app, AnyOf(1)).run(1)
    memory = app.engine.memory
    ((key, slot),) = memory._slots.items()
    place = key.index(b"n=0")
    for number in range(1, resources):
        memory.put((*key[:place], b"n=%d" % number, *key[place + 1 :]), slot.value, 0)
    return Subject(app, AnyOf(resources), is_hit)


async def hit_growth() -> Comparison:
    return Comparison(
        lambda costs: costs["many"] / costs["few"],
        many=await among(1_000_000),
        few=await among(100),
    )


async def not_modified(client: Fields) -> Comparison:
    # One field in place of another, so that both have as many.
    languages = {b"accept-language": b"en-GB,en;q=0.9"}
    served = await cached(plain_app(document(10_000), PUBLIC), ALL_ON, client | languages)
    fields = {b"if-none-match": (await served.prove()).get(b"etag")}
    request = Request(fields, client=client, without=(b"accept-language",))
    return Comparison(
        lambda costs: costs["not_modified"] / costs["ok"],
        not_modified=Subject(served.app, request, lambda a: a.status == 304 and not a.body),
        ok=served,
    )


async def hit_compressed() -> Comparison:
    app = plain_app(document(10_000))
    identity = await cached(app, ALL_ON, SAME_ORIGIN | TAKES_NOTHING)
    encoded = await cached(app, ALL_ON)
    encoded.check = lambda answer: is_hit(answer) and answer.get(b"content-encoding") == b"zstd"
    return Comparison(
        lambda costs: costs["compressed"] / costs["identity"],
        compressed=encoded,
        identity=identity,
    )


async def miss_stored(client: Fields) -> Comparison:
    app = plain_app(document(10_000), PUBLIC)
    request = Request(unique=True, client=client)
    peer, holds = in_starlette_caches(app)
    return Comparison(
        added,
        bare=Subject(app, request),
        ours=Subject(ours(app, **CACHE_ONLY), request, is_stored),
        peer=Subject(peer, request, lambda _: holds()),
    )


async def hit_of_peers() -> Comparison:
    calls = 0
    answering = plain_app(document(10_000), FRESH)

    async def app(*connection: object) -> None:
        nonlocal calls
        calls += 1
        await answering(*connection)  # type: ignore[arg-type]

    def is_saved(answer: Answer) -> bool:
        # One call of the app for each of the three caches, whatever the number of requests.
        return answer.status == 200 and calls == 3

    subjects = {
        "ours": Subject(ours(app, **CACHE_ONLY), Request(), is_saved),
        "starlette_caches": Subject(in_starlette_caches(app)[0], Request(), is_saved),
        "hishel": Subject(await in_hishel(app), Request(), is_saved),
    }
    for subject in subjects.values():
        await subject.run(1)
    return Comparison(against_fastest, **subjects)
