"""The serialization library of `asgi_serial` under its older name.

New code imports from `asgi_serial`. To migrate, replace the name: both export the same objects.
"""

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
    create_serialization_manager,
    deserialized,
    get_default_manager,
    serialized,
    set_default_manager,
)

__all__ = [
    "CachedSerializationManager",
    "CompressionLevel",
    "JSONSerializer",
    "MsgPackSerializer",
    "OptimizedSerializationManager",
    "OrJSONSerializer",
    "PickleSerializer",
    "PydanticModelSerializer",
    "SerializationConfig",
    "SerializationFormat",
    "SerializationProfiler",
    "SerializationUtils",
    "create_serialization_manager",
    "deserialized",
    "get_default_manager",
    "serialized",
    "set_default_manager",
]
