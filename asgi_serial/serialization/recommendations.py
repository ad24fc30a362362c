"""Recommendations for the configuration, each based on measurements."""

from collections.abc import Iterator, Mapping
from typing import Any

from asgi_serial.serialization.profiler import Series
from asgi_serial.timing.units import format_bytes

Snapshot = Mapping[tuple[str, str], Series]

# Fewer measurements do not make a reliable mean.
_ENOUGH = 50
# Compression that saves less than the first share is poor, and from the second on it is good.
_POOR, _GOOD = 0.1, 0.4
# A format is mentioned if it takes at least this many times as long as JSON.
_CLEARLY = 1.5


def recommend(snapshot: Snapshot, *, cache: Mapping[str, Any], level: int) -> list[str]:
    """Return sentences about models and caches, each with the numbers that support it."""
    return [
        *_on_compression(snapshot, level),
        *_on_formats(snapshot),
        *_on_memory(cache["l1_cache"]),
        *_on_validation(snapshot, cache),
    ]


def _on_compression(snapshot: Snapshot, level: int) -> Iterator[str]:
    for (operation, model), series in snapshot.items():
        kind, _, codec = operation.partition(".")
        if kind != "compression" or series.histogram.count < _ENOUGH:
            continue
        saved = 1 - series.payload_bytes / series.document_bytes
        mean_bytes = series.document_bytes // series.histogram.count
        said = (
            f"{model}: {codec} {level} saves {saved:.0%} of {format_bytes(mean_bytes)}"
            f" for {_milliseconds(series)} ms"
        )
        if saved < _POOR:
            yield f"{said}; raise compression_threshold above that to save the time"
        elif saved >= _GOOD:
            yield f"{said}; keep it on where these are stored or sent"


def _on_formats(snapshot: Snapshot) -> Iterator[str]:
    for (operation, model), series in snapshot.items():
        verb, _, format = operation.partition(".")
        json = snapshot.get((f"{verb}.json", model)) or snapshot.get((f"{verb}.orjson", model))
        if format not in ("msgpack", "cbor", "pickle") or json is None:
            continue
        if min(series.histogram.count, json.histogram.count) < _ENOUGH:
            continue
        if _mean_ns(series) < _CLEARLY * _mean_ns(json):
            continue
        sizes = ""
        if verb == "serialize":
            sizes = f" and {_mean_size(series)}, json {_mean_size(json)}"
        yield (
            f"{model}: to {verb} takes {_milliseconds(series)} ms in {format},"
            f" {_milliseconds(json)} ms in json{sizes}"
        )


def _on_memory(level: Mapping[str, Any]) -> Iterator[str]:
    looked_up = level["hits"] + level["misses"]
    if looked_up < _ENOUGH or level["hit_rate"] >= 0.5 or not level["evictions"]:
        return
    is_full = level["size"] >= level["max_size"]
    name, limit = (
        ("cache_max_size", level["max_size"])
        if is_full
        else ("cache_max_bytes", level["max_bytes"])
    )
    yield (
        f"cache: {level['hit_rate']:.0%} of {looked_up:,} look-ups hit, and"
        f" {level['evictions']:,} items were evicted; raise {name}, which is {limit:,}"
    )


def _on_validation(snapshot: Snapshot, cache: Mapping[str, Any]) -> Iterator[str]:
    found = cache["validation"]
    looked_up = found["hits"] + found["misses"]
    if looked_up >= _ENOUGH and found["hit_rate"] < 0.05:
        yield (
            f"validation: {found['hit_rate']:.0%} of {looked_up:,} look-ups found a model;"
            " set cache_validation=False to save them"
        )


def _mean_ns(series: Series) -> float:
    return series.histogram.sum_ns / series.histogram.count


def _milliseconds(series: Series) -> str:
    return f"{_mean_ns(series) / 1e6:.2g}"


def _mean_size(series: Series) -> str:
    return format_bytes(series.payload_bytes // series.histogram.count)
