"""The log of slow requests, one structured line for each."""

import logging

from asgi_serial.timing.base import PHASES, Sample
from asgi_serial.timing.table import printable

_logger = logging.getLogger("asgi_serial.slow")
_LONGEST_ROUTE = 200


def log_slow(sample: Sample) -> None:
    """Log a request that took long; the record has its labels and phases as attributes.

    A formatter for JSON finds `route`, `method`, `status`, `outcome`, `cache`, `coding`,
    `total_ms`, `phases` (a dict of name to ms) and `reasons` (a list of names).
    """
    phases = {
        name: round(spent / 1e6, 3) for name, spent in zip(PHASES, sample.phases, strict=True)
    }
    total_ms = sample.total_ns / 1e6
    longest = sorted(phases.items(), key=lambda phase: -phase[1])[:3]
    spent_on = [f"{name} {spent:.0f} ms" for name, spent in longest if spent >= 0.5]
    _logger.warning(
        "%s %s took %.0f ms: %s",
        sample.method,
        # A resolver may name a route by its path, in which a client can send a line feed as %0A.
        printable(sample.route, _LONGEST_ROUTE),
        total_ms,
        ", ".join([f"{sample.status} {sample.outcome}", *spent_on]),
        extra={
            "route": sample.route,
            "method": sample.method,
            "status": sample.status,
            "outcome": sample.outcome,
            "cache": sample.cache,
            "coding": sample.coding,
            "total_ms": round(total_ms, 3),
            "phases": phases,
            "reasons": [reason.token for reason in sample.reasons],
        },
    )
