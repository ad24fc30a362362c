"""The sections of what stands behind: caches, the store, our cost, settings and versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asgi_serial.admin.page.html import Child, Html, tag
from asgi_serial.admin.page.parts import PHASES, Column, bounded, facts, section, table
from asgi_serial.admin.page.svg import draw_share
from asgi_serial.timing.units import (
    format_age,
    format_bytes,
    format_count,
    format_duration,
    format_percent,
)

_STATES = {"closed": ("good", "in use"), "open": ("bad", "not asked, since it failed")}


def show_store(report: Mapping[str, Any]) -> Html:
    """Return the state of both levels of the cache."""
    engine = dict(report["engine"])
    entries, size, limit = (
        engine.pop(name, 0) for name in ("memory_entries", "memory_bytes", "memory_max_bytes")
    )
    pairs: list[tuple[Child, Child]] = [
        (
            "in memory",
            [
                f"{format_bytes(size)} of {format_bytes(limit)}, {format_count(entries)} entries",
                draw_share(size / limit if limit else 0),
            ],
        )
    ]
    pairs += [(_words(name), _count(name, value)) for name, value in engine.items()]
    return section("store", "Caches", _second_level(report.get("store")), facts(pairs))


def _second_level(store: Mapping[str, Any] | None) -> Child:
    if not store:
        return tag("p", "There is no second level: each process has its own cache.", class_="note")
    level, words = _STATES.get(store.get("state", ""), ("warn", str(store.get("state"))))
    shown: list[Child] = [
        "Second level ",
        tag("span", bounded(store.get("target", "")), class_="mono"),
        " ",
        tag("span", words, class_=f"badge {level}"),
    ]
    failure = store.get("last_failure")
    if failure:
        ago = format_age(failure["seconds_ago"])
        shown.append(tag("div", f"Last failure {ago}: {bounded(failure['error'])}", class_="note"))
    return tag("p", shown)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _count(name: str, value: Any) -> str:
    if not isinstance(value, int):
        return bounded(value)
    return format_bytes(value) if name.endswith("_bytes") else format_count(value)


def show_cost(cost: Mapping[str, Any] | None) -> Html | None:
    """Return the time that was spent in our own stages."""
    if not cost or not cost.get("requests"):
        return None
    rows = [
        (
            tag("dt", PHASES.get(name, ("", name))[1]),
            tag("dd", draw_share(ms / cost["own_ms"] if cost["own_ms"] else 0)),
            tag("dd", format_duration(ms), class_="n"),
        )
        for name, ms in cost["stages_ms"].items()
    ]
    return section(
        "cost",
        "Our own cost",
        tag(
            "p",
            f"{format_duration(cost['own_ms'])} in all, "
            f"{format_duration(cost['own_ms_per_request'])} a request: "
            f"{format_percent(cost['own_ms'], cost['total_ms'])} of the time of all requests.",
        ),
        tag("dl", rows, class_="stages"),
    )


def show_settings(settings: Sequence[Mapping[str, Any]] | None) -> Html | None:
    """Return the effective settings, those that differ from their defaults first."""
    if not settings:
        return None
    changed = [one for one in settings if one["source"] != "default"]
    defaults = [one for one in settings if one["source"] == "default"]
    return section(
        "settings",
        "Settings",
        _settings("Settings that were given", changed)
        if changed
        else tag("p", "All settings have their defaults."),
        tag(
            "details",
            tag("summary", f"{len(defaults)} settings with their defaults"),
            _settings("Settings with their defaults", defaults),
        ),
    )


def _settings(caption: str, settings: Sequence[Mapping[str, Any]]) -> Html:
    columns = [Column("Setting"), Column("Value", "text"), Column("Source")]
    rows = [
        [tag("code", one["name"]), tag("code", bounded(one["text"])), bounded(one["source"])]
        for one in settings
    ]
    return table(caption, columns, rows)


def show_versions(versions: Mapping[str, str] | None) -> Html | None:
    """Return the versions of what runs here."""
    if not versions:
        return None
    return section(
        "versions",
        "Versions",
        facts((bounded(name), bounded(version)) for name, version in versions.items()),
    )
