"""What the cases share: the middleware's set-ups, the figures, and the proofs of work done."""

from collections.abc import Mapping

from asgi_serial import SerialMiddleware
from asgi_serial.types import ASGIApp
from benchmarks.meters import Costs
from benchmarks.traffic import SAME_ORIGIN, Answer, Fields, Request, Subject

TAKES_NOTHING = {b"accept-encoding": b"identity"}

# What any cache may store, whoever asks.
PUBLIC = (b"cache-control", b"public, max-age=3600")

OFF = {"compression": False, "formats": False, "decoding": False, "cache": False, "timing": False}
COMPRESSION_ONLY = OFF | {"compression": True}
TIMING_ONLY = OFF | {"timing": True}
CACHE_ONLY = OFF | {"cache": True, "cache_ttl": 3600}
ALL_ON = {"cache_ttl": 3600}
# What decides which requests are alike, and what of a response is stored.
ALL_WISHES = {
    "cache_ignore_query": "utm_*,fbclid,gclid",
    "cache_vary_normalize": {"accept-language": ["en", "de"]},
    "cache_key_cookies": "theme",
    "cache_strip_fields": "x-request-id,x-ratelimit-*",
    "cache_set_cookie": "strip",
    "cache_negative_ttl": 10,
}


def ours(app: ASGIApp, **options: object) -> SerialMiddleware:
    """The app behind asgi_serial."""
    return SerialMiddleware(app, **options)  # type: ignore[arg-type]


def taking_nothing(client: Fields) -> Fields:
    """A client that takes no coding: a bare one says so by saying nothing."""
    return client | TAKES_NOTHING if b"accept-encoding" in client else client


async def cached(
    app: ASGIApp, options: Mapping[str, object], client: Fields = SAME_ORIGIN
) -> Subject:
    """The app behind asgi_serial, whose cache holds the answer already."""
    subject = Subject(ours(app, **options), Request(client=client), is_hit)
    await subject.run(1)
    return subject


def added_to_bare(costs: Costs) -> float:
    """What we add to the bare app, to what that takes."""
    return (costs["ours"] - costs["bare"]) / costs["bare"]


def added(costs: Costs) -> float:
    """What we add to the bare app, to what the peer adds."""
    return (costs["ours"] - costs["bare"]) / (costs["peer"] - costs["bare"])


def total(costs: Costs) -> float:
    """What a request takes, to what the bare app takes."""
    return costs["ours"] / costs["bare"]


def against_fastest(costs: Costs) -> float:
    """What a request takes, to what it takes with the fastest of the others."""
    return costs["ours"] / min(cost for name, cost in costs.items() if name != "ours")


def is_plain(answer: Answer) -> bool:
    """Whether the answer went out as the app made it."""
    return answer.status == 200 and not answer.get(b"content-encoding")


def is_hit(answer: Answer) -> bool:
    """Whether the answer came out of our cache."""
    return b"; hit" in answer.get(b"cache-status")


def is_stored(answer: Answer) -> bool:
    """Whether the answer is in our cache now."""
    return b"; stored" in answer.get(b"cache-status")
