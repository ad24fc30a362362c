"""Record requests that nobody has made."""

from typing import Any

from asgi_serial.timing.base import PHASES

NO_PHASES = (0,) * len(PHASES)


def record(
    recorder: Any,
    route: Any = "/",
    method: str = "GET",
    status: Any = 200,
    *,
    outcome: str = "completed",
    cache: str = "",
    encodings: str = "",
    coding: str = "identity",
    format: Any = "",
    reasons: Any = (),
    first_byte_ns: Any = 1,
    total_ns: Any = 1,
    app_bytes: Any = 0,
    encoded_bytes: Any = 0,
    sent_bytes: Any = 0,
    phases: Any = NO_PHASES,
    ended_ns: Any = 1,
) -> None:
    """Record one request, with any values, also malformed ones."""
    labels = (route, method, status, outcome, cache, encodings, coding, format, reasons)
    figures = (first_byte_ns, total_ns, app_bytes, encoded_bytes, sent_bytes, *phases, ended_ns)
    recorder.record(recorder.kinds[labels], figures)
