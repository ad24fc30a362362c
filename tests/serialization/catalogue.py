"""Values that people write every day, with the types as which they are read."""

import re
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import (
    AnyUrl,
    Base64Bytes,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    PrivateAttr,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    SerializeAsAny,
    computed_field,
    field_serializer,
    model_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import MISSING
from typing_extensions import TypedDict

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Item(BaseModel):
    id: int
    name: str = ""
    note: str | None = None


class Dated(BaseModel):
    day: date

    @field_serializer("day")
    def write_day(self, day: date) -> str:
        return day.strftime("%d.%m.%Y")


class Login(BaseModel):
    user: str
    password: SecretStr
    token: SecretBytes = SecretBytes(b"t")
    pin: Secret[int] = Secret[int](7)


class Flexible(BaseModel):
    at: datetime | str
    amount: Decimal | float | None = None
    body: Item | list[Item] | dict[str, Any] = {}


class Aliased(BaseModel):
    name: str = Field(alias="userName")
    colour: Colour = Field(default=Colour.RED, serialization_alias="color")


class Camel(BaseModel):
    model_config = ConfigDict(
        alias_generator=lambda name: name.title(), populate_by_name=True, serialize_by_alias=True
    )
    first: int
    second: int = 2


class Open(BaseModel, extra="allow"):
    id: int


class Tree(BaseModel):
    value: float = 0
    children: list["Tree"] = []


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tail: str = ""


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


class Owner(BaseModel):
    pets: list[Pet] = []
    first: Pet | None = None


class Partial(BaseModel):
    id: int
    note: str | MISSING = MISSING


class Rectangle(BaseModel):
    width: int
    height: int

    @computed_field
    @property
    def area(self) -> int:
        return self.width * self.height


class Wrapped(BaseModel):
    id: int

    @model_serializer(mode="wrap")
    def wrap(self, handler):
        return {"data": handler(self), "version": 1}


class Keyed(BaseModel):
    by_colour: dict[Colour, int] = {}
    by_level: dict[Level, str] = {}
    by_id: dict[UUID, list[int]] = {}
    by_day: dict[date, Decimal] = {}


class Raw(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes


class Hexed(BaseModel):
    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")
    data: bytes


class Spans(BaseModel):
    span: timedelta


class FloatSpans(Spans):
    model_config = ConfigDict(ser_json_timedelta="float")


class Odd(BaseModel):
    host: IPv4Address
    network: IPv6Network
    path: Path
    url: AnyUrl
    queue: deque[int]
    kinds: frozenset[str]
    size: ByteSize
    pattern: re.Pattern[str]
    when: time
    rows: Sequence[int]
    counts: defaultdict[str, list[int]]
    ordered: OrderedDict[str, int]
    packed: Base64Bytes
    text: Json[list[int]]
    pair: tuple[int, str]
    names: set[str]
    hidden: int = Field(default=0, exclude=True)
    _calls: int = PrivateAttr(default=3)


class Numbers(BaseModel):
    value: float
    rest: list[float] = []


class Constants(Numbers):
    model_config = ConfigDict(ser_json_inf_nan="constants")


class Strings(Numbers):
    model_config = ConfigDict(ser_json_inf_nan="strings")


class Holder(BaseModel):
    any: SerializeAsAny[Item]


class Larger(Item):
    more: int = 1


@dataclass
class Plain:
    id: int
    at: datetime
    items: list[Item] = field(default_factory=list)
    colour: Annotated[Colour, PlainSerializer(lambda colour: colour.name)] = Colour.RED


@pydantic_dataclass
class Checked:
    id: int
    price: Decimal = Decimal("1.50")


class Row(TypedDict, total=False):
    id: int
    at: datetime
    cents: Annotated[int, PlainSerializer(lambda cents: cents / 100)]


class Pair(NamedTuple):
    left: int
    right: str


AT = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)
ID = UUID("00112233-4455-4677-8899-aabbccddeeff")
ODD = Odd(
    host="10.0.0.1",
    network="2001:db8::/32",
    path="/a/b",
    url="https://example.com/a?b=c",
    queue=[1, 2],
    kinds=["a"],
    size="1KB",
    pattern="a+",
    when=time(1, 2, 3),
    rows=[1, 2],
    counts={"a": [1]},
    ordered={"b": 1, "a": 2},
    packed=b"aGVsbG8=",
    text="[1]",
    pair=(1, "a"),
    names={"a"},
)
ITEMS = [Item(id=number, name=f"item {number}") for number in range(3)]
PageOfItems = Page[Item]

MODELS = {
    "a plain model": ITEMS[0],
    "a serializer for a date": Dated(day=date(2026, 1, 2)),
    "secrets": Login(user="ada", password="hunter2"),
    "a union with text": Flexible(at="2026-01-02T03:04:05", amount=Decimal("1.50")),
    "a union with a time": Flexible(at=AT, amount=1.5, body=ITEMS),
    "aliases": Aliased(userName="ada"),
    "a generator of aliases": Camel(First=1),
    "extra fields": Open(id=1, at=AT, tags={"a"}, item=ITEMS[0]),
    "a recursive model": Tree(children=[Tree(value=1.5), Tree(children=[Tree()])]),
    "a generic model": PageOfItems(items=ITEMS, total=3),
    "a discriminated union": Owner(pets=[Cat(), Dog(tail="long")], first=Cat(lives=1)),
    "a missing value": Partial(id=1),
    "a computed field": Rectangle(width=2, height=3),
    "a model that wraps itself": Wrapped(id=1),
    "keys of other types": Keyed(
        by_colour={Colour.RED: 1},
        by_level={Level.LOW: "low"},
        by_id={ID: [1]},
        by_day={date(2026, 1, 2): Decimal("0.10")},
    ),
    "bytes in base64": Raw(data=b"\xff\x00"),
    "bytes in hexadecimal": Hexed(data=b"\xff\x00"),
    "a duration": Spans(span=timedelta(hours=1, milliseconds=5)),
    "a duration as a number": FloatSpans(span=timedelta(seconds=1.5)),
    "odd types": ODD,
    "a root of numbers": RootModel[list[int]]([1, 2]),
    "a root of models": RootModel[dict[str, Item]]({"a": ITEMS[0]}),
    "a number alone": RootModel[int](7),
    "numbers": Numbers(value=1.5, rest=[0.0, -0.0, 1e300]),
    "no number": Numbers(value=float("nan"), rest=[float("inf")]),
    "no number, as a constant": Constants(value=float("nan"), rest=[float("-inf")]),
    "no number, as text": Strings(value=float("-inf"), rest=[float("nan")]),
    "a field of a larger model": Holder(any=Larger(id=1)),
    "a Pydantic dataclass": Checked(1),
    "a dataclass": Plain(1, AT, ITEMS),
}
PLAIN = {
    "a list of models": (ITEMS, list[Item]),
    "a dict of models": ({"a": ITEMS[0]}, dict[str, Item]),
    "a tuple of a model and a number": ((ITEMS[0], 1), tuple[Item, int]),
    "one of two models": (Dog(tail="short"), Cat | Dog),
    "a list of discriminated models": ([Cat(), Dog()], list[Pet]),
    "a dataclass in a list": ([Plain(1, AT)], list[Plain]),
    "a named tuple": (Pair(1, "a"), Pair),
    "rows": ([{"id": 1, "at": AT, "cents": 5}], list[Row]),
    "times and numbers": (
        {"at": AT, "day": AT.date(), "span": timedelta(1), "price": Decimal("1.50")},
        dict[str, datetime | date | timedelta | Decimal],
    ),
    "identifiers": ([ID, ID], list[UUID]),
    "enums": ({Colour.RED: Level.LOW}, dict[Colour, Level]),
    "a set": ({1, 2, 3}, set[int]),
    "a set of enums": (frozenset([Colour.RED]), frozenset[Colour]),
    "text": ("é\n", str),
    "a number": (7, int),
    "a small number": (Decimal("0.1"), Decimal),
    "nothing": (None, None),
    "a time": (AT, datetime),
    "an address": (IPv4Address("10.0.0.1"), IPv4Address),
    "a limited number": (5, Annotated[int, Field(gt=1, examples=[2])]),
    "bytes of text": (b"abc", bytes),
    "anything": ({"a": [1, None, {"b": True}]}, Any),
    "a default dict": (defaultdict(list, a=[1]), defaultdict[str, list[int]]),
    "a secret": (Secret[int](5), Secret[int]),
}
