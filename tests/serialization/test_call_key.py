"""Keys: the same for calls that mean the same, in all processes; different for all others."""

import functools
import io
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from functools import cached_property
from ipaddress import IPv6Address, IPv6Interface, ip_address
from pathlib import PurePosixPath
from typing import Generic, Literal, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr, RootModel, SecretStr

from asgi_serial.serialization.functions.call_key import (
    MAX_KEY_CHARACTERS,
    Template,
    bounded,
    describe_variables,
    key_by_arguments,
    key_by_function,
    key_by_template,
    parameters_of,
)


class Color(Enum):
    RED = "red"
    ALSO_ONE = 1


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    RED = "red"


class Pair(NamedTuple):
    x: int
    y: int


class Point(BaseModel):
    x: int
    y: int = 0


class Other(BaseModel):
    x: int
    y: int = 0


class Numbers(RootModel[list[int]]):
    pass


@dataclass
class Place:
    name: str
    client: object = field(default=None, compare=False)


@dataclass(eq=False)
class Handle:
    number: int


class Holder(BaseModel):
    id: int
    _tenant: object = PrivateAttr("")

    @cached_property
    def client(self):
        return object()


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    items: list[T] = []


def holder_of(tenant):
    holder = Holder(id=1)
    holder._tenant = tenant
    return holder


def local_class():
    class Local(BaseModel):
        pass

    return Local


class NoZone(tzinfo):
    def utcoffset(self, _):
        return timedelta(0)


def keys_of(function, **options):
    return key_by_arguments("m.f", parameters_of(function))


def one(value):
    """The key of one argument."""
    return key_by_arguments("m.f", parameters_of(lambda value: None))(value)


def of_signature(a, b=2, /, c=3, *rest, d, e=5, **more):
    raise NotImplementedError


CALLS = [
    (of_signature, [((1,), {"d": 4}), ((1, 2), {"d": 4}), ((1, 2, 3), {"e": 5, "d": 4})]),
    (
        of_signature,
        [((1, 2, 3, 9), {"d": 4, "y": 1, "x": 2}), ((1, 2, 3, 9), {"x": 2, "d": 4, "y": 1})],
    ),
    (lambda x: None, [((1,), {}), ((), {"x": 1})]),
    (lambda: None, [((), {})]),
    (lambda *, x=1: None, [((), {}), ((), {"x": 1})]),
    (lambda x, /: None, [((1,), {})]),
]


@pytest.mark.parametrize(("function", "calls"), CALLS)
def test_calls_that_mean_the_same_have_the_same_key(function, calls):
    make_key = keys_of(function)
    assert len({make_key(*args, **kwargs) for args, kwargs in calls}) == 1


def test_a_key_is_readable():
    make_key = keys_of(of_signature)
    assert make_key(1, d="x", z=b"") == "m.f(1, 2, 3, (), 'x', 5, {'z': b''})".replace("()", "(,)")
    assert keys_of(lambda x, y=None: None)(7) == "m.f(7, None)"


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, r"of_signature\(\) missing 1 required positional argument: 'a'"),
        ((1,), {}, r"of_signature\(\) missing 1 required keyword-only argument: 'd'"),
        ((1,), {"d": 1, "c": 2, "e": 3, "a": 4}, None),
    ],
)
def test_arguments_that_do_not_fit_are_python_s_own_error(args, kwargs, message):
    make_key = keys_of(of_signature)
    if message is None:
        assert make_key(*args, **kwargs)
    else:
        with pytest.raises(TypeError, match=message):
            make_key(*args, **kwargs)


