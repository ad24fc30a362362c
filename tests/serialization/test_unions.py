"""Of a union of any two types each value comes back as it was, or is refused when it is written."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from ipaddress import IPv4Address
from types import NoneType
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import (
    Base64Bytes,
    BaseModel,
    Field,
    Json,
    SecretStr,
    create_model,
)

from asgi_serial import FormatError, SerializationConfig, create_serialization_manager


class Letter(Enum):
    A = "a"


class Number(IntEnum):
    ONE = 1


class Part(Enum):
    HALF = 1.5


class Absent(Enum):
    NONE = None


class Sized(BaseModel):
    size: int = 1


class Named(BaseModel):
    name: str = "a"


VALUES = {
    str: ["a", "5", "2026-01-01", "PT1S", ""],
    int: [0, 1, 2**70],
    float: [1.0, 1.5],
    bool: [True],
    bytes: [b"a", b"5"],
    date: [date(2026, 1, 1)],
    datetime: [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)],
    time: [time(1, 2)],
    timedelta: [timedelta(seconds=1)],
    Decimal: [Decimal(5), Decimal("1.50")],
    UUID: [UUID(int=5)],
    IPv4Address: [IPv4Address("192.0.2.1")],
    SecretStr: [SecretStr("a")],
    Base64Bytes: [b"abc"],
    Json[int]: [5],
    NoneType: [None],
    Letter: [Letter.A],
    Number: [Number.ONE],
    Part: [Part.HALF],
    Absent: [Absent.NONE],
    Literal["a", 1]: ["a", 1],
    Annotated[int, Field(gt=0)]: [5],
    list[int]: [[], [1]],
    set[int]: [{1}],
    tuple[int, str]: [(1, "a")],
    dict[str, int]: [{"size": 1}, {}],
    dict[int, str]: [{1: "a"}],
    Sized: [Sized(), Sized(size=5)],
    Named: [Named()],
}
MANAGERS = [
    create_serialization_manager(
        SerializationConfig(strict_validation=is_strict, check_round_trip=True), environ={}
    )
    for is_strict in (False, True)
]


def come_back_or_are_refused(annotation, values):
    """How many of the values came back; fails where one was changed."""
    cls = create_model("Holder", field=(annotation, ...))
    count = 0
    for manager in MANAGERS:
        for format in ("json", "msgpack"):
            for value in values:
                try:
                    payload = manager.serialize_sync(cls.model_construct(field=value), format)
                except FormatError:
                    continue
                found = manager.deserialize_sync(payload, cls, format).field
                assert found == value, (annotation, format)
                # An integer may come back as another number that equals it.
                is_widened = (type(value), type(found)) == (int, Decimal)
                assert type(found) is type(value) or is_widened, (annotation, format)
                count += 1
    return count


@pytest.mark.parametrize("type_", VALUES, ids=str)
def test_in_unions_with_each_other_type(type_):
    others = [other for other in VALUES if other is not type_]
    unions = [type_ | other for other in others] + [other | type_ for other in others]
    counts = [come_back_or_are_refused(union, VALUES[type_]) for union in unions]
    assert sum(counts) > 0 or type_ is SecretStr


@pytest.mark.parametrize("type_", [type_ for type_ in VALUES if type_ is not SecretStr], ids=str)
def test_alone_and_in_a_list(type_):
    assert come_back_or_are_refused(type_, VALUES[type_]) > 0
    assert come_back_or_are_refused(list[type_], [VALUES[type_]]) > 0
