"""Functions keep their kind, their name and what they take; only bytes and models change places."""

import asyncio
import inspect

import pytest
from pydantic import ValidationError

from asgi_serial import (
    ConfigurationError,
    SerializationFormat,
    deserialized,
    get_default_manager,
    serialized,
    set_default_manager,
)

from .models import Point

POINT = Point(x=1, y=2)
PAYLOAD = b'{"x":1,"y":2,"label":""}'


@serialized(SerializationFormat.JSON)
def load(x: int, *, y: int = 2) -> Point:
    """A point."""
    return Point(x=x, y=y)


@serialized()
async def load_later(x: int) -> Point:
    return Point(x=x, y=2)


@deserialized(Point, "json")
def sum_of(point: Point, factor: int = 1) -> int:
    return (point.x + point.y) * factor


@deserialized(Point)
async def sum_later(point: Point) -> int:
    return point.x + point.y


class Service:
    @serialized()
    def load(self) -> Point:
        return POINT

    @deserialized(Point)
    def sum_of(self, factor: int, point: "Point") -> int:
        return (point.x + point.y) * factor

    @classmethod
    @deserialized(Point)
    async def sum_later(cls, point) -> int:
        return point.x + point.y


def test_the_result_is_a_payload():
    assert load(1) == load(x=1, y=2) == Service().load() == PAYLOAD
    assert asyncio.run(load_later(1)) == PAYLOAD


@pytest.mark.parametrize("data", [PAYLOAD, bytearray(PAYLOAD), memoryview(PAYLOAD), POINT])
def test_the_argument_may_be_a_payload_or_a_model(data):
    assert sum_of(data) == sum_of(point=data) == 3
    assert sum_of(data, factor=2) == Service().sum_of(2, data) == 6
    assert asyncio.run(sum_later(data)) == asyncio.run(Service.sum_later(data)) == 3


def test_bytes_that_a_function_returns_are_left_as_they_are():
    assert serialized("msgpack")(lambda: b"ready")() == b"ready"

    @serialized("msgpack")
    async def ready():
        return b"ready"

    assert asyncio.run(ready()) == b"ready"


def test_frameworks_are_told_what_the_function_takes_and_gives():
    assert inspect.signature(load).return_annotation is bytes
    assert inspect.signature(sum_of).parameters["point"].annotation is bytes
    assert sum_of.__annotations__ == {"point": bytes, "factor": int, "return": int}
    assert (load.__name__, load.__doc__) == ("load", "A point.")
    assert inspect.iscoroutinefunction(load_later)
    assert inspect.iscoroutinefunction(sum_later)


def test_bytes_that_hold_no_model_are_refused_before_the_function_runs():
    with pytest.raises(ValidationError):
        sum_of(b"{}")
    with pytest.raises(ValidationError):
        asyncio.run(sum_later(b"\xff"))


def test_what_can_not_work_is_refused_where_it_is_decorated():
    with pytest.raises(TypeError, match="not a Pydantic model class"):
        deserialized("Point")
    with pytest.raises(TypeError, match="has no parameter for Point"):
        deserialized(Point)(lambda: None)


def test_arguments_that_do_not_fit_are_a_type_error():
    with pytest.raises(TypeError, match="missing"):
        sum_of()


def test_the_default_manager_is_made_once_from_the_environment(monkeypatch):
    monkeypatch.setenv("SERIALIZATION_FORMAT", "MSGPACK")
    assert get_default_manager() is get_default_manager()
    assert asyncio.run(load_later(1))[0] >= 0x80
    set_default_manager(None)
    monkeypatch.setenv("SERIALIZATION_FORMAT", "?")
    with pytest.raises(ConfigurationError):
        asyncio.run(load_later(1))
