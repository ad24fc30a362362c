"""MessagePack and CBOR are read without JSON in between only where the outcome is the same."""

import json
import math
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import cbor2
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    VERSION,
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    FutureDate,
    OnErrorOmit,
    PrivateAttr,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from typing_extensions import TypedDict

from asgi_serial import SerializationConfig, create_serialization_manager
from asgi_serial.serialization import traits
from asgi_serial.serialization.models import ModelTypes
from asgi_serial.serialization.serializers import CborSerializer, MsgPackSerializer

PYDANTIC = tuple(map(int, VERSION.split(".")[:2]))
TYPES = ModelTypes(None, strict=False, check=False)
PACKERS = {"msgpack": msgpack.packb, "cbor": cbor2.dumps}
MANAGER = create_serialization_manager(SerializationConfig(enable_compression=False), environ={})


class Colour(Enum):
    RED = "a"
    ONE = 1
    YES = True


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Open(BaseModel, extra="allow"):
    a: int
    b: float | None = None


class Nested(BaseModel, from_attributes=True, str_strip_whitespace=True):
    first: Open | None = None
    name: str = Field(default="", alias="a", max_length=3)
    children: list["Nested"] = Field(default_factory=list)
    _calls: int = PrivateAttr(default=0)


@dataclass
class Line:
    a: int
    b: float = 0
    rest: list[Any] = field(default_factory=list)


class Part(TypedDict, total=False):
    a: int
    b: datetime


ATOMS = [
    *(None, True, False, 0, 1, -1, 2, 20_000, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1),
    *(-(2**63), 0.0, -0.0, 1.0, 1.5, -2.5, 86_399.5, 1e11, 2e10, 1e15, 1e300, 5e-324, 3.7e9),
    *(253_402_300_799, 253_402_300_800, -62_135_596_800, 123_456.789_012_3),
    *(math.nan, math.inf, -math.inf, "", " ", "1", "1.0", " 1 ", "1_0", "+1", "-0", "01", "1e3"),
    *("true", "True", "on", "yes", "f", "nan", "NaN", "-Infinity", "a", "ab", "null", "[]", "{}"),
    *("2026-01-01", "2026-01-01T12:01:30.123456", "2026-01-01T00:00:00+02:30", "2026-01-01 00:00"),
    *("12:00", "12:00:00.5Z", "12:00:00+01:00", "P1D", "1767225600", "1767225600.5", "\xe9"),
    *("12345678-1234-5678-1234-567812345678", "12345678123456781234567812345678", "\U0001f600"),
]
MEMBERS = [*ATOMS[::3], [1, "1", 1.0], {"a": 1}]
VALUES = [
    *ATOMS,
    *([], {}, [[]], [1, "1", True, 1.0], ["a", "ab", 1], {"": 0}, {"1": 1}, {"a": {"a": [None]}}),
    *([one] for one in MEMBERS),
    *({"a": one} for one in MEMBERS),
    *({"a": 1, "b": one, "rest": [one]} for one in MEMBERS),
    {"first": {"a": 1, "other": [{"x": -0.0}]}, "a": " ab ", "children": [{"children": []}]},
]
READ_PLAINLY = [
    *(str, int, float, bool, type(None), Any, datetime, date, time, UUID, Colour, Level),
    *(list, dict, set, frozenset, tuple, list[int], set[float], frozenset[str], tuple[int, ...]),
    *(tuple[int, str], tuple[()], dict[str, datetime], dict[str, Any], dict[Level, int]),
    *(int | None, list[datetime | None] | None, Literal["a", "ab"], Literal[1, True, "a"]),
    *(Literal[Colour.RED], Open, Nested, Line, Part, list[Open], dict[str, Line], FutureDate),
    *(dict[one, int] for one in (int, float, bool, datetime, date, UUID, Colour, int | None)),
    Annotated[float, Field(allow_inf_nan=False, gt=-3, multiple_of=0.5)],
    Annotated[int, Field(ge=0, lt=2**63, multiple_of=2)],
    Annotated[str, Field(min_length=1, max_length=3, pattern="^[a1]")],
    Annotated[list[int], Field(min_length=1, max_length=1)],
]


def outcome(read, value):
    """What a function gives for a value, with its type and sign, or ValidationError."""
    try:
        return repr(read(value))
    except ValidationError:
        return ValidationError
    except (TypeError, ValueError) as error:
        # Old releases let errors of sets and of enums through.
        if PYDANTIC >= (2, 11):
            raise
        return type(error)


def _names(types):
    return [getattr(one, "__name__", repr(one)) for one in types]


@pytest.mark.parametrize("type_", READ_PLAINLY, ids=_names(READ_PLAINLY))
def test_a_plain_type_reads_a_value_as_it_reads_its_json(type_):
    known = TYPES.of(type_)
    if known.validate_plain is None:
        # Before Pydantic 2.12, JSON has no integer of 64 bits for a float.
        assert PYDANTIC < (2, 12)
        return
    for value in VALUES:
        found = outcome(known.validate_plain, value)
        if isinstance(found, str):
            assert found == outcome(known.validate, json.dumps(value).encode()), value


class Timed(BaseModel):
    span: timedelta


class Strict(BaseModel, strict=True):
    a: int


class StrictField(BaseModel):
    a: int = Field(strict=True)


class StrictPart(TypedDict):
    __pydantic_config__ = ConfigDict(strict=True)
    a: int


