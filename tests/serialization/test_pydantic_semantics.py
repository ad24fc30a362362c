"""By default the library writes and reads what Pydantic does, in every format."""

import asyncio
import dataclasses
import json
import math
from typing import Annotated, Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, computed_field
from pydantic_core import core_schema, from_json
from typing_extensions import TypedDict

from asgi_serial import (
    FormatError,
    SerializationConfig,
    create_serialization_manager,
    deserialized,
    encode_model,
    serialized,
)

from .catalogue import AT, ITEMS, MODELS, ODD, PLAIN, Aliased, Item, Login, Pair, Row

MANAGER = create_serialization_manager(SerializationConfig(), environ={})
NAMED = {**{name: (value, type(value)) for name, value in MODELS.items()}, **PLAIN}
EVERY_VALUE = pytest.mark.parametrize(("value", "type_"), NAMED.values(), ids=NAMED)
EVERY_FORMAT = pytest.mark.parametrize("format", ["json", "orjson", "msgpack"])


def is_alike(one, other):
    """Whether two values are equal; NaN equals NaN."""
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(is_alike, one, other))
    return type(one) is type(other) and one == other


@EVERY_VALUE
def test_json_is_pydantic_s_byte_by_byte(value, type_):
    adapter = TypeAdapter(type_)
    declared = MANAGER.serialize_sync(value, "json", as_type=type_, compress=False)
    assert declared == adapter.dump_json(value)
    if isinstance(value, BaseModel):
        assert MANAGER.serialize_sync(value, compress=False) == value.model_dump_json().encode()
    own = type_ if type_ is type(value) else Any
    plain = TypeAdapter(own).dump_json(value)
    assert MANAGER.serialize_sync(value, "json", compress=False) == plain
    assert encode_model(value, "application/json") == plain


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack", "cbor"])
@pytest.mark.parametrize("error", [AttributeError, KeyError, ValueError, ZeroDivisionError])
def test_what_a_computed_field_raises_is_a_format_error(format, error):
    class Broken(BaseModel):
        @computed_field
        @property
        def total(self) -> int:
            raise error("no rate")

    with pytest.raises(FormatError, match=r"Broken cannot be written as .*no rate"):
        MANAGER.serialize_sync(Broken(), format)


@EVERY_VALUE
def test_the_other_formats_hold_what_json_holds(value, type_):
    document = from_json(MANAGER.serialize_sync(value, "json", compress=False))
    packed = MANAGER.serialize_sync(value, "msgpack", compress=False)
    assert is_alike(msgpack.unpackb(packed, strict_map_key=False), document)
    assert is_alike(msgpack.unpackb(encode_model(value, "application/msgpack")), document)
    assert is_alike(from_json(MANAGER.serialize_sync(value, "orjson", compress=False)), document)


def outcome_of(read):
    """The value as text, or the faults for which it was refused."""
    try:
        return repr(read())
    except ValidationError as error:
        return [(fault["loc"], fault["type"]) for fault in error.errors()]


@EVERY_FORMAT
@EVERY_VALUE
def test_it_is_read_as_pydantic_reads_it(value, type_, format):
    adapter = TypeAdapter(type_)
    payload = MANAGER.serialize_sync(value, format, as_type=type_)
    expected = outcome_of(lambda: adapter.validate_json(adapter.dump_json(value)))
    assert outcome_of(lambda: MANAGER.deserialize_sync(payload, type_, format)) == expected
    read_later = MANAGER.deserialize_model
    assert outcome_of(lambda: asyncio.run(read_later(payload, type_))) == expected


@EVERY_VALUE
def test_a_pickle_comes_back_or_is_refused_when_it_is_written(value, type_):
    if value is ODD:
        with pytest.raises(FormatError, match="cannot be pickled: the function _compile is not"):
            MANAGER.serialize_sync(value, "pickle")
        return
    found = MANAGER.deserialize_sync(MANAGER.serialize_sync(value, "pickle"), type_, "pickle")
    assert type(found) is type(value)
    assert repr(found) == repr(value)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "include": st.sampled_from([{"id"}, {"id", "name"}, {"items": {0: {"id"}}}, {"at": ...}]),
        "exclude": st.sampled_from([{"id"}, {"name", "note"}, {"items": {"__all__": {"name"}}}]),
        **{
            name: st.booleans()
            for name in ("by_alias", "exclude_none", "exclude_unset", "exclude_defaults")
        },
        "context": st.just({"currency": "EUR"}),
        "round_trip": st.booleans(),
    },
)


