"""A recorder that feeds the instruments of OpenTelemetry."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asgi_serial.errors import ConfigurationError
from asgi_serial.timing.base import ENCODE, PHASES
from asgi_serial.timing.instruments import (
    ACTIVE_REQUESTS,
    APP_BODY,
    CACHE_REQUESTS,
    CODING_INPUT,
    CODING_OUTPUT,
    CODING_RESPONSES,
    CODING_TIME,
    DEFAULT_BUCKETS,
    ENCODINGS_REQUESTS,
    FIRST_BYTE,
    OFF,
    PHASE_TIME,
    REASONS,
    REQUEST_DURATION,
    RESPONSE_BODY_SIZE,
    ROUTE,
    STATE,
    Instrument,
    in_unit,
    read_state,
    values_of,
)
from asgi_serial.timing.prometheus_text import COUNTER, Values
from asgi_serial.timing.recorder import OTHER_ROUTE, SeriesKey
from asgi_serial.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation

    from asgi_serial.timing.base import Sample

# They measure `http.server.*` for the apps that they instrument; those of FastAPI, Starlette and
# Litestar are built on the first one.
_INSTRUMENTATIONS = ("opentelemetry.instrumentation.asgi", "opentelemetry.instrumentation.django")

_HISTOGRAMS = {
    REQUEST_DURATION: DEFAULT_BUCKETS,
    FIRST_BYTE: DEFAULT_BUCKETS,
    RESPONSE_BODY_SIZE: (100.0, 1e3, 1e4, 1e5, 1e6, 1e7),
}
_COUNTERS = (
    *(PHASE_TIME, CACHE_REQUESTS, ENCODINGS_REQUESTS, REASONS, APP_BODY),
    *(CODING_RESPONSES, CODING_INPUT, CODING_OUTPUT, CODING_TIME),
)
_OVERFLOW = "otel.metric.overflow"


class OpenTelemetryRecorder:
    """Measures requests with OpenTelemetry: `SerialMiddleware(recorder=OpenTelemetryRecorder())`.

    The instruments are those of `meter_provider`, by default of the global one. `http_metrics` says
    whether `http.server.*` is among them. If it is None, it is, unless an instrumentation of
    OpenTelemetry that measures the same was imported before the first request. At most `max_routes`
    routes are told apart; requests of all others have the attribute `otel.metric.overflow`.

    Spans are neither made nor changed.

    Raises: ConfigurationError if OpenTelemetry's API is not installed.
    """

    def __init__(
        self,
        meter_provider: MeterProvider | None = None,
        *,
        http_metrics: bool | None = None,
        max_routes: int = 1000,
    ) -> None:
        try:
            from opentelemetry import metrics
        except ImportError:
            raise ConfigurationError(
                "OpenTelemetryRecorder needs a package that is not installed; "
                'install it with: pip install "asgi-serial[otel]"'
            ) from None
        meter = metrics.get_meter("asgi_serial", __version__, meter_provider)
        self._observe: type[Observation] = metrics.Observation
        self._http_metrics = http_metrics
        self._max_routes = max_routes
        self._routes: set[str] = set()
        self._engines: WeakKeyDictionary[Any, Callable[[Any], Mapping[str, Any]]] = (
            WeakKeyDictionary()
        )
        self._histograms = {
            one: meter.create_histogram(
                one.name, one.unit, one.description, explicit_bucket_boundaries_advisory=bounds
            )
            for one, bounds in _HISTOGRAMS.items()
        }
        # A call of the SDK takes several microseconds, and a request adds to a dozen counters. So
        # these are added up here, and read when they are exported.
        self._lock = Lock()
        self._sums: dict[Instrument, Counter[Values]] = {one: Counter() for one in _COUNTERS}
        for one in _COUNTERS:
            meter.create_observable_counter(
                one.name, [partial(self._read_sums, one)], one.unit, one.description
            )
        for one in dict.fromkeys(instrument for _, instrument, _ in STATE):
            # The state of several processes adds up, so that all of it can be counted up and down.
            create = (
                meter.create_observable_counter
                if one.kind == COUNTER
                else meter.create_observable_up_down_counter
            )
            create(one.name, [partial(self._read_state, one)], one.unit, one.description)

    def watch(self, engine: object, read: Callable[[Any], Mapping[str, Any]]) -> None:
        """Observe the state of an engine, which `read(engine)` returns, as long as it lives."""
        self._engines[engine] = read

    def record(self, sample: Sample) -> None:
        """Measure one finished request."""
        if self._http_metrics is None:
            self._http_metrics = sys.modules.keys().isdisjoint(_INSTRUMENTATIONS)
        route = sample.route if self._is_known(sample.route) else OTHER_ROUTE
        values = values_of(SeriesKey(route, sample.method, sample.status, sample.outcome))
        if self._http_metrics:
            attributes = _attributes_of(REQUEST_DURATION, values)
            self._histograms[REQUEST_DURATION].record(sample.total_ns / 1e9, attributes)
            self._histograms[RESPONSE_BODY_SIZE].record(sample.sent_bytes, attributes)
        attributes = _attributes_of(FIRST_BYTE, values[: len(FIRST_BYTE.labels)])
        self._histograms[FIRST_BYTE].record(sample.first_byte_ns / 1e9, attributes)
        with self._lock:
            for instrument, labels, amount in _amounts_of(route, sample):
                if amount:
                    self._sums[instrument][labels] += amount

    def _is_known(self, route: str) -> bool:
        """Whether a route is one of the first `max_routes`."""
        if route not in self._routes and len(self._routes) < self._max_routes:
            self._routes.add(route)
        return route in self._routes

    def _read_sums(self, instrument: Instrument, options: CallbackOptions) -> list[Observation]:
        with self._lock:
            sums = self._sums[instrument].copy()
        return [
            self._observe(in_unit(instrument, total), _attributes_of(instrument, values))
            for values, total in sums.items()
        ]

    def _read_state(self, instrument: Instrument, options: CallbackOptions) -> list[Observation]:
        if instrument is ACTIVE_REQUESTS and not self._http_metrics:
            return []
        sums: defaultdict[Values, float] = defaultdict(int)
        for engine, read in list(self._engines.items()):
            for one, values, value in read_state(read(engine)):
                if one is instrument:
                    sums[values] += value
        return [
            self._observe(total, _attributes_of(instrument, values))
            for values, total in sums.items()
        ]


def _attributes_of(instrument: Instrument, values: Values) -> dict[str, str | int | bool]:
    """Return labels as attributes.

    Source: Semantic conventions for HTTP metrics: `http.route` is required "if and only if it's
    available". Labels in parentheses stand for requests without a route.
    """
    pairs = zip(instrument.labels, values, strict=True)
    attributes: dict[str, str | int | bool] = {name: value for name, value in pairs if value != ""}
    route = attributes.get(ROUTE)
    if isinstance(route, str) and route.startswith("("):
        del attributes[ROUTE]
        if route == OTHER_ROUTE:
            attributes[_OVERFLOW] = True
    return attributes


def _amounts_of(route: str, sample: Sample) -> Iterator[tuple[Instrument, Values, int]]:
    """Yield what a request adds to the counters; times are in ns."""
    for phase, phase_ns in zip(PHASES, sample.phases, strict=True):
        yield PHASE_TIME, (route, phase), phase_ns
    yield CACHE_REQUESTS, (route, sample.cache or OFF), 1
    if sample.encodings:  # only those that were looked up
        yield ENCODINGS_REQUESTS, (route, sample.encodings), 1
    for reason in sample.reasons:
        yield REASONS, (route, reason.about, reason.token), 1
    yield APP_BODY, (route,), sample.app_bytes
    coding = (sample.coding,)
    yield CODING_RESPONSES, coding, 1
    yield CODING_INPUT, coding, sample.encoded_bytes
    yield CODING_OUTPUT, coding, sample.sent_bytes
    yield CODING_TIME, coding, sample.phases[ENCODE]
