"""The timing report of an engine, as data and as an HTTP response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgi_serial.admin.access import read_head, refuse_access
from asgi_serial.http.mediatypes import MediaType
from asgi_serial.http.negotiation import media_weight, parse_accept
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.relay import RelayRecorder
from asgi_serial.timing.report import build_report

if TYPE_CHECKING:
    from asgi_serial.engine.engine import Engine
    from asgi_serial.timing.report import Report
    from asgi_serial.types import Fields, Message, Receive, Scope

_JSON = MediaType(b"application", b"json", ())
_TEXT = MediaType(b"text", b"plain", ())


def engine_report(engine: Engine) -> Report:
    """Return the report of an engine, including the state of its caches."""
    return build_report(
        engine.series or SeriesRecorder(), engine=engine_statistics(engine), gauges=engine.gauges
    )


def engine_statistics(engine: Engine) -> dict[str, Any]:
    """Return the state of the caches, and the number of failures to find a request's route."""
    memory, responses, encodings = engine.memory, engine.responses, engine.encodings
    statistics: dict[str, Any] = {
        "memory_entries": len(memory),
        "memory_bytes": memory.size_bytes,
        "memory_max_bytes": memory.max_bytes,
        "memory_evictions": memory.evictions,
        "responses_stored": responses.stored,
        "route_resolver_failures": getattr(engine.resolver, "failures", 0),
    }
    if isinstance(engine.recorder, RelayRecorder):
        statistics["recorder_failures"] = engine.recorder.failures
    if encodings is not None:
        statistics["encodings_hits"] = encodings.hits
        statistics["encodings_misses"] = encodings.misses
    if responses.store is not None:
        statistics["store_writes_dropped"] = responses.writes_dropped
        for name, count in responses.store.statistics().items():
            statistics[f"store_{name}"] = count
    return statistics


async def report_messages(engine: Engine, scope: Scope, receive: Receive) -> list[Message]:
    """Return the response with the report: as text, or as JSON if the client prefers that."""
    head = read_head(scope)
    method = head.method
    refusal = refuse_access(
        head, engine.settings.report_token, setting="report_token", realm="timing report"
    )
    if refusal is not None:
        detail = f"{refusal.detail}\n".encode()
        return _response(refusal.status, b"text/plain", detail, method, refusal.fields)
    if method not in ("GET", "HEAD"):
        return _response(405, b"text/plain", b"Use GET or HEAD.\n", method, _ALLOW)
    report = engine_report(engine)
    accepted = parse_accept(head.fields.get(b"accept", b""))
    if media_weight(accepted, _JSON) > media_weight(accepted, _TEXT):
        return _response(200, b"application/json", report.to_json(), method)
    return _response(200, b"text/plain; charset=utf-8", report.to_text().encode(), method)


_ALLOW = ((b"allow", b"GET, HEAD"),)


def _response(
    status: int,
    content_type: bytes,
    body: bytes,
    method: str,
    more: tuple[tuple[bytes, bytes], ...] = (),
) -> list[Message]:
    fields: Fields = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"vary", b"accept, authorization"),
        *more,
    ]
    return [
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": b"" if method == "HEAD" else body},
    ]