# Each of these differs from every other one.
VALUES = [
    *(
        None,
        True,
        False,
        0,
        1,
        1.0,
        -0.0,
        0.0,
        "1",
        "",
        b"1",
        "None",
        "m",
        (),
        (1,),
        (1, 2),
        ((1,), 2),
    ),
    *([], [1], [[1]], [1, [1]], {}, {1: 2}, {2: 1}, {"1": 2}, set(), {1}, frozenset({1}), {(1,)}),
    *(1j, Decimal(1), Decimal("1.0"), UUID(int=1), "UUID(int=1)", "Decimal('1')"),
    *(date(2026, 1, 1), datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), time(1)),
    datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    *(timedelta(1), ip_address("::1"), PurePosixPath("a"), "a", "PurePosixPath('a')", range(3)),
    *(Color.RED, Color.ALSO_ONE, Level.LOW, Word.RED, "red", Color, Level, int, str),
    *(Pair(1, 2), Point(x=1), Point(x=1, y=0), Other(x=1), Numbers([1]), Place("a"), Place("b")),
    *([1, 2], ["1, 2"], ["1", "2"], ("1', '2",), ("1", "2"), 10**5000, 10**5000 + 1, "x" * 300),
    "x" * 299 + "y",
    *(holder_of("a"), holder_of("b")),
    # The scope of an address may be any text.
    *([IPv6Address("::1%x"), IPv6Address("::2")], [IPv6Address("::1%x'), IPv6Address('::2")]),
    *(IPv6Interface("::1%x/64"), IPv6Interface("::1%x/65"), "IPv6Interface('::1%x/64')"),
    *(Box, Box[int], Box[str], Box[list[int]], Box[int | None], Box[Point], Box[Other]),
    *(Box[int](), Box[str](), Box[Literal[1]](), Box[Literal["1"]](), type(None), type(len)),
]


def test_different_values_have_different_keys():
    keys = [one(value) for value in VALUES]
    assert len(set(keys)) == len(VALUES)
    assert max(map(len, keys)) <= MAX_KEY_CHARACTERS


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({1: 2, 3: 4}, {3: 4, 1: 2}),
        ({"b", "a", "c"}, {"c", "b", "a"}),
        (Place("a", object()), Place("a", None)),
        (Point(x=1), Point(x=1)),
    ],
)
def test_equal_values_have_one_key(first, second):
    assert one(first) == one(second)


def test_classes_of_one_name_have_different_keys():
    first, second = local_class(), local_class()
    assert one(first) == one(first) != one(second)
    assert one(first()) == one(first()) != one(second())
    assert one(Box[first]) != one(Box[second])
    assert one(Box[list[first]]()) != one(Box[list[second]]())


def test_a_computed_attribute_of_a_model_is_no_part_of_its_key():
    holder = holder_of("a")
    key = one(holder)
    assert holder.client
    assert one(holder) == key


def bind(function, value, **more):
    @functools.wraps(function)
    def bound(*args):
        return value, more, function

    return bound


def plain_function():
    raise NotImplementedError


def of_own_class():
    class Own:
        def load(self):
            return __class__

    return Own.load


def unbound_variable():
    def load():
        return later

    if not load:
        later = 1
    return load


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (plain_function, ""),
        (of_own_class(), ""),
        (bind(plain_function, 1, x="y"), "more={'x': 'y'}, value=1"),
        (bind(bind(plain_function, 1), 2), "more={}, value=2, more={}, value=1"),
        (bind(plain_function, object()), None),
        (bind(Handle(1).__init__, 1), None),
        (bind(Box.model_validate, 1), None),
        (unbound_variable(), None),
        (functools.update_wrapper(functools.partial(plain_function, 1), plain_function), None),
        (bind(unbound_variable(), 1), None),
    ],
)
def test_the_variables_of_decorators_are_described(function, text):
    assert describe_variables(function) == text


def test_a_function_that_wraps_itself_is_described():
    def load():
        raise NotImplementedError

    load.__wrapped__ = load
    assert describe_variables(load) == ""


def test_keys_are_the_same_in_another_process():
    code = (
        "from tests.serialization.test_call_key import VALUES, one; "
        "print([one(value) for value in VALUES])"
    )
    environ = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == repr([one(value) for value in VALUES])


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


