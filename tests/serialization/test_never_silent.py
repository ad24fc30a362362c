"""No value changes unnoticed: it comes back, or is refused when it is written."""

import asyncio
from dataclasses import field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    FutureDatetime,
    HttpUrl,
    IPvAnyAddress,
    PrivateAttr,
    RootModel,
    Tag,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.dataclasses import dataclass

from asgi_serial import FormatError, deserialized, serialized
from asgi_serial.serialization.traits import study

Number = RootModel[int]
TEXT_FORMATS = ["json", "msgpack"]


class Cut(BaseModel):
    """Its validator may be run any number of times."""

    name: Annotated[str, AfterValidator(str.strip)]


class Raised(BaseModel):
    """Its validator may be run once."""

    price: Annotated[int, AfterValidator(lambda value: value + 1)]


class RaisedBefore(BaseModel):
    price: Annotated[int, BeforeValidator(lambda value: value * 2)]


class RaisedWhole(BaseModel):
    price: int

    @model_validator(mode="after")
    def raise_price(self):
        self.price += 1
        return self


class RaisedLast(BaseModel):
    price: int
    _calls: int = PrivateAttr(default=0)

    def model_post_init(self, context):
        self.price += 1


class RaisedFirst(BaseModel):
    price: int

    def __init__(self, price):
        super().__init__(price=price + 1)


@dataclass
class RaisedData:
    price: int

    def __post_init__(self):
        self.price += 1


@dataclass
class Counted:
    """The field is written, and is 0 whenever it is read."""

    name: str
    count: int = field(init=False, default=0)


def make_counted(count):
    counted = Counted(name="a")
    counted.count = count
    return counted


class Cat(BaseModel):
    size: int


class Dog(BaseModel):
    size: int


def tag_of(value):
    return "dog" if isinstance(value, Dog) else "cat"


class Pet(BaseModel):
    """The function tells dogs from their instances only."""

    animal: Annotated[
        Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")], Discriminator(tag_of)
    ]


class Shade(Enum):
    DARK = "dark"


class Shaded(BaseModel):
    model_config = ConfigDict(use_enum_values=True)

    shade: Shade = Shade.DARK


class Contact(BaseModel):
    address: HttpUrl
    host: IPvAnyAddress


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: int


class Square(BaseModel):
    kind: Literal["square"] = "square"
    radius: int


class Shape(BaseModel):
    shape: Annotated[Circle | Square, Field(discriminator="kind")]


@pytest.mark.parametrize("format", TEXT_FORMATS)
@pytest.mark.parametrize(
    "model",
    [
        Cut(name=" a "),
        make_counted(0),
        Pet(animal=Cat(size=1)),
        Shape(shape=Square(radius=1)),
        Contact(address="http://example.com/", host="::1"),
    ],
    ids=repr,
)
def test_what_reading_leaves_as_it_is_comes_back(make_checking, model, format):
    manager = make_checking()
    payload = manager.serialize_sync(model, format)
    assert manager.deserialize_sync(payload, type(model)) == model


@pytest.mark.parametrize("format", TEXT_FORMATS)
@pytest.mark.parametrize(
    "model",
    [
        Raised(price=1),
        RaisedBefore(price=1),
        RaisedWhole(price=1),
        RaisedLast(price=1),
        RaisedFirst(price=1),
        RaisedData(price=1),
        make_counted(3),
        Pet(animal=Dog(size=1)),
    ],
    ids=repr,
)
def test_what_reading_would_change_is_refused(make_checking, model, format):
    with pytest.raises(FormatError, match="another value"):
        make_checking().serialize_sync(model, format)


def test_the_values_of_enums_are_read_as_values(make_checking):
    manager = make_checking()
    assert manager.deserialize_sync(manager.serialize_sync(Shaded()), Shaded).shade == "dark"


@pytest.mark.parametrize("default", TEXT_FORMATS)
@pytest.mark.parametrize("format", TEXT_FORMATS)
@pytest.mark.parametrize("value", [-33, -1, 0, 7, 31, 40, 55, 127, 128, 300])
def test_a_number_alone_is_never_read_as_another_one(make_checking, value, format, default):
    manager = make_checking(default_format=default)
    payload = manager.serialize_sync(Number(value), format)
    assert manager.deserialize_sync(payload, Number, format).root == value
    if (value in range(10), format, default) == (True, "json", "msgpack"):
        with pytest.raises(ValidationError, match="name its format"):
            manager.deserialize_sync(payload, Number)
    else:
        assert manager.deserialize_sync(payload, Number).root == value