class Coerced(BaseModel, coerce_numbers_to_str=True):
    a: str


class Chosen(BaseModel):
    a: int = Field(validation_alias=AliasChoices("a", "b"))


class Deep(BaseModel):
    a: int = Field(validation_alias=AliasPath("a", 0))


class Told(BaseModel):
    a: int

    @field_validator("a", mode="before")
    @classmethod
    def mark(cls, value: Any, info: Any) -> Any:
        return 7 if info.mode == "json" else 0


class Made(BaseModel):
    a: int

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Forgiving(Enum):
    ONE = 1

    @classmethod
    def _missing_(cls, value: object) -> "Forgiving":
        return cls.ONE


READ_AS_JSON = [
    *(Rights, list[Rights], Forgiving),
    *([complex] if PYDANTIC >= (2, 9) else []),
    *(Decimal, bytes, timedelta, int | str, list[datetime | str], Timed),
    *(Strict, StrictField, StrictPart, Coerced, Chosen, Deep, Told, Made, list[OnErrorOmit[int]]),
    Annotated[int, AfterValidator(abs)],
    Annotated[str, Field(coerce_numbers_to_str=True)],
]


@pytest.mark.parametrize("type_", READ_AS_JSON, ids=_names(READ_AS_JSON))
def test_a_type_that_may_read_a_value_in_another_way_is_read_from_json(type_):
    assert TYPES.of(type_).validate_plain is None
    read_json = TypeAdapter(type_).validate_json
    for value in VALUES:
        expected = outcome(read_json, json.dumps(value).encode())
        for format, pack in PACKERS.items():
            read = partial(MANAGER.deserialize_sync, model=type_, format=format)
            assert outcome(read, pack(value)) == expected, value


def test_in_strict_mode_documents_are_read_as_json():
    types = ModelTypes(None, strict=True, check=False)
    assert types.of(Open).validate_plain is None


def faults(read):
    with pytest.raises(ValidationError) as caught:
        read()
    return caught.value.title, caught.value.errors(include_url=False)


@pytest.mark.parametrize("format", PACKERS)
@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (Nested, 7),
        (Nested, {"a": {}}),
        (Nested, {"first": {"a": None}, "children": [{"children": [{"a": 7}]}], "a": "too long"}),
        (list[Open], [{"a": "x"}, {}, {"a": 1.5, "b": []}]),
        (list[Open], {"a": 1}),
        (Line, {"a": 1, "b": "x", "rest": {}}),
        (Line, [1]),
        (Part, {"b": "x"}),
        (Part, []),
        (dict[str, int], {"a": 1, "b": [1]}),
        (set[int], [[], 1]),
    ],
    ids=repr,
)
def test_the_faults_of_a_document_are_those_of_its_json(type_, value, format):
    packed = PACKERS[format](value)
    found = faults(lambda: MANAGER.deserialize_sync(packed, type_, format))
    assert found == faults(lambda: TypeAdapter(type_).validate_json(json.dumps(value)))


class Priced(BaseModel):
    price: float


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
@pytest.mark.parametrize("format", PACKERS)
def test_a_float_is_read_from_a_large_integer_as_in_json(number, format):
    document = {"price": number}
    read = partial(MANAGER.deserialize_sync, model=Priced)
    expected = outcome(partial(read, format="json"), json.dumps(document).encode())
    assert outcome(partial(read, format=format), PACKERS[format](document)) == expected


@pytest.mark.parametrize("is_alike", [True, False])
def test_floats_are_plain_if_pydantic_reads_large_integers_alike(is_alike, monkeypatch):
    monkeypatch.setattr(traits, "_reads_floats_alike", lambda: is_alike)
    types = ModelTypes(None, strict=False, check=False)
    assert (types.of(Priced).validate_plain is not None) is is_alike
    assert (types.of(list[Priced | None]).validate_plain is not None) is is_alike
    assert types.of(list[int]).validate_plain is not None


class Point(BaseModel):
    a: int


@pytest.mark.parametrize("make", [MsgPackSerializer, CborSerializer])
@pytest.mark.parametrize("count", [3, 5_000])
def test_many_faults_are_found_once(make, count):
    """A hostile document would take the time of both ways."""
    types = ModelTypes(None, strict=False, check=False)
    known, asked = types.of(list[Point]), []
    read_json = known.validate

    def read_and_note(data):
        asked.append(data)
        return read_json(data)

    known.validate = read_and_note
    serializer = make(types)
    packed = PACKERS[serializer.name]([{}, {"a": "x"}, 7] * count)
    found = faults(lambda: serializer.reader(list[Point])(packed))
    expected = faults(lambda: read_json(json.dumps([{}, {"a": "x"}, 7] * count)))
    if count == 3:
        assert len(asked) == 1
        assert found == expected
    else:
        assert asked == []
        assert found[0] == expected[0]
        keys = ("type", "loc", "input")
        assert [[one[key] for key in keys] for one in found[1]] == [
            [one[key] for key in keys] for one in expected[1]
        ]


DOCUMENTS = st.recursive(
    st.sampled_from(ATOMS)
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)


@given(value=DOCUMENTS)
def test_any_document_holds_what_its_json_holds(value):
    text = json.dumps(value).encode()
    for format, pack in PACKERS.items():
        found = MANAGER.deserialize_sync(pack(value), Any, format)
        assert repr(found) == repr(TypeAdapter(Any).validate_json(text))
