"""The report as text for a terminal, in at most 100 columns, with units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asgi_serial.timing.table import format_columns, format_section, format_table, printable
from asgi_serial.timing.units import (
    format_age,
    format_bytes,
    format_count,
    format_duration,
    format_percent,
    format_things,
)

_MOST_REASONS = 3
_MOST_SLOW = 10
_PERCENTS = ("p50", "p95", "p99")

_TIMES = ("route", "method", "status", "count", "total", "first p50", "last p50", "p95", "p99")
_BODIES = ("route", "method", "status", "made", "formatted", "sent", "saved", "reused", "cache")


def write_text(report: Mapping[str, Any], limit: int) -> str:
    """Return the text of a report (`Report.to_dict`): its first `limit` rows, and all the rest."""
    routes, totals = report["routes"], report["totals"]
    shown = routes[:limit]
    more = len(routes) - len(shown)
    sections = [
        "\n".join(_summary(report)),
        format_table(_TIMES, [_times(row) for row in shown], ends_in_text=False) if shown else "",
        format_table(_BODIES, [_bodies(row) for row in shown]) if shown else "",
        f"and {more:,} rows more, which the JSON has" if more else "",
        format_section("Where the time went", filter(None, map(_phases, shown))),
        format_section("Codings", _codings(totals.get("codings") or {})),
        format_section("Reasons", _reasons(shown)),
        format_section("Recommendations", _recommendations(report["recommendations"])),
        format_section("Slowest requests", _slowest(report.get("slowest") or ())),
        format_section("Second level", _store(report.get("store"))),
        format_section("Recorder", _counts(report["recorder"])),
        format_section("Engine", _counts(report["engine"])),
        format_section("Settings that were given", _settings(report.get("settings") or ())),
        format_section("Versions", _facts(report.get("versions") or {})),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(report: Mapping[str, Any]) -> Iterator[str]:
    totals = report["totals"]
    flying = report.get("in_flight")
    yield (
        f"{format_things(totals['count'], 'request')} took "
        f"{format_duration(totals['time_ms'])} together"
        + (f"; {flying:,} more {'is' if flying == 1 else 'are'} in flight" if flying else "")
    )
    yield (
        f"bodies of {format_bytes(totals['app_bytes'])}, {format_bytes(totals['encoded_bytes'])} "
        f"in their format, {format_bytes(totals['sent_bytes'])} sent: "
        f"{totals['saved_percent']:.0f} % saved"
    )
    processes = report.get("processes")
    if processes:
        pids = ", ".join(map(str, list(processes.get("pids") or ())[:8]))
        note = processes.get("note")
        yield printable(
            f"counted: {processes['counted']}"
            + (f", pid {pids}" if pids else "")
            + (f"; {note}" if note else ""),
            100,
        )
    cost = report.get("cost")
    if cost and cost["requests"]:
        yield (
            f"our own stages took {format_duration(cost['own_ms_per_request'])} of each request, "
            f"{format_percent(cost['own_ms'], cost['total_ms'])} of its time"
        )
    minutes = report.get("history")
    if minutes:
        requests = [minute["requests"] for minute in minutes]
        errors = sum(minute["errors"] for minute in minutes)
        yield (
            f"last hour: {format_things(sum(requests), 'request')}, "
            f"{format_things(errors, 'error')}, "
            f"at most {format_things(max(requests), 'request')} a minute"
        )
        if any(requests):
            yield f"|{format_columns(requests)}|"


def _label(row: Mapping[str, Any]) -> list[str]:
    """Return the route, the method and the status; an outcome ends the route, if it is unusual."""
    outcome = row.get("outcome", "completed")
    route = row["route"] if outcome == "completed" else f"{row['route']} ({outcome})"
    return [route, row["method"], str(row["status"] or "other")]


def _status_of(row: Mapping[str, Any]) -> str:
    """Return the status, and the outcome unless it is the usual one."""
    status = str(row["status"] or "other")
    outcome = row.get("outcome", "completed")
    return status if outcome == "completed" else f"{status} {outcome}"


def _times(row: Mapping[str, Any]) -> list[str]:
    return [
        *_label(row),
        format_count(row["count"]),
        format_duration(row["time_ms"]),
        format_duration(row["first_byte_ms"]["p50"]),
        *(format_duration(row["last_byte_ms"][percent]) for percent in _PERCENTS),
    ]


def _bodies(row: Mapping[str, Any]) -> list[str]:
    return [
        *_label(row),
        *(format_bytes(row[f"{stage}_bytes"]) for stage in ("app", "encoded", "sent")),
        f"{row['saved_percent']:.0f} %",
        _reused(row["encodings"]),
        ", ".join(f"{name} {n:,}" for name, n in row["cache"].items() if n and name != "off"),
    ]


def _reused(encodings: Mapping[str, int]) -> str:
    """Return how often the encoded form of a repeated body was at hand."""
    looked_up = encodings["hit"] + encodings["miss"]
    return format_percent(encodings["hit"], looked_up) if looked_up else "-"


def _named(row: Mapping[str, Any]) -> str:
    return f"{printable(row['route'])} {row['method']} {_status_of(row)}"


def _phases(row: Mapping[str, Any]) -> str:
    phases = row.get("phases_ms") or {}
    whole = sum(phases.values())
    largest = sorted(phases.items(), key=lambda item: -item[1])
    shares = [f"{name} {ms / whole:.0%}" for name, ms in largest if ms >= 0.01 * whole > 0]
    return f"{_named(row)}: {', '.join(shares)}".replace("%", " %") if shares else ""


def _codings(codings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, one in codings.items():
        before, sent = one["encoded_bytes"], one["sent_bytes"]
        if name == "identity":
            yield f"none: {format_things(one['count'], 'body', 'bodies')} of {format_bytes(sent)}"
        else:
            saved, took = max(0, before - sent), one["encode_ms"]
            each = f", {format_duration(took / saved * 1e6)} for each MB" if saved and took else ""
            yield (
                f"{printable(name)}: {format_things(one['count'], 'body', 'bodies')} of "
                f"{format_bytes(before)} sent in {format_bytes(sent)}: "
                f"{format_percent(saved, before)} saved"
                + (f" for {format_duration(took)} of encoding{each}" if took else "")
            )


def _reasons(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the most frequent reasons of each row."""
    for row in rows:
        for reason in row["reasons"][:_MOST_REASONS]:
            yield f"{_named(row)}: {reason['count']:,} x {reason['sentence']}"