def test_a_small_number_of_other_software_is_read_as_messagepack(make_checking):
    manager = make_checking(default_format="msgpack")
    assert manager.deserialize_sync(b"\x07", Number).root == 7
    assert manager.deserialize_sync(b"\x37", Number, "msgpack").root == 55


def test_a_time_that_was_in_the_future_is_judged_anew(make_checking):
    class Due(BaseModel, frozen=True):
        at: FutureDatetime

    manager, due = make_checking(), Due(at=datetime.now(UTC) + timedelta(hours=1))
    payload = manager.serialize_sync(due)
    first, second = (manager.deserialize_sync(payload, Due) for _ in range(2))
    assert first == second == due
    assert first is not second


def test_a_model_whose_enum_has_code_of_its_own_is_not_kept():
    class Found(Enum):
        ONE = 1

        @classmethod
        def _missing_(cls, value):
            return cls.ONE

    class Holder(BaseModel, frozen=True):
        found: Found

    assert not study(Holder).is_frozen


def shapes():
    """Classes of one name that differ in one thing each."""
    small, large = Field(max_length=1), Field(max_length=2)
    return {
        "plain": create_model("One", name=(str, ...)),
        "another type": create_model("One", name=(bytes, ...)),
        "another name": create_model("One", title=(str, ...)),
        "an alias": create_model("One", name=(str, Field(alias="title"))),
        "a limit": create_model("One", name=(Annotated[str, small], ...)),
        "another limit": create_model("One", name=(Annotated[str, large], ...)),
        "a literal": create_model("One", name=(Literal["a", "b"], ...)),
        "another literal": create_model("One", name=(Literal["a", "c"], ...)),
        "an enum": create_model("One", name=(Enum("Name", {"A": "a"}), ...)),
        "another enum": create_model("One", name=(Enum("Name", {"A": "b"}), ...)),
        "a config": create_model("One", name=(str, ...), __config__=ConfigDict(extra="forbid")),
    }


def test_every_difference_of_a_class_tells_its_payloads_apart():
    fingerprints = {name: study(cls).fingerprint for name, cls in shapes().items()}
    assert len(set(fingerprints.values())) == len(fingerprints)
    assert fingerprints == {name: study(cls).fingerprint for name, cls in shapes().items()}


def test_a_payload_under_a_key_is_of_the_config_that_wrote_it(make_checking):
    async def write(manager):
        return await manager.serialize_model(Cut(name="a" * 5000), cache_key="k")

    manager = make_checking()
    plain = make_checking(enable_compression=False)
    before = asyncio.run(write(manager))
    manager.config.enable_compression = False
    assert asyncio.run(write(manager)) == asyncio.run(write(plain)) != before
    manager.config.enable_compression = True
    assert asyncio.run(write(manager)) == before


@pytest.mark.parametrize("key", [5, b"k", None, ("k",)], ids=repr)
def test_a_key_that_is_no_text_is_refused(make_checking, key):
    manager = make_checking()
    cache = manager.cached_manager.cache_manager
    calls = [cache.get(key), cache.set(key, b""), cache.delete(key)]
    if key is not None:
        calls.append(manager.serialize_model(Cut(name="a"), cache_key=key))
    for call in calls:
        with pytest.raises(TypeError, match="expected a str"):
            asyncio.run(call)


@pytest.mark.parametrize("decorate", [serialized, lambda format: deserialized(Cut, format)])
@pytest.mark.parametrize("format", ["yaml", len])
def test_a_format_that_is_none_is_refused_where_it_is_decorated(decorate, format):
    with pytest.raises(ValueError, match="not a valid SerializationFormat"):
        decorate(format)


class Priced(Raised):
    """Its defaults are integers, which Pydantic does not validate."""

    price: Annotated[int, AfterValidator(abs)] = 0
    tax: float = 0
    total: Decimal = Decimal(0)


def test_an_integer_in_the_place_of_another_number_is_no_other_value(make_checking):
    manager = make_checking()
    assert manager.deserialize_sync(manager.serialize_sync(Priced(price=1)), Priced).tax == 0
