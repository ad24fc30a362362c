"""The top of the page: figures of the whole, the last hour, and recommendations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asgi_serial.admin.page.html import Child, Html, tag
from asgi_serial.admin.page.parts import CACHE, bounded, section
from asgi_serial.admin.page.routes import is_error
from asgi_serial.admin.page.svg import draw_columns
from asgi_serial.timing.units import format_bytes, format_count, format_duration, format_percent

if TYPE_CHECKING:
    from asgi_serial.admin.page.view import View


# The first ones are seen at once, above the routes; the others are a click away.
_FIRST = 3
_MOST = 20


def show_overview(report: Mapping[str, Any], view: View) -> Html:
    """Return the figures of all requests, and their number in each minute of the last hour."""
    totals = report["totals"]
    count = totals["count"]
    errors = sum(row["count"] for row in report["routes"] if is_error(row))
    times = totals["last_byte_ms"]
    saved = totals["app_bytes"] - totals["sent_bytes"]
    tiles = [
        *_history(report.get("history") or ()),
        _tile("Requests", format_count(count), _in_flight(report)),
        _tile(
            "Errors",
            format_percent(errors, count),
            _link_to_errors(f"{format_count(errors)} failed or 5xx", view) if errors else "none",
        ),
        _tile(
            "Latency, p95",
            format_duration(times["p95"]),
            f"p50 {format_duration(times['p50'])}, p99 {format_duration(times['p99'])}",
        ),
        _tile("From the cache", *_from_cache(totals["cache"])),
        _tile(
            "Bytes saved",
            format_percent(max(saved, 0), totals["app_bytes"]),
            f"{format_bytes(totals['sent_bytes'])} sent of {format_bytes(totals['app_bytes'])}",
        ),
        *_cost(report.get("cost")),
    ]
    return tag("div", tiles, class_="tiles", id="overview")


def _link_to_errors(words: str, view: View) -> Child:
    return tag("a", words, href=f"{view.link(sort='errors')}#routes")


def _tile(label: str, value: str, note: Child, *more: Child, is_wide: bool = False) -> Html:
    return tag(
        "div",
        tag("div", label, class_="label"),
        tag("div", value, class_="value"),
        tag("div", note, class_="note"),
        more,
        class_="tile wide" if is_wide else "tile",
    )


def _in_flight(report: Mapping[str, Any]) -> str:
    parts = [f"{format_count(report['in_flight'])} in flight"] if "in_flight" in report else []
    sockets = (report.get("websockets") or {}).get("open")
    if sockets:
        parts.append(f"{format_count(sockets)} WebSockets")
    return ", ".join(parts) or "since the start"


def _from_cache(cache: Mapping[str, int]) -> tuple[str, str]:
    known = {name: count for name, count in cache.items() if name in CACHE}
    whole = sum(known.values())
    if not whole:
        return "off", "no response is stored"
    served = sum(known.get(name, 0) for name in ("hit", "stale", "validated", "collapsed"))
    return format_percent(served, whole), f"{format_count(served)} of {format_count(whole)}"


def _cost(cost: Mapping[str, Any] | None) -> list[Html]:
    if not cost or not cost.get("requests"):
        return []
    shares = format_percent(cost["own_ms"], cost["total_ms"])
    note = f"{shares} of their time"
    return [_tile("Our work a request", format_duration(cost["own_ms_per_request"]), note)]


def _history(minutes: Sequence[Mapping[str, Any]]) -> list[Html]:
    if not minutes:
        return []
    requests = [minute["requests"] for minute in minutes]
    errors = [minute["errors"] for minute in minutes]
    ends = tag("div", tag("span", f"{len(minutes)} min ago"), tag("span", "now"), class_="ends")
    made = []
    for label, values, class_ in (
        ("Requests in the last hour", requests, ""),
        ("Errors in the last hour", errors, "bad"),
    ):
        whole, peak = sum(values), max(values)
        note = f"at most {format_count(peak)} a minute" if whole else "none"
        title = f"{label}: {format_count(whole)}, {note}"
        columns = draw_columns(values, max(1, peak), title, class_)
        made.append(_tile(label, format_count(whole), note, columns, ends, is_wide=True))
    return made


def show_recommendations(recommendations: Sequence[Any]) -> Html | None:
    """Return the recommendations, each with its figures and the line to write."""
    if not recommendations:
        return None
    items = [tag("li", _recommendation(one)) for one in recommendations[:_MOST]]
    first, further = items[:_FIRST], items[_FIRST:]
    more = len(recommendations) - len(items)
    return section(
        "recommendations",
        "Recommendations",
        tag("ul", first, class_="advice"),
        tag(
            "details",
            tag("summary", f"{len(further)} further recommendations"),
            tag("ul", further, class_="advice"),
        )
        if further
        else None,
        tag("p", f"and {more:,} more, which the JSON has", class_="note") if more > 0 else None,
    )


def _recommendation(one: Any) -> list[Child]:
    if not isinstance(one, Mapping):
        return [str(one)]
    counters = one.get("counters")
    if isinstance(counters, Mapping):
        counters = ", ".join(
            f"{bounded(name)} {_figure(value)}" for name, value in counters.items()
        )
    shown: list[Child] = [str(one.get("text", ""))]
    if counters:
        shown.append(tag("div", str(counters), class_="note"))
    if one.get("line"):
        shown.append(tag("code", str(one["line"])))
    return shown


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
