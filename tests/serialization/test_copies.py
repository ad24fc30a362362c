"""A copy equals what would be read from the document, and shares nothing that can be changed."""

import inspect
import string
import sys
from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum, IntFlag
from functools import cached_property, partial
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FutureDate,
    PrivateAttr,
    RootModel,
    Tag,
    computed_field,
    field_validator,
)
from typing_extensions import TypedDict

from asgi_serial import cached, set_default_manager
from asgi_serial.serialization.functions.copies import build_copier
from asgi_serial.serialization.functions.value_type import value_type
from asgi_serial.serialization.functions.values import CachedValue

from .clock import Clock

T = TypeVar("T")

SETS = set | frozenset
CONTAINERS = list | tuple | dict


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Place(BaseModel, frozen=True):
    x: int
    y: int = 0


class Address(BaseModel):
    city: str
    place: Place | None = None


class Customer(Address):
    """A subclass, with optional, mutable and excluded fields, and one with a factory."""

    id: int
    born: date | None = None
    names: list[str] = []
    others: dict[str, list[Address]] = {}
    secret: str = Field("kept", exclude=True)
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @cached_property
    def initials(self) -> list[str]:
        return [name[:1] for name in self.names]

    @computed_field
    @property
    def greeting(self) -> str:
        return f"Hello {self.city}"


class Guarded(BaseModel):
    """Its own code runs when an attribute is set."""

    count: int

    def __setattr__(self, name, value):
        raise AttributeError(name)


class Open(BaseModel, extra="allow"):
    id: int


class Renamed(BaseModel):
    user_id: int = Field(alias="userId")


class Tags(RootModel[list[str]]):
    pass


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: "Page[T] | None" = None


class Movie(TypedDict):
    name: str
    cast: NotRequired[list[str]]


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]

texts = st.text(string.printable, max_size=5)
numbers = st.integers(-(2**60), 2**60)
places = st.builds(Place, x=numbers) | st.builds(Place, x=numbers, y=numbers)
addresses = st.builds(Address, city=texts) | st.builds(
    Address, city=texts, place=st.none() | places
)
customers = st.builds(
    Customer,
    city=texts,
    id=numbers,
    born=st.none() | st.dates(),
    names=st.lists(texts, max_size=3),
    others=st.dictionaries(texts, st.lists(addresses, max_size=2), max_size=2),
    created=st.datetimes(timezones=st.just(UTC)),
)
jsons = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
pages = st.deferred(
    lambda: st.builds(Page[Customer], items=st.lists(customers, max_size=2), next=st.none() | pages)
)

VALUES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "models": (list[Customer], st.lists(customers, max_size=3)),
    "models by text": (dict[str, Address], st.dictionaries(texts, addresses, max_size=3)),
    "models or none": (list[Address | None], st.lists(st.none() | addresses, max_size=4)),
    "models or numbers": (dict[int, Address | int], st.dictionaries(numbers, addresses | numbers)),
    "models of two classes": (
        list[Pet],
        st.lists(
            st.builds(Cat, lives=numbers) | st.builds(Dog, tricks=st.lists(texts)), max_size=4
        ),
    ),
    "a model within one of its class": (Page[Customer], pages),
    "a model that refuses attributes": (Guarded, st.builds(Guarded, count=numbers)),
    "a model of more than its fields": (
        Open,
        st.dictionaries(st.text(string.ascii_lowercase, min_size=3), jsons).map(
            lambda more: Open(**{"id": 1, **more})
        ),
    ),
    "a model of other names": (Renamed, st.builds(Renamed, userId=numbers)),
    "a list that is a model": (list[Tags], st.lists(st.lists(texts).map(Tags), max_size=3)),
    "frozen models": (list[Place], st.lists(places, max_size=3)),
    "tuples": (
        list[tuple[int, Address]],
        st.lists(st.tuples(numbers, addresses), max_size=3),
    ),
    "tuples of numbers": (tuple[int, ...], st.lists(numbers).map(tuple)),
    "sets": (list[set[int]], st.lists(st.sets(numbers, max_size=3), max_size=3)),
    "sets of tuples": (set[tuple[int, str]], st.sets(st.tuples(numbers, texts), max_size=3)),
    "frozen sets": (list[frozenset[int]], st.lists(st.frozensets(numbers, max_size=3))),
    "typed dicts": (
        list[Movie],
        st.lists(st.fixed_dictionaries({"name": texts}, optional={"cast": st.lists(texts)})),
    ),
    "anything": (Any, jsons),
    "scalars": (
        list[Colour | Rights | Decimal | UUID | datetime | time | timedelta | bool | None],
        st.lists(
            st.one_of(
                st.sampled_from(Colour),
                st.none(),
                st.booleans(),
                st.uuids(),
                st.datetimes(timezones=st.just(UTC)),
            ),
            max_size=4,
        ),
    ),
}