@given(nested, nested)
def test_a_key_tells_any_two_values_apart(first, second):
    # `repr` of plain data tells all of it apart, but for the order of dicts.
    assert (one(first) == one(second)) == (in_order(first) == in_order(second))


def in_order(value):
    if isinstance(value, dict):
        items = sorted(f"{key!r}:{in_order(inner)}" for key, inner in value.items())
        return f"dict({items})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({[in_order(inner) for inner in value]})"
    return repr(value)


class Session:
    pass


def zone_without_name():
    # A file of version 1, with UTC alone (RFC 9636, 3.2).
    counts = (0).to_bytes(4) * 4 + (1).to_bytes(4) + (4).to_bytes(4)
    return ZoneInfo.from_file(io.BytesIO(b"TZif" + bytes(16) + counts + bytes(6) + b"UTC\0"))


def with_session(id: int, session: Session):
    raise NotImplementedError


deep: list = []
deep.append(deep)


@pytest.mark.parametrize(
    "value",
    [
        *(Session(), [Session()], {"a": Session()}, SecretStr("hunter2"), Handle(1), object(), len),
        *(Place(Session()), time(1, tzinfo=NoZone()), iter([]), holder_of(Session())),
        datetime(2026, 1, 1, tzinfo=zone_without_name()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_argument_without_a_key_is_named(value):
    make_key = keys_of(with_session)
    with pytest.raises(TypeError, match=r"the argument 'session' of with_session\(\) is a") as info:
        make_key(7, value)
    assert "key='with_session:{id}:{session.id}'" in str(info.value)
    assert "hunter2" not in str(info.value)


def test_an_argument_that_holds_itself_is_refused():
    with pytest.raises(TypeError, match=r"'session' .* nested too deeply"):
        keys_of(with_session)(7, deep)


def template(text, function=with_session, **options):
    return key_by_template(text, parameters_of(function))


@pytest.mark.parametrize(
    ("text", "value", "key"),
    [
        ("user:{id}", 7, "user:7"),
        ("user:{id}", "ada@example.com", "user:ada@example.com"),
        ("user:{id}", "a:b", "user:a%3Ab"),
        ("user:{id}", "a%3Ab", "user:a%253Ab"),
        ("user/{id}:all", "a/b:c", "user/a%2Fb%3Ac:all"),
        ("user:{id:04}", 7, "user:0007"),
        ("user:{id!r}", "7", "user:'7'"),
        ("user:{id}", None, "user:None"),
        ("user:{id}", "None", "user:%4Eone"),
        ("user:{id}", True, "user:True"),
        ("user:{id}", "True", "user:%54rue"),
        ("user:{id:}", "False", "user:%46alse"),
        ("user:{id!s}", "None", "user:%4Eone"),
        ("user:{id}", "None of it", "user:None of it"),
        ("{id}", "shop.load(7)", "shop.load%287)"),
        ("user-{id}", "ada:private", "user-ada%3Aprivate"),
        ("user:{id}", UUID(int=1), "user:00000000-0000-0000-0000-000000000001"),
        ("day:{id:%Y-%m-%d}", date(2026, 1, 2), "day:2026-01-02"),
        ("user:{id.x}", Point(x=3), "user:3"),
        ("user:{id[a]}", {"a": 3}, "user:3"),
        ("{{all}}", 1, "{all}"),
        ("all", 1, "all"),
    ],
)
def test_a_key_may_be_a_format_string(text, value, key):
    assert template(text)(value, None) == template(text)(session=None, id=value) == key


@given(st.text(), st.text(), st.text(), st.text())
def test_no_values_of_a_template_look_like_others(a, b, c, d):
    make_key = template("t:{id}:{session}")
    assert (make_key(a, b) == make_key(c, d)) == ((a, b) == (c, d))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user:{name}", r"has \{name\}; expected \{id\}, \{session\}"),
        ("user:{}", r"has \{\}; expected"),
        ("user:{0}", r"has \{0\}; expected"),
        ("{id}x{session}", r"has \{session\} right after another"),
        ("{id}{session}", r"has \{session\} right after another"),
        ("user:{id", "expected '}'"),
        ("user:{id:{session}}", "expected"),
    ],
)
def test_a_wrong_format_string_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        template(text)


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        (
            "user:{session}",
            Session(),
            r"\{session\} is of type Session; expected text.*\{session.id\}",
        ),
        ("user:{session}", SecretStr("hunter2"), r"is of type SecretStr"),
        ("user:{session.id}", Session(), r"\{session.id\} is not there"),
        ("user:{session[0]}", [], r"\{session\[0\]\} is not there"),
    ],
)
def test_a_value_that_says_nothing_is_refused(text, value, message):
    with pytest.raises(TypeError, match=message):
        template(text)(1, value)


