"""Negotiation, compression, caching and timing of HTTP APIs in one ASGI pass."""

from asgi_serial.engine.engine import Engine
from asgi_serial.errors import (
    AsgiSerialError,
    CodecError,
    ConfigurationError,
    FormatError,
    OutputLimitExceeded,
)
from asgi_serial.middleware import SerialMiddleware, build_engine, timing_report
from asgi_serial.policy import RoutePolicy, serial, set_policy
from asgi_serial.reasons import Reason
from asgi_serial.settings import Settings
from asgi_serial.timing.report import Report

__all__ = [
    "AsgiSerialError",
    "CodecError",
    "ConfigurationError",
    "Engine",
    "FormatError",
    "OutputLimitExceeded",
    "Reason",
    "Report",
    "RoutePolicy",
    "SerialMiddleware",
    "Settings",
    "build_engine",
    "serial",
    "set_policy",
    "timing_report",
]

__version__ = "0.1.0"
