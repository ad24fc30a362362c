"""A recorder of the user's own beside the series of the report."""

import inspect

from asgi_serial.errors import ConfigurationError
from asgi_serial.timing.base import Recorder, Sample
from asgi_serial.timing.failures import Failures
from asgi_serial.timing.recorder import Figures, Kind, SeriesRecorder, make_kinds


class RelayRecorder:
    """Tells a recorder of the user's own of each finished request, and the series if there are any.

    Raises: ConfigurationError, if what is given is no `Recorder`.
    """

    __slots__ = ("_failures", "_recorder", "_series", "kinds")

    def __init__(self, recorder: Recorder, series: SeriesRecorder | None) -> None:
        record = getattr(recorder, "record", None)
        if not callable(record) or inspect.iscoroutinefunction(record):
            raise ConfigurationError(
                f"recorder is {recorder!r}; expected an object with a method record(sample) that is"
                " not a coroutine function."
            )
        self._recorder = recorder
        self._series = series
        self._failures = Failures("The recorder", "requests are answered all the same")
        self.kinds = make_kinds() if series is None else series.kinds

    @property
    def failures(self) -> int:
        """How often the user's recorder has raised."""
        return self._failures.count

    def record(self, kind: Kind, figures: Figures) -> None:
        """Record one finished request; see KindRecorder."""
        if self._series is not None:
            self._series.record(kind, figures)
        if kind.key is None:
            return
        sample = Sample(
            *kind.key,
            *figures[:5],
            kind.cache,
            kind.encodings,
            kind.coding,
            kind.format,
            figures[5:-1],
            kind.reasons,
        )
        try:
            self._recorder.record(sample)
        except Exception as error:  # a failing recorder never breaks a request
            self._failures.note(error)
