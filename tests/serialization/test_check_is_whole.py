"""With `check_round_trip`, whatever would be read as another value is refused, with its place."""

import re
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    SecretStr,
    SerializeAsAny,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from asgi_serial import FormatError

from .catalogue import (
    AT,
    ITEMS,
    MODELS,
    PLAIN,
    Cat,
    Dog,
    Flexible,
    Item,
    Larger,
    Login,
    Numbers,
    Open,
    Rectangle,
)

EVERY_FORMAT = pytest.mark.parametrize("format", ["json", "orjson", "msgpack"])


class WrongDefault(BaseModel):
    count: int = "many"


class LimitedDefault(BaseModel):
    count: int = Field(default=0, gt=0)


class WrongFactory(BaseModel):
    counts: list[int] = Field(default_factory=lambda: ["many"])


class NestedDefault(BaseModel):
    inner: WrongDefault = WrongDefault()


class AsAny(BaseModel):
    items: list[SerializeAsAny[Item]]


class Polymorphic(BaseModel):
    model_config = ConfigDict(polymorphic_serialization=True)
    item: Item


class AnyModel(BaseModel):
    model: BaseModel


class Patterned(BaseModel):
    pattern: re.Pattern[str]


class Deep(BaseModel):
    rows: dict[str, list[Numbers]] = {}


class Kinds(BaseModel):
    kinds: set[Any] = set()
    names: dict[Any, int] = {}


class Opaque:
    """A class that has no form in JSON."""


class Hidden(BaseModel):
    name: datetime | str
    secret: SecretStr = Field(exclude=True, alias="key")


class Connected(BaseModel, arbitrary_types_allowed=True):
    name: datetime | str
    connection: object = Field(exclude=True)
    pool: OrderedDict[str, int] = Field(exclude=True, validation_alias=AliasChoices("p", "q"))
    lock: Opaque = Field(exclude=True)


class Hiding(BaseModel):
    parts: list[Hidden]


class Named(BaseModel):
    name: str = Field(alias="userName")


class Containers(BaseModel):
    queue: deque[int] = deque()
    kinds: set[int] = set()
    counts: defaultdict[str, int] = defaultdict(int)


@pydantic_dataclass
class Partly:
    name: str
    note: str = Field(default="", exclude=True)


class Timed(BaseModel):
    at: datetime


@dataclass
class Board:
    rows: list[Any]


def assigned(model, **values):
    """The model with values that nobody has validated."""
    copy = model.model_copy()
    copy.__dict__.update(values)
    return copy


def later(seconds):
    return datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=seconds)))


REFUSED = {
    "a default of another type": (WrongDefault(), "$.count", "WrongDefault.count could not be"),
    "a default beyond its limit": (LimitedDefault(), "$.count", "greater than 0"),
    "what a factory makes": (WrongFactory(), "$.counts[0]", r"WrongFactory.counts\[0\] could not"),
    "a nested default": (NestedDefault(), "$.inner.count", "NestedDefault.inner.count could"),
    "SerializeAsAny": (AsAny(items=[Larger(id=1)]), "$.items[0]", "Larger.* as Item"),
    "a polymorphic field": (Polymorphic(item=Larger(id=1)), "$.item", "Larger.* as Item"),
    "a subclass in a field": (Flexible(at=AT, body=Larger(id=1)), "$.body", "Larger.* as Item"),
    "a field typed BaseModel": (AnyModel(model=ITEMS[0]), "$.model", "AnyModel.model would be"),
    "a pattern with flags": (
        Patterned(pattern=re.compile("a", re.IGNORECASE)),
        "$.pattern",
        "another value: re.compile",
    ),
    "a value that was assigned": (assigned(ITEMS[0], id="x"), "$.id", "Item.id could not be"),
    "a type that was assigned": (assigned(ITEMS[0], id=True), "$.id", "True as 1"),
    "text for a number": (Item.model_construct(id="7"), "$.id", "'7' as 7"),
    "a number far down": (
        Deep(rows={"a b": [Numbers(value=1), Numbers(value=1, rest=[float("nan")])]}),
        "$.rows['a b'][1].rest[0]",
        "is nan, which JSON has no number for, unless the config of the model sets ser_json_inf",
    ),
    "an offset of seconds": (Flexible(at=later(61)), "$.at", "not a whole number of minutes"),
    "a secret": (MODELS["secrets"], "$.pin", "Login.pin could not be read"),
    "an extra field": (Open(id=1, at=AT), "$.at", "Open.at would be read as another value"),
    "text like a time": (Flexible(at="2026-01-01T00:00:00"), "$.at", "as datetime"),
    "an ordered dict": (Deep.model_construct(rows=OrderedDict()), "$.rows", "OrderedDict.* as {}"),
    "a dict with a default": (Board([defaultdict(int, a=1)]), "$.rows[0]", "defaultdict.* as {'a"),
    "a default of another factory": (
        Containers.model_construct(counts=defaultdict(lambda: 5, a=1)),
        "$.counts",
        "Containers.counts would be read as another value: defaultdict",
    ),
    "a queue of limited length": (Containers(queue=deque([1], maxlen=1)), "$.queue", "maxlen=1"),
    "a frozenset": (Containers.model_construct(kinds=frozenset([1])), "$.kinds", "frozenset"),
    "a key of another type": (Kinds(names={1: 1}), "$.names", "Kinds.names would be read"),
    "a member of another type": (Kinds(kinds={AT}), "$.kinds", "Kinds.kinds"),
    "a root": (RootModel[list[Any]]([AT]), "$[0]", r"RootModel\[list\[Any\]\]\[0\] would be"),
    "a dataclass": (Board([{1}]), "$.rows[0]", r"Board.rows\[0\] would be"),
    "a model in a list": ([ITEMS[0], WrongDefault()], "$[1].count", "WrongDefault.count could"),
    "a model in a dict": ({"a": {"b": Login(user="a", password="b")}}, "$.a.b.pin", "Login.pin"),
    "a number in a list": ([1.0, float("inf")], "$[1]", r"the value\[1\] is inf"),
    "a value beside one that is excluded": (
        Hiding(parts=[Hidden(name="a", key="b"), Hidden(name="2026-01-01T00:00:00", key="b")]),
        "$.parts[1].name",
        r"Hiding.parts\[1\].name would be read as another value",
    ),
    "names in a list": ([Named(userName="a")], "$[0].userName", "Field required"),
}


