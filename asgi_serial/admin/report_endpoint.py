"""The timing report of an engine, as data and as an HTTP response."""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from asgi_serial.http.headers import read_fields
from asgi_serial.http.mediatypes import MediaType
from asgi_serial.http.negotiation import media_weight, parse_accept
from asgi_serial.timing.recorder import SeriesRecorder
from asgi_serial.timing.relay import RelayRecorder
from asgi_serial.timing.report import build_report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import SecretStr

    from asgi_serial.engine.engine import Engine
    from asgi_serial.timing.report import Report
    from asgi_serial.types import Fields, Message, Scope

_WANTED = frozenset({b"accept", b"authorization"})
_JSON = MediaType(b"application", b"json", ())
_TEXT = MediaType(b"text", b"plain", ())


def engine_report(engine: Engine) -> Report:
    """Return the report of an engine, including the state of its caches."""
    return build_report(engine.series or SeriesRecorder(), engine=engine_statistics(engine))


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


def is_for_report(engine: Engine, scope: Scope) -> bool:
    """Whether a request is for `report_path` rather than for the app."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path") or "") == engine.settings.report_path


def report_messages(engine: Engine, scope: Scope) -> list[Message]:
    """Return the response with the report: as text, or as JSON if the client prefers that."""
    method: str = scope["method"]
    fields = read_fields(scope["headers"], _WANTED)
    token = engine.settings.report_token
    if token is not None and not has_token(fields, token):
        return _response(401, b"text/plain", b"A Bearer token is required.\n", method, _CHALLENGE)
    if method not in ("GET", "HEAD"):
        return _response(405, b"text/plain", b"Use GET or HEAD.\n", method, _ALLOW)
    report = engine_report(engine)
    accepted = parse_accept(fields.get(b"accept", b""))
    if media_weight(accepted, _JSON) > media_weight(accepted, _TEXT):
        return _response(200, b"application/json", report.to_json(), method)
    return _response(200, b"text/plain; charset=utf-8", report.to_text().encode(), method)


def has_token(fields: Mapping[bytes, bytes], token: SecretStr) -> bool:
    """Whether a request with these fields carries the Bearer token."""
    # RFC 9110, 11.1: the scheme is case-insensitive. The token is compared in constant time.
    scheme, _, given = fields.get(b"authorization", b"").partition(b" ")
    is_known = compare_digest(given.strip(b" "), token.get_secret_value().encode())
    return scheme.lower() == b"bearer" and is_known


_CHALLENGE: Fields = [(b"www-authenticate", b'Bearer realm="timing report"')]
_ALLOW: Fields = [(b"allow", b"GET, HEAD")]


def _response(
    status: int, content_type: bytes, body: bytes, method: str, more: Fields | None = None
) -> list[Message]:
    fields: Fields = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"vary", b"accept, authorization"),
        *(more or ()),
    ]
    return [
        {"type": "http.response.start", "status": status, "headers": fields},
        {"type": "http.response.body", "body": b"" if method == "HEAD" else body},
    ]
