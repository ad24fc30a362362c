"""A class that was rebuilt is written and read by what it is now."""

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.dataclasses import dataclass, rebuild_dataclass
from pydantic_core import core_schema

from asgi_serial import cached, encode_model


class Limit:
    """An annotation whose schema is another one after a change of `most`."""

    most = 10

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        most = cls.most
        write = core_schema.plain_serializer_function_ser_schema(lambda value: f"{value}/{most}")
        return core_schema.no_info_before_validator_function(
            lambda value: int(str(value).partition("/")[0]),
            core_schema.int_schema(le=most),
            serialization=write,
        )


def make_model():
    class Item(BaseModel):
        n: Annotated[int, Limit]

    return Item, lambda: Item.model_rebuild(force=True)


def make_dataclass():
    @dataclass
    class Item:
        n: Annotated[int, Limit]

    return Item, lambda: rebuild_dataclass(Item, force=True)


@pytest.fixture(params=[make_model, make_dataclass])
def made(request, monkeypatch):
    monkeypatch.setattr(Limit, "most", 10)
    return request.param()


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack", "cbor"])
def test_values_are_written_and_read_by_the_new_schema(make_manager, made, format):
    item, rebuild = made
    manager = make_manager()
    document = manager.serialize_sync(item(n=7), format)
    assert b"7/10" in document
    assert manager.deserialize_sync(document, item, format) == item(n=7)
    with pytest.raises(ValidationError):
        manager.deserialize_sync(document.replace(b"7/10", b"70/1"), item, format)
    Limit.most = 100
    rebuild()
    assert b"7/100" in manager.serialize_sync(item(n=7), format)
    assert manager.deserialize_sync(document.replace(b"7/10", b"70/1"), item, format) == item(n=70)


def test_a_response_is_encoded_by_the_new_schema(made):
    item, rebuild = made
    assert encode_model(item(n=7), "application/json") == b'{"n":"7/10"}'
    Limit.most = 100
    rebuild()
    assert encode_model(item(n=7), "application/json") == b'{"n":"7/100"}'


def test_a_cached_function_gives_what_the_new_schema_reads(make_manager, made):
    item, rebuild = made
    given = [7, 70]

    def load():
        return item(n=given[0])

    load.__annotations__["return"] = item
    load = cached(manager=make_manager())(load)
    assert load().n == load().n == 7
    Limit.most = 100
    rebuild()
    given.pop(0)
    load.refresh()
    assert load().n == load().n == 70
    assert load.cache_info().not_stored == 0


def test_an_instance_that_was_read_by_the_old_schema_is_not_found(make_manager, monkeypatch):
    monkeypatch.setattr(Limit, "most", 10)

    class Scale:
        factor = 1

        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            return core_schema.int_schema(le=cls.factor)

    class Item(BaseModel):
        model_config = ConfigDict(frozen=True)
        n: Annotated[int, Scale]

    manager = make_manager()
    kept = manager.deserialize_sync(b'{"n":1}', Item)
    assert manager.deserialize_sync(b'{"n":1}', Item) is kept
    Scale.factor = 0
    Item.model_rebuild(force=True)
    with pytest.raises(ValidationError):
        manager.deserialize_sync(b'{"n":1}', Item)