def test_a_tag_is_escaped_by_its_own_punctuation_alone():
    made = Template("user-{id}", parameters_of(with_session), is_tag=True)
    assert [made.render((one, None)) for one in ("None", "a:b(c)", "a-b")] == [
        "user-None",
        "user-a:b(c)",
        "user-a%2Db",
    ]


def test_a_template_may_use_more_names():
    made = Template("org:{result.x}", parameters_of(with_session), ("result",))
    assert (made.uses, made.render((1, None, Point(x=5)))) == ({"result"}, "org:5")


def test_a_key_may_be_made_by_a_function():
    def make(key):
        return key_by_function("m.f", parameters_of(with_session), key)

    assert make(lambda id, session: f"user:{id}")(7, None) == "user:7"
    assert make(lambda id, session: (id, "de"))(7, None) == "m.f(7, 'de',)"
    with pytest.raises(
        TypeError, match=r"key= of with_session\(\) returned an object of type Session; exp"
    ):
        make(lambda id, session: session)(7, Session())
    # A function that lacks its `return` would give all callers one key.
    with pytest.raises(TypeError, match=r"returned None; expected a str"):
        make(lambda id, session: None)(7, None)
    assert make(lambda id, session: (None,))(7, None) == "m.f(None,)"

    async def later(id, session):
        raise NotImplementedError

    with pytest.raises(TypeError, match="is asynchronous"):
        make(later)(7, None)


@given(st.text(max_size=400), st.text(max_size=400))
def test_a_long_key_ends_in_a_digest(first, second):
    keys = bounded(first), bounded(second)
    assert (keys[0] == keys[1]) == (first == second)
    assert max(map(len, keys)) <= MAX_KEY_CHARACTERS
    # Nobody can pass a text off as the short form of another.
    assert bounded(keys[0]) == keys[0] or bounded(keys[0]) != bounded(first)


def test_a_text_that_looks_shortened_is_shortened():
    long = "x" * 300
    assert bounded(bounded(long)) != bounded(long)


class Client:
    def load(self): ...

    def find(self, org, name): ...


def greet(user): ...


@pytest.mark.parametrize(
    ("function", "args", "key"),
    [
        (greet, (object(),), "greet:{user.id}"),
        (Client.load, (Client(),), "load:{self.id}"),
        (Client.find, (Client(), 1, "a"), "find:{self.id}:{org}:{name}"),
        (Client.find, (1, object(), "a"), "find:{org.id}:{name}"),
    ],
    ids=["the only one", "self", "self and others", "one of several"],
)
def test_the_key_that_an_error_suggests_differs_by_the_argument(function, args, key):
    """Without it, one caller would get the result of another."""
    parameters = parameters_of(function)
    make_key = key_by_arguments("shop", parameters)
    with pytest.raises(TypeError, match="cannot be part of a key") as raised:
        make_key(*args)
    assert f"such as key={key!r}, and leave" in str(raised.value)
    assert Template(key, parameters).uses
