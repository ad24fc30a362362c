"""Listeners of the user's own, and the log of slow requests, beside the series of the report."""

import inspect
from collections.abc import Iterable
from typing import Any, NamedTuple

from asgi_serial.errors import ConfigurationError
from asgi_serial.timing.base import OnResponse, Recorder, Sample
from asgi_serial.timing.failures import Failures
from asgi_serial.timing.figures import TOTAL, divide
from asgi_serial.timing.recorder import Kind, Kinds, SeriesRecorder
from asgi_serial.timing.slow_log import log_slow

_CONSEQUENCE = "requests are answered all the same"


class Listener(NamedTuple):
    """A function that is told of each finished request that took at least `least_ns`."""

    hear: OnResponse
    failures: Failures
    least_ns: float = 0.0


def find_listeners(
    recorder: Recorder | None,
    on_response: OnResponse | None,
    slow_request_ms: float | None,
) -> dict[str, Listener]:
    """Return the listeners that are configured, by the names under which their failures count.

    Raises: ConfigurationError, for an object that is not a `Recorder`, or a callback that cannot
        be called with a sample.
    """
    listeners = {}
    if recorder is not None:
        record = getattr(recorder, "record", None)
        if not _is_function(record):
            raise ConfigurationError(
                f"recorder is {recorder!r}; expected an object with a method record(sample) that is"
                " not a coroutine function."
            )
        assert record is not None
        listeners["recorder"] = Listener(record, Failures("The recorder", _CONSEQUENCE))
    if on_response is not None:
        if not _is_function(on_response):
            raise ConfigurationError(
                f"on_response is {on_response!r}; expected a function of a sample that is not a"
                " coroutine function."
            )
        listeners["on_response"] = Listener(
            on_response, Failures("The callback on_response", _CONSEQUENCE)
        )
    if slow_request_ms is not None:
        failures = Failures("The log of slow requests", _CONSEQUENCE)
        listeners["slow_log"] = Listener(log_slow, failures, slow_request_ms * 1e6)
    return listeners


def _is_function(value: object) -> bool:
    call = getattr(value, "__call__", None)  # noqa: B004 - of an object, it may be a coroutine
    return callable(value) and not any(map(inspect.iscoroutinefunction, (value, call)))


class RelayRecorder:
    """Tells listeners of each finished request, and the series if there are any."""

    __slots__ = ("_listeners", "_series", "kinds", "usual_kinds")

    def __init__(self, listeners: Iterable[Listener], series: SeriesRecorder | None) -> None:
        self._listeners = tuple(listeners)
        self._series = series
        self.kinds = Kinds() if series is None else series.kinds
        self.usual_kinds = self.kinds.usual

    def record(self, kind: Kind, given: tuple[float, ...]) -> None:
        """Record one finished request; see KindRecorder."""
        if self._series is not None:
            self._series.record(kind, given)
        if kind.key is None:
            return
        sample = None
        for listener in self._listeners:
            if given[TOTAL] >= listener.least_ns:
                try:
                    sample = sample or _sample_of(kind, given)
                    listener.hear(sample)
                except Exception as error:  # a failing listener never breaks a request
                    listener.failures.note(error)


def _sample_of(kind: Kind, figures: tuple[Any, ...]) -> Sample:
    assert kind.key is not None  # malformed labels are told to nobody
    first_byte, total, app_bytes, encoded_bytes, sent_bytes, *_ = figures
    return Sample(
        *kind.key,
        round(first_byte),
        round(total),
        app_bytes,
        encoded_bytes,
        sent_bytes,
        kind.cache,
        kind.encodings,
        kind.coding,
        kind.format,
        divide(figures),
        kind.reasons,
    )
