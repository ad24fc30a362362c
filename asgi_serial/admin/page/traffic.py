"""The sections of what was sent: bytes, codings, the cache, reasons, and the slowest requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from asgi_serial.admin.page.svg import draw_bar, draw_share
from asgi_serial.timing.units import (
    format_age,
    format_bytes,
    format_count,
    format_duration,
    format_percent,
)

_MAX_REASONS = 30


def show_bytes(totals: Mapping[str, Any]) -> Html:
    """Return the bytes of the bodies at each stage, and the cost and gain of each coding."""
    stages = (
        ("as the app made them", totals["app_bytes"]),
        ("in their format", totals["encoded_bytes"]),
        ("as they were sent", totals["sent_bytes"]),
    )
    largest = max(size for _, size in stages) or 1
    rows = [
        (
            tag("dt", words),
            tag("dd", draw_share(size / largest)),
            tag("dd", format_bytes(size), class_="n"),
        )
        for words, size in stages
    ]
    codings = {
        name: figures
        for name, figures in (totals.get("codings") or {}).items()
        if figures.get("count")
    }
    return section(
        "bytes", "Bodies", tag("dl", rows, class_="stages"), _codings(codings) if codings else None
    )


def _codings(codings: Mapping[str, Mapping[str, Any]]) -> Child:
    columns = [
        Column("Coding"),
        Column("Responses", "n"),
        Column("Before", "n"),
        Column("Sent", "n"),
        Column("Saved", "n"),
        Column("Encoding time", "n"),
        Column("Time per MB saved", "n"),
    ]
    ordered = sorted(codings.items(), key=lambda item: -item[1]["count"])
    return [
        tag("h3", "By coding"),
        table("What each coding has cost and saved", columns, map(_coding, ordered)),
    ]


def _coding(item: tuple[str, Mapping[str, Any]]) -> list[Child | Cell]:
    name, figures = item
    before, sent, took = (
        figures.get(one) or 0 for one in ("encoded_bytes", "sent_bytes", "encode_ms")
    )
    saved = before - sent
    is_coded = name != "identity"
    return [
        tag("span", bounded(name) if is_coded else "none", class_="mono"),
        format_count(figures["count"]),
        format_bytes(before),
        format_bytes(sent),
        format_percent(max(0, saved), before) if is_coded else "–",
        format_duration(took) if is_coded else "–",
        format_duration(took / (saved / 1e6)) if is_coded and saved > 0 and took else "–",
    ]


def show_cache(totals: Mapping[str, Any]) -> Html:
    """Return how the cache took part in all requests."""
    counts = {name: totals["cache"].get(name, 0) for name in CACHE}
    whole = sum(counts.values())
    if not whole:
        return section("cache", "Cache", tag("p", "The cache took part in no request."))
    title = list_shares(((CACHE[name][1], count) for name, count in counts.items()), whole)
    words = [
        (
            CACHE[name][0],
            [
                f"{CACHE[name][1]} ",
                tag("b", format_count(count)),
                f" ({format_percent(count, whole)})",
            ],
        )
        for name, count in counts.items()
        if count
    ]
    encodings = totals.get("encodings") or {}
    looked_up = encodings.get("hit", 0) + encodings.get("miss", 0)
    return section(
        "cache",
        "Cache",
        tag("p", draw_bar([(CACHE[name][0], count) for name, count in counts.items()], title)),
        key(words),
        tag(
            "p",
            f"The encoded form of a repeated body was at hand {format_count(encodings['hit'])} of "
            f"{format_count(looked_up)} times.",
            class_="note",
        )
        if looked_up
        else None,
    )


def show_reasons(totals: Mapping[str, Any]) -> Html | None:
    """Return why something was not done, the most frequent first."""
    reasons = totals["reasons"]
    if not reasons:
        return None
    columns = [Column("Reason"), Column("Requests", "n"), Column("Share", "n")]
    rows = [
        [
            Cell(
                [
                    tag("span", bounded(reason["name"]), class_="mono"),
                    " ",
                    tag("span", bounded(reason.get("about", "")), class_="badge"),
                ],
                reason["sentence"],
            ),
            format_count(reason["count"]),
            format_percent(reason["count"], totals["count"]),
        ]
        for reason in reasons[:_MAX_REASONS]
    ]
    return section(
        "reasons",
        "Reasons",
        table("Why a response was not cached, compressed or translated", columns, rows),
    )


def show_slowest(slowest: Sequence[Mapping[str, Any]] | None) -> Html | None:
    """Return the slowest requests of the last while."""
    if slowest is None:
        return None
    if not slowest:
        return section("slowest", "Slowest requests", tag("p", "None in the last hour."))
    has_phases = any(one.get("phases_ms") for one in slowest)
    columns = [
        Column("Request"),
        Column("Time", "n"),
        Column("First byte", "n"),
        *([Column("Phases", "whole")] if has_phases else []),
        Column("When", "n"),
    ]
    rows = [
        [
            Cell(
                tag("span", bounded(one["path"]), class_="route"),
                [
                    f"{one['method']} {one['status'] or 'other'}",
                    f" · {one['outcome']}"
                    if one.get("outcome", "completed") != "completed"
                    else None,
                    f" · {bounded(one['route'])}"
                    if one.get("route") not in ("", one["path"])
                    else None,
                ],
            ),
            format_duration(one["total_ms"]),
            format_duration(one["first_byte_ms"]),
            *([_phases(one)] if has_phases else []),
            format_age(one["seconds_ago"]),
        ]
        for one in slowest
    ]
    return section(
        "slowest",
        "Slowest requests",
        table("The slowest requests of the last hour, by path without its query", columns, rows),
    )


def _phases(one: Mapping[str, Any]) -> Child:
    phases = {name: ms for name, ms in (one.get("phases_ms") or {}).items() if name in PHASES}
    whole = sum(phases.values())
    title = list_shares(((PHASES[name][1], ms) for name, ms in phases.items()), whole)
    return (
        draw_bar([(PHASES[name][0], ms) for name, ms in phases.items()], title) if whole else None
    )
