"""A cached function gives what the function returned, or stores nothing."""

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from math import inf, nan
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PrivateAttr,
    SecretStr,
    SerializeAsAny,
    field_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from asgi_serial import cached
from asgi_serial.serialization.read_back import find_change

BERLIN = ZoneInfo("Europe/Berlin")


class User(BaseModel):
    id: int
    score: float | None = None
    more: Any = None


class Login(BaseModel):
    user: str
    password: SecretStr


class Rounded(BaseModel):
    price: float

    @field_serializer("price")
    def round_price(self, price: float) -> float:
        return round(price)


class Cheap(Rounded):
    price: float = 1.5


class Coded(BaseModel, ser_json_bytes="base64"):
    content: bytes = b"abcd"


class Open(BaseModel, extra="allow"):
    id: int


class Holder(BaseModel):
    id: int
    price: float = 0
    day: date = "2026-01-01"
    secret: str = Field("kept", exclude=True)
    _note: str = PrivateAttr("")


class Admin(User):
    rights: list[str] = []


class Team(BaseModel):
    lead: User


class AnyTeam(BaseModel):
    lead: SerializeAsAny[User]


class Pair(NamedTuple):
    x: int
    y: Any


class Row(TypedDict):
    at: Any


@dataclass
class Place:
    name: str
    tags: Any = field(default_factory=list)
    size: int = field(init=False, default=0)


@pydantic_dataclass
class Checked:
    name: str
    hidden: Any = Field(None, exclude=True)


class Custom:
    """Has no equality of its own."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls(),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: "custom"),
        )


class Incomparable(Custom):
    __hash__ = None

    def __eq__(self, other):
        raise LookupError


def of_type(type_, result):
    def load():
        return result

    load.__annotations__["return"] = type_
    return load


IGNORING_CASE = (re.Pattern, re.compile("a", re.IGNORECASE), "the value")  # pickles refuse it
CHANGED = [
    (Cheap, Cheap(), ".price"),
    (Coded, Coded(), ".content"),
    (float | None, nan, "the value"),
    (dict[str, Any], {"a": [1, inf]}, "[...][1]"),
    (dict, {1: 2}, "the value"),
    (dict, {1: "a", "1": "b"}, "the value"),
    (dict[str | None, int], {None: 1}, "the value"),
    (str | datetime, datetime(2026, 1, 1), "the value"),
    (str | Decimal, Decimal("1.5"), "the value"),
    (Any, (1, 2), "the value"),
    (list, [[{1}]], "[0][0]"),
    (Any, OrderedDict(a=1), "the value"),
    (deque[int], deque([1], maxlen=1), "the value"),
    (datetime, datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=3661))), "the value"),
    (set[str | date], {date(2026, 1, 1)}, "the value"),
    (User, User(id=1, score=nan), ".score"),
    (User, User(id=1, more={"a": date(2026, 1, 1)}), ".more[...]"),
    (User, User(id=1, more=User(id=2)), ".more"),
    (list[Login], [Login(user="ada", password="hunter2")], "[0].password"),
    (Rounded, Rounded(price=1.5), ".price"),
    (Open, Open(id=1, at=date(2026, 1, 1)), "[...]"),
    (AnyTeam, AnyTeam(lead=User(id=1, more=b"")), ".lead.more"),
    (Pair, Pair(1, b""), "[1]"),
    (Row, {"at": datetime(2026, 1, 1)}, "[...]"),
    (Place, Place("a", (1,)), ".tags"),
    (Annotated[int, AfterValidator(lambda value: value + 1)], 1, "the value"),
]


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack", "cbor"])
@pytest.mark.parametrize(("type_", "result", "place"), [*CHANGED, IGNORING_CASE])
def test_a_result_that_would_be_changed_is_given_and_not_stored(
    make_manager, caplog, type_, result, place, format
):
    load = cached(manager=make_manager(), format=format)(of_type(type_, result))
    assert load() is result
    assert load() is result
    assert load.cache_info()[-1] == 2
    [record] = caplog.records
    assert f"(FormatError: {place} would be read as another value)" in record.getMessage()


@pytest.mark.parametrize(("type_", "result", "place"), CHANGED)
def test_a_pickle_stores_such_a_result(make_manager, type_, result, place):
    load = cached(manager=make_manager(), format="pickle")(of_type(type_, result))
    first, second = load(), load()
    assert type(first) is type(second) is type(result)
    assert repr(first) == repr(second)
    assert load.cache_info().hits == 1


SAME = [
    (Holder, Holder(id=1, secret="lost"), Holder(id=1, price=0.0, day=date(2026, 1, 1))),
    (Team, Team(lead=Admin(id=1)), Team(lead=User(id=1))),
    (User, Admin(id=1), User(id=1)),
    (Holder, Holder.model_construct(id=1, price=2), Holder(id=1, price=2, day=date(2026, 1, 1))),
    (Open, Open(id=1, a=[None, 1.5, "x"]), Open(id=1, a=[None, 1.5, "x"])),
    (Checked, Checked("a", b"lost"), Checked("a")),
    (Place, Place("a", [1]), Place("a", [1])),
    (dict[int, set[str]], {1: {"a"}}, {1: {"a"}}),
    (Pair, Pair(1, [2]), Pair(1, [2])),
    *(
        (datetime, datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=BERLIN), at)
        for fold, at in enumerate(
            [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)]
        )
    ),
    (Decimal, Decimal("1.50"), Decimal("1.50")),
]


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of unvalidated defaults
@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize(("type_", "result", "expected"), SAME)
def test_a_result_that_is_read_as_it_was_is_stored(make_manager, type_, result, expected, format):
    load = cached(manager=make_manager(), format=format)(of_type(type_, result))
    assert load() == load() == expected
    assert load.cache_info().hits == 1


@pytest.mark.parametrize("cls", [Custom, Incomparable])
def test_objects_that_cannot_be_compared_count_as_equal(make_manager, cls):
    load = cached(manager=make_manager())(of_type(list[cls], [cls()]))
    assert type(load()[0]) is type(load()[0]) is cls
    assert load.cache_info().hits == 1


@pytest.mark.parametrize(
    ("written", "read"),
    [(User(id=1), None), (User(id=1), Login(user="a", password="b")), ([1], [1, 2]), (1, True)],
)
def test_other_values_differ(written, read):
    assert find_change(written, read) == "."
    assert find_change({"a": [written]}, {"a": [read]}) == "[...][0]"


def test_a_field_without_a_value_is_equal_to_none_of_the_other():
    partial = User.model_construct(id=1)
    del partial.__dict__["more"]
    assert find_change(partial, User(id=1)) == ".more"
