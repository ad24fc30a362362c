"""A pickle is read by nobody without the key, and then only values come out of it."""

import collections
import pickle
import re
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import ip_address
from pathlib import PurePosixPath
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_serial.errors import FormatError
from asgi_serial.formats.pickle_format import MAGIC, PickleFormat
from asgi_serial.formats.registry import FORMATS, format_name

FORMAT = PickleFormat(b"k" * 32)
VALUES = [
    {"a": [1, 2.5, None, (True, b"x")]},
    {1, 2},
    frozenset({"a"}),
    bytearray(b"x"),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Paris")),
    timedelta(seconds=1),
    Decimal("1.50"),
    UUID("00112233-4455-4677-8899-aabbccddeeff"),
    PurePosixPath("/a"),
    ip_address("::1"),
    collections.deque([1]),
    collections.OrderedDict(a=1),
    signal.SIGINT,
    [..., NotImplemented],
    range(3),
    collections.defaultdict(list, a=[1]),
    collections.defaultdict(collections.defaultdict),
    [int, str, dict, Decimal],
]


class Harmful:
    def __reduce__(self):
        return (print, ("code ran",))


class Unknown:
    """A class of the application that nobody has allowed."""


class Singletons(Enum):
    """Members that are found by their value, which equals only itself."""

    ONE = Unknown()


class Broken:
    def __reduce__(self):
        raise KeyError("a class's own mistake")


REFUSED = [
    Harmful(),
    Unknown(),
    Unknown,
    Broken(),
    print,
    len,
    [].append,
    re.compile("x"),
    lambda: None,
    collections.namedtuple("Pair", "a b")(1, 2),
    (part for part in ()),
]


def signed(content):
    return b"".join((MAGIC, FORMAT._tag(content), content))


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_plain_values_come_back(value):
    found = FORMAT.loads(FORMAT.dumps(value))
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_what_is_no_value_is_refused_when_it_is_written(value):
    with pytest.raises(FormatError, match="cannot be pickled"):
        FORMAT.dumps(value)


GLOBALS = {
    "an item of a value": b"c_operator\ngetitem\n(]I0\ntR.",
    "a function": b"cbuiltins\neval\n(V1\ntR.",
    "a module's function": b"cos\nsystem\n(Vtrue\ntR.",
    "a module that is not imported": b"cantigravity\nfly\n.",
    "an attribute of a class": b"cbuiltins\ngetattr\n(cbuiltins\nbytearray\nVfromhex\ntR.",
    "a private attribute of a zone": (
        b"cbuiltins\ngetattr\n(czoneinfo\nZoneInfo\nVclear_cache\ntR."
    ),
    "a class that says it is another": b"cdatetime\ndatetime_CAPI\n.",
    "a name with dots": b"\x80\x04\x8c\x05posix\x8c\x0csystem.__new\x93.",
    "nothing": b".",
    "a class of the application": pickle.dumps(Unknown()),
}


@pytest.mark.parametrize("content", GLOBALS.values(), ids=GLOBALS)
def test_behind_the_signature_stands_a_second_wall(content):
    with pytest.raises(FormatError, match="cannot be read"):
        FORMAT.loads(signed(content))


def test_classes_are_allowed_by_whoever_makes_the_format():
    lenient = PickleFormat(b"k" * 32, is_allowed=lambda cls: cls is Unknown)
    assert type(lenient.loads(lenient.dumps(Unknown()))) is Unknown
    with pytest.raises(FormatError):
        FORMAT.loads(lenient.dumps(Unknown()))


@pytest.mark.parametrize(
    "data",
    [b"", MAGIC, pickle.dumps(1), MAGIC + b"x" * 16, FORMAT.dumps(1)[:-1], FORMAT.dumps(1) + b"."],
)
def test_what_is_not_signed_whole_is_not_read(data):
    with pytest.raises(FormatError):
        FORMAT.loads(data)


def test_every_bit_is_under_the_signature():
    payload = FORMAT.dumps({"a": 1})
    for position in range(len(payload)):
        damaged = bytearray(payload)
        damaged[position] ^= 1
        with pytest.raises(FormatError):
            FORMAT.loads(bytes(damaged))


def test_another_key_does_not_read_it():
    with pytest.raises(FormatError, match="signature of the pickle is invalid"):
        PickleFormat(b"j" * 32).loads(FORMAT.dumps(1))


class Shaped:
    """A class of the application whose fields may change."""

    def __init__(self):
        self.part = Part()


class Part:
    pass


def shaped(**shapes):
    return PickleFormat(
        b"k" * 32,
        is_allowed=lambda cls: cls in (Shaped, Part),
        shape_of=lambda cls: shapes.get(cls.__name__, b""),
    )


@pytest.mark.parametrize("name", ["Shaped", "Part"])
def test_a_class_with_other_fields_does_not_read_it(name):
    before, after = {name: b"before"}, {name: b"after"}
    payload = shaped(**before).dumps([Shaped(), Shaped()])
    assert type(shaped(**before).loads(payload)[1].part) is Part
    with pytest.raises(FormatError, match=f"{name} has other fields than when"):
        shaped(**after).loads(payload)


class Picky:
    """A class whose own code refuses what it has written."""

    def __init__(self, value):
        self.value = value

    def __getstate__(self):
        return {"value": self.value}

    def __setstate__(self, state):
        if state["value"] < 0:
            raise ValueError("a negative value")
        self.__dict__.update(state)


class Named:
    """A global that is pickled by its name."""

    def __reduce__(self):
        return "NAMED"


NAMED = Named()


def test_what_could_not_be_read_back_is_refused_when_it_is_written():
    lenient = PickleFormat(b"k" * 32, is_allowed=lambda cls: cls in (Picky, Named))
    assert lenient.loads(lenient.dumps(Picky(1))).value == 1
    with pytest.raises(FormatError, match="cannot be pickled: a negative value"):
        lenient.dumps(Picky(-1))
    with pytest.raises(FormatError, match="NAMED is not allowed"):
        lenient.dumps(NAMED)
    singletons = PickleFormat(b"k" * 32, is_allowed=lambda cls: cls in (Singletons, Unknown))
    with pytest.raises(FormatError, match="is not a valid Singletons"):
        singletons.dumps([Singletons.ONE])


@given(data=st.binary(max_size=60))
def test_any_signed_bytes_are_a_value_or_a_format_error(data):
    try:
        FORMAT.loads(signed(data))
    except FormatError:
        return


def test_no_media_type_leads_to_it():
    assert FORMAT.name not in {one.name for one in FORMATS}
    for name in ("application/octet-stream", "application/x-pickle", "application/python-pickle"):
        assert format_name(name) == ""
