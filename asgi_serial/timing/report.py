"""The report of everything that was recorded, for people and for programs."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.timing.advice.advise import advise
from asgi_serial.timing.base import PHASES
from asgi_serial.timing.gauges import Gauges
from asgi_serial.timing.histogram import Histogram
from asgi_serial.timing.recorder import Series, SeriesKey, SeriesRecorder, Totals
from asgi_serial.timing.report_text import write_text

# The version of `to_dict`: raised if a key changes its meaning or is removed. Keys may be added.
SCHEMA_VERSION = 2
_PERCENTS = (50, 95, 99)
_ALL = SeriesKey("", "", 0, "")


class Report(NamedTuple):
    """The state of a recorder at one moment; times are in ms, sizes in bytes.

    `routes` has one row for each route, method, status and outcome, ordered by the time that they
    took together, longest first. `totals` sums up all rows. `in_flight` counts the requests that
    have arrived and not ended, `websockets` the connections that were accepted and those that are
    open. Each of `recommendations` has the `text` of a sentence, the `route` or "" for all, the
    `counters` that prove it, and the `line` to write. `processes` says whose requests
    are counted: `all workers` of the server or `this process` only, the `pids` of these, a `note`
    on what is missing, and the `pid` of the process that answers. `more` has the parts that only a
    served app has, such as its settings; `to_dict` puts them beside the others.
    """

    routes: list[dict[str, Any]]
    totals: dict[str, Any]
    recommendations: list[dict[str, Any]]
    recorder: dict[str, int]
    engine: dict[str, Any]
    in_flight: int = 0
    websockets: dict[str, int] = {}  # noqa: RUF012 - never changed
    processes: dict[str, Any] = {}  # noqa: RUF012 - never changed
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, text and numbers."""
        parts = self._asdict()
        more = parts.pop("more")
        return {"schema": SCHEMA_VERSION, **parts, **more}

    def to_json(self) -> bytes:
        """Return the report as one JSON document."""
        return json.dumps(self.to_dict(), ensure_ascii=False, default=str).encode(
            "utf-8", "replace"
        )

    def to_text(self, limit: int = 50) -> str:
        """Return the report for a terminal of 100 columns: the first `limit` rows, and the rest."""
        return write_text(self.to_dict(), limit)


def build_report(
    recorder: SeriesRecorder,
    *,
    totals: Totals | None = None,
    engine: Mapping[str, Any] | None = None,
    gauges: Gauges | None = None,
    more: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Report:
    """Return the report of everything recorded so far, with the engine's statistics and gauges.

    `settings` are the values on which recommendations depend (`advice.figures.SETTINGS`).
    `totals` are those that `recorder.read` returned just before.

    It takes up to 0.1 s for 1,000 series, and may run in a thread while requests are recorded.
    """
    gauges = gauges or Gauges()
    series, counts, _ = totals or recorder.read()
    whole = Series()
    for one in series.values():
        whole.merge(one)
    ordered = sorted(series.items(), key=lambda item: item[1].total.sum_ns, reverse=True)
    return Report(
        routes=[_row(key, one) for key, one in ordered],
        totals={
            name: value
            for name, value in _row(_ALL, whole).items()
            if name not in SeriesKey._fields
        },
        recommendations=[
            one._asdict()
            for one in advise(
                series, engine=engine, settings=settings, overflowed=counts.overflowed
            )
        ],
        recorder={"failures": counts.failures, "overflowed": counts.overflowed},
        engine=dict(engine or {}),
        in_flight=gauges.in_flight(recorder.recorded),
        websockets={"accepted": gauges.websockets_accepted, "open": gauges.websockets_open},
        more=dict(more or {}),
    )


def _row(key: SeriesKey, series: Series) -> dict[str, Any]:
    return {
        **key._asdict(),
        "count": series.total.count,
        "time_ms": series.total.sum_ns / 1e6,
        "first_byte_ms": _durations(series.first_byte),
        "last_byte_ms": _durations(series.total),
        "app_bytes": series.app_bytes,
        "encoded_bytes": series.encoded_bytes,
        "sent_bytes": series.sent_bytes,
        "saved_percent": _saved_percent(series.app_bytes, series.sent_bytes),
        "phases_ms": {
            name: spent / 1e6 for name, spent in zip(PHASES, series.phases_ns, strict=True)
        },
        "codings": {
            name: {
                "count": one.count,
                "encoded_bytes": one.encoded_bytes,
                "sent_bytes": one.sent_bytes,
                "encode_ms": one.encode_ns / 1e6,
            }
            for name, one in sorted(series.codings.items())
        },
        "cache": {name or "off": count for name, count in series.cache.items()},
        "encodings": {name: series.encodings[name] for name in ("hit", "miss")},
        "reasons": [
            {
                "name": Reason[name].token,
                "about": Reason[name].about,
                "count": count,
                "sentence": Reason[name].value,
            }
            for name, count in sorted(series.reasons.items(), key=lambda item: (-item[1], item[0]))
        ],
    }


def _durations(histogram: Histogram) -> dict[str, float]:
    found = zip(_PERCENTS, histogram.percentiles(_PERCENTS), strict=True)
    mean_ns = histogram.sum_ns / histogram.count if histogram.count else 0
    return {
        **{f"p{percent}": duration_ns / 1e6 for percent, duration_ns in found},
        "mean": mean_ns / 1e6,
        "max": histogram.max_ns / 1e6,
    }


def _saved_percent(app_bytes: int, sent_bytes: int) -> float:
    """Return the share of the app's bytes that were not sent; below 0 if more were sent."""
    return round(100 * (1 - sent_bytes / app_bytes), 1) if app_bytes else 0.0