@given(value=st.sampled_from(list(MODELS.values())), options=OPTIONS)
def test_options_mean_what_they_mean_in_pydantic(value, options):
    expected = TypeAdapter(type(value)).dump_json(value, **options)
    assert MANAGER.serialize_sync(value, "json", compress=False, **options) == expected
    packed = MANAGER.serialize_sync(value, "msgpack", compress=False, **options)
    assert is_alike(msgpack.unpackb(packed), from_json(expected))
    called = asyncio.run(MANAGER.serialize_model(value, "orjson", compress=False, **options))
    assert called == expected
    assert encode_model(value, "application/json", **options) == expected


class Unhashable:
    __hash__ = None


@pytest.mark.parametrize("format", ["json", "orjson", "msgpack"])
def test_options_apply_to_lists_of_models_too(format):
    payload = MANAGER.serialize_sync(ITEMS, format, exclude_none=True, exclude={0: {"name"}})
    found = MANAGER.deserialize_sync(payload, list[dict[str, Any]])
    assert found == [{"id": 0}, {"id": 1, "name": "item 1"}, {"id": 2, "name": "item 2"}]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exclude_nones": True}, "exclude_nones is not an option of a call .* exclude_none"),
        ({"indent": 2}, "indent is not"),
        ({"include": "id"}, "include is 'id'; expected a set of names"),
        ({"exclude": ["id"]}, r"exclude is \['id'\]; expected a set of names"),
        ({"by_alias": "yes"}, "by_alias is 'yes'; expected True or False"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_by_its_name(options, message):
    calls = [
        lambda: MANAGER.serialize_sync(ITEMS[0], **options),
        lambda: asyncio.run(MANAGER.serialize_model(ITEMS[0], **options)),
        lambda: encode_model(ITEMS[0], "application/msgpack", **options),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=message):
            call()


def test_a_pickle_takes_no_options():
    with pytest.raises(FormatError, match="cannot be pickled with exclude: a pickle holds the"):
        MANAGER.serialize_sync(ITEMS[0], "pickle", exclude={"id"})
    assert MANAGER.serialize_sync(ITEMS[0], "pickle", exclude=None, exclude_none=False)


async def write_all(manager, variants):
    return [
        await manager.serialize_model(ITEMS[0], cache_key="k", **options) for options in variants
    ]


def test_options_and_types_are_part_of_the_cache_s_key():
    manager = create_serialization_manager(SerializationConfig(), environ={})
    variants = [
        {},
        {"include": {"id"}},
        {"exclude": {"id"}},
        {"include": {"id": True, "name": True}},
        {"exclude_none": True},
        {"exclude_defaults": True},
        {"exclude_unset": True, "exclude": {"name"}},
        {"as_type": dict[str, Any] | Item, "exclude_none": True, "include": {"name"}},
    ]
    expected = [manager.serialize_sync(ITEMS[0], **options) for options in variants]
    for _ in range(3):
        assert asyncio.run(write_all(manager, variants)) == expected
    cache = manager.get_stats()["cached_manager"]["cache"]["l1_cache"]
    assert (cache["hits"], cache["misses"]) == (2 * len(variants), len(variants))


def test_equal_options_share_a_key():
    manager = create_serialization_manager(SerializationConfig(), environ={})
    variants = [
        {"include": {"id", "name"}, "exclude_none": True, "context": {"a": [1], "b": {2}}},
        {"context": {"b": {2}, "a": [1]}, "exclude_none": True, "include": {"name", "id"}},
    ]
    asyncio.run(write_all(manager, variants))
    assert manager.get_stats()["cached_manager"]["cache"]["l1_cache"]["hits"] == 1


def test_a_context_that_names_nothing_is_refused_with_a_key():
    manager = create_serialization_manager(SerializationConfig(), environ={})
    with pytest.raises(TypeError, match=r"an option holds .* a call without a cache_key"):
        asyncio.run(write_all(manager, [{"context": {"session": object()}}]))
    assert asyncio.run(manager.serialize_model(ITEMS[0], context={"session": object()}))


@pytest.mark.parametrize("type_", [list[Item], tuple[Item, ...], list[Item] | Item, list[Any]])
def test_any_type_can_be_given_to_decorators(type_):
    @serialized("msgpack", manager=MANAGER)
    def load() -> list[Item]:
        return ITEMS

    @deserialized(type_, "msgpack", manager=MANAGER)
    def count(items: type_) -> int:
        return len(items)

    assert count(load()) == len(ITEMS)


class Small(TypedDict, total=False):
    id: int


ORDERS = [
    (b'{"kind":"x"}', Small | dict[str, str]),
    (b'{"kind":"x"}', dict[str, str] | Small),
    (b'"a"', str | bytes),
    (b'"a"', bytes | str),
    (b"[1]", list[Annotated[int | float, Field(union_mode="left_to_right")]]),
    (b"[1]", list[Annotated[float | int, Field(union_mode="left_to_right")]]),
]


@pytest.mark.parametrize(("data", "type_"), ORDERS * 2)
def test_the_order_of_a_union_is_kept(data, type_):
    found = MANAGER.deserialize_sync(data, type_)
    assert repr(found) == repr(TypeAdapter(type_).validate_json(data))


def test_a_type_that_cannot_be_hashed_is_read_as_well():
    type_ = Annotated[int, Unhashable()]
    with pytest.raises(TypeError, match="unhashable"):
        hash(type_)
    assert [MANAGER.deserialize_sync(b"7", type_) for _ in range(2)] == [7, 7]
    assert MANAGER.serialize_sync(7, as_type=type_) == b"7"


@dataclasses.dataclass
class Plus:
    """Adds a number to what is read; all have one name, and cannot be hashed."""

    number: int

    def __repr__(self):
        return "Plus()"

    def __get_pydantic_core_schema__(self, source, handler):
        return core_schema.no_info_after_validator_function(
            lambda value: value + self.number, handler(source)
        )


def test_a_type_is_not_taken_for_one_that_is_gone():
    """The next object often gets the address of one that has been collected."""
    for number in range(20):
        assert MANAGER.deserialize_sync(b"1", Annotated[int, Plus(number)]) == 1 + number


def test_the_errors_of_a_type_name_it():
    for data, format in ((b"[1", "json"), (b"\xc1", "msgpack"), (b"x", "pickle")):
        with pytest.raises(ValidationError, match=r"list\[") as caught:
            MANAGER.deserialize_sync(data, list[Item], format)
        json.dumps(caught.value.errors(include_url=False, include_input=False))


def test_pickles_of_other_types_are_refused():
    payload = MANAGER.serialize_sync(ITEMS, "pickle")
    assert MANAGER.deserialize_sync(payload, list[Item], "pickle") == ITEMS
    for type_ in (list[Login], dict[str, Item], Item, tuple[Item, ...], list[int]):
        with pytest.raises(ValidationError, match="it holds an object of type list"):
            MANAGER.deserialize_sync(payload, type_, "pickle")
    pair = MANAGER.serialize_sync(Pair(1, "a"), "pickle")
    assert type(MANAGER.deserialize_sync(pair, Pair, "pickle")) is Pair


def test_a_value_that_pydantic_cannot_write_is_named():
    for format, reason in (("json", "JSON"), ("orjson", "JSON"), ("msgpack", "MessagePack")):
        with pytest.raises(FormatError, match=f"dict cannot be written as {reason}: Unable to"):
            MANAGER.serialize_sync({"a": object()}, format)


def test_names_follow_pydantic_s_own_choice():
    assert MANAGER.serialize_sync(Aliased(userName="a")) == b'{"name":"a","colour":"red"}'
    by_alias = MANAGER.serialize_sync(Aliased(userName="a"), by_alias=True)
    assert by_alias == b'{"userName":"a","color":"red"}'
    assert MANAGER.deserialize_sync(by_alias, Aliased).name == "a"


def test_rows_are_written_as_their_type_says():
    row = {"id": 1, "at": AT, "cents": 150}
    assert MANAGER.serialize_sync(row, as_type=Row).endswith(b'"cents":1.5}')
    assert MANAGER.serialize_sync(row).endswith(b'"cents":150}')
