"""The serialization library: Pydantic models to bytes and back, without HTTP."""

from asgi_serial.serialization.cached_manager import CachedSerializationManager
from asgi_serial.serialization.config import (
    CompressionLevel,
    SerializationConfig,
    SerializationFormat,
)
from asgi_serial.serialization.decorators import (
    deserialized,
    get_default_manager,
    serialized,
    set_default_manager,
)
from asgi_serial.serialization.functions.cached_function import cached
from asgi_serial.serialization.http_responses import (
    SerialResponse,
    encode_model,
    validation_problem,
)
from asgi_serial.serialization.manager import (
    OptimizedSerializationManager,
    create_serialization_manager,
)
from asgi_serial.serialization.model_serializer import PydanticModelSerializer
from asgi_serial.serialization.profiler import SerializationProfiler
from asgi_serial.serialization.serializers import (
    JSONSerializer,
    MsgPackSerializer,
    OrJSONSerializer,
    PickleSerializer,
)
from asgi_serial.serialization.toolkit import SerializationUtils

__all__ = [
    "CachedSerializationManager",
    "CompressionLevel",
    "JSONSerializer",
    "MsgPackSerializer",
    "OptimizedSerializationManager",
    "OrJSONSerializer",
    "PickleSerializer",
    "PydanticModelSerializer",
    "SerialResponse",
    "SerializationConfig",
    "SerializationFormat",
    "SerializationProfiler",
    "SerializationUtils",
    "cached",
    "create_serialization_manager",
    "deserialized",
    "encode_model",
    "get_default_manager",
    "serialized",
    "set_default_manager",
    "validation_problem",
]
