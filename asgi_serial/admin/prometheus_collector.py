"""The metrics of an app for a registry of the library prometheus-client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_serial.admin.metrics_endpoint import engine_families
from asgi_serial.engine.app_engines import engines_of
from asgi_serial.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from prometheus_client import Metric
    from prometheus_client.registry import Collector


def prometheus_collector(source: object) -> Collector:
    """Return a collector of an app's metrics: `REGISTRY.register(prometheus_collector(app))`.

    `source` is whatever `timing_report` accepts. Before its first request an app may have no
    metrics. If it has several engines, they are those of the first. Raises: ConfigurationError if
    prometheus-client is not installed.
    """
    try:
        from prometheus_client import Metric
    except ImportError:
        raise ConfigurationError(
            "prometheus_collector needs a package that is not installed; "
            'install it with: pip install "asgi-serial[prometheus]"'
        ) from None
    return _EngineCollector(source, Metric)


class _EngineCollector:
    def __init__(self, source: object, make_metric: type[Metric]) -> None:
        self._source = source
        self._make_metric = make_metric

    def describe(self) -> list[Any]:
        """Return nothing: the registry need not collect in order to learn the names."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the families of metrics."""
        for engine in engines_of(self._source)[:1]:
            for family in engine_families(engine):
                metric = self._make_metric(family.name, family.help, family.type, family.unit)
                for values, points in family.metrics:
                    labels = family.label(values)
                    for suffix, value, bound in points:
                        whole = {**labels, "le": bound} if bound else labels
                        metric.add_sample(family.name + suffix, whole, value)
                yield metric