def plain_type(manager, type_):
    return value_type(manager.cached_manager.pipeline, type_, None)


def parts_of(value):
    """All objects within a value, and how each is reached."""
    found = {"": value}
    waiting = [("", value)]
    while waiting:
        path, part = waiting.pop()
        inner = {}
        if isinstance(part, BaseModel):
            inner = {
                ".dict": vars(part),
                ".set": part.__pydantic_fields_set__,
                ".extra": part.__pydantic_extra__,
                ".private": part.__pydantic_private__,
            }
        elif isinstance(part, dict):
            inner = {f"[{key!r}]": one for key, one in part.items()}
            inner[".keys"] = tuple(part)
        elif isinstance(part, list | tuple):
            inner = {f"[{index}]": one for index, one in enumerate(part)}
        for name, one in inner.items():
            found[path + name] = one
            waiting.append((path + name, one))
    return found


def shown(value):
    """All that can be seen of a value."""
    return {path: (type(part), _shown(part)) for path, part in parts_of(value).items()}


def _shown(part):
    if isinstance(part, SETS):
        return sorted(map(repr, part))
    return len(part) if isinstance(part, CONTAINERS) else isinstance(part, BaseModel) or repr(part)


def mutable_ids(value):
    return {
        id(part)
        for part in parts_of(value).values()
        if isinstance(part, list | dict | set | BaseModel) and not isinstance(part, Place)
        # The content of a frozen model is shared with it.
    } - {
        id(inner)
        for part in parts_of(value).values()
        if isinstance(part, Place)
        for inner in (vars(part), part.__pydantic_fields_set__)
    }


def spoil(value):
    """Change all that can be changed."""
    for part in list(parts_of(value).values()):
        if isinstance(part, list):
            part.append("spoilt")
        elif isinstance(part, set):
            part.add("spoilt")
        elif isinstance(part, dict):
            part["spoilt"] = part.pop(next(iter(part), "spoilt"), 0)