@EVERY_FORMAT
@pytest.mark.parametrize(("value", "path", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_value_that_would_be_read_as_another_one_is_refused(
    make_checking, make_manager, value, path, message, format
):
    with pytest.raises(FormatError, match=message) as caught:
        make_checking().serialize_sync(value, format)
    assert caught.value.path == path
    assert "or set check_round_trip=False to write what Pydantic writes" in str(caught.value)
    assert make_manager().serialize_sync(value, format)


FAITHFUL = {
    **{
        name: model
        for name, model in MODELS.items()
        if name
        not in {
            "a serializer for a date",
            "secrets",
            "a union with text",
            "a union with a time",  # Decimal | float
            "aliases",  # an alias for writing alone
            "extra fields",
            "a model that wraps itself",
            "no number",
            "a field of a larger model",
            "a dataclass",  # its own serializer writes the name of an enum
        }
    },
    "a required field that is excluded": Hidden(name="a", key="b"),
    "excluded fields without a form": Connected(name="a", connection=1, p={}, lock=Opaque()),
    "required fields that are excluded, far down": Hiding(parts=[Hidden(name="a", key="b")] * 2),
    "an excluded field of a dataclass": Partly("a", note="b"),
    "a time that its zone has twice": Timed(
        at=datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))
    ),
    "a dict of the factory of its type": Containers(counts={"a": 1}),
    "a whole number for a float": Numbers(value=1),
    "a computed field": Rectangle(width=1, height=2),
    "aliases": Named(userName="a"),
}


@EVERY_FORMAT
@pytest.mark.parametrize("value", FAITHFUL.values(), ids=FAITHFUL)
def test_a_value_that_comes_back_is_written(make_checking, value, format):
    manager = make_checking()
    payload = manager.serialize_sync(value, format)
    if not isinstance(value, Hidden | Hiding | Connected | Partly | Timed):
        found = manager.deserialize_sync(payload, type(value), format)
        assert found == value or repr(found) == repr(value)  # NaN


@pytest.mark.parametrize(
    "name", ["a list of models", "a dict of models", "a list of discriminated models", "a set"]
)
def test_plain_data_of_faithful_models_is_written(make_checking, name):
    value, type_ = PLAIN[name]
    manager = make_checking()
    assert manager.deserialize_sync(manager.serialize_sync(value), type_) == value


def test_a_declared_type_is_what_is_read_back(make_checking):
    manager = make_checking()
    payload = manager.serialize_sync([Named(userName="a")], as_type=list[Named])
    assert manager.deserialize_sync(payload, list[Named]) == [Named(userName="a")]
    assert manager.serialize_sync(AT, as_type=datetime)
    with pytest.raises(FormatError, match=r"datetime \| str would be read as another value"):
        manager.serialize_sync(str(AT), as_type=datetime | str)


def test_what_a_call_leaves_out_on_purpose_is_not_missed(make_checking):
    manager = make_checking()
    assert manager.serialize_sync(ITEMS[1], include={"name"}) == b'{"name":"item 1"}'
    assert manager.serialize_sync([ITEMS[1]], exclude={0: {"id"}}, exclude_none=True)
    assert manager.serialize_sync(ITEMS[1], exclude_none=True) == b'{"id":1,"name":"item 1"}'


def test_a_choice_of_names_is_checked_as_it_is(make_checking):
    with pytest.raises(FormatError, match=r"Named\.userName could not be read back"):
        make_checking().serialize_sync(Named(userName="a"), by_alias=False)


def test_one_of_two_kinds_is_checked_by_its_own_class(make_checking):
    manager = make_checking()
    payload = manager.serialize_sync(Dog(tail="long"))
    assert manager.deserialize_sync(payload, Cat | Dog) == Dog(tail="long")
