"""The table of all figures, and the most that each one may come to."""

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from .cases import caching, coding, crowds, mixing, passing, probes, serving, stores
from .rows import How, Measured, Row
from .traffic import BARE, BROWSER, SAME_ORIGIN, Fields, Request

Case = Callable[[Fields], Awaitable[Measured | float]]


def _by_client(
    name: str,
    what: str,
    goal: float | None,
    case: Case,
    by: How = "instructions",
    *,
    same_origin: bool = False,
) -> Iterator[Row]:
    """The row for a browser across origins that has cookies, and the one for a bare client.

    With `same_origin` one more, for a browser that asks the origin of its page and has no cookie.
    """
    yield Row(name, f"{what}; browser", goal, partial(case, BROWSER), by)
    yield Row(f"{name}_bare", f"{what}; bare client", goal, partial(case, BARE), by)
    if same_origin:
        yield Row(
            f"{name}_same_origin",
            f"{what}; browser, same origin",
            goal,
            partial(case, SAME_ORIGIN),
            by,
        )


ROWS = (
    Row("everything_off", "everything off: added / the bare app", 0.30, passing.everything_off),
    *_by_client(
        "compression_idle",
        "compression only, client takes none: added / starlette-compress's",
        0.55,
        passing.compression_idle,
    ),
    *_by_client(
        "small_answer",
        "compression only, 200 bytes: added / starlette-compress's",
        1.10,
        passing.small_answer,
    ),
    *_by_client(
        "all_idle", "all on but cache, nothing to do: added / the stack's", 0.35, passing.all_idle
    ),
    *_by_client(
        "all_idle_cache", "all on, nothing to do: added / the stack's", 0.35, passing.all_idle_cache
    ),
    *_by_client("all_small", "all on, 200 bytes: added / the stack's", 0.50, passing.all_small),
    *_by_client("all_image", "all on, an image: added / the stack's", 0.50, passing.all_image),
    *_by_client(
        "stream_idle",
        "stream of 20 chunks, nothing to do, all on: added / the stack's",
        0.40,
        passing.stream_idle,
    ),
    Row(
        "mixed",
        "ten kinds of requests, all on but cache: total / the stack's",
        None,
        mixing.mixed,
        "cpu",
    ),
    Row(
        "mixed_cache",
        "the same, all on, four kinds are hits: total / the stack's",
        None,
        mixing.mixed_cache,
        "cpu",
    ),
    *_by_client(
        "hit_cache_only",
        "hit, cache only: total / bare app",
        2.8,
        caching.hit_cache_only,
        same_origin=True,
    ),
    *_by_client(
        "hit_all_on", "hit, all on: total / bare app", 3.4, caching.hit_all_on, same_origin=True
    ),
    Row(
        "hit_varying",
        "hit, all on, varying on Origin: total / bare app; browser",
        None,
        partial(caching.hit_varying, BROWSER),
    ),
    *_by_client(
        "uvicorn_cache_only",
        "hit over uvicorn, cache only: total / bare app",
        1.18,
        serving.hit("cache_only"),
        same_origin=True,
    ),
    *_by_client(
        "uvicorn_all_on",
        "hit over uvicorn, all on: total / bare app",
        1.26,
        serving.hit("all_on"),
        same_origin=True,
    ),
    Row(
        "hit_wishes",
        "hit, all on, with all settings for keys and fields / without",
        1.05,
        partial(caching.hit_wishes, Request, SAME_ORIGIN),
    ),
    Row(
        "hit_wishes_campaign",
        "the same, with a parameter that is ignored / that counts",
        1.05,
        partial(caching.hit_wishes, caching.Campaign, SAME_ORIGIN),
    ),
    Row("hit_sizes", "hit of 100 KB / of 10 KB", 1.03, caching.hit_sizes),
    Row(
        "hit_growth",
        "hit among 1,000,000 entries / among 100",
        2.0,
        caching.hit_growth,
        by="cpu",
    ),
    *_by_client("not_modified", "304 / 200", 1.10, caching.not_modified, same_origin=True),
    Row("hit_compressed", "compressed hit / identity hit", 1.05, caching.hit_compressed),
    *_by_client(
        "miss_stored", "miss, stored: added / starlette-caches'", 0.50, caching.miss_stored
    ),
    Row("hit_of_peers", "hit: total / the faster of the other caches'", None, caching.hit_of_peers),
    *_by_client(
        "timing_plain", "timing, plain app: added / timing-asgi's", 0.55, passing.timing_plain
    ),
    *_by_client(
        "timing_route",
        "timing, 1 Starlette route: added / timing-asgi's",
        0.35,
        passing.timing_route,
    ),
    *_by_client(
        "timing_routes",
        "timing, 200 Starlette routes: added / timing-asgi's",
        0.05,
        passing.timing_routes,
    ),
    *_by_client(
        "zstd_1",
        "zstd, 1 KB: total / fastest peer's",
        0.60,
        coding.encoded("zstd", 1000),
        "cpu",
    ),
    *_by_client("zstd_10", "zstd, 10 KB", 0.75, coding.encoded("zstd", 10_000), "cpu"),
    Row("zstd_100", "zstd, 100 KB", 1.0, partial(coding.encoded("zstd", 100_000), BROWSER), "cpu"),
    *_by_client("br_1", "br, 1 KB", 0.95, coding.encoded("br", 1000), "cpu"),
    *_by_client("br_10", "br, 10 KB", 1.0, coding.encoded("br", 10_000), "cpu"),
    Row("br_100", "br, 100 KB", 1.03, partial(coding.encoded("br", 100_000), BROWSER), "cpu"),
    *_by_client("gzip_1", "gzip (isal), 1 KB", 0.75, coding.encoded("gzip", 1000), "cpu"),
    *_by_client("gzip_10", "gzip (isal), 10 KB", 0.60, coding.encoded("gzip", 10_000), "cpu"),
    Row(
        "gzip_100",
        "gzip (isal), 100 KB",
        0.40,
        partial(coding.encoded("gzip", 100_000), BROWSER),
        "cpu",
    ),
    Row(
        "gzip_bytes_10",
        "gzip (isal), 10 KB: bytes / the smallest peer's",
        1.08,
        coding.encoded_bytes("gzip", 10_000),
        "figure",
    ),
    Row(
        "gzip_bytes_100",
        "gzip (isal), 100 KB: bytes",
        1.08,
        coding.encoded_bytes("gzip", 100_000),
        "figure",
    ),
    *_by_client(
        "to_msgpack_1",
        "JSON to MessagePack, 1 KB: total / msgpack-asgi's",
        0.80,
        coding.to_msgpack(1000),
        "cpu",
    ),
    *_by_client(
        "to_msgpack_10", "JSON to MessagePack, 10 KB", 0.65, coding.to_msgpack(10_000), "cpu"
    ),
    Row(
        "to_msgpack_100",
        "JSON to MessagePack, 100 KB",
        0.65,
        partial(coding.to_msgpack(100_000), BROWSER),
        "cpu",
    ),
    *_by_client("from_msgpack_1", "and back, 1 KB", 0.80, coding.from_msgpack(1000), "cpu"),
    *_by_client("from_msgpack_10", "and back, 10 KB", 0.50, coding.from_msgpack(10_000), "cpu"),
    Row(
        "from_msgpack_100",
        "and back, 100 KB",
        0.50,
        partial(coding.from_msgpack(100_000), BROWSER),
        "cpu",
    ),
    *_by_client(
        "decode_gzip",
        "request in gzip, 10 KB: total / one call of the library",
        2.2,
        coding.decoded("gzip", 10_000),
        "cpu",
    ),
    *_by_client("decode_br", "request in br, 10 KB", 1.6, coding.decoded("br", 10_000), "cpu"),
    *_by_client(
        "decode_zstd", "request in zstd, 10 KB", 2.0, coding.decoded("zstd", 10_000), "cpu"
    ),
    Row(
        "stall_gzip",
        "loop's longest stall, 1 MB gzip / codec call",
        0.15,
        probes.stall("gzip"),
        "figure",
    ),
    Row(
        "stall_br", "loop's longest stall, 1 MB br / codec call", 0.15, probes.stall("br"), "figure"
    ),
    Row(
        "stall_zstd",
        "loop's longest stall, 1 MB zstd / codec call",
        0.30,
        probes.stall("zstd"),
        "figure",
    ),
    Row(
        "concurrent_calls",
        "100 concurrent first requests: calls of the app",
        1,
        probes.concurrent_calls,
        "figure",
    ),
    Row(
        "stampede_calls",
        "1,000 concurrent first requests: calls of the app",
        1,
        crowds.stampede_calls,
        "figure",
    ),
    Row(
        "stampede_time",
        "1,000 concurrent first requests: time / the bare app's for its 1,000 calls",
        0.50,
        crowds.stampede_time,
        "figure",
    ),
    Row(
        "hit_variants",
        "hit among 20,000 variants of a resource / among 100",
        2.0,
        crowds.among_variants(hits=True),
        "cpu",
    ),
    Row(
        "miss_variants",
        "miss, stored, among 20,000 variants of a resource / among 100",
        2.0,
        crowds.among_variants(hits=False),
        "cpu",
    ),
    Row(
        "entry_memory",
        "memory of an entry beyond its body, bytes",
        1000,
        probes.entry_memory,
        "figure",
    ),
    *_by_client(
        "store_calls_miss",
        "cold miss: calls of the second level beyond 1 get and 1 set",
        0,
        stores.cold_miss,
        "figure",
    ),
    *_by_client(
        "store_calls_hit",
        "cold hit: calls of the second level beyond 1 get",
        0,
        stores.cold_hit,
        "figure",
    ),
)
