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
    first_byte_ns: Any = 0,
    total_ns: Any = 0,
    app_bytes: Any = 0,
    encoded_bytes: Any = 0,
    sent_bytes: Any = 0,
    phases: Any = NO_PHASES,
    ended_ns: Any = 1,
) -> None:
    """Record one request, with any values, also malformed ones."""
    labels = (route, method, status, outcome, cache, encodings, coding, format, reasons)
    sizes = (app_bytes, encoded_bytes, sent_bytes)
    times = times_of(first_byte_ns, phases, ended_ns)
    recorder.record(recorder.kinds[labels], (first_byte_ns, total_ns, *sizes, *times))


def times_of(first_byte_ns: Any, phases: Any = NO_PHASES, ended_ns: Any = 1) -> tuple[Any, ...]:
    """The figures behind the sizes, of a request with these phases that read its body first."""
    waited, decoded, look_up, to_first, _, encoded, sent, background = phases
    before_call = waited + decoded + look_up
    apart = waited
    if isinstance(first_byte_ns, int):
        apart = first_byte_ns - before_call - to_first + waited
    usual = (before_call, sent, background, ended_ns)
    rest = (waited, decoded, waited, encoded, apart)
    return usual + rest if any(rest) else usual