@pytest.mark.parametrize(("type_", "values"), VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("format", ["json", "msgpack"])
def test_a_copy_equals_what_is_read(make_manager, type_, values, format):
    """In each type, field set, order and name; and no two share what can be changed."""
    known = value_type(make_manager().cached_manager.pipeline, type_, format)
    assert known.is_pure

    @given(values)
    def check(value):
        document = known.write(known.convert(value))
        expected, given = shown(known.read(document)), known.read(document)
        copier = build_copier(given)
        copies = [given, copier.copy(), copier.copy(), copier.copy()]
        assert [shown(one) for one in copies] == [expected] * 4
        ids = [mutable_ids(one) for one in copies]
        assert len(set().union(*ids)) == sum(map(len, ids))

    check()


def without_places(value):
    """The same without frozen models."""
    for part in parts_of(value).values():
        if isinstance(part, Address):
            part.place = None
    return value


@pytest.mark.parametrize(
    "name", ["models", "a model within one of its class", "anything", "sets", "typed dicts"]
)
def test_no_change_of_a_copy_is_seen_in_another(make_manager, name):
    type_, values = VALUES[name]
    known = plain_type(make_manager(), type_)
    # Frozen models are shared, whose content `spoil` would change.
    values = values.map(without_places)

    @given(values)
    def check(value):
        document = known.write(known.convert(value))
        given = known.read(document)
        copier, expected = build_copier(given), shown(given)
        spoil(given)
        first, second = copier.copy(), copier.copy()
        spoil(first)
        assert shown(second) == expected
        spoil(second)
        assert shown(copier.copy()) == expected

    check()


class Checked(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def check(cls, name):
        return name


class Private(BaseModel):
    x: int
    _calls: list[int] = PrivateAttr(default_factory=list)


class After(BaseModel):
    x: int

    def model_post_init(self, context):
        self.x += 1


class Initialised(BaseModel):
    x: int

    def __init__(self, **values):
        super().__init__(**values)
        self.x += 1


class Holder(BaseModel):
    inner: list[Checked]


class OnTime(BaseModel):
    at: FutureDate


@dataclass
class Row:
    x: int


class Nameless(BaseModel):
    id: UUID = Field(default_factory=uuid4, exclude=True)


class Strange(Enum):
    ONE = 1

    @classmethod
    def _missing_(cls, value):
        return cls.ONE


class Coloured(BaseModel):
    colour: Strange


def kind_of(value):
    return "cat"


Chosen = Annotated[Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")], Discriminator(kind_of)]


@pytest.mark.parametrize(
    "type_",
    [
        *(Checked, Holder, Private, After, Initialised, OnTime, Row, Coloured, list[Chosen]),
        *(Annotated[str, AfterValidator(str.lower)], Page[Checked], dict[str, Row]),
    ],
    ids=lambda one: getattr(one, "__name__", "")[:20],
)
def test_a_value_whose_reading_runs_code_is_read_anew(make_manager, type_):
    assert not plain_type(make_manager(), type_).is_pure


def test_a_pickle_is_read_anew(make_manager):
    """It may run code of its classes."""
    pipeline = make_manager().cached_manager.pipeline
    assert value_type(pipeline, list[Address], "json").is_pure
    assert not value_type(pipeline, list[Address], "pickle").is_pure


class Made(BaseModel):
    x: int

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)


class Observed(BaseModel):
    x: int

    def __getattribute__(self, name):
        return super().__getattribute__(name)


class Pair(NamedTuple):
    x: int


class Zone(tzinfo):
    def utcoffset(self, at):
        return timedelta(0)


@dataclass
class Default:
    x: int = 1


def with_private():
    made = Private(x=1)
    made._calls.append(1)
    return made


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


ONE = Address(city="one")
INCOMPLETE = type(
    "Incomplete", (BaseModel,), {"__annotations__": {"x": "Nowhere"}, "__module__": __name__}
)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Made(x=1), id="a class that makes its instances"),
        pytest.param(Observed(x=1), id="a class that gives its attributes"),
        pytest.param(Nameless(), id="a factory's value"),
        pytest.param(
            [Guarded.model_construct(), Guarded(count=1)], id="models of other attributes"
        ),
        pytest.param(with_private(), id="private attributes"),
        pytest.param(INCOMPLETE.model_construct(), id="a class that is not complete"),
        pytest.param([ONE, ONE], id="one object twice"),
        pytest.param({"a": [ONE], "b": {"c": ONE}}, id="one object in two places"),
        pytest.param([[1], OrderedDict(x=1)], id="a dict of another class"),
        pytest.param(defaultdict(list), id="a dict that fills itself"),
        pytest.param(Pair(1), id="a named tuple"),
        pytest.param(Default(), id="a dataclass"),
        pytest.param(object(), id="an object"),
        pytest.param({Row: 1}, id="a class"),
        pytest.param({(1, Default): 1}, id="a key with a part that is not known"),
        pytest.param(frozenset({object()}), id="a set of objects"),
        pytest.param(datetime(2026, 1, 1, tzinfo=Zone()), id="a time of an unknown zone"),
        pytest.param(nested(33), id="more levels than are copied"),
    ],
)
def test_a_value_with_an_unknown_part_is_read_anew(value):
    assert build_copier(value) is None


