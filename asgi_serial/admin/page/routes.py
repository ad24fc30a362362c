"""The section of the routes: their latency, phases, bytes and use of the cache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asgi_serial.admin.page.html import Child, Html, tag
from asgi_serial.admin.page.parts import (
    CACHE,
    PHASES,
    Cell,
    Column,
    bounded,
    key,
    list_shares,
    section,
    table,
)
from asgi_serial.admin.page.svg import LatencyScale, draw_bar, draw_share
from asgi_serial.timing.units import format_bytes, format_count, format_duration, format_percent

if TYPE_CHECKING:
    from asgi_serial.admin.page.view import View

MAX_ROWS = 50

_PERCENTS = ("p50", "p95", "p99")
_OF_CACHES = ("cache", "storage")
_FROM_CACHE = ("hit", "stale", "validated", "collapsed")


def is_error(row: Mapping[str, Any]) -> bool:
    """Whether the requests of a row have failed."""
    return int(row["status"]) >= 500 or row.get("outcome") == "failed"


def show_routes(report: Mapping[str, Any], view: View) -> Html:
    """Return the section, sorted as the view says, with at most MAX_ROWS rows."""
    rows = report["routes"]
    shown = sorted(rows, key=lambda row: _rank(row, view.sort))[:MAX_ROWS]
    if not shown:
        return section("routes", "Routes", tag("p", "No request has been recorded yet."))
    scale = LatencyScale([row["last_byte_ms"][one] for row in shown for one in _PERCENTS])
    longest = max(row["time_ms"] for row in shown)
    has_phases = any(row.get("phases_ms") for row in shown)
    low, high = (
        format_duration(one).replace(".00 ", " ").replace(".0 ", " ") for one in scale.ends
    )
    columns = [
        Column("Route", "text", "route"),
        Column("Requests", "n", "count"),
        Column("Total time", "n", "time"),
        Column("From cache", "n"),
        *(Column(one, "n", one) for one in _PERCENTS),
        Column("Latency", "whole"),
        *([Column("Phases", "whole")] if has_phases else []),
        Column("Sent", "n", "sent"),
    ]
    cells = [
        [
            _name(row),
            format_count(row["count"]),
            [
                format_duration(row["time_ms"]),
                draw_share(row["time_ms"] / longest if longest else 0),
            ],
            _from_cache(row),
            *(format_duration(row["last_byte_ms"][one]) for one in _PERCENTS),
            scale.draw([row["last_byte_ms"][one] for one in _PERCENTS], _latency_title(row)),
            *([_phases(row)] if has_phases else []),
            Cell(format_bytes(row["sent_bytes"]), _saved(row)),
        ]
        for row in shown
    ]
    more = len(rows) - len(shown)
    return section(
        "routes",
        "Routes",
        tag(
            "p",
            "Times run to the last byte. Latency is drawn on a logarithmic scale, from "
            f"{low} to {high}.",
            class_="note",
        ),
        _key_of(shown, has_phases=has_phases),
        table(
            "Requests by route, method and status",
            columns,
            cells,
            sorted_by=view.sort,
            link=lambda sort: view.link(sort=sort),
        ),
        tag("p", f"and {more:,} more, which the JSON has", class_="note") if more else None,
    )


def _rank(row: Mapping[str, Any], sort: str) -> Any:
    if sort == "route":
        return row["route"], row["method"], row["status"]
    values = {"count": row["count"], "time": row["time_ms"], "sent": row["sent_bytes"]}
    values |= row["last_byte_ms"]
    values["errors"] = row["count"] if is_error(row) else 0
    return -values[sort]


def _name(row: Mapping[str, Any]) -> Cell:
    status = row["status"]
    outcome = row.get("outcome", "completed")
    level = {2: "good", 3: "", 4: "warn", 5: "bad"}.get(status // 100, "")
    badges: list[Child] = [tag("span", status or "other", class_=f"badge {level}".strip())]
    if outcome != "completed":
        badges += [
            " ",
            tag("span", outcome, class_="badge bad" if outcome == "failed" else "badge warn"),
        ]
    return Cell(tag("span", bounded(row["route"]), class_="route"), [row["method"], " ", badges])


def _latency_title(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{one} {format_duration(row['last_byte_ms'][one])}" for one in _PERCENTS)


def _phases(row: Mapping[str, Any]) -> Child:
    phases = {name: ms for name, ms in row.get("phases_ms", {}).items() if name in PHASES}
    whole = sum(phases.values())
    if not whole:
        return None
    title = list_shares(((PHASES[name][1], ms) for name, ms in phases.items()), whole)
    return draw_bar([(PHASES[name][0], ms) for name, ms in phases.items()], title)


def _saved(row: Mapping[str, Any]) -> str | None:
    saved = row["saved_percent"]
    if saved == 0:
        return None
    return f"{saved:.0f} % saved" if saved > 0 else f"{-saved:.0f} % more"


def _from_cache(row: Mapping[str, Any]) -> Child | Cell:
    """Return the share that the cache has answered, or how it took part, and why it did not."""
    known = {name: count for name, count in row["cache"].items() if name in CACHE}
    whole = sum(known.values())
    if not whole:
        return "off"
    served = sum(known.get(name, 0) for name in _FROM_CACHE)
    if served:
        return Cell(format_percent(served, whole), f"of {format_count(whole)}")
    most = str(max(known, key=lambda name: known[name]))
    reasons = (each for each in row["reasons"] if each.get("about") in _OF_CACHES)
    reason = next(reasons, None)
    if reason is None:
        return most
    return Cell(most, tag("span", bounded(reason["name"]), title=reason["sentence"]))


def _key_of(rows: list[Mapping[str, Any]], *, has_phases: bool) -> Html:
    used = {name for row in rows for name, ms in row.get("phases_ms", {}).items() if ms}
    entries = [("p50", "p50"), ("p95", "p95"), ("p99", "p99")]
    if has_phases:
        entries += [PHASES[name] for name in PHASES if name in used]
    return key(entries)
