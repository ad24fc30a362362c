"""Any bytes at all are a model or a ValidationError, in bounded memory and time."""

import asyncio
import json
import pickle
import time
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, ValidationError

from asgi_serial import (
    SerializationConfig,
    SerializationFormat,
    SerializationUtils,
    create_serialization_manager,
    validation_problem,
)

from .models import Account, Open, Point, Typed, User, make_users

MANAGER = create_serialization_manager(SerializationConfig(max_decoded_size=1_000_000), environ={})
FORMATS = [None, *SerializationFormat]
EVERY_FORMAT = pytest.mark.parametrize("format", FORMATS, ids=str)
MODELS = [User, Typed, Open, Point, Account, RootModel[list[int]], RootModel[int]]

WRITTEN = [
    MANAGER.serialize_sync(make_users(number), format, compress=compress)
    for number in (1, 30)
    for format in SerializationFormat
    for compress in (True, False)
]


def read(data, model, format):
    """Read what may be refused, by one kind of error only."""
    with suppress(ValidationError):
        assert isinstance(MANAGER.deserialize_sync(data, model, format), model)


@EVERY_FORMAT
@given(data=st.binary(max_size=200), model=st.sampled_from(MODELS))
def test_random_bytes(format, data, model):
    read(data, model, format)


@EVERY_FORMAT
@given(
    payload=st.sampled_from(WRITTEN),
    position=st.integers(0, 5_000),
    byte=st.integers(0, 255),
    cut=st.integers(0, 5_000),
)
def test_payloads_of_ours_that_were_damaged(format, payload, position, byte, cut):
    position %= len(payload)
    damaged = payload[:position] + bytes([byte]) + payload[position + 1 :]
    read(damaged[: len(payload) - cut % len(payload)], type(make_users(0)), format)


@EVERY_FORMAT
@given(content=st.binary(max_size=100), codec=st.sampled_from(["zstd", "gzip"]))
def test_random_bytes_in_a_frame(format, content, codec):
    frame = SerializationUtils.compress(content + b" " * 200, codec=codec)
    read(frame, User, format)
    read(frame[: len(content) % len(frame)], User, format)


def measured(data, model, format):
    """Seconds of the processor, and the bytes that were allocated at the most."""
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(ValidationError):
        MANAGER.deserialize_sync(data, model, format)
    took = time.process_time() - began
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return took, peak


BOMBS = {
    "a zstd frame of 200 MB": SerializationUtils.compress(b"[" * 200_000_000),
    "a gzip frame of 50 MB": zlib.compress(b"\x90" * 50_000_000, wbits=31),
    "a nest of arrays": b"[" * 900_000,
    "a nest of objects": b'{"data":' * 100_000,
    "a MessagePack array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "a MessagePack map of 4 billion": b"\xdf\xff\xff\xff\xff" + b"\x80" * 1000,
    "a nest in MessagePack": b"\x91" * 900_000,
    "many empty maps": b"\xdc\xff\xff" + b"\x80" * 0xFFFF,
    "a long integer": b'{"id":' + b"9" * 900_000 + b"}",
    "a long exponent": b'{"price":"1e999999999"}',
    "a pickle that runs code": pickle.dumps(print),
    "a document that is too large": b" " * 1_000_001,
}


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_neither_memory_nor_time(name, format):
    took, peak = measured(BOMBS[name], Typed, format)
    # What may be decoded, the values of it, and both once more in another form.
    assert peak < 40_000_000
    assert took < 5


@pytest.mark.parametrize("data", [None, 1, object(), ["{}"]], ids=lambda data: type(data).__name__)
def test_what_is_no_bytes_is_a_type_error(data):
    with pytest.raises(TypeError, match="expected bytes"):
        MANAGER.deserialize_sync(data, User)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview], ids=lambda kind: kind.__name__)
def test_any_buffer_is_read_and_text_too(kind):
    payload = MANAGER.serialize_sync(Point(x=1, y=2))
    assert MANAGER.deserialize_sync(kind(payload), Point) == Point(x=1, y=2)
    assert asyncio.run(MANAGER.deserialize_model(kind(payload), Point)) == Point(x=1, y=2)
    assert MANAGER.deserialize_sync(payload.decode(), Point) == Point(x=1, y=2)


class Recursive(BaseModel):
    inner: "Recursive | None" = None


def nested(levels):
    model = Recursive()
    for _ in range(levels):
        model = Recursive(inner=model)
    return model


@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize("levels", [10, 150, 195, 199, 200, 230, 300, 900])
def test_a_nest_that_is_written_can_be_read(format, levels):
    manager = create_serialization_manager(SerializationConfig(check_round_trip=True), environ={})
    model = nested(levels)
    try:
        payload = manager.serialize_sync(model, format)
    except ValueError:
        assert levels > 150
    else:
        assert manager.deserialize_sync(payload, Recursive, format) == model


MANY_FAULTS = b'{"users":[' + b"0," * 2_000 + b"0]}"


def test_many_faults_are_counted_and_not_listed():
    manager = create_serialization_manager(SerializationConfig(), environ={})
    with pytest.raises(ValidationError) as caught:
        manager.deserialize_sync(MANY_FAULTS, type(make_users(0)))
    assert manager.get_stats()["events"] == {"refusal: many_faults": 1}
    answer = json.loads(validation_problem(caught.value).body)
    assert (answer["detail"], answer["errors"]) == ("Faults in the document: 2001.", [])


def test_of_some_faults_the_first_are_listed():
    with pytest.raises(ValidationError) as caught:
        MANAGER.deserialize_sync(b'{"users":[' + b"0," * 200 + b"0]}", type(make_users(0)))
    answer = json.loads(validation_problem(caught.value).body)
    assert (answer["detail"], len(answer["errors"])) == ("Faults in the document: 201.", 100)