class Hashable(BaseModel):
    x: int

    def __hash__(self):
        return hash(self.x)


@pytest.mark.parametrize(
    "value",
    [{Hashable(x=1)}, {Hashable(x=1): 1}, frozenset({Hashable(x=1)}), {(Hashable(x=1),): 1}],
    ids=["in a set", "as a key", "in a frozen set", "in a key"],
)
def test_what_can_be_changed_is_not_copied_where_it_is_found_by_its_hash(value):
    assert build_copier(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *(datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), time(1), b"bytes"),
        *(datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), Colour.RED, (1, (Place(x=1),))),
        nested(31),
    ],
    ids=repr,
)
def test_what_nothing_can_change_is_shared(value):
    copier = build_copier([value])
    assert copier.copy() == copier.copy() == [value]
    assert (copier.copy()[0] is value) is not isinstance(value, list)


def test_the_value_itself_is_not_held():
    value = [Address(city="one"), {"a": [1]}]
    copier = build_copier(value)
    spoil(value)
    assert copier.copy() == [Address(city="one"), {"a": [1]}]


def test_a_copier_knows_its_size():
    small, large = (
        build_copier([Address(city=f"{number}") for number in range(count)]).size_bytes
        for count in (10, 1000)
    )
    assert 10 * 150 < small < 10 * 700
    assert 50 * small < large < 150 * small


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def manager(make_manager, clock):
    made = make_manager()
    made.cached_manager.values.clock = clock
    set_default_manager(made)
    return made


@pytest.fixture
def reads(monkeypatch, manager):
    """The documents that are read."""
    seen = []
    models = manager.cached_manager.pipeline.models
    reader = models.reader

    def read(inner, document):
        seen.append(document)
        return inner(document)

    monkeypatch.setattr(models, "reader", lambda *args: partial(read, reader(*args)))
    return seen


def load_customer():
    return Customer(city="Bonn", id=1, names=["a"], others={"x": [Address(city="b")]})


def test_each_caller_gets_a_copy_of_its_own(manager, reads):
    @cached
    def load() -> Customer:
        return load_customer()

    first = shown(load())
    for _ in range(4):
        found = load()
        assert shown(found) == first
        assert found.initials == ["a"]
        spoil(found)
    # The result, and two of those who got it.
    assert len(reads) == 3


def test_what_is_not_copied_is_read_for_each(manager, reads):
    @cached
    def load() -> Checked:
        return Checked(name="a")

    found = [load() for _ in range(5)]
    assert found == [Checked(name="a")] * 5
    assert len(reads) == 5


def test_a_part_that_is_not_known_is_found_once(manager, reads, monkeypatch):
    tried = []
    monkeypatch.setattr(
        "asgi_serial.serialization.functions.values.build_copier",
        lambda value: tried.append(value) or build_copier(value),
    )

    @cached
    def load() -> Made:
        return Made(x=1)

    assert [load() for _ in range(5)] == [Made(x=1)] * 5
    assert len(tried) == 1
    assert len(reads) == 5


def test_functions_of_the_result_change_nothing_for_others(manager):
    def spoilt(result):
        spoil(result)
        return 60

    @cached(ttl=spoilt, tags=lambda result: spoil(result) or ["a"])
    def load() -> list[list[int]]:
        return [[1]]

    load()
    assert [load() for _ in range(4)] == [[[1]]] * 4


def test_the_memory_counts_what_is_held(manager):
    @cached
    def load() -> list[Address]:
        return [Address(city=f"{number}") for number in range(1000)]

    memory = manager.cached_manager.values._memory
    load()
    load()
    before = memory.size_bytes
    load()
    assert memory.size_bytes > before + 1000 * 100
    held = memory.size_bytes
    load()
    assert memory.size_bytes == held
    load.invalidate()
    assert memory.size_bytes < before


