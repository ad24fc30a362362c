"""Any model comes back equal from any format, or is refused before anything is lost."""

import math
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address, ip_address
from itertools import count
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AnyUrl,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    computed_field,
    create_model,
    field_serializer,
)

from asgi_serial import (
    FormatError,
    SerializationConfig,
    SerializationFormat,
    create_serialization_manager,
)

MANAGER = create_serialization_manager(
    SerializationConfig(
        pickle_key="a secret of some length", compression_threshold=200, check_round_trip=True
    ),
    environ={},
)


class Kind(Enum):
    TEXT = "text"
    NUMBER = 1
    PAIR = (1, 2)


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Leaf(BaseModel):
    size: int = 0
    at: datetime | None = None


class Twig(BaseModel):
    size: int = 0


class Tree(BaseModel):
    value: float = 0.0
    branches: list["Tree"] = []


class Base(BaseModel):
    """What every generated model inherits: a computed field, a serializer, an excluded field."""

    hidden: int = Field(default=0, exclude=True)
    rounded: float = 0.0
    doubled: int = 0

    @computed_field
    @property
    def total(self) -> int:
        return self.doubled + 1

    @field_serializer("rounded")
    def write_rounded(self, value: float) -> float:
        return round(value, 2)

    @field_serializer("doubled")
    def write_doubled(self, value: int) -> int:
        return value


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tail: str = ""


zones = st.timezones() | st.builds(
    timezone, st.integers(-1439, 1439).map(lambda minutes: timedelta(minutes=minutes))
)
datetimes = st.datetimes(timezones=st.none() | zones)
texts = st.text()
decimals = st.decimals(allow_nan=False, allow_infinity=False)
leaves = st.builds(Leaf, size=st.integers(), at=st.none() | datetimes)

