"""A FastAPI app with OpenTelemetry's own instrumentation and ours; prints what both have exported.

Semantic conventions are chosen by the environment, once for a process.
"""

import json
import sys

from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from asgi_serial import OpenTelemetryRecorder, SerialMiddleware

REQUESTS = 3


def main(*, ours: bool) -> None:
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    app = FastAPI()
    recorder = OpenTelemetryRecorder(meters) if ours else None
    app.add_middleware(SerialMiddleware, recorder=recorder, cache_ttl="60s")

    @app.get("/items/{number}")
    def get_item(number: int) -> list[int]:
        return [number] * 1000

    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracers, meter_provider=meters)
    with TestClient(app) as client:
        for _ in range(REQUESTS):
            assert client.get("/items/7").status_code == 200
    data = reader.get_metrics_data()
    assert data is not None
    metrics = {
        scope.scope.name: {
            metric.name: sum(getattr(point, "count", 1) for point in metric.data.data_points)
            for metric in scope.metrics
        }
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
    }
    spans = [[span.name, dict(span.attributes or {})] for span in exporter.get_finished_spans()]
    json.dump({"metrics": metrics, "spans": spans}, sys.stdout)


if __name__ == "__main__":
    main(ours=sys.argv[1] == "ours")