def test_a_value_that_has_no_room_for_its_copier_is_read_anew(make_manager):
    manager = make_manager(cache_max_bytes=60_000)

    @cached(manager=manager)
    def load() -> list[Address]:
        return [Address(city=f"{number}") for number in range(1000)]

    assert len({len(load()) for _ in range(5)}) == 1
    assert load.cache_info().hits == 4
    assert manager.cached_manager.values._memory.size_bytes <= 60_000


def test_a_value_that_was_invalidated_meanwhile_does_not_come_back(manager, monkeypatch):
    @cached(key="k")
    def load() -> list[int]:
        return [1]

    def build(value):
        load.invalidate()
        return build_copier(value)

    load()
    load()
    monkeypatch.setattr("asgi_serial.serialization.functions.values.build_copier", build)
    load()
    assert manager.cached_manager.values.find("k") is None


def test_a_stale_value_is_copied_as_well(manager, clock, reads, monkeypatch):
    @cached(ttl=10, stale=10)
    async def load() -> list[list[int]]:
        return [[1]]

    monkeypatch.setattr(
        "asgi_serial.serialization.functions.function_cache.FunctionCache._start_refresh",
        lambda *args: None,
    )

    def get():
        with pytest.raises(StopIteration) as end:
            load().send(None)
        return end.value.value

    for _ in range(4):
        get()
    clock.now += 15
    get().append([2])
    assert get() == [[1]]
    clock.now += 15
    assert load.cache_info().stale == 2


def make_class(name, **config):
    return type(
        name,
        (BaseModel,),
        {
            "__annotations__": {"x": int},
            "__module__": __name__,
            "model_config": ConfigDict(**config),
        },
    )


@pytest.mark.parametrize("is_frozen", [True, False])
def test_a_value_is_of_the_class_that_is_asked_for(manager, is_frozen):
    """Of two classes of one name and shape, each caller gets its own."""
    first, second = (make_class("Local", frozen=is_frozen) for _ in range(2))

    @cached(key="k")
    def load_first() -> first:
        return first(x=1)

    @cached(key="k")
    def load_second() -> second:
        return second(x=2)

    for _ in range(4):
        assert type(load_first()) is first
    for _ in range(4):
        assert type(load_second()) is second
        assert type(load_first()) is first
    assert load_second.cache_info().misses == 0


def test_another_type_that_reads_the_value_meanwhile_gets_its_own_class(manager, monkeypatch):
    """As another thread may read it, between the first one's reading and counting."""
    first, second = make_class("Local"), make_class("Local")

    @cached(key="k")
    def load_first() -> first:
        return first(x=1)

    @cached(key="k")
    def load_second() -> second:
        return second(x=1)

    load_first()
    give = CachedValue.give

    def give_and_be_overtaken(self, type_):
        value = give(self, type_)
        monkeypatch.undo()
        load_second()
        return value

    monkeypatch.setattr(CachedValue, "give", give_and_be_overtaken)
    assert type(load_first()) is first
    for _ in range(4):
        assert type(load_second()) is second


def call_with_frames(count, function):
    """Call a function that may use so many frames of the stack."""
    used = len(inspect.stack(0))

    def descend(levels):
        return descend(levels - 1) if levels else function()

    return descend(sys.getrecursionlimit() - used - count)


@pytest.mark.parametrize("hits_before", [1, 2], ids=["building a copier", "copying"])
def test_a_hit_deep_in_the_stack_is_read_if_it_cannot_be_copied(manager, hits_before):
    @cached
    def load() -> Any:
        return nested(30)

    load()
    for _ in range(hits_before):
        load()
    assert call_with_frames(25, load) == nested(30)
    assert [load() for _ in range(3)] == [nested(30)] * 3
