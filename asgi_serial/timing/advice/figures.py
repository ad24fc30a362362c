"""The figures that advice is drawn from, and the form that it is given in."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from asgi_serial.reasons import Reason
from asgi_serial.timing.recorder import Series, SeriesKey
from asgi_serial.timing.table import printable

ENOUGH = 50
"""The number of requests from which a share of them says something."""


SETTINGS = (
    *("gzip_level", "brotli_level", "zstd_level", "format_max_size", "cache_max_object"),
    *("max_decoded", "max_gathered", "body_timeout", "max_series"),
)
"""The settings whose values decide about the line of a recommendation."""


class Recommendation(NamedTuple):
    """A change that the figures speak for.

    `text` is a sentence with the figures, `route` the route that it is about or "" for all, and
    `counters` the figures by their names in the report. `line` is the setting, the field of the
    response, or the line of the app to write.
    """

    text: str
    route: str
    counters: dict[str, float]
    line: str


class Limits:
    """The values of the settings on which the line of a recommendation depends."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def get(self, name: str) -> Any:
        """Return the value of a setting; None if it is unset or not known."""
        return self._settings.get(name)

    def raised(self, name: str, least_bytes: int = 0) -> str:
        """Return the line that raises a size: to twice its value, and to `least_bytes` at least."""
        current = self.get(name) or 0
        megabytes = -(-max(2 * current, least_bytes, 1) // 1_000_000)
        return f'{name}="{megabytes}MB"'


class Route:
    """One series, with what advice asks of it."""

    def __init__(self, key: SeriesKey, series: Series, limits: Limits) -> None:
        self.key = key
        self.series = series
        self.limits = limits
        self.count = series.total.count

    @property
    def name(self) -> str:
        """The route as a sentence names it."""
        return f"{self.key.method} {printable(self.key.route)} {self.key.status or 'other'}"

    def met(self, reason: Reason) -> int:
        """Return the number of requests with this reason."""
        return self.series.reasons.get(reason.name, 0)

    def has(self, reason: Reason, share: float) -> bool:
        """Whether at least this share of the requests have this reason."""
        return self.met(reason) >= share * self.count

    def policy(self, **options: object) -> str:
        """Return the line that sets these options for the route."""
        method = "GET" if self.key.method == "HEAD" else self.key.method
        pattern = f"{method} {printable(self.key.route)}"
        if not self.key.route.startswith("/"):  # a label that stands for several routes
            return ", ".join(f"{name}={_written(value)}" for name, value in options.items())
        values = ", ".join(f'"{name}": {_written(value)}' for name, value in options.items())
        return f"routes={{{json.dumps(pattern)}: {{{values}}}}}"


def _written(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)
