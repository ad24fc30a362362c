"""The table of all figures, and what each one may come to at most."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from .cases import caching, coding, crowds, passing, probes, serving
from .meters import Comparison

How = Literal["instructions", "cpu", "figure"]


class Row(NamedTuple):
    """One figure; by instructions where Python's work is compared, by CPU time where C's is."""

    name: str
    what: str
    goal: float | None
    build: Callable[[], Awaitable[Comparison | serving.Served | float]]
    by: How = "instructions"


ROWS = (
    Row("everything_off", "everything off: added / the bare app", 0.30, passing.everything_off),
    Row(
        "compression_idle",
        "compression on, client takes none: added / starlette-compress's",
        0.50,
        passing.compression_idle,
    ),
    Row(
        "small_answer",
        "200-byte answer to a browser: added / starlette-compress's",
        1.0,
        passing.small_answer,
    ),
    Row("all_idle", "all on but cache, nothing to do: added / the stack's", 0.35, passing.all_idle),
    Row(
        "stream_idle",
        "stream of 20 chunks, nothing to do, all on: added / the stack's",
        0.35,
        passing.stream_idle,
    ),
    Row("hit_cache_only", "hit, cache only: total / bare app", 2.6, caching.hit_cache_only),
    Row("hit_all_on", "hit, all on: total / bare app", 3.2, caching.hit_all_on),
    Row(
        "uvicorn_cache_only",
        "hit over uvicorn, cache only: total / bare app",
        1.20,
        serving.hit("cache_only"),
    ),
    Row(
        "uvicorn_all_on", "hit over uvicorn, all on: total / bare app", 1.28, serving.hit("all_on")
    ),
    Row("hit_sizes", "hit of 100 KB / of 10 KB", 1.03, caching.hit_sizes),
    Row(
        "hit_growth",
        "hit among 1,000,000 entries / among 100",
        2.0,
        caching.hit_growth,
        by="cpu",
    ),
    Row("not_modified", "304 / 200", 1.10, caching.not_modified),
    Row("hit_compressed", "compressed hit / identity hit", 1.05, caching.hit_compressed),
    Row("miss_stored", "miss, stored: added / starlette-caches'", 0.50, caching.miss_stored),
    Row("hit_of_peers", "hit: total / the faster of the other caches'", None, caching.hit_of_peers),
    Row("timing_plain", "timing, plain app: added / timing-asgi's", 0.50, passing.timing_plain),
    Row(
        "timing_route",
        "timing, 1 Starlette route: added / timing-asgi's",
        0.35,
        passing.timing_route,
    ),
    Row(
        "timing_routes",
        "timing, 200 Starlette routes: added / timing-asgi's",
        0.05,
        passing.timing_routes,
    ),
    Row("zstd_1", "zstd, 1 KB: total / fastest peer's", 0.55, coding.encoded("zstd", 1000), "cpu"),
    Row("zstd_10", "zstd, 10 KB", 0.75, coding.encoded("zstd", 10_000), "cpu"),
    Row("zstd_100", "zstd, 100 KB", 1.0, coding.encoded("zstd", 100_000), "cpu"),
    Row("br_10", "br, 10 KB", 1.0, coding.encoded("br", 10_000), "cpu"),
    Row("br_100", "br, 100 KB", 1.03, coding.encoded("br", 100_000), "cpu"),
    Row("gzip_10", "gzip (isal), 10 KB", 0.60, coding.encoded("gzip", 10_000), "cpu"),
    Row("gzip_100", "gzip (isal), 100 KB", 0.40, coding.encoded("gzip", 100_000), "cpu"),
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
    Row(
        "to_msgpack_10",
        "JSON to MessagePack, 10 KB: total / msgpack-asgi's",
        0.65,
        coding.to_msgpack(10_000),
        "cpu",
    ),
    Row("to_msgpack_100", "JSON to MessagePack, 100 KB", 0.65, coding.to_msgpack(100_000), "cpu"),
    Row("from_msgpack_10", "and back, 10 KB", 0.50, coding.from_msgpack(10_000), "cpu"),
    Row("from_msgpack_100", "and back, 100 KB", 0.50, coding.from_msgpack(100_000), "cpu"),
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
)
