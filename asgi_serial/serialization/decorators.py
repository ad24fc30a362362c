"""Decorators that serialize a function's result or deserialize its argument."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from asgi_serial.serialization.config import SerializationFormat
from asgi_serial.serialization.manager import OptimizedSerializationManager
from asgi_serial.serialization.models import check_type, name_of

F = Callable[..., Any]
M = TypeVar("M")

_SERIALIZED = (bytes, bytearray, memoryview, str)


class _Default:
    """The process-wide manager; made from the environment at its first use, unless one is set."""

    manager: OptimizedSerializationManager | None = None


def set_default_manager(manager: OptimizedSerializationManager | None) -> None:
    """Set the manager of decorators that have none; None resets it to a new one, made on demand.

    Raises: TypeError if it is no manager.
    """
    _Default.manager = check_manager(manager)


def check_manager(
    manager: OptimizedSerializationManager | None,
) -> OptimizedSerializationManager | None:
    """Return a manager, or None. Raises: TypeError for anything else."""
    if manager is None or isinstance(manager, OptimizedSerializationManager):
        return manager
    raise TypeError(
        f"manager is {manager!r}; expected what create_serialization_manager() returns, or None"
    )


def get_default_manager() -> OptimizedSerializationManager:
    """Return the manager of decorators that have none. Raises: ConfigurationError."""
    if _Default.manager is None:
        _Default.manager = OptimizedSerializationManager()
    return _Default.manager


def serialized(
    format: SerializationFormat | str | None = None,
    *,
    manager: OptimizedSerializationManager | None = None,
    compress: bool = True,
) -> Callable[[F], F]:
    """Make a function, synchronous or not, return the payload of the model that it returns.

    Bytes are returned unchanged. A route's handler should return the model instead, which the
    middleware encodes as the client prefers.

    Raises: ValueError for an unknown format.
    """
    _check(format)

    def decorate(function: F) -> F:
        def choose() -> OptimizedSerializationManager:
            return manager or get_default_manager()

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def call(*args: Any, **kwargs: Any) -> Any:
                result = await function(*args, **kwargs)
                if isinstance(result, bytes):
                    return result
                return await choose().serialize_model(result, format, compress=compress)
        else:

            @wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                result = function(*args, **kwargs)
                if isinstance(result, bytes):
                    return result
                return choose().serialize_sync(result, format, compress=compress)

        signature = inspect.signature(function)
        return _annotate(call, signature.replace(return_annotation=bytes))

    return decorate


def deserialized(
    model: type[M],
    format: SerializationFormat | str | None = None,
    *,
    manager: OptimizedSerializationManager | None = None,
) -> Callable[[F], F]:
    """Make a function, synchronous or not, accept the payload of a model in place of the model.

    The parameter is the first one that is annotated with the model, or else the first one that is
    not `self` or `cls`. Instances are passed on unchanged. Calls raise ValidationError for bytes
    that are not a payload of the model.

    Raises: TypeError if Pydantic cannot read `model`; ValueError for an unknown format.
    """
    _check(format)
    check_type(model)

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        name = _find_parameter(signature, model)

        def choose() -> OptimizedSerializationManager:
            return manager or get_default_manager()

        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def call(*args: Any, **kwargs: Any) -> Any:
                bound = signature.bind(*args, **kwargs)
                data = bound.arguments.get(name)
                if isinstance(data, _SERIALIZED):
                    found = await choose().deserialize_model(data, model, format)
                    bound.arguments[name] = found
                return await function(*bound.args, **bound.kwargs)
        else:

            @wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                bound = signature.bind(*args, **kwargs)
                data = bound.arguments.get(name)
                if isinstance(data, _SERIALIZED):
                    bound.arguments[name] = choose().deserialize_sync(data, model, format)
                return function(*bound.args, **bound.kwargs)

        parameters = [
            one.replace(annotation=bytes) if one.name == name else one
            for one in signature.parameters.values()
        ]
        return _annotate(call, signature.replace(parameters=parameters))

    return decorate


def _check(format: SerializationFormat | str | None) -> None:
    if format is not None:
        SerializationFormat(format)


def _find_parameter(signature: inspect.Signature, model: Any) -> str:
    """Return the name of the parameter for the model. Raises: TypeError if there is none."""
    name = name_of(model)
    taken = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    annotated = [one for one in taken if one.annotation in (model, name)]
    if not taken:
        raise TypeError(f"the function has no parameter for {name}; add one")
    return (annotated or taken)[0].name


def _annotate(function: F, signature: inspect.Signature) -> F:
    """Set the signature and annotations of `function`, which frameworks read."""
    annotations = {
        one.name: one.annotation
        for one in signature.parameters.values()
        if one.annotation is not inspect.Parameter.empty
    }
    if signature.return_annotation is not inspect.Signature.empty:
        annotations["return"] = signature.return_annotation
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__annotations__ = annotations
    return function