# Types that are never refused in JSON, and what their values are.
PLAIN = [
    (int, st.integers()),
    (bool, st.booleans()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (str, texts),
    (date, st.dates()),
    (time, st.times()),
    (datetime, st.datetimes()),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (timedelta, st.timedeltas()),
    (Decimal, decimals),
    (UUID, st.uuids()),
    (Level, st.sampled_from(Level)),
    (Literal["a", "b", 3], st.sampled_from(["a", "b", 3])),
    (int | None, st.none() | st.integers()),
    (int | str, st.integers() | texts),
    (int | float | bool | None, st.none() | st.booleans() | st.integers()),
    (list[Decimal], st.lists(decimals, max_size=3)),
    (tuple[int, str], st.tuples(st.integers(), texts)),
    (set[int], st.sets(st.integers(), max_size=3)),
    (frozenset[UUID], st.frozensets(st.uuids(), max_size=3)),
    (dict[int, str], st.dictionaries(st.integers(), texts, max_size=3)),
    (dict[UUID, list[int]], st.dictionaries(st.uuids(), st.lists(st.integers()), max_size=2)),
    (AnyUrl, st.just(AnyUrl("https://example.com/a?b=c"))),
    (PurePosixPath, st.just(PurePosixPath("/a/b"))),
    (IPv4Address, st.just(ip_address("10.0.0.1"))),
    (Leaf, st.builds(Leaf, size=st.integers())),
    (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        st.builds(Cat, lives=st.integers()) | st.builds(Dog, tail=texts),
    ),
]
# Types some of whose values some formats can not give back.
DIFFICULT = [
    (bytes, st.binary(max_size=20)),
    (str, st.text(st.characters(categories=["Cs", "Ll"]))),
    (float, st.floats()),
    (float | None, st.floats() | st.none()),
    (list[float | None], st.lists(st.floats() | st.none(), max_size=3)),
    (datetime, datetimes),
    (time, st.times(timezones=zones)),
    (Kind, st.sampled_from(Kind)),
    (datetime | str, st.datetimes() | st.datetimes().map(str) | st.just("2026-01-01T00:00:00")),
    (str | bytes, texts | st.binary(max_size=5)),
    (Decimal | str, decimals | texts | st.just("1")),
    (Twig | Leaf, st.builds(Twig, size=st.integers()) | leaves),
    (list[int] | set[int], st.lists(st.integers(), max_size=3) | st.sets(st.integers())),
    (
        dict[int | str, int],
        st.dictionaries(st.integers(0, 3) | st.sampled_from("0123"), st.just(1)),
    ),
    (dict, st.dictionaries(st.integers(0, 3) | texts, st.integers(), max_size=2)),
    (
        Any,
        st.none() | st.integers() | texts | st.floats() | st.datetimes() | st.uuids()
        | st.lists(st.integers()) | st.tuples(st.integers()) | leaves | st.sets(st.integers()),
    ),
    (SecretStr, texts.map(SecretStr)),
    (Leaf, leaves),
    (list[Leaf], st.lists(leaves, max_size=3)),
    (Tree, st.recursive(st.builds(Tree, value=st.floats(width=16)),
                        lambda inner: st.builds(Tree, branches=st.lists(inner, max_size=2)))),
]  # fmt: skip

ALIASES = [
    {},
    {"alias": "other"},
    {"validation_alias": "other"},
    {"serialization_alias": "other"},
    {"validation_alias": AliasChoices("first", "second"), "serialization_alias": "second"},
]
CONFIGS = [
    {},
    {"extra": "forbid"},
    {"extra": "allow"},
    {"frozen": True},
    {"populate_by_name": True},
    {"ser_json_bytes": "base64"},
    {"ser_json_bytes": "base64", "val_json_bytes": "base64"},
    {"ser_json_inf_nan": "constants"},
    {"ser_json_timedelta": "float"},
]
NUMBERS = count()


@st.composite
def models(draw, types, aliases=ALIASES[:2], configs=CONFIGS[:1], base=BaseModel):
    """An instance of a class that is made for it, and lies in this module, to be pickled."""
    chosen = draw(st.lists(st.sampled_from(types), min_size=1, max_size=4))
    fields, values = {}, {}
    for number, (annotation, strategy) in enumerate(chosen):
        name = f"field{number}"
        options = dict(draw(st.sampled_from(aliases)))
        fields[name] = (annotation, Field(**{k: _numbered(v, number) for k, v in options.items()}))
        values[name] = draw(strategy)
    config = ConfigDict(arbitrary_types_allowed=True, **draw(st.sampled_from(configs)))
    # `create_model` takes a config or a base, not both.
    outer = type("Outer", (base,), {"model_config": config, "__module__": __name__})
    cls = create_model(f"Model{next(NUMBERS)}", __base__=outer, __module__=__name__, **fields)
    setattr(sys.modules[__name__], cls.__name__, cls)
    sent = {_read_name(cls, name): value for name, value in values.items()}
    if base is Base:
        sent |= {"hidden": draw(st.integers(0, 3)), "rounded": draw(st.floats(0, 9)), "doubled": 4}
    if config.get("extra") == "allow":
        sent["more"] = draw(st.integers() | st.datetimes() | texts)
    return cls.model_validate(sent)


def _numbered(alias, number):
    if isinstance(alias, AliasChoices):
        return AliasChoices(*(f"{choice}{number}" for choice in alias.choices))
    return f"{alias}{number}"


def _read_name(cls, name):
    alias = cls.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return alias.choices[0]
    return alias or name


def normal(value, *, excluded=False):
    """A value as what it means: its type, its parts, and the instant of a time."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        parts = {
            name: normal(part, excluded=excluded)
            for name, part in {**value.__dict__, **(value.__pydantic_extra__ or {})}.items()
            if excluded or name not in fields or not fields[name].exclude
        }
        return type(value), parts
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, datetime | time):
        # A time of day in a zone whose offset depends on the day has none, and is naive.
        offset = value.utcoffset()
        naive = value.replace(tzinfo=None, fold=0)
        is_instant = offset is not None and isinstance(value, datetime)
        # As numbers, since an instant may lie before the first year.
        return (naive - datetime.min - offset) if is_instant else (naive, offset)
    if isinstance(value, dict):
        return {(type(key), key): normal(part, excluded=excluded) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [normal(part, excluded=excluded) for part in value]
    return type(value), value


def check(model, format):
    payload = MANAGER.serialize_sync(model, format)
    found = MANAGER.deserialize_sync(payload, type(model), format)
    whole = format is SerializationFormat.PICKLE
    assert normal(found, excluded=whole) == normal(model, excluded=whole)


EVERY_FORMAT = pytest.mark.parametrize("format", list(SerializationFormat))


@pytest.mark.parametrize("format", ["json", "orjson", "pickle"], ids=str)
@given(model=models(PLAIN))
def test_models_of_plain_types_come_back_and_are_never_refused(format, model):
    check(model, SerializationFormat(format))


@EVERY_FORMAT
@given(model=models([*PLAIN, *DIFFICULT], ALIASES, CONFIGS))
def test_any_model_comes_back_or_is_refused(format, model):
    with suppress(FormatError):
        check(model, format)


@EVERY_FORMAT
@given(model=models([*PLAIN, *DIFFICULT], ALIASES, CONFIGS, base=Base))
def test_any_model_of_computed_excluded_and_serialized_fields_comes_back_or_is_refused(
    format, model
):
    with suppress(FormatError):
        check(model, format)
