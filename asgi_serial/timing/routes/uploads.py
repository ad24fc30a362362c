"""Rules for whether a route is known to read its requests as JSON.

The objects are recognized by their attributes, so no framework is imported. If it is not certain,
the answer is no: a handler that reads another format itself must get the body that was sent.
"""

from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

JSON_TYPE = "application/json"


def fastapi_reads_json(route: Any, context: Any) -> bool:
    """Whether a route of FastAPI declares a body that can only be made from JSON.

    `context` holds the route's body if its router was included in FastAPI, else it is None.
    """
    # A route class of the user's own may change the body before the handler gets it.
    handler = getattr(type(route), "get_route_handler", None)
    if getattr(handler, "__module__", "").partition(".")[0] != "fastapi":
        return False
    field = getattr(route if context is None else context, "body_field", None)
    info = getattr(field, "field_info", None)
    if info is None or info.media_type != JSON_TYPE:
        return False
    return not _takes_bytes(info.annotation, info.metadata)


def litestar_reads_json(handler: Any, sent: str) -> bool:
    """Whether a handler of Litestar reads its `data` from JSON; `sent` is the request's media type.

    A data transfer object reads MessagePack under Litestar's own name for it.
    """
    field = getattr(handler, "parsed_data_field", None)
    if field is None:
        return False
    declared = getattr(field.kwarg_definition, "media_type", None)
    if declared is not None and str(getattr(declared, "value", declared)) != JSON_TYPE:
        return False
    return sent != "application/x-msgpack" or handler.resolve_data_dto() is None


def _takes_bytes(annotation: Any, metadata: Any = ()) -> bool:
    """Whether Pydantic may accept bytes for this annotation, or it is not known."""
    # A validator of the user's own may read them.
    if any(callable(getattr(one, "func", None)) for one in metadata):
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _takes_bytes(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        return any(map(_takes_bytes, arguments))
    if annotation is Any or not isinstance(origin or annotation, type):
        return True  # a type variable, a name that is not resolved, ...
    return _is_text(annotation) or _model_takes_bytes(annotation)


def _is_text(annotation: Any) -> bool:
    """Whether bytes can be turned into this type without being parsed."""
    if not isinstance(annotation, type):
        return False  # a generic one
    if annotation in (object, bytearray, memoryview):
        return True
    return issubclass(annotation, bytes | str) and not issubclass(annotation, Enum)


def _model_takes_bytes(model: Any) -> bool:
    """Whether a model may be made from something other than its fields."""
    schema = getattr(model, "__get_pydantic_core_schema__", None)
    if getattr(schema, "__module__", "pydantic").partition(".")[0] != "pydantic":
        return True
    decorators = getattr(model, "__pydantic_decorators__", None)
    if decorators is None:
        return False
    if any(one.info.mode != "after" for one in decorators.model_validators.values()):
        return True
    if getattr(model, "__pydantic_root_model__", False):
        root = model.model_fields["root"]
        return _takes_bytes(root.annotation, root.metadata)
    return False
