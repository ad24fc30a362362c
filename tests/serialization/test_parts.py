"""Each part of the library works alone: serializers, encoding for a response, tools."""

import json
from typing import Any

import pytest
from pydantic import (
    BaseModel,
    Field,
    RootModel,
    ValidationError,
)

from asgi_serial import (
    FormatError,
    JSONSerializer,
    MsgPackSerializer,
    OrJSONSerializer,
    PickleSerializer,
    SerializationFormat,
    SerializationUtils,
    encode_model,
)
from asgi_serial.serialization.models import ModelTypes

from .models import Measured, Point, Secret, User


@pytest.mark.parametrize("serializer", [JSONSerializer, OrJSONSerializer, MsgPackSerializer])
def test_each_serializer_works_alone(serializer):
    alone = serializer(ModelTypes(None, strict=False, check=True))
    assert alone.deserialize(alone.serialize(Point(x=1, y=2)), Point) == Point(x=1, y=2)


def test_the_serializer_of_pickles_works_alone():
    types = ModelTypes(None, strict=False, check=True)
    alone = PickleSerializer(types, b"k" * 32)
    assert alone.deserialize(alone.serialize(Point(x=1, y=2)), Point) == Point(x=1, y=2)


def test_a_pickle_of_another_class_or_shape_is_refused(make_manager):
    manager = make_manager()
    payload = manager.serialize_sync(Point(x=1, y=2), "pickle")
    with pytest.raises(ValidationError, match="it holds an object of type Point"):
        manager.deserialize_sync(payload, User, "pickle")


def test_the_model_serializer_writes_documents_without_compression(make_manager):
    serializer = make_manager(compression_threshold=0).cached_manager.model_serializer
    document = serializer.serialize(Point(x=1, y=2), SerializationFormat.JSON)
    assert document == b'{"x":1,"y":2,"label":""}'
    assert serializer.deserialize(document, Point, SerializationFormat.JSON) == Point(x=1, y=2)


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_a_model_is_encoded_as_a_media_type_says(media_type):
    assert encode_model(Secret(token="x"), media_type) == b'{"token":"**********"}'


def test_both_media_types_are_one_document():
    model = Measured(value=float("nan"), note="é")
    manager_view: Any = json.loads(encode_model(model, "application/json"))
    packed = encode_model(model, "application/vnd.msgpack")
    assert manager_view == {"value": None, "note": "é"}
    assert packed == MsgPackSerializer(ModelTypes(None, strict=False, check=True)).serialize(
        manager_view
    )


class ByAlias(BaseModel):
    name: str = Field(alias="userName")


def test_aliases_are_the_caller_s_choice_in_a_response():
    model = ByAlias(userName="a")
    assert encode_model(model, "application/json") == b'{"name":"a"}'
    assert encode_model(model, "application/json", by_alias=True) == b'{"userName":"a"}'


@pytest.mark.parametrize("media_type", ["text/html", "", "application/problem+json"])
def test_another_media_type_is_refused(media_type):
    with pytest.raises(FormatError, match="is not a media type"):
        encode_model(Point(x=1, y=2), media_type)


def test_an_instance_that_has_no_such_form_is_refused():
    class Arbitrary(BaseModel, arbitrary_types_allowed=True):
        value: object

    for media_type in ("application/json", "application/msgpack"):
        with pytest.raises(FormatError, match="Arbitrary cannot be written"):
            encode_model(Arbitrary(value=object()), media_type)
    with pytest.raises(FormatError, match="cannot be written as application/msgpack"):
        encode_model(RootModel[int](2**70), "application/msgpack")


@pytest.mark.parametrize("level", ["fast", "BALANCED", "max"])
@pytest.mark.parametrize("codec", ["zstd", "gzip"])
def test_the_tools_compress_and_tell_formats(level, codec):
    document = b'{"a":"%s"}' % (b"x" * 1000)
    packed = SerializationUtils.compress(document, level, codec=codec)
    assert len(packed) < 100
    assert SerializationUtils.decompress(packed) == document
    assert SerializationUtils.detect_format(packed) is SerializationFormat.JSON
    assert SerializationUtils.compress(b"x", level, codec=codec) == b"x"
    assert SerializationUtils.generate_hash(packed) != SerializationUtils.generate_hash(document)
