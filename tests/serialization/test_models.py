"""How classes are met: their traits, their names, and the odd kinds of them."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property, partial
from typing import Any, Generic, TypeVar

import pytest
from pydantic import (
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    PrivateAttr,
    RootModel,
    computed_field,
    field_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from asgi_serial import (
    FormatError,
    SerializationFormat,
    cached,
    encode_model,
)
from asgi_serial.serialization import models
from asgi_serial.serialization.models import ModelTypes
from asgi_serial.serialization.traits import study

from .models import Colour, Measured, Open, Point, Secret, Stamped, User

T = TypeVar("T")


class Frozen(BaseModel, frozen=True):
    points: tuple[Point, ...] = ()
    names: frozenset[str] = frozenset()
    colour: Colour | None = None


class FrozenList(BaseModel, frozen=True):
    points: list[Point] = []


class FrozenOpen(BaseModel, frozen=True, extra="allow"):
    x: int


class FrozenPrivate(BaseModel, frozen=True):
    x: int
    _calls: int = PrivateAttr(default=0)


class FrozenCached(BaseModel, frozen=True):
    x: int

    @cached_property
    def parts(self) -> list[int]:
        return [self.x]


class FrozenChecked(BaseModel, frozen=True):
    x: int

    @field_validator("x")
    @classmethod
    def check(cls, value: int) -> int:
        return value


class FrozenWrongDefault(BaseModel, frozen=True):
    points: tuple[int, ...] = Field(default=[])


class FrozenNest(BaseModel, frozen=True):
    inner: Stamped


class Changeable(BaseModel):
    x: int


class FrozenAround(BaseModel, frozen=True):
    inner: Changeable


@pytest.mark.parametrize(
    ("cls", "is_frozen"),
    [
        (Point, True),
        (Frozen, True),
        (Stamped, True),
        (FrozenList, False),
        (FrozenOpen, False),
        (FrozenPrivate, False),
        (FrozenCached, False),
        (FrozenChecked, False),
        (FrozenWrongDefault, False),
        (FrozenNest, False),
        (FrozenAround, False),
        (User, False),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_only_what_is_immutable_all_through_counts_as_frozen(cls, is_frozen):
    assert study(cls).is_frozen is is_frozen


@pytest.mark.parametrize(
    ("cls", "is_pure"),
    [
        (Frozen, True),
        (Stamped, True),
        (FrozenList, True),
        (FrozenOpen, True),
        (FrozenCached, True),
        (FrozenAround, True),
        (User, True),
        (FrozenPrivate, False),
        (FrozenChecked, False),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_value_depends_on_its_document_only_unless_code_of_the_application_runs(cls, is_pure):
    assert study(cls).is_pure is is_pure


def test_a_factory_is_known_by_its_field():
    assert study(Stamped).factory_fields == {"id"}


class ByAlias(BaseModel):
    name: str = Field(alias="userName")


class ByPath(BaseModel):
    name: str = Field(validation_alias=AliasPath("user", "name"))


class OneWay(BaseModel):
    name: str = Field(validation_alias="in", serialization_alias="out")


class Written(BaseModel):
    name: str = Field(serialization_alias="out")


class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    name: str = Field(alias="userName")


@pytest.mark.parametrize(
    ("cls", "sent", "document"),
    [
        (ByAlias, {"userName": "a"}, {"userName": "a"}),
        (Written, {"name": "a"}, {"name": "a"}),
        (Named, {"name": "a"}, {"name": "a"}),
    ],
)
def test_names_are_those_by_which_a_model_is_read(make_checking, cls, sent, document):
    payload = make_checking().serialize_sync(cls.model_validate(sent))
    assert json.loads(payload) == document


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack"])
@pytest.mark.parametrize(
    ("cls", "sent"), [(OneWay, {"in": "a"}), (ByPath, {"user": {"name": "a"}})]
)
def test_a_name_that_is_not_read_is_refused_when_it_is_written(make_checking, cls, sent, format):
    model = cls.model_validate(sent)
    with pytest.raises(FormatError, match=f"{cls.__name__}.name is written as"):
        make_checking().serialize_sync(model, format)
    assert make_checking(check_round_trip=False).serialize_sync(model, format)
    assert make_checking().serialize_sync(model, "pickle")


class WithJson(BaseModel):
    data: Json[list[int]]


class Closed(BaseModel, extra="forbid"):
    x: int

    @computed_field
    @property
    def double(self) -> int:
        return 2 * self.x


@pytest.mark.parametrize(
    "model", [WithJson(data="[1]"), Closed(x=1)], ids=["a field of JSON text", "a closed model"]
)
@pytest.mark.parametrize("format", list(SerializationFormat))
def test_what_a_reader_would_refuse_is_left_out(make_checking, model, format):
    manager = make_checking()
    payload = manager.serialize_sync(model, format)
    assert manager.deserialize_sync(payload, type(model), format) == model


LOSSES = [
    pytest.param(Measured(value=float("nan")), "which JSON has no", id="NaN"),
    pytest.param(Measured(value=float("-inf"), note="null"), "which JSON has no", id="infinity"),
    pytest.param(Open(data={"at": datetime(2026, 1, 1)}), "another value", id="a time as Any"),
    pytest.param(Open(data={"at": [float("nan")]}), "no number for", id="NaN as Any"),
    pytest.param(Secret(token="hunter2"), "another value", id="a secret"),
    pytest.param(
        User(
            **{"id": 1, "name": "a", "email": "e"},
            created_at=datetime(1800, 1, 1, tzinfo=timezone(timedelta(seconds=561))),
        ),
        "whole number of minutes",
        id="an offset with seconds",
    ),
]


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack"])
@pytest.mark.parametrize(("model", "reason"), LOSSES)
def test_a_value_that_would_be_lost_is_refused(make_checking, model, reason, format):
    with pytest.raises(FormatError, match=reason):
        make_checking().serialize_sync(model, format)
    manager = make_checking()
    found = manager.deserialize_sync(manager.serialize_sync(model, "pickle"), type(model), "pickle")
    assert repr(found) == repr(model)


@pytest.mark.parametrize("format", ["json", "orjson"])
@pytest.mark.parametrize(("model", "reason"), LOSSES)
def test_by_default_what_pydantic_writes_is_written(make_manager, model, reason, format):
    manager = make_manager()
    assert manager.serialize_sync(model, format) == model.model_dump_json().encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}], ids=repr)
@pytest.mark.parametrize("format", ["json", "orjson", "msgpack"])
def test_numbers_that_json_lacks_are_null_in_plain_data_or_refused(
    make_manager, make_checking, value, format
):
    manager = make_manager()
    found = manager.deserialize_sync(manager.serialize_sync(value, format), Any, format)
    assert found == ({"a": [None]} if isinstance(value, dict) else None)
    with pytest.raises(FormatError, match="which JSON has no number for"):
        make_checking().serialize_sync(value, format)


def test_the_words_for_what_is_no_number_may_be_text(make_manager):
    assert make_manager().serialize_sync({"a": "NaN"}) == b'{"a":"NaN"}'


class Page(BaseModel, Generic[T]):
    items: list[T]


@dataclass
class Plain:
    x: int


class Holder(BaseModel):
    plain: Plain


@pydantic_dataclass
class Checked:
    x: int


PageOfPoints = Page[Point]


@pytest.mark.parametrize("format", list(SerializationFormat))
@pytest.mark.parametrize(
    "model",
    [
        PageOfPoints(items=[Point(x=1, y=2)]),
        Holder(plain=Plain(1)),
        Checked(1),
        RootModel[list[int]]([1, 2]),
        RootModel[int](7),
    ],
    ids=lambda model: type(model).__name__,
)
def test_other_kinds_of_models_come_back(make_manager, model, format):
    manager = make_manager(default_format=format)
    assert manager.deserialize_sync(manager.serialize_sync(model), type(model)) == model


def test_a_class_that_waits_for_another_is_completed(make_manager):
    class Later(BaseModel):
        model_config = ConfigDict(defer_build=True)
        inner: "Point | None" = None

    payload = make_manager().serialize_sync(Later(inner=Point(x=1, y=2)))
    assert make_manager().deserialize_sync(payload, Later).inner == Point(x=1, y=2)


def test_classes_made_in_functions_do_not_pile_up():
    types = ModelTypes(None, strict=False, check=True)
    for _ in range(2_100):
        types.of(type("Made", (Point,), {"__module__": __name__}))
        if len(types._known) == 2_000:
            break
    types.of(type("Made", (Point,), {"__module__": __name__}))
    assert len(types._known) == 1


class OldSerializer:
    """Writes aliases by default, and refuses None, as that of Pydantic 2.7 to 2.10 does."""

    def __init__(self, serializer):
        self._serializer = serializer

    def to_json(self, value, *, by_alias=True, **options):
        return self._serializer.to_json(value, by_alias=self._checked(by_alias), **options)

    def to_python(self, value, *, by_alias=True, **options):
        return self._serializer.to_python(value, by_alias=self._checked(by_alias), **options)

    @staticmethod
    def _checked(by_alias):
        if not isinstance(by_alias, bool):
            raise TypeError("argument 'by_alias'")
        return by_alias


class Named(BaseModel, populate_by_name=True):
    id: int = Field(alias="ID")


class Renamed(BaseModel):
    id: int = Field(alias="ID")


@pytest.fixture
def old_pydantic(monkeypatch):
    """Writes as Pydantic did before models could choose by which names they are written."""
    adapt, clear = models.adapt, models.core_of_instances.cache_clear
    monkeypatch.setattr(
        models, "adapt", lambda serializer: adapt(OldSerializer(serializer), has_choice=False)
    )
    clear()
    yield
    clear()


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack", "cbor"])
def test_an_old_serializer_writes_names_unless_told_otherwise(old_pydantic, make_manager, format):
    manager, named = make_manager(), Named(ID=1)
    expected, by_alias = {"id": 1}, {"ID": 1}
    for written, as_type in ((named, None), (named, Named)):
        data = manager.serialize_sync(written, format, as_type=as_type)
        assert manager.deserialize_sync(data, Any, format) == expected
        data = manager.serialize_sync(written, format, as_type=as_type, by_alias=True)
        assert manager.deserialize_sync(data, Any, format) == by_alias


@pytest.mark.parametrize("media_type", ["application/json", "application/msgpack"])
def test_an_old_serializer_writes_names_in_responses(old_pydantic, make_manager, media_type):
    named, read = Named(ID=1), partial(make_manager().deserialize_sync, model=Any)
    assert read(encode_model(named, media_type)) == {"id": 1}
    assert read(encode_model(named, media_type, by_alias=True)) == {"ID": 1}


@pytest.mark.parametrize("cls", [Named, Renamed])
def test_a_function_is_cached_with_an_old_serializer(old_pydantic, make_manager, cls):
    @cached(manager=make_manager())
    def load() -> cls:
        return cls(ID=1)

    assert [load() for _ in range(3)] == [cls(ID=1)] * 3
    assert load.cache_info().hits == 2


class Shelf(BaseModel, Generic[T]):
    items: list[T]
    below: "Shelf[T] | None" = None


@pytest.mark.parametrize("type_", [Shelf[bytes], Shelf[bytes | int]])
@pytest.mark.parametrize("format", ["json", "msgpack", "cbor"])
def test_a_generic_model_that_holds_itself_is_written_by_other_options(make_manager, type_, format):
    manager = make_manager(pydantic_config={"ser_json_bytes": "base64"})
    shelf = type_(items=[b"\xff"], below=type_(items=[]))
    document = manager.serialize_sync(shelf, format)
    expected = {"items": ["_w=="], "below": {"items": [], "below": None}}
    assert manager.deserialize_sync(document, Any, format) == expected
    assert manager.deserialize_sync(b'{"items":["a"]}', type_, "json") == type_(items=[b"a"])


class Unfinished(BaseModel):
    other: "NoSuchClass"  # noqa: F821


def test_a_class_with_an_unknown_name_is_refused_as_a_type(make_manager):
    with pytest.raises(TypeError, match=r"Unfinished.* is not a Pydantic model class, nor another"):
        make_manager().deserialize_sync(b"{}", Unfinished)