def _recommendations(recommendations: Sequence[Any]) -> Iterator[str]:
    for one in recommendations:
        if not isinstance(one, Mapping):
            yield str(one)
            continue
        counters = one.get("counters")
        if isinstance(counters, Mapping):
            counters = ", ".join(f"{name} {value}" for name, value in counters.items())
        yield f"{one['text']}{f' ({counters})' if counters else ''}"
        yield from (f"  > {line}" for line in str(one.get("line") or "").splitlines())


def _slowest(slowest: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in slowest[:_MOST_SLOW]:
        named = f"{one['method']} {printable(one['path'])} {_status_of(one)}"
        yield f"{format_duration(one['total_ms']):>7}  {named}, {format_age(one['seconds_ago'])}"


def _store(store: Mapping[str, Any] | None) -> Iterator[str]:
    if store:
        yield printable(f"{store['target']}: its breaker is {store['state']}", 98)
        failure = store.get("last_failure")
        if failure:
            age = format_age(failure["seconds_ago"])
            yield printable(f"last failure {age}: {failure['error']}", 98)


def _counts(counts: Mapping[str, Any]) -> Iterator[str]:
    for name, count in counts.items():
        if count:
            shown = str(count)
            if isinstance(count, int):
                shown = format_bytes(count) if name.endswith("_bytes") else f"{count:,}"
            yield f"{printable(str(name))}: {printable(shown)}"


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    for name, value in facts.items():
        yield f"{printable(name)}: {printable(value, 400)}"


def _settings(settings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in settings:
        if one["source"] != "default":
            yield printable(f"{one['name']} = {one['text']} ({one['source']})", 98)
