"""The front page of the demonstration: what was asked for so far, and how it was answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from asgi_serial.admin.page.document import document
from asgi_serial.admin.page.html import Child, Html, tag
from asgi_serial.admin.page.parts import Cell, Column, section, table
from asgi_serial.timing.units import format_bytes, format_count, format_duration, format_percent

REFRESH_SECONDS = 2
BURST = 50
"""How many requests the button of the front page makes."""


class Example(NamedTuple):
    """One of the requests to try; the link is that of a GET."""

    method: str
    route: str
    words: str
    link: str = ""


def render_front(
    report: Mapping[str, Any], examples: Iterable[Example], report_path: str, *, is_live: bool
) -> bytes:
    """Return the front page, from the report of the API."""
    rows = [row for row in report["routes"] if row["count"]]
    shown = [_row(example, rows) for example in examples]
    columns = [
        Column("Request"),
        Column("Requests", "n"),
        Column("From the cache", "n"),
        Column("Slowest", "n"),
        Column("Typical", "n"),
        Column("Sent", "n"),
    ]
    choice = (
        tag("a", "hold this page still", href="?still")
        if is_live
        else tag("a", "keep it up to date", href="/")
    )
    return document(
        "asgi_serial: a demonstration",
        tag(
            "header",
            tag(
                "div",
                tag("h1", "asgi_serial: a demonstration"),
                tag("p", "An API whose responses are cached, compressed and measured."),
            ),
            tag("p", choice, class_="choice"),
        ),
        tag(
            "main",
            tag("div", _tiles(report, rows), class_="tiles"),
            section(
                "try",
                "Try it",
                tag(
                    "p",
                    "The first request for the cities takes half a second. It is stored for a "
                    "minute, and all further ones are answered from the cache.",
                ),
                tag(
                    "form",
                    tag("button", f"Ask for the cities {BURST} times"),
                    tag("a", "See the timing report", href=report_path),
                    method="post",
                    action="/try",
                ),
            ),
            section(
                "requests",
                "Requests so far",
                table("What was asked for, and how it was answered", columns, shown),
            ),
            id="content",
        ),
        tag(
            "footer",
            tag("p", "The terminal shows commands to paste. Stop the demonstration with Ctrl+C."),
        ),
        refresh=f"{REFRESH_SECONDS}" if is_live else None,
    )


def _tiles(report: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> list[Html]:
    totals = report["totals"]
    count, hits = totals["count"], totals["cache"].get("hit", 0)
    made, sent = totals["app_bytes"], totals["sent_bytes"]
    cities = [row for row in rows if row["route"] == "/cities" and row["status"] == 200]
    slowest = max((row["last_byte_ms"]["max"] for row in cities), default=0.0)
    typical = min((row["last_byte_ms"]["p50"] for row in cities), default=0.0)
    return [
        _tile("Requests", format_count(count), "since the start"),
        _tile("From the cache", format_percent(hits, count), f"{format_count(hits)} hits"),
        _tile("Slowest city list", format_duration(slowest) if cities else "–", "made by the app"),
        _tile("Typical city list", format_duration(typical) if cities else "–", "half took longer"),
        _tile("Sent", format_bytes(sent), f"of {format_bytes(made)}"),
        _tile("Bytes saved", format_percent(max(0, made - sent), made), "by compression"),
    ]


def _tile(label: str, value: str, note: str) -> Html:
    return tag(
        "div",
        tag("div", label, class_="label"),
        tag("div", value, class_="value"),
        tag("div", note, class_="note"),
        class_="tile",
    )


def _row(example: Example, rows: list[Mapping[str, Any]]) -> list[Child | Cell]:
    found = [
        row for row in rows if (row["method"], row["route"]) == (example.method, example.route)
    ]
    name = f"{example.method} {example.route}"
    link: Child = tag("a", name, href=example.link) if example.link else name
    count = sum(row["count"] for row in found)
    if not count:
        return [Cell(link, example.words), "0", "–", "–", "–", "–"]
    hits = sum(row["cache"].get("hit", 0) for row in found)
    largest = max(found, key=lambda row: int(row["count"]))
    return [
        Cell(link, example.words),
        format_count(count),
        format_percent(hits, count),
        format_duration(max(row["last_byte_ms"]["max"] for row in found)),
        format_duration(largest["last_byte_ms"]["p50"]),
        format_bytes(sum(row["sent_bytes"] for row in found)),
    ]
