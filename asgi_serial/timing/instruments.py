"""The metrics that exporters share: names, units and descriptions, and the values of the state.

Names and attributes of HTTP are those of OpenTelemetry's semantic conventions. All others begin
with `asgi_serial.`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from asgi_serial.timing.base import OUTCOMES
from asgi_serial.timing.prometheus_text import COUNTER, GAUGE, HISTOGRAM, Values
from asgi_serial.timing.recorder import OTHER_METHOD, SeriesKey

# Semantic conventions for HTTP metrics, "http.server.request.duration": "this metric SHOULD be
# specified with ExplicitBucketBoundaries of" these, in seconds.
DEFAULT_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5),
    *(0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)

COMPLETED = OUTCOMES[0]
OFF = "off"
"""The result of a cache that took no part in an answer."""

# OpenTelemetry, "Prometheus and OpenMetrics Compatibility": the unit is spelt out at the end of the
# name, and one in braces is left out.
_UNITS = {"s": "seconds", "By": "bytes"}


class Instrument(NamedTuple):
    """A metric, as OpenTelemetry names it; the unit is a code of UCUM."""

    name: str
    kind: str
    unit: str
    description: str
    labels: tuple[str, ...] = ()

    @property
    def prometheus_unit(self) -> str:
        """The unit in words; empty for a count of something.

        >>> REQUEST_DURATION.prometheus_unit, ACTIVE_REQUESTS.prometheus_unit
        ('seconds', '')
        """
        return _UNITS.get(self.unit, "")

    @property
    def prometheus_name(self) -> str:
        """The name in Prometheus, without the suffix of a counter.

        >>> REQUEST_DURATION.prometheus_name, CACHE_REQUESTS.prometheus_name
        ('http_server_request_duration_seconds', 'asgi_serial_cache_requests')
        """
        unit = self.prometheus_unit
        return f"{_spell(self.name)}_{unit}" if unit else _spell(self.name)

    @property
    def prometheus_labels(self) -> tuple[str, ...]:
        """The names of the labels in Prometheus.

        >>> FIRST_BYTE.prometheus_labels
        ('http_request_method', 'http_route')
        """
        return tuple(_spell(name) for name in self.labels)


def _spell(name: str) -> str:
    return name.replace(".", "_")


METHOD, ROUTE = "http.request.method", "http.route"
STATUS, ERROR = "http.response.status_code", "error.type"

REQUEST_DURATION = Instrument(
    "http.server.request.duration",
    HISTOGRAM,
    "s",
    "Duration of requests, from their arrival to the last message of the response.",
    (METHOD, ROUTE, STATUS, ERROR),
)
RESPONSE_BODY_SIZE = Instrument(
    "http.server.response.body.size",
    HISTOGRAM,
    "By",
    "Size of response bodies as they were sent.",
    (METHOD, ROUTE, STATUS, ERROR),
)
ACTIVE_REQUESTS = Instrument(
    "http.server.active_requests", GAUGE, "{request}", "Requests that are being answered."
)
# A histogram has many samples, so this one has fewer labels.
FIRST_BYTE = Instrument(
    "asgi_serial.time_to_first_byte",
    HISTOGRAM,
    "s",
    "Time from the arrival of requests to the first byte of the response body.",
    (METHOD, ROUTE),
)
PHASE_TIME = Instrument(
    "asgi_serial.phase.time",
    COUNTER,
    "s",
    "Time that requests spent in each phase.",
    (ROUTE, "phase"),
)
CACHE_REQUESTS = Instrument(
    "asgi_serial.cache.requests",
    COUNTER,
    "{request}",
    "Requests by how the cache of responses took part.",
    (ROUTE, "result"),
)
ENCODINGS_REQUESTS = Instrument(
    "asgi_serial.encodings.requests",
    COUNTER,
    "{request}",
    "Requests by whether the encoded form of their response was remembered.",
    (ROUTE, "result"),
)
REASONS = Instrument(
    "asgi_serial.reasons",
    COUNTER,
    "{request}",
    "Requests by the reasons why something was not done to their response.",
    (ROUTE, "about", "reason"),
)
APP_BODY = Instrument(
    "asgi_serial.app.body", COUNTER, "By", "Size of response bodies as the app made them.", (ROUTE,)
)
CODING_RESPONSES = Instrument(
    "asgi_serial.coding.responses",
    COUNTER,
    "{response}",
    "Responses by their content coding.",
    ("coding",),
)
CODING_INPUT = Instrument(
    "asgi_serial.coding.input",
    COUNTER,
    "By",
    "Size of response bodies before the content coding.",
    ("coding",),
)
CODING_OUTPUT = Instrument(
    "asgi_serial.coding.output",
    COUNTER,
    "By",
    "Size of response bodies after the content coding.",
    ("coding",),
)
CODING_TIME = Instrument(
    "asgi_serial.coding.time",
    COUNTER,
    "s",
    "Time that translating and encoding response bodies took, by the content coding.",
    ("coding",),
)
WEBSOCKETS_OPEN = Instrument(
    "asgi_serial.websockets.open", GAUGE, "{connection}", "WebSocket connections that are open."
)
WEBSOCKETS_ACCEPTED = Instrument(
    "asgi_serial.websockets.accepted",
    COUNTER,
    "{connection}",
    "WebSocket connections that the app has accepted.",
)
MEMORY_ENTRIES = Instrument(
    "asgi_serial.memory.entries", GAUGE, "{entry}", "Entries in the first level of the cache."
)
MEMORY_SIZE = Instrument(
    "asgi_serial.memory.size", GAUGE, "By", "Size of the first level of the cache."
)
MEMORY_LIMIT = Instrument(
    "asgi_serial.memory.limit", GAUGE, "By", "Largest size of the first level of the cache."
)
MEMORY_EVICTIONS = Instrument(
    "asgi_serial.memory.evictions",
    COUNTER,
    "{entry}",
    "Entries that the first level of the cache dropped for want of room.",
)
RESPONSES_STORED = Instrument(
    "asgi_serial.cache.stored", COUNTER, "{response}", "Responses that were stored."
)
STORE_CALLS = Instrument(
    "asgi_serial.store.calls",
    COUNTER,
    "{call}",
    "Calls of the second level, by operation.",
    ("operation",),
)
STORE_HITS = Instrument(
    "asgi_serial.store.hits", COUNTER, "{value}", "Values that the second level had."
)
STORE_FAILURES = Instrument(
    "asgi_serial.store.failures",
    COUNTER,
    "{call}",
    "Calls of the second level that failed or were not made, by kind.",
    ("kind",),
)
STORE_RETRIES = Instrument(
    "asgi_serial.store.retries", COUNTER, "{call}", "Calls of the second level that were repeated."
)
STORE_BREAKERS_OPEN = Instrument(
    "asgi_serial.store.breakers_open",
    GAUGE,
    "{breaker}",
    "Circuit breakers that hold back calls of the second level.",
)
PART_FAILURES = Instrument(
    "asgi_serial.part.failures",
    COUNTER,
    "{failure}",
    "Failures of the recorder, of the route resolver, and to count a request, by part.",
    ("part",),
)
SERIES_OVERFLOWED = Instrument(
    "asgi_serial.series.overflowed",
    COUNTER,
    "{request}",
    "Requests that were counted under (other), as max_series were taken.",
)

STATE: tuple[tuple[str, Instrument, Values], ...] = (
    ("in_flight", ACTIVE_REQUESTS, ()),
    ("websockets_open", WEBSOCKETS_OPEN, ()),
    ("websockets_accepted", WEBSOCKETS_ACCEPTED, ()),
    ("memory_entries", MEMORY_ENTRIES, ()),
    ("memory_bytes", MEMORY_SIZE, ()),
    ("memory_max_bytes", MEMORY_LIMIT, ()),
    ("memory_evictions", MEMORY_EVICTIONS, ()),
    ("responses_stored", RESPONSES_STORED, ()),
    ("store_gets", STORE_CALLS, ("get",)),
    ("store_sets", STORE_CALLS, ("set",)),
    ("store_adds", STORE_CALLS, ("add",)),
    ("store_increments", STORE_CALLS, ("increment",)),
    ("store_deletes", STORE_CALLS, ("delete",)),
    ("store_hits", STORE_HITS, ()),
    ("store_timeouts", STORE_FAILURES, ("timeout",)),
    ("store_crowded", STORE_FAILURES, ("crowded",)),
    ("store_errors", STORE_FAILURES, ("error",)),
    ("store_refusals", STORE_FAILURES, ("refusal",)),
    ("store_oversized", STORE_FAILURES, ("oversized",)),
    ("store_not_bytes", STORE_FAILURES, ("not-bytes",)),
    ("store_skipped_by_breaker", STORE_FAILURES, ("skipped-by-breaker",)),
    ("store_writes_dropped", STORE_FAILURES, ("write-dropped",)),
    ("store_retries", STORE_RETRIES, ()),
    ("store_open_breakers", STORE_BREAKERS_OPEN, ()),
    ("recorder_failures", PART_FAILURES, ("recorder",)),
    ("on_response_failures", PART_FAILURES, ("on-response",)),
    ("slow_log_failures", PART_FAILURES, ("slow-log",)),
    ("route_resolver_failures", PART_FAILURES, ("route-resolver",)),
    ("sample_failures", PART_FAILURES, ("count",)),
    ("overflowed", SERIES_OVERFLOWED, ()),
)
"""The instrument and the label of each figure in the state of an engine."""


def read_state(state: Mapping[str, Any]) -> Iterator[tuple[Instrument, Values, float]]:
    """Yield the values of an engine's state, those of one instrument one after the other."""
    for name, instrument, values in STATE:
        if name in state:
            yield instrument, values, state[name]


def values_of(key: SeriesKey) -> Values:
    """Return the values of method, route, status and error of a series.

    The error is the way in which an exchange ended before its time, or the status of an error of
    the server, or empty.

    Source: Semantic conventions for HTTP, `http.request.method`: "If the HTTP request method is not
    known to instrumentation, it MUST set the `http.request.method` attribute to `_OTHER`."
    `error.type`: "If response status code was sent or received and status indicates an error
    according to HTTP span status definition, `error.type` SHOULD be set to the status code number
    (represented as a string), an exception type (if thrown) or a component-specific error
    identifier."
    """
    method = "_OTHER" if key.method == OTHER_METHOD else key.method
    error = str(key.status) if key.status >= 500 else ""
    if key.outcome != COMPLETED:
        error = key.outcome
    return method, key.route, key.status, error


def in_unit(instrument: Instrument, amount: int) -> float:
    """Return an amount in the unit of its instrument; times are given in ns.

    >>> in_unit(PHASE_TIME, 1_500_000_000), in_unit(APP_BODY, 3)
    (1.5, 3)
    """
    return amount / 1e9 if instrument.unit == "s" else amount
