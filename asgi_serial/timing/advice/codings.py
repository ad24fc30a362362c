"""Advice on compression: whether what it saves is worth what it costs."""

from collections.abc import Iterator

from asgi_serial.timing.advice.figures import ENOUGH, Recommendation, Route
from asgi_serial.timing.recorder import CodingTotals
from asgi_serial.timing.units import format_bytes

# The level of a coding, by its name, and a level that costs a fraction of the default.
_LEVELS = {
    "br": ("brotli_level", 1),
    "deflate": ("gzip_level", 1),
    "gzip": ("gzip_level", 1),
    "zstd": ("zstd_level", 1),
}
# A default level costs 10 to 50 ns for each byte that it saves of a usual document.
_COSTLY_NS = 200
_NOTICEABLE_NS = 1_000_000_000  # less encoding time than this, in all, is not worth a change
# A response of this size fits into one packet, whether or not it is compressed (Ethernet's 1,500
# bytes, without the headers of IP, TCP, TLS and the response).
_PACKET_BYTES = 1_100
_SMALL_SAVING_BYTES = 200


def advise_on_codings(route: Route) -> Iterator[Recommendation]:
    """Advise on the codings in which a route was compressed."""
    for name, totals in route.series.codings.items():
        if name not in _LEVELS or totals.count < ENOUGH or not totals.encode_ns:
            continue
        saved = totals.encoded_bytes - totals.sent_bytes
        counters = {
            f"codings.{name}.count": totals.count,
            f"codings.{name}.encoded_bytes": totals.encoded_bytes,
            f"codings.{name}.sent_bytes": totals.sent_bytes,
            f"codings.{name}.encode_ms": round(totals.encode_ns / 1e6, 1),
        }
        if totals.encode_ns >= _NOTICEABLE_NS and totals.encode_ns > _COSTLY_NS * saved:
            yield _less_costly(route, name, totals, saved, counters)
        elif _are_small(totals) and saved < _SMALL_SAVING_BYTES * totals.count:
            yield _larger_only(route, name, totals, saved, counters)


def _less_costly(
    route: Route, name: str, totals: CodingTotals, saved: int, counters: dict[str, float]
) -> Recommendation:
    setting, cheap = _LEVELS[name]
    current = route.limits.get(setting)
    is_cheap = isinstance(current, int) and current <= cheap
    line = route.policy(compression=False) if is_cheap else f"{setting}={cheap}"
    seconds = totals.encode_ns / 1e9
    return Recommendation(
        f"{route.name}: {name} took {seconds:,.1f} s of encoding to save"
        f" {format_bytes(max(0, saved))} of {format_bytes(totals.encoded_bytes)}; "
        + ("do not compress this route." if is_cheap else f"lower {setting}."),
        route.key.route,
        counters,
        line,
    )


def _are_small(totals: CodingTotals) -> bool:
    return totals.encoded_bytes < _PACKET_BYTES * totals.count


def _larger_only(
    route: Route, name: str, totals: CodingTotals, saved: int, counters: dict[str, float]
) -> Recommendation:
    size = totals.encoded_bytes // totals.count
    return Recommendation(
        f"{route.name}: {name} saves {max(0, saved // totals.count):,} bytes of a body of {size:,}"
        " on average, which fits into one packet anyway; compress larger bodies only.",
        route.key.route,
        counters,
        f"min_size={_PACKET_BYTES}",
    )
