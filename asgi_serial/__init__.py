"""Negotiation, compression, caching and timing for HTTP APIs in one ASGI middleware.

`create_serialization_manager` offers the same formats and codings for Pydantic models, without
HTTP.
"""

from asgi_serial.admin.prometheus_collector import prometheus_collector
from asgi_serial.asgi.warming import warm
from asgi_serial.engine.engine import Engine
from asgi_serial.errors import (
    AsgiSerialError,
    CodecError,
    ConfigurationError,
    FormatError,
    OutputLimitExceeded,
)
from asgi_serial.middleware import SerialMiddleware, build_engine, purge, timing_report
from asgi_serial.openapi.formats import openapi_formats
from asgi_serial.reasons import Reason
from asgi_serial.serialization import (
    CachedSerializationManager,
    CompressionLevel,
    JSONSerializer,
    MsgPackSerializer,
    OptimizedSerializationManager,
    OrJSONSerializer,
    PickleSerializer,
    PydanticModelSerializer,
    SerializationConfig,
    SerializationFormat,
    SerializationProfiler,
    SerializationUtils,
    SerialResponse,
    cached,
    create_serialization_manager,
    deserialized,
    encode_model,
    get_default_manager,
    serialized,
    set_default_manager,
    validation_problem,
)
from asgi_serial.settings.model import Settings
from asgi_serial.settings.policy import RoutePolicy, serial, set_policy
from asgi_serial.store.base import Store
from asgi_serial.timing.base import Recorder, Sample
from asgi_serial.timing.opentelemetry_recorder import OpenTelemetryRecorder
from asgi_serial.timing.report import Report
from asgi_serial.version import __version__ as __version__

__all__ = [
    "AsgiSerialError",
    "CachedSerializationManager",
    "CodecError",
    "CompressionLevel",
    "ConfigurationError",
    "Engine",
    "FormatError",
    "JSONSerializer",
    "MsgPackSerializer",
    "OpenTelemetryRecorder",
    "OptimizedSerializationManager",
    "OrJSONSerializer",
    "OutputLimitExceeded",
    "PickleSerializer",
    "PydanticModelSerializer",
    "Reason",
    "Recorder",
    "Report",
    "RoutePolicy",
    "Sample",
    "SerialMiddleware",
    "SerialResponse",
    "SerializationConfig",
    "SerializationFormat",
    "SerializationProfiler",
    "SerializationUtils",
    "Settings",
    "Store",
    "build_engine",
    "cached",
    "create_serialization_manager",
    "deserialized",
    "encode_model",
    "get_default_manager",
    "openapi_formats",
    "prometheus_collector",
    "purge",
    "serial",
    "serialized",
    "set_default_manager",
    "set_policy",
    "timing_report",
    "validation_problem",
    "warm",
]
